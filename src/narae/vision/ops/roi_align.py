"""RoI align: what a box covers of a feature map, interpolated to a fixed size.

He et al. 2017, "Mask R-CNN", section 3. In each bin of a box the feature map is sampled at a few
points by bilinear interpolation, and their mean is the result. The points of a bin form a grid and
so do the four neighbours of a point, so that the sum falls apart into rows and columns:

    out[k, c] = by_row[k] @ features[image of k, c] @ by_column[k].T

with matrices of weights (bins, rows) and (bins, columns), nearly all of them zero. Eagerly the two
products run over the rows and columns under the box; in a compiled step over all of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.autograd import Function
from narae.autograd.function import once_differentiable
from narae.base.errors import ConfigError, TraceError, explain
from narae.nn import Module
from narae.nn.sizes import repeated
from narae.tensors import Tensor, arange, cat, from_numpy, is_tracing

from .regions import Regions, as_array, as_rois

_BOXES_AT_ONCE = 128  # whose weights are made together: (boxes, bins, samples, length)


def roi_align(
    input: Tensor,
    boxes: Regions,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """The mean of bilinear samples in each bin of each box.

    Args:
        input: features (batch, channels, height, width).
        boxes: (k, 5), the image's place in the batch and corners; or one (n, 4) an image.
        output_size: bins: (rows, columns), or one number for both.
        spatial_scale: feature pixels per unit of the boxes.
        sampling_ratio: samples a bin along each side; not positive: as many as the bin has pixels,
            rounded up.
        aligned: whether pixel centres are at .5, so that boxes move by half a pixel.

    Returns: (k, channels, rows, columns). Samples further than a pixel outside the map are zero.
    Gradients flow to the features only.

    Raises:
        TraceError: while compiling, without a positive `sampling_ratio`.

    >>> import narae
    >>> x = narae.arange(16.0).view(1, 1, 4, 4)
    >>> roi_align(x, [narae.tensor([[0.0, 0.0, 2.0, 2.0]])], 2, sampling_ratio=1)
    tensor([[[[2.5000, 3.5000],
              [6.5000, 7.5000]]]])
    """
    bins = repeated(output_size, 2, "output_size")
    if min(bins) < 1:
        given = f"output_size is {output_size}"
        raise ConfigError(explain("roi_align", given, "a region has at least one bin"))
    rois = as_rois(boxes, input.shape[0], "roi_align").detach()
    if is_tracing():
        return _traced(input, rois, boxes, bins, spatial_scale, sampling_ratio, aligned)
    out: Tensor = _RoIAlign.apply(input, rois, bins, spatial_scale, sampling_ratio, aligned)
    return out


def _axis_weights(
    start: Any, end: Any, bins: int, length: int, ratio: int, aligned: bool, of: Any
) -> Any:
    """How much each place of an axis counts in each bin: (k, bins, length).

    Works on arrays and on tensors alike.

    Args:
        start, end: (k,), the sides of the boxes in feature pixels.
        bins: along this axis.
        length: of the axis.
        ratio: samples a bin, or not positive.
        aligned: whether boxes may be smaller than a pixel.
        of: makes (n,) = 0, 1, … n - 1 of the right kind.
    """
    size = end - start if aligned else (end - start).clip(1, None)  # (k,)
    step = size / bins
    samples, counts = ratio, None
    if ratio <= 0:
        counts = np.ceil(step)[:, None, None]  # (k, 1, 1)
        samples = max(int(counts.max(initial=1)), 1)
    part = ratio if counts is None else np.maximum(counts, 1)
    places = start[:, None] + of(bins) * step[:, None]  # (k, bins)
    places = places[:, :, None] + (of(samples) + 0.5) * step[:, None, None] / part
    counted = (places >= -1) & (places <= length)  # (k, bins, samples)
    if counts is not None:
        counted = counted & (of(samples) < counts)
    near = 1 - abs(places.clip(0, length - 1)[..., None] - of(length))  # (k, bins, samples, length)
    weights = near.clip(0, None) * counted[..., None]
    return weights.sum(2) / part


def _both_weights(
    rois: Any, shape: Any, bins: Any, scale: float, ratio: int, aligned: bool, of: Any
) -> tuple[Any, Any]:
    """Weights by row (k, rows, height) and by column (k, columns, width)."""
    sides = rois[:, 1:] * scale - (0.5 if aligned else 0.0)  # (k, 4)
    by_row = _axis_weights(sides[:, 1], sides[:, 3], bins[0], shape[2], ratio, aligned, of)
    by_column = _axis_weights(sides[:, 0], sides[:, 2], bins[1], shape[3], ratio, aligned, of)
    return by_row, by_column


# --- eager --------------------------------------------------------------------------------------


class _RoIAlign(Function):
    """Forward and backward over the part of the map under each box, channels last."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, rois: Tensor, *options: Any) -> Tensor:
        bins, scale, ratio, aligned = options
        dtype = np.float64 if input.dtype.itemsize == 8 else np.float32
        features = as_array(input, dtype).transpose(0, 2, 3, 1)  # (batch, height, width, channels)
        boxes = as_array(rois, dtype)

        def of(count: int) -> Any:
            return np.arange(count, dtype=dtype)

        ctx.parts = []
        for first in range(0, len(boxes), _BOXES_AT_ONCE):
            some = boxes[first : first + _BOXES_AT_ONCE]
            weights = _both_weights(some, input.shape, bins, scale, ratio, aligned, of)
            ctx.parts += _parts(first, some, *weights)
        ctx.shape, ctx.features_dtype = features.shape, input.dtype
        features = np.ascontiguousarray(features)
        out = np.zeros((len(boxes), *bins, features.shape[3]), dtype)
        for k, image, rows, columns, by_row, by_column in ctx.parts:
            part = features[image, rows, columns]  # (h, w, channels)
            height, width, channels = part.shape
            # (rows, w * channels)
            lines = by_row @ part.reshape(height, width * channels)
            out[k] = by_column @ lines.reshape(-1, width, channels)  # (rows, columns, channels)
        result = np.ascontiguousarray(out.transpose(0, 3, 1, 2))
        return from_numpy(result).to(input.dtype)  # (k, channels, rows, columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Any:
        dtype = np.float64 if grad_out.dtype.itemsize == 8 else np.float32
        grads = np.ascontiguousarray(as_array(grad_out, dtype).transpose(0, 2, 3, 1))
        grad_x = np.zeros(ctx.shape, dtype)  # (batch, height, width, channels)
        for k, image, rows, columns, by_row, by_column in ctx.parts:
            lines = by_column.T @ grads[k]  # (rows, w, channels)
            bins, width, channels = lines.shape
            # (h, w * channels)
            part = by_row.T @ lines.reshape(bins, width * channels)
            grad_x[image, rows, columns] += part.reshape(-1, width, channels)
        grad_x = np.ascontiguousarray(grad_x.transpose(0, 3, 1, 2))
        return from_numpy(grad_x).to(ctx.features_dtype), None, None, None, None, None


