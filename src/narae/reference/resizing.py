"""Resampling and windows as columns in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.primitives.folding import window_counts
from narae.primitives.resizing import Taps, matrices

from . import windows as w

Array = Any


def resize(x: Array, **how: Any) -> Array:
    """Resampled along one dimension after the other.

    Args:
        x: (batch, channels, *space)
    """
    for dim, taps in matrices(x.dtype, **how):
        x = _along(x, taps, dim)
    return x


def _along(x: Array, taps: Taps, dim: int) -> Array:
    """The sum over taps, in place; what pads the table adds nothing, whatever x holds there."""
    total = x.take(taps.index[0], dim, None, "clip")
    if taps.weight is None:
        return total
    shape = (-1,) + (1,) * (x.ndim - dim - 1)
    used = np.ones_like(taps.weight, bool) if taps.used is None else taps.used
    _weigh(total, taps.weight[0].reshape(shape), used[0], dim)
    for index, weight, counts in zip(taps.index[1:], taps.weight[1:], used[1:], strict=True):
        part = x.take(index, dim, None, "clip")
        _weigh(part, weight.reshape(shape), counts, dim)
        total += part
    return total


def _weigh(part: Array, weight: Array, counts: Array, dim: int) -> None:
    part *= weight
    if not counts.all():
        part[(slice(None),) * dim + (~counts,)] = 0


def im2col(x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Array:
    """Windows copied out one dimension at a time.

    Args:
        x: (batch, channels, *space)
    """
    batch, channels, *space = x.shape
    out = window_counts(tuple(space), kernel, stride, padding, dilation)
    planes = w.pad(x, padding).reshape(batch * channels, 1, *w.padded_space(tuple(space), padding))
    cols = w.unfold(planes, kernel, stride, dilation, out)  # (planes, *kernel, 1, *out)
    if cols.base is not None and np.may_share_memory(cols, x):
        cols = cols.copy()
    return cols.reshape(batch, channels * int(np.prod(kernel)), int(np.prod(out)))


def col2im(
    cols: Array, *, x_shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """Windows added back one dimension at a time.

    Args:
        cols: (batch, channels * taps, windows)
        x_shape: (batch, channels, *space)
    """
    batch, channels, *space = x_shape
    out = window_counts(tuple(space), kernel, stride, padding, dilation)
    planes = cols.reshape(batch * channels, *kernel, 1, *out)
    total = w.fold(planes, w.padded_space(tuple(space), padding), stride, dilation)
    inner = total[w.interior(tuple(space), padding)].reshape(x_shape)
    return inner.copy() if np.may_share_memory(inner, cols) else inner


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.resize: resize,
    p.im2col: im2col,
    p.col2im: col2im,
}
