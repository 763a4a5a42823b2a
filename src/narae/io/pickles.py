"""Pickle files without their danger: only what is on a list of harmless names is built.

A pickle is a small program that may call anything; reading one from a stranger is running their
code. Here it may name numbers, texts, containers and NumPy arrays, and nothing else.
"""

import codecs
import io
import os
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from narae.base.errors import FileFormatError, MissingDataError, explain


class RefusedError(pickle.UnpicklingError):
    """A pickle asks for something that is not on the list."""


_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
Allowed = Mapping[tuple[str, str], Any]


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if dtype.hasobject:
        raise RefusedError("a NumPy scalar of Python objects")
    return np.frombuffer(data, dtype, count=1)[0]


class _Array(np.ndarray):
    """Refuses arrays of Python objects while their state is set."""

    def __setstate__(self, state: Any) -> None:
        if state[2].hasobject:
            raise RefusedError("an array of Python objects")
        super().__setstate__(state)


def _new_array(kind: Any, shape: Any, typecode: Any) -> Any:
    """What NumPy's pickles begin an array with; its state follows."""
    if kind is not np.ndarray:
        raise RefusedError(f"an array of the class {kind!r}")
    return np.empty(0, np.uint8).view(_Array)


def _text_bytes(text: str, encoding: str) -> bytes:
    """How Python 2's protocol writes bytes: as latin-1 text to encode."""
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"bytes in the encoding {encoding!r}")
    return codecs.encode(text, "latin1")


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: str, dims: Any = None) -> Any:
    """How NumPy's protocol 5 brings back an array without a copy."""
    if dtype.hasobject:
        raise RefusedError("an array of Python objects")
    flat = np.frombuffer(buffer, dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C").copy(order="K")


PLAIN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("collections", "defaultdict"): defaultdict,
    ("collections", "deque"): deque,
    ("_codecs", "encode"): _text_bytes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
for _module in ("builtins", "__builtin__"):
    for _kind in (
        set,
        frozenset,
        complex,
        bytes,
        bytearray,
        slice,
        int,
        float,
        list,
        dict,
        tuple,
        bool,
    ):
        PLAIN[(_module, _kind.__name__)] = _kind
for _module in ("numpy.core", "numpy._core"):
    PLAIN[(f"{_module}.multiarray", "_reconstruct")] = _new_array
    PLAIN[(f"{_module}.multiarray", "scalar")] = _scalar
    PLAIN[(f"{_module}.numeric", "_frombuffer")] = _from_buffer


class Reader(pickle.Unpickler):
    """An unpickler that builds what is allowed, and refuses the rest by name.

    Args:
        file: where to read.
        allowed: what each (module, name) stands for.
        storage: what a persistent id stands for, in files that have some.
        encoding: of texts that Python 2 wrote; "bytes" leaves them bytes.
    """

    def __init__(
        self,
        file: IO[bytes],
        allowed: Allowed = PLAIN,
        storage: Callable[[Any], Any] | None = None,
        encoding: str = "ASCII",
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._allowed, self._storage = allowed, storage

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for."""
        try:
            return self._allowed[(module, name)]
        except KeyError:
            raise RefusedError(f"the file asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """What an id of something outside the pickle stands for."""
        if self._storage is None:
            raise RefusedError("the file refers to something outside itself")
        return self._storage(pid)


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

    >>> file = io.BytesIO(pickle.dumps({"epoch": 1}) + pickle.dumps([2, 3]))
    >>> list(read_pickles(file))
    [{'epoch': 1}, [2, 3]]
    """
    name, data = _content(path)
    file = io.BytesIO(data)
    while file.tell() < len(data):
        yield plain_arrays(read_object(Reader(file, encoding=encoding), name))


def is_pickle(data: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 or later does."""
    return data[:1] == b"\x80" and data[1:2] in _PROTOCOLS


def read_one_pickle(data: bytes, name: str) -> Any:
    """The only object of a pickle file.

    Raises:
        FileFormatError: as `read_pickles`, and if there are several.
    """
    file = io.BytesIO(data)
    found = plain_arrays(read_object(Reader(file), name))
    if file.tell() < len(data):
        given, rule = f"{name}: it goes on after the first object", "load returns one object"
        raise FileFormatError(explain("load", given, rule, "narae.io.read_pickles(path)"))
    return found


def read_object(reader: pickle.Unpickler, name: str) -> Any:
    """The next object, with errors that name the file.

    Raises:
        FileFormatError: as `read_pickles`.
    """
    try:
        return reader.load()
    except RefusedError as error:
        rule = "only numbers, texts, containers, arrays and tensors are read; never code"
        fix = "if you trust the file, open it where it was written, and save a dict of arrays, "
        fix += "or of tensors such as model.state_dict()"
        raise FileFormatError(explain("load", f"{name}: {error}", rule, fix)) from error
    except Exception as error:  # a damaged pickle may fail in any way
        given = f"{name}: it cannot be read ({type(error).__name__}: {error})"
        rule = "a pickle file is read to its end"
        raise FileFormatError(explain("load", given, rule, "fetch it again")) from error


def plain_arrays(value: Any) -> Any:
    """The same structure with ordinary arrays in place of those that were read."""
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if type(value) in (list, tuple, set):
        return type(value)(map(plain_arrays, value))
    if type(value) in (dict, OrderedDict):
        return type(value)((key, plain_arrays(each)) for key, each in value.items())
    return value


def _content(path: str | os.PathLike[str] | IO[bytes]) -> tuple[str, bytes]:
    if not isinstance(path, str | os.PathLike):
        return getattr(path, "name", "the open file"), path.read()
    place = Path(path)
    if not place.is_file():
        given, rule = f"there is no file {place}", "a pickle file was expected there"
        raise MissingDataError(explain("load", given, rule, "check the path"))
    return str(place), place.read_bytes()