def _parts(first: int, boxes: Any, by_row: Any, by_column: Any) -> list[tuple[Any, ...]]:
    """For each box that touches the map its place, its image, rows and columns, their weights."""
    row_ends, column_ends = _touched(by_row), _touched(by_column)
    found = []
    for k, image in enumerate(boxes[:, 0].astype(int)):
        rows, columns = slice(*row_ends[k]), slice(*column_ends[k])
        if rows.start < rows.stop and columns.start < columns.stop:
            found.append(
                (first + k, image, rows, columns, by_row[k, :, rows], by_column[k, :, columns])
            )
    return found


def _touched(weights: Any) -> Any:
    """First place with a weight and one behind the last: (k, bins, length) -> (k, 2)."""
    used = weights.any(axis=1)  # (k, length)
    first = used.argmax(axis=1)
    end = used.shape[1] - used[:, ::-1].argmax(axis=1)
    return np.stack([first, np.where(used.any(axis=1), end, first)], axis=1)


# --- compiled -----------------------------------------------------------------------------------


def _traced(
    input: Tensor,
    rois: Tensor,
    boxes: Regions,
    bins: tuple[int, ...],
    scale: float,
    ratio: int,
    aligned: bool,
) -> Tensor:
    if ratio <= 0:
        given = f"sampling_ratio is {ratio} inside a compiled step"
        rule = "how many samples a box gets would depend on its size"
        raise TraceError(explain("roi_align", given, rule, "give sampling_ratio=2"))

    def of(count: int) -> Tensor:
        return arange(count, dtype=input.dtype)

    rois = rois.to(input.dtype)
    by_row, by_column = _both_weights(rois, input.shape, bins, scale, ratio, aligned, of)
    if isinstance(boxes, Tensor):
        features = input[rois[:, 0].long()]  # (k, channels, height, width)
        return by_row[:, None] @ features @ by_column[:, None].transpose(2, 3)
    counts = [len(of_image) for of_image in boxes]
    parts = zip(input.unbind(0), by_row.split(counts), by_column.split(counts), strict=True)
    return cat([_all_of_one_image(*part) for part in parts])  # (k, channels, rows, columns)


def _all_of_one_image(features: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """(channels, height, width), (n, rows, height), (n, columns, width) -> (n, channels, …)."""
    channels, height, width = features.shape
    boxes, rows = by_row.shape[:2]
    last = features.permute(1, 2, 0).reshape(height, width * channels)
    # All rows of all boxes in one product.
    lines = by_row.reshape(boxes * rows, height) @ last  # (n * rows, width * channels)
    lines = lines.view(boxes, rows, width, channels)
    return (by_column[:, None] @ lines).permute(0, 3, 1, 2)  # (n, channels, rows, columns)


class RoIAlign(Module):
    """`roi_align` as a layer.

    Args:
        output_size: bins: (rows, columns), or one number for both.
        spatial_scale: feature pixels per unit of the boxes.
        sampling_ratio: samples a bin along each side; not positive: by the size of the box.
        aligned: whether pixel centres are at .5.

    >>> RoIAlign(7, 0.25, 2)
    RoIAlign(output_size=7, spatial_scale=0.25, sampling_ratio=2, aligned=False)
    """

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Regions) -> Tensor:
        """Features (batch, channels, height, width) and boxes to (k, channels, rows, columns)."""
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
