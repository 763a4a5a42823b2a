"""Norms of vectors and matrices."""

import math
from collections.abc import Sequence
from typing import Any

from narae import primitives as ops
from narae.base.dtypes import as_numpy, category, is_half
from narae.base.errors import BoundsError, ConfigError, DTypeError, ShapeError, explain
from narae.base.shapes import normalize_dim

from ..eager import apply, converted
from ..movement import movedim, reshape
from ..operands import dtype_name
from ..reductions import dims_of
from ..tensor import Tensor
from .checks import require_floating, require_matrix, shape_of, takes_out

MATRIX_ORDERS = ("fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2)


def _in_dtype(what: str, x: Tensor, dtype: Any) -> Tensor:
    """The tensor in a dtype that must not be narrower than its own."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{what}(): argument 'A' must be Tensor, not {type(x).__name__}")
    require_floating(what, x, half=True)
    if dtype is None:
        return x
    wanted, found = as_numpy(dtype), x._value.dtype
    narrower = wanted.itemsize < found.itemsize or (is_half(wanted) and is_half(found))
    if category(wanted) != category(found) or (narrower and wanted != found):
        raise DTypeError(
            explain(
                what,
                f"elements are {x.dtype}, dtype is {dtype}",
                f"the dtype of the input ({dtype_name(found)}) should be convertible without "
                f"narrowing to the specified dtype ({dtype_name(wanted)})",
            )
        )
    return converted(x, wanted)  # type: ignore[no-any-return]


@takes_out
def vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum of |x| ** ord) ** (1 / ord) over dimensions; all of them when `dim` is None.

    Args:
        x: a floating point tensor.
        ord: inf takes the largest, -inf the smallest, 0 counts what is not zero.
        dim: a dimension, several, or None.
        keepdim: keep reduced dimensions with size 1.
        dtype: convert to it first.

    >>> import narae
    >>> narae.linalg.vector_norm(narae.tensor([3.0, 4.0]))
    tensor(5.)
    """
    what = "linalg.vector_norm"
    x = _in_dtype(what, x, dtype)
    if isinstance(ord, (str, bool)):
        raise TypeError(f"{what}(): argument 'ord' must be Number, not {type(ord).__name__}")
    order, dims = float(ord), dims_of(x, dim)
    if 0 in shape_of(x) and (order < 0 or order == math.inf):
        _check_identity(what, x, order, dims, dim)
    return apply(ops.vector_norm, x, ord=order, dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]


def _check_identity(what: str, x: Tensor, order: float, dims: Sequence[int], dim: Any) -> None:
    """Refuse the largest or smallest of nothing."""
    if dim is not None and all(shape_of(x)[place] for place in dims):
        return
    raise BoundsError(
        explain(
            what,
            f"x is {shape_of(x)}, ord is {order}, dim is {dim}",
            f"cannot compute the {order} norm on an empty tensor or dimension because the "
            "operation does not have an identity",
        )
    )


@takes_out
def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """A norm of matrices.

    Args:
        A: a floating point tensor of at least two dimensions.
        ord: "fro": the square root of the sum of squares; "nuc": the sum of singular values; 2, -2:
            the largest, smallest one; 1, -1: the largest, smallest sum of sizes in a column; inf,
            -inf: in a row.
        dim: the two dimensions of the matrices.
        keepdim: keep them with size 1.
        dtype: convert to it first.

    >>> import narae
    >>> narae.linalg.matrix_norm(narae.tensor([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    tensor(7.)
    """
    what = "linalg.matrix_norm"
    rows, columns = _matrix_dims(what, A, ord, dim)
    A = _in_dtype(what, A, dtype)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)  # type: ignore[no-any-return]
    if ord == "nuc" or abs(ord) == 2:
        return _by_singular_values(what, A, ord, (rows, columns), keepdim)
    first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = apply(ops.sum_, apply(ops.abs_, A), dim=(first,), keepdim=True)
    _check_extreme(what, sums, ord, second)
    found = apply(ops.amax if ord > 0 else ops.amin, sums, dim=(second,), keepdim=True)
    return _finished(found, rows, columns, keepdim)


