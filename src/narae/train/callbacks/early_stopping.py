"""Stopping when nothing gets better, with the best weights."""

from dataclasses import asdict
from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..checks import at_least
from ..monitor import BestSoFar, best_by, monitored
from ..trainer import Trainer


class EarlyStopping(Callback):
    """Stops after so many validations without a better number; the model is then the best one.

    The best weights are kept in memory and in the checkpoints. At the end of the run, also where it
    was not stopped, the model that is judged gets them back, and `trainer.numbers` are theirs.

    Prechelt 1998, "Early Stopping - But When?", the criterion UP.

    Args:
        monitor: the number to go by; losses and errors are better the smaller, by their names.
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
        if not min_delta >= 0:
            given, rule = f"min_delta is {min_delta}", "it is not negative"
            raise ConfigError(explain("EarlyStopping", given, rule))
        self.monitor, self.min_delta = monitor, min_delta
        self.patience = at_least("EarlyStopping", "patience", patience)
        self._best, self.since = BestSoFar(), 0
        self._weights: dict[str, Any] = {}
        self._numbers: dict[str, float] = {}

    @property
    def best_epoch(self) -> int:
        """0 before the first."""
        return self._best.epoch

    @property
    def best_value(self) -> float:
        """NaN before the first."""
        return self._best.value

    def on_fit_start(self, trainer: Trainer) -> None:
        """A run that had enough is not gone on with, unless patience has grown."""
        if self.since >= self.patience:
            self._stop(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare, remember, and stop where patience is at its end."""
        if not trainer.validated:
            return
        name = self.monitor = self.monitor or best_by(trainer.numbers)
        value = monitored("EarlyStopping", name, trainer.numbers)
        if self._best.is_beaten_by(name, value, self.min_delta):
            self._best, self.since = BestSoFar(trainer.epoch, value, trainer.updates), 0
            state = trainer.judged.state_dict()
            self._weights = {
                name: x.clone() if hasattr(x, "clone") else x for name, x in state.items()
            }
            self._numbers = dict(trainer.numbers)
        else:
            self.since += 1
        if self.since >= self.patience:
            self._stop(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the best weights back, unless the run was interrupted and goes on later."""
        if trainer.finished and self._weights:
            trainer.judged.load_state_dict(self._weights)
            trainer.numbers = dict(self._numbers)

    def _stop(self, trainer: Trainer) -> None:
        if not trainer.stop:
            trainer.stop = f"{self.monitor} has not become better since epoch {self.best_epoch}"

    def state_dict(self) -> dict[str, Any]:
        """The best so far, weights and numbers, and how long ago it was."""
        found = {"monitor": self.monitor, "since": self.since, "best": asdict(self._best)}
        return {**found, "weights": dict(self._weights), "numbers": dict(self._numbers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it again, unless it was about another number."""
        if self.monitor not in ("", state["monitor"]):
            return
        self.monitor = str(state["monitor"])
        self._best, self.since = BestSoFar(**state["best"]), int(state["since"])
        self._weights, self._numbers = dict(state["weights"]), dict(state["numbers"])
