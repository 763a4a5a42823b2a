"""Where the elements of a value are in a buffer.

A logical dimension is a list of *factors*, each a size and a stride, outermost first; so a
dimension that was made of several by a reshape is still described without moving anything:

>>> rows = reshaped(permuted(dense((2, 3, 4)), (1, 0, 2)), (6, 4))
>>> rows.dims
(((3, 4), (2, 12)), ((4, 1),))

Movement primitives become arithmetic on layouts; those that cannot give None, and the elements are
copied instead. (The idea of nested sizes and strides is that of CuTe, in NVIDIA's CUTLASS 3.)
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from narae.base.shapes import Shape

Factor = tuple[int, int]  # size, stride in elements
Dim = tuple[Factor, ...]


class Layout(NamedTuple):
    """A place in a buffer for each index: offset + the strides of all factors.

    Attributes:
        dims: the factors of each logical dimension, none of size 1.
        offset: where index 0 is, in elements.
    """

    dims: tuple[Dim, ...]
    offset: int = 0

    @property
    def shape(self) -> Shape:
        """The logical sizes."""
        return tuple(math.prod(size for size, _ in dim) for dim in self.dims)

    @property
    def factors(self) -> list[Factor]:
        """All factors, outermost dimension first."""
        return [factor for dim in self.dims for factor in dim]

    @property
    def span(self) -> tuple[int, int]:
        """The lowest and the highest place, both included."""
        low = high = self.offset
        for size, stride in self.factors:
            if stride < 0:
                low += (size - 1) * stride
            else:
                high += (size - 1) * stride
        return low, high


def dense(shape: Sequence[int], order: Sequence[int] | None = None) -> Layout:
    """All elements next to each other; `order` lists the dimensions, outermost first.

    >>> dense((2, 3), order=(1, 0)).dims
    (((2, 1),), ((3, 2),))
    """
    return spaced(shape, shape, order)


def spaced(shape: Sequence[int], room: Sequence[int], order: Sequence[int] | None = None) -> Layout:
    """As `dense`, in a buffer of the larger shape `room`."""
    return strided(shape, strides_of(room, order))


def strides_of(shape: Sequence[int], order: Sequence[int] | None = None) -> list[int]:
    """The strides of a dense layout.

    >>> strides_of((2, 3, 4), order=(0, 2, 1))
    [12, 1, 3]
    """
    strides, stride = [0] * len(shape), 1
    for dim in reversed(order if order is not None else range(len(shape))):
        strides[dim], stride = stride, stride * shape[dim]
    return strides


def strided(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Layout:
    """One factor for each dimension."""
    dims = tuple(merged([factor]) for factor in zip(shape, strides, strict=True))
    return Layout(dims, offset)


def merged(factors: Sequence[Factor]) -> Dim:
    """Without sizes of 1, and neighbours merged where one stride serves both."""
    merged: list[Factor] = []
    for size, stride in factors:
        if size == 1:
            continue
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    return tuple(merged)


def compact(layout: Layout) -> Layout:
    """A layout without gaps for the same indices, its factors in the same order in memory.

    Factors that do not move in memory (stride 0) become the outermost.
    """
    places = [(abs(stride) or math.inf, -n) for n, (_, stride) in enumerate(layout.factors)]
    ranked = sorted(range(len(places)), key=places.__getitem__)
    strides, stride = [0] * len(places), 1
    for place in ranked:
        strides[place], stride = stride, stride * layout.factors[place][0]
    remaining = iter(strides)
    return Layout(
        tuple(merged([(size, next(remaining)) for size, _ in dim]) for dim in layout.dims)
    )


# --- movement -------------------------------------------------------------------------------


def permuted(layout: Layout, dims: Sequence[int]) -> Layout:
    """Dimension i of the result is dimension dims[i]."""
    return Layout(tuple(layout.dims[dim] for dim in dims), layout.offset)


def expanded(layout: Layout, shape: Sequence[int]) -> Layout:
    """Repeated along dimensions of size 1 and along new leading ones."""
    return _expanded(layout, tuple(shape))


@lru_cache(maxsize=16384)
def _expanded(layout: Layout, shape: Shape) -> Layout:
    missing = len(shape) - len(layout.dims)
    dims = ((),) * missing + layout.dims
    pairs = zip(dims, shape, strict=True)
    return Layout(
        tuple(merged([(size, 0)]) if _size(dim) == 1 else dim for dim, size in pairs), layout.offset
    )


def _size(dim: Dim) -> int:
    return math.prod(size for size, _ in dim)


def flipped(layout: Layout, dims: Sequence[int]) -> Layout:
    """The order along some dimensions turned round."""
    offset, result = layout.offset, list(layout.dims)
    for dim in dims:
        offset += sum((size - 1) * stride for size, stride in result[dim])
        result[dim] = tuple((size, -stride) for size, stride in result[dim])
    return Layout(tuple(result), offset)


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The same elements in row-major order under another shape; None if a factor cannot be cut."""
    return _reshaped(layout, tuple(shape))


