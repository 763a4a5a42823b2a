"""Schedules along a cosine."""

import math
from functools import partial
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors.host import host_action

from ..optimizer import Optimizer
from .base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """Half a cosine wave from lr₀ to a smallest learning rate in `T_max` steps (then back).

    lr = η_min + (lr₀ − η_min)·(1 + cos(π·t / T_max)) / 2

    Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5, without
    the restarts.

    Args:
        optimizer: whose learning rates it writes.
        T_max: steps of half a wave.
        eta_min: η_min.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """By recursion from the learning rate before, so that other schedules may take part."""
        self._warn_outside_step()
        if self._is_initial:
            return self._current()
        if self._step_count == 1 and self.last_epoch > 0:
            return [
                self._height(lr, self.last_epoch * math.pi / self.T_max) for lr in self.base_lrs
            ]
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return [
                self._risen(group["lr"], lr)
                for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True)
            ]
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [
            now / before * (group["lr"] - self.eta_min) + self.eta_min
            for group in self.optimizer.param_groups
        ]

    def _risen(self, lr: Any, base_lr: Any) -> Any:
        """The first step up from the bottom, where the recursion would divide by zero."""
        return lr + (base_lr - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2

    def _height(self, lr: Any, angle: float) -> Any:
        return self.eta_min + (lr - self.eta_min) * (1 + math.cos(angle)) / 2

    def _get_closed_form_lr(self) -> list[Any]:
        return [self._height(lr, math.pi * self.last_epoch / self.T_max) for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine wave from lr₀ down, again and again, each time T_mult times longer.

    lr = η_min + (lr₀ − η_min)·(1 + cos(π·T_cur / T_i)) / 2

    Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5.

    Args:
        optimizer: whose learning rates it writes.
        T_0: steps until the first restart.
        T_mult: how much longer each wave is than the one before.
        eta_min: η_min.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ConfigError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ConfigError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ConfigError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        angle = math.pi * self.T_cur / self.T_i
        return [
            self.eta_min + (lr - self.eta_min) * (1 + math.cos(angle)) / 2 for lr in self.base_lrs
        ]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or jump to `epoch`, which may lie between steps."""
        host_action(self, partial(self._step, epoch))

    def _step(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self._one_further()
        else:
            self._jump(epoch)
        self.last_epoch = math.floor(epoch)
        self._get_lr_called_within_step = True
        try:
            self._write(self.get_lr())
        finally:
            self._get_lr_called_within_step = False

    def _one_further(self) -> None:
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur %= self.T_i
            self.T_i *= self.T_mult

    def _jump(self, epoch: float) -> None:
        if epoch < 0:
            raise ConfigError(f"Expected non-negative epoch, but got {epoch}")
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            waves = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            begun = self.T_0 * (self.T_mult**waves - 1) / (self.T_mult - 1)
            self.T_cur = epoch - begun
            self.T_i = self.T_0 * self.T_mult**waves
