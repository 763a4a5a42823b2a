"""Order along a dimension: sorting, selection, running results, distinct values, counting.

NaN counts as larger than every number, as in PyTorch. Among equal values the earliest position
comes first, except in `cummax` and `cummin`, which name the latest. Positions are int64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Array, Array]

# Below this length sorting everything is quicker than looking for a threshold first.
SHORT = 256


class Distinct(NamedTuple):
    """Distinct values, the place of every input among them, and how often each occurs."""

    values: Array
    inverse: Array
    counts: Array


def _any_array(function: Callable[..., Pair]) -> Callable[..., Pair]:
    """Lets a function of a dimension take 0-d arrays, and bfloat16, which NumPy cannot order."""

    @wraps(function)
    def wrapped(x: Array, **attrs: Any) -> Pair:
        usual = _comparable(x)
        values, indices = function(usual if x.ndim else usual.reshape(1), **attrs)
        if not x.ndim:
            values, indices = values.reshape(()), indices.reshape(())
        return values.astype(x.dtype, copy=False), indices

    return wrapped


def _comparable(x: Array) -> Array:
    """float32 instead of a type that is not NumPy's own; exact, so the order is the same."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


@_any_array
def sort(x: Array, *, dim: int = -1, descending: bool = False, stable: bool = True) -> Pair:
    """Values in order along `dim`, and where each came from; always stable.

    >>> values, indices = sort(np.array([2.0, np.nan, 1.0, 2.0]), descending=True)
    >>> values, indices
    (array([nan,  2.,  2.,  1.]), array([1, 0, 3, 2]))
    """
    if descending:
        # Reversed before and after an ascending sort, equal values keep their order.
        backwards = np.flip(x, dim).argsort(axis=dim, kind="stable")
        indices = np.flip(x.shape[dim] - 1 - backwards, dim)
    else:
        indices = x.argsort(axis=dim, kind="stable")
    return np.take_along_axis(x, indices, dim), np.ascontiguousarray(indices)


@_any_array
def topk(x: Array, *, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Pair:
    """The `k` largest (or smallest) values along `dim` in order, and where each came from.

    Raises:
        ValueError: if the dimension has fewer than `k` elements.

    >>> topk(np.array([3, 1, 4, 1, 5]), k=2)
    (array([5, 4]), array([4, 2]))
    """
    _check_rank("topk", k, x, dim, least=0)
    along = np.moveaxis(x, dim, -1)
    if x.shape[dim] <= SHORT or k == 0:
        values, indices = sort(along, descending=largest)
        values, indices = values[..., :k], indices[..., :k]
    else:
        chosen = _best_places(along, k, largest)
        values, order = sort(np.take_along_axis(along, chosen, -1), descending=largest)
        indices = np.take_along_axis(chosen, order, -1)
    return _back(values, dim), _back(indices, dim)


@_any_array
def kthvalue(x: Array, *, k: int, dim: int = -1, keepdim: bool = False) -> Pair:
    """The `k`-th smallest value along `dim`, counted from one, and where it was.

    Raises:
        ValueError: if `k` is not between one and the size of the dimension.

    >>> kthvalue(np.array([3, 1, 4, 1, 5]), k=3)
    (array(3), array(0))
    """
    _check_rank("kthvalue", k, x, dim, least=1)
    order = x.argsort(axis=dim, kind="stable")
    indices = order.take([k - 1], axis=dim)
    values = np.take_along_axis(x, indices, dim)
    if keepdim:
        return values, indices
    return np.asarray(values.squeeze(dim)), np.asarray(indices.squeeze(dim))


@_any_array
def cummax(x: Array, *, dim: int) -> Pair:
    """Largest value so far along `dim`, and the latest place where it stood.

    >>> cummax(np.array([1, 3, 2, 3]), dim=0)
    (array([1, 3, 3, 3]), array([0, 1, 1, 3]))
    """
    return _running(x, dim, np.maximum)


@_any_array
def cummin(x: Array, *, dim: int) -> Pair:
    """Smallest value so far along `dim`, and the latest place where it stood.

    >>> cummin(np.array([3, 1, 2, 1]), dim=0)
    (array([3, 1, 1, 1]), array([0, 1, 1, 3]))
    """
    return _running(x, dim, np.minimum)


def unique(x: Array, *, dim: int | None = None) -> Distinct:
    """Distinct values in order; with `dim`, distinct slices in lexicographic order.

    Every NaN is distinct, since no NaN equals another.

    >>> unique(np.array([3, 1, 3])).values, unique(np.array([3, 1, 3])).inverse
    (array([1, 3]), array([1, 0, 1]))
    """
    rows = _rows(x, dim)
    if rows.shape[1] == 0:
        order = np.arange(len(rows))
    else:
        order = np.lexsort(rows.T[::-1]) if dim is not None else rows[:, 0].argsort(kind="stable")
    return _runs(x, rows, order, dim)


def unique_consecutive(x: Array, *, dim: int | None = None) -> Distinct:
    """Values with repetitions of the one before left out; with `dim`, the same for slices.

    >>> unique_consecutive(np.array([3, 3, 1, 3])).values
    array([3, 1, 3])
    """
    rows = _rows(x, dim)
    return _runs(x, rows, np.arange(len(rows)), dim)


def searchsorted(sorted_sequence: Array, values: Array, *, right: bool = False) -> Array:
    """Where each value would be inserted to keep the last dimension in order.

    Args:
        sorted_sequence: (n,), or (..., n) with one row for every row of `values`
        values: any shape, or (..., m)
        right: after equal elements instead of before them

    >>> searchsorted(np.array([1, 3, 5]), np.array([[3, 6]]), right=True)
    array([[2, 3]])
    """
    side: Any = "right" if right else "left"
    if sorted_sequence.ndim == 1:
        return np.asarray(sorted_sequence.searchsorted(values, side), np.int64)
    out = np.empty(values.shape, np.int64)
    for row in np.ndindex(*sorted_sequence.shape[:-1]):
        out[row] = sorted_sequence[row].searchsorted(values[row], side)
    return out


def bincount(x: Array, *, weights: Array | None = None, minlength: int = 0) -> Array:
    """How often every number from zero occurs, or the sum of its weights.

    Returns:
        (max(x.max() + 1, minlength),): int64, or with weights float32 for float32 ones and
        float64 for all others

    Raises:
        ValueError: if a number is negative.

    >>> bincount(np.array([0, 2, 2]), minlength=4)
    array([1, 0, 2, 0])
    """
    if x.size and x.min() < 0:
        where = int((x < 0).argmax())
        raise ValueError(
            f"[bincount] counts need numbers of zero or more; element {where} is {x[where]}"
        )
    counts = np.bincount(x.astype(np.int64, copy=False), weights, minlength)
    if weights is None:
        return counts.astype(np.int64, copy=False)
    return counts.astype(np.float32 if weights.dtype == np.float32 else np.float64, copy=False)


def histc(x: Array, *, bins: int = 100, min: float = 0.0, max: float = 0.0) -> Array:
    """Counts in equal bins from `min` to `max`; what lies outside is not counted.

    The last bin includes `max`. Where both ends are equal the data's own are taken.

    Returns:
        (bins,), the type of `x`

    Raises:
        ValueError: if the ends are not finite or stand in the wrong order.

    >>> histc(np.array([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    array([0., 2., 1., 0.])
    """
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"[histc] bins need finite ends, the lower first; given {low} to {high}")
    kept = x[(x >= low) & (x <= high)]
    # In the type of x, as PyTorch computes it: the rounding at an inner edge decides the bin.
    width = x.dtype.type(high) - x.dtype.type(low)
    place = ((kept - x.dtype.type(low)) * x.dtype.type(bins) / width).astype(np.int64)
    return np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(x.dtype)


