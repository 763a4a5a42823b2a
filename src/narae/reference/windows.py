"""Sliding windows: sizes, taps, and the copies between an image and its windows.

A window of `kernel` taps moves over each spatial dimension. Tap `t` of the window at output
position `o` reads padded position `o * stride + t * dilation`. `unfold` copies every window
out (im2col) and `fold` is its adjoint: it adds every window back (col2im).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Sizes: TypeAlias = tuple[int, ...]
Padding: TypeAlias = tuple[tuple[int, int], ...]
Where: TypeAlias = tuple[Any, ...]  # an index: slices, perhaps after an ellipsis

# Geometry is the same at every training step, and for small images computing it takes as
# long as the arithmetic; so it is remembered.
remembered = lru_cache(maxsize=4096)


def output_size(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> int:
    """Number of windows along one dimension.

    out = floor((size + low + high - dilation * (kernel - 1) - 1) / stride) + 1

    >>> output_size(28, kernel=3, stride=1, padding=(1, 1), dilation=1)
    28
    """
    reach = dilation * (kernel - 1) + 1
    return (size + sum(padding) - reach) // stride + 1


@remembered
def output_space(
    space: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[int, ...]:
    """Number of windows along every spatial dimension."""
    per_dim = zip(space, kernel, stride, padding, dilation, strict=True)
    return tuple(output_size(*arguments) for arguments in per_dim)


@remembered
def padded_space(space: Sizes, padding: Padding) -> tuple[int, ...]:
    """Spatial sizes after padding.

    >>> padded_space((5, 6), ((1, 1), (0, 2)))
    (7, 8)
    """
    return tuple(size + low + high for size, (low, high) in zip(space, padding, strict=True))


@remembered
def interior(space: Sizes, padding: Padding) -> Where:
    """Index of the unpadded input inside the padded one, over the trailing dimensions."""
    pairs = zip(space, padding, strict=True)
    return (..., *(slice(low, low + size) for size, (low, _) in pairs))


def tap(position: int, count: int, stride: int, dilation: int) -> slice:
    """Padded positions that one tap reads, over `count` windows.

    >>> tap(2, count=3, stride=2, dilation=1)
    slice(2, 7, 2)
    """
    start = position * dilation
    return slice(start, start + (count - 1) * stride + 1 if count > 0 else start, stride)


@remembered
def taps(place: int, kernel: int, count: int, stride: int, dilation: int) -> tuple[Where, ...]:
    """Indices that read the positions of each tap of the kernel along dimension `place`."""
    whole = (slice(None),) * place
    return tuple((*whole, tap(position, count, stride, dilation)) for position in range(kernel))


def pad(x: Array, padding: Padding, fill: float = 0.0) -> Array:
    """Pads the trailing dimensions of `x`; returns `x` itself where there is nothing to pad."""
    if not any(low or high for low, high in padding):
        return x
    lead = x.ndim - len(padding)
    space = x.shape[lead:]
    shape = x.shape[:lead] + padded_space(space, padding)
    out: Array = np.zeros(shape, x.dtype) if fill == 0 else np.full(shape, fill, x.dtype)
    out[interior(space, padding)] = x
    return out


def unfold(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> Array:
    """Copies every window of a padded input (im2col), one dimension at a time.

    The last dimension goes first, so that the later and larger copies move whole rows.

    Args:
        x: (channels, batch, *padded)
        kernel, stride, dilation: one number per spatial dimension
        out: number of windows per spatial dimension

    Returns:
        (channels, *kernel, batch, *out)

    >>> unfold(np.arange(4.0).reshape(1, 1, 4), (2,), (1,), (1,), (3,))[0, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.]])
    """
    cols = x
    # Each pass puts a kernel dimension in front, so the next spatial one stays at this place.
    axis = len(kernel) + 1
    for dim in reversed(range(len(kernel))):
        before, after = cols.shape[1:axis], cols.shape[axis + 1 :]
        shape = (len(x), kernel[dim], *before, out[dim], *after)
        if kernel[dim] == 1 and stride[dim] == 1:
            cols = cols.reshape(shape)
            continue
        windows = np.empty(shape, x.dtype)
        reads = taps(axis, kernel[dim], out[dim], stride[dim], dilation[dim])
        for position, where in enumerate(reads):
            windows[:, position] = cols[where]
        cols = windows
    return cols


def fold(cols: Array, space: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Adds every window back to where `unfold` read it (col2im), the adjoint of `unfold`.

    Args:
        cols: (channels, *kernel, batch, *out)
        space: padded spatial sizes
        stride, dilation: one number per spatial dimension

    Returns:
        (channels, batch, *space)

    >>> fold(np.ones((1, 2, 1, 3)), (4,), (1,), (1,))[0, 0]
    array([1., 2., 2., 1.])
    """
    axis = len(space) + 1
    for dim, size in enumerate(space):
        kernel, count = cols.shape[1], cols.shape[axis + 1]
        before, after = cols.shape[2 : axis + 1], cols.shape[axis + 2 :]
        shape = (len(cols), *before, size, *after)
        if kernel == 1 and stride[dim] == 1 and count == size:
            cols = cols.reshape(shape)
            continue
        total = np.zeros(shape, cols.dtype)
        for position, where in enumerate(taps(axis, kernel, count, stride[dim], dilation[dim])):
            total[where] += cols[:, position]
        cols = total
    return cols


def pieces(count: int, size: int) -> Iterator[slice]:
    """Cuts `count` items into runs of at most `size`.

    >>> list(pieces(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
