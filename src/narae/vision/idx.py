"""The idx file format of MNIST and its relatives: a short header, then big-endian numbers.

Layout: two zero bytes, one byte for the dtype, one for the number of dimensions, then each size
as a big-endian uint32, then the values in row-major order.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section
"File formats for the MNIST database".
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain

Array = npt.NDArray[Any]

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_MAX_RATIO = 1032  # deflate cannot pack tighter than this
_MAX_DIMS = 64  # NumPy's own limit
_CHUNK = 1 << 20
_FETCH_AGAIN = "delete the file and fetch it again"


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Read one idx file, plain or gzip-compressed, into an array in the machine's byte order.

    Nothing is trusted: the header is checked against the size the file really has before any
    memory is asked for, and gzip's own checksum is verified.

    Args:
        path: the file; compression is recognised by content, not by name.

    Returns:
        A writable array with the header's shape and dtype.

    Raises:
        FileFormatError: if the file is not exactly one whole idx array.
        MissingDataError: if there is no such file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
        >>> read_idx(file)
        array([5, 0, 4], dtype=uint8)
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            return _read_open(file, path)
    except FileNotFoundError as error:
        message = explain("read_idx", f"there is no file {path}", "an idx file was expected there")
        raise MissingDataError(message) from error
    except IsADirectoryError:
        _refuse(path, "it is a folder", "an idx file was expected", "name the file inside it")
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        given = f"the gzip data is damaged ({error})"
        _refuse(path, given, "a .gz file must unpack whole and match its checksum", cause=error)


def read_idx_pair(
    images: str | os.PathLike[str], labels: str | os.PathLike[str], num_classes: int = 10
) -> tuple[Array, Array]:
    """Read an image file and its label file and check that they belong together.

    Args:
        images: idx file of shape (items, height, width), uint8.
        labels: idx file of shape (items,), uint8.
        num_classes: labels must lie in 0 to num_classes - 1.

    Returns:
        Images (items, height, width) and labels (items,), both uint8.

    Raises:
        DataError: if counts, dimensions, dtypes or labels do not fit.
        FileFormatError: if either file is damaged.
        MissingDataError: if either file is missing.
    """
    pixels, targets = read_idx(images), read_idx(labels)
    _check_form(pixels, images, "an image file is (items, height, width) of uint8", dims=3)
    _check_form(targets, labels, "a label file is (items,) of uint8", dims=1)
    if len(pixels) != len(targets):
        given = f"{images} has {len(pixels)} images, {labels} has {len(targets)} labels"
        fix = "take both files from the same set"
        raise DataError(explain("read_idx_pair", given, "each image has one label", fix))
    if len(targets) and targets.max() >= num_classes:
        given = f"{labels} holds the label {targets.max()}"
        rule = f"labels lie in 0 to {num_classes - 1}"
        raise DataError(explain("read_idx_pair", given, rule, "check which set the file is from"))
    return pixels, targets


def _check_form(array: Array, path: str | os.PathLike[str], rule: str, dims: int) -> None:
    if array.ndim != dims or array.dtype != np.uint8:
        given = f"{path} holds {array.shape} of {array.dtype}"
        fix = "check that image and label files are not swapped"
        raise DataError(explain("read_idx_pair", given, rule, fix))


def _read_open(file: IO[bytes], path: Path) -> Array:
    size = os.fstat(file.fileno()).st_size
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    if not packed:
        return _read_stream(file, path, size)
    with gzip.GzipFile(fileobj=file) as stream:
        return _read_stream(stream, path, size * _GZIP_MAX_RATIO)


def _read_stream(stream: Any, path: Path, most_bytes: int) -> Array:
    dtype, shape = _read_header(stream, path)
    promised = math.prod(shape) * dtype.itemsize
    form = f"{shape} of {dtype.name} = {promised:,} bytes"
    if promised > most_bytes or math.prod(max(size, 1) for size in shape) > 2**62:
        given = f"the header says {form}, more than the file can hold"
        _refuse(path, given, "a header must describe the file's own data")
    payload = _read_at_most(stream, promised + 1)
    if len(payload) != promised:
        count = f"{len(payload):,} bytes follow" if len(payload) < promised else "more bytes follow"
        rule = "an idx file holds exactly the values its header names"
        _refuse(path, f"the header says {form}, but {count}", rule)
    array = np.frombuffer(payload, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: Any, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = _read_at_most(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        codes = ", ".join(f"{code:02x}" for code in DTYPES)
        given = f"it begins with the bytes {magic.hex(' ') or '(none: the file is empty)'}"
        rule = f"an idx file begins with 00 00, a dtype code ({codes}) and its number of dimensions"
        _refuse(path, given, rule, "check that this is an idx file, plain or .gz")
    dims = magic[3]
    if not 1 <= dims <= _MAX_DIMS:
        _refuse(path, f"the header says {dims} dimensions", f"1 to {_MAX_DIMS} are possible")
    sizes = _read_at_most(stream, 4 * dims)
    if len(sizes) < 4 * dims:
        given = f"the file ends inside its header of {4 + 4 * dims} bytes"
        _refuse(path, given, "every dimension needs its size")
    return DTYPES[magic[2]], struct.unpack(f">{dims}I", sizes)


def _read_at_most(stream: Any, limit: int) -> bytearray:
    """Read up to `limit` bytes; memory grows with what arrives, not with what was promised."""
    data = bytearray()
    while len(data) < limit:
        chunk = stream.read(min(_CHUNK, limit - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def _refuse(
    path: Path, given: str, rule: str, fix: str = _FETCH_AGAIN, cause: Exception | None = None
) -> NoReturn:
    raise FileFormatError(explain("read_idx", f"{path}: {given}", rule, fix)) from cause
