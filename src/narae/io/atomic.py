"""Atomic file writing: a reader sees the whole old file or the whole new one, never half of one."""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from narae.base.errors import ConfigError, MissingDataError, explain

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "wb", encoding: str | None = None
) -> Iterator[IO[Any]]:
    """Write a file beside its final place and rename it there once it is complete.

    On any exception, an interrupt included, the new bytes are removed and an old file stays as it
    was. When the block ends well, the bytes are on the disk before the name points at them.

    Args:
        path: where the file shall be; its folder must exist. A symbolic link is followed.
        mode: "wb" for bytes or "w" for text.
        encoding: for text; UTF-8 unless told otherwise.

    Raises:
        ConfigError: if `mode` is another one or `path` is a folder.
        MissingDataError: if the folder does not exist.
        OSError: what the operating system reports, such as a full disk.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target, "w") as file:
        ...     _ = file.write("complete")
        >>> target.read_text()
        'complete'
    """
    target = Path(os.path.realpath(path))
    _check_target(target, mode)
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    file = _open_new(beside, mode, encoding)
    try:
        yield file
        file.flush()
        _copy_permissions(target, file)
        os.fsync(file.fileno())
        file.close()
        os.replace(beside, target)
    except BaseException:
        _discard(file, beside)
        raise
    sync_folder(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left beside the files of a folder.

    Nobody may be writing there at the moment.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / ".note.txt.0123456789abcdef.tmp").touch()
    >>> remove_leftovers(place)
    >>> list(place.iterdir())
    []
    """
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _check_target(target: Path, mode: str) -> None:
    if mode not in ("w", "wb"):
        fix = 'use "wb" for bytes or "w" for text'
        raise ConfigError(explain("atomic_write", f"mode is {mode!r}", "a file is replaced", fix))
    if target.is_dir():
        given, fix = f"{target} is a folder", "add a file name to the path"
        raise ConfigError(explain("atomic_write", given, "only a file can be replaced", fix))
    if not target.parent.is_dir():
        given, fix = f"there is no folder {target.parent}", "create the folder first"
        raise MissingDataError(
            explain("atomic_write", given, f"{target.name} is to be written in it", fix)
        )


def _open_new(beside: Path, mode: str, encoding: str | None) -> IO[Any]:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    handle = os.open(beside, flags, 0o666)  # the user's umask applies, as it does for open()
    try:
        if mode == "wb":
            return os.fdopen(handle, "w+b")
        return os.fdopen(handle, "w+", encoding=encoding or "utf-8")
    except BaseException:
        os.close(handle)
        beside.unlink(missing_ok=True)
        raise


def _copy_permissions(target: Path, file: IO[Any]) -> None:
    if os.name == "posix" and target.exists():
        os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))


def _discard(file: IO[Any], beside: Path) -> None:
    # Closing flushes what is buffered, which fails once more on a full disk.
    with contextlib.suppress(OSError, ValueError):
        file.close()
    beside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, where the system can do that."""
    if os.name != "posix":
        return
    # The file is already complete and in place: a failure here must not look like a failed write.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
