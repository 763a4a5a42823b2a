"""Linear algebra at the top of PyTorch: `narae.det`, `narae.svd`, `narae.lu`, and methods."""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import ShapeError, explain

from ..autocast import in_float32
from ..creation import constant
from ..eager import apply
from ..linear import shape_text
from ..movement import expand
from ..results import named_result
from ..tensor import Tensor
from . import factors, products, solving, spectra
from .checks import (
    common_batch,
    deliver_all,
    matrix,
    require_matrix,
    require_rows,
    require_same_dtype,
    shape_of,
    square,
    takes_out,
)
from .factors import householder_product, ormqr
from .products import matrix_exp, matrix_power
from .solving import inv
from .solving import lu_solve as solve_with_lu
from .spectra import det

geqrf_result = named_result("geqrf", "a", "tau")
lu_unpack_result = named_result("lu_unpack", "P", "L", "U")
qr_result = named_result("qr", "Q", "R")
svd_result = named_result("svd", "U", "S", "V")
slogdet_result = named_result("slogdet", "sign", "logabsdet")
triangular_solve_result = named_result("triangular_solve", "solution", "cloned_coefficient")

inverse = inv
orgqr = householder_product


# --- determinants and inverses --------------------------------------------------------------


@takes_out
def slogdet(input: Tensor) -> Any:
    """The sign of the determinant, and the logarithm of its size."""
    return slogdet_result(*spectra.slogdet(input))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where that is negative.

    >>> import narae
    >>> narae.logdet(narae.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(0.)
    """
    sign, size = apply(p.slogdet, square("logdet", input))
    return apply(p.where, apply(p.eq, sign, -1.0), math.nan, size)  # type: ignore[no-any-return]


@in_float32
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse; singular values up to rcond * the largest count as 0."""
    return solving.pinv(input, rtol=rcond)  # type: ignore[no-any-return]


# --- Cholesky -------------------------------------------------------------------------------


@in_float32
@takes_out
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The triangular factor of symmetric positive-definite matrices; see `linalg.cholesky`."""
    return factors.cholesky(input, upper=upper)  # type: ignore[no-any-return]


def _lower(L: Tensor, upper: bool) -> Tensor:
    return L.mT if upper else L


@in_float32
@takes_out
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, from the Cholesky factor of A.

    Args:
        B: (.., n, k).
        L: (.., n, n), the lower factor, or the upper one.
        upper: which of them.
    """
    what = "cholesky_solve"
    require_same_dtype(what, square(what, L, "L"), require_matrix(what, B, "B"))
    require_rows(what, L, B)
    batch = common_batch(what, L, B)
    B, L = (expand(x, (*batch, *shape_of(x)[-2:])) for x in (B, L))
    return apply(p.cholesky_solve, B, _lower(L, upper))  # type: ignore[no-any-return]


@in_float32
@takes_out
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, from its Cholesky factor: (.., n, n)."""
    size = shape_of(square("cholesky_inverse", L, "L"))[-1]
    eye = constant(np.eye(size, dtype=L._value.dtype))
    return apply(p.cholesky_solve, expand(eye, shape_of(L)), _lower(L, upper))  # type: ignore[no-any-return]


# --- QR and singular values -----------------------------------------------------------------


@in_float32
@takes_out
def geqrf(input: Tensor) -> Any:
    """Householder vectors and scales of a QR factorization, for `orgqr` and `ormqr`."""
    return geqrf_result(*apply(p.geqrf, matrix("geqrf", input)))


@in_float32
@takes_out
def qr(input: Tensor, some: bool = True) -> Any:
    """A = Q R; without `some`, Q is square."""
    mode = "reduced" if some else "complete"
    return qr_result(*apply(p.qr, matrix("qr", input), mode=mode))


@in_float32
@takes_out
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """A = U diag(S) Vᵀ.

    Args:
        input: (.., n, m).
        some: U and V have min(n, m) columns; else they are square.
        compute_uv: without it, U and V are zeros.
    """
    matrix("svd", input)
    if not compute_uv:
        *batch, rows, columns = shape_of(input)
        u, v = (np.zeros((*batch, n, n), input._value.dtype) for n in (rows, columns))
        return svd_result(constant(u), apply(p.svdvals, input), constant(v))
    u, s, vh = apply(p.svd, input, full_matrices=not some)
    return svd_result(u, s, vh.mT)


# --- LU and triangular systems --------------------------------------------------------------


@in_float32
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """The LU factors in one matrix and the pivots; see `linalg.lu_factor`.

    Args:
        A: (.., n, m).
        pivot: must be True.
        get_infos: return the places of zero pivots, too.
        out: tensors to write the results into.
    """
    found = factors.lu_factor_ex(A, pivot=pivot)
    found = tuple(found) if get_infos else tuple(found)[:2]
    return deliver_all(found, out, "lu")


@in_float32
@takes_out
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = b, from the LU factors of A."""
    return solve_with_lu(LU_data, LU_pivots, b)  # type: ignore[no-any-return]


@takes_out
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U from what `lu_factor` gives; what is not asked for is empty."""
    require_matrix("lu_unpack", LU_data, "LU_data")
    if unpack_pivots:
        solving.check_pivots("lu_unpack", LU_data, LU_pivots)
    nothing = constant(np.zeros((0,), LU_data._value.dtype))
    P = factors.permutation_matrix(LU_data, LU_pivots) if unpack_pivots else nothing
    triangles = factors.triangles(LU_data) if unpack_data else (nothing, nothing)
    return lu_unpack_result(P, *triangles)


@in_float32
@takes_out
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """X with A X = b (or Aᵀ X = b) for triangular A, and a copy of A."""
    what = "triangular_solve"
    require_same_dtype(what, square(what, A), matrix(what, b, "b"))
    require_rows(what, A, b)
    batch = common_batch(what, A, b)
    b, A = (expand(x, (*batch, *shape_of(x)[-2:])) for x in (b, A))
    turned, triangle = (A.mT, not upper) if transpose else (A, upper)
    solution = solving.triangular(turned, b, triangle, unit=unitriangular)
    return triangular_solve_result(solution, apply(p.copy, A))


# --- powers ---------------------------------------------------------------------------------


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of each element of a vector in rows, the highest first unless `increasing`."""
    shape = shape_of(x)
    if len(shape) != 1:
        raise ShapeError(
            explain("vander", f"x is {shape_text(x)}", "x must be a one-dimensional tensor")
        )
    count = shape[0] if N is None else N
    if count < 0:
        raise ShapeError(f"[vander] N is {count}; N must be non-negative")
    found = products.powers(x, max(count, 1))[:, :count]
    return found if increasing else found.flip(1)


def adjoint(input: Tensor) -> Tensor:
    """The transpose of matrices (numbers are real), as `.mH`."""
    return input.mH  # type: ignore[no-any-return]


__all__ = [
    "adjoint",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "geqrf",
    "inverse",
    "logdet",
    "lu",
    "lu_solve",
    "lu_unpack",
    "matrix_exp",
    "matrix_power",
    "orgqr",
    "ormqr",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
    "triangular_solve",
    "vander",
]
METHODS = [name for name in __all__ if name not in ("lu_unpack", "vander")]
