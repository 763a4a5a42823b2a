"""Where a data set's files are found: a folder you name, the environment, the cache, a download.

Every file is checked against a published checksum before its path is handed out, so a damaged or
foreign file is refused by name rather than trained on.
"""

import functools
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from narae.base.errors import DataError, MissingDataError, explain, require
from narae.base.folders import cache_dir
from narae.io.download_bar import download_bar

_TIMEOUT_SECONDS = 20.0
_READ_BLOCK = 1 << 20
_DOWNLOAD_BLOCK = 1 << 16


@dataclass(frozen=True)
class Download:
    """One published file.

    Attributes:
        name: the file's name on its mirrors.
        checksum: of that file, as "sha256:..." or "md5:...".
        unpacked: checksum of the same file without its .gz, or "" where none was published.
        unpacked_size: bytes of the file without its .gz, or None where it has no packed form.
    """

    name: str
    checksum: str
    unpacked: str = ""
    unpacked_size: int | None = None


@dataclass(frozen=True)
class FileSet:
    """The files of one data set and where they may lie.

    Attributes:
        name: what people call the set.
        folders: places below a root where the files may be; the first is used in the cache.
        files: a short key for each file.
        mirrors: addresses to put before a file's name, tried in order.
        others: sets whose files have the same names, so that theirs are passed over.
    """

    name: str
    folders: tuple[str, ...]
    files: Mapping[str, Download]
    mirrors: tuple[str, ...]
    others: "tuple[FileSet, ...]" = field(default=(), compare=False)


@dataclass
class _Search:
    """What one search has looked at, for the message if it fails."""

    file_set: FileSet
    places: list[str] = field(default_factory=list)


def find_files(
    file_set: FileSet,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Find every file of a data set, downloading what is nowhere to be found.

    Looked at in this order: `root`, the folder in the environment variable `NARAE_DATA`, the
    cache, then the mirrors. Below a folder the files may lie in one of `file_set.folders` or
    directly in it, as published (.gz) or unpacked.

    Args:
        file_set: what to find.
        root: a folder to look in first.
        download: whether the network may be used.
        progress: show a bar while downloading; by default on a terminal only.

    Returns:
        The path of each file, by the keys of `file_set.files`.

    Raises:
        DataError: if a file that was found has a wrong checksum.
        MissingDataError: if a file is nowhere; the message lists every place.
        MissingExtraError: if a download is needed and pooch is not installed.
    """
    paths = {}
    for key, wanted in file_set.files.items():
        search = _Search(file_set)
        found = _find_on_disk(search, wanted, root)
        if found is None and download:
            found = _download(search, wanted, progress)
        if found is None:
            _report_missing(search, wanted, download)
        paths[key] = found
    return paths


def _find_on_disk(
    search: _Search, wanted: Download, root: str | os.PathLike[str] | None
) -> Path | None:
    for source, folder in data_roots(root):
        absent = "" if folder.is_dir() else " (no such folder)"
        search.places.append(f"{source} {folder}{absent}")
        for candidate, own_folder in _candidates(search.file_set, wanted, folder):
            if candidate.is_file() and _accept(search.file_set, wanted, candidate, own_folder):
                return candidate
    return None


def data_roots(root: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    """The folders data is looked for in, in order, each with a word for what it is."""
    if root is not None:
        yield "given folder", Path(root).expanduser()
    named = os.environ.get("NARAE_DATA")
    if named:
        yield "NARAE_DATA", Path(named).expanduser()
    yield "cache", data_cache()


def data_cache() -> Path:
    """Where downloaded data is kept."""
    return cache_dir() / "data"


def _candidates(file_set: FileSet, wanted: Download, root: Path) -> Iterator[tuple[Path, bool]]:
    """Every path the file may have below a root, and whether that is the set's own folder."""
    for folder in (*file_set.folders, "."):
        own_folder = folder != "."
        yield root / folder / wanted.name, own_folder
        if wanted.unpacked_size is not None:
            yield root / folder / wanted.name.removesuffix(".gz"), own_folder


def _accept(file_set: FileSet, wanted: Download, path: Path, own_folder: bool) -> bool:
    """Whether a file is the wanted one; False passes over it, a damaged one is an error."""
    unpacked = path.name != wanted.name
    expected = wanted.unpacked if unpacked else wanted.checksum
    if expected:
        found = file_checksum(path, expected.partition(":")[0])
        if found == expected:
            return True
        if not own_folder and _is_of_another_set(file_set, path):
            return False
        _refuse(file_set, path, f"its checksum is {found}", f"the published one is {expected}")
    # Without a checksum only the folder's name tells the sets apart: their sizes are the same.
    if not own_folder:
        return False
    if path.stat().st_size != wanted.unpacked_size:
        given = f"it has {path.stat().st_size:,} bytes"
        _refuse(file_set, path, given, f"unpacked it has {wanted.unpacked_size:,}")
    return True


def _is_of_another_set(file_set: FileSet, path: Path) -> bool:
    for other in file_set.others:
        for download in other.files.values():
            for checksum in (download.checksum, download.unpacked):
                if checksum and file_checksum(path, checksum.partition(":")[0]) == checksum:
                    return True
    return False


def _refuse(file_set: FileSet, path: Path, given: str, rule: str) -> NoReturn:
    fix = "delete the file and fetch it again, or point the data folder elsewhere"
    raise DataError(explain(file_set.name, f"{path}: {given}", rule, fix))


def file_checksum(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """A file's checksum as "algorithm:hexadecimal".

    Example:
        >>> file_checksum(os.devnull, "md5")
        'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(functools.partial(file.read, _READ_BLOCK), b""):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def _download(search: _Search, wanted: Download, progress: bool | None) -> Path | None:
    """Try each mirror; pooch checks the checksum beside the cache and renames the file into it."""
    pooch = require("pooch", "data", f"downloading {search.file_set.name}")
    show = sys.stderr.isatty() if progress is None else progress
    folder = data_cache() / search.file_set.folders[0]
    for mirror in search.file_set.mirrors:
        url = mirror + wanted.name
        with download_bar(wanted.name, show) as bar:
            downloader = pooch.HTTPDownloader(
                progressbar=bar, chunk_size=_DOWNLOAD_BLOCK, timeout=_TIMEOUT_SECONDS
            )
            try:
                path = pooch.retrieve(
                    url, wanted.checksum, wanted.name, folder, downloader=downloader
                )
            except (OSError, ValueError) as error:  # the network or the disk; a wrong checksum
                search.places.append(f"{url} ({_first_line(error)})")
            else:
                return Path(path)
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:300]


def _report_missing(search: _Search, wanted: Download, download: bool) -> NoReturn:
    file_set = search.file_set
    places = "".join(f"\n  - {place}" for place in search.places)
    offline = (
        f"put the file at {data_cache() / file_set.folders[0] / wanted.name}, or in any folder "
        "that you name with --data-dir or the environment variable NARAE_DATA; "
        f"it can be fetched on another machine from {file_set.mirrors[0]}{wanted.name}"
    )
    if not download:
        offline = "allow downloading, or " + offline
    given = f"{wanted.name} was not found. Looked at:{places}\n"
    count = len(file_set.files)
    rule = f"{file_set.name} consists of {count} file{'s' * (count != 1)}"
    raise MissingDataError(explain(file_set.name, given, rule, offline))
