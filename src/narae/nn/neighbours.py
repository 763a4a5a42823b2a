"""Layers that compare: similarity of vectors, and normalization across maps."""

from typing import Any

from narae.tensors import Tensor

from .module import Module
from .norm import cosine_similarity, local_response_norm


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along a dimension.

    x1 · x2 / (max(|x1|, eps) * max(|x2|, eps))

    >>> import narae
    >>> narae.nn.CosineSimilarity()(narae.tensor([[3.0, 4.0]]), narae.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return cosine_similarity(x1, x2, self.dim, self.eps)


class CrossMapLRN2d(Module):
    """Local response normalization of pictures over an odd number of neighbouring maps.

    PyTorch's forgets to take the first map out of its sum again; here every map sees its own
    neighbours only.

    Args:
        size: how many maps; an even number counts as the next smaller one on both sides
        alpha, beta, k: as for `LocalResponseNorm`
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        x: Any = input
        if x.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {x.ndim}D instead.")
        reach = 2 * int((self.size - 1) / 2) + 1  # PyTorch divides by size whatever the reach
        return local_response_norm(x, reach, self.alpha * reach / self.size, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = ["CosineSimilarity", "CrossMapLRN2d"]
