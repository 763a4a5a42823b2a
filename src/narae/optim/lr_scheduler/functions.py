"""Schedules given by the user's own functions."""

import types
from collections.abc import Callable
from typing import Any

from narae.base.errors import ConfigError

from ..optimizer import Optimizer
from .base import LRScheduler

Factor = Callable[[int], float]


class _OfFunctions(LRScheduler):
    """A schedule with a function of the step for each group."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1
    ) -> None:
        groups = len(optimizer.param_groups)
        if not isinstance(lr_lambda, (list, tuple)):
            lr_lambda = [lr_lambda] * groups
        if len(lr_lambda) != groups:
            raise ConfigError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
        for function in lr_lambda:
            if not callable(function):
                raise TypeError(
                    f"lr_lambda should be a function, but got {type(function).__name__}"
                )
        self.lr_lambdas = list(lr_lambda)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Functions are left out; of callable objects their fields are kept."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(function, types.FunctionType) else dict(function.__dict__)
            for function in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = {key: value for key, value in state_dict.items() if key != "lr_lambdas"}
        self.__dict__.update(fields)
        for function, known in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if known is not None:
                function.__dict__.update(known)


class LambdaLR(_OfFunctions):
    """lr = lr₀·f(t).

    Args:
        optimizer: whose learning rates it writes.
        lr_lambda: f, or a list with one for each group.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


class MultiplicativeLR(_OfFunctions):
    """lr ← lr·f(t).

    Args:
        optimizer: whose learning rates it writes.
        lr_lambda: f, or a list with one for each group.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self._is_initial:
            return self._current()
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["lr"] * function(self.last_epoch) for group, function in pairs]
