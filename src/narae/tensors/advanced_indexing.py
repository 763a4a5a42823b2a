"""Reading and writing at positions given by integer tensors and masks.

`places` maps dimensions to indices. Several indices broadcast together and are joined into one
index of the joined dimensions, so that one `take` (or `scatter`) serves all cases:

    before: x (4, 5, 6), places {0: i, 1: j}
    after:  x reshaped to (20, 6), index i * 5 + j, along dimension 0
"""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import BoundsError, ShapeError, TraceError, explain
from narae.base.places import user_line
from narae.base.shapes import Shape, broadcast_shapes

from .creation import constant
from .eager import apply, converted
from .modes import modes
from .tensor import Tensor, wrap
from .views import check_writable, version_before, write

Places = dict[int, Any]


# --- indices --------------------------------------------------------------------------------


def is_mask(index: Tensor) -> bool:
    """Whether a tensor selects by truth: bool, or uint8 as in old PyTorch programs."""
    return bool(index._value.dtype.kind == "b" or index._value.dtype == np.uint8)


def check_index_dtype(index: Tensor) -> None:
    """Refuse tensors that are neither int64, int32 nor masks.

    Raises:
        IndexError: for other dtypes.
    """
    dtype = index._value.dtype
    if dtype.kind == "b" or dtype in (np.int64, np.int32):
        return
    if dtype == np.uint8:
        warnings.warn(
            "indexing with dtype uint8 is deprecated, please use a bool tensor", stacklevel=2
        )
        return
    raise BoundsError(
        explain(
            "indexing",
            f"an index is {index.dtype} {tuple(index.shape)}",
            "tensors used as indices must be long, int, byte or bool tensors",
            "convert it with .long()",
        )
    )


def resolved(shape: Shape, places: Places) -> Places:
    """Places with masks replaced by the positions where they hold, and all indices in range."""
    found: Places = {}
    for dim, index in places.items():
        check_index_dtype(index)
        if not is_mask(index):
            found[dim] = index
            continue
        check_mask(shape, dim, index)
        for offset, positions in enumerate(np.nonzero(_mask_array(index))):
            found[dim + offset] = wrap(positions) if modes.trace is None else constant(positions)
    return {dim: in_range(index, shape[dim], dim) for dim, index in found.items()}


def check_mask(shape: Shape, dim: int, mask: Tensor) -> None:
    """Refuse a mask whose shape is not that of the dimensions it selects from."""
    sizes = tuple(mask._value.shape)
    if tuple(shape[dim : dim + len(sizes)]) != sizes:
        raise BoundsError(
            explain(
                "indexing",
                f"The shape of the mask {list(sizes)} at index {dim} does not match the shape of "
                f"the indexed tensor {list(shape)} at index {dim}",
                "a mask has the shape of the dimensions it selects from",
            )
        )


def _mask_array(mask: Tensor) -> Any:
    if modes.trace is not None:
        raise TraceError(
            f"[indexing] at {user_line()} a tensor is indexed with a mask {tuple(mask.shape)} in a "
            "traced step; the size of the result depends on numbers, and a program has none until "
            "it runs. Fix: keep the shape, with narae.where(mask, x, padding) or x * mask; or "
            "x[mask] = number, which needs no size"
        )
    return mask._value


def in_range(index: Tensor, size: int, dim: int) -> Tensor:
    """Indices counted from the start; negative ones count from the end.

    Raises:
        IndexError: if one is out of range.
    """
    if modes.trace is not None:
        index = converted(index, INT64)
        wrapped = apply(p.add, index, size)
        return apply(p.where, apply(p.lt, index, 0), wrapped, index)  # type: ignore[no-any-return]
    array = index._value
    if array.size == 0:
        return index
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high < size:
        return index
    if low < -size or high >= size:
        raise BoundsError(
            explain(
                "indexing",
                f"index {high if high >= size else low} is out of bounds for dimension {dim} with "
                f"size {size}",
                f"valid are {-size} to {size - 1}" if size else "it has no elements",
            )
        )
    return wrap(np.where(array < 0, array + size, array))


