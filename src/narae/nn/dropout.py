"""Dropout: in training, random elements or channels become zero and the others grow.

One 64-bit key a call is drawn from the host's random stream; the mask is computed from it by a
counter-based generator, so it is the same for every executor and number of threads.
"""

import math
from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.errors import ConfigError, ShapeError
from narae.base.notices import warn_user
from narae.tensors import Tensor
from narae.tensors.eager import apply
from narae.tensors.random import dropout_key
from narae.tensors.views import check_writable, version_before, write

from .module import Module

# What self-normalizing networks converge to for very negative inputs: -scale * alpha of SELU.
SELU_FLOOR = 1.7580993408473766


def _check(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ConfigError(f"dropout probability has to be between 0 and 1, but got {p}")


def _kept(shape: tuple[int, ...], p_drop: float) -> Tensor:
    """True with probability 1 - p, for each element of a shape."""
    threshold = min(round(p_drop * 2**32), 2**32 - 1)
    return apply(p.dropout_mask, dropout_key(), shape=tuple(shape), threshold=threshold)


def _finished(
    function: Callable[[Tensor], Tensor], input: Tensor, inplace: bool, name: str
) -> Tensor:
    if not inplace:
        return function(input)
    check_writable(input, name)
    return write(input, function(version_before(input)), name)


def _dropped(
    input: Tensor, p_drop: float, training: bool, inplace: bool, shape: Any, name: str
) -> Tensor:
    """Drop with one decision for each element of `shape`, which broadcasts against the input."""
    _check(p_drop)
    if not training or p_drop == 0 or input.numel() == 0:
        return input
    keep = _kept(shape, p_drop)
    scale = 0.0 if p_drop == 1 else 1 / (1 - p_drop)
    return _finished(lambda x: apply(p.dropout, x, keep, scale=scale), input, inplace, name)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element becomes 0 with probability p; the others are divided by 1 - p.

    Args:
        input: any shape
        p: the probability to drop an element
        training: otherwise the input is returned as it is
        inplace: write into the input
    """
    return _dropped(input, p, training, inplace, input.shape, "dropout")


def _by_channel(name: str, input: Any, p: float, training: bool, inplace: bool, single: int) -> Any:
    """Drop whole channels; an input of `single` dimensions has no batch."""
    if input.ndim not in (single, single + 1):
        raise ShapeError(
            f"[{name}] Expected {single}D or {single + 1}D input, but received a {input.ndim}D "
            f"input of shape {tuple(input.shape)}; whole channels are dropped. Fix: use dropout"
        )
    lead = 1 if input.ndim == single else 2
    shape = (*input.shape[:lead], *(1,) * (input.ndim - lead))
    return _dropped(input, p, training, inplace, shape, name)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (batch, channels, length) become 0 with probability p."""
    return _by_channel("dropout1d", input, p, training, inplace, 2)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (batch, channels, height, width) become 0 with probability p.

    As in PyTorch, an input of 3 dimensions is (batch, channels, length), with a warning.
    """
    if input.ndim == 3:
        warn_user(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. To maintain the 1D channel-wise dropout behavior, please switch to using "
            "dropout1d instead."
        )
        return _by_channel("dropout2d", input, p, training, inplace, 2)
    return _by_channel("dropout2d", input, p, training, inplace, 3)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (batch, channels, depth, height, width) become 0 with probability p."""
    return _by_channel("dropout3d", input, p, training, inplace, 4)


def _alpha(input: Any, p: float, training: bool, inplace: bool, shape: Any, name: str) -> Any:
    """Dropped elements become SELU's floor; then mean and variance are put back.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017).
    """
    _check(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    scale = 0.0 if p == 1 else 1 / math.sqrt((SELU_FLOOR**2 * p + 1) * (1 - p))
    keep = _kept(shape, p).to(input.dtype)
    floor = SELU_FLOOR * scale
    shift = (keep - 1) * floor + floor * p
    return _finished(lambda x: x * (keep * scale) + shift, input, inplace, name)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, for networks with SELU."""
    return _alpha(input, p, training, inplace, input.shape, "alpha_dropout")


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels, (batch, channels, …)."""
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _alpha(input, p, training, inplace, shape, "feature_alpha_dropout")


class _Dropout(Module):
    function: Any

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        _check(p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, each element becomes 0 with probability p; the others are divided by 1 - p.

    >>> import narae
    >>> narae.nn.Dropout(0.5).eval()(narae.ones(3))
    tensor([1., 1., 1.])
    """

    function = staticmethod(dropout)


class Dropout1d(_Dropout):
    """In training, whole channels of (batch, channels, length) become 0 with probability p."""

    function = staticmethod(dropout1d)


class Dropout2d(_Dropout):
    """In training, whole channels of (batch, channels, height, width) become 0."""

    function = staticmethod(dropout2d)


class Dropout3d(_Dropout):
    """In training, whole channels of (batch, channels, depth, height, width) become 0."""

    function = staticmethod(dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks with SELU."""

    function = staticmethod(alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """Alpha dropout of whole channels."""

    function = staticmethod(feature_alpha_dropout)


__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]
