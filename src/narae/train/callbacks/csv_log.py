"""A table of numbers, a row for each epoch, for spreadsheets and pandas."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from narae.io import atomic_write

from ..callback import Callback
from ..log_file import LogFile, is_disk_full
from ..trainer import Trainer

logger = logging.getLogger("narae.train")


class CSVLog(Callback):
    """Appends the numbers of each epoch to a table (RFC 4180); an epoch without one has no text.

    A number that comes first in a later epoch, such as of the first validation, gets a new column:
    the file is then written anew.

    Args:
        path: the file. Where there is no space for it, rows wait for the next epoch, and in the
            checkpoint.
    """

    order = 80

    def __init__(self, path: Path) -> None:
        self._file, self._columns = LogFile(path), ["epoch"]
        self._rows = 0  # in the file
        self._waiting: list[dict[str, str]] = []  # and those that found no space so far
        self._anew = True  # whether the file is to be written from its first line on

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the row."""
        numbers = {"epoch": trainer.epoch, **trainer.numbers}
        new = [name for name in numbers if name not in self._columns]
        self._columns += new
        self._anew |= bool(new)
        self._waiting.append({name: repr(number) for name, number in numbers.items()})
        self._write()

    def _write(self) -> None:
        """Write the rows that wait, or all; on a full disk they go on waiting."""
        try:
            if self._anew:
                self._rewrite()
            else:
                self._file.write([self._line(row) for row in self._waiting])
        except OSError as error:
            if not is_disk_full(error):
                raise
            if len(self._waiting) <= 1:
                logger.warning("no space for %s; rows wait: %s", self._file.path, error.strerror)
        else:
            self._rows += len(self._waiting)
            self._waiting, self._anew = [], False

    def _rewrite(self) -> None:
        """Make the file the first rows of itself and those that wait, under other columns."""
        path = self._file.path
        old = list(csv.reader(io.StringIO(path.read_text("utf-8")))) if path.exists() else []
        kept = [dict(zip(old[0], row, strict=False)) for row in old[1 : self._rows + 1]]
        with atomic_write(path, "w") as file:
            file.write(_text(self._columns) + "\n")
            file.writelines(self._line(row) + "\n" for row in (*kept, *self._waiting))
        self._file, self._rows = LogFile(path), len(kept)

    def _line(self, row: Mapping[str, str]) -> str:
        return _text([row.get(name, "") for name in self._columns])

    def state_dict(self) -> dict[str, Any]:
        """Which rows and columns there are, and the rows that wait."""
        columns, waiting = list(self._columns), [dict(row) for row in self._waiting]
        return {"rows": self._rows, "columns": columns, "waiting": waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        self._rows, self._anew = int(state["rows"]), True
        self._columns = [str(name) for name in state["columns"]]
        self._waiting = [dict(row) for row in state["waiting"]]
        if self._file.path.exists():
            self._write()


def _text(cells: Sequence[str]) -> str:
    """Cells as a line of a table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)  # names with line ends are quoted
    return text.getvalue()[:-1]
