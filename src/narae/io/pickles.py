"""Pickle files without their danger: only what is on a list of harmless names is built.

A pickle is a small program that may call anything; reading one from a stranger is running their
code. Here it may name numbers, texts, containers and NumPy arrays, and nothing else.
"""

import io
import os
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from narae.base.errors import FileFormatError, MissingDataError, explain

from .pickle_machine import (
    Inner,
    Named,
    Reader,
    RefusedError,
    Stated,
    checked_key,
    frozen,
    read_object,
    shown,
)

_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")


# ----------------------------------------------------------------------------------------- arrays
class _DType(Stated):
    """A NumPy dtype; its state may say the byte order, fields, and units of time, and is checked.

    NumPy's own would change dtypes that everybody uses, and believe any offset of a field.
    """

    def __init__(self, text: Any, align: Any = False, copy: Any = False) -> None:
        if type(text) is not str:
            raise RefusedError("a dtype that is no text")
        self._dtype = np.dtype(text)

    def set_state(self, state: Any) -> None:
        _, order, inner, names, fields, size, *_ = state
        if inner is not None:
            raise RefusedError("a dtype of arrays inside arrays")
        if names is not None:
            self._dtype = np.dtype(_fields(names, fields, size))
        elif self._dtype.kind in "mM" and len(state) > 8:
            self._dtype = np.dtype(f"{self._dtype.kind}8[{_unit(state[8])}]")
        if order in ("<", ">"):
            self._dtype = self._dtype.newbyteorder(order)

    def value(self) -> np.dtype:
        if self._dtype.hasobject:
            raise RefusedError("an array of Python objects")
        return self._dtype


def _fields(names: Any, fields: Any, size: Any) -> Any:
    """The fields of a structured dtype, in the form that NumPy checks."""
    formats = [_dtype_in(fields[name][0]) for name in names]
    offsets = [fields[name][1] for name in names]
    return {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size}


def _unit(about: Any) -> str:
    """The unit of times, such as "25s"."""
    name, count, *_ = about[1]
    text = name.decode("ascii") if type(name) is bytes else name
    return f"{int(count)}{text}"


def _dtype_in(given: Any) -> np.dtype:
    if type(given) is not _DType:
        raise RefusedError(f"an array of the dtype {type(given).__name__}")
    return given.value()


class _Array(Stated):
    """What NumPy's pickles begin an array with; its state follows."""

    def __init__(self, kind: Any, shape: Any, typecode: Any) -> None:
        if kind is not _NDARRAY:
            raise RefusedError(f"an array of the class {type(kind).__name__}")
        self._array: np.ndarray = np.empty(0, np.uint8)

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if type(data) is str:  # Python 2's bytes, read as latin-1
            data = data.encode("latin-1")
        found = _from_buffer(data, dtype, shape, "F" if fortran else "C")
        self._array = found.astype(found.dtype.newbyteorder("="), copy=False)

    def value(self) -> np.ndarray:
        return self._array


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """An array of its own with the numbers in some bytes; how protocol 5 says so as well."""
    kind = _dtype_in(dtype)
    if type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
        raise RefusedError("an array without a shape")
    if type(buffer) not in (bytes, bytearray):
        raise RefusedError(f"an array from a {type(buffer).__name__}")
    flat = np.frombuffer(buffer, kind)
    return flat.reshape(shape, order="F" if order == "F" else "C").copy(order="K")


def _scalar(dtype: Any, data: Any = b"") -> Any:
    return np.frombuffer(data, _dtype_in(dtype), count=1)[0]


# ------------------------------------------------------------------------------ texts, containers
def _text_bytes(text: Any, encoding: Any) -> bytes:
    """How Python 2's protocol writes bytes: as latin-1 text to encode."""
    if encoding not in ("latin1", "latin-1") or type(text) is not str:
        raise RefusedError(f"bytes in the encoding {shown(encoding)!r}")
    return text.encode("latin-1")


def _bytes(data: Any = b"", encoding: Any = None) -> bytes:
    """Bytes from bytes, from a list of numbers, or from latin-1 text; never from a size."""
    if encoding is not None:
        return _text_bytes(data, encoding)
    if type(data) not in (bytes, bytearray, list, tuple):
        raise RefusedError(f"bytes from a {type(data).__name__}")
    return bytes(data)


def _number(kind: Callable[..., Any]) -> Callable[..., Any]:
    def build(*parts: Any) -> Any:
        if any(type(part) not in (int, float, bool) for part in parts):
            raise RefusedError(f"a {kind.__name__} from what is no number")
        return kind(*parts)

    return build


def _slice(*ends: Any) -> slice:
    if any(type(end) not in (int, type(None)) for end in ends):
        raise RefusedError("a slice between what are no numbers")
    return slice(*ends)


