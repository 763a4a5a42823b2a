"""A line of JSON for each epoch."""

from pathlib import Path
from typing import Any

from narae.io import append_record

from ..callback import Callback
from ..trainer import Trainer


class JSONLines(Callback):
    """Appends the numbers of each epoch to a file.

    Args:
        path: the file.
    """

    order = 80

    def __init__(self, path: Path) -> None:
        self._path, self._bytes = path, 0

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the line."""
        append_record(self._path, {"epoch": trainer.epoch, **trainer.numbers})
        self._bytes = self._path.stat().st_size

    def state_dict(self) -> dict[str, Any]:
        """How long the file is."""
        return {"bytes": self._bytes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        self._bytes = int(state["bytes"])
        if self._path.exists():
            with self._path.open("r+b") as file:
                file.truncate(self._bytes)
