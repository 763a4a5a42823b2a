"""The schedule of stochastic weight averaging: from where the learning rate is to a constant."""

import math
from typing import Any

from narae.base.errors import ConfigError

from ..optimizer import Optimizer
from .base import LRScheduler, for_each_group


class SWALR(LRScheduler):
    """Anneal each learning rate to `swa_lr`, and stay there: narae.optim.swa_utils.SWALR.

    lr ← α·swa_lr + (1 − α)·lr₀, where α = (1 − cos(π·t)) / 2 or t grows from 0 to 1 in
    `anneal_epochs` steps. Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better
    Generalization", section 3.1.

    Args:
        optimizer: whose learning rates it writes.
        swa_lr: the learning rate to reach, or one for each group.
        anneal_epochs: how many steps that takes.
        anneal_strategy: "cos" or "linear".
        last_epoch: how many steps were made before; −1 for a fresh start.

    >>> import narae
    >>> optimizer = narae.optim.SGD([narae.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> lrs = []
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     lrs += scheduler.get_last_lr()
    >>> lrs
    [0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        wanted = for_each_group("swa_lr", optimizer, swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ConfigError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ConfigError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, wanted, strict=True):
            group["swa_lr"] = lr
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        return [
            group["swa_lr"] * now + _origin(group, before) * (1 - now)
            for group in self.optimizer.param_groups
        ]

    def _share(self, step: int) -> float:
        """α, how far the schedule has gone after so many steps."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2


def _origin(group: dict[str, Any], share: float) -> Any:
    """The learning rate that the schedule came from, when it has gone this far."""
    if share == 1:
        return group["swa_lr"]
    return (group["lr"] - share * group["swa_lr"]) / (1 - share)