def _broadcast(indices: Sequence[Tensor]) -> Shape:
    shapes = [tuple(index._value.shape) for index in indices]
    try:
        return broadcast_shapes(*shapes)
    except ShapeError as error:
        given = ", ".join(str(list(shape)) for shape in shapes)
        raise BoundsError(
            explain(
                "indexing",
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                f"{given}",
                "sizes must be equal or 1",
            )
        ) from error


def joined_index(places: Places, sizes: Sequence[int]) -> Tensor:
    """One index of the joined dimensions.

    In a trace an index that is out of range becomes -1, which the executor refuses: joined with
    others it would silently be a wrong position.
    """
    indices = list(places.values())
    if len(indices) == 1:
        return indices[0]  # type: ignore[no-any-return]
    _broadcast(indices)
    if modes.trace is None:
        flat = indices[0]._value
        for index, size in zip(indices[1:], sizes[1:], strict=True):
            flat = flat * size + index._value
        return wrap(np.asarray(flat, INT64))
    joined, valid = indices[0], _valid(indices[0], sizes[0])
    for index, size in zip(indices[1:], sizes[1:], strict=True):
        joined = apply(p.add, apply(p.mul, joined, size), index)
        valid = apply(p.and_, valid, _valid(index, size))
    return apply(p.where, valid, joined, -1)  # type: ignore[no-any-return]


def _valid(index: Tensor, size: int) -> Tensor:
    inside = apply(p.and_, apply(p.lt, -1, index), apply(p.lt, index, size))
    return inside  # type: ignore[no-any-return]


def _adjacent(dims: Sequence[int]) -> bool:
    return all(second - first == 1 for first, second in pairwise(dims))


def _front_order(dims: Sequence[int], rank: int) -> Shape:
    """The permutation that brings `dims` to the front."""
    return (*dims, *(dim for dim in range(rank) if dim not in dims))


# --- reading --------------------------------------------------------------------------------


def take_at(x: Tensor, places: Places) -> Tensor:
    """x at the given places; the dimensions of the index stand where those of x stood.

    If dimensions without an index lie between, they stand first, as in NumPy and PyTorch.
    """
    found = resolved(x._value.shape, places)
    dims = list(found)
    if len(dims) == 1:
        return apply(p.take, x, found[dims[0]], dim=dims[0])  # type: ignore[no-any-return]
    first = dims[0]
    if not _adjacent(dims):
        x = apply(p.permute, x, dims=_front_order(dims, len(x._value.shape)))
        first = 0
    shape = tuple(x._value.shape)
    last = first + len(dims)
    sizes = shape[first:last]
    index = joined_index(found, sizes)
    x = apply(p.reshape, x, shape=(*shape[:first], int(np.prod(sizes)), *shape[last:]))
    return apply(p.take, x, index, dim=first)  # type: ignore[no-any-return]


# --- writing --------------------------------------------------------------------------------


def put_at(x: Tensor, places: Places, value: Any, accumulate: bool, what: str) -> Tensor:
    """Write (or add) a value at the given places, in place.

    Args:
        x: the tensor written to.
        places: dimension -> index.
        value: a tensor that broadcasts to the shape of what is written to, or a number.
        accumulate: add instead of overwriting; repeated places add up.
        what: the name of the function, for messages.
    """
    check_writable(x, what)
    if len(places) == 1 and not accumulate and _is_scalar(value):
        ((dim, index),) = places.items()
        if is_mask(index):
            check_mask(x._value.shape, dim, index)
            return _fill_where(x, dim, index, value, what)
    found = resolved(x._value.shape, places)
    if _records(x, value):
        return write(x, put_into_copy(version_before(x), found, value, accumulate), what)
    array, key = x._value, _numpy_key(found, x._value.ndim)
    source = value._value if isinstance(value, Tensor) else value
    source = fitted(np.asarray(source, array.dtype), _result_shape(x._value.shape, found))
    if accumulate:
        np.add.at(array, key, source)
    else:
        array[key] = source
    x._bump()
    return x


def _records(x: Tensor, value: Any) -> bool:
    """Whether the write must go through operations: for the tape, or for a trace."""
    if modes.trace is not None:
        return True
    needed = x.requires_grad or (isinstance(value, Tensor) and value.requires_grad)
    return modes.grad and needed


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, Tensor) or value._value.ndim == 0


