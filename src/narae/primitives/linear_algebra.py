"""Systems of linear equations, and the parts of matrices that rules of linear algebra use.

All of linear algebra is done by calls of the host, one for each record of kind "host". Shapes are
known before the numbers are; a matrix that has no result (singular, not positive-definite) is found
at run time only. With `check`, the name of the function to blame, it is an error; with an empty
`check` the result `info` says for each matrix where it failed, 0 for success.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.dtypes import INT64, NumpyDType
from narae.base.shapes import Shape, broadcast_shapes

from .contractions import matmul, transpose_last
from .elementwise import add, eq, le, neg, not_, where
from .generators import iota
from .movement import diagonal, reshape
from .record import Primitive, same_dtype, shape_of

INT32: NumpyDType = np.dtype(np.int32)

# --- parts of matrices ----------------------------------------------------------------------


def _rows_and_columns(shape: Shape) -> tuple[Any, Any]:
    """The row and the column of each element: (n, 1) and (m,)."""
    rows, columns = shape[-2:]
    counted = iota(size=rows, dtype=INT64)
    return reshape(counted, shape=(rows, 1)), iota(size=columns, dtype=INT64)


def tril(x: Any, offset: int = 0) -> Any:
    """The lower triangle up to a diagonal; zero above it."""
    row, column = _rows_and_columns(shape_of(x))
    return where(le(column, add(row, offset)), x, 0.0)


def triu(x: Any, offset: int = 0) -> Any:
    """The upper triangle from a diagonal on; zero below it."""
    row, column = _rows_and_columns(shape_of(x))
    return where(le(add(row, offset), column), x, 0.0)


def on_diagonal(x: Any) -> Any:
    """Where row and column are the same, for matrices of that shape."""
    row, column = _rows_and_columns(shape_of(x))
    return eq(row, column)


def off_diagonal(x: Any) -> Any:
    """Where row and column differ, for matrices of that shape."""
    return not_(on_diagonal(x))


def diagonal_matrix(x: Any) -> Any:
    """Square matrices with vectors on their diagonal: (.., n) -> (.., n, n)."""
    column = as_column(x)
    size = shape_of(x)[-1]
    row, other = _rows_and_columns((size, size))
    return where(eq(row, other), column, 0.0)


def diagonal_of(x: Any) -> Any:
    """The diagonals of matrices: (.., n, m) -> (.., min(n, m))."""
    rank = len(shape_of(x))
    return diagonal(x, offset=0, dim1=rank - 2, dim2=rank - 1)


def as_column(x: Any) -> Any:
    """(.., n) -> (.., n, 1)."""
    return reshape(x, shape=(*shape_of(x), 1))


def as_row(x: Any) -> Any:
    """(.., n) -> (.., 1, n)."""
    shape = shape_of(x)
    return reshape(x, shape=(*shape[:-1], 1, shape[-1]))


def total(*terms: Any) -> Any:
    """The sum of the terms that are not None; None if there is no other."""
    found = None
    for term in terms:
        if term is not None:
            found = term if found is None else add(found, term)
    return found


# --- systems of equations -------------------------------------------------------------------


def solution_shape(a: Any, b: Any, **_: Any) -> Shape:
    """(.., n, n) and (.., n, k) -> (.., n, k)."""
    batch = broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2], what="solve")
    return (*batch, *shape_of(b)[-2:])


def _triangular_grads(
    needs: Sequence[bool], grads: Any, a: Any, x: Any, upper: bool, unit: bool
) -> tuple[Any, Any]:
    """b̄ = A⁻ᵀ x̄ and Ā = -b̄ xᵀ inside the triangle (Giles 2008, section 2.3)."""
    grad_b = triangular_solve(transpose_last(a), grads[0], upper=not upper, unit=unit)
    if not needs[0]:
        return None, grad_b
    part, offset = (triu, int(unit)) if upper else (tril, -int(unit))
    return part(neg(matmul(grad_b, transpose_last(x))), offset), grad_b


triangular_solve: Primitive = Primitive(
    "triangular_solve",
    "host",
    "a b",
    "x with a x = b, of which only one triangle is read; its diagonal counts as 1 if `unit`",
    shape=solution_shape,
    dtype=same_dtype,
    saves="a out",
    joint_grad=_triangular_grads,
    broadcasts=True,
    grad_name="LinalgSolveTriangularBackward0",
)


def _solve_grads(needs: Sequence[bool], grads: Any, a: Any, x: Any, check: str) -> tuple[Any, Any]:
    """b̄ = A⁻ᵀ x̄ and Ā = -b̄ xᵀ (Giles 2008, section 2.3.1)."""
    if grads[0] is None:
        return None, None
    grad_b, _ = solve(transpose_last(a), grads[0], check=check)
    grad_a = neg(matmul(grad_b, transpose_last(x))) if needs[0] else None
    return grad_a, grad_b


solve: Primitive = Primitive(
    "solve",
    "host",
    "a b",
    "x with a x = b, and where a zero pivot made that impossible (counted from 1)",
    shape=lambda a, b, *, check: (
        solution_shape(a, b),
        broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2]),
    ),
    dtype=lambda a, b, *, check: (same_dtype(a, b), INT32),
    saves="a out0",
    joint_grad=_solve_grads,
    outputs=2,
    broadcasts=True,
    grad_name="LinalgSolveExBackward0",
)
