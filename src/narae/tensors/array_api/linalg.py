"""The standard's extension of linear algebra, `xp.linalg`; `eig` would need complex numbers."""

# mypy: disable-error-code="no-any-return"

from typing import Any

from .. import linalg, movement, reductions
from ..tensor import Tensor
from .arranging import matmul, matrix_transpose, tensordot, vecdot
from .standard import paired, standard, summing_dtype


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular factor of symmetric, positive definite matrices."""
    return linalg.cholesky(x, upper=upper)


@standard
def cross(x1: Tensor, x2: Tensor, /, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three elements."""
    return linalg.cross(*paired(x1, x2, "cross"), dim=dim)


def det(x: Tensor, /) -> Tensor:
    """The determinant."""
    return linalg.det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The diagonals of the last two dimensions."""
    return linalg.diagonal(x, offset=offset)


def eigh(x: Tensor, /) -> Any:
    """Eigenvalues and eigenvectors of symmetric matrices."""
    return linalg.eigh(x)


def eigvalsh(x: Tensor, /) -> Tensor:
    """Eigenvalues of symmetric matrices."""
    return linalg.eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    """The inverse."""
    return linalg.inv(x)


@standard
def matrix_norm(x: Tensor, /, *, keepdim: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of the matrices of the last two dimensions."""
    return linalg.matrix_norm(x, ord, keepdim=keepdim)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """The n-th power of square matrices."""
    return linalg.matrix_power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """How many singular values are larger than rtol times the largest."""
    return linalg.matrix_rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of all elements of two vectors."""
    first, second = paired(x1, x2, "outer")
    return movement.unsqueeze(first, 1) * second


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverse."""
    return linalg.pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> Any:
    """An orthogonal and a triangular factor."""
    return linalg.qr(x, mode)


def slogdet(x: Tensor, /) -> Any:
    """The sign and the logarithm of the determinant."""
    return linalg.slogdet(x)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The solution of x1 @ x = x2; only a vector x2 is taken as one."""
    first, second = paired(x1, x2, "solve")
    if second.ndim == 1:
        return linalg.solve(first, movement.unsqueeze(second, 1))[..., 0]
    missing = (1,) * (first.ndim - second.ndim)
    return linalg.solve(first, movement.reshape(second, (*missing, *second.shape)))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    """Singular vectors and singular values."""
    return linalg.svd(x, full_matrices)


def svdvals(x: Tensor, /) -> Tensor:
    """Singular values, the largest first."""
    return linalg.svdvals(x)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of each diagonal of the last two dimensions."""
    return reductions.sum(diagonal(x, offset=offset), -1, dtype=summing_dtype(x, dtype))


@standard
def vector_norm(x: Tensor, /, *, dim: Any = None, keepdim: bool = False, ord: Any = 2) -> Tensor:
    """A norm along dimensions, or of all elements."""
    return linalg.vector_norm(x, ord, dim, keepdim)


__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve",
    "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
