"""What all schedulers share: counting steps, writing learning rates, state."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from narae.base.errors import ConfigError
from narae.base.notices import warn_user
from narae.tensors import Tensor, no_grad
from narae.tensors.host import host_action

from ..optimizer import Optimizer

_OTHER_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the "
    "opposite order: `optimizer.step()` before `lr_scheduler.step()`; otherwise the first value of "
    "the learning rate schedule is skipped"
)
_EPOCH_GIVEN = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated: the "
    "closed form is used for it, where there is one. Fix: call `scheduler.step()`"
)
# What a schedule may write in a group; a failed compiled call puts it back.
_WRITTEN = ("lr", "momentum", "betas")


class LRScheduler:
    """Base of schedulers; a new one overrides `get_lr()`.

    Args:
        optimizer: whose learning rates it writes.
        last_epoch: how many steps were made before; −1 for a fresh start.

    Attributes:
        base_lrs: the learning rates that the schedule starts from, one for each group.
        last_epoch: the number of steps so far.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{index}] when resuming "
                    "scheduler with last_epoch >= 0. Fix: load the optimizer's state first, or "
                    "begin with last_epoch=-1"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self._step()
        finally:
            self._is_initial = False

    # --- steps -----------------------------------------------------------------------------

    def get_lr(self) -> list[Any]:
        """The learning rates for `last_epoch`, one for each group; called by `step()`."""
        raise NotImplementedError(f"{type(self).__name__} must override get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The learning rates that were written last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step of the schedule.

        In a step that `narae.compile` traces, it happens before every call of the compiled step.

        Args:
            epoch: PyTorch's deprecated way to jump to a step.
        """
        host_action(self, partial(self._step, epoch))

    def _step(self, epoch: int | None = None) -> None:
        if self._step_count == 1 and not self.optimizer._opt_called:
            warn_user(_OTHER_ORDER)
        self._step_count += 1
        if epoch is not None:
            warn_user(_EPOCH_GIVEN)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = getattr(self, "_get_closed_form_lr", None)
        self._get_lr_called_within_step = True
        try:
            lrs = self.get_lr() if epoch is None or closed_form is None else closed_form()
        finally:
            self._get_lr_called_within_step = False
        self._write(lrs)

    def _write(self, lrs: Sequence[Any]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            write_number(group, "lr", lr)
        self._last_lr = values_of(self.optimizer, "lr")

    def _current(self) -> list[Any]:
        """The learning rates as they are."""
        return values_of(self.optimizer, "lr")

    def _scaled(self, factor: float) -> list[Any]:
        """The learning rates times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warn_user(
                "To get the last learning rate computed by the scheduler, use `get_last_lr()`."
            )

    # --- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; PyTorch's keys."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` returned."""
        self.__dict__.update(state_dict)

    def host_state(self) -> Any:
        """A snapshot of the schedule and of what it writes in the optimizer's groups."""
        written = [
            {key: copied(group[key]) for key in _WRITTEN if key in group}
            for group in self.optimizer.param_groups
        ]
        return dict(self.__dict__), written

    def restore_host_state(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        fields, written = snapshot
        self.__dict__.update(fields)
        for group, values in zip(self.optimizer.param_groups, written, strict=True):
            for key, value in values.items():
                write_number(group, key, value)


# --- groups ---------------------------------------------------------------------------------


def check_optimizer(optimizer: Any) -> Optimizer:
    """Refuse what is not an optimizer.

    Raises:
        TypeError: with PyTorch's message.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def copied(value: Any) -> Any:
    """A number that later writes do not change."""
    return value.clone() if isinstance(value, Tensor) else value


def values_of(optimizer: Optimizer, key: str) -> list[Any]:
    """A setting of each group."""
    return [copied(group[key]) for group in optimizer.param_groups]


def write_number(group: dict[str, Any], key: str, value: Any) -> None:
    """Write a setting; a tensor keeps its identity."""
    if isinstance(group[key], Tensor):
        with no_grad():
            group[key].fill_(value.item() if isinstance(value, Tensor) else value)
    else:
        group[key] = value


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A setting for each group, from one value or a list of them.

    Raises:
        ValueError: when the list has another length.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copied(value) for _ in range(groups)]
    if len(value) != groups:
        raise ConfigError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(value)} values, param_groups has {groups}."
        )
    return [copied(item) for item in value]
