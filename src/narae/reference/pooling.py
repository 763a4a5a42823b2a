"""Pooling: the largest value of every window with its position, the sum, and their gradients.

Everywhere `x` is (batch, channels, *space) with one to three spatial dimensions.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from narae.reference.windows import (
    Array,
    Padding,
    Sizes,
    Where,
    interior,
    output_space,
    pad,
    padded_space,
    remembered,
    tap,
    taps,
)


def max_pool(
    x: Array, *, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Array, Array]:
    """Largest value of every window, and where it was.

    out[o] = max over t of x[o * stride + t * dilation - low]

    The first of equal values wins; a NaN wins over everything, a later one over an earlier one.
    Padding never wins. As in PyTorch, rounding sizes up (`ceil_mode`) is a larger high padding.

    Args:
        x: (batch, channels, *space)
        kernel, stride, dilation: one number per spatial dimension
        padding: (low, high) per spatial dimension

    Returns:
        values, and their flat int64 positions in the plane of `x`; both (batch, channels, *out)

    >>> x = np.array([[[1.0, 5.0, 2.0, 0.0]]])
    >>> max_pool(x, kernel=(2,), stride=(2,), padding=((0, 0),), dilation=(1,))
    (array([[[5., 2.]]]), array([[[1, 2]]]))
    """
    if not any(low or high for low, high in padding) and x.size:
        out = output_space(x.shape[2:], kernel, stride, padding, dilation)
        values, winner = _max_without_padding(x, kernel, stride, dilation, out)
        if not np.isnan(values.max()):
            indices = _tap_offsets(x.shape[2:], kernel, dilation)[1:].take(winner)
            indices += _origins(x.shape[2:], out, stride, padding)
            return values, indices
    return _max_over_taps(x, kernel, stride, padding, dilation)


def _max_without_padding(
    x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, out: Sizes
) -> tuple[Array, Array]:
    """Largest values and the numbers of their taps from 0, if there is no NaN.

    Products instead of masked copies keep the loop free of unpredictable branches.
    """
    first, *others = _window_taps(kernel, out, stride, dilation)
    counts = np.uint8 if prod(kernel) < 256 else np.uint32
    values = x[first].copy()
    winner = np.zeros(values.shape, counts)
    for number, where in enumerate(others, start=1):
        candidate = x[where].copy()  # in one piece: the next three passes are quick
        wins = np.greater(candidate, values)
        np.maximum(values, candidate, out=values)
        # The largest number is the last that won.
        np.maximum(winner, np.multiply(wins, counts(number)), out=winner)
    return values, winner


def _max_over_taps(
    x: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Array, Array]:
    """As `max_pool`, also with padding and NaN."""
    space = x.shape[2:]
    out = output_space(space, kernel, stride, padding, dilation)
    lowest = _lowest(x.dtype)
    padded = pad(x, padding, lowest)
    has_nan = x.size > 0 and bool(np.isnan(x.max()))

    # Taps are numbered from one in reading order, so the winner is the largest number that
    # won; zero says that nothing rose above the start, as in a window of minus infinities.
    # Products instead of masked copies keep the loop free of unpredictable branches.
    values = np.full(x.shape[:2] + out, lowest, x.dtype)
    winner = np.zeros(values.shape, np.uint8 if prod(kernel) < 256 else np.uint32)
    for number, where in enumerate(_window_taps(kernel, out, stride, dilation), start=1):
        candidate = padded[where].copy()
        wins = candidate > values
        if has_nan:
            wins |= np.isnan(candidate)
        np.maximum(values, candidate, out=values)  # keeps NaN
        np.maximum(winner, wins * winner.dtype.type(number), out=winner)

    indices = _tap_offsets(space, kernel, dilation).take(winner)
    indices += _origins(space, out, stride, padding)
    if not winner.all():
        first = _first_positions(space, kernel, stride, padding, dilation)
        indices = np.where(winner == 0, first, indices)
    return values, indices


def max_pool_grad(grad_out: Array, indices: Array, *, x_shape: Sizes) -> Array:
    """Gradient of `max_pool`: each output gradient is added where its maximum was.

    Args:
        grad_out: (batch, channels, *out)
        indices: (batch, channels, *out), as `max_pool` returned them
        x_shape: (batch, channels, *space), the shape of the result

    >>> max_pool_grad(np.array([[[1.0, 2.0]]]), np.array([[[1, 1]]]), x_shape=(1, 1, 4))
    array([[[0., 3., 0., 0.]]])
    """
    grad_x = np.zeros(tuple(x_shape), grad_out.dtype)
    batch, channels, *space = x_shape
    plane_starts = np.arange(batch * channels).reshape(batch, channels) * prod(space)
    flat = indices + plane_starts[..., *(None,) * len(space)]
    np.add.at(grad_x.reshape(-1), flat.reshape(-1), grad_out.reshape(-1))
    return grad_x


def window_sum(
    x: Array, *, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> Array:
    """Sum of every window, one dimension at a time; padding counts as zero.

    Args:
        x: (batch, channels, *space)
        kernel, stride, dilation: one number per spatial dimension
        padding: (low, high) per spatial dimension

    Returns:
        (batch, channels, *out)

    >>> x = np.array([[[1.0, 5.0, 2.0, 0.0]]])
    >>> window_sum(x, kernel=(2,), stride=(1,), padding=((0, 1),), dilation=(1,))
    array([[[6., 7., 2., 0.]]])
    """
    out = output_space(x.shape[2:], kernel, stride, padding, dilation)
    total = pad(x, padding)
    for dim in reversed(range(len(kernel))):
        first, *others = taps(dim + 2, kernel[dim], out[dim], stride[dim], dilation[dim])
        partial = total[first].copy()
        for where in others:
            partial += total[where]
        total = partial
    return total


def window_sum_grad(
    grad_out: Array,
    *,
    x_shape: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
) -> Array:
    """Gradient of `window_sum`: each output gradient is added to its whole window.

    Args:
        grad_out: (batch, channels, *out)
        x_shape: (batch, channels, *space), the shape of the result

    >>> how = dict(kernel=(2,), stride=(1,), padding=((0, 0),), dilation=(1,))
    >>> window_sum_grad(np.ones((1, 1, 3)), x_shape=(1, 1, 4), **how)
    array([[[1., 2., 2., 1.]]])
    """
    space = tuple(x_shape[2:])
    total = grad_out
    for dim, size in enumerate(padded_space(space, padding)):
        shape = (*total.shape[: dim + 2], size, *total.shape[dim + 3 :])
        spread = np.zeros(shape, grad_out.dtype)
        for where in taps(dim + 2, kernel[dim], total.shape[dim + 2], stride[dim], dilation[dim]):
            spread[where] += total
        total = spread
    return np.ascontiguousarray(total[interior(space, padding)])


def _lowest(dtype: np.dtype[Any]) -> Any:
    """A value that nothing of this type lies below."""
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


@remembered
def _first_positions(
    space: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> Array:
    """Flat position of the first tap of every window that is not padding: (*out,)."""
    out = output_space(space, kernel, stride, padding, dilation)
    starts = []
    for dim, count in enumerate(out):
        start = np.arange(count) * stride[dim] - padding[dim][0]
        skipped = np.maximum(0, -(start // dilation[dim]))  # whole taps left of the input
        starts.append(start + skipped * dilation[dim])
    return _flat(starts, space)


@remembered
def _window_taps(kernel: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Where, ...]:
    """For every tap of the window in reading order: the padded positions it reads."""
    return tuple(
        (..., *(tap(*per_dim) for per_dim in zip(offset, out, stride, dilation, strict=True)))
        for offset in np.ndindex(*kernel)
    )


@remembered
def _origins(space: Sizes, out: Sizes, stride: Sizes, padding: Padding) -> Array:
    """Flat position of every window's corner, which may lie in the padding: (*out,)."""
    per_dim = zip(out, stride, padding, strict=True)
    return _flat([np.arange(count) * step - low for count, step, (low, _) in per_dim], space)


@remembered
def _tap_offsets(space: Sizes, kernel: Sizes, dilation: Sizes) -> Array:
    """Flat distance from a window's corner to each tap, numbered from one."""
    per_dim = zip(kernel, dilation, strict=True)
    offsets = _flat([np.arange(count) * spread for count, spread in per_dim], space)
    return np.concatenate([[0], offsets.reshape(-1)])


def _flat(places: list[Array], space: Sizes) -> Array:
    """Flat positions of a grid, given its positions along each dimension.

    >>> _flat([np.array([0, 2]), np.array([1, 3])], (4, 5))
    array([[ 1,  3],
           [11, 13]])
    """
    flat = np.zeros((), np.int64)
    for place, size in zip(places, space, strict=True):
        flat = flat[..., None] * size + place
    return flat
