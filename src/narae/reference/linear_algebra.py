"""Linear algebra in NumPy: the calls behind the primitives of kind "host".

Everything is computed in float64 and rounded once. Where NumPy has a LAPACK routine it is called;
triangular systems, LU and LDL are written out in the other files `linear_algebra_*.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import LinAlgError, explain
from narae.ir.executor import Array

from .linear_algebra_exponential import exponential
from .linear_algebra_indefinite import ldl_factors, ldl_solution
from .linear_algebra_lu import lu_factors, row_order
from .linear_algebra_triangular import solve_lower


def in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in float64, and round floating point results to the dtype of the operands once."""

    @wraps(function)
    def run(*operands: Array, **attrs: Any) -> Any:
        floats = [x.dtype for x in operands if x.dtype.kind == "f"]
        wide = [x.astype(np.float64, copy=False) if x.dtype.kind == "f" else x for x in operands]
        with np.errstate(all="ignore"):  # infinities and NaN are results like others
            result = function(*wide, **attrs)
            if isinstance(result, tuple):
                return tuple(_rounded(item, floats[0]) for item in result)
            return _rounded(result, floats[0])

    return run


def _rounded(result: Any, dtype: Any) -> Array:
    array = np.asarray(result)
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


# --- what is refused ------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """What can be wrong with a matrix: what is found at a place, the rule, the fix."""

    found: str
    rule: str
    fix: str


SINGULAR = Problem(
    "singular: pivot {} is zero",
    "only invertible matrices have an inverse or a unique solution",
    "add a small multiple of the identity, or use narae.linalg.lstsq or pinv",
)
NO_PIVOT = Problem(
    "singular: pivot {} is zero",
    "solving with these factors would divide by it",
    "use the form that ends in _ex, or narae.linalg.lu, where the factors alone are wanted",
)
NOT_POSITIVE = Problem(
    "not positive-definite: the leading minor of order {} is not positive",
    "only symmetric positive-definite matrices have a Cholesky factor",
    "add a small multiple of the identity, or use narae.linalg.ldl_factor",
)


def refuse(what: str, x: Array, info: Array, problem: Problem) -> None:
    """Raise for the first matrix of a batch whose `info` is not 0; not at all without a name.

    Raises:
        LinAlgError: naming the matrix and the place.
    """
    failed = np.flatnonzero(info)
    if not what or not failed.size:
        return
    first = np.unravel_index(int(failed[0]), info.shape)
    given = f"{_which(x, first)} is {problem.found.format(int(info[first]))}"
    raise LinAlgError(explain(what, given, problem.rule, problem.fix))


def _which(x: Array, place: Any) -> str:
    """How a message names one matrix of a batch."""
    if not len(place):
        return f"the input matrix {x.shape}"
    index = ", ".join(str(int(number)) for number in place)
    return f"A is {x.shape} and its matrix (Batch element {index})"


def _check_finite(what: str, x: Array) -> None:
    """Refuse NaN, which some iterations of LAPACK's never notice."""
    broken = ~np.isfinite(x).all(axis=(-2, -1))
    places = np.flatnonzero(broken)
    if places.size:
        which = _which(x, np.unravel_index(int(places[0]), broken.shape))
        raise LinAlgError(
            explain(
                what,
                f"{which} contains NaN or infinity",
                "The algorithm failed to converge",
                "look for where isfinite() is False",
            )
        )


def _converging(what: str, x: Array, function: Callable[[], Any]) -> Any:
    """Call an iteration of LAPACK's, which needs finite numbers."""
    _check_finite(what, x)
    try:
        return function()
    except np.linalg.LinAlgError as error:
        raise LinAlgError(
            explain(
                what,
                f"the input is {x.shape}",
                "The algorithm failed to converge: it is ill-conditioned or has too many repeated "
                "values",
                "scale it, or add small random numbers",
            )
        ) from error


# --- systems --------------------------------------------------------------------------------


@in_double
def triangular_solve(a: Array, b: Array, *, upper: bool, unit: bool) -> Array:
    """Substitution; an upper triangle is a lower one, read from its last row and column."""
    if upper:
        turned = solve_lower(a[..., ::-1, ::-1], b[..., ::-1, :], unit)
        return np.ascontiguousarray(turned[..., ::-1, :])
    return solve_lower(a, b, unit)


@in_double
def solve(a: Array, b: Array, *, check: str) -> tuple[Array, Array]:
    """LAPACK's gesv; matrices with a zero pivot are found by an LU of our own."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, *b.shape[-2:])
    try:
        return np.linalg.solve(a, b).reshape(shape), np.zeros(batch, np.int32)
    except np.linalg.LinAlgError:
        factors, pivots, info = lu_factors(a)
    refuse(check, a, info, SINGULAR)
    order = np.broadcast_to(row_order(pivots, size=a.shape[-1])[..., None], shape)
    below = solve_lower(factors, np.take_along_axis(np.broadcast_to(b, shape), order, -2), True)
    above = solve_lower(factors[..., ::-1, ::-1], below[..., ::-1, :], False)
    return above[..., ::-1, :], np.broadcast_to(info, batch)


# --- factors --------------------------------------------------------------------------------


@in_double
def cholesky(x: Array, *, check: str) -> tuple[Array, Array]:
    """LAPACK's potrf, matrix by matrix once one of them fails."""
    batch = x.shape[:-2]
    try:
        return np.linalg.cholesky(x), np.zeros(batch, np.int32)
    except np.linalg.LinAlgError:
        pairs = [_one_cholesky(matrix) for matrix in x.reshape(-1, *x.shape[-2:])]
    info = np.array([order for _, order in pairs], np.int32).reshape(batch)
    refuse(check, x, info, NOT_POSITIVE)
    return np.stack([factor for factor, _ in pairs]).reshape(x.shape), info


