"""Programs on the native executor beside the reference executor, on guarded memory.

Every buffer, input and output lies between pages that must not be touched, and is filled with NaN
before it is written: what is read or written outside ends the process.
"""

import ctypes
import mmap
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np

import narae.testing  # noqa: F401  (operations without operands need tensors)
from narae.ir import Program
from narae.native import executor as native
from narae.native.plan.arena import GuardedArena, PackedArena
from narae.reference import ReferenceExecutor
from narae.testing import Tolerance, difference

Array = np.ndarray[Any, Any]
LOOSE = {
    "float64": Tolerance(1e-9, 1e-9),
    "float32": Tolerance(2e-4, 2e-4),
    "float16": Tolerance(2e-2, 2e-2),
    "bfloat16": Tolerance(8e-2, 8e-2),
}


def guarded(shape: Sequence[int], dtype: Any) -> Array:
    """An array whose last element is the last that may be touched, and whose first page is, too."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    page = mmap.PAGESIZE
    inner = -(-max(size, 1) // page) * page
    block = mmap.mmap(-1, inner + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    protect = ctypes.CDLL(None).mprotect
    for place in (start, start + page + inner):
        assert protect(ctypes.c_void_p(place), ctypes.c_size_t(page), 0) == 0
    ctypes.memset(start + page, 0xFF, inner)
    end = page + inner
    return np.frombuffer(block, np.uint8)[end - size : end].view(dtype).reshape(shape)


def guarded_copy(x: Array) -> Array:
    """A copy of an array that does not touch what lies around it."""
    out = guarded(x.shape, x.dtype)
    out[...] = x
    return out


def strided_copy(x: Array) -> Array:
    """A copy of an array with gaps between its elements, in reverse order in memory."""
    if not x.ndim:
        return np.full(3, x, x.dtype)[1:2].reshape(())
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    out = wide[..., ::-2]
    out[...] = x
    return out


class _Numpy:
    """NumPy, with `empty` on guarded memory."""

    empty = staticmethod(guarded)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


guarded_outputs = mock.patch.object(native, "np", _Numpy())


def native_runner(program: Program, updates: Any = ()) -> native.NativeRunner:
    """A program on the native executor, its intermediates between guard pages."""
    return native.NativeExecutor(arena=GuardedArena).compile(program, updates)


def expected(program: Program, arrays: Sequence[Array]) -> list[Any]:
    """What the reference executor gives."""
    with np.errstate(all="ignore"):
        return ReferenceExecutor().compile(program)(arrays)


def assert_same(
    found: Sequence[Any], wanted: Sequence[Any], what: str, tolerances: Any = None
) -> None:
    """Compare outputs one by one."""
    assert len(found) == len(wanted), what
    for place, (one, two) in enumerate(zip(found, wanted, strict=True)):
        tolerance = tolerances and tolerances.get(two.dtype.name)
        problem = difference(one, two, tolerance)
        assert not problem, f"output {place} of {what}: {problem}"


def bits(outputs: Sequence[Any]) -> list[bytes]:
    """The bits of all outputs."""
    return [np.ascontiguousarray(x).tobytes() for x in outputs]


class PoisonedArena(PackedArena):
    """Buffers share memory, as for users; it holds NaN whenever it is taken."""

    def take(self) -> int:
        address = super().take()
        ctypes.memset(address, 0xFF, self.size)
        return address


def check_program(program: Program, arrays: Sequence[Array], tolerances: Any = None) -> Any:
    """Run on guarded and on shared memory and compare; returns the runner and its outputs."""
    runner = native_runner(program)
    inputs = [guarded_copy(x) for x in arrays]
    with guarded_outputs:
        found = runner(inputs)
    assert_same(found, expected(program, arrays), str(program), tolerances)
    assert bits(inputs) == bits(arrays), f"an input was written to by {program}"
    packed = native.NativeRunner(runner.built, PoisonedArena)
    for _ in range(2):
        assert bits(packed(inputs)) == bits(found), f"buffers overlap in {program}"
    return runner, found
