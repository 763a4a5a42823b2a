"""RoI pooling: the largest value in each bin of a box, on whole feature pixels.

Girshick 2015, "Fast R-CNN", section 2.1. A box is rounded to feature pixels and cut into bins whose
edges are rounded outwards, so that neighbouring bins may share a row. Of equal values the first in
reading order wins and receives the gradient.

First come the maxima of all windows of 1, 2, 4, … rows and columns, each from two of the size
before; then four windows, one in each corner, cover a bin of whatever size (a sparse table: Bender
and Farach-Colton 2000, "The LCA problem revisited", section 3).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from narae import tensors
from narae.autograd import Function
from narae.autograd.function import once_differentiable
from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.nn.sizes import repeated
from narae.tensors import Tensor, arange, cat, from_numpy, is_tracing, no_grad, where

from .regions import Regions, as_array, as_rois

_BINS_AT_ONCE = 512  # so that what is compared stays in the processor's cache

# Values and the places where they stand, row * width + column; None where nobody asks for places.
Found = tuple[Any, Any]


def roi_pool(
    input: Tensor, boxes: Regions, output_size: int | Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    """The maximum in each bin of each box; zero in a bin that lies outside the map.

    Args:
        input: features (batch, channels, height, width).
        boxes: (k, 5), the image's place in the batch and corners; or one (n, 4) an image.
        output_size: bins: (rows, columns), or one number for both.
        spatial_scale: feature pixels per unit of the boxes.

    Returns: (k, channels, rows, columns). Gradients flow to the features only.

    >>> import narae
    >>> x = narae.arange(16.0).view(1, 1, 4, 4)
    >>> roi_pool(x, [narae.tensor([[0.0, 0.0, 3.0, 3.0]])], 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    bins = repeated(output_size, 2, "output_size")
    if min(bins) < 1:
        given = f"output_size is {output_size}"
        raise ConfigError(explain("roi_pool", given, "a region has at least one bin"))
    rois = as_rois(boxes, input.shape[0], "roi_pool").detach()
    if is_tracing():
        return _traced(input, rois, bins, spatial_scale)
    out: Tensor = _RoIPool.apply(input, rois, bins, spatial_scale)
    return out


# --- what arrays and tensors have in common: `of` is numpy or narae.tensors ----------------------


def _bins(start: Any, end: Any, bins: int, length: int, of: Any) -> tuple[Any, Any, Any]:
    """The places of an axis that belong to each bin: (k,), (k,) -> (k, bins) each.

    Args:
        start, end: the sides of the boxes in feature pixels.
        bins: along this axis.
        length: of the axis.
        of: numpy or narae.tensors.

    Returns: the first place; one behind the last, not behind the first if there is no place; and
    the largest n for which 2^n is no more than there are.
    """
    start, end = _rounded(start, of), _rounded(end, of)
    step = (end - start + 1).clip(1, None) / bins  # (k,)
    number = of.arange(bins, dtype=step.dtype)
    low = of.floor(number * step[:, None]) + start[:, None]
    high = of.ceil((number + 1) * step[:, None]) + start[:, None]
    low, high = low.clip(0, length), high.clip(0, length)
    power = sum([(high - low >= 2**n) * 1 for n in range(1, length.bit_length())], 0 * low)
    return low, high, power


def _rounded(x: Any, of: Any) -> Any:
    """To the nearest whole number, halves away from zero, as C rounds."""
    whole = of.trunc(x)
    return whole + of.sign(x) * (abs(x - whole) >= 0.5)


def _windows(found: Found, powers: tuple[int, int], of: Any) -> Iterator[tuple[int, int, Found]]:
    """The largest values of windows of 2^r rows and 2^c columns, for each r and c up to `powers`.

    Args:
        found: (batch, height, width, channels).
        powers: the largest r and c.
        of: numpy or narae.tensors.

    Yields: r, c, and for each window, by its first row and column, the value and its place.
    """
    for column in range(powers[1] + 1):
        if column:
            found = _wider(found, 2 ** (column - 1), 2, of)
        high = found
        yield 0, column, high
        for row in range(1, powers[0] + 1):
            high = _wider(high, 2 ** (row - 1), 1, of)
            yield row, column, high


def _wider(found: Found, step: int, axis: int, of: Any) -> Found:
    """Windows of twice the size along an axis, of two that touch: the first of equal values."""
    before: Any = (slice(None),) * axis
    one, other = (*before, slice(None, -step)), (*before, slice(step, None))
    values, places = found
    if places is not None:
        places = of.where(values[other] > values[one], places[other], places[one])
    return of.maximum(values[one], values[other]), places


def _larger(a: Found, b: Found, of: Any) -> Found:
    """The larger of two values; of equal ones that with the smaller place."""
    (values, places), (others, elsewhere) = a, b
    if places is not None:
        better = (others > values) | ((others == values) & (elsewhere < places))
        places = of.where(better, elsewhere, places)
    return of.maximum(values, others), places


# --- eager --------------------------------------------------------------------------------------


class _RoIPool(Function):
    """Forward and backward with channels last, by the windows that the bins need."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, rois: Tensor, bins: Any, scale: float) -> Tensor:
        dtype = np.float64 if input.dtype.itemsize == 8 else np.float32
        features = as_array(input, dtype).transpose(0, 2, 3, 1)  # (batch, height, width, channels)
        features = np.ascontiguousarray(features)
        boxes = as_array(rois, dtype)
        images, sides = boxes[:, 0].astype(int), boxes[:, 1:] * dtype(scale)
        rows = _bins(sides[:, 1], sides[:, 3], bins[0], features.shape[1], np)
        columns = _bins(sides[:, 0], sides[:, 2], bins[1], features.shape[2], np)
        by_row, by_column = ([x.astype(int) for x in axis] for axis in (rows, columns))
        out, ctx.place = _largest(features, images, by_row, by_column, ctx.needs_input_grad[0])
        ctx.images, ctx.shape, ctx.features_dtype = images, features.shape, input.dtype
        result = np.ascontiguousarray(out.transpose(0, 3, 1, 2))
        return from_numpy(result).to(input.dtype)  # (k, channels, rows, columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Any:
        batch, height, width, channels = ctx.shape
        grads = as_array(grad_out, np.float64).transpose(0, 2, 3, 1)  # (k, rows, columns, channels)
        image = ctx.images[:, None, None, None]
        flat = (image * (height * width) + ctx.place) * channels + np.arange(channels)
        grads = np.where(ctx.place < 0, 0, grads)  # such a bin has no place
        summed = np.bincount(flat.clip(0).ravel(), grads.ravel(), batch * height * width * channels)
        grad_x = summed.reshape(ctx.shape).transpose(0, 3, 1, 2)
        return from_numpy(np.ascontiguousarray(grad_x)).to(ctx.features_dtype), None, None, None


def _largest(features: Any, images: Any, rows: Any, columns: Any, with_places: bool) -> Found:
    """The largest value of each bin, and its place; without places 0, and -1.

    Args:
        features: (batch, height, width, channels).
        images: (k,).
        rows, columns: what `_bins` says of them.
        with_places: whether to say places.

    Returns: (k, rows, columns, channels) each.
    """
    (top, bottom, down), (left, right, across) = rows, columns
    shape = (len(images), top.shape[1], left.shape[1], features.shape[3])
    out = np.zeros(shape, features.dtype)
    place = np.full(shape, -1, np.int32) if with_places else None
    inside = (bottom > top)[:, :, None] & (right > left)[:, None]  # (k, rows, columns)
    found = features, _numbers(features) if with_places else None
    for row, column, windows in _windows(found, (down.max(initial=0), across.max(initial=0)), np):
        fits = np.nonzero(inside & (down == row)[:, :, None] & (across == column)[:, None])
        for first in range(0, len(fits[0]), _BINS_AT_ONCE):
            k, i, j = (x[first : first + _BINS_AT_ONCE] for x in fits)
            ys = [top[k, i], bottom[k, i] - 2**row][: 1 + min(row, 1)]
            xs = [left[k, j], right[k, j] - 2**column][: 1 + min(column, 1)]
            best, *others = [_rows_of(windows, images[k], y, x) for y in ys for x in xs]
            for other in others:
                best = _larger(best, other, np)
            out[k, i, j] = best[0]
            if place is not None:
                place[k, i, j] = best[1]
    return out, place


def _numbers(features: Any) -> Any:
    """The place of each value of an array (batch, height, width, channels)."""
    _, height, width, _ = features.shape
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width, 1)
    return np.broadcast_to(numbers, features.shape)


def _rows_of(windows: Found, image: Any, y: Any, x: Any) -> Found:
    """All channels of some windows: (n,), (n,), (n,) -> (n, channels) each."""
    _, height, width, channels = windows[0].shape
    flat = (image * height + y) * width + x
    values, places = (
        x if x is None else x.reshape(-1, channels).take(flat, axis=0) for x in windows
    )
    return values, places


# --- compiled -----------------------------------------------------------------------------------


def _traced(input: Tensor, rois: Tensor, bins: tuple[int, ...], scale: float) -> Tensor:
    """The same by all windows that there are, since the size of a box must change no shape."""
    channels, height, width = input.shape[1:]
    features = input.permute(0, 2, 3, 1)  # (batch, height, width, channels)
    sides = rois[:, 1:].to(input.dtype) * scale  # (k, 4)
    rows = _bins(sides[:, 1], sides[:, 3], bins[0], height, tensors)
    columns = _bins(sides[:, 0], sides[:, 2], bins[1], width, tensors)
    image = rois[:, 0].long()[:, None, None]  # (k, 1, 1)
    with no_grad():
        place = _places(features.detach(), image, rows, columns)  # (k, rows, columns, channels)
    flat = image[..., None] * (height * width) + place
    values = features.reshape(-1, channels).gather(0, flat.reshape(-1, channels))
    out = values.view(-1, *bins, channels).permute(0, 3, 1, 2)  # (k, channels, rows, columns)
    inside = (rows[1] > rows[0])[:, None, :, None] & (columns[1] > columns[0])[:, None, None]
    return where(inside, out, out.new_zeros(()))


def _places(features: Tensor, image: Tensor, rows: Any, columns: Any) -> Tensor:
    """Where the largest value of each bin stands; of a bin without places, anywhere.

    Args:
        features: (batch, height, width, channels).
        image: (k, 1, 1).
        rows, columns: what `_bins` says of them.

    Returns: (k, rows, columns, channels).
    """
    _, height, width, channels = features.shape
    powers = height.bit_length() - 1, width.bit_length() - 1
    grid = arange(height * width).view(1, height, width, 1).expand(features.shape)
    tables = [found for _, _, found in _windows((features, grid), powers, tensors)]
    flat = ([x.reshape(-1, channels) for x in part] for part in zip(*tables, strict=True))
    values, places = map(cat, flat)  # (windows of all sizes, channels) each
    begins = np.cumsum([0, *(x.numel() // channels for x, _ in tables)])[:-1]
    (top, bottom, down), (left, right, across) = (
        [x.long() for x in axis] for axis in (rows, columns)
    )
    high, wide = height - 2**down + 1, width - 2**across + 1  # how many windows there are
    begin = from_numpy(begins)[across[:, None] * (powers[0] + 1) + down[:, :, None]]
    ys = [y.clamp(min=0).minimum(high - 1) for y in (top, bottom - 2**down)]
    xs = [x.clamp(min=0).minimum(wide - 1) for x in (left, right - 2**across)]
    best: Any = None
    for y, x in itertools.product(ys, xs):
        line = begin + (image * high[:, :, None] + y[:, :, None]) * wide[:, None] + x[:, None]
        found = values[line], places[line]  # (k, rows, columns, channels) each
        best = found if best is None else _larger(best, found, tensors)
    found_at: Tensor = best[1]
    return found_at


class RoIPool(Module):
    """`roi_pool` as a layer.

    Args:
        output_size: bins: (rows, columns), or one number for both.
        spatial_scale: feature pixels per unit of the boxes.

    >>> RoIPool(7, 0.0625)
    RoIPool(output_size=7, spatial_scale=0.0625)
    """

    def __init__(self, output_size: int | Sequence[int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Regions) -> Tensor:
        """Features (batch, channels, height, width) and boxes to (k, channels, rows, columns)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
