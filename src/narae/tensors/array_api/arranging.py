"""The standard's functions that move elements, search them, sort them, or multiply matrices."""

from collections import namedtuple
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import DataError, ShapeError, explain
from narae.base.shapes import normalize_dim

from .. import (
    contracting,
    gathering,
    joining,
    linear,
    movement,
    ordering,
    rearranging,
    searching,
    splitting,
)
from ..creation import constant
from ..eager import apply, converted
from ..layout import can_view
from ..memory import clone
from ..tensor import Tensor
from .standard import dims_given, paired, standard

# --- shapes ----------------------------------------------------------------------------------


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Views of all arrays in their common shape."""
    return joining.broadcast_tensors(*arrays)


def broadcast_to(x: Tensor, /, shape: Any) -> Tensor:
    """A view in a larger shape, without using memory."""
    return movement.broadcast_to(x, shape)


@standard
def concat(arrays: Any, /, *, dim: int | None = 0) -> Tensor:
    """One after the other along a dimension; flattened first when it is None."""
    parts = list(arrays)
    if dim is None:
        parts, dim = [movement.reshape(x, (-1,)) for x in parts], 0
    return joining.cat([x if x.ndim else movement.reshape(x, (1,)) for x in parts], dim)


@standard
def stack(arrays: Any, /, *, dim: int = 0) -> Tensor:
    """Arrays of one shape along a new dimension."""
    return joining.stack(list(arrays), dim)


@standard
def unstack(x: Tensor, /, *, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it."""
    return splitting.unbind(x, dim)


@standard
def expand_dims(x: Tensor, /, *, dim: int = 0) -> Tensor:
    """Insert a dimension of size 1."""
    return movement.unsqueeze(x, dim)


@standard
def squeeze(x: Tensor, /, dim: Any) -> Tensor:
    """Remove dimensions of size 1.

    Raises:
        ValueError: for dimensions of another size.
    """
    dims = dims_given(dim) or ()
    sizes = [x.shape[normalize_dim(place, x.ndim, "squeeze")] for place in dims]
    if any(size != 1 for size in sizes):
        raise ShapeError(
            explain("squeeze", f"the array is {tuple(x.shape)}, axis is {dim}",
                    "only dimensions of size 1 can be removed")
        )  # fmt: skip
    return movement.squeeze(x, dims)


@standard
def flip(x: Tensor, /, *, dim: Any = None) -> Tensor:
    """The order reversed, along all dimensions by default."""
    dims = dims_given(dim)
    return rearranging.flip(x, dims=tuple(range(x.ndim)) if dims is None else dims)


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    """Move dimensions to other places; the others keep their order."""
    return movement.movedim(x, source, destination)


@standard
def permute_dims(x: Tensor, /, dims: Any) -> Tensor:
    """Dimension i of the result is dimension `axes[i]` of the array."""
    return movement.permute(x, tuple(dims))


@standard
def repeat(x: Tensor, repeats: Any, /, *, dim: int | None = None) -> Tensor:
    """Every element several times in a row (PyTorch's `repeat_interleave`)."""
    return rearranging.repeat_interleave(x, repeats, dim)


