"""Files that `torch.save` wrote, read without PyTorch: tensors and structures of them.

Two forms are known. Since PyTorch 1.6: a zip with `data.pkl` and one file for each storage. Before:
pickles in a row (a magic number, a version, the machine, the object, the keys), then the storages.
"""

import io
import zipfile
from collections import OrderedDict
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from narae.base.dtypes import DTYPES
from narae.base.errors import FileFormatError, explain
from narae.base.shapes import Size
from narae.tensors import Parameter, Tensor
from narae.tensors.creation import from_numpy

from .pickles import PLAIN, Reader, RefusedError, plain_arrays, read_object

Array = npt.NDArray[Any]
ZIP = b"PK\x03\x04"
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = np.dtype("<i8")

_STORAGES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("f8"),
    "FloatStorage": np.dtype("f4"),
    "HalfStorage": np.dtype("f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("i8"),
    "IntStorage": np.dtype("i4"),
    "ShortStorage": np.dtype("i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "UntypedStorage": np.dtype("u1"),
}


class _Kind(str):
    """The name of a class of storages."""


def is_torch_file(data: bytes) -> bool:
    """Whether these are the bytes of a file that `torch.save` wrote."""
    return data.startswith(ZIP) or _begins_with_magic(data)


def read_torch(data: bytes, name: str) -> Any:
    """The object in a file that `torch.save` wrote.

    Args:
        data: the whole file.
        name: of the file, for messages.

    Raises:
        FileFormatError: if it is damaged, or holds a model instead of a state dict.
    """
    found = _read_zip(data, name) if data.startswith(ZIP) else _read_old(data, name)
    return plain_arrays(found)


# ----------------------------------------------------------------------------------- what it names
def _rebuild(
    storage: Array, offset: int, size: Any, stride: Any, requires_grad: bool = False, *_: Any
) -> Tensor:
    """A view of a storage as a tensor of its own; views of one storage share it."""
    size, stride = tuple(size), tuple(stride)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    inside = offset >= 0 and min((*size, *stride), default=0) >= 0 and last < len(storage)
    if 0 not in size and not inside:
        raise RefusedError(f"a tensor {size} leaves its storage of {len(storage)}")
    if 0 in size:
        view = np.empty(size, storage.dtype)
    else:
        steps = tuple(step * storage.itemsize for step in stride)
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
    return from_numpy(view).requires_grad_(bool(requires_grad))


def _rebuild_parameter(data: Tensor, requires_grad: bool = True, *_: Any) -> Tensor:
    return Parameter(data.detach(), requires_grad=bool(requires_grad))


def _allowed() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = dict(PLAIN)
    names[("torch._utils", "_rebuild_tensor_v2")] = _rebuild
    names[("torch._utils", "_rebuild_tensor")] = _rebuild
    names[("torch._utils", "_rebuild_parameter")] = _rebuild_parameter
    names[("torch._utils", "_rebuild_parameter_with_state")] = _rebuild_parameter
    names[("torch", "Size")] = Size
    names[("torch", "device")] = str
    names[("torch.serialization", "_get_layout")] = str
    for kind in _STORAGES:
        names[("torch", kind)] = names[("torch.storage", kind)] = _Kind(kind)
    for dtype in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8"):
        names[("torch", dtype)] = DTYPES[dtype]
    names[("torch", "uint8")], names[("torch", "bool")] = DTYPES["uint8"], DTYPES["bool"]
    return names


def _dtype_of(kind: Any) -> np.dtype[Any]:
    if not isinstance(kind, _Kind):
        raise RefusedError(f"a storage of the kind {kind!r}")
    return _STORAGES[kind]


# --------------------------------------------------------------------------------------- two forms
def _read_zip(data: bytes, name: str) -> Any:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        inside = {entry.partition("/")[2]: entry for entry in archive.namelist()}
        order = archive.read(inside["byteorder"]) if "byteorder" in inside else b"little"
        program = archive.read(inside["data.pkl"])
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        given = f"{name}: it is a zip, but holds no weights ({error})"
        raise FileFormatError(explain("load", given, "torch.save writes data.pkl")) from error
    if "constants.pkl" in inside:
        given, rule = f"{name}: it is a TorchScript program", "a file of weights is read"
        fix = "in PyTorch: torch.save(model.state_dict(), path)"
        raise FileFormatError(explain("load", given, rule, fix))
    storages: dict[str, Array] = {}

    def storage(pid: Any) -> Array:
        _, kind, key, _, count = pid
        if key not in storages:
            numbers = np.frombuffer(archive.read(inside[f"data/{key}"]), _dtype_of(kind))
            storages[key] = _native(numbers, count, order == b"big", name)
        return storages[key]

    return read_object(Reader(io.BytesIO(program), _allowed(), storage), name)


def _read_old(data: bytes, name: str) -> Any:
    """Storages follow the object that uses them, so they are filled in afterwards."""
    file = io.BytesIO(data)
    storages: OrderedDict[str, Array] = OrderedDict()

    def storage(pid: Any) -> Array:
        _, kind, key, _, count, *view = pid
        if view and view[0] is not None:
            raise RefusedError("a view of a storage, of PyTorch before 0.4")
        if key not in storages:
            if not 0 <= count <= len(data):
                raise RefusedError(f"a storage of {count} numbers")
            storages[key] = np.empty(count, _dtype_of(kind))
        return storages[key]

    def plain() -> Any:
        return read_object(Reader(file), name)

    magic, version, machine = plain(), plain(), plain()
    if magic != _MAGIC or version != _VERSION:
        raise FileFormatError(explain("load", f"{name}: unknown version {version}", "it is 1001"))
    big = isinstance(machine, dict) and not machine.get("little_endian", True)
    found = read_object(Reader(file, _allowed(), storage), name)
    for key in plain():
        numbers = storages[key]
        count = int(np.frombuffer(_bytes(file, 8, name), _LENGTH)[0])
        content = np.frombuffer(_bytes(file, count * numbers.itemsize, name), numbers.dtype)
        numbers[:] = _native(content, len(numbers), big, name)
    return found


def _native(numbers: Array, count: int, big: bool, name: str) -> Array:
    """A storage of the size that was announced, which may be written to."""
    if len(numbers) != count:
        given = f"{name}: a storage has {len(numbers)} numbers, {count} were announced"
        raise FileFormatError(
            explain("load", given, "both agree in a whole file", "fetch it again")
        )
    return numbers.byteswap() if big else numbers.copy()


def _bytes(file: io.BytesIO, count: int, name: str) -> bytes:
    found = file.read(max(count, 0))
    if len(found) != count:
        given = f"{name}: it ends {count - len(found)} bytes too early"
        raise FileFormatError(explain("load", given, "the file is whole", "fetch it again"))
    return found


def _begins_with_magic(data: bytes) -> bool:
    try:
        return bool(Reader(io.BytesIO(data[:64])).load() == _MAGIC)
    except Exception:  # whatever it is, it is not this
        return False
