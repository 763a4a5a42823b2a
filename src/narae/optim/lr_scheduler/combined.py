"""Schedules made of schedules: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors.host import host_action

from ..optimizer import Optimizer
from .base import LRScheduler, values_of, write_number
from .plateau import ReduceLROnPlateau


class _OfSchedulers(LRScheduler):
    """A schedule that steps others."""

    _schedulers: Sequence[LRScheduler]

    def step(self) -> None:  # type: ignore[override]
        """Go on by one step."""
        host_action(self, self._step)

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = {key: value for key, value in state_dict.items() if key != "_schedulers"}
        self.__dict__.update(fields)
        for scheduler, known in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(known)

    def host_state(self) -> Any:
        """A snapshot of this schedule and of its parts."""
        return super().host_state(), [part.host_state() for part in self._schedulers]

    def restore_host_state(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        own, parts = snapshot
        for scheduler, known in zip(self._schedulers, parts, strict=True):
            scheduler.restore_host_state(known)
        super().restore_host_state(own)


def _check_parts(owner: str, schedulers: Sequence[Any], optimizer: Any) -> None:
    for index, scheduler in enumerate(schedulers):
        if not hasattr(scheduler, "optimizer"):
            raise TypeError(
                f"{owner} at index {index} should have `optimizer` as its attribute; it is a "
                f"{type(scheduler).__name__}"
            )
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ConfigError(
                f"{owner} does not support `ReduceLROnPlateau` scheduler as it requires additional "
                f"kwargs to be specified when calling `step`, but got one at index {index}. Fix: "
                "step it on its own"
            )
        if scheduler.optimizer is not optimizer:
            raise ConfigError(
                f"{owner} expects all schedulers to belong to the same optimizer, but scheduler "
                f"{type(scheduler).__name__} at index {index} belongs to another one"
            )


class SequentialLR(_OfSchedulers):
    """One schedule after the other.

    Args:
        optimizer: whose learning rates they write.
        schedulers: the schedules, in order.
        milestones: the steps at which the next one takes over.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        if len(schedulers) < 1:
            raise ConfigError("SequentialLR expects at least one scheduler, but got no scheduler.")
        _check_parts("SequentialLR", schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ConfigError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got {len(schedulers)} schedulers and "
                f"{len(milestones)} milestones"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        self._begin()

    def _begin(self) -> None:
        """Take back what making the parts has written, and let only the first one begin."""
        for group in self.optimizer.param_groups:
            write_number(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, scheduler: Any = None) -> None:
        """Undo the step that each part made when it was made."""
        scheduler = self if scheduler is None else scheduler
        if hasattr(scheduler, "_schedulers"):
            for part in scheduler._schedulers:
                self.recursive_undo(part)
        elif hasattr(scheduler, "last_epoch"):
            scheduler.last_epoch -= 1

    def _step(self, epoch: int | None = None) -> None:
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_OfSchedulers):
    """Several schedules at once: each changes what the one before has written.

    Args:
        schedulers: the schedules.
        optimizer: whose learning rates they write; that of the first by default.
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if len(schedulers) < 1:
            raise ConfigError(
                "ChainedScheduler expects at least one scheduler to be chained, but got no "
                "scheduler."
            )
        optimizer = optimizer or schedulers[0].optimizer
        _check_parts("ChainedScheduler", schedulers, optimizer)
        self._schedulers = schedulers
        self.optimizer = optimizer
        self._last_lr = values_of(optimizer, "lr")

    def _step(self, epoch: int | None = None) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = values_of(self.optimizer, "lr")
