"""Movement in NumPy: views wherever NumPy has them."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from narae import primitives as p

Array = Any


def reshape(x: Array, *, shape: Any) -> Array:
    """A view when the layout allows it."""
    return x.reshape(shape)


def permute(x: Array, *, dims: Any) -> Array:
    """A view."""
    return x.transpose(dims)


def expand(x: Array, *, shape: Any) -> Array:
    """A view with stride 0 along repeated dimensions.

    The constructor is ten times faster than `np.broadcast_to`, but takes contiguous memory only.
    """
    strides = _expanded_strides(x.shape, x.strides, shape)
    if not x.flags.c_contiguous:
        return np.lib.stride_tricks.as_strided(x, shape, strides)
    return np.ndarray(shape, x.dtype, x, 0, strides)


@lru_cache(4096)
def _expanded_strides(sizes: Any, strides: Any, shape: Any) -> tuple[int, ...]:
    extra = len(shape) - len(sizes)
    kept = tuple(
        0 if size == 1 and wanted != 1 else stride
        for size, stride, wanted in zip(sizes, strides, shape[extra:], strict=True)
    )
    return (0,) * extra + kept


@lru_cache(4096)
def _slices(start: Any, stop: Any, step: Any) -> tuple[slice, ...]:
    return tuple(map(slice, start, stop, step))


def slice_(x: Array, *, start: Any, stop: Any, step: Any) -> Array:
    """A view."""
    return x[_slices(start, stop, step)]


def update_slice(x: Array, y: Array, *, start: Any, stop: Any, step: Any) -> Array:
    """A copy of x with y written in."""
    out = x.copy()
    out[_slices(start, stop, step)] = y
    return out


def pad(x: Array, *, low: Any, high: Any, value: float) -> Array:
    """A constant around x."""
    shape = tuple(a + size + b for a, size, b in zip(low, x.shape, high, strict=True))
    out = np.full(shape, value, x.dtype)
    out[tuple(slice(a, a + size) for a, size in zip(low, x.shape, strict=True))] = x
    return out


def flip(x: Array, *, dim: Any) -> Array:
    """A copy, because PyTorch has no negative strides."""
    return np.flip(x, axis=dim).copy()


def concat(*xs: Array, dim: int) -> Array:
    """One after the other."""
    return np.concatenate(xs, axis=dim)


def diagonal(x: Array, *, offset: int, dim1: int, dim2: int) -> Array:
    """A writeable view (NumPy's own is read-only)."""
    view = np.diagonal(x, offset, dim1, dim2)
    view.flags.writeable = x.flags.writeable
    return view


def update_diagonal(x: Array, y: Array, *, offset: int, dim1: int, dim2: int) -> Array:
    """A copy of x with another diagonal."""
    out = x.copy()
    diagonal(out, offset=offset, dim1=dim1, dim2=dim2)[...] = y
    return out


def windows(x: Array, *, dim: int, size: int, step: int) -> Array:
    """A view in which windows overlap."""
    count = (x.shape[dim] - size) // step + 1
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
    stride = x.strides[dim]
    strides = (*x.strides[:dim], stride * step, *x.strides[dim + 1 :], stride)
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def fold_windows(x: Array, *, x_shape: Any, dim: int, size: int, step: int) -> Array:
    """Add every window back in its place, one position within the window at a time."""
    out = np.zeros(x_shape, x.dtype)
    count = x.shape[dim]
    for position in range(size):
        place = [slice(None)] * len(x_shape)
        place[dim] = slice(position, position + (count - 1) * step + 1, step)
        out[tuple(place)] += x[..., position]
    return out


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.reshape: reshape,
    p.permute: permute,
    p.expand: expand,
    p.slice_: slice_,
    p.update_slice: update_slice,
    p.pad: pad,
    p.flip: flip,
    p.concat: concat,
    p.diagonal: diagonal,
    p.update_diagonal: update_diagonal,
    p.windows: windows,
    p.fold_windows: fold_windows,
}
