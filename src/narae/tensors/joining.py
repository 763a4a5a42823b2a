"""Putting tensors together: concatenating, stacking, grids."""

from collections.abc import Sequence
from typing import Any

from narae import primitives as p
from narae.base.dtypes import result_type
from narae.base.errors import ShapeError, explain
from narae.base.shapes import Size, normalize_dim
from narae.base.shapes import broadcast_shapes as _common_shape
from narae.reference import LOWERINGS

from .eager import apply, converted, ndarray, record
from .modes import modes
from .movement import expand, reshape, sizes_of, unsqueeze
from .operands import deliver, refuse_overlap
from .reductions import sum as sum_over
from .tensor import Tensor, wrap

Tensors = tuple[Tensor, ...]


def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """One after the other along a dimension that they have.

    Args:
        tensors: shapes that are equal except along `dim`; empty vectors are left out.
        dim: where they follow each other.
        out: where the result is written.

    >>> import narae
    >>> narae.cat([narae.zeros(2, 3), narae.ones(1, 3)]).shape
    narae.Size([3, 3])
    """
    if out is None and _are_alike(tensors, dim):
        return _concatenated(tensors, dim)
    parts = _checked(tensors, "cat")
    if out is None:
        return _joined(parts, dim)
    refuse_overlap(out, "cat", *parts)
    return deliver(_joined(parts, dim), out, "cat")


def _joined(tensors: Tensors, dim: int) -> Tensor:
    dtype = result_type([x._value for x in tensors])
    kept = [x for x in tensors if x._value.shape != (0,)]
    if not kept:
        return apply(p.copy, converted(tensors[0], dtype))  # type: ignore[no-any-return]
    dim = normalize_dim(dim, len(kept[0]._value.shape), "cat")
    _check_alike(kept, dim)
    return apply(p.concat, *[converted(x, dtype) for x in kept], dim=dim)  # type: ignore[no-any-return]


_concat: Any = LOWERINGS[p.concat]


def _concatenated(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """Tensors of one shape and dtype, one after the other."""
    if not modes.plain:
        return apply(p.concat, *tensors, dim=dim)  # type: ignore[no-any-return]
    out = wrap(_concat(*[x._value for x in tensors], dim=dim))
    record(p.concat, tensors, (out,), {"dim": dim})
    return out


def _are_alike(tensors: Sequence[Tensor], dim: int) -> bool:
    """Whether all are tensors of one shape and dtype: then there is nothing to check or convert."""
    if not isinstance(tensors, (list, tuple)) or not tensors or dim.__class__ is not int:
        return False
    shape = dtype = None
    for x in tensors:
        if not isinstance(x, Tensor):
            return False
        value = x._value
        if value.__class__ is not ndarray:
            return False
        if shape is None:
            shape, dtype = value.shape, value.dtype
        elif value.dtype is not dtype or value.shape != shape:
            return False
    return shape is not None and 0 <= dim < len(shape) and shape != (0,)


concat = concatenate = cat


def _checked(tensors: Sequence[Tensor], what: str) -> Tensors:
    if isinstance(tensors, Tensor):
        raise TypeError(f"{what}(): argument 'tensors' must be tuple of Tensors")
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"{what}(): argument 'tensors' must be tuple of Tensors")
    if not tensors:
        raise ShapeError(f"[{what}] {what}(): expected a non-empty list of Tensors")
    return tuple(tensors)


def _check_alike(tensors: Sequence[Tensor], dim: int) -> None:
    first = tensors[0]._value.shape
    for place, x in enumerate(tensors):
        shape = x._value.shape
        if not shape:
            raise ShapeError(
                f"[cat] zero-dimensional tensor (at position {place}) cannot be concatenated. "
                "Fix: use stack"
            )
        if len(shape) != len(first):
            raise ShapeError(
                explain(
                    "cat",
                    f"tensor 0 is {tuple(first)}, tensor {place} is {tuple(shape)}",
                    f"Tensors must have same number of dimensions: got {len(first)} and "
                    f"{len(shape)}",
                )
            )
        for other, (expected, found) in enumerate(zip(first, shape, strict=True)):
            if other != dim and expected != found:
                raise ShapeError(
                    explain(
                        "cat",
                        f"tensor 0 is {tuple(first)}, tensor {place} is {tuple(shape)}",
                        f"Sizes of tensors must match except in dimension {dim}. Expected size "
                        f"{expected} but got size {found} for tensor number {place} in the list.",
                    )
                )


