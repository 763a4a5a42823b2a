"""Tiles of AMX in NumPy: what kernels do with them is executed on processors that have none.

In a kernel's text, calls of LLVM's intrinsics become calls of the functions here; everything else
stays, is compiled for this processor and runs. Each thread has its own tiles. What the processor
would refuse, and tiles that are left configured, are faults.

The rules are those of Intel's manual (volume 2, TDPBF16PS and its neighbours): products of the
first terms of pairs are added up by fused multiply-adds, those of the second terms too, both sums
are added, and then added to C, each time rounded to nearest even; numbers below the normal range
count as zero and are made zero.
"""

import ctypes
import dataclasses
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from narae.native.kernel import Kernel, Machine
from narae.native.runtime import code
from tests.native import running

Array = np.ndarray[Any, Any]
FEATURES = frozenset({"amx-tile", "amx-bf16"})
# A machine with tiles: its kernels are written for 64-byte vectors, which LLVM splits if need be.
TILED = Machine(64, running.host_features() | FEATURES, 32)
_SMALLEST = np.float32(2.0**-126)
_POINTER, _BYTE, _WORD = ctypes.c_void_p, ctypes.c_uint8, ctypes.c_int64


class Tiles:
    """The eight tiles of a thread: 16 rows of 64 bytes each, and how much of each is used."""

    def __init__(self) -> None:
        self.is_ready = False
        self.rows, self.bytes = [0] * 8, [0] * 8
        self.data = np.zeros((8, 16, 64), np.uint8)

    def load_configuration(self, at: int) -> None:
        """LDTILECFG."""
        raw = ctypes.string_at(at, 64)
        assert raw[0] == 1 and not any(raw[1:16]), "palette 1, from row 0"
        assert not any(raw[32:48]) and not any(raw[56:64]), "what is reserved is zero"
        self.bytes = np.frombuffer(raw[16:32], np.uint16).tolist()
        self.rows = list(raw[48:56])
        assert all(n <= 64 and m <= 16 for n, m in zip(self.bytes, self.rows, strict=True))
        assert all((n == 0) == (m == 0) for n, m in zip(self.bytes, self.rows, strict=True))
        self.is_ready = True
        self.data[:] = 0

    def release(self) -> None:
        """TILERELEASE."""
        self.__init__()  # type: ignore[misc]

    def _used(self, tile: int) -> Array:
        assert self.is_ready and self.rows[tile], f"tile {tile} is not configured"
        return self.data[tile, : self.rows[tile], : self.bytes[tile]]

    def zero(self, tile: int) -> None:
        """TILEZERO."""
        self._used(tile)[:] = 0

    def load(self, tile: int, at: int, stride: int) -> None:
        """TILELOADD: rows `stride` bytes apart, and nothing else is read."""
        part = self._used(tile)
        self.data[tile] = 0
        for number, row in enumerate(part):
            row[:] = np.frombuffer(ctypes.string_at(at + number * stride, len(row)), np.uint8)

    def store(self, tile: int, at: int, stride: int) -> None:
        """TILESTORED."""
        for number, row in enumerate(self._used(tile)):
            ctypes.memmove(at + number * stride, row.tobytes(), len(row))

    def multiply(self, c: int, a: int, b: int) -> None:
        """TDPBF16PS c, a, b."""
        assert len({a, b, c}) == 3, "three different tiles"
        out, left, right = (self._used(tile) for tile in (c, a, b))
        assert out.shape == (left.shape[0], right.shape[1]), "sizes of C"
        assert left.shape[1] == 4 * right.shape[0], "as many terms in A as in B"
        pairs = right.shape[0]
        x = wide(left).reshape(len(left), pairs, 1, 2)
        y = wide(right).reshape(1, pairs, -1, 2)
        sums = np.zeros((len(left), y.shape[2], 2), np.float32)
        for k in range(pairs):
            # exact: the product has 16 digits, and float64 has twice those of float32 and two more
            exact = x[:, k].astype(np.float64) * y[:, k]
            sums = flushed((sums.astype(np.float64) + exact).astype(np.float32))
        both = flushed(sums[..., 0] + sums[..., 1])
        held = np.ascontiguousarray(out).view(np.float32)
        self.data[c, : len(left), : out.shape[1]] = flushed(flushed(held) + both).view(np.uint8)


