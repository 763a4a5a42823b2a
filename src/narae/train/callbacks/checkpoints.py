"""Saving a run, so that it can go on, and the best model of it."""

from typing import Any

from narae.io import save

from ..callback import Callback
from ..checkpoint_folder import CheckpointFolder
from ..trainer import Trainer

BEST = "best.safetensors"


class Checkpoints(Callback):
    """Saves after each validation, where a run is stopped, and every so many updates.

    Args:
        folder: where to.
        monitor: the number that says which epoch is best; "val_accuracy" and the like are better
            the larger they are, losses and errors the smaller. Empty: accuracy, or the loss.
        save_steps: updates from checkpoint to checkpoint within an epoch; 0: none.
        keep: how many of the newest stay.

    Attributes:
        best_epoch, best_value: the best epoch so far, and its number; 0 and None before the first.
    """

    order = 90

    def __init__(
        self, folder: CheckpointFolder, monitor: str = "", save_steps: int = 0, keep: int = 2
    ) -> None:
        self.folder, self.monitor = folder, monitor
        self.save_steps, self.keep = save_steps, keep
        self.best_epoch, self.best_value = 0, float("nan")

    def on_step_end(self, trainer: Trainer) -> None:
        """Save if it is time."""
        inside = trainer.batches < len(trainer.data.train)
        due = self.save_steps and trainer.updates % self.save_steps == 0
        if inside and (due or trainer.stop):
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save, and keep the model if it is the best so far."""
        if not trainer.validated:
            return
        name = self.monitor or best_by(trainer.numbers)
        if name in trainer.numbers:
            value = trainer.numbers[name]
            if not self.best_epoch or is_better(name, value, self.best_value):
                self.best_epoch, self.best_value = trainer.epoch, value
                self._save_best(trainer)
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.folder.save(trainer.state_dict(), trainer.updates)
        self.folder.prune(self.keep)

    def _save_best(self, trainer: Trainer) -> None:
        state = trainer.judged.state_dict()
        known = {"epoch": trainer.epoch, "numbers": trainer.numbers}
        self.folder.path.mkdir(parents=True, exist_ok=True)
        save({"model": state, **known}, self.folder.path / BEST)

    def state_dict(self) -> dict[str, Any]:
        """Which epoch was best."""
        return {"best_epoch": self.best_epoch, "best_value": self.best_value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it again."""
        self.best_epoch, self.best_value = int(state["best_epoch"]), float(state["best_value"])


def best_by(numbers: dict[str, float]) -> str:
    """The number that an epoch is judged by unless the user says another."""
    return "val_accuracy" if "val_accuracy" in numbers else "val_loss"


def is_better(name: str, one: float, other: float) -> bool:
    """Whether a number is better than another one of the same name.

    >>> is_better("val_loss", 0.1, 0.2), is_better("val_accuracy", 0.1, 0.2)
    (True, False)
    """
    return one < other if is_small_better(name) else one > other


def is_small_better(name: str) -> bool:
    """Whether a number is better the smaller it is, by its name."""
    return any(
        word in name for word in ("loss", "error", "perplexity", "mse", "mae", "rmse", "wer")
    )
