"""Layers in NumPy: fewer passes over memory than their decompositions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

from . import convolution as kernels

Array = Any


def convolution(x: Array, w: Array, b: Array | None, **attrs: Any) -> Array:
    """Convolution, and the bias added in place."""
    return _biased(kernels.conv(x, w, **attrs), b)


def conv_transpose(x: Array, w: Array, b: Array | None, *, out_shape: Any, **attrs: Any) -> Array:
    """Transposed convolution, and the bias added in place."""
    return _biased(kernels.conv_grad_x(x, w, x_shape=out_shape, **attrs), b)


def _biased(out: Array, b: Array | None) -> Array:
    if b is not None:
        out += b.reshape(-1, *(1,) * (out.ndim - 2))
    return out


_reduce: Any = np.add.reduce


def _average(x: Array, dim: tuple[int, ...]) -> Array:
    total = _reduce(x, dim, None, None, True)
    count = x.size // max(total.size, 1)
    total /= count if count else np.nan
    return total


def _moments(x: Array, dim: tuple[int, ...]) -> tuple[Array, Array, Array]:
    mean = _average(x, dim)
    centred = x - mean
    return centred, mean, _average(centred * centred, dim)


def _rstd(var: Array, eps: float) -> Array:
    rstd = var + var.dtype.type(eps)
    np.sqrt(rstd, out=rstd)
    return np.reciprocal(rstd, out=rstd)


def _affine(xhat: Array, w: Array | None, b: Array | None) -> Array:
    """xhat * w + b, in place."""
    if w is not None:
        xhat *= w
    if b is not None:
        xhat += b
    return xhat


def _channels(v: Array | None, rank: int) -> Array | None:
    return None if v is None else v.reshape(1, -1, *(1,) * (rank - 2))


def batch_norm(
    x: Array, w: Array | None, b: Array | None, *, eps: float
) -> tuple[Array, Array, Array]:
    """Normalization over the batch and all pixels; also the mean and the variance."""
    rank = x.ndim
    centred, mean, var = _moments(x, (0, *range(2, rank)))
    centred *= _rstd(var, eps)
    out = _affine(centred, _channels(w, rank), _channels(b, rank))
    return out, mean.reshape(-1), var.reshape(-1)


def fixed_norm(
    x: Array, mean: Array, var: Array, w: Array | None, b: Array | None, *, eps: float
) -> Array:
    """Normalization with a given mean and variance."""
    rank = x.ndim
    out = x - _channels(mean, rank)
    out *= _channels(_rstd(var, eps), rank)
    return _affine(out, _channels(w, rank), _channels(b, rank))


def moving_average(old: Array, new: Array, *, momentum: float, scale: float) -> Array:
    """(1 - momentum) * old + momentum * scale * new."""
    return old * (1 - momentum) + new * (momentum * scale)


def layer_norm(
    x: Array, w: Array | None, b: Array | None, *, rank: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalization over the last dimensions; also the mean and the inverse deviation."""
    centred, mean, var = _moments(x, tuple(range(x.ndim - rank, x.ndim)))
    rstd = _rstd(var, eps)
    centred *= rstd
    return _affine(centred, w, b), mean, rstd


def group_norm(
    x: Array, w: Array | None, b: Array | None, *, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalization over the channels of a group and all pixels."""
    size = int(np.prod(x.shape[1:])) // groups
    centred, mean, var = _moments(x.reshape(len(x), groups, size), (2,))
    rstd = _rstd(var, eps)
    centred *= rstd
    out = centred.reshape(x.shape)
    return _affine(out, _channels(w, x.ndim), _channels(b, x.ndim)), mean, rstd


def dropout(x: Array, keep: Array, *, scale: float) -> Array:
    """x times a mask of 0 and scale."""
    noise = keep.astype(x.dtype)
    noise *= x.dtype.type(scale)
    if noise.shape == x.shape:
        return np.multiply(noise, x, out=noise)
    return x * noise


def embedding(w: Array, index: Array, *, padding: int | None, by_frequency: bool) -> Array:
    """Rows of a table."""
    from .indexing import take

    return take(w, index, dim=0)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.convolution: convolution,
    p.conv_transpose: conv_transpose,
    p.batch_norm: batch_norm,
    p.fixed_norm: fixed_norm,
    p.moving_average: moving_average,
    p.layer_norm: layer_norm,
    p.group_norm: group_norm,
    p.dropout: dropout,
    p.embedding: embedding,
}