def reshape(x: Tensor, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """The same elements under another shape; `copy` forces or forbids a copy.

    Raises:
        ValueError: when copy is False and a copy is needed.
    """
    if copy is False and not can_view(x, p_shape(x, shape)):
        raise DataError(
            explain("reshape", f"the array is {tuple(x.shape)}, shape is {tuple(shape)}",
                    "it cannot be reshaped without a copy", "copy=None")
        )  # fmt: skip
    return movement.reshape(clone(x) if copy else x, tuple(shape))


def p_shape(x: Tensor, shape: Any) -> tuple[int, ...]:
    """A shape with -1 worked out."""
    from narae.base.shapes import infer_reshape

    return infer_reshape(tuple(x.shape), tuple(shape))


@standard
def roll(x: Tensor, /, shift: Any, *, dim: Any = None) -> Tensor:
    """Shift along dimensions; what leaves at one end enters at the other."""
    dims = dims_given(dim)
    if dims is None:
        return rearranging.roll(x, shift)
    moves = (shift,) * len(dims) if isinstance(shift, int) else tuple(shift)
    return rearranging.roll(x, moves, dims)


def tile(x: Tensor, repetitions: Any, /) -> Tensor:
    """Copies of the whole array side by side."""
    return rearranging.tile(x, tuple(repetitions))


# --- searching and sorting -------------------------------------------------------------------


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The indices of all elements that are not zero, one vector for each dimension.

    Raises:
        ValueError: for a 0-d array.
    """
    if not x.ndim:
        raise ShapeError("[nonzero] a 0-d array has no dimension to index")
    return searching.nonzero(x, as_tuple=True)  # type: ignore[no-any-return]


def searchsorted(
    x1: Tensor, x2: Tensor, /, *, side: str = "left", sorter: Tensor | None = None
) -> Tensor:
    """Where elements of x2 belong in the sorted vector x1."""
    first, second = paired(x1, x2, "searchsorted")
    return ordering.searchsorted(first, second, side=side, sorter=sorter)


@standard
def sort(x: Tensor, /, *, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Values in order; the sort is always stable."""
    return ordering.sort(x, dim, descending).values  # type: ignore[no-any-return]


@standard
def argsort(
    x: Tensor, /, *, dim: int = -1, descending: bool = False, stable: bool = True
) -> Tensor:
    """Where the values in order come from; the sort is always stable."""
    return ordering.argsort(x, dim, descending)


@standard
def take(x: Tensor, indices: Tensor, /, *, dim: int | None = None) -> Tensor:
    """The slices at indices, which may be negative, along a dimension."""
    if dim is None:
        if x.ndim != 1:
            raise ShapeError(f"[take] the array is {tuple(x.shape)}; name the axis")
        dim = 0
    size = x.shape[dim]
    index = _counted_from_start(indices, size)
    found = gathering.index_select(x, dim, movement.reshape(index, (-1,)))
    dim = normalize_dim(dim, x.ndim, "take")
    return movement.reshape(found, (*x.shape[:dim], *indices.shape, *x.shape[dim + 1 :]))


@standard
def take_along_dim(x: Tensor, indices: Tensor, /, *, dim: int = -1) -> Tensor:
    """One element along a dimension for each index."""
    size = x.shape[dim]
    return gathering.take_along_dim(x, _counted_from_start(indices, size), dim)


def _counted_from_start(indices: Tensor, size: int) -> Tensor:
    index = converted(indices, np.dtype(np.int64))
    negative = apply(p.lt, index, 0)
    return apply(p.where, negative, apply(p.add, index, size), index)  # type: ignore[no-any-return]


# --- sets ------------------------------------------------------------------------------------

unique_all_result = namedtuple("unique_all_result", "values indices inverse_indices counts")
unique_counts_result = namedtuple("unique_counts_result", "values counts")
unique_inverse_result = namedtuple("unique_inverse_result", "values inverse_indices")


def _unique(x: Tensor) -> list[Tensor]:
    """Distinct values, first indices, inverse and counts; every NaN is distinct."""
    options: Any = {"return_index": True, "return_inverse": True, "return_counts": True}
    found = np.unique(x._array.reshape(-1), equal_nan=False, **options)
    values, first, inverse, counts = (np.ascontiguousarray(part) for part in found)
    parts = (values, first, inverse.reshape(tuple(x.shape)), counts)
    return [constant(part) for part in parts]


def unique_all(x: Tensor, /) -> Any:
    """Distinct values in order, where each occurs first, the inverse, and counts."""
    return unique_all_result(*_unique(x))


def unique_counts(x: Tensor, /) -> Any:
    """Distinct values in order, and how often each occurs."""
    values, _, _, counts = _unique(x)
    return unique_counts_result(values, counts)


def unique_inverse(x: Tensor, /) -> Any:
    """Distinct values in order, and the place of each element among them."""
    values, _, inverse, _ = _unique(x)
    return unique_inverse_result(values, inverse)


def unique_values(x: Tensor, /) -> Tensor:
    """Distinct values in order."""
    return _unique(x)[0]


# --- matrices --------------------------------------------------------------------------------


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices."""
    return linear.matmul(*paired(x1, x2, "matmul"))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """The last two dimensions exchanged."""
    return movement.transpose(x, -2, -1)


@standard
def tensordot(x1: Tensor, x2: Tensor, /, *, dims: Any = 2) -> Tensor:
    """The sum over products along some dimensions of both."""
    return contracting.tensordot(*paired(x1, x2, "tensordot"), dims)


@standard
def vecdot(x1: Tensor, x2: Tensor, /, *, dim: int = -1) -> Tensor:
    """The sum of products along one dimension.

    Raises:
        ValueError: when the sizes differ in that dimension.
    """
    first, second = paired(x1, x2, "vecdot")
    if first.shape[dim] != second.shape[dim]:
        raise ShapeError(
            explain("vecdot", f"the arrays are {tuple(x1.shape)} and {tuple(x2.shape)}",
                    f"their sizes along axis {dim} must be equal")
        )  # fmt: skip
    first, second = movement.movedim(first, dim, -1), movement.movedim(second, dim, -1)
    row, column = movement.unsqueeze(first, -2), movement.unsqueeze(second, -1)
    return linear.matmul(row, column)[..., 0, 0]


__all__ = [
    "argsort", "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flip", "matmul",
    "matrix_transpose", "moveaxis", "nonzero", "permute_dims", "repeat", "reshape", "roll",
    "searchsorted", "sort", "squeeze", "stack", "take", "tensordot", "tile", "unique_all",
    "unique_counts", "unique_inverse", "unique_values", "unstack", "vecdot",
]  # fmt: skip
