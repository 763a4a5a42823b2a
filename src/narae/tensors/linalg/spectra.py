"""Eigenvalues and singular values, determinants, ranks and condition numbers."""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import ConfigError, NotSupportedError, explain
from narae.base.shapes import broadcast_shapes

from ..autocast import in_float32
from ..creation import constant
from ..eager import apply, converted
from ..results import named_result
from ..tensor import Tensor
from .checks import matrix, shape_of, square, takes_out
from .norms import matrix_norm
from .solving import inv_ex, tolerances

eigh_result = named_result("linalg_eigh", "eigenvalues", "eigenvectors")
svd_result = named_result("linalg_svd", "U", "S", "Vh")
slogdet_result = named_result("linalg_slogdet", "sign", "logabsdet")


# --- eigenvalues ----------------------------------------------------------------------------


def _is_upper(what: str, UPLO: str) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise ConfigError(
            explain(what, f"UPLO is {UPLO!r}", "Expected UPLO argument to be 'L' or 'U'")
        )
    return UPLO in ("U", "u")


@in_float32
@takes_out
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues in rising order, and eigenvectors in columns, of symmetric matrices.

    Args:
        A: (.., n, n).
        UPLO: which triangle is read, "L" or "U".

    Returns:
        eigenvalues (.., n) and eigenvectors (.., n, n), with A = V diag(l) Vᵀ. The sign of a vector
        is free; gradients through vectors are those of functions that do not depend on it.

    >>> import narae
    >>> narae.linalg.eigh(narae.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    upper = _is_upper("linalg.eigh", UPLO)
    return eigh_result(*apply(p.eigh, square("linalg.eigh", A), upper=upper))


@in_float32
@takes_out
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices in rising order."""
    upper = _is_upper("linalg.eigvalsh", UPLO)
    return apply(p.eigvalsh, square("linalg.eigvalsh", A), upper=upper)  # type: ignore[no-any-return]


def _complex_result(name: str, instead: str) -> Any:
    def function(A: Tensor) -> Any:
        square(f"linalg.{name}", A)
        raise NotSupportedError(
            explain(
                f"linalg.{name}",
                f"A is {shape_of(A)}",
                "eigenvalues of a general matrix are complex numbers, which Narae does not have",
                f"for symmetric matrices use narae.linalg.{instead}; or singular values by svdvals",
            )
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Not available: its results are complex; see `{instead}`."
    return function


eig = _complex_result("eig", "eigh")
eigvals = _complex_result("eigvals", "eigvalsh")


# --- singular values ------------------------------------------------------------------------


def _check_driver(what: str, driver: str | None) -> None:
    if driver is not None:
        raise NotSupportedError(
            explain(
                what,
                f"driver is {driver!r}",
                "keyword argument `driver=` is only supported on CUDA inputs",
                "leave it away",
            )
        )


@in_float32
@takes_out
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U diag(S) Vh with orthonormal columns in U and rows in Vh, S in falling order.

    Args:
        A: (.., n, m).
        full_matrices: complete U and Vh to square matrices.
        driver: must be None.

    >>> import narae
    >>> narae.linalg.svd(narae.tensor([[0.0, 3.0], [4.0, 0.0]])).S
    tensor([4., 3.])
    """
    _check_driver("linalg.svd", driver)
    return svd_result(*apply(p.svd, matrix("linalg.svd", A), full_matrices=full_matrices))


@in_float32
@takes_out
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values in falling order: (.., n, m) -> (.., min(n, m))."""
    _check_driver("linalg.svdvals", driver)
    return apply(p.svdvals, matrix("linalg.svdvals", A))  # type: ignore[no-any-return]


# --- determinants ---------------------------------------------------------------------------


@takes_out
def det(A: Tensor) -> Tensor:
    """The determinant of square matrices; its gradient is right for singular ones, too.

    >>> import narae
    >>> narae.linalg.det(narae.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return apply(p.det, square("linalg.det", A))  # type: ignore[no-any-return]


@takes_out
def slogdet(A: Tensor) -> Any:
    """The sign of the determinant, and the logarithm of its size, without overflow."""
    return slogdet_result(*apply(p.slogdet, square("linalg.slogdet", A)))


# --- rank and condition ---------------------------------------------------------------------


@in_float32
@takes_out
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values are larger than max(atol, rtol * the largest).

    Args:
        A: (.., n, m).
        tol: the same as atol, with rtol = 0.
        hermitian: whether A is symmetric: its eigenvalues are used.
        atol: absolute tolerance.
        rtol: by default epsilon * max(n, m), or 0 when atol > 0 is given.

    >>> import narae
    >>> narae.linalg.matrix_rank(narae.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    what = "linalg.matrix_rank"
    A = apply(p.detach, square(what, A) if hermitian else matrix(what, A))
    shape = shape_of(A)
    if 0 in shape[-2:]:
        return constant(np.zeros(shape[:-2], np.int64))
    if hermitian:
        sizes = apply(p.abs_, apply(p.eigvalsh, A, upper=False))
    else:
        sizes = apply(p.svdvals, A)
    if tol is not None:
        atol, rtol = tol, 0.0
    batch = shape[:-2]
    if isinstance(atol, Tensor) or isinstance(rtol, Tensor):
        batch = _batch_with(batch, atol, rtol)
    absolute, relative = tolerances(what, A, atol, rtol, batch)
    last = sizes._value.ndim - 1
    largest = apply(p.amax, sizes, dim=(last,), keepdim=False)
    limit = apply(p.maximum, absolute, relative * largest).unsqueeze(-1)
    kept = converted(apply(p.lt, limit, sizes), INT64)
    return apply(p.sum_, kept, dim=(kept._value.ndim - 1,), keepdim=False)  # type: ignore[no-any-return]


def _batch_with(batch: Any, *limits: Any) -> Any:
    shapes = [shape_of(x) for x in limits if isinstance(x, Tensor)]
    return broadcast_shapes(batch, *shapes, what="linalg.matrix_rank")


@in_float32
@takes_out
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number: the norm of A times the norm of its inverse; inf if it is singular.

    Args:
        A: (.., n, n); any shape for p = 2 and -2.
        p: a norm of `matrix_norm`; by default 2, the largest singular value over the smallest.
    """
    what = "linalg.cond"
    if p is None or p in (2, -2):
        values = svdvals(matrix(what, A))
        if shape_of(values)[-1] == 0:
            return values.sum(-1)  # type: ignore[no-any-return]
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest  # type: ignore[no-any-return]
    square(what, A)
    if shape_of(A)[-1] == 0:
        return constant(np.zeros(shape_of(A)[:-2], A._value.dtype))
    inverse, info = inv_ex(A)
    ill = info != 0
    usable = inverse.masked_fill(ill.unsqueeze(-1).unsqueeze(-1), 0.0)
    return (matrix_norm(A, p) * matrix_norm(usable, p)).masked_fill(ill, math.inf)  # type: ignore[no-any-return]


__all__ = [
    "cond",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "matrix_rank",
    "slogdet",
    "svd",
    "svdvals",
]
