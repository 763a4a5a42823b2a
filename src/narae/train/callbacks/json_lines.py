"""A line of JSON for each epoch."""

import json
from pathlib import Path
from typing import Any

from ..callback import Callback
from ..log_file import LogFile
from ..trainer import Trainer


class JSONLines(Callback):
    """Appends the numbers of each epoch to a file; `narae.io.read_records` reads them.

    Args:
        path: the file.
    """

    order = 80

    def __init__(self, path: Path) -> None:
        self._file = LogFile(path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the line."""
        record = {"epoch": trainer.epoch, **trainer.numbers}
        self._file.append(json.dumps(record, ensure_ascii=False))

    def state_dict(self) -> dict[str, Any]:
        """How long the file is."""
        return self._file.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        self._file.load_state_dict(state)
