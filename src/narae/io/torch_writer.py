"""Files that `torch.load(path, weights_only=True)` reads, written without PyTorch.

A zip of `data.pkl`, a pickle of protocol 2 that names PyTorch's own functions, and one member for
each storage: the memory that tensors share. Members begin at multiples of 64 bytes and are not
compressed, so that the file can be mapped.
"""

import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from narae.base.dtypes import of_numpy
from narae.base.errors import DTypeError, explain
from narae.base.shapes import Size
from narae.tensors import Parameter, Tensor

from .atomic import atomic_write
from .content import Array, Target
from .structure import unknown
from .torch_names import STORAGES

_FOLDER = "archive"
_ALIGNMENT = 64
_PADDING = 0x4246  # the kind of the extra field that fills up, "FB" as PyTorch writes it
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same tensors give the same bytes
_KINDS = {dtype: kind for kind, dtype in STORAGES.items() if kind != "UntypedStorage"}


def write_torch(obj: Any, target: Target) -> None:
    """Write tensors and structures of them in the form of `torch.save`; whole or not at all.

    Args:
        obj: what to write.
        target: a path, or a file open for writing bytes.

    Raises:
        DTypeError: for anything but tensors, numbers, texts, None, dicts, lists and tuples.
    """
    storages = _Storages(tensor._array for tensor in _tensors_in(obj, ()))
    program = b"".join(_Program(storages).of(obj))
    if isinstance(target, str | os.PathLike):
        with atomic_write(target) as file:
            _write_zip(file, program, storages.arrays)
    else:
        _write_zip(target, program, storages.arrays)


# ----------------------------------------------------------------------------------------- storages
class _Place(NamedTuple):
    """Where a tensor begins in which storage, counted in numbers."""

    storage: int
    offset: int