def _one_cholesky(x: Array) -> tuple[Array, int]:
    """The factor, complete before the column where it fails, and the number of that column."""
    factor = np.tril(x)
    for k in range(len(x)):
        factor[k, k] -= factor[k, :k] @ factor[k, :k]
        if not factor[k, k] > 0:
            return factor, k + 1
        factor[k, k] = np.sqrt(factor[k, k])
        factor[k + 1 :, k] -= factor[k + 1 :, :k] @ factor[k, :k]
        factor[k + 1 :, k] /= factor[k, k]
    return factor, 0


@in_double
def geqrf(x: Array) -> tuple[Array, Array]:
    """Householder vectors and their scales."""
    transposed, scales = np.linalg.qr(x, mode="raw")
    return transposed.swapaxes(-2, -1), scales


@in_double
def qr(x: Array, *, mode: str) -> tuple[Array, Array]:
    """LAPACK's geqrf and orgqr."""
    if mode == "r":
        return np.zeros((0,)), np.asarray(np.linalg.qr(x, mode="r"))
    found = np.linalg.qr(x, mode=mode)  # type: ignore[call-overload]
    return found.Q, found.R


@in_double
def lu(x: Array, *, check: str) -> tuple[Array, Array, Array]:
    """Gaussian elimination with partial pivoting."""
    factors, pivots, info = lu_factors(x)
    refuse(check, x, info, NO_PIVOT)
    return factors, pivots, info


@in_double
def ldl(x: Array, *, check: str) -> tuple[Array, Array, Array]:
    """Symmetric elimination with pivots of one or two rows."""
    factors, pivots, info = ldl_factors(x)
    refuse(check, x, info, NO_PIVOT)
    return factors, pivots, info


# --- spectra --------------------------------------------------------------------------------


@in_double
def svd(x: Array, *, full_matrices: bool) -> tuple[Array, Array, Array]:
    """LAPACK's gesdd."""
    if 0 in x.shape[-2:]:
        return _empty_svd(x, full_matrices)
    found = _converging("linalg.svd", x, lambda: np.linalg.svd(x, full_matrices=full_matrices))
    return found.U, found.S, found.Vh


def _empty_svd(x: Array, full_matrices: bool) -> tuple[Array, Array, Array]:
    """Of matrices without elements: any basis will do."""
    *batch, rows, columns = x.shape
    left, right = (rows, columns) if full_matrices else (0, 0)
    u = np.broadcast_to(np.eye(rows, left), (*batch, rows, left))
    vh = np.broadcast_to(np.eye(right, columns), (*batch, right, columns))
    return u, np.zeros((*batch, 0)), vh


@in_double
def svdvals(x: Array) -> Array:
    """Without vectors."""
    if 0 in x.shape[-2:]:
        return np.zeros((*x.shape[:-2], 0))
    return _converging("linalg.svdvals", x, lambda: np.linalg.svd(x, compute_uv=False))  # type: ignore[no-any-return]


@in_double
def eigh(x: Array, *, upper: bool) -> tuple[Array, Array]:
    """LAPACK's syevd."""
    found = _converging("linalg.eigh", x, lambda: np.linalg.eigh(x, "U" if upper else "L"))
    return found.eigenvalues, found.eigenvectors


@in_double
def eigvalsh(x: Array, *, upper: bool) -> Array:
    """Without vectors."""
    return _converging(  # type: ignore[no-any-return]
        "linalg.eigvalsh", x, lambda: np.linalg.eigvalsh(x, "U" if upper else "L")
    )


@in_double
def slogdet(x: Array) -> tuple[Array, Array]:
    """Sign and logarithm of the size, from LAPACK's getrf."""
    found = np.linalg.slogdet(x)
    return np.asarray(found.sign), np.asarray(found.logabsdet)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.triangular_solve: triangular_solve,
    p.solve: solve,
    p.cholesky: cholesky,
    p.geqrf: geqrf,
    p.qr: qr,
    p.lu: lu,
    p.permutation: row_order,
    p.ldl: ldl,
    p.ldl_solve: in_double(ldl_solution),
    p.svd: svd,
    p.svdvals: svdvals,
    p.eigh: eigh,
    p.eigvalsh: eigvalsh,
    p.det: in_double(np.linalg.det),
    p.slogdet: slogdet,
    p.matrix_exp: in_double(exponential),
}
