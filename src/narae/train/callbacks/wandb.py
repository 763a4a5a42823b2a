"""Numbers for Weights & Biases."""

from pathlib import Path
from typing import Any

from narae.base.errors import require

from ..callback import Callback
from ..trainer import Trainer


class WandB(Callback):
    """Logs settings and the numbers of each epoch to Weights & Biases.

    Project, user and mode are its own settings: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE=offline.
    A run that goes on later is the same run there.

    Args:
        name: of the run.
        folder: where its files are kept.

    Raises:
        MissingExtraError: if wandb is not installed.
    """

    order = 80

    def __init__(self, name: str, folder: Path) -> None:
        self._library = require("wandb", "wandb", "log=wandb")
        self._name, self._folder = name, folder
        self._run: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin, or take up again what has the same id."""
        about = trainer.about
        config = {"recipe": about.get("recipe"), **dict(about.get("settings", {}))}
        self._run = self._library.init(
            id=about.get("run"),
            name=self._name,
            config=config,
            dir=str(self._folder),
            resume="allow",
        )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Log the numbers."""
        self._run.log(dict(trainer.numbers), step=trainer.epoch)

    def on_fit_end(self, trainer: Trainer) -> None:
        """End it; exit code 1 where it was stopped."""
        self._end(0 if trainer.finished else 1)

    def close(self) -> None:
        """End it with exit code 1, if that was not done before."""
        self._end(1)

    def _end(self, exit_code: int) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=exit_code)
