"""Pictures that fit into a page."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ShapeError, explain
from narae.train.figures import is_picture

Array = npt.NDArray[Any]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_LARGEST_SIDE = 160


def data_uri(picture: Array, largest: int = _LARGEST_SIDE) -> str:
    """A picture as an address that holds its PNG; from its darkest to its brightest number.

    Args:
        picture: (height, width), or (channels, height, width) with 1 or 3 channels.
        largest: pixels of the longer side; a larger picture is thinned out.

    Raises:
        ShapeError: for another shape.

    >>> data_uri(np.zeros((2, 3)))[:22]
    'data:image/png;base64,'
    """
    file = png(shades(picture, largest))
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def shades(picture: Array, largest: int = _LARGEST_SIDE) -> npt.NDArray[np.uint8]:
    """The bytes of a picture, (height, width) or (height, width, 3), not larger than shown."""
    if not is_picture(picture):
        rule = "a picture is (height, width) or (channels, height, width) with 1 or 3 channels"
        raise ShapeError(explain("report", f"an input is {np.shape(picture)}", rule))
    image = np.nan_to_num(np.asarray(picture, np.float64))
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    step = -(-max(image.shape[:2]) // largest)
    image = image[::step, ::step]
    low, high = image.min(), image.max()
    spread = (image - low) / (high - low) if high > low else np.zeros(image.shape)
    return np.round(255 * spread).astype(np.uint8)


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of grey (height, width) or coloured (height, width, 3) bytes.

    Source: Portable Network Graphics (PNG) Specification, W3C: a signature, then chunks of length,
    kind, data and CRC; each line of the data begins with the number of its filter, 0.
    """
    height, width = image.shape[:2]
    lines = np.zeros((height, 1 + image[0].size), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    colour = _RGB if image.ndim == 3 else _GREY
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