def _numpy_key(places: Places, rank: int) -> tuple[Any, ...]:
    return tuple(places[dim]._value if dim in places else slice(None) for dim in range(rank))


def _fill_where(x: Tensor, dim: int, mask: Tensor, value: Any, what: str) -> Tensor:
    """Write one number where a mask holds: no size depends on it, so it can be traced."""
    rank, sizes = len(x._value.shape), tuple(mask._value.shape)
    shape = (1,) * dim + sizes + (1,) * (rank - dim - len(sizes))
    if mask._value.dtype.kind != "b":
        mask = apply(p.cast, mask, dtype=np.bool_)
    mask = apply(p.reshape, mask, shape=shape)
    number = converted(value, x._value.dtype)
    return write(x, apply(p.where, mask, number, version_before(x)), what)


def _result_shape(shape: Shape, places: Places) -> Shape:
    dims = list(places)
    sizes = _broadcast(list(places.values()))
    rest = [dim for dim in range(len(shape)) if dim not in dims]
    first = dims[0] if _adjacent(dims) else 0
    kept = [shape[dim] for dim in rest]
    return (*kept[:first], *sizes, *kept[first:])


def fitted(value: Any, shape: Shape) -> Any:
    """A value (tensor or array) expanded to a shape; leading ones in excess are dropped."""
    sizes = tuple(value.shape)
    trimmed = sizes
    while len(trimmed) > len(shape) and trimmed[0] == 1:
        trimmed = trimmed[1:]
    extra = len(shape) - len(trimmed)
    fits = extra >= 0 and all(
        size in (1, wanted) for size, wanted in zip(trimmed, shape[max(extra, 0) :], strict=False)
    )
    if not fits:
        raise ShapeError(
            explain(
                "indexing",
                f"shape mismatch: value tensor of shape {list(sizes)} cannot be broadcast to "
                f"indexing result of shape {list(shape)}",
                "sizes must be equal or 1, counted from the last",
            )
        )
    if isinstance(value, np.ndarray):
        return np.broadcast_to(value.reshape(trimmed), shape)
    if trimmed != sizes:
        value = apply(p.reshape, value, shape=trimmed)
    return apply(p.expand, value, shape=shape) if trimmed != shape else value


def put_into_copy(x: Tensor, places: Places, value: Any, accumulate: bool) -> Tensor:
    """x with a value written (or added) at places, as a new tensor built from primitives.

    Indexed dimensions go first and are joined: x becomes (positions, rest), the value (n, rest).
    """
    shape, dims = tuple(x._value.shape), list(places)
    order = _front_order(dims, len(shape))
    sizes = [shape[dim] for dim in dims]
    rest = tuple(shape[dim] for dim in order[len(dims) :])
    width = int(np.prod(rest))
    rows = apply(p.permute, x, dims=order)
    rows = apply(p.reshape, rows, shape=(int(np.prod(sizes)), width))
    index = joined_index(places, sizes)
    count = int(index._value.size)
    source = _value_rows(x, places, value, rest)
    source = apply(p.reshape, source, shape=(count, width))
    index = apply(p.reshape, index, shape=(count,))
    if accumulate:
        rows = apply(p.index_add, rows, index, source, dim=0)
    else:
        index = apply(p.reshape, index, shape=(count, 1))
        index = apply(p.expand, index, shape=(count, width))
        rows = apply(p.scatter, rows, index, source, dim=0)
    out = apply(p.reshape, rows, shape=(*sizes, *rest))
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return apply(p.permute, out, dims=back)  # type: ignore[no-any-return]


def _value_rows(x: Tensor, places: Places, value: Any, rest: Shape) -> Tensor:
    """The value in the shape of the index followed by the other dimensions."""
    shape, dims = tuple(x._value.shape), list(places)
    if not isinstance(value, Tensor):
        value = constant(np.asarray(converted(value, x._value.dtype), x._value.dtype))
    value = converted(value, x._value.dtype)
    wanted = _result_shape(shape, places)
    value = fitted(value, wanted)
    rank = len(wanted) - len(rest)
    first = dims[0] if _adjacent(dims) else 0
    front = _front_order(range(first, first + rank), len(wanted))
    return apply(p.permute, value, dims=front)  # type: ignore[no-any-return]
