"""Spectral normalization in the older form: a parameter `weight_orig`, two buffers.

Source: Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial
networks (2018), algorithm 1.
"""

from typing import Any, TypeVar

from narae.base.errors import GraphError
from narae.tensors import Parameter, no_grad

from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from ..norm import normalize
from .derived import derive, pre_hooks, take_pre_hook, underive

AnyModule = TypeVar("AnyModule", bound=Module)


def as_matrix(weight: Any, dim: int) -> Any:
    """The dimension `dim` first, all others in one: (size of dim, rest)."""
    if dim != 0:
        others = [place for place in range(weight.ndim) if place != dim]
        weight = weight.permute(dim, *others)
    return weight.reshape(weight.shape[0], -1)


def row_dim(module: Module) -> int:
    """Which dimension of a layer's weight counts what it puts out."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def unit_vector(like: Any, size: int, eps: float) -> Any:
    """A random direction, in the dtype of `like`."""
    return normalize(like.new_empty(size).normal_(0, 1), dim=0, eps=eps)


def largest_singular_value(matrix: Any, u: Any, v: Any) -> Any:
    """uᵀ W v, with copies of u and v: the next iteration overwrites them."""
    return u.clone().dot(matrix.mv(v.clone()))


def check_iterations(count: int) -> None:
    """Refuse to iterate less than once.

    Raises:
        ValueError: when the count is not positive.
    """
    if count <= 0:
        raise ValueError(
            f"Expected n_power_iterations to be positive, but got n_power_iterations={count}"
        )


class SpectralNorm:
    """A forward pre-hook that improves u and v in training; they estimate the weight's norm."""

    def __init__(
        self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        check_iterations(n_power_iterations)
        self.name, self.dim, self.eps = name, dim, eps
        self.n_power_iterations = n_power_iterations

    def _parts(self, module: Any) -> tuple[Any, Any, Any]:
        return tuple(getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))

    def iterate(self, module: Any) -> None:
        """v = Wᵀ u / |Wᵀ u|, u = W v / |W v|, in place."""
        weight, u, v = self._parts(module)
        with no_grad():
            matrix = as_matrix(weight, self.dim)
            for _ in range(self.n_power_iterations):
                v.copy_(normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))

    def compute_weight(self, module: Any, do_power_iteration: bool = False) -> Any:
        """W / (uᵀ W v)."""
        if do_power_iteration:
            self.iterate(module)
        weight, u, v = self._parts(module)
        return weight / largest_singular_value(as_matrix(weight, self.dim), u, v)

    def __call__(self, module: Any, inputs: Any) -> None:
        if module.training:
            self.iterate(module)

    def remove(self, module: Any) -> None:
        """Put a plain parameter of the present value back."""
        weight = self.compute_weight(module)
        underive(module, self.name)
        for end in ("_u", "_v", "_orig"):
            delattr(module, self.name + end)
        module.register_parameter(self.name, Parameter(weight.detach()))

    @staticmethod
    def apply(
        module: Any, name: str, n_power_iterations: int, dim: int, eps: float
    ) -> "SpectralNorm":
        """Replace the parameter by its quotient and its norm."""
        if any(hook.name == name for _, hook in pre_hooks(module, SpectralNorm)):
            raise GraphError(
                f"Cannot register two spectral_norm hooks on the same parameter {name}"
            )
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        rows, columns = as_matrix(weight.detach(), dim).shape
        u, v = unit_vector(weight, rows, eps), unit_vector(weight, columns, eps)
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        derive(module, name, hook.compute_weight)
        module.register_forward_pre_hook(hook)
        return hook


def spectral_norm(
    module: AnyModule,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> AnyModule:
    """W / σ(W): the weight, seen as a matrix, gets the norm 1; the older form.

    Args:
        module: the layer, which is changed
        name: which parameter
        n_power_iterations: steps of the estimate in every forward pass of training
        eps: keeps denominators from 0
        dim: the rows of the matrix; 0, or 1 for transposed convolutions

    Source: Miyato et al., Spectral normalization for generative adversarial networks (2018),
    algorithm 1.
    """
    rows = row_dim(module) if dim is None else dim
    SpectralNorm.apply(module, name, n_power_iterations, rows, eps)
    return module


def remove_spectral_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make the weight a plain parameter again."""
    for key, hook in pre_hooks(module, SpectralNorm):
        if hook.name == name:
            hook.remove(module)
            take_pre_hook(module, key)
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")


__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]