def _matrix_dims(what: str, A: Tensor, ord: Any, dim: Any) -> tuple[int, int]:
    if ord not in MATRIX_ORDERS or isinstance(ord, bool):
        raise ConfigError(
            explain(
                what,
                f"ord is {ord!r}",
                f"Order {ord!r} not supported: it must be one of {MATRIX_ORDERS}",
                "narae.linalg.vector_norm takes any number",
            )
        )
    rank = len(shape_of(require_matrix(what, A)))
    if isinstance(dim, int) or len(dim) != 2:
        raise ShapeError(f"[{what}] dim must be a 2-tuple. Got {dim}")
    rows, columns = (normalize_dim(place, rank, what) for place in dim)
    if rows == columns:
        raise ShapeError(f"[{what}] dims must be different. Got ({dim[0]}, {dim[1]})")
    return rows, columns


def _by_singular_values(
    what: str, A: Tensor, ord: Any, dims: tuple[int, int], keepdim: bool
) -> Tensor:
    require_floating(what, A)
    rank = len(shape_of(A))
    matrices = movedim(A, dims, (rank - 2, rank - 1))
    values = apply(ops.svdvals, matrices)
    last = rank - 2
    if ord == "nuc":
        found = apply(ops.sum_, values, dim=(last,), keepdim=False)
    else:
        _check_extreme(what, values, ord, last)
        found = apply(ops.amax if ord > 0 else ops.amin, values, dim=(last,), keepdim=False)
    if not keepdim:
        return found  # type: ignore[no-any-return]
    shape = [1 if place in dims else size for place, size in enumerate(shape_of(A))]
    return reshape(found, tuple(shape))


def _check_extreme(what: str, x: Tensor, ord: Any, dim: int) -> None:
    if shape_of(x)[dim] == 0:
        raise BoundsError(
            explain(
                what,
                f"ord is {ord}, the matrices have no elements",
                f"Expected reduction dim {dim} to have non-zero size",
            )
        )


def _finished(x: Tensor, rows: int, columns: int, keepdim: bool) -> Tensor:
    if keepdim:
        return x
    shape = [size for place, size in enumerate(shape_of(x)) if place not in (rows, columns)]
    return reshape(x, tuple(shape))


@takes_out
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """`vector_norm` or `matrix_norm`.

    Args:
        A: a floating point tensor.
        ord: the kind of norm; None is 2 over all elements of `dim`.
        dim: one dimension for vectors, two for matrices; None for all of a vector or matrix.
        keepdim: keep reduced dimensions with size 1.
        dtype: convert to it first.

    >>> import narae
    >>> narae.linalg.norm(narae.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor(6.)
    """
    what = "linalg.norm"
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    places = (dim,) if isinstance(dim, int) else dim
    rank = len(shape_of(A))
    if places is None and not isinstance(ord, str):
        if rank not in (1, 2):
            raise ShapeError(
                explain(
                    what,
                    f"A is {shape_of(A)}, ord is {ord!r}",
                    "If dim is not specified but ord is, the input must be 1D or 2D",
                    "give dim, or use vector_norm",
                )
            )
    if isinstance(ord, str) or (len(places) if places is not None else rank) == 2:
        if places is not None and len(places) != 2:
            raise ShapeError(
                f"[{what}] If dim is specified, it must be of length 1 or 2. Got {dim}"
            )
        return matrix_norm(A, ord, (-2, -1) if places is None else places, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    if places is not None and len(places) != 1:
        raise ShapeError(f"[{what}] If dim is specified, it must be of length 1 or 2. Got {dim}")
    return vector_norm(A, ord, places, keepdim, dtype=dtype)  # type: ignore[no-any-return]


__all__ = ["matrix_norm", "norm", "vector_norm"]
