"""Factors of matrices by elimination and reflection: Cholesky, QR, LU and LDL."""

from collections.abc import Sequence
from typing import Any

from narae.base.dtypes import INT64
from narae.base.errors import GraphError, explain
from narae.base.shapes import Shape

from .composite import Composite
from .contractions import matmul, transpose_last
from .elementwise import add, mul, sub, where
from .generators import zeros
from .indexing import gather, scatter_add
from .linear_algebra import (
    INT32,
    off_diagonal,
    solution_shape,
    total,
    triangular_solve,
    tril,
    triu,
)
from .movement import concat, expand, narrow, reshape
from .record import Primitive, first_dtype, shape_of


def _solve(a: Any, b: Any, upper: bool, unit: bool = False) -> Any:
    return triangular_solve(a, b, upper=upper, unit=unit)


def _solve_right(a: Any, b: Any, upper: bool, unit: bool = False) -> Any:
    """x with x a = b, where a is triangular."""
    return transpose_last(
        triangular_solve(transpose_last(a), transpose_last(b), upper=not upper, unit=unit)
    )


# --- Cholesky -------------------------------------------------------------------------------


def _cholesky_grad(needs: Any, grads: Any, factor: Any, check: str) -> tuple[Any]:
    """Ā = ½ L⁻ᵀ (Φ + Φᵀ) L⁻¹ with Φ the lower triangle of Lᵀ L̄, half its diagonal.

    Murray 2016, "Differentiation of the Cholesky decomposition", equation 10; symmetric.
    """
    if grads[0] is None:
        return (None,)
    product = matmul(transpose_last(factor), grads[0])
    symmetric = add(tril(product), transpose_last(tril(product, -1)))
    left = _solve(transpose_last(factor), symmetric, upper=True)
    return (mul(_solve_right(factor, left, upper=False), 0.5),)


cholesky: Primitive = Primitive(
    "cholesky",
    "host",
    "x",
    "lower triangular l with l lᵀ = x, from the lower triangle of x; and the order of the first "
    "leading minor that is not positive",
    shape=lambda x, *, check: (tuple(x.shape), tuple(x.shape[:-2])),
    dtype=lambda x, *, check: (x.dtype, INT32),
    saves="out0",
    joint_grad=_cholesky_grad,
    outputs=2,
    grad_name="LinalgCholeskyExBackward0",
)


def _cholesky_solve(b: Any, factor: Any) -> Any:
    below = _solve(factor, b, upper=False)
    return _solve(transpose_last(factor), below, upper=True)


def _cholesky_solve_grads(
    needs: Sequence[bool], grads: Any, factor: Any, x: Any
) -> tuple[Any, Any]:
    """b̄ = (L Lᵀ)⁻¹ x̄ and L̄ = -(b̄ xᵀ + x b̄ᵀ) L, as PyTorch has it.

    L̄ is not cut to the triangle that is read: what stands above is 0 in a Cholesky factor, and the
    rule of `cholesky` does not look at it.
    """
    grad_b = cholesky_solve(grads[0], factor)
    if not needs[1]:
        return grad_b, None
    product = matmul(grad_b, transpose_last(x))
    both = add(product, transpose_last(product))
    return grad_b, mul(matmul(both, factor), -1.0)


cholesky_solve = Composite(
    "cholesky_solve",
    "b factor",
    "x with l lᵀ x = b, where l is the lower triangle of the factor",
    _cholesky_solve,
    saves="factor out",
    joint_grad=_cholesky_solve_grads,
)

# --- QR -------------------------------------------------------------------------------------


def _reflected_shape(x: Any) -> tuple[Shape, Shape]:
    shape = tuple(x.shape)
    return shape, (*shape[:-2], min(shape[-2:]))


geqrf: Primitive = Primitive(
    "geqrf",
    "host",
    "x",
    "r above, Householder vectors below the diagonal, and their scales, as LAPACK's geqrf gives",
    shape=_reflected_shape,
    dtype=lambda x: (x.dtype, x.dtype),
    outputs=2,
)


def _qr_shape(x: Any, *, mode: str) -> tuple[Shape, Shape]:
    *batch, rows, columns = tuple(x.shape)
    inner = rows if mode == "complete" else min(rows, columns)
    q_shape = (0,) if mode == "r" else (*batch, rows, inner)
    return q_shape, (*batch, inner, columns)


