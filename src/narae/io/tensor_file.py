"""Named arrays in one safetensors file, with a checksum over all that it says.

Source: the safetensors format, https://huggingface.co/docs/safetensors
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

import ml_dtypes
import numpy as np
import numpy.typing as npt

from narae.base.errors import FileFormatError, MissingDataError, explain, require

from .atomic import atomic_write

Array = npt.NDArray[Any]
Target = str | os.PathLike[str] | IO[bytes]

_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind)
    for name, kind in {
        "F64": "<f8",
        "F32": "<f4",
        "F16": "<f2",
        "BF16": ml_dtypes.bfloat16,
        "I64": "<i8",
        "I32": "<i4",
        "I16": "<i2",
        "I8": "i1",
        "U64": "<u8",
        "U32": "<u4",
        "U16": "<u2",
        "U8": "u1",
        "BOOL": "?",
    }.items()
}
_FORMAT, _OURS, _CHECKSUM = "format", "narae", "checksum"
_METADATA = "__metadata__"
_LENGTH_BYTES = 8  # the file begins with the length of its JSON header
_FETCH_AGAIN = "take an older copy of the file, or save it again"


def write_tensors(
    target: Target, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> str:
    """Write named arrays as one safetensors file; it appears whole or not at all.

    The same arrays and texts give the same bytes.

    Args:
        target: a path, or a file open for writing bytes.
        arrays: what to write.
        metadata: texts to keep with them.

    Returns:
        The checksum, "sha256:" and hexadecimal digits.

    Raises:
        MissingDataError: if the folder does not exist.
        MissingExtraError: if safetensors is not installed.
    """
    numpy_api: Any = require("safetensors.numpy", "train", "writing weights")
    dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    texts = {**(metadata or {}), _FORMAT: _OURS}
    checksum = file_checksum(dense, texts)
    data = numpy_api.save(dense, metadata={**texts, _CHECKSUM: checksum})
    if isinstance(target, str | os.PathLike):
        with atomic_write(target) as file:
            file.writelines(_in_order(data))
    else:
        target.writelines(_in_order(data))
    return checksum


def _in_order(data: bytes) -> tuple[bytes, memoryview]:
    """The header with its texts in order, and what follows; the library orders them by chance."""
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = json.loads(data[_LENGTH_BYTES:end])
    header = {_METADATA: dict(sorted(header.pop(_METADATA).items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # so that arrays begin at a multiple of 8
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text, memoryview(data)[end:]


def read_tensors(source: Target) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a safetensors file whole: its arrays, which may be written to, and its metadata.

    Args:
        source: a path, or a file open for reading bytes.

    Raises:
        FileFormatError, MissingDataError, MissingExtraError: as `parse_tensors`, `read_bytes`.
    """
    name, data = read_bytes(source)
    return parse_tensors(data, name)


def parse_tensors(data: bytes, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the metadata in the bytes of a safetensors file.

    Nothing is trusted: the header must describe exactly the bytes that follow, and if Narae wrote
    the file, all of it must match its checksum.

    Args:
        data: the whole file.
        name: of the file, for messages.

    Raises:
        FileFormatError: if the file is damaged, truncated or of another kind.
        MissingExtraError: if safetensors is not installed.
    """
    library: Any = require("safetensors", "train", "reading weights")
    try:
        entries = library.deserialize(data)
    except library.SafetensorError as error:
        given = f"it cannot be read ({error})"
        _refuse(name, given, "a safetensors file is a header and exactly its bytes", cause=error)
    arrays = {key: _array_of(name, key, entry) for key, entry in entries}
    metadata = _metadata_of(data)
    if any("narae" in text for item in metadata.items() for text in item):
        _check(name, arrays, metadata)
    return arrays, metadata


def file_checksum(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """SHA-256 over texts, and over names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(metadata):
        digest.update(f"{name}\0{metadata[name]}\0".encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return f"sha256:{digest.hexdigest()}"


def read_bytes(source: Target) -> tuple[str, bytes]:
    """The name of a file, for messages, and all its bytes.

    Raises:
        FileFormatError: for a folder.
        MissingDataError: if there is no such file.
    """
    if not isinstance(source, str | os.PathLike):
        return getattr(source, "name", "the open file"), source.read()
    path = Path(source)
    try:
        return str(path), path.read_bytes()
    except FileNotFoundError as error:
        given = f"there is no file {path}"
        message = explain("load", given, "saved weights were expected there", "check the path")
        raise MissingDataError(message) from error
    except IsADirectoryError:
        _refuse(str(path), "it is a folder", "saved weights are a file", "name the file inside it")


def _array_of(name: str, key: str, entry: Mapping[str, Any]) -> Array:
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        given = f"{key} has the dtype {entry['dtype']}"
        _refuse(name, given, f"Narae knows {', '.join(_DTYPES)}", "convert it before saving")
    array = np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"])
    if not array.flags.writeable:
        array = array.copy()
    return array.astype(dtype.newbyteorder("="), copy=False)


def _metadata_of(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    return dict(header.get(_METADATA, {}))


def _check(name: str, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    texts = {key: text for key, text in metadata.items() if key != _CHECKSUM}
    found, expected = file_checksum(arrays, texts), metadata.get(_CHECKSUM)
    if found != expected:
        _refuse(name, f"its content has the checksum {found}", f"it was saved with {expected}")


def _refuse(
    name: str, given: str, rule: str, fix: str = _FETCH_AGAIN, cause: Exception | None = None
) -> NoReturn:
    raise FileFormatError(explain("load", f"{name}: {given}", rule, fix)) from cause
