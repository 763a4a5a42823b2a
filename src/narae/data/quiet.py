"""Data sets that are known to draw no random numbers; for them no streams are prepared."""

from typing import Any

import numpy as np

from narae.tensors import Tensor

from .combined import ConcatDataset, StackDataset
from .dataset import TensorDataset
from .split import Subset

_PLAIN = (list, tuple, range, dict, str, bytes, np.ndarray, Tensor, TensorDataset)


def draws_nothing(dataset: Any) -> bool:
    """Whether fetching a sample certainly draws no random number.

    >>> draws_nothing(Subset(range(5), [1, 2]))
    True
    >>> class Mine(list):
    ...     pass
    >>> draws_nothing(Mine())
    False
    """
    kind = type(dataset)
    if kind is Subset:
        return draws_nothing(dataset.dataset)
    if kind is ConcatDataset:
        return all(map(draws_nothing, dataset.datasets))
    if kind is StackDataset:
        parts = dataset.datasets
        return all(map(draws_nothing, parts.values() if isinstance(parts, dict) else parts))
    return kind in _PLAIN