@lru_cache(maxsize=16384)
def _reshaped(layout: Layout, shape: Shape) -> Layout | None:
    if 0 in shape:
        return strided(shape, (0,) * len(shape))
    waiting = list(reversed(merged(layout.factors)))
    dims = []
    for size in shape:
        taken = _take(waiting, size)
        if taken is None:
            return None
        dims.append(merged(taken))
    return Layout(tuple(dims), layout.offset)


def _take(waiting: list[Factor], size: int) -> list[Factor] | None:
    """Factors of product `size` from the end of the list, the last of them cut if need be."""
    taken: list[Factor] = []
    while size > 1:
        length, stride = waiting.pop()
        if size % length == 0:
            taken.append((length, stride))
            size //= length
        elif length % size == 0:
            inner = length // size
            taken.append((size, stride * inner))
            waiting.append((inner, stride))
            size = 1
        else:
            return None
    return taken


def sliced(
    layout: Layout, start: Sequence[int], stop: Sequence[int], step: Sequence[int]
) -> Layout | None:
    """[start:stop:step] in every dimension; None where a range cuts through nested factors."""
    dims, offset = [], layout.offset
    for dim, first, last, stride in zip(layout.dims, start, stop, step, strict=True):
        part = _slice_dim(dim, first, len(range(first, last, stride)), stride)
        if part is None:
            return None
        dims.append(part[0])
        offset += part[1]
    return Layout(tuple(dims), offset)


