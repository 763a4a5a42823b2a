"""The checkpoints of a run: one file each, whole or not there, named by the update they are of."""

import warnings
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, MissingDataError, explain
from narae.io import load, save

_PATTERN = "step-*.safetensors"


class CheckpointFolder:
    """Checkpoints in a folder, which is made when the first is written.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def steps(self) -> list[int]:
        """The updates that there are checkpoints of, the newest last."""
        found = (path.stem.partition("-")[2] for path in self.path.glob(_PATTERN))
        return sorted(int(number) for number in found if number.isdigit())

    def file(self, step: int) -> Path:
        """Where the checkpoint of an update is."""
        return self.path / f"step-{step:08d}.safetensors"

    def save(self, state: dict[str, Any], step: int) -> Path:
        """Write a checkpoint; if that fails, the others are as they were."""
        self.path.mkdir(parents=True, exist_ok=True)
        save(state, self.file(step))
        return self.file(step)

    def load(self, step: int) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            FileFormatError: if it is damaged.
        """
        state: dict[str, Any] = load(self.file(step))
        return state

    def newest(self) -> dict[str, Any]:
        """The newest checkpoint that is whole; damaged ones are passed over with a warning.

        Raises:
            MissingDataError: if there is none.
        """
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except FileFormatError as error:
                warnings.warn(f"a checkpoint is passed over: {error}", stacklevel=2)
        given, rule = f"{self.path} holds no whole checkpoint", "a run goes on from one"
        raise MissingDataError(explain("resume", given, rule, "train from the beginning"))

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep`."""
        for step in self.steps()[:-keep]:
            self.file(step).unlink(missing_ok=True)
