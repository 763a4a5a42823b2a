"""A file of lines that grows with a run: cut back where the run is, patient with a full disk."""

import errno
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from narae.io.atomic import sync_folder

logger = logging.getLogger("narae.train")

# No space, no quota, no larger file allowed: it may pass. An error of the device itself may not.
_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


def is_disk_full(error: OSError) -> bool:
    """Whether there was no space to write to; the disk itself is sound.

    >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in _FULL


class LogFile:
    r"""Lines of text that are on the disk before a checkpoint counts on them.

    Lines that find no space wait in memory, and in the checkpoint, for the next one.

    Args:
        path: the file, made with the first line; what is in it stays.

    Example:
        >>> import tempfile
        >>> log = LogFile(Path(tempfile.mkdtemp()) / "log.txt")
        >>> log.append("one")
        >>> state = log.state_dict()
        >>> log.append("two")
        >>> log.load_state_dict(state)
        >>> log.path.read_text()
        'one\n'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = path.stat().st_size if path.exists() else 0
        self._waiting: list[str] = []

    def append(self, line: str) -> None:
        """Write a line, and those that waited before it.

        Raises:
            OSError: what the operating system reports, but for a full disk.
        """
        lines = [*self._waiting, line]
        try:
            self.write(lines)
        except OSError as error:
            if not is_disk_full(error):
                raise
            if not self._waiting:
                logger.warning("no space for %s; its lines wait: %s", self.path, error.strerror)
            self._waiting = lines
        else:
            self._waiting = []

    def write(self, lines: Sequence[str]) -> None:
        """Write lines at the end; either all of them are in the file then, or none.

        Raises:
            OSError: what the operating system reports, a full disk too.
        """
        data = "".join(f"{each}\n" for each in lines).encode()
        try:
            new = not self.path.exists()
            with self.path.open("wb" if new else "r+b") as file:
                # What a killed process has left behind this place is written over.
                self._bytes = min(self._bytes, file.seek(0, os.SEEK_END))
                file.seek(self._bytes)
                file.truncate()
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_folder(self.path.parent)
        except OSError:
            self._cut()
            raise
        self._bytes += len(data)

    def _cut(self) -> None:
        """Take away half a line, so that the file is whole for whoever reads it."""
        try:
            os.truncate(self.path, self._bytes)
        except OSError:  # the next write does it
            logger.debug("%s cannot be cut", self.path, exc_info=True)

    def state_dict(self) -> dict[str, Any]:
        """How long the file is, and the lines that wait."""
        return {"bytes": self._bytes, "waiting": list(self._waiting)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut off what was written after that."""
        self._bytes, self._waiting = int(state["bytes"]), [str(x) for x in state["waiting"]]
        size = self.path.stat().st_size if self.path.exists() else 0
        if size > self._bytes:
            os.truncate(self.path, self._bytes)
        elif size < self._bytes:
            given = "%s is %d bytes long, in the checkpoint %d: lines are missing in it"
            logger.warning(given, self.path, size, self._bytes)
            self._bytes = self._whole(size)

    def _whole(self, size: int) -> int:
        """The size without half a line at the end."""
        data = self.path.read_bytes() if size else b""
        return data.rfind(b"\n") + 1
