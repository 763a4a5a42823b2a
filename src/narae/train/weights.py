"""Which parameters are weights."""

from collections.abc import Iterable
from typing import Any


def weights_of(model: Any) -> list[Any]:
    """The parameters that learn and have 2 or more dimensions.

    So not biases, and not the scales and shifts of normalizations, which regularizers leave alone.

    >>> from narae import nn
    >>> [tuple(w.shape) for w in weights_of(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))]
    [(2, 3)]
    """
    parameters: Iterable[Any] = model.parameters()
    return [w for w in parameters if w.requires_grad and w.ndim >= 2]
