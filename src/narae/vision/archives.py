"""Files out of published archives: only those that are wanted, each as a whole or not at all."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from narae.base.errors import FileFormatError, explain
from narae.io import atomic_write
from narae.io.fetch import data_roots

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, KeyError)


def folders_below(root: str | os.PathLike[str] | None, names: Iterable[str]) -> Iterator[Path]:
    """Every folder of the names below each root of data; a root that was given counts too."""
    for source, folder in data_roots(root):
        places = [folder / name for name in names]
        if source == "given folder":
            places.append(folder)
        yield from (place for place in places if place.is_dir())


def unpack(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Copy members of a .zip or .tar.gz file into a folder.

    Nothing else in the archive is looked at, so that no path in it can lead elsewhere.

    Args:
        archive: the file.
        members: names in the archive, and what the files shall be called.
        folder: made if it is not there.

    Raises:
        FileFormatError: if the archive is damaged or lacks a member.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(archive) as open_member:
        for member, name in members.items():
            with atomic_write(folder / name) as file:
                try:
                    with open_member(member) as source:
                        shutil.copyfileobj(source, file)
                except _DAMAGED as error:
                    given = f"{archive}: {member} cannot be read ({error})"
                    fix = "delete the archive and fetch it again"
                    message = explain("unpack", given, "a published archive holds it", fix)
                    raise FileFormatError(message) from error


@contextmanager
def _opened(archive: Path) -> Iterator[Any]:
    """A function that opens a member of an archive by its name."""
    is_zip = archive.suffix == ".zip"
    try:
        opened: Any = (zipfile.ZipFile if is_zip else tarfile.TarFile.open)(archive)
    except _DAMAGED as error:
        given = f"{archive} is no archive ({error})"
        rule, fix = "a .zip or .tar.gz is wanted", "delete the file and fetch it again"
        raise FileFormatError(explain("unpack", given, rule, fix)) from error
    with opened:
        yield opened.open if is_zip else lambda name: _tar_member(opened, name)


def _tar_member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file