def _items(kind: Callable[..., Any]) -> Callable[..., Any]:
    def build(items: Any = ()) -> Any:
        if type(items) not in (list, tuple, set, frozenset):
            raise RefusedError(f"a {kind.__name__} from a {type(items).__name__}")
        return kind(items)

    return build


def _pairs(kind: type) -> Callable[..., Any]:
    """A dict of any kind from pairs, or from another dict."""

    def build(pairs: Any = ()) -> Any:
        if type(pairs) not in (list, tuple, dict, OrderedDict):
            raise RefusedError(f"a {kind.__name__} from a {type(pairs).__name__}")
        found = kind()
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
            found[checked_key(key)] = value
        return found

    return build


def _deque(items: Any = (), maxlen: Any = None) -> deque:
    return deque(_items(list)(items), maxlen)


def _defaultdict(factory: Any = None, *_: Any) -> defaultdict:
    if factory is None:
        return defaultdict()
    for kind, named in _FACTORIES.items():
        if factory is named:
            return defaultdict(kind)
    raise RefusedError("a defaultdict of anything but numbers and containers")


_NDARRAY = Inner()  # the class itself, which builds nothing
_FACTORIES: dict[type, Named] = {
    int: Named(_number(int)),
    float: Named(_number(float)),
    list: Named(_items(list)),
    dict: Named(_pairs(dict)),
    set: Named(lambda items=(): set(map(checked_key, items))),
}
PLAIN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Named(_pairs(OrderedDict)),
    ("collections", "Counter"): Named(_pairs(Counter)),
    ("collections", "defaultdict"): Named(_defaultdict),
    ("collections", "deque"): Named(_deque),
    ("_codecs", "encode"): Named(_text_bytes),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Named(_DType),
}
for _module in ("builtins", "__builtin__"):
    PLAIN |= {(_module, _kind.__name__): _named for _kind, _named in _FACTORIES.items()}
    PLAIN[(_module, "bool")] = Named(_number(bool))
    PLAIN[(_module, "complex")] = Named(_number(complex))
    PLAIN[(_module, "slice")] = Named(_slice)
    PLAIN[(_module, "tuple")] = Named(_items(tuple))
    PLAIN[(_module, "frozenset")] = Named(frozen)
    PLAIN[(_module, "bytes")] = Named(_bytes)
    PLAIN[(_module, "bytearray")] = Named(lambda *given: bytearray(_bytes(*given)))
for _module in ("numpy.core", "numpy._core"):
    PLAIN[(f"{_module}.multiarray", "_reconstruct")] = Named(_Array)
    PLAIN[(f"{_module}.multiarray", "scalar")] = Named(_scalar)
    PLAIN[(f"{_module}.numeric", "_frombuffer")] = Named(_from_buffer)


# ------------------------------------------------------------------------------------------ files
def read_pickles(
    path: str | os.PathLike[str] | IO[bytes], encoding: str = "ASCII"
) -> Iterator[Any]:
    """Each object of a pickle file, until its end: what a loop of `pickle.dump` has written.

    Args:
        path: a file, or one open for reading bytes.
        encoding: of texts that Python 2 wrote, such as "latin1"; "bytes" leaves them bytes.

    Raises:
        FileFormatError: if it is damaged, or holds anything but numbers, texts, containers, arrays.
        MissingDataError: if there is no such file.

    >>> import pickle
    >>> file = io.BytesIO(pickle.dumps({"epoch": 1}) + pickle.dumps([2, 3]))
    >>> list(read_pickles(file))
    [{'epoch': 1}, [2, 3]]
    """
    name, data = _content(path)
    file = io.BytesIO(data)
    while file.tell() < len(data):
        yield read_object(Reader(file, PLAIN, encoding=encoding), name)


def is_pickle(data: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 or later does."""
    return data[:1] == b"\x80" and data[1:2] in _PROTOCOLS


def read_one_pickle(data: bytes, name: str) -> Any:
    """The only object of a pickle file.

    Raises:
        FileFormatError: as `read_pickles`, and if there are several.
    """
    file = io.BytesIO(data)
    found = read_object(Reader(file, PLAIN), name)
    if file.tell() < len(data):
        given, rule = f"{name}: it goes on after the first object", "load returns one object"
        raise FileFormatError(explain("load", given, rule, "narae.io.read_pickles(path)"))
    return found


def _content(path: str | os.PathLike[str] | IO[bytes]) -> tuple[str, bytes]:
    if not isinstance(path, str | os.PathLike):
        return getattr(path, "name", "the open file"), path.read()
    place = Path(path)
    if not place.is_file():
        given, rule = f"there is no file {place}", "a pickle file was expected there"
        raise MissingDataError(explain("load", given, rule, "check the path"))
    return str(place), place.read_bytes()
