"""Windows as columns of a matrix (im2col), and its transpose (col2im)."""

import math
from typing import Any

import numpy as np

from narae.base.shapes import Shape

from .composite import Composite
from .contractions import conv_output_size
from .generators import zeros
from .indexing import index_add, take
from .movement import pad, permute, reshape, slice_
from .record import shape_of

Padding = tuple[tuple[int, int], ...]


def window_counts(
    space: Shape, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape
) -> Shape:
    """How many windows there are along each dimension."""
    return tuple(map(conv_output_size, space, kernel, stride, padding, dilation))


def _places(kernel: int, count: int, stride: int, dilation: int) -> Any:
    """What tap t of window o reads: dilation * t + stride * o, (kernel, count)."""
    return np.arange(kernel)[:, None] * dilation + np.arange(count) * stride


def _interleaved(dims: int) -> Shape:
    """The order of (batch, channels, kernel, out, kernel, out, ..) from all kernels, all outs.

    >>> _interleaved(2)
    (0, 1, 2, 4, 3, 5)
    """
    pairs = [(2 + dim, 2 + dims + dim) for dim in range(dims)]
    return (0, 1, *(place for pair in pairs for place in pair))


def _im2col(x: Any, *, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Any:
    dims = len(kernel)
    out = window_counts(shape_of(x)[2:], kernel, stride, padding, dilation)
    low = (0, 0, *(first for first, _ in padding))
    high = (0, 0, *(last for _, last in padding))
    cols = pad(x, low=low, high=high, value=0) if any((*low, *high)) else x
    for dim in reversed(range(dims)):
        places = _places(kernel[dim], out[dim], stride[dim], dilation[dim])
        cols = take(cols, places, dim=2 + dim)  # (.., kernel, out, ..)
    order = tuple(sorted(range(2 + 2 * dims), key=_interleaved(dims).__getitem__))
    batch, channels = shape_of(x)[:2]
    return reshape(
        permute(cols, dims=order), shape=(batch, channels * math.prod(kernel), math.prod(out))
    )


def _col2im(
    cols: Any, *, x_shape: Shape, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape
) -> Any:
    dims, (batch, channels, *space) = len(kernel), x_shape
    out = window_counts(tuple(space), kernel, stride, padding, dilation)
    total = reshape(cols, shape=(batch, channels, *kernel, *out))
    total = permute(total, dims=_interleaved(dims))
    for dim, (size, (low, high)) in enumerate(zip(space, padding, strict=True)):
        places = _places(kernel[dim], out[dim], stride[dim], dilation[dim])
        around = shape_of(total)
        empty = zeros((*around[: 2 + dim], size + low + high, *around[4 + dim :]), cols.dtype)
        total = index_add(empty, places, total, dim=2 + dim)
    start = (0, 0, *(low for low, _ in padding))
    stop = tuple(first + size for first, size in zip(start, x_shape, strict=True))
    return slice_(total, start=start, stop=stop, step=(1,) * len(x_shape))


# Chellapilla, Puri and Simard 2006, High Performance Convolutional Neural Networks, section 2.1.
im2col: Composite = Composite(
    "im2col",
    "x",
    "every window of (batch, channels, *space) as a column: (batch, channels * taps, windows)",
    _im2col,
    saves="x.shape",
    grads=(lambda grad, x_shape, **windows: col2im(grad, x_shape=x_shape, **windows),),
    grad_name="Im2ColBackward0",
)

col2im: Composite = Composite(
    "col2im",
    "cols",
    "the transpose of im2col: every column added to the window it came from",
    _col2im,
    grads=(lambda grad, x_shape, **windows: im2col(grad, **windows),),
    grad_name="Col2ImBackward0",
)
