"""Reading pictures at computed places: the core of spatial transformers.

A place between pixels reads its neighbours (taps), each with a weight that depends on the place.
"""

import itertools
import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

from narae.base.dtypes import INT64
from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import (
    add,
    and_,
    cast,
    detach,
    div,
    eq,
    floor,
    fmod,
    le,
    lt,
    mul,
    neg,
    remainder,
    round_,
    sub,
    where,
)
from .generators import iota, zeros
from .indexing import index_add, take
from .movement import concat, expand, narrow, permute, reshape
from .record import shape_of
from .reductions import sum_

_CUBIC = -0.75  # the parameter of Keys 1981 that PyTorch uses


class _Tap(NamedTuple):
    """One neighbour along one dimension, for all places.

    Attributes:
        index: which element, 0 where it is outside; (places,) of int64.
        inside: whether there is such an element.
        weight: how much it counts.
        slope: the derivative of the weight by the grid's number.
    """

    index: Any
    inside: Any
    weight: Any
    slope: Any


# --- places ----------------------------------------------------------------------------------


def _unnormalized(number: Any, size: int, align_corners: bool) -> tuple[Any, float]:
    """From -1 .. 1 to elements, and the factor between them.

    -1 and 1 are the centres of the first and the last element (align_corners) or their far edges.
    """
    if align_corners:
        return mul(div(add(number, 1), 2), size - 1), (size - 1) / 2
    return div(sub(mul(add(number, 1), size), 1), 2), size / 2


def _clipped(place: Any, slope: Any, size: int) -> tuple[Any, Any]:
    """Moved to the nearest element if it is outside, where it does not depend on the number."""
    inside = and_(lt(0, place), lt(place, size - 1))
    moved = where(lt(0, place), where(lt(place, size - 1), place, float(size - 1)), 0.0)
    return moved, where(inside, slope, 0.0)


def _reflected(place: Any, slope: Any, size: int, align_corners: bool) -> tuple[Any, Any]:
    """Mirrored at the first and the last element, or at their far edges, until it is inside."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return mul(place, 0), mul(slope, 0)
    distance = sub(place, low)
    negative = lt(distance, 0)
    distance = where(negative, neg(distance), distance)
    slope = where(negative, neg(slope), slope)
    turns = remainder(floor(div(detach(distance), span)), 2)
    rest, forward = fmod(distance, span), eq(turns, 0)
    moved = add(where(forward, rest, sub(span, rest)), low)
    return _clipped(moved, where(forward, slope, neg(slope)), size)


def _padded(
    place: Any, slope: Any, size: int, padding: str, align_corners: bool
) -> tuple[Any, Any]:
    if padding == "border":
        return _clipped(place, slope, size)
    if padding == "reflection":
        return _reflected(place, slope, size, align_corners)
    return place, slope


# --- neighbours ------------------------------------------------------------------------------


def _tap(place: Any, size: int, weight: Any, slope: Any) -> _Tap:
    inside = and_(le(0, place), le(place, size - 1))
    return _Tap(cast(where(inside, place, 0.0), dtype=INT64), inside, weight, slope)


def _linear_taps(place: Any, slope: Any, size: int) -> list[_Tap]:
    first = detach(floor(place))
    part = sub(place, first)
    return [
        _tap(first, size, sub(1, part), neg(slope)),
        _tap(add(first, 1), size, part, slope),
    ]


def _cubic_weight(x: Any, near: bool) -> tuple[Any, Any]:
    """Keys' kernel at a distance x >= 0, within 1 or from 1 to 2, and its derivative."""
    a = _CUBIC
    if near:
        value = add(mul(mul(sub(mul(x, a + 2), a + 3), x), x), 1)
        return value, mul(sub(mul(x, 3 * (a + 2)), 2 * (a + 3)), x)
    value = sub(mul(add(mul(sub(mul(x, a), 5 * a), x), 8 * a), x), 4 * a)
    return value, add(mul(sub(mul(x, 3 * a), 10 * a), x), 8 * a)


def _cubic_taps(place: Any, slope: Any, size: int, padding: str, align_corners: bool) -> list[_Tap]:
    """Four neighbours, each of which is padded on its own."""
    first = detach(floor(place))
    part = sub(place, first)
    taps = []
    for offset in (-1, 0, 1, 2):
        near, before = offset in (0, 1), offset <= 0
        distance = sub(part, offset) if before else sub(offset, part)
        weight, change = _cubic_weight(distance, near)
        change = mul(change, slope) if before else neg(mul(change, slope))
        where_read, _ = _padded(add(first, offset), slope, size, padding, align_corners)
        taps.append(_tap(round_(where_read), size, weight, change))
    return taps


def _taps(number: Any, size: int, mode: str, padding: str, align_corners: bool) -> list[_Tap]:
    """The neighbours along one dimension, from the grid's numbers."""
    place, factor = _unnormalized(number, size, align_corners)
    slope = add(mul(detach(number), 0), factor)
    slope = where(eq(slope, slope), slope, factor)
    if mode == "bicubic":
        return _cubic_taps(place, slope, size, padding, align_corners)
    place, slope = _padded(place, slope, size, padding, align_corners)
    if mode == "nearest":
        none = mul(slope, 0)
        return [_tap(detach(round_(place)), size, add(none, 1), none)]
    return _linear_taps(place, slope, size)