def _qr_grad(needs: Any, grads: Any, q: Any, r: Any, mode: str) -> tuple[Any]:
    """The gradient through QR of matrices of full rank.

    Square and tall: X̄ = (Q̄ + Q sym(M)) R⁻ᵀ, where M is the upper triangle of R̄ Rᵀ - Qᵀ Q̄
    (Walter and Lehmann 2018, "Algorithmic differentiation of linear algebra functions", section 5).
    Wide: x = [y z] and R = [R₁ R₂]; R₂ = Qᵀ z adds z R̄₂ᵀ to Q̄, and z̄ = Q R̄₂.
    """
    rows, columns = shape_of(q)[-2] if mode != "r" else 0, shape_of(r)[-1]
    if mode == "r" or (mode == "complete" and rows > columns):
        raise GraphError(_no_qr_grad(mode, rows, columns))
    grad_q, grad_r = grads
    if columns <= rows:
        return (_tall_qr_grad(grad_q, grad_r, q, r),)
    last = len(shape_of(r)) - 1
    square, rest = (narrow(r, last, *span) for span in ((0, rows), (rows, columns - rows)))
    if grad_r is None:
        grad_square, grad_rest = None, zeros(shape_of(rest), r.dtype)
    else:
        grad_square = narrow(grad_r, last, 0, rows)
        grad_rest = narrow(grad_r, last, rows, columns - rows)
    through_q = matmul(matmul(q, rest), transpose_last(grad_rest))
    grad_y = _tall_qr_grad(total(grad_q, through_q), grad_square, q, square)
    return (concat(grad_y, matmul(q, grad_rest), dim=last),)


def _tall_qr_grad(grad_q: Any, grad_r: Any, q: Any, r: Any) -> Any:
    inner = None if grad_r is None else matmul(grad_r, transpose_last(r))
    if grad_q is not None:
        overlap = matmul(transpose_last(q), grad_q)
        inner = mul(overlap, -1.0) if inner is None else sub(inner, overlap)
    symmetric = add(triu(inner), transpose_last(triu(inner, 1)))
    grad = total(matmul(q, symmetric), grad_q)
    return _solve_right(transpose_last(r), grad, upper=False)


def _no_qr_grad(mode: str, rows: int, columns: int) -> str:
    if mode == "r":
        return explain(
            "linalg.qr",
            "mode is 'r'",
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'",
            "use mode='reduced'",
        )
    return explain(
        "linalg.qr",
        f"mode is 'complete' and matrices are ({rows}, {columns})",
        "The QR decomposition is not differentiable when mode='complete' and nrows > ncols",
        "use mode='reduced'",
    )


qr: Primitive = Primitive(
    "qr",
    "host",
    "x",
    "q r = x with orthonormal columns in q and an upper triangular r; q is empty in mode 'r'",
    shape=_qr_shape,
    dtype=lambda x, *, mode: (x.dtype, x.dtype),
    saves="out0 out1",
    joint_grad=_qr_grad,
    outputs=2,
    grad_name="LinalgQrBackward0",
)

# --- LU -------------------------------------------------------------------------------------


def _permutation_shape(pivots: Any, *, size: int) -> Shape:
    return (*pivots.shape[:-1], size)


permutation: Primitive = Primitive(
    "permutation",
    "host",
    "pivots",
    "the order of `size` rows after row i was swapped with row pivots[i] - 1, for i = 0, 1, …",
    shape=_permutation_shape,
    dtype=lambda pivots, *, size: INT64,
)


def _row_index(order: Any, x: Any) -> Any:
    """The order of rows as an index for each element of x, both with the same batch."""
    return expand(reshape(order, shape=(*shape_of(order), 1)), shape=shape_of(x))


def take_rows(x: Any, order: Any) -> Any:
    """Rows of matrices in an order: out[.., i, :] = x[.., order[.., i], :]."""
    return gather(x, _row_index(order, x), dim=len(shape_of(x)) - 2)


def put_rows(x: Any, order: Any) -> Any:
    """The inverse of `take_rows`: out[.., order[.., i], :] = x[.., i, :]."""
    empty = zeros(shape_of(x), x.dtype)
    return scatter_add(empty, _row_index(order, x), x, dim=len(shape_of(x)) - 2)


