"""Schedules that rise and fall, and move the momentum the other way."""

import math
import types
from collections.abc import Callable
from typing import Any

from narae.base.errors import ConfigError

from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer, for_each_group, write_number


class _WithMomentum(LRScheduler):
    """A schedule that also writes the momentum, or β₁ of Adam and its kin."""

    cycle_momentum: bool
    use_beta1: bool

    def _begin_momentum(
        self, optimizer: Optimizer, base: list[Any], most: list[Any], last_epoch: int
    ) -> None:
        if last_epoch != -1:
            return
        for group, smallest, largest in zip(optimizer.param_groups, base, most, strict=True):
            self._write_momentum(group, largest)
            group["max_momentum"] = largest
            group["base_momentum"] = smallest

    def _find_momentum(self, optimizer: Optimizer) -> None:
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ConfigError(
                f"optimizer must support momentum or beta1 with `cycle_momentum` option enabled; "
                f"{type(optimizer).__name__} has neither. Fix: cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults

    def _write_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_WithMomentum):
    """Triangles between a smallest and a largest learning rate.

    Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.

    Args:
        optimizer: whose learning rates it writes.
        base_lr: the smallest learning rate, or one for each group.
        max_lr: the largest, or one for each group.
        step_size_up: steps up.
        step_size_down: steps down; as many as up by default.
        mode: "triangular", "triangular2" (half as high each time) or "exp_range" (height γᵗ).
        gamma: γ.
        scale_fn: a height of one's own, a function of the cycle or the step.
        scale_mode: "cycle" or "iterations": what `scale_fn` is a function of.
        cycle_momentum: move the momentum the other way.
        base_momentum: the smallest momentum, or one for each group.
        max_momentum: the largest.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = check_optimizer(optimizer)
        base_lrs = for_each_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                write_number(group, "lr", lr)
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ConfigError(f"mode is invalid and scale_fn is None: {mode}")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum(optimizer)
            self.base_momentums = for_each_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = for_each_group("max_momentum", optimizer, max_momentum)
            self._begin_momentum(optimizer, self.base_momentums, self.max_momentums, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the triangle, as a part of the first one's."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[Any]:
        """Also writes the momentum."""
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        part = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self._write_momentum(group, high - (high - low) * part * scale)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * part * scale for low, high in pairs]

    def state_dict(self) -> dict[str, Any]:
        """A function is left out; of a callable object its fields are kept."""
        state = super().state_dict()
        function = self._scale_fn_custom
        kept = function is not None and not isinstance(function, types.FunctionType)
        state["_scale_fn_custom"] = dict(function.__dict__) if kept else None
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        fields = {key: value for key, value in state_dict.items() if key != "_scale_fn_custom"}
        super().load_state_dict(fields)
        if state_dict.get("_scale_fn_custom") is not None:
            self._scale_fn_custom.__dict__.update(state_dict["_scale_fn_custom"])


class OneCycleLR(_WithMomentum):
    """One rise to the largest learning rate and a long fall far below the first one.

    Smith & Topin 2019, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", section 3; by default with two cosine phases instead of three lines.

    Args:
        optimizer: whose learning rates it writes.
        max_lr: the largest learning rate, or one for each group.
        total_steps: steps of the cycle; or give the next two.
        epochs: epochs.
        steps_per_epoch: steps in each.
        pct_start: which part of the steps rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: move the momentum the other way.
        base_momentum: the smallest momentum, or one for each group.
        max_momentum: the largest.
        div_factor: the first learning rate is max_lr / div_factor.
        final_div_factor: the last one is the first / final_div_factor.
        three_phase: rise, fall as fast, then go far down.
        last_epoch: how many steps were made before; −1 for a fresh start.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = check_optimizer(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or pct_start < 0 or pct_start > 1:
            raise ConfigError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ConfigError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        largest = for_each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, largest, strict=True):
                group["initial_lr"] = lr / div_factor
                group["max_lr"] = lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum(optimizer)
            most = for_each_group("max_momentum", optimizer, max_momentum)
            base = for_each_group("base_momentum", optimizer, base_momentum)
            self._begin_momentum(optimizer, base, most, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _anneal(self, group: dict[str, Any], phase: dict[str, Any], what: str, part: float) -> Any:
        start, end = group[phase[f"start_{what}"]], group[phase[f"end_{what}"]]
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def _phase_now(self) -> tuple[dict[str, Any], float]:
        """The phase of this step, and how much of it is over."""
        start: float = 0.0
        for phase in self._schedule_phases[:-1]:
            if self.last_epoch <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        return phase, (self.last_epoch - start) / (phase["end_step"] - start)

    def get_lr(self) -> list[Any]:
        """Also writes the momentum.

        Raises:
            ValueError: after the last step.
        """
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ConfigError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        phase, part = self._phase_now()
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._anneal(group, phase, "lr", part))
            if self.cycle_momentum:
                self._write_momentum(group, self._anneal(group, phase, "momentum", part))
        return lrs


def _total_steps(total: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total is None:
        if epochs is None or steps_per_epoch is None:
            raise ConfigError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        _check_count("epochs", epochs)
        _check_count("steps_per_epoch", steps_per_epoch)
        return epochs * steps_per_epoch
    _check_count("total_steps", total)
    return total


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or value <= 0:
        raise ConfigError(f"Expected positive integer {name}, but got {value}")


def _phases(total: int, part_up: float, three: bool) -> list[dict[str, Any]]:
    """Each phase by its last step and the names of what it begins and ends with."""
    up = float(part_up * total) - 1
    down = float(2 * part_up * total) - 2
    low, high = "base_momentum", "max_momentum"
    rise = _phase(up, "initial_lr", "max_lr", high, low)
    if not three:
        return [rise, _phase(total - 1, "max_lr", "min_lr", low, high)]
    fall = _phase(down, "max_lr", "initial_lr", low, high)
    return [rise, fall, _phase(total - 1, "initial_lr", "min_lr", high, high)]


def _phase(end: float, first_lr: str, last_lr: str, first: str, last: str) -> dict[str, Any]:
    return {
        "end_step": end,
        "start_lr": first_lr,
        "end_lr": last_lr,
        "start_momentum": first,
        "end_momentum": last,
    }
