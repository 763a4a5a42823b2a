"""A table of numbers, a row for each epoch, for spreadsheets and pandas."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from narae.io import atomic_write

from ..callback import Callback
from ..log_file import LogFile
from ..trainer import Trainer


class CSVLog(Callback):
    """Appends the numbers of each epoch to a table (RFC 4180); an epoch without one has no text.

    A number that comes first in a later epoch, such as of the first validation, gets a new column:
    the file is then written anew.

    Args:
        path: the file.
    """

    order = 80

    def __init__(self, path: Path) -> None:
        self._file, self._columns = LogFile(path), ["epoch"]
        self._rows = 0

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the row."""
        numbers = {"epoch": trainer.epoch, **trainer.numbers}
        new = [name for name in numbers if name not in self._columns]
        if new or not self._rows:
            self._rewrite([*self._columns, *new], self._rows)
        self._file.append(_line([_text(numbers.get(name)) for name in self._columns]))
        self._rows += 1

    def _rewrite(self, columns: list[str], rows: int) -> None:
        """Make the file the first rows of itself, under other columns."""
        path = self._file.path
        old = list(csv.reader(io.StringIO(path.read_text("utf-8")))) if path.exists() else []
        kept = [dict(zip(old[0], row, strict=False)) for row in old[1 : rows + 1]]
        with atomic_write(path, "w") as file:
            for row in (columns, *([each.get(name, "") for name in columns] for each in kept)):
                file.write(_line(row) + "\n")
        waiting = self._file.state_dict()["waiting"]
        self._file, self._columns = LogFile(path), columns
        for line in waiting:  # those that found no space under the columns before
            self._file.append(line)

    def state_dict(self) -> dict[str, Any]:
        """Which rows and columns there are."""
        return {"rows": self._rows, "columns": list(self._columns)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        self._rows = int(state["rows"])
        self._columns = [str(name) for name in state["columns"]]
        if self._file.path.exists():
            self._rewrite(self._columns, self._rows)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)  # names with line ends are quoted
    return text.getvalue()[:-1]


def _text(number: float | None) -> str:
    """A number in as many digits as give it back."""
    return "" if number is None else repr(number)
