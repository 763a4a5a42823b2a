"""The bytes of a file: mapped into memory where that can be done, read where not.

A mapped file costs no memory until something in it is used, and little then, since the system may
drop what was only read. What is written to stays in this process: the file is never changed.
"""

import contextlib
import io
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt

from narae.base.errors import FileFormatError, MissingDataError, explain

Array = npt.NDArray[Any]
Target = str | os.PathLike[str] | IO[bytes]


@dataclass(frozen=True)
class Content:
    """What is in a file.

    Attributes:
        name: of the file, for messages.
        file: open for reading, from its beginning.
        size: in bytes.
        map: the file in memory, if it is mapped.
    """

    name: str
    file: IO[bytes]
    size: int
    map: mmap.mmap | None = None

    def piece(self, begin: int, end: int) -> bytes:
        """A copy of some bytes, as far as they are there."""
        if self.map is not None:
            return self.map[begin:end]
        self.file.seek(begin)
        return self.file.read(max(end - begin, 0))

    def starts_with(self, beginning: bytes) -> bool:
        """Whether it begins with these bytes."""
        return self.piece(0, len(beginning)) == beginning

    def raw(self, begin: int, size: int) -> Array:
        """Bytes that may be written to; without a copy if the file is mapped."""
        if begin + size > self.size:
            refuse(self.name, f"it ends {begin + size - self.size} bytes too early", "it is whole")
        if self.map is not None and size:
            return np.frombuffer(self.map, np.uint8, size, begin)
        found = np.empty(size, np.uint8)
        self.file.seek(begin)
        if self.file.readinto(found.data) != size:  # type: ignore[attr-defined]
            refuse(self.name, "it became shorter while it was read", "it is whole")
        return found

    def array(self, dtype: np.dtype[Any], begin: int, count: int) -> Array:
        """Numbers in it, which may be written to; without a copy if the file is mapped.

        Args:
            dtype: of the numbers; of a foreign byte order, they are copied into the machine's.
            begin: where they are, in bytes.
            count: how many.
        """
        return self.numbers(self.raw(begin, count * dtype.itemsize), dtype)

    def numbers(self, raw: Array, dtype: np.dtype[Any]) -> Array:
        """Bytes of the file as numbers."""
        if dtype == np.bool_ and (raw > 1).any():
            refuse(self.name, "a truth value is neither 0 nor 1", "files hold these alone")
        found = raw.view(dtype)
        if not found.flags.aligned:
            found = found.copy()
        return found.astype(dtype.newbyteorder("="), copy=False)


@contextlib.contextmanager
def opened(source: Target, mapped: bool | None = None) -> Iterator[Content]:
    """The content of a file; arrays of it live on when the block has ended.

    Args:
        source: a path, or a file open for reading bytes, which is read to its end.
        mapped: map it into memory, or read it; None maps it, except on Windows, where a mapped
            file cannot be replaced.

    Raises:
        FileFormatError: for a folder.
        MissingDataError: if there is no such file.
    """
    if not isinstance(source, str | os.PathLike):
        data = source.read()
        name = str(getattr(source, "name", "the open file"))
        yield Content(name, io.BytesIO(data), len(data))
        return
    with _open(Path(source)) as file:
        size = os.fstat(file.fileno()).st_size
        if not size or not (os.name == "posix" if mapped is None else mapped):
            yield Content(str(source), file, size)
            return
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        yield Content(str(source), file, size, whole)
        if hasattr(mmap, "MADV_DONTNEED"):  # what checksums went through, nothing has changed yet
            whole.madvise(mmap.MADV_DONTNEED)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        given = f"there is no file {path}"
        message = explain("load", given, "saved weights were expected there", "check the path")
        raise MissingDataError(message) from error
    except IsADirectoryError as error:
        given, rule = f"{path}: it is a folder", "saved weights are a file"
        raise FileFormatError(explain("load", given, rule, "name the file inside it")) from error


def refuse(
    name: str, given: str, rule: str, fix: str = "fetch it again", cause: Exception | None = None
) -> NoReturn:
    """Raise the error for a file that is not as it should be.

    Raises:
        FileFormatError: always.
    """
    raise FileFormatError(explain("load", f"{name}: {given}", rule, fix)) from cause