def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape along a new dimension.

    >>> import narae
    >>> narae.stack([narae.zeros(3), narae.ones(3)], 1).shape
    narae.Size([3, 2])
    """
    tensors = _checked(tensors, "stack")
    first = tensors[0]._value.shape
    for place, x in enumerate(tensors):
        if x._value.shape != first:
            raise ShapeError(
                f"[stack] stack expects each tensor to be equal size, but got {list(first)} at "
                f"entry 0 and {list(x._value.shape)} at entry {place}"
            )
    dim = normalize_dim(dim, len(first) + 1, "stack")
    dtype = result_type([x._value for x in tensors])
    stacked = apply(p.stack, *[converted(x, dtype) for x in tensors], dim=dim)
    return stacked if out is None else deliver(stacked, out, "stack")


# --- at least so many dimensions ------------------------------------------------------------


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """Apply to one tensor, or to each of several."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    if len(tensors) == 1:
        tensors = tuple(tensors[0])
    return tuple(function(x) for x in tensors)


def atleast_1d(*tensors: Any) -> Any:
    """Numbers become vectors."""
    return _each(lambda x: x if x._value.shape else reshape(x, (1,)), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Vectors become rows."""
    return _each(_atleast_2d, tensors)


def _atleast_2d(x: Tensor) -> Tensor:
    rank = len(x._value.shape)
    if rank >= 2:
        return x
    return unsqueeze(x, 0) if rank else reshape(x, (1, 1))


def atleast_3d(*tensors: Any) -> Any:
    """Vectors become (1, n, 1), matrices (m, n, 1)."""
    return _each(_atleast_3d, tensors)


def _atleast_3d(x: Tensor) -> Tensor:
    rank = len(x._value.shape)
    if rank >= 3:
        return x
    if rank == 2:
        return unsqueeze(x, -1)
    return unsqueeze(unsqueeze(x, 0), -1) if rank else reshape(x, (1, 1, 1))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along dimension 1, or 0 for vectors."""
    rows = [atleast_1d(x) for x in _checked(tensors, "hstack")]
    return cat(rows, 0 if len(rows[0]._value.shape) == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """On top of each other; vectors are rows."""
    return cat([_atleast_2d(x) for x in _checked(tensors, "vstack")], 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other, along the third dimension."""
    return cat([_atleast_3d(x) for x in _checked(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side; vectors are columns."""
    columns = []
    for x in _checked(tensors, "column_stack"):
        flat = len(x._value.shape) <= 1
        columns.append(reshape(x, (x._value.size, 1)) if flat else x)
    return cat(columns, 1)


# --- grids ----------------------------------------------------------------------------------


def _several(tensors: tuple[Any, ...]) -> Tensors:
    """`f(x, y)` or `f([x, y])`."""
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    return tensors


def broadcast_tensors(*tensors: Any) -> Tensors:
    """Views of all operands in their common shape."""
    operands = _several(tensors)
    shape = _common_shape(*[x._value.shape for x in operands], what="broadcast_tensors")
    return tuple([expand(x, shape) for x in operands])


def broadcast_shapes(*shapes: Any) -> Size:
    """The common shape of several shapes.

    >>> import narae
    >>> narae.broadcast_shapes((3, 1), (4,))
    narae.Size([3, 4])
    """
    sizes = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    if min((size for shape in sizes for size in shape), default=0) < 0:
        raise ShapeError(f"[broadcast_shapes] the shapes {sizes} have negative sizes")
    return Size(_common_shape(*sizes, what="broadcast_shapes"))


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over all dimensions along which a tensor of that size would be repeated.

    It is what un-broadcasting does to gradients: `x.expand(shape).sum_to_size(x.shape)` is x times
    the number of repetitions.
    """
    wanted, shape = sizes_of(size), tuple(input._value.shape)
    pairs = zip(reversed(wanted), reversed(shape), strict=False)
    if len(wanted) > len(shape) or any(goal not in (1, found) for goal, found in pairs):
        raise ShapeError(
            explain(
                "sum_to_size",
                f"the tensor is {shape}, the size {wanted}",
                f"size {list(wanted)} is not expandable to size {list(shape)}.",
            )
        )
    extra = len(shape) - len(wanted)
    dims = tuple(range(extra)) + tuple(
        [dim for dim in range(extra, len(shape)) if wanted[dim - extra] == 1 != shape[dim]]
    )
    if not dims and wanted:
        return reshape(input, wanted)
    return reshape(sum_over(input, dims), wanted)


def meshgrid(*tensors: Any, indexing: str = "ij") -> Tensors:
    """Coordinates of a grid: result i varies along dimension i only.

    Args:
        tensors: vectors (or numbers) of one dtype.
        indexing: "ij" for matrix order, "xy" for x before y.
    """
    vectors = [reshape(x, (-1,)) if not x._value.shape else x for x in _several(tensors)]
    if not vectors:
        raise ShapeError("[meshgrid] meshgrid expects a non-empty TensorList")
    for x in vectors:
        if len(x._value.shape) != 1:
            raise ShapeError(
                "[meshgrid] Expected 0D or 1D tensor in the tensor list but got: "
                f"{tuple(x._value.shape)}"
            )
        if x._value.dtype != vectors[0]._value.dtype:
            raise ShapeError("[meshgrid] meshgrid expects all tensors to have the same dtype")
    if indexing not in ("ij", "xy"):
        raise ShapeError(
            f'[meshgrid] indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swapped = indexing == "xy" and len(vectors) >= 2
    if swapped:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = tuple(x._value.shape[0] for x in vectors)
    grids = []
    for dim, x in enumerate(vectors):
        line = reshape(x, (1,) * dim + (shape[dim],) + (1,) * (len(shape) - dim - 1))
        grids.append(expand(line, shape))
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of elements, one a row, as `itertools.product` orders them."""
    vectors = _several(tensors)
    for x in vectors:
        if len(x._value.shape) != 1:
            raise ShapeError(
                f"[cartesian_prod] Expect a 1D vector, but got shape {list(x._value.shape)}"
            )
    if len(vectors) == 1:
        return vectors[0]
    columns = [reshape(grid, (grid._value.size,)) for grid in meshgrid(*vectors)]
    return stack(columns, 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose r elements of a vector, in order, one a row."""
    import itertools

    import numpy as np

    from .creation import constant

    if len(input._value.shape) != 1:
        raise ShapeError(
            f"[combinations] Expect a 1D vector, but got shape {list(input._value.shape)}"
        )
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input._value.shape[0]), r))
    places = constant(np.array(rows, np.int64).reshape(len(rows), r))
    return apply(p.take, input, places, dim=0)  # type: ignore[no-any-return]


def block_diag(*tensors: Any) -> Tensor:
    """Matrices along the diagonal, zeros elsewhere; vectors are rows."""
    blocks = [_atleast_2d(x) for x in _several(tensors)]
    for x in blocks:
        if len(x._value.shape) > 2:
            raise ShapeError(
                "[block_diag] block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"has {len(x._value.shape)} dimensions"
            )
    dtype = result_type([x._value for x in blocks])
    width = sum(x._value.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        after = width - before - x._value.shape[1]
        padded = apply(p.pad, converted(x, dtype), low=(0, before), high=(0, after), value=0)
        before += x._value.shape[1]
        rows.append(padded)
    return cat(rows, 0)


__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "cat",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "meshgrid",
    "row_stack",
    "stack",
    "vstack",
]
METHODS = ["sum_to_size"]
