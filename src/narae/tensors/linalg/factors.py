"""Factors of matrices: Cholesky, QR, LU, LDL and Householder reflections."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import NotSupportedError, ShapeError, explain
from narae.primitives.linear_algebra import diagonal_matrix, off_diagonal, tril, triu

from ..autocast import in_float32
from ..creation import constant
from ..eager import apply, converted
from ..linear import matmul, shape_text
from ..movement import expand, unsqueeze
from ..results import named_result
from ..tensor import Tensor
from .checks import (
    matrix,
    require_floating,
    require_matrix,
    require_same_dtype,
    shape_of,
    square,
    takes_out,
)

cholesky_ex_result = named_result("linalg_cholesky_ex", "L", "info")
qr_result = named_result("linalg_qr", "Q", "R")
lu_result = named_result("linalg_lu", "P", "L", "U")
lu_factor_result = named_result("linalg_lu_factor", "LU", "pivots")
lu_factor_ex_result = named_result("linalg_lu_factor_ex", "LU", "pivots", "info")
ldl_factor_result = named_result("linalg_ldl_factor", "LD", "pivots")
ldl_factor_ex_result = named_result("linalg_ldl_factor_ex", "LD", "pivots", "info")


def eye_like(x: Tensor, rows: int, columns: int) -> Tensor:
    """The identity (rows, columns) in the dtype of x."""
    return constant(np.eye(rows, columns, dtype=x._value.dtype))


# --- Cholesky -------------------------------------------------------------------------------


def _factored(x: Tensor, upper: bool, check: str) -> tuple[Tensor, Tensor]:
    factor, info = apply(p.cholesky, x.mT if upper else x, check=check)
    return (factor.mT if upper else factor), info


@in_float32
@takes_out
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The triangular factor of symmetric positive-definite matrices: A = L Lᵀ, or Uᵀ U.

    Args:
        A: (.., n, n); only one triangle is read.
        upper: read the upper triangle and return U.

    Raises:
        LinAlgError: when a matrix is not positive-definite.

    >>> import narae
    >>> narae.linalg.cholesky(narae.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return _factored(square("linalg.cholesky", A), upper, "linalg.cholesky")[0]


@in_float32
@takes_out
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky`, and for each matrix the order of the first minor that is not positive (or 0)."""
    check = "linalg.cholesky_ex" if check_errors else ""
    return cholesky_ex_result(*_factored(square("linalg.cholesky_ex", A), upper, check))


# --- QR and reflections ---------------------------------------------------------------------


@in_float32
@takes_out
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """A = Q R with orthonormal columns in Q and an upper triangular R.

    Args:
        A: (.., n, m), of full rank where gradients are wanted.
        mode: "reduced": Q has min(n, m) columns; "complete": n; "r": Q is not computed.

    >>> import narae
    >>> q, r = narae.linalg.qr(narae.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> r
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise ShapeError(
            explain(
                "linalg.qr",
                f"mode is {mode!r}",
                "qr received unrecognized mode but expected one of 'reduced' (default), 'r', or "
                "'complete'",
            )
        )
    return qr_result(*apply(p.qr, matrix("linalg.qr", A), mode=mode))


@in_float32
@takes_out
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first m columns of the product of reflections I - tau[i] v[i] v[i]ᵀ, as in `geqrf`.

    Args:
        A: (.., n, m), n >= m; column i below the diagonal is v[i], which has 1 on it.
        tau: (.., k), k <= m.
    """
    what = "linalg.householder_product"
    _check_reflections(what, A, tau)
    rows, columns = shape_of(A)[-2:]
    if rows < columns:
        raise ShapeError(
            explain(
                what,
                f"A is {shape_text(A)}",
                "input.shape[-2] must be greater than or equal to input.shape[-1]",
            )
        )
    vectors, inner = reflections(A, tau)
    top = p.transpose_last(vectors[..., :columns, :])
    return eye_like(A, rows, columns) - matmul(vectors, matmul(inner, top))


def _check_reflections(what: str, A: Tensor, tau: Tensor) -> None:
    require_floating(what, require_matrix(what, A))
    require_same_dtype(what, A, tau)
    shape, scales = shape_of(A), shape_of(tau)
    if len(scales) != len(shape) - 1 or scales[:-1] != shape[:-2]:
        raise ShapeError(
            explain(
                what,
                f"A is {shape}, tau is {scales}",
                "Expected tau to have one dimension less than input, and batch dimensions of tau "
                "to be equal to input.shape[:-2]",
            )
        )
    if scales[-1] > shape[-1]:
        raise ShapeError(
            explain(
                what,
                f"A is {shape}, tau is {scales}",
                "input.shape[-1] must be greater than or equal to tau.shape[-1]",
            )
        )


