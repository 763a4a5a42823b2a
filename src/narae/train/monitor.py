"""The number that a run is judged by: which one it is, what is better, and the best so far."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from narae.base.errors import ConfigError, explain

_SMALL_IS_BETTER = frozenset({"loss", "error", "perplexity", "mse", "mae", "rmse", "wer", "cer"})


@dataclass(frozen=True)
class BestSoFar:
    """The best epoch so far.

    Attributes:
        epoch: which one; 0 before the first.
        value: its number; NaN before the first.
        updates: how many updates there had been after it.
    """

    epoch: int = 0
    value: float = float("nan")
    updates: int = 0

    def is_beaten_by(self, name: str, value: float, min_delta: float = 0.0) -> bool:
        """Whether a later epoch's number is better by more than `min_delta`; the first one is.

        >>> best = BestSoFar(epoch=1, value=0.5)
        >>> best.is_beaten_by("val_loss", 0.4), best.is_beaten_by("val_loss", 0.6)
        (True, False)
        """
        none = not self.epoch or math.isnan(self.value)
        return none or is_better(name, value, self.value, min_delta)


def best_by(numbers: Mapping[str, float]) -> str:
    """The number that an epoch is judged by unless the user says another.

    >>> best_by({"val_loss": 0.1, "val_accuracy": 0.9}), best_by({"val_loss": 0.1})
    ('val_accuracy', 'val_loss')
    """
    return "val_accuracy" if "val_accuracy" in numbers else "val_loss"


def monitored(what: str, name: str, numbers: Mapping[str, float]) -> float:
    """One of an epoch's numbers, by its name.

    Args:
        what: who asks, for the error.
        name: of the number.
        numbers: of the epoch.

    Raises:
        ConfigError: if it is not among them.
    """
    if name not in numbers:
        given, rule = f"there is no number {name!r}", f"an epoch has {', '.join(numbers)}"
        raise ConfigError(explain(what, given, rule, "monitor one of these"))
    return numbers[name]


def is_better(name: str, one: float, other: float, min_delta: float = 0.0) -> bool:
    """Whether a number is better than another one of the same name, by more than `min_delta`.

    >>> is_better("val_loss", 0.1, 0.2), is_better("val_accuracy", 0.1, 0.2)
    (True, False)
    """
    gain = other - one if is_small_better(name) else one - other
    return gain > min_delta


def is_small_better(name: str) -> bool:
    """Whether a number is better the smaller it is, by the words of its name.

    >>> is_small_better("val_wer"), is_small_better("val_flower_accuracy")
    (True, False)
    """
    words = name.lower().split("_")
    return not _SMALL_IS_BETTER.isdisjoint(words) or name.lower().endswith(("loss", "error"))
