"""Named arrays in one safetensors file, with a checksum over all that it says.

Source: the safetensors format, https://huggingface.co/docs/safetensors
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Mapping
from typing import IO

import numpy as np

from .atomic import atomic_write
from .content import Array, Content, Target, opened, refuse
from .tensor_header import header_bytes, read_header

_FORMAT, _OURS, _CHECKSUM = "format", "narae", "checksum"


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
        DTypeError: for arrays of other things than numbers.
        MissingDataError: if the folder does not exist.
    """
    dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    texts = {**(metadata or {}), _FORMAT: _OURS}
    checksum = file_checksum(dense, texts)
    ordered = dict(sorted(dense.items(), key=_place_in_file))
    header = header_bytes(ordered, {**texts, _CHECKSUM: checksum})
    with atomic_write(target) if isinstance(target, str | os.PathLike) else _as_is(target) as file:
        file.write(header)
        for array in ordered.values():
            numbers = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1)
            file.write(numbers.view(np.uint8).data)
    return checksum


def _place_in_file(item: tuple[str, Array]) -> tuple[int, str]:
    """Large numbers first, so that all of them are aligned; those of one size by their names."""
    return -item[1].dtype.itemsize, item[0]


def _as_is(file: IO[bytes]) -> contextlib.nullcontext[IO[bytes]]:
    return contextlib.nullcontext(file)


def read_tensors(
    source: Target, mapped: bool | None = None
) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a safetensors file: its arrays, which may be written to, and its metadata.

    Args:
        source: a path, or a file open for reading bytes.
        mapped: as for `opened`.

    Raises:
        FileFormatError, MissingDataError: as `tensors_in`, `opened`.
    """
    with opened(source, mapped) as content:
        return tensors_in(content)


def tensors_in(content: Content) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Nothing is trusted: the header must describe exactly the bytes that follow, and if Narae wrote
    the file, all of it must match its checksum.

    Raises:
        FileFormatError: if the file is damaged, truncated or of another kind.
    """
    entries, metadata = read_header(content)
    arrays = {
        key: content.array(entry.dtype, entry.begin, math.prod(entry.shape)).reshape(entry.shape)
        for key, entry in entries.items()
    }
    if any("narae" in text for item in metadata.items() for text in item):
        _check(content.name, arrays, metadata)
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


def _check(name: str, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    texts = {key: text for key, text in metadata.items() if key != _CHECKSUM}
    found, expected = file_checksum(arrays, texts), metadata.get(_CHECKSUM)
    if found != expected:
        refuse(name, f"its content has the checksum {found}", f"it was saved with {expected}")
