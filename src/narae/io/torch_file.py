"""Files that `torch.save` wrote, read without PyTorch: tensors and structures of them.

Two forms are known. Since PyTorch 1.6: a zip with `data.pkl` and one file for each storage. Before:
pickles in a row (a magic number, a version, the machine, the object, the keys), then the storages.
"""

import io
from typing import IO, Any

import numpy as np

from .content import Array, Content, refuse
from .pickle_machine import Named, Reader, RefusedError, read_object
from .pickles import PLAIN
from .torch_names import allowed_names, storage_dtype
from .torch_zip import TorchZip

ZIP = b"PK\x03\x04"
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = np.dtype("<i8")


def is_torch_file(content: Content) -> bool:
    """Whether a file is one that `torch.save` wrote."""
    return content.starts_with(ZIP) or _begins_with_magic(content.piece(0, 64))


def read_torch(content: Content) -> Any:
    """The object in a file that `torch.save` wrote.

    Raises:
        FileFormatError: if it is damaged, or holds a model instead of a state dict.
    """
    return _read_zip(content) if content.starts_with(ZIP) else _read_old(content)


# ---------------------------------------------------------------------------------------- the zip
def _read_zip(content: Content) -> Any:
    archive = TorchZip(content)
    order = archive.read("byteorder") if "byteorder" in archive.places else b"little"
    if order not in (b"little", b"big"):
        refuse(content.name, f"its byte order is {order[:20]!r}", "it is little or big")
    storages: dict[str, Array] = {}

    def storage(pid: Any) -> Array:
        dtype, key, count = _storage_id(pid)
        if key not in storages:
            storages[key] = archive.array(f"data/{key}", _ordered(dtype, order == b"big"))
        return _announced(storages[key], dtype, count)

    program = io.BytesIO(archive.read("data.pkl"))
    return read_object(Reader(program, allowed_names(), storage), content.name)


def _ordered(dtype: np.dtype, big: bool) -> np.dtype:
    return dtype.newbyteorder(">" if big else "<")


def _storage_id(pid: Any) -> tuple[np.dtype, str, int]:
    """What a persistent id says of a storage: its dtype, its key, how many numbers it has."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        raise RefusedError("the file refers to something outside itself that is no storage")
    if pid[5:] not in ((), (None,)):
        raise RefusedError("a view of a storage, of PyTorch before 0.4")
    _, kind, key, _, count = pid[:5]
    if type(key) is not str or type(count) is not int:
        raise RefusedError("a storage without a key or without a size")
    return storage_dtype(kind), key, count


def _announced(numbers: Array, dtype: np.dtype, count: int) -> Array:
    """A storage, if it is of the dtype and the size that were announced."""
    if numbers.dtype != dtype:
        raise RefusedError(f"one storage is {numbers.dtype} and {dtype} at once")
    if len(numbers) != count:
        raise RefusedError(f"a storage has {len(numbers)} numbers, {count} were announced")
    return numbers


# ----------------------------------------------------------------------------------- the old form
def _read_old(content: Content) -> Any:
    """Storages follow the object that uses them, and their sizes are known from it: read twice."""
    file, name = content.file, content.name

    def plain() -> Any:
        return read_object(Reader(file, PLAIN), name)

    file.seek(0)
    magic, version, machine = plain(), plain(), plain()
    if magic != _MAGIC or version != _VERSION:
        refuse(name, "it is of an unknown version", "PyTorch's old form has the version 1001")
    begin, dtypes = file.tell(), _storages_named(file, name)
    big = isinstance(machine, dict) and not machine.get("little_endian", True)
    storages = _old_storages(content, plain(), dtypes, big)

    def storage(pid: Any) -> Array:
        dtype, key, count = _storage_id(pid)
        if key not in storages:
            raise RefusedError("a storage that the file does not list")
        return _announced(storages[key], dtype, count)

    file.seek(begin)
    return read_object(Reader(file, allowed_names(), storage), name)


def _storages_named(file: IO[bytes], name: str) -> dict[str, np.dtype]:
    """The dtype of each storage that an object names; nothing is built from them."""
    nothing = Named(lambda *_: None)
    allowed = {
        key: nothing if key[0] == "torch._utils" else value
        for key, value in allowed_names().items()
    }
    dtypes: dict[str, np.dtype] = {}

    def note(pid: Any) -> None:
        dtype, key, _ = _storage_id(pid)
        dtypes[key] = dtype

    read_object(Reader(file, allowed, note), name)
    return dtypes


def _old_storages(
    content: Content, keys: Any, dtypes: dict[str, np.dtype], big: bool
) -> dict[str, Array]:
    """The storages in the order of their keys: for each the count of its numbers, and these."""
    place, storages = content.file.tell(), dict[str, Array]()
    if type(keys) is not list or any(type(key) is not str or key not in dtypes for key in keys):
        refuse(content.name, "it lists storages that it does not use", "each is used by a tensor")
    for key in keys:
        dtype = _ordered(dtypes[key], big)
        count = int(content.array(_LENGTH, place, 1)[0])
        place += _LENGTH.itemsize
        if key in storages or not 0 <= count * dtype.itemsize <= content.size - place:
            given = f"a storage of {count} numbers is not in it, or is there twice"
            refuse(content.name, given, "the file is whole")
        storages[key] = content.array(dtype, place, count)
        place += count * dtype.itemsize
    return storages


def _begins_with_magic(data: bytes) -> bool:
    try:
        return bool(Reader(io.BytesIO(data), PLAIN).load() == _MAGIC)
    except Exception:  # whatever it is, it is not this
        return False
