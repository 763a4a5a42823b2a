"""Machine code on the disk, so that a program starts at once the second time.

It is code that will run: the folder and each file must belong to the user (or the administrator)
and be writable by nobody else, and a file's SHA-256 must be right. Whatever is wrong with a file or
the folder, the answer is "not here", and the kernels are compiled; a folder that cannot be used is
reported once.

One file holds one object image (or what LLVM says of this computer, `code_facts`): a mark with the
format's number, 32 bytes SHA-256 of key and image, the image. The file's name is the key. Files
appear by renaming, whole or not at all.
"""

import contextlib
import hashlib
import os
import secrets
import stat
import time
from pathlib import Path

from narae.base.folders import cache_dir
from narae.base.notices import warn_user

_MARK = b"narae machine code 1\n"
_HEADER = len(_MARK) + 32
_LIMIT = 256 << 20  # bytes that the folder may hold
_CHECK_AFTER = 32 << 20  # bytes written until its size is looked at again
_DAY, _HOUR = 86_400.0, 3_600.0
_IS_POSIX = os.name == "posix"

_reported: set[str] = set()


def cache_folder() -> Path:
    """Where machine code is kept: "native" in Narae's cache folder.

    Raises:
        RuntimeError: if the user has no home folder.
    """
    return cache_dir() / "native"


class CodeCache:
    """Object images by key, in one folder.

    Args:
        folder: made, for the user alone, if it is not there; None: `cache_folder()`.
        limit: bytes; above it, the files unused for longest are removed.
    """

    def __init__(self, folder: Path | None = None, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._unchecked = _CHECK_AFTER  # the first write looks at the size
        self._folder: Path | None = None
        try:
            self._folder = folder or cache_folder()
            _make_private(self._folder)
        except (OSError, RuntimeError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        where = str(self._folder or "the cache folder")
        self._folder = None
        if where not in _reported:
            _reported.add(where)
            warn_user(
                f"compiled kernels cannot be kept in {where} ({error}); they are compiled again in "
                "each process. Set NARAE_CACHE to a folder of your own to keep them."
            )

    def read(self, key: str) -> bytes | None:
        """The image of a key, or None if there is no sound one."""
        if self._folder is None:
            return None
        try:
            data = _read_own(self._folder / key)
        except OSError:
            return None
        image = data[_HEADER:]
        if data[:_HEADER] != _header(key, image):
            return None
        return image

    def write(self, key: str, image: bytes) -> None:
        """Keep an image."""
        if self._folder is None:
            return
        try:
            _replace(self._folder / key, _header(key, image) + image)
        except OSError as error:
            # Two processes on Windows may write the same file; the other one has written it then.
            if _IS_POSIX or not isinstance(error, PermissionError):
                self._give_up(error)
            return
        self._unchecked += len(image)
        if self._unchecked >= _CHECK_AFTER:
            self._unchecked = 0
            _shrink(self._folder, self._limit)


def _header(key: str, image: bytes) -> bytes:
    return _MARK + hashlib.sha256(key.encode() + b"\n" + image).digest()


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError("it is not a folder")
    _check_ours(found)


def _check_ours(found: os.stat_result) -> None:
    """Refuse what another user could have written."""
    if not _IS_POSIX:
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError("it belongs to another user")
    if found.st_mode & 0o022:
        raise PermissionError("other users may write to it")


def _read_own(path: Path) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    # O_NONBLOCK: opening a pipe that somebody put there must not wait.
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError("it is not a file")
        _check_ours(found)
        # The time of change says when it was last used, to within a day.
        if time.time() - found.st_mtime > _DAY:
            with contextlib.suppress(OSError):
                os.utime(path)
        return file.read()


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(data)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _shrink(folder: Path, limit: int) -> None:
    """Remove the files unused for longest until three quarters of the limit are left."""
    files, now = [], time.time()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            # Another process may remove a file at any time.
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                files.append((found.st_mtime, found.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    aim = limit * 3 // 4 if total > limit else total
    for changed, size, path in sorted(files):
        is_leftover = path.endswith(".tmp") and now - changed > _HOUR
        if total > aim or is_leftover:
            with contextlib.suppress(OSError):
                os.unlink(path)
                total -= size
