"""The random numbers of transforms: from Narae's stream, in the order torchvision draws them.

So `narae.manual_seed` repeats every augmentation, and gives torchvision's for the same seed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DTypeError, explain
from narae.tensors.creation import empty
from narae.tensors.random import rand, randint, randperm

Range = tuple[float, float]


def share() -> float:
    """A number from 0 to below 1."""
    return float(rand(1).item())


def uniform(low: float, high: float) -> float:
    """A number from low to high."""
    return float(empty(1).uniform_(float(low), float(high)).item())


def log_uniform(ends: Sequence[float]) -> float:
    """A number whose logarithm is uniform, so that 1/2 is as likely as 2."""
    low, high = (float(np.log(np.float32(end))) for end in ends)
    return float(np.exp(np.float32(uniform(low, high))))


def integer(low: int, high: int) -> int:
    """A whole number from low to high - 1."""
    return int(randint(low, high, (1,)).item())


def order(count: int) -> list[int]:
    """The numbers 0 to count - 1 in random order."""
    return [int(number) for number in randperm(count).tolist()]


def weighted(weights: Sequence[float]) -> int:
    """A place, with a chance in proportion to its weight."""
    target = share() * math.fsum(weights)
    sums = np.cumsum(np.asarray(weights, float))
    return min(int(np.searchsorted(sums, target, side="right")), len(sums) - 1)


def dirichlet(alphas: Sequence[float]) -> Any:
    """Shares that sum to 1."""
    return np.random.default_rng(integer(0, 2**62)).dirichlet(alphas)


def check_probability(p: Any, what: str) -> float:
    """Refuse what is no probability."""
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        raise ConfigError(explain(what, f"p is {p!r}", "a probability lies in 0 to 1"))
    return p


def check_range(ends: Any, name: str, what: str, least: float | None = None) -> Range:
    """(low, high) of a sequence of two ordered numbers."""
    if not isinstance(ends, Sequence) or isinstance(ends, str):
        rule = f"{name.capitalize()} should be a sequence"
        raise DTypeError(explain(what, f"{name} is {ends!r}", rule))
    if len(ends) != 2:
        raise ConfigError(explain(what, f"{name} is {ends!r}", f"{name} is (min, max)"))
    low, high = ends
    if low > high:
        rule = "Scale and ratio should be of kind (min, max)"
        raise ConfigError(explain(what, f"{name} is {ends!r}", rule))
    if least is not None and low < least:
        raise ConfigError(explain(what, f"{name} is {ends!r}", f"{name} is at least {least}"))
    return low, high


def angle_range(value: Any, name: str, what: str, lengths: Sequence[int] = (2,)) -> list[float]:
    """-x to x of one number, or the numbers given."""
    if isinstance(value, int | float):
        if value < 0:
            rule = f"If {name} is a single number, it must be positive."
            raise ConfigError(explain(what, f"{name} is {value}", rule))
        return [float(-value), float(value)]
    check_sequence(value, name, what, lengths)
    return [float(number) for number in value]


def check_sequence(value: Any, name: str, what: str, lengths: Sequence[int] = (2,)) -> None:
    """Refuse what has not one of the lengths."""
    rule = f"{name} should be a sequence of length {' or '.join(map(str, lengths))}."
    if not isinstance(value, Sequence):
        raise DTypeError(explain(what, f"{name} is {value!r}", rule))
    if len(value) not in lengths:
        raise ConfigError(explain(what, f"{name} is {value!r}", rule))
