"""The header of a safetensors file: names, dtypes, shapes and places, none of them trusted.

Source: the safetensors format, https://huggingface.co/docs/safetensors
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from narae.base.errors import DTypeError, explain

from .content import Array, Content, refuse

DTYPES: dict[str, np.dtype[Any]] = {
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
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
METADATA = "__metadata__"
LENGTH_BYTES = 8  # the file begins with the length of its JSON header
_MOST = 100_000_000  # bytes of a header, as the format says
_MOST_DIMENSIONS = 64  # of NumPy
_ENTRY = {"dtype", "shape", "data_offsets"}
_RULE = "a safetensors file is a header and exactly its bytes"
_FIX = "take an older copy of the file, or save it again"


class Entry(NamedTuple):
    """One tensor of a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int  # in the file
    end: int


def read_header(content: Content) -> tuple[dict[str, Entry], dict[str, str]]:
    """The tensors that a file says it has, and its texts.

    Raises:
        FileFormatError: unless the tensors fill the file exactly, and nothing else is said.
    """
    name = content.name
    length = int.from_bytes(content.piece(0, LENGTH_BYTES), "little")
    begin = LENGTH_BYTES + length
    if content.size < LENGTH_BYTES or begin > content.size or length > _MOST:
        given = f"it cannot be read: it has {content.size} bytes, its header {length}"
        refuse(name, given, _RULE, _FIX)
    header = _parsed(name, content.piece(LENGTH_BYTES, begin))
    texts = header.pop(METADATA, {})
    if type(texts) is not dict or any(type(text) is not str for text in texts.values()):
        refuse(name, "its metadata is no texts", _RULE, _FIX)
    entries = {key: _entry(name, key, said, begin) for key, said in header.items()}
    _check_filled(content, entries, begin)
    return entries, texts


def header_bytes(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> bytes:
    """The header of a file in which arrays follow each other in this order.

    Raises:
        DTypeError: for arrays of other things than numbers.
    """
    header: dict[str, Any] = {METADATA: dict(sorted(texts.items()))}
    begin = 0
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in _NAMES or name == METADATA:
            given, rule = f"{name} is {array.dtype}", f"files hold {', '.join(DTYPES)} by any name"
            raise DTypeError(explain("save", given, f"{rule} but {METADATA}"))
        place = [begin, begin + array.nbytes]
        kind = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        begin = place[1]
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # so that arrays begin at a multiple of 8
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _parsed(name: str, text: bytes) -> dict[str, Any]:
    try:
        if not text.startswith(b"{"):
            raise ValueError("it does not begin with a brace")
        return json.loads(text.decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        given = f"it cannot be read: its header is damaged ({type(error).__name__}: {error})"
        refuse(name, given, _RULE, _FIX, cause=error)


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:120]!r} stands there twice")
        found[key] = value
    return found


def _entry(name: str, key: str, said: Any, start: int) -> Entry:
    shown = key[:120]
    if type(said) is not dict or set(said) != _ENTRY:
        refuse(name, f"{shown!r} has no dtype, shape and place", _RULE, _FIX)
    dtype = DTYPES.get(said["dtype"]) if type(said["dtype"]) is str else None
    if dtype is None:
        given = f"{shown!r} has the dtype {str(said['dtype'])[:40]}"
        rule = f"Narae knows {', '.join(DTYPES)}"
        if str(said["dtype"]).startswith("F8"):
            rule = "Narae has no floats of 8 bits"
        refuse(name, given, rule, "convert it before saving, such as to bfloat16")
    shape, place = said["shape"], said["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(place)) or len(shape) > _MOST_DIMENSIONS:
        refuse(name, f"{shown!r} has sizes that are none", _RULE, _FIX)
    if len(place) != 2 or place[1] - place[0] != math.prod(shape) * dtype.itemsize:
        given = f"{shown!r} has the shape {shape[:8]} and the place {place[:8]}"
        refuse(name, given, "the place is as long as the tensor", _FIX)
    return Entry(dtype, tuple(shape), start + place[0], start + place[1])


def _are_sizes(numbers: Any) -> bool:
    return type(numbers) is list and all(type(n) is int and 0 <= n < 1 << 63 for n in numbers)


def _check_filled(content: Content, entries: dict[str, Entry], begin: int) -> None:
    """Tensors follow each other without a gap, from the header to the end of the file."""
    for key, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != begin:
            what = "overlaps the one before" if entry.begin < begin else "leaves a gap before it"
            refuse(content.name, f"{key[:120]!r} {what}", _RULE, _FIX)
        begin = entry.end
    if begin != content.size:
        given = f"its tensors end at {begin}, and the file at {content.size}"
        refuse(content.name, given, _RULE, _FIX)
