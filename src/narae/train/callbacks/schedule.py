"""Moving the learning rate."""

import warnings
from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..trainer import Trainer


class Schedule(Callback):
    """Steps a scheduler after each update, or after each epoch.

    Args:
        scheduler: one of `narae.optim.lr_scheduler`.
        when: "update" or "epoch".
        monitor: the number that a scheduler such as `ReduceLROnPlateau` goes by; empty for others.

    Raises:
        ConfigError: for another `when`, or a number that there is not.
    """

    order = 60

    def __init__(self, scheduler: Any, when: str = "update", monitor: str = "") -> None:
        if when not in ("update", "epoch"):
            given, rule = f"when is {when!r}", 'a schedule counts each "update" or each "epoch"'
            raise ConfigError(explain("Schedule", given, rule))
        self.scheduler, self.when, self.monitor = scheduler, when, monitor

    def on_step_end(self, trainer: Trainer) -> None:
        """Step if updates are counted."""
        if self.when == "update":
            self._step()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Step if epochs are counted."""
        if self.when != "epoch":
            return
        if not self.monitor:
            self._step()
        elif self.monitor in trainer.numbers:
            self._step(trainer.numbers[self.monitor])
        elif trainer.validated:
            rule = f"numbers are {', '.join(trainer.numbers)}"
            raise ConfigError(explain("Schedule", f"there is no number {self.monitor!r}", rule))

    def _step(self, *numbers: float) -> None:
        with warnings.catch_warnings(action="ignore"):  # whether the optimizer stepped: it did
            self.scheduler.step(*numbers)

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's."""
        return dict(self.scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give it back."""
        self.scheduler.load_state_dict(state)
