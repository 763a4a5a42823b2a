"""Running averages of an epoch's numbers, one for each name."""

import math
from collections.abc import Mapping

from narae.base.errors import DataError, explain
from narae.tensors import Tensor

from .metrics import Average

Numbers = dict[str, float]


class Averages:
    """Averages in which every batch counts by its size.

    Example:
        >>> from narae.tensors.creation import tensor
        >>> averages = Averages()
        >>> averages.update({"loss": tensor(2.0)}, count=3)
        >>> averages.update({"loss": tensor(4.0)}, count=1)
        >>> averages.values()
        {'loss': 2.5}
    """

    def __init__(self) -> None:
        self._averages: dict[str, Average] = {}

    def update(self, numbers: Mapping[str, Tensor], count: int) -> None:
        """Add the means over a batch of `count` items.

        Raises:
            DataError: if the loss is no finite number.
        """
        for name, value in numbers.items():
            number = value.item()
            if name == "loss" and not math.isfinite(number):
                rule = "training goes on only with finite numbers"
                fix = "lower the learning rate, scale the inputs, or clip gradients"
                raise DataError(explain("train", f"the loss became {number}", rule, fix))
            self._averages.setdefault(name, Average()).update(number, count)

    def values(self) -> Numbers:
        """The averages so far."""
        return {name: average.value for name, average in self._averages.items()}

    def state_dict(self) -> dict[str, list[float]]:
        """The sum and the count behind each average."""
        return {name: [x.total, x.count] for name, x in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, list[float]]) -> None:
        """Go on from what `state_dict` gave."""
        self._averages = {}
        for name, (total, count) in state.items():
            average = self._averages[name] = Average()
            average.total, average.count = total, int(count)


def prefixed(prefix: str, numbers: Numbers) -> Numbers:
    """The numbers under longer names.

    >>> prefixed("val_", {"loss": 1.0})
    {'val_loss': 1.0}
    """
    return {f"{prefix}{name}": value for name, value in numbers.items()}
