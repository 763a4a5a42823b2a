"""One process at a time writes to the folder of a run."""

import contextlib
import importlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from narae.base.errors import ConfigError, explain

LOCK = ".lock"
logger = logging.getLogger("narae.train")
_TRIES, _PAUSE = 5, 0.05  # someone may look for a moment whether the lock is held
_PLACE = 1 << 30  # of the byte that is locked on Windows, beyond what is written
_held: list[IO[bytes]] = []  # a forked process must not keep them open: that holds the lock


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Inside, no other process can have the lock; the system frees that of a killed one.

    Args:
        folder: of the run.

    Raises:
        ConfigError: if another process has it; names its number.
    """
    file = _opened(folder / LOCK)
    _held.append(file)
    try:
        yield
    finally:
        if file in _held:
            _held.remove(file)
        with contextlib.suppress(OSError):  # Windows removes no open file
            (folder / LOCK).unlink()
        file.close()


def is_held(folder: Path) -> bool:
    """Whether a living process is at work in the folder of a run; not known on Windows."""
    if os.name != "posix":
        return False
    # Its owner may remove it at any moment.
    gone = contextlib.suppress(FileNotFoundError, PermissionError)
    with gone, (folder / LOCK).open("rb") as file:
        return not _take(file, shared=True)
    return False


def _opened(path: Path) -> IO[bytes]:
    for attempt in range(_TRIES):
        file = path.open("a+b")
        if _take(file) and _is_at(path, file):
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n".encode())
            file.flush()
            return file
        file.seek(0)
        owner = file.read(20).decode("ascii", "replace").strip()
        file.close()
        if attempt < _TRIES - 1:
            time.sleep(_PAUSE)
    given = f"process {owner or 'unknown'} is at work in {path.parent}"
    rule = "one process at a time writes to the folder of a run"
    raise ConfigError(explain("train", given, rule, "wait until it has ended, or end it"))


def _take(file: IO[bytes], shared: bool = False) -> bool:
    """Lock a file, for oneself or together with others who only look; whether that went well."""
    try:
        if os.name == "posix":
            fcntl: Any = importlib.import_module("fcntl")
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            msvcrt: Any = importlib.import_module("msvcrt")
            file.seek(_PLACE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:  # such as a network drive without locks
        logger.warning("%s cannot be locked (%s)", file.name, error.strerror)
    return True


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether the file is still the one at its path: its last owner removes it at the end."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _let_go() -> None:
    while _held:
        _held.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
