"""Counting points in bins of one or several dimensions. The counts depend on numbers: no trace."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.dtypes import is_floating
from narae.base.errors import DTypeError, ShapeError, explain

from .creation import constant
from .operands import deliver, refuse_dtype
from .results import named_result
from .tensor import Tensor

histogram_result = named_result("histogram", "hist", "bin_edges")
histogramdd_result = named_result("histogramdd", "hist", "bin_edges")
Array = np.ndarray[Any, Any]


def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """How many numbers fall into each bin, and the edges of the bins.

    A bin contains its left edge; the last one contains its right edge, too.

    Args:
        input: floating point numbers.
        bins: a number of equal bins, or a vector of edges in increasing order.
        range: the first and the last edge; the smallest and the largest number by default.
        weight: what each number counts, in the shape of the input; 1 by default.
        density: divide so that the integral over all bins is 1.
        out: two tensors where the results are written.

    >>> import narae
    >>> narae.histogram(narae.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    _check(input, weight, "histogram")
    points = input._array.reshape(-1, 1)
    edges = _edges(points, [bins], range, "histogram")
    _check_weight(weight, tuple(input.shape), "histogram")
    counts = _counted(points, edges, weight, density)
    found = constant(counts), constant(edges[0])
    if out is not None:
        found = deliver(found[0], out[0], "histogram"), deliver(found[1], out[1], "histogram")
    return histogram_result(*found)


def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """How many points fall into each cell of a grid, and the edges along each coordinate.

    Args:
        input: (…, coordinates), floating point; all but the last dimension count points.
        bins: a number of bins for all coordinates, one for each, or a vector of edges for each.
        range: the first and the last edge of each coordinate, one pair after the other.
        weight: what each point counts, in the shape of the input without its last dimension.
        density: divide so that the integral over all cells is 1.
        out: a tensor and a list of tensors where the results are written.
    """
    _check(input, weight, "histogramdd")
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ShapeError("histogramdd: input tensor should have at least 2 dimensions")
    wanted = [bins] * shape[-1] if isinstance(bins, int) else list(bins)
    if len(wanted) != shape[-1]:
        raise ShapeError(
            explain(
                "histogramdd",
                f"there are {len(wanted)} bins, the points have {shape[-1]} coordinates",
                "The size of bins must be equal to the innermost dimension of the input.",
            )
        )
    points = input._array.reshape(-1, shape[-1])
    edges = _edges(points, wanted, range, "histogramdd")
    _check_weight(weight, shape[:-1], "histogramdd")
    counts = constant(_counted(points, edges, weight, density))
    sides = tuple([constant(side) for side in edges])
    if out is not None:
        deliver(counts, out[0], "histogramdd")
        for side, target in zip(sides, out[1], strict=True):
            deliver(side, target, "histogramdd")
    return histogramdd_result(counts, sides)


# --- checks ----------------------------------------------------------------------------------


def _check(input: Tensor, weight: Tensor | None, what: str) -> None:
    if not is_floating(input._value.dtype) or input._value.dtype.itemsize == 2:
        raise refuse_dtype(what, input, "it counts float32 and float64 numbers")
    if weight is not None and weight._value.dtype != input._value.dtype:
        raise DTypeError(
            explain(
                what,
                f"the input is {input.dtype}, the weight {weight.dtype}",
                "if weight tensor is provided, input and weight should have the same dtype",
            )
        )


def _check_weight(weight: Tensor | None, shape: tuple[int, ...], what: str) -> None:
    if weight is not None and tuple(weight.shape) != shape:
        raise ShapeError(
            explain(
                what,
                f"the weight is {tuple(weight.shape)}, the points are {shape}",
                "if weight tensor is provided it should have the same shape as the input",
            )
        )


# --- edges and counts ------------------------------------------------------------------------


def _edges(points: Array, bins: Sequence[Any], range: Any, what: str) -> list[Array]:
    """The edges of the bins along each coordinate, in the dtype of the points."""
    given = [isinstance(item, Tensor) for item in bins]
    if all(given):
        return [_given_edges(item, points.dtype, what) for item in bins]
    lows, highs = _ends(points, range, what)
    edges = []
    for count, low, high in zip(bins, lows, highs, strict=True):
        if int(count) <= 0:
            raise ShapeError(f"[{what}] bins must be > 0, but got {count} for one dimension")
        edges.append(_spaced(low, high, int(count) + 1))
    return edges


def _given_edges(edges: Tensor, dtype: Any, what: str) -> Array:
    array = edges._array
    if array.ndim != 1 or array.dtype != dtype or not array.size:
        raise ShapeError(
            explain(
                what,
                f"the edges are {edges.dtype} {tuple(edges.shape)}, the points {dtype}",
                "bins tensors should have one dimension, one edge at least, and the input's dtype",
            )
        )
    return array.copy()


def _spaced(low: Any, high: Any, steps: int) -> Array:
    """Equal steps, counted from the nearer end as PyTorch does."""
    kind = low.dtype.type
    step = (high - low) / kind(steps - 1) if steps > 1 else kind(0)
    places = np.arange(steps)
    from_low, from_high = low + step * places.astype(kind), high - step * (steps - 1 - places)
    spaced: Array = np.where(places < steps // 2, from_low, from_high).astype(kind)
    return spaced


def _ends(points: Array, range: Any, what: str) -> tuple[Array, Array]:
    coordinates = points.shape[1]
    if range is not None:
        pairs = np.asarray([float(x) for x in range], points.dtype)
        if pairs.size != 2 * coordinates:
            raise ShapeError(
                f"[{what}] for a {coordinates}-dimensional histogram range should have "
                f"{2 * coordinates} elements, but got {pairs.size}"
            )
        lows, highs = pairs.reshape(-1, 2).T.copy()
    elif points.size:
        lows, highs = points.min(0), points.max(0)
    else:
        lows, highs = np.zeros(coordinates, points.dtype), np.ones(coordinates, points.dtype)
    _check_ends(lows, highs, what)
    same = lows == highs
    half = points.dtype.type(0.5)
    return np.where(same, lows - half, lows), np.where(same, highs + half, highs)


def _check_ends(lows: Array, highs: Array, what: str) -> None:
    if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        raise ShapeError(f"[{what}] range [{lows}, {highs}] is not finite")
    if (lows > highs).any():
        raise ShapeError(f"[{what}] min should not exceed max, but got min {lows} max {highs}")


def _counted(points: Array, edges: list[Array], weight: Tensor | None, density: bool) -> Array:
    """The (weighted) count of each cell; points outside of all cells do not count."""
    sizes = tuple(side.size - 1 for side in edges)
    inside = np.ones(len(points), bool)
    places = []
    for column, side in zip(points.T, edges, strict=True):
        inside &= (column >= side[0]) & (column <= side[-1])
        place = np.searchsorted(side, column, side="right") - 1
        places.append(np.where(column == side[-1], side.size - 2, place))
    shares = np.ones(len(points), points.dtype) if weight is None else weight._array.reshape(-1)
    if 0 in sizes:
        return np.zeros(sizes, points.dtype)
    chosen = tuple(place[inside] for place in places)
    flat = np.ravel_multi_index(chosen, sizes) if sizes else np.zeros(inside.sum(), np.int64)
    summed = np.bincount(flat, shares[inside], int(np.prod(sizes))).reshape(sizes)
    counts: Array = summed.astype(points.dtype)
    return _as_density(counts, edges) if density else counts


def _as_density(counts: Array, edges: list[Array]) -> Array:
    out: Array = counts / counts.sum()
    for dim, side in enumerate(edges):
        widths = np.diff(side)
        out = out / widths.reshape((-1,) + (1,) * (counts.ndim - dim - 1))
    return out.astype(counts.dtype, copy=False)


__all__ = ["histogram", "histogramdd"]
METHODS = ["histogram"]
