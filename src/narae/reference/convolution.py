"""Convolution and its two gradients: copy the windows, then one matrix product (im2col + GEMM).

    out[n, o, p] = sum over c, t of w[o, c, t] * x[n, c, p * stride + t * dilation - low]

As in every deep-learning library this is a cross-correlation: the kernel is not flipped. The
three functions are the three ways to contract the same windows:

    out  = w @ cols           (out_channels, taps) @ (taps, pixels)
    w'   = out' @ cols.T      (out_channels, pixels) @ (pixels, taps)
    cols' = w.T @ out'        (taps, out_channels) @ (out_channels, pixels), then fold

where taps = in_channels / groups * kernel and pixels = batch * output positions. The windows
take `kernel` times the memory of the input, so the batch is worked off in pieces whose windows
stay near the processor.

Source: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for
Document Processing (2006), section 2.1.
"""

from __future__ import annotations

from math import prod

import numpy as np

from narae.reference.windows import (
    Array,
    Padding,
    Sizes,
    fold,
    interior,
    output_space,
    pad,
    padded_space,
    pieces,
    unfold,
)

# Size of the windows of one piece of the batch: large enough for an efficient matrix
# product, small enough to stay in the second- or third-level cache.
PIECE_BYTES = 2 * 1024 * 1024
# Each piece reads the whole weight again, so its windows are at least this many times larger.
PIECE_WEIGHTS = 4


def conv(
    x: Array,
    w: Array,
    *,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int = 1,
) -> Array:
    """Cross-correlation of `x` with `w` over one to three spatial dimensions.

    Args:
        x: (batch, in_channels, *space)
        w: (out_channels, in_channels / groups, *kernel)
        stride, dilation: one number per spatial dimension
        padding: (low, high) zeros per spatial dimension
        groups: channels are cut into this many independent convolutions

    Returns:
        (batch, out_channels, *out), out as `windows.output_size` says

    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> w = np.array([[[1.0, 0.0, -1.0]]])
    >>> conv(x, w, stride=(1,), padding=((0, 0),), dilation=(1,))
    array([[[-2., -2.]]])
    """
    batch, kernel = len(x), w.shape[2:]
    space = output_space(x.shape[2:], kernel, stride, padding, dilation)
    matrix = _grouped(w, groups)  # (groups, out_channels / groups, taps)
    out = np.empty((batch, len(w), *space), x.dtype)
    for part in pieces(batch, _piece_size(w, groups, space)):
        cols = _columns(x[part], kernel, stride, padding, dilation, space, groups)
        product = matrix @ cols  # (groups, out_channels / groups, pixels)
        product = product.reshape(len(w), len(x[part]), *space)
        out[part] = product.swapaxes(0, 1)
    return out


def conv_grad_x(
    grad_out: Array,
    w: Array,
    *,
    x_shape: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int = 1,
) -> Array:
    """Gradient of `conv` with respect to its input; as a forward map, transposed convolution.

    Args:
        grad_out: (batch, out_channels, *out)
        w: (out_channels, in_channels / groups, *kernel)
        x_shape: (batch, in_channels, *space), the shape of the result

    >>> grad_out, w = np.ones((1, 1, 2)), np.array([[[1.0, 0.0, -1.0]]])
    >>> how = dict(stride=(1,), padding=((0, 0),), dilation=(1,))
    >>> conv_grad_x(grad_out, w, x_shape=(1, 1, 4), **how)
    array([[[ 1.,  1., -1., -1.]]])
    """
    space, kernel, out_space = x_shape[2:], w.shape[2:], grad_out.shape[2:]
    matrix = np.ascontiguousarray(_grouped(w, groups).swapaxes(-1, -2))
    inner = interior(space, padding)
    grad_x = np.empty(tuple(x_shape), grad_out.dtype)
    for part in pieces(len(grad_out), _piece_size(w, groups, out_space)):
        cols = matrix @ _pixels(grad_out[part], groups)  # (groups, taps, pixels)
        cols = cols.reshape(x_shape[1], *kernel, len(grad_out[part]), *out_space)
        padded = fold(cols, padded_space(space, padding), stride, dilation)
        grad_x[part] = padded[inner].swapaxes(0, 1)
    return grad_x


def conv_grad_w(
    grad_out: Array,
    x: Array,
    *,
    w_shape: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int = 1,
) -> Array:
    """Gradient of `conv` with respect to its weight.

    Args:
        grad_out: (batch, out_channels, *out)
        x: (batch, in_channels, *space)
        w_shape: (out_channels, in_channels / groups, *kernel), the shape of the result

    >>> grad_out, x = np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> how = dict(stride=(1,), padding=((0, 0),), dilation=(1,))
    >>> conv_grad_w(grad_out, x, w_shape=(1, 1, 3), **how)
    array([[[3., 5., 7.]]])
    """
    kernel, space = w_shape[2:], grad_out.shape[2:]
    grad_w = np.zeros(tuple(w_shape), grad_out.dtype)
    matrix = _grouped(grad_w, groups)  # a view: (groups, out_channels / groups, taps)
    for part in pieces(len(x), _piece_size(grad_w, groups, space)):
        cols = _columns(x[part], kernel, stride, padding, dilation, space, groups)
        matrix += _pixels(grad_out[part], groups) @ cols.swapaxes(-1, -2)
    return grad_w


def _columns(
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    out: Sizes,
    groups: int,
) -> Array:
    """The windows of `x` as one matrix per group: (groups, taps, pixels)."""
    padded = pad(x.swapaxes(0, 1), padding)
    cols = unfold(padded, kernel, stride, dilation, out)
    return cols.reshape(_split(groups, x.shape[1] // groups * prod(kernel), len(x) * prod(out)))


def _pixels(x: Array, groups: int) -> Array:
    """Channels as rows: (batch, channels, *space) -> (groups, channels / groups, pixels)."""
    batch, channels = x.shape[:2]
    shape = _split(groups, channels // groups, batch * prod(x.shape[2:]))
    return x.swapaxes(0, 1).reshape(shape)


def _grouped(w: Array, groups: int) -> Array:
    """The weight as one matrix per group: (groups, out_channels / groups, taps)."""
    return w.reshape(_split(groups, len(w) // groups, prod(w.shape[1:])))


def _split(groups: int, rows: int, columns: int) -> tuple[int, ...]:
    """A matrix shape, with a leading dimension only where there is more than one group."""
    return (rows, columns) if groups == 1 else (groups, rows, columns)


def _piece_size(w: Array, groups: int, out: Sizes) -> int:
    """How many images to work off at once."""
    windows = groups * prod(w.shape[1:]) * prod(out) * w.itemsize  # bytes for one image
    return max(1, max(PIECE_BYTES, PIECE_WEIGHTS * w.nbytes) // max(windows, 1))