class _Read(NamedTuple):
    """One combination of neighbours: the rows to read, whether they exist, taps by dimension."""

    rows: Any
    inside: Any
    taps: tuple[_Tap, ...]


def _reads(x_shape: Shape, grid: Any, mode: str, padding: str, align_corners: bool) -> list[_Read]:
    """All combinations of neighbours; pictures are (batch * pixels, channels)."""
    batch, _, *space = x_shape
    dims, count = len(space), math.prod(shape_of(grid)[1:-1])
    flat = reshape(grid, shape=(batch * count, dims))
    taps = []
    for dim, size in enumerate(space):
        number = reshape(narrow(flat, 1, dims - 1 - dim, 1), shape=(batch * count,))
        taps.append(_taps(number, size, mode, padding, align_corners))
    first = mul(iota(size=batch, dtype=INT64), math.prod(space))
    first = reshape(
        expand(reshape(first, shape=(batch, 1)), shape=(batch, count)), shape=(batch * count,)
    )
    return [_combined(chosen, space, first) for chosen in itertools.product(*taps)]


def _combined(taps: tuple[_Tap, ...], space: Sequence[int], first: Any) -> _Read:
    rows = taps[0].index
    for tap, size in zip(taps[1:], space[1:], strict=True):
        rows = add(mul(rows, size), tap.index)
    inside = reduce(and_, [tap.inside for tap in taps])
    return _Read(add(where(inside, rows, 0), first), inside, taps)


def _column(x: Any) -> Any:
    return reshape(x, shape=(*shape_of(x), 1))


def _rows(x: Any) -> Any:
    """(batch, channels, *space) -> (batch * pixels, channels)."""
    shape = shape_of(x)
    order = (0, *range(2, len(shape)), 1)
    return reshape(permute(x, dims=order), shape=(shape[0] * math.prod(shape[2:]), shape[1]))


def _picture(rows: Any, shape: Shape) -> Any:
    """(batch * pixels, channels) -> (batch, channels, *space)."""
    batch, channels, *space = shape
    moved = reshape(rows, shape=(batch, *space, channels))
    return permute(moved, dims=(0, len(space) + 1, *range(1, len(space) + 1)))


def _values(rows: Any, read: _Read) -> Any:
    """What is read: (places, channels), 0 where there is nothing."""
    return where(_column(read.inside), take(rows, read.rows, dim=0), 0.0)


# --- the function and its two gradients ------------------------------------------------------


def _sample(x: Any, grid: Any, **how: Any) -> Any:
    rows, total = _rows(x), None
    for read in _reads(shape_of(x), grid, **how):
        weight = reduce(mul, [tap.weight for tap in read.taps])
        part = mul(_values(rows, read), _column(weight))
        total = part if total is None else add(total, part)
    return _picture(total, (*shape_of(x)[:2], *shape_of(grid)[1:-1]))


def _sample_grad_x(grad: Any, grid: Any, *, x_shape: Shape, **how: Any) -> Any:
    rows = _rows(grad)
    total = zeros((x_shape[0] * math.prod(x_shape[2:]), x_shape[1]), grad.dtype)
    for read in _reads(x_shape, grid, **how):
        weight = reduce(mul, [tap.weight for tap in read.taps])
        part = where(_column(read.inside), mul(rows, _column(weight)), 0.0)
        total = index_add(total, read.rows, part, dim=0)
    return _picture(total, x_shape)


def _sample_grad_grid(grad: Any, x: Any, grid: Any, **how: Any) -> Any:
    rows, grads = _rows(x), _rows(grad)
    dims = len(shape_of(x)) - 2
    totals: list[Any] = [None] * dims
    for read in _reads(shape_of(x), grid, **how):
        felt = sum_(mul(_values(rows, read), grads), dim=(1,), keepdim=False)  # (places,)
        for dim in range(dims):
            parts = [tap.slope if d == dim else tap.weight for d, tap in enumerate(read.taps)]
            part = mul(felt, reduce(mul, parts))
            totals[dim] = part if totals[dim] is None else add(totals[dim], part)
    return reshape(concat(*map(_column, totals[::-1]), dim=1), shape=shape_of(grid))


def _grads(needs: Sequence[bool], grads: Sequence[Any], x: Any, grid: Any, **how: Any) -> Any:
    (grad,) = grads
    grad_x = grid_sample_grad_x(grad, grid, x_shape=shape_of(x), **how) if needs[0] else None
    return grad_x, grid_sample_grad_grid(grad, x, grid, **how) if needs[1] else None


# Jaderberg, Simonyan, Zisserman and Kavukcuoglu 2015, Spatial Transformer Networks, section 3.3.
grid_sample: Composite = Composite(
    "grid_sample",
    "x grid",
    "out[n, :, p] = sum over neighbours q of the place grid[n, p] of weight(q) * x[n, :, q]",
    _sample,
    saves="x grid",
    joint_grad=_grads,
    grad_name="GridSampler2DBackward0",
)
grid_sample_grad_x: Composite = Composite(
    "grid_sample_grad_x",
    "grad_out grid",
    "the transpose of grid_sample in x: each gradient spread over the neighbours of its place",
    _sample_grad_x,
    by_decomposition=True,
)
grid_sample_grad_grid: Composite = Composite(
    "grid_sample_grad_grid",
    "grad_out x grid",
    "sum over channels and neighbours of grad_out * x * the derivative of the weight",
    _sample_grad_grid,
    by_decomposition=True,
)