def wide(raw: Array) -> Array:
    """Bytes of bfloat16 numbers as float32; those below the normal range become zero."""
    bits = np.ascontiguousarray(raw).view(np.uint16).astype(np.uint32) << 16
    return flushed(bits.view(np.float32))


def flushed(x: Array) -> Array:
    """Numbers below the normal range as zeros."""
    return np.where(np.abs(x) < _SMALLEST, np.copysign(np.float32(0), x), x)


# --- in place of the instructions -----------------------------------------------------------------

_mine = threading.local()
_all: list[Tiles] = []
_problems: list[str] = []
used: Counter[str] = Counter()


def _tiles() -> Tiles:
    if not hasattr(_mine, "tiles"):
        _mine.tiles = Tiles()
        _all.append(_mine.tiles)
    tiles: Tiles = _mine.tiles
    return tiles


def _called(name: str, method: str, *kinds: Any) -> tuple[str, int, Any]:
    """An intrinsic's name, and the address of what is called instead."""

    def call(*operands: int) -> None:
        used[name] += 1
        try:
            with np.errstate(all="ignore"):
                getattr(_tiles(), method)(*operands)
        except Exception as problem:
            _problems.append(f"{name}{operands}: {problem}")

    function = ctypes.CFUNCTYPE(None, *kinds)(call)
    return name, ctypes.cast(function, ctypes.c_void_p).value or 0, function


_FUNCTIONS = [
    _called("ldtilecfg", "load_configuration", _POINTER),
    _called("tilerelease", "release"),
    _called("tilezero", "zero", _BYTE),
    _called("tileloadd64", "load", _BYTE, _POINTER, _WORD),
    _called("tilestored64", "store", _BYTE, _POINTER, _WORD),
    _called("tdpbf16ps", "multiply", _BYTE, _BYTE, _BYTE),
]


def replaced(text: str) -> str:
    """A kernel's text with calls of the functions above."""
    for name, address, _ in _FUNCTIONS:
        text = text.replace(f"@llvm.x86.{name}(", f"inttoptr (i64 {address} to ptr)(")
    assert "llvm.x86.t" not in text
    # how C's compilers pass a byte: without, its upper bits are undefined
    return re.sub(r"\bi8 (\d+)(?=[,)])", r"i8 zeroext \1", text)


def emulated_kernel(kernel: Kernel) -> Kernel:
    """The same kernel without instructions for tiles."""
    declared = frozenset(x for x in kernel.declarations if "tile" not in x and "tdp" not in x)
    return dataclasses.replace(kernel, text=replaced(kernel.text), declarations=declared)


def without_tiles(machine: Machine) -> Machine:
    """The machine that the text is compiled for."""
    return dataclasses.replace(machine, features=machine.features - FEATURES)


def load(kernels: Any, machine: Machine, assembly: bool = False) -> running.Loaded:
    """As `running.load`."""
    texts = [emulated_kernel(kernel) for kernel in kernels]
    return running.load(texts, without_tiles(machine), assembly)


@contextmanager
def emulated() -> Iterator[Counter[str]]:
    """Inside, products and programs for a machine with tiles run; gives how often what was used."""
    from tests.native import test_product

    used.clear()
    _problems.clear()
    compiled: Callable[..., Any] = code.load_kernels

    def load_kernels(kernels: Any, machine: Any = None) -> Any:
        return compiled([emulated_kernel(kernel) for kernel in kernels], without_tiles(machine))

    with (
        mock.patch.object(test_product, "load", load),
        mock.patch("narae.native.executor.load_kernels", load_kernels),
    ):
        yield used
    assert not _problems, _problems[:3]
    assert not any(tiles.is_ready for tiles in _all), "a thread was left with tiles"
