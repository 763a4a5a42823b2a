"""Ready-made parametrizations: weight norm, spectral norm, orthogonal matrices."""

from typing import Any, TypeVar

from narae.tensors import Tensor, no_grad

from ..module import Module
from ..norm import normalize
from . import orthogonal as maps
from .parametrize import register_parametrization
from .spectral_norm import (
    as_matrix,
    check_iterations,
    largest_singular_value,
    row_dim,
    unit_vector,
)
from .weight_norm import norm_except_dim, normed

AnyModule = TypeVar("AnyModule", bound=Module)


# --- weight norm ----------------------------------------------------------------------------


class _WeightNorm(Module):
    """w = g v / |v|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return normed(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """The length and the direction of a weight."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """w = g v / |v|: length g (`original0`) and direction v (`original1`) become parameters.

    Args:
        module: the layer, which is changed
        name: which parameter
        dim: every index of this dimension has a length of its own; None for one length

    Source: Salimans and Kingma, Weight normalization (2016), equation 2.

    >>> import narae
    >>> layer = weight_norm(narae.nn.Linear(4, 3))
    >>> [name for name, _ in layer.named_parameters()][1:]
    ['parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module.register_load_state_dict_pre_hook(_Renamed(name))
    return module


class _Renamed:
    """When a state is loaded: `weight_g` and `weight_v` of the older form are the originals."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Any, state_dict: Any, prefix: str, *_: Any) -> None:
        old = [f"{prefix}{self.name}_{end}" for end in "gv"]
        if all(key in state_dict for key in old):
            for place, key in enumerate(old):
                new = f"{prefix}parametrizations.{self.name}.original{place}"
                state_dict[new] = state_dict.pop(key)


# --- spectral norm --------------------------------------------------------------------------


class _SpectralNorm(Module):
    """W / σ(W); a vector is divided by its length."""

    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        rank = weight.ndim
        if not -rank <= dim < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got "
                f"{dim})"
            )
        check_iterations(n_power_iterations)
        self.dim, self.eps = dim % rank, eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            rows, columns = matrix.shape
            u, v = unit_vector(weight, rows, eps), unit_vector(weight, columns, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Any, times: int) -> None:
        """u = W v / |W v|, v = Wᵀ u / |Wᵀ u|, in place."""
        u: Any = self._u
        v: Any = self._v
        with no_grad():
            for _ in range(times):
                u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))
                v.copy_(normalize(matrix.t().mv(u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        return weight / largest_singular_value(matrix, self._u, self._v)

    def right_inverse(self, value: Any) -> Any:
        """The value itself, which is taken to have the norm 1 already."""
        return value


def spectral_norm(
    module: AnyModule,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> AnyModule:
    """W / σ(W): the weight, seen as a matrix, gets the largest singular value 1.

    Args:
        module: the layer, which is changed
        name: which parameter
        n_power_iterations: steps of the estimate whenever the weight is read in training
        eps: keeps denominators from 0
        dim: the rows of the matrix; 0, or 1 for transposed convolutions

    Source: Miyato et al., Spectral normalization for generative adversarial networks (2018),
    algorithm 1.
    """
    weight = _tensor_of(module, name)
    rows = row_dim(module) if dim is None else dim
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, rows, eps)
    )


def _tensor_of(module: Any, name: str) -> Any:
    found = getattr(module, name, None)
    if not isinstance(found, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return found


# --- orthogonal matrices --------------------------------------------------------------------


def orthogonal(
    module: AnyModule,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> AnyModule:
    """The weight stays orthogonal: Qᵀ Q = I, or Q Qᵀ = I if it has fewer rows than columns.

    Args:
        module: the layer, which is changed
        name: which parameter
        orthogonal_map: "matrix_exp", "cayley" or "householder"; by default "matrix_exp" for square
            matrices, "householder" otherwise
        use_trivialization: write the weight as (where it started) · Q

    Source: Lezcano-Casado, Trivializations for gradient-based optimization on manifolds (2019).
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in maps.MAPS:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    parametrization = maps._Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, parametrization, unsafe=True)


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