def _slice_dim(dim: Dim, first: int, count: int, step: int) -> tuple[Dim, int] | None:
    """`count` indices from `first` on: their factors, and how far the first one is."""
    if count == 0:
        return ((0, 0),), 0
    if not dim:
        return (), 0
    if len(dim) == 1:
        ((_, stride),) = dim
        return merged([(count, stride * step)]), first * stride
    inner = _size(dim[1:])
    last = first + (count - 1) * step
    if first // inner == last // inner:  # within one block
        rest = _slice_dim(dim[1:], first % inner, count, step)
        return rest and (rest[0], rest[1] + first // inner * dim[0][1])
    if step == 1 and first % inner == 0 and count % inner == 0:  # whole blocks
        outer = (count // inner, dim[0][1])
        return merged([outer, *dim[1:]]), first // inner * dim[0][1]
    return None


def diagonal(layout: Layout, offset: int, dim1: int, dim2: int, length: int) -> Layout | None:
    """Elements with equal index (plus offset) in two dimensions, as a last dimension."""
    if len(layout.dims[dim1]) > 1 or len(layout.dims[dim2]) > 1:
        return None
    strides = [dim[0][1] if dim else 0 for dim in (layout.dims[dim1], layout.dims[dim2])]
    start = max(-offset, 0) * strides[0] + max(offset, 0) * strides[1]
    rest = [dim for place, dim in enumerate(layout.dims) if place not in (dim1, dim2)]
    return Layout((*rest, merged([(length, sum(strides))])), layout.offset + start)


def windows(layout: Layout, dim: int, size: int, step: int, count: int) -> Layout | None:
    """All windows of `size` every `step` along a dimension; their elements are a last dimension."""
    if len(layout.dims[dim]) > 1:
        return None
    stride = layout.dims[dim][0][1] if layout.dims[dim] else 0
    dims = list(layout.dims)
    dims[dim] = merged([(count, stride * step)])
    return Layout((*dims, merged([(size, stride)])), layout.offset)


# --- loops over several layouts -------------------------------------------------------------


class Loops(NamedTuple):
    """Loop dimensions that serve several layouts of one shape.

    Attributes:
        sizes: of the loops, in logical order.
        dims: which logical dimension each belongs to.
        strides: for each layout, its stride in each loop.
    """

    sizes: Shape
    dims: Shape
    strides: tuple[Shape, ...]


def common_loops(layouts: Sequence[Layout]) -> Loops | None:
    """The coarsest loops in which every layout moves by constant strides; None if none exist.

    >>> common_loops([dense((6,)), Layout((((2, 1), (3, 2)),))]).strides
    ((3, 1), (1, 2))
    """
    return _common_loops(tuple(layouts))


# Networks are made of equal layers, and each of them asks the same.
@lru_cache(maxsize=16384)
def _common_loops(layouts: tuple[Layout, ...]) -> Loops | None:
    sizes: list[int] = []
    dims: list[int] = []
    strides: list[list[int]] = [[] for _ in layouts]
    for number in range(len(layouts[0].dims)):
        parts = [layout.dims[number] for layout in layouts]
        found = _common_factors(parts)
        if found is None:
            return None
        sizes += found
        dims += [number] * len(found)
        for dim, mine in zip(parts, strides, strict=True):
            mine += _strides_in(dim, found)
    return Loops(tuple(sizes), tuple(dims), tuple(map(tuple, strides)))


def _common_factors(parts: Sequence[Dim]) -> list[int] | None:
    """Sizes such that every factor of every part is a product of neighbours among them."""
    bounds = {_size(parts[0])}
    for dim in parts:
        bound = 1
        for size, _ in reversed(dim):
            bounds.add(bound)
            bound *= size
    ordered = sorted(bounds | {1})
    if ordered[0] == 0:
        return [0]
    pairs = list(itertools.pairwise(ordered))
    if any(larger % smaller for smaller, larger in pairs):
        return None
    return [larger // smaller for smaller, larger in reversed(pairs)]


def _strides_in(dim: Dim, sizes: Sequence[int]) -> list[int]:
    """The stride of a dimension in each of the loops that its factors are cut into."""
    strides: list[int] = []
    remaining, inner = list(dim), 1
    for size in reversed(sizes):
        if not remaining:  # a dimension of size 0
            strides.append(0)
            continue
        length, stride = remaining[-1]
        strides.append(stride * inner)
        inner *= size
        if inner == length:
            remaining.pop()
            inner = 1
    return strides[::-1]


def merge_loops(loops: Loops, groups: Sequence[Any]) -> Loops:
    """Neighbouring loops as one where all strides allow it and `groups` of both are equal."""
    sizes: list[int] = []
    kept: list[int] = []
    columns: list[list[int]] = []
    for place, size in enumerate(loops.sizes):
        column = [mine[place] for mine in loops.strides]
        fits = sizes and groups[kept[-1]] == groups[place]
        if fits and all(a == b * size for a, b in zip(columns[-1], column, strict=True)):
            sizes[-1] *= size
            columns[-1] = column
        else:
            sizes.append(size)
            kept.append(place)
            columns.append(column)
    strides = tuple(tuple(column[n] for column in columns) for n in range(len(loops.strides)))
    return Loops(tuple(sizes), tuple(loops.dims[place] for place in kept), strides)


def of_array(array: Any) -> Layout:
    """The layout of a NumPy array in its own memory, by its strides."""
    return strided(array.shape, [stride // array.itemsize for stride in array.strides])
