"""Moving the learning rate."""

import warnings
from collections.abc import Mapping
from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..monitor import monitored
from ..trainer import Trainer


class Schedule(Callback):
    """Steps a scheduler after each update, or after each epoch.

    A run that goes on with other settings, such as more epochs, gets the schedule of these settings
    at the place where the run is. One that goes by a number keeps what it knows of it.

    Args:
        scheduler: one of `narae.optim.lr_scheduler`, as it is at the beginning.
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
        self._begun = dict(scheduler.state_dict())
        self._begin = scheduler.host_state()
        self._steps, self._per_epoch = 0, 1
        self._place: float | None = None  # in epochs, where a schedule made anew has to begin

    def on_fit_start(self, trainer: Trainer) -> None:
        """Go to the place of the run, if the schedule is another one than it was."""
        batches = len(trainer.data.train) if self.when == "update" else 1
        self._per_epoch = -(-batches // trainer.accumulate) if self.when == "update" else 1
        if self._place is not None:
            place, self._place, self._steps = self._place, None, 0
            self.scheduler.restore_host_state(self._begin)
            steps = round(min(place, trainer.epochs) * self._per_epoch)
            with warnings.catch_warnings(action="ignore"):  # the optimizer has made these steps
                for _ in range(steps):
                    self._step()

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
        elif trainer.validated or self.monitor in trainer.numbers:
            self._step(monitored("Schedule", self.monitor, trainer.numbers))

    def _step(self, *numbers: float) -> None:
        self.scheduler.step(*numbers)
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's, now and at the beginning, and how many steps are between them."""
        now = dict(self.scheduler.state_dict())
        counts = {"steps": self._steps, "per_epoch": self._per_epoch}
        return {"now": now, "begun": self._begun, **counts}

    def differs_from(self, state: dict[str, Any]) -> bool:
        """Whether the scheduler began otherwise."""
        return _plain(self._begun) != _plain(state["begun"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give it back; where it began otherwise, `on_fit_start` brings it to the same place."""
        self._steps, self._per_epoch = int(state["steps"]), int(state["per_epoch"])
        self._place = None
        if not self.differs_from(state):
            self.scheduler.load_state_dict(state["now"])
        elif self.monitor:
            before, now = state["begun"], state["now"]
            kept = {
                name: value
                for name, value in now.items()
                if _plain(before.get(name)) == _plain(self._begun.get(name))
            }
            self.scheduler.load_state_dict({**self.scheduler.state_dict(), **kept})
        else:
            self._place = self._steps / self._per_epoch


def _plain(value: Any) -> Any:
    """A value that can be compared: tensors as numbers, any mapping as a dict."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value
