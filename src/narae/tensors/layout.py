"""Where elements lie: strides of arrays, of what a trace knows only by shape, and of reshapes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.shapes import Shape, contiguous_strides

from .tensor import Tensor

Layout = tuple[Shape, Shape]


def strides_of(x: Tensor) -> Shape:
    """The strides of a tensor, in elements.

    In a trace the base of a view counts as contiguous, and the steps to the view are followed.
    """
    value = x._value
    if type(value) is np.ndarray:
        size = value.dtype.itemsize
        return tuple(stride // size for stride in value.strides)
    if x._view is None:
        return contiguous_strides(value.shape)
    shape = tuple(x._view.base._value.shape)
    layout: Layout = shape, contiguous_strides(shape)
    for operation, attrs in x._view.steps:
        rule = _RULES.get(operation)
        if rule is not None:
            layout = rule(*layout, **attrs)
    return layout[1]


def offset_of(x: Tensor) -> int:
    """How many elements of its storage lie before a view whose base counts as contiguous."""
    if x._view is None or not x._value.size:
        return 0
    from .views import positions

    places = positions(tuple(x._view.base._value.shape), x._view.steps)
    return int(places.reshape(-1)[0])


def reshaped_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape | None:
    """The strides of a reshape that shares memory; None where it must copy.

    Dimensions that follow each other without a gap in memory form a block; a size of the new shape
    may split or join dimensions within a block, never across two of them.

    >>> reshaped_strides((2, 3), (3, 1), (6,))
    (1,)
    >>> reshaped_strides((3, 2), (1, 3), (6,)) is None
    True
    """
    if math.prod(shape) == 0 or not shape:
        return contiguous_strides(wanted)
    found = [0] * len(wanted)
    place = len(wanted) - 1
    block_stride, block_size, used = strides[-1], 1, 1
    for dim in range(len(shape) - 1, -1, -1):
        block_size *= shape[dim]
        joined = shape[dim - 1] == 1 or strides[dim - 1] == block_size * block_stride
        if dim > 0 and joined:
            continue
        while place >= 0 and (used < block_size or wanted[place] == 1):
            found[place] = used * block_stride
            used *= wanted[place]
            place -= 1
        if used != block_size:
            return None
        if dim > 0:
            block_stride, block_size, used = strides[dim - 1], 1, 1
    return tuple(found) if place == -1 else None


def can_view(x: Tensor, shape: Shape) -> bool:
    """Whether a reshape can share the memory of x."""
    value = x._value
    if type(value) is np.ndarray and value.flags.c_contiguous:
        return True
    return reshaped_strides(tuple(value.shape), strides_of(x), shape) is not None


# --- how each movement changes shape and strides --------------------------------------------


def _permute(shape: Shape, strides: Shape, *, dims: Shape) -> Layout:
    return tuple(shape[dim] for dim in dims), tuple(strides[dim] for dim in dims)


def _swap(shape: Shape, strides: Shape, *, dim0: int, dim1: int) -> Layout:
    return _permute(shape, strides, dims=p.swapped(len(shape), dim0, dim1))


def _slice(shape: Shape, strides: Shape, *, start: Shape, stop: Shape, step: Shape) -> Layout:
    spans = zip(start, stop, step, strict=True)
    sizes = tuple(len(range(first, last, stride)) for first, last, stride in spans)
    return sizes, tuple(old * new for old, new in zip(strides, step, strict=True))


def _reshape(old: Shape, strides: Shape, *, shape: Shape) -> Layout:
    return shape, reshaped_strides(old, strides, shape) or contiguous_strides(shape)


def _expand(old: Shape, strides: Shape, *, shape: Shape) -> Layout:
    extra = len(shape) - len(old)
    sizes = zip(old, strides, shape[extra:], strict=True)
    kept = (0 if size == 1 and wanted != 1 else stride for size, stride, wanted in sizes)
    return shape, (0,) * extra + tuple(kept)


def _diagonal(shape: Shape, strides: Shape, *, offset: int, dim1: int, dim2: int) -> Layout:
    length = max(0, min(shape[dim1] + min(offset, 0), shape[dim2] - max(offset, 0)))
    rest = [dim for dim in range(len(shape)) if dim not in (dim1, dim2)]
    sizes, steps = [shape[dim] for dim in rest], [strides[dim] for dim in rest]
    return (*sizes, length), (*steps, strides[dim1] + strides[dim2])


def _windows(shape: Shape, strides: Shape, *, dim: int, size: int, step: int) -> Layout:
    count = (shape[dim] - size) // step + 1
    sizes = (*shape[:dim], count, *shape[dim + 1 :], size)
    return sizes, (*strides[:dim], strides[dim] * step, *strides[dim + 1 :], strides[dim])


def _select(shape: Shape, strides: Shape, *, dim: int, index: int) -> Layout:
    return shape[:dim] + shape[dim + 1 :], strides[:dim] + strides[dim + 1 :]


def _squeeze(shape: Shape, strides: Shape, *, dim: Shape) -> Layout:
    kept = [place for place in range(len(shape)) if place not in dim]
    return tuple(shape[place] for place in kept), tuple(strides[place] for place in kept)


def _unsqueeze(shape: Shape, strides: Shape, *, dim: int) -> Layout:
    step = strides[dim] * shape[dim] if dim < len(shape) else 1
    return (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], step, *strides[dim:])


def _as_strided(_: Shape, __: Shape, *, size: Shape, stride: Shape, offset: int) -> Layout:
    return size, stride


_RULES: dict[Any, Callable[..., Layout]] = {
    p.permute: _permute,
    p.transpose: _swap,
    p.t: _swap,
    p.slice_: _slice,
    p.reshape: _reshape,
    p.expand: _expand,
    p.diagonal: _diagonal,
    p.windows: _windows,
    p.select: _select,
    p.squeeze: _squeeze,
    p.squeeze_all: _squeeze,
    p.unsqueeze: _unsqueeze,
    p.as_strided: _as_strided,
}
