"""Folders and files on the disk, or inside a .zip file, looked at in the same way."""

import os
import threading
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from narae.base.errors import FileFormatError, MissingDataError, explain

Names = list[str]


class Place(Protocol):
    """A folder or a file."""

    def is_folder(self) -> bool:
        """Whether it is there, and a folder."""
        ...

    def folders(self) -> Names:
        """Names of the folders in it."""
        ...

    def files_below(self, name: str) -> Iterator[str]:
        """Paths of all files below one of its folders: folder by folder, each in order."""
        ...

    def open(self) -> IO[bytes]:
        """Read it, if it is a file."""
        ...


def place_of(path: str | os.PathLike[str]) -> Place:
    """A place on the disk, or behind a part of the path that is a .zip file."""
    whole = Path(path)
    if whole.exists():
        is_zip = whole.is_file() and whole.suffix.lower() == ".zip"
        return _Zipped(whole, "") if is_zip else _OnDisk(whole)
    for archive in whole.parents:
        if archive.suffix.lower() == ".zip" and archive.is_file():
            return _Zipped(archive, whole.relative_to(archive).as_posix())
    return _OnDisk(whole)


class _OnDisk:
    def __init__(self, path: Path) -> None:
        self.path = path

    def is_folder(self) -> bool:
        return self.path.is_dir()

    def folders(self) -> Names:
        return [entry.name for entry in os.scandir(self.path) if entry.is_dir()]

    def files_below(self, name: str) -> Iterator[str]:
        for folder, _, names in sorted(os.walk(self.path / name, followlinks=True)):
            yield from (os.path.join(folder, name) for name in sorted(names))

    def open(self) -> IO[bytes]:
        return open(self.path, "rb")


class _Zipped:
    """A member of a .zip file; paths are those of the archive and the member, joined."""

    def __init__(self, archive: Path, member: str) -> None:
        self.archive, self.member = archive, member

    def _parts(self) -> Iterator[tuple[str, ...]]:
        """The parts of each file's name below this folder."""
        inside = PurePosixPath(self.member).parts
        for parts in _file_names(self.archive):
            if parts[: len(inside)] == inside and len(parts) > len(inside):
                yield parts[len(inside) :]

    def is_folder(self) -> bool:
        return any(True for _ in self._parts())

    def folders(self) -> Names:
        return sorted({parts[0] for parts in self._parts() if len(parts) > 1})

    def files_below(self, name: str) -> Iterator[str]:
        below = [parts for parts in self._parts() if parts[0] == name and len(parts) > 1]
        for parts in sorted(below, key=lambda parts: ("/".join(parts[:-1]), parts[-1])):
            yield os.path.join(self.archive, *PurePosixPath(self.member).parts, *parts)

    def open(self) -> IO[bytes]:
        try:
            return _archive(self.archive, os.getpid(), threading.get_ident()).open(self.member)
        except KeyError as error:
            given = f"{self.archive} holds no {self.member}"
            raise MissingDataError(explain("zip", given, "a file was expected there")) from error


# A reader of its own for each process and thread: they share no place in the file.
@lru_cache(maxsize=64)
def _archive(path: Path, process: int, thread: int) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        given = f"{path} is damaged ({error})"
        raise FileFormatError(explain("zip", given, "a .zip file was expected")) from error


@lru_cache(maxsize=4)
def _file_names(path: Path) -> list[tuple[str, ...]]:
    names = _archive(path, os.getpid(), threading.get_ident()).namelist()
    return [PurePosixPath(name).parts for name in names if not name.endswith("/")]


def train_and_test_folders(root: Path | None) -> Path | None:
    """Where the folders `train` and `test` are: in a folder, or in one that a .zip file holds."""
    if root is None:
        return None
    inside = place_of(root).folders() if root.suffix == ".zip" else []
    for folder in (root, *(root / name for name in inside)):
        if all(place_of(folder / part).is_folder() for part in ("train", "test")):
            return folder
    return None
