"""RoI pooling: the largest value in each bin of a box, on whole feature pixels.

Girshick 2015, "Fast R-CNN", section 2.1. A box is rounded to feature pixels and cut into bins whose
edges are rounded outwards, so that neighbouring bins may share a row. The maximum over a bin is
taken within each of its rows, then over the rows; of equal values the first in reading order wins
and receives the gradient. A compiled step, whose shapes are fixed, looks at the whole map for each
bin: there, small maps are quick and large ones are not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.autograd import Function
from narae.autograd.function import once_differentiable
from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.nn.sizes import repeated
from narae.tensors import Tensor, arange, from_numpy, is_tracing, trunc, where

from .regions import Regions, as_array, as_rois


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


# --- eager --------------------------------------------------------------------------------------


def _places(start: Any, end: Any, bins: int, length: int) -> tuple[Any, Any, Any]:
    """The places of an axis that belong to each bin: (k,), (k,) -> (k, steps, bins).

    Bins with fewer places repeat their last one.

    Returns: the places, how many steps a box needs (k,), and which bins have any (k, bins).
    """
    start, end = _rounded(start), _rounded(end)
    step = np.maximum(end - start + 1, 1) / bins  # (k,)
    number = np.arange(bins, dtype=step.dtype)
    low = np.floor(number * step[:, None]) + start[:, None]
    high = np.ceil((number + 1) * step[:, None]) + start[:, None]
    low, high = low.clip(0, length).astype(int), high.clip(0, length).astype(int)
    counts = (high - low).max(axis=1).clip(1)  # (k,)
    steps = np.arange(counts.max(initial=1))[:, None]
    places = np.minimum(low[:, None] + steps, np.maximum(high - 1, low)[:, None])
    return places.clip(0, length - 1), counts, high > low


def _rounded(x: Any) -> Any:
    """To the nearest whole number, halves away from zero, as C rounds."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (np.abs(x - whole) >= 0.5)


class _RoIPool(Function):
    """Forward and backward over the part of the map under each box, channels last."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, rois: Tensor, bins: Any, scale: float) -> Tensor:
        dtype = np.float64 if input.dtype.itemsize == 8 else np.float32
        features = as_array(input, dtype).transpose(0, 2, 3, 1)  # (batch, height, width, channels)
        features = np.ascontiguousarray(features)
        boxes = as_array(rois, dtype)
        images, sides = boxes[:, 0].astype(int), boxes[:, 1:] * dtype(scale)
        rows = _places(sides[:, 1], sides[:, 3], bins[0], features.shape[1])
        columns = _places(sides[:, 0], sides[:, 2], bins[1], features.shape[2])
        inside = rows[2][:, :, None] & columns[2][:, None]  # (k, rows, columns)
        shape = (len(boxes), *bins, features.shape[3])
        out, place = np.zeros(shape, dtype), np.zeros(shape, np.int32)
        for k in np.flatnonzero(inside.any(axis=(1, 2))):
            of_rows, of_columns = (each[k, : counts[k]] for each, counts, _ in (rows, columns))
            out[k], place[k] = _pool_one(features[images[k]], of_rows, of_columns)
        out[~inside] = 0
        ctx.images, ctx.place, ctx.inside = images, place, inside
        ctx.shape, ctx.features_dtype = features.shape, input.dtype
        result = np.ascontiguousarray(out.transpose(0, 3, 1, 2))
        return from_numpy(result).to(input.dtype)  # (k, channels, rows, columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Any:
        batch, height, width, channels = ctx.shape
        grads = as_array(grad_out, np.float64).transpose(0, 2, 3, 1)  # (k, rows, columns, channels)
        image = ctx.images[:, None, None, None]
        flat = (image * (height * width) + ctx.place) * channels + np.arange(channels)
        grads = np.where(ctx.inside[..., None], grads, 0)
        summed = np.bincount(flat.ravel(), grads.ravel(), batch * height * width * channels)
        grad_x = summed.reshape(ctx.shape).transpose(0, 3, 1, 2)
        return from_numpy(np.ascontiguousarray(grad_x)).to(ctx.features_dtype), None, None, None


def _pool_one(features: Any, rows: Any, columns: Any) -> tuple[Any, Any]:
    """The largest values of one box, and where in the map they stand.

    Args:
        features: (height, width, channels) of its image.
        rows, columns: (steps, bins), the places of each bin.

    Returns: (rows, columns, channels) each; a place is row * width + column.
    """
    first, last = rows.min(), rows.max() + 1
    values, step = _largest(features[first:last], columns, axis=1)  # (h, columns, channels)
    column = step + columns[0][:, None]
    values, step = _largest(values, rows - first, axis=0)  # (rows, columns, channels)
    row = step + rows[0][:, None, None]
    column = np.take_along_axis(column, row - first, axis=0)  # (rows, columns, channels)
    return values, row * features.shape[1] + column


def _largest(x: Any, places: Any, axis: int) -> tuple[Any, Any]:
    """The largest of each bin's places along an axis, and the step at which it comes first."""
    best = x.take(places[0], axis=axis)
    steps = np.zeros(best.shape, np.int32)
    for step in range(1, len(places)):
        value = x.take(places[step], axis=axis)
        np.copyto(steps, step, where=value > best)
        np.maximum(best, value, out=best)
    return best, steps


# --- compiled -----------------------------------------------------------------------------------


def _traced(input: Tensor, rois: Tensor, bins: tuple[int, ...], scale: float) -> Tensor:
    """The same over whole rows and columns, with everything outside a bin at minus infinity."""
    height, width = input.shape[2:]
    sides = rois[:, 1:].to(input.dtype) * scale  # (k, 4)
    by_row = _members(sides[:, 1], sides[:, 3], bins[0], height)  # (k, rows, height)
    by_column = _members(sides[:, 0], sides[:, 2], bins[1], width)  # (k, columns, width)
    features = input[rois[:, 0].long()]  # (k, channels, height, width)
    lowest = features.new_full((), -float("inf"))
    in_columns = by_column[:, None, None]  # (k, 1, 1, columns, width)
    # (k, channels, height, columns)
    lines = where(in_columns, features[:, :, :, None], lowest).max(dim=4)[0]
    in_rows = by_row[:, None, :, None]  # (k, 1, rows, 1, height)
    # (k, channels, rows, columns)
    out = where(in_rows, lines.transpose(2, 3)[:, :, None], lowest).max(dim=4)[0]
    inside = by_row.any(dim=2)[:, None, :, None] & by_column.any(dim=2)[:, None, None]
    return where(inside, out, out.new_zeros(()))


def _members(start: Tensor, end: Tensor, bins: int, length: int) -> Tensor:
    """Which places of an axis belong to each bin: (k,), (k,) -> (k, bins, length)."""
    start, end = _rounded_tensor(start), _rounded_tensor(end)
    step = (end - start + 1).clamp(min=1) / bins  # (k,)
    number, places = arange(bins, dtype=step.dtype), arange(length, dtype=step.dtype)
    low = (number * step[:, None]).floor() + start[:, None]  # (k, bins)
    high = ((number + 1) * step[:, None]).ceil() + start[:, None]
    return (places >= low[..., None]) & (places < high[..., None])


def _rounded_tensor(x: Tensor) -> Tensor:
    whole = trunc(x)
    return whole + x.sign() * ((x - whole).abs() >= 0.5)


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
