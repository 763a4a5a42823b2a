"""Maps from matrices without constraint to orthogonal ones."""

from collections.abc import Callable
from typing import Any

from narae.tensors import (
    Tensor,
    allclose,
    cat,
    eye,
    finfo,
    geqrf,
    linalg,
    no_grad,
    randn,
    zeros_like,
)

from ..module import Module


def _skew(x: Any) -> Any:
    """Aᵀ = -A from the lower triangle of a tall matrix: (.., n, k) -> (.., n, n)."""
    n, k = x.shape[-2:]
    x = x.tril()
    if n != k:
        x = cat([x, x.new_zeros(*x.shape[:-2], n, n - k)], -1)
    return x - x.mT


def _by_exponential(x: Any) -> Any:
    """exp(A)."""
    return linalg.matrix_exp(_skew(x))[..., : x.shape[-1]]


def _by_cayley(x: Any) -> Any:
    """(I - A/2)⁻¹ (I + A/2)."""
    a = _skew(x)
    one = eye(a.shape[-1], dtype=a.dtype)
    return linalg.solve(one - a * 0.5, one + a * 0.5)[..., : x.shape[-1]]


def _by_reflections(x: Any) -> Any:
    """A product of Householder reflections; the diagonal of x holds signs."""
    a = x.tril(-1)
    tau = 2.0 / (1.0 + (a * a).sum(-2))
    signs = x.detach().diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
    return linalg.householder_product(a, tau) * signs


MAPS: dict[str, Callable[[Any], Any]] = {
    "matrix_exp": _by_exponential,
    "cayley": _by_cayley,
    "householder": _by_reflections,
}


def _is_orthogonal(q: Any) -> bool:
    n, k = q.shape[-2:]
    return bool(allclose(q.mT @ q, eye(k, dtype=q.dtype), atol=10.0 * n * finfo(q.dtype).eps))


def _made_orthogonal(a: Any) -> Any:
    """The Q of a = Q R whose R has a positive diagonal."""
    q, r = linalg.qr(a)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    """One of the maps, times where the weight started (`base`)."""

    base: Tensor | None

    def __init__(self, weight: Any, orthogonal_map: str, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        turned = x.shape[-2] < x.shape[-1]
        q = MAPS[self.orthogonal_map](x.mT if turned else x)
        if self.use_trivialization:
            q = self.base @ q
        return q.mT if turned else q

    def right_inverse(self, q: Any) -> Any:
        """What gives an orthogonal matrix near q.

        Raises:
            ValueError: for another shape.
            NotImplementedError: when the map cannot be inverted, without trivialization.
        """
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {q.shape}."
            )
        with no_grad():
            turned = q.shape[-2] < q.shape[-1]
            tall = q.mT if turned else q  # (.., n, k) with n >= k
            if self.use_trivialization:
                self.base = _completed(tall)
                start = zeros_like(q)
                start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
                return start
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley "
                    "parametrizations when use_trivialization=False."
                )
            found = _reflections(tall)
            return found.mT if turned else found


def _completed(q: Any) -> Any:
    """A square orthogonal matrix whose first columns are those of q."""
    n, k = q.shape[-2:]
    if n == k:
        return q.clone() if _is_orthogonal(q) else _made_orthogonal(q)
    noise = randn(*q.shape[:-2], n, n - k, dtype=q.dtype)
    return _made_orthogonal(cat([q, noise], -1))


def _reflections(q: Any) -> Any:
    """Vectors of reflections below a diagonal of signs, so that their product is q."""
    a, tau = geqrf(q)
    diagonal = a.diagonal(dim1=-2, dim2=-1)
    diagonal.copy_(diagonal.sign() * (1 - 2 * (tau == 0).to(q.dtype)))
    return a