def _check_rank(name: str, k: int, x: Array, dim: int, least: int) -> None:
    if not least <= k <= x.shape[dim]:
        raise ValueError(
            f"[{name}] k is {k}, but dimension {dim} of x {x.shape} has {x.shape[dim]} elements; "
            f"k must be {least} to {x.shape[dim]}"
        )


def _best_places(along: Array, k: int, largest: bool) -> Array:
    """Places of the `k` best values along the last dimension, in ascending order of class.

    The k-th best value divides the elements into better ones, equal ones and the rest; the
    earliest of the equal ones fill the places that the better ones leave.
    """
    rank = along.shape[-1] - k if largest else k - 1
    threshold = np.partition(along, rank, axis=-1)[..., rank : rank + 1]
    is_nan, threshold_is_nan = along != along, threshold != threshold
    if largest:
        better = (along > threshold) | (is_nan & ~threshold_is_nan)
    else:
        better = (along < threshold) | (~is_nan & threshold_is_nan)
    equal = (along == threshold) | (is_nan & threshold_is_nan)
    distance: Array = np.uint8(2) - equal.view(np.uint8) - np.uint8(2) * better.view(np.uint8)
    order: Array = distance.argsort(axis=-1, kind="stable")
    return order[..., :k]


def _back(x: Array, dim: int) -> Array:
    """Moves the last dimension back to where it came from."""
    return np.ascontiguousarray(np.moveaxis(x, -1, dim))


def _running(x: Array, dim: int, better: np.ufunc) -> Pair:
    values = better.accumulate(x, axis=dim)
    # An element that equals the best so far holds it from there on; a NaN equals nothing.
    holds = (x == values) | (x != x)
    shape = [1] * x.ndim
    shape[dim] = x.shape[dim]
    places = np.where(holds, np.arange(x.shape[dim]).reshape(shape), 0)
    return values, np.maximum.accumulate(places, axis=dim)


def _rows(x: Array, dim: int | None) -> Array:
    """What is compared as a whole, one row each: elements, or slices along `dim`."""
    if dim is None:
        return x.reshape(-1, 1)
    moved = np.moveaxis(x, dim, 0)
    width = x.size // len(moved) if len(moved) else 1
    return moved.reshape(len(moved), width)


def _runs(x: Array, rows: Array, order: Array, dim: int | None) -> Distinct:
    """Runs of equal rows, once the rows are put in the given order."""
    ordered = rows[order]
    starts_run = np.ones(len(rows), bool)
    starts_run[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.flatnonzero(starts_run)
    counts = np.diff(np.append(first, len(rows)))
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(starts_run) - 1
    if dim is None:
        return Distinct(ordered[first, 0], inverse.reshape(x.shape), counts)
    rest = np.moveaxis(x, dim, 0).shape[1:]
    values = np.moveaxis(ordered[first].reshape(len(first), *rest), 0, dim)
    return Distinct(np.ascontiguousarray(values), inverse, counts)