def reflections(A: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """V and T, with which the product of reflections is I - V T Vᵀ.

    With D = diag(tau) and S the part of Vᵀ V above the diagonal, T = (I + D S)⁻¹ D (Schreiber and
    Van Loan 1989, "A storage-efficient WY representation for products of Householder
    transformations"; here solved for T, which also holds where tau is 0).
    """
    count = shape_of(tau)[-1]
    below = A[..., :count]
    vectors = apply(p.where, off_diagonal(below), tril(below, -1), 1.0)
    scales = unsqueeze(tau, -1)
    overlaps = scales * triu(matmul(vectors.mT, vectors), 1)
    inner = apply(p.triangular_solve, overlaps, diagonal_matrix(tau), upper=True, unit=True)
    return vectors, inner


@in_float32
@takes_out
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """A product with the square Q of `geqrf`: Q C, Qᵀ C, C Q or C Qᵀ.

    Args:
        input: (.., n, k), from `geqrf`.
        tau: (.., k), from `geqrf`.
        other: C, (.., n, m), or (.., m, n) when Q stands on the right.
        left: whether Q stands on the left.
        transpose: take Qᵀ.
    """
    _check_reflections("ormqr", input, tau)
    require_same_dtype("ormqr", input, require_matrix("ormqr", other, "other"))
    rows, size = shape_of(input)[-2], shape_of(other)[-2 if left else -1]
    if rows != size or shape_of(other)[:-2] != shape_of(input)[:-2]:
        raise ShapeError(
            explain(
                "ormqr",
                f"input is {shape_text(input)}, other is {shape_text(other)}",
                f"other.shape[{-2 if left else -1}] must be equal to input.shape[-2], and batch "
                "dimensions must be the same",
            )
        )
    vectors, inner = reflections(input, tau)
    if transpose:
        inner = inner.mT
    if left:
        return other - matmul(vectors, matmul(inner, matmul(vectors.mT, other)))
    return other - matmul(matmul(matmul(other, vectors), inner), vectors.mT)


# --- LU -------------------------------------------------------------------------------------


def _eliminated(what: str, A: Tensor, pivot: bool, check: bool) -> Any:
    matrix(what, A)
    if not pivot:
        raise NotSupportedError(
            explain(
                what,
                "pivot is False",
                "LU without pivoting is not implemented on the CPU: it fails for zero pivots",
                "leave pivot=False away",
            )
        )
    return apply(p.lu, A, check=what if check else "")


@takes_out
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """The LU factors of P L U = A in one matrix, and the row swaps, for `lu_solve`.

    Args:
        A: (.., n, m).
        pivot: must be True.

    Returns:
        LU with U above and L (whose diagonal is 1) below the diagonal; pivots (.., min(n, m)) in
        int32: row i was swapped with row pivots[i] - 1.

    >>> import narae
    >>> narae.linalg.lu_factor(narae.tensor([[1.0, 2.0], [4.0, 4.0]])).pivots
    tensor([2, 2], dtype=narae.int32)
    """
    return lu_factor_result(*_eliminated("linalg.lu_factor", A, pivot, True)[:2])


@takes_out
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """`lu_factor`, and for each matrix the place of the first zero pivot, from 1 (or 0)."""
    return lu_factor_ex_result(*_eliminated("linalg.lu_factor_ex", A, pivot, check_errors))


@takes_out
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """A = P L U with a permutation P, unit lower triangular L and upper triangular U."""
    factors, pivots, _ = _eliminated("linalg.lu", A, pivot, False)
    return lu_result(*unpacked(factors, pivots))


def unpacked(factors: Tensor, pivots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P, L and U."""
    return permutation_matrix(factors, pivots), *triangles(factors)


def triangles(factors: Tensor) -> tuple[Tensor, Tensor]:
    """L and U of both in one matrix."""
    rows, columns = shape_of(factors)[-2:]
    inner = min(rows, columns)
    below = factors[..., :inner]
    lower = apply(p.where, off_diagonal(below), tril(below, -1), 1.0)
    return lower, triu(factors[..., :inner, :])


def permutation_matrix(factors: Tensor, pivots: Tensor) -> Tensor:
    """P with P[order[i], i] = 1, in the dtype of the factors."""
    rows = shape_of(factors)[-2]
    order = unsqueeze(apply(p.permutation, pivots, size=rows), -2)  # (.., 1, rows)
    places = constant(np.arange(rows).reshape(rows, 1))
    return converted(apply(p.eq, places, order), factors._value.dtype)  # type: ignore[no-any-return]


def lu_rows(x: Tensor, pivots: Tensor, back: bool = False) -> Tensor:
    """Pᵀ x, or P x when `back`."""
    rows = shape_of(x)[-2]
    order = apply(p.permutation, pivots, size=rows)
    order = expand(order, (*shape_of(x)[:-2], rows))
    return (p.put_rows if back else p.take_rows)(x, order)  # type: ignore[no-any-return]


# --- LDL ------------------------------------------------------------------------------------


@takes_out
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """LDL factors of symmetric matrices, which need not be positive, for `ldl_solve`.

    Args:
        A: (.., n, n); only the lower triangle is read.
        hermitian: of complex matrices; ignored.

    Returns:
        LD and pivots in int32, as LAPACK's sytrf gives them.
    """
    found = apply(p.ldl, square("linalg.ldl_factor", A), check="linalg.ldl_factor")
    return ldl_factor_result(*found[:2])


@takes_out
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """`ldl_factor`, and for each matrix the place of the first zero pivot, from 1 (or 0)."""
    check = "linalg.ldl_factor_ex" if check_errors else ""
    return ldl_factor_ex_result(*apply(p.ldl, square("linalg.ldl_factor_ex", A), check=check))


__all__ = [
    "cholesky",
    "cholesky_ex",
    "householder_product",
    "ldl_factor",
    "ldl_factor_ex",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "qr",
]
