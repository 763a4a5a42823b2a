"""Weight normalization in the older form: parameters `weight_g` and `weight_v`.

Source: Salimans and Kingma, Weight normalization (2016).
"""

from typing import Any, TypeVar

from narae.base.errors import GraphError
from narae.base.notices import warn_user
from narae.tensors import Parameter

from ..module import Module
from .derived import derive, pre_hooks, take_pre_hook, underive

AnyModule = TypeVar("AnyModule", bound=Module)


def norm_except_dim(v: Any, pow: float = 2, dim: int = 0) -> Any:
    """The norm over all dimensions but one, which stays; dim -1 means: over all.

    >>> import narae
    >>> norm_except_dim(narae.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    if dim == -1:
        return v.norm(pow)
    others = [place for place in range(v.ndim) if place != dim]
    return v.norm(pow, others, keepdim=True) if others else v.abs()


def normed(v: Any, g: Any, dim: int = 0) -> Any:
    """w = g v / |v|."""
    return v * (g / norm_except_dim(v, 2, dim))


class WeightNorm:
    """A forward pre-hook by which a module is known to have `name` computed as g v / |v|."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """The weight of now."""
        return normed(
            getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim
        )

    @staticmethod
    def apply(module: Any, name: str, dim: int | None) -> "WeightNorm":
        """Replace the parameter by its direction and its length."""
        if any(hook.name == name for _, hook in pre_hooks(module, WeightNorm)):
            raise GraphError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        del module._parameters[name]
        length = norm_except_dim(weight.detach(), 2, hook.dim)
        module.register_parameter(name + "_g", Parameter(length))
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        derive(module, name, hook.compute_weight)
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Any) -> None:
        """Put a plain parameter of the present value back."""
        weight = self.compute_weight(module)
        underive(module, self.name)
        del module._parameters[self.name + "_g"], module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        """Nothing to do: the weight is computed when it is read."""


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """w = g v / |v|: length and direction of a weight become two parameters; the older form.

    `parametrizations.weight_norm` is the newer one, which keeps the layer's other names.

    Args:
        module: the layer, which is changed
        name: which parameter
        dim: every index of this dimension has a length of its own; None for one length

    Source: Salimans and Kingma, Weight normalization (2016), equation 2.

    >>> import warnings, narae
    >>> warnings.simplefilter("ignore")
    >>> layer = narae.nn.utils.weight_norm(narae.nn.Linear(4, 3))
    >>> layer.weight_g.shape, layer.weight_v.shape
    (narae.Size([3, 1]), narae.Size([3, 4]))
    """
    warn_user(
        "`narae.nn.utils.weight_norm` is deprecated in favor of "
        "`narae.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make the weight a plain parameter again."""
    for key, hook in pre_hooks(module, WeightNorm):
        if hook.name == name:
            hook.remove(module)
            take_pre_hook(module, key)
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")


__all__ = ["WeightNorm", "norm_except_dim", "remove_weight_norm", "weight_norm"]
