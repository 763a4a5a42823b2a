"""Singular values of large matrices by random projection.

Halko, Martinsson and Tropp 2011, "Finding structure with randomness: probabilistic algorithms for
constructing approximate matrix decompositions", algorithms 4.4 and 5.1.
"""

from typing import Any

from narae.base.errors import ShapeError, explain

from ..autocast import in_float32
from ..linear import matmul, shape_text
from ..random import randn
from ..tensor import Tensor
from .checks import require_matrix, shape_of
from .factors import qr
from .spectra import svd


@in_float32
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The largest q singular values of A - M, approximately, and their vectors.

    Args:
        A: (.., n, m).
        q: how many; somewhat more than are wanted.
        niter: iterations that make them more exact.
        M: (.., n, m) or (.., 1, m), subtracted from A.

    Returns:
        U (.., n, q), S (.., q) and V (.., m, q).
    """
    require_matrix("svd_lowrank", A)
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    if M is not None:
        A = A - M
    rows, columns = shape_of(A)[-2:]
    if rows < columns:
        U, S, V = _tall_svd(A.mT, q, niter)
        return V, S, U
    return _tall_svd(A, q, niter)


def _tall_svd(A: Tensor, q: int, niter: int) -> tuple[Tensor, Tensor, Tensor]:
    basis = _range(A, q, niter)  # (.., n, q)
    U, S, Vh = svd(matmul(basis.mT, A), full_matrices=False)
    return matmul(basis, U), S, Vh.mT


def _range(A: Tensor, q: int, niter: int) -> Tensor:
    """An orthonormal basis of about the space that A maps to."""
    probes = randn(shape_of(A)[-1], q, dtype=A.dtype)
    basis: Tensor = qr(matmul(A, probes)).Q
    for _ in range(niter):
        basis = qr(matmul(A.mT, basis)).Q
        basis = qr(matmul(A, basis)).Q
    return basis


@in_float32
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of rows, approximately: `svd_lowrank` after the mean is taken off.

    Args:
        A: (.., observations, features).
        q: how many components, by default up to 6.
        center: subtract the mean of each feature.
        niter: iterations that make them more exact.
    """
    rows, columns = shape_of(require_matrix("pca_lowrank", A))[-2:]
    q = min(6, rows, columns) if q is None else q
    if not 0 <= q <= min(rows, columns):
        raise ShapeError(
            explain(
                "pca_lowrank",
                f"A is {shape_text(A)}, q is {q}",
                "q must be non-negative integer and not greater than min(m, n) = "
                f"{min(rows, columns)}",
            )
        )
    if niter < 0:
        raise ShapeError(f"[pca_lowrank] niter is {niter}; niter must be non-negative integer")
    if center:
        mean: Any = A.mean(-2, keepdim=True)
        return svd_lowrank(A - mean, q, niter)
    return svd_lowrank(A, q, niter)


__all__ = ["pca_lowrank", "svd_lowrank"]