def _lu_grad(needs: Any, grads: Any, factors: Any, pivots: Any, check: str) -> tuple[Any]:
    """X̄ = P L⁻ᵀ [tril(Lᵀ L̄, -1) + triu(Ū Uᵀ)] U⁻ᵀ for square factors.

    Rows of L below the square are L₂ = (Pᵀ x)₂ U⁻¹, columns of U right of it U₂ = L⁻¹ (Pᵀ x)₂; what
    reaches those goes to x directly, and to the square factors. (Walter and Lehmann 2018,
    section 4.)
    """
    grad = grads[0]
    if grad is None:
        return (None,)
    shape = shape_of(factors)
    rows, columns = shape[-2:]
    if rows >= columns:
        grad_x = _tall_lu_grad(grad, factors, len(shape) - 2, rows, columns)
    else:
        grad_x = _wide_lu_grad(grad, factors, len(shape) - 1, rows, columns)
    return (put_rows(grad_x, permutation(pivots, size=rows)),)


def _square_lu_grad(grad_lower: Any, grad_upper: Any, square: Any) -> Any:
    lower = where(off_diagonal(square), tril(square), 1.0)
    inner = add(
        tril(matmul(transpose_last(lower), grad_lower), -1),
        triu(matmul(grad_upper, transpose_last(triu(square)))),
    )
    left = _solve(transpose_last(square), inner, upper=True, unit=True)
    return _solve_right(transpose_last(square), left, upper=False)


def _tall_lu_grad(grad: Any, factors: Any, dim: int, rows: int, columns: int) -> Any:
    square, grad_square = narrow(factors, dim, 0, columns), narrow(grad, dim, 0, columns)
    grad_upper = triu(grad_square)
    rest, grad_rest = (narrow(x, dim, columns, rows - columns) for x in (factors, grad))
    if rows > columns:
        grad_upper = sub(
            grad_upper, triu(matmul(transpose_last(rest), _through(square, grad_rest)))
        )
    top = _square_lu_grad(tril(grad_square, -1), grad_upper, square)
    return concat(top, _through(square, grad_rest), dim=dim) if rows > columns else top


def _through(square: Any, grad: Any) -> Any:
    """L̄₂ U⁻ᵀ."""
    return _solve_right(transpose_last(square), grad, upper=False)


def _wide_lu_grad(grad: Any, factors: Any, dim: int, rows: int, columns: int) -> Any:
    square, grad_square = narrow(factors, dim, 0, rows), narrow(grad, dim, 0, rows)
    rest, grad_rest = (narrow(x, dim, rows, columns - rows) for x in (factors, grad))
    right = _solve(transpose_last(square), grad_rest, upper=True, unit=True)  # L⁻ᵀ Ū₂
    grad_lower = sub(tril(grad_square, -1), matmul(right, transpose_last(rest)))
    left = _square_lu_grad(grad_lower, triu(grad_square), square)
    return concat(left, right, dim=dim)


def _pivoted_shape(x: Any, *, check: str) -> tuple[Shape, Shape, Shape]:
    shape = tuple(x.shape)
    return shape, (*shape[:-2], min(shape[-2:])), shape[:-2]


lu: Primitive = Primitive(
    "lu",
    "host",
    "x",
    "u above, l (unit diagonal) below the diagonal, with p l u = x; the row swapped with each "
    "(from 1); the place of the first zero pivot (from 1)",
    shape=_pivoted_shape,
    dtype=lambda x, *, check: (x.dtype, INT32, INT32),
    saves="out0 out1",
    joint_grad=_lu_grad,
    outputs=3,
    grad_name="LinalgLuFactorExBackward0",
)

# --- LDL ------------------------------------------------------------------------------------

ldl: Primitive = Primitive(
    "ldl",
    "host",
    "x",
    "l and block diagonal d with p l d lᵀ pᵀ = x, from the lower triangle of x, as LAPACK's sytrf",
    shape=_pivoted_shape,
    dtype=lambda x, *, check: (x.dtype, INT32, INT32),
    outputs=3,
)

ldl_solve: Primitive = Primitive(
    "ldl_solve",
    "host",
    "factors pivots b",
    "x with p l d lᵀ pᵀ x = b",
    shape=lambda factors, pivots, b: solution_shape(factors, b),
    dtype=first_dtype,
)
