"""Stopping when nothing gets better, with the best weights."""

from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..trainer import Trainer
from .checkpoints import best_by, is_small_better


class EarlyStopping(Callback):
    """Stops after so many validations without a better number; the model is then the best one.

    The best weights are kept in memory and in the checkpoints. At the end of the run, also where it
    was not stopped, the model that is judged gets them back, and `trainer.numbers` are theirs.

    Prechelt 1998, "Early Stopping - But When?", the criterion UP.

    Args:
        monitor: the number to go by; one with "loss" or "error" in its name is better the smaller.
            Empty: "val_accuracy", or "val_loss" where there is none.
        patience: how many validations in a row may bring nothing better before it stops.
        min_delta: smaller gains do not count.

    Attributes:
        best_epoch, best_value: the best epoch so far, and its number; 0 and NaN before the first.
        since: validations since then.

    Raises:
        ConfigError: if patience is below 1 or min_delta below 0.

    >>> EarlyStopping(patience=3, min_delta=1e-3).since
    0
    """

    order = 70

    def __init__(self, monitor: str = "", patience: int = 5, min_delta: float = 0.0) -> None:
        if patience < 1 or not min_delta >= 0:
            given = f"patience is {patience}, min_delta {min_delta}"
            raise ConfigError(explain("EarlyStopping", given, "they are at least 1 and 0"))
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.best_epoch, self.best_value, self.since = 0, float("nan"), 0
        self._best: dict[str, Any] = {}
        self._numbers: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        """A run that had enough is not gone on with, unless patience has grown."""
        if self.since >= self.patience:
            self._stop(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare, remember, and stop where patience is at its end."""
        if not trainer.validated:
            return
        value = self._value(trainer)
        if not self.best_epoch or self._is_better(value):
            self.best_epoch, self.best_value, self.since = trainer.epoch, value, 0
            state = trainer.judged.state_dict()
            self._best = {
                name: x.clone() if hasattr(x, "clone") else x for name, x in state.items()
            }
            self._numbers = dict(trainer.numbers)
        else:
            self.since += 1
        if self.since >= self.patience:
            self._stop(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the best weights back, unless the run was interrupted and goes on later."""
        if trainer.finished and self._best:
            trainer.judged.load_state_dict(self._best)
            trainer.numbers = dict(self._numbers)

    def _value(self, trainer: Trainer) -> float:
        name = self.monitor = self.monitor or best_by(trainer.numbers)
        if name not in trainer.numbers:
            given = f"there is no number {name!r}"
            rule = f"an epoch has {', '.join(trainer.numbers)}"
            raise ConfigError(explain("EarlyStopping", given, rule, "monitor one of these"))
        return trainer.numbers[name]

    def _is_better(self, value: float) -> bool:
        gain = self.best_value - value if is_small_better(self.monitor) else value - self.best_value
        return gain > self.min_delta

    def _stop(self, trainer: Trainer) -> None:
        if not trainer.stop:
            trainer.stop = f"{self.monitor} has not become better since epoch {self.best_epoch}"

    def state_dict(self) -> dict[str, Any]:
        """The best so far, weights and numbers, and how long ago it was."""
        names = ("monitor", "best_epoch", "best_value", "since")
        found = {name: getattr(self, name) for name in names}
        return {**found, "best": dict(self._best), "numbers": dict(self._numbers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it again, unless it was about another number."""
        if self.monitor not in ("", state["monitor"]):
            return
        self.monitor = str(state["monitor"])
        self.best_epoch, self.since = int(state["best_epoch"]), int(state["since"])
        self.best_value = float(state["best_value"])
        self._best, self._numbers = dict(state["best"]), dict(state["numbers"])