class _Storages:
    """The memory of all tensors: what overlaps is one storage, what does not is several.

    Args:
        arrays: of the tensors.
    """

    def __init__(self, arrays: Iterable[Array]) -> None:
        self.arrays: list[Array] = []
        self._places: dict[tuple[Any, ...], _Place] = {}
        spans = [_span(i, array) for i, array in enumerate(arrays)]
        groups = list(_overlapping(sorted(span for span in spans if span.array.size)))
        groups += [[span] for span in spans if not span.array.size]
        for group in sorted(groups, key=lambda group: min(span.number for span in group)):
            self._add(group)

    def _add(self, group: "list[_Span]") -> None:
        first, size = group[0].array, group[0].array.dtype.itemsize
        begin, end = group[0].begin, max(span.end for span in group)
        for span in group:
            if span.array.dtype != first.dtype or (span.begin - begin) % size:
                given = f"tensors of {first.dtype} and {span.array.dtype} share memory"
                rule = "in a file of PyTorch's, shared memory has one dtype"
                raise DTypeError(explain("save", given, rule, "save a clone() of one of them"))
            place = _Place(len(self.arrays), (span.begin - begin) // size)
            self._places[_key(span.array)] = place
        # All of it belongs to the arrays or lies between their elements.
        whole = np.lib.stride_tricks.as_strided(first, ((end - begin) // size,), (size,))
        self.arrays.append(whole)

    def place(self, array: Array) -> _Place:
        """Where an array that was given at first is."""
        return self._places[_key(array)]


def _key(array: Array) -> tuple[Any, ...]:
    return array.ctypes.data, array.dtype, array.size == 0


class _Span(NamedTuple):
    """The memory from the first to the last element of an array, and its number among them."""

    begin: int
    end: int
    number: int
    array: Array


def _span(number: int, array: Array) -> _Span:
    begin = array.ctypes.data
    if array.size == 0:
        return _Span(begin, begin, number, array)
    last = sum((n - 1) * step for n, step in zip(array.shape, array.strides, strict=True))
    return _Span(begin, begin + last + array.itemsize, number, array)


def _overlapping(spans: list[_Span]) -> Iterator[list[_Span]]:
    """Groups of spans, in order, that have bytes in common."""
    group: list[_Span] = []
    end = 0
    for span in spans:
        if group and span.begin >= end:
            yield group
            group = []
        group.append(span)
        end = max(end, span.end)
    if group:
        yield group


# ------------------------------------------------------------------------------------ the structure
def _tensors_in(value: Any, path: tuple[Any, ...]) -> Iterator[Tensor]:
    """Every tensor of a structure, after a look at whether it can be written.

    Raises:
        DTypeError: if not.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if type(key) not in _SCALARS:
                raise DTypeError(unknown(key, (*path, "a key")))
            yield from _tensors_in(each, (*path, key))
    elif type(value) in (list, tuple, Size):
        for i, each in enumerate(value):
            yield from _tensors_in(each, (*path, i))
    elif isinstance(value, np.ndarray):
        given = f"{unknown(value, path).partition(';')[0].partition('] ')[2]}"
        rule = "torch.load refuses arrays unless it is told to trust them"
        raise DTypeError(explain("save", given, rule, "narae.from_numpy(array)"))
    elif not isinstance(value, np.generic) and type(value) not in _SCALARS:
        raise DTypeError(unknown(value, path))


class _Program:
    """Writes the instructions that build a structure.

    Args:
        storages: of its tensors.
    """

    def __init__(self, storages: _Storages) -> None:
        self._storages = storages
        self._memo: dict[int, int] = {}  # tensors that are named twice are built once

    def of(self, obj: Any) -> Iterator[bytes]:
        """The whole pickle."""
        yield b"\x80\x02"
        yield from self._value(obj)
        yield b"."

    def _value(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, Tensor):
            yield from self._tensor(value)
        elif isinstance(value, OrderedDict):
            yield from self._ordered(value)
        elif isinstance(value, Mapping):
            yield b"}"
            yield from self._items(value)
        elif type(value) is list:
            yield b"](" + b"".join(map(self._bytes, value)) + b"e"
        elif type(value) is Size:
            yield _named("torch", "Size") + self._bytes(tuple(value)) + b"\x85R"
        elif type(value) is tuple:
            yield b"(" + b"".join(map(self._bytes, value)) + b"t"
        else:
            yield _scalar(value.item() if isinstance(value, np.generic) else value)

    def _bytes(self, value: Any) -> bytes:
        return b"".join(self._value(value))

    def _items(self, value: Mapping) -> Iterator[bytes]:
        yield b"("
        for key, each in value.items():
            yield _scalar(key)
            yield from self._value(each)
        yield b"u"

    def _ordered(self, value: OrderedDict) -> Iterator[bytes]:
        yield _NEW_ORDERED
        yield from self._items(value)
        versions = getattr(value, "_metadata", None)  # what `state_dict()` notes
        if versions is not None:
            yield self._bytes({"_metadata": versions}) + b"b"

    def _tensor(self, tensor: Tensor) -> Iterator[bytes]:
        if id(tensor) in self._memo:
            yield b"j" + struct.pack("<I", self._memo[id(tensor)])
            return
        if isinstance(tensor, Parameter):
            yield _named("torch._utils", "_rebuild_parameter") + b"("
            yield from self._view(tensor._array, requires_grad=False)
            yield _scalar(bool(tensor.requires_grad)) + _NEW_ORDERED + b"tR"
        else:
            yield from self._view(tensor._array, bool(tensor.requires_grad))
        self._memo[id(tensor)] = len(self._memo)
        yield b"r" + struct.pack("<I", self._memo[id(tensor)])

    def _view(self, array: Array, requires_grad: bool) -> Iterator[bytes]:
        """A tensor as a view of its storage."""
        place, kind = self._storages.place(array), _KINDS.get(array.dtype)
        yield _named("torch._utils", "_rebuild_tensor_v2" if kind else "_rebuild_tensor_v3")
        yield b"(" + self._storage(place.storage, kind)
        strides = tuple(stride // array.itemsize for stride in array.strides)
        for value in (place.offset, array.shape, strides, requires_grad):
            yield self._bytes(value)
        yield _NEW_ORDERED
        yield b"tR" if kind else _named("torch", of_numpy(array.dtype).name) + b"tR"

    def _storage(self, number: int, kind: str | None) -> bytes:
        """The persistent id of a storage: ("storage", its class, its key, device, count)."""
        array = self._storages.arrays[number]
        named = _named("torch", kind) if kind else _named("torch.storage", "UntypedStorage")
        count = array.size if kind else array.nbytes
        words = (_scalar("storage"), named, _scalar(str(number)), _scalar("cpu"), _scalar(count))
        return b"(" + b"".join(words) + b"tQ"


_SCALARS = (bool, int, float, str, bytes, type(None))
_NEW_ORDERED = b"ccollections\nOrderedDict\n)R"


def _named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _scalar(value: Any) -> bytes:
    """The instruction that pushes a number, a text or None."""
    if type(value) is str:
        text = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(text)) + text
    if type(value) is bytes:  # as Python 2 can read them
        return _named("_codecs", "encode") + _scalar(value.decode("latin-1")) \
            + _scalar("latin1") + b"\x86R"  # fmt: skip
    return pickle.dumps(value, 2)[2:-1]  # without the protocol and the end


# ------------------------------------------------------------------------------------------ the zip
def _write_zip(file: IO[bytes], program: bytes, storages: list[Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_member(archive, "data.pkl", program)
        _write_member(archive, ".format_version", b"1")
        _write_member(archive, ".storage_alignment", str(_ALIGNMENT).encode())
        _write_member(archive, "byteorder", sys.byteorder.encode())
        for i, storage in enumerate(storages):
            _write_member(archive, f"data/{i}", storage.view(np.uint8).data)
        _write_member(archive, "version", b"3\n")


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    info = zipfile.ZipInfo(f"{_FOLDER}/{name}", _WHEN)
    info.file_size = len(data)
    large = info.file_size * 1.05 > zipfile.ZIP64_LIMIT  # as `zipfile` decides
    # A header of 30 bytes, the name, the sizes of a large one, the padding's own header of 4.
    before = archive.fp.tell() + 30 + len(info.filename) + (20 if large else 0) + 4  # type: ignore[union-attr]
    padding = -before % _ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
    with archive.open(info, "w", force_zip64=large) as member:
        member.write(data)
