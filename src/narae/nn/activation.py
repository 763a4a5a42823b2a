"""Activation layers."""

from typing import Any

from narae.base.errors import ConfigError
from narae.base.notices import warn_user
from narae.tensors import Parameter, Tensor, activations, full, sigmoid, tanh, where

from .module import Module


class _Activation(Module):
    """A layer around a function; `shown` names the settings that its text shows."""

    shown: tuple[str, ...] = ()
    inplace = False

    def extra_repr(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self.shown]
        if self.inplace:
            parts.append("inplace=True")
        return ", ".join(parts)


class _InPlace(_Activation):
    """An activation whose only setting is whether it writes into its input."""

    function: Any

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, inplace=self.inplace)


class _Plain(_Activation):
    """An activation without settings."""

    function: Any

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input)


class ReLU(_InPlace):
    """max(x, 0).

    >>> import narae
    >>> narae.nn.ReLU()(narae.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function = staticmethod(activations.relu)


class SiLU(_InPlace):
    """x * sigmoid(x)."""

    function = staticmethod(activations.silu)


class Mish(_InPlace):
    """x * tanh(softplus(x))."""

    function = staticmethod(activations.mish)


class SELU(_InPlace):
    """Scaled exponential linear unit."""

    function = staticmethod(activations.selu)


class Hardsigmoid(_InPlace):
    """min(max(x + 3, 0), 6) / 6."""

    function = staticmethod(activations.hardsigmoid)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_InPlace):
    """x * min(max(x + 3, 0), 6) / 6."""

    function = staticmethod(activations.hardswish)

    def extra_repr(self) -> str:
        return ""


class Sigmoid(_Plain):
    """1 / (1 + exp(-x))."""

    function = staticmethod(sigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent."""

    function = staticmethod(tanh)


class LogSigmoid(_Plain):
    """log(sigmoid(x))."""

    function = staticmethod(activations.logsigmoid)


class Softsign(_Plain):
    """x / (1 + |x|)."""

    function = staticmethod(activations.softsign)


class Tanhshrink(_Plain):
    """x - tanh(x)."""

    function = staticmethod(activations.tanhshrink)


class LeakyReLU(_Activation):
    """x where x > 0, negative_slope * x elsewhere."""

    shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        return activations.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(_Activation):
    """LeakyReLU with a slope drawn uniformly from [lower, upper) in training, their mean after.

    Source: Xu, Wang, Chen and Li, Empirical evaluation of rectified activations (2015).
    """

    shown = ("lower", "upper")

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return rrelu(input, self.lower, self.upper, self.training, self.inplace)


def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """x where x > 0, else x times a slope: random in training, (lower + upper) / 2 otherwise."""
    if lower > upper:
        raise ConfigError(
            "Lower bound should be less than or equal to the upper bound, but they are "
            f"{lower} and {upper}"
        )
    if not training:
        return activations.leaky_relu(input, (lower + upper) / 2, inplace)
    from narae.tensors import rand_like

    slopes = rand_like(input) * (upper - lower) + lower
    out = where(input > 0, input, input * slopes)
    return input.copy_(out) if inplace else out


class ELU(_Activation):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere."""

    shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return activations.elu(input, self.alpha, self.inplace)


class CELU(ELU):
    """x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere."""

    def forward(self, input: Tensor) -> Tensor:
        return activations.celu(input, self.alpha, self.inplace)


class GELU(_Activation):
    """x times the share of the normal distribution below x."""

    shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return activations.gelu(input, self.approximate)


class GLU(_Activation):
    """The first half along `dim` times the sigmoid of the second."""

    shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return activations.glu(input, self.dim)


class Hardtanh(_Activation):
    """min(max(x, min_val), max_val)."""

    shown: tuple[str, ...] = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not max_val > min_val:
            raise ValueError(
                f"max_val must be larger than min_val, but got min_val={min_val}, max_val={max_val}"
            )
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        return activations.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)."""

    shown: tuple[str, ...] = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Hardshrink(_Activation):
    """0 where |x| <= lambd, x elsewhere."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return activations.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Hardshrink):
    """x moved towards 0 by lambd; 0 where |x| <= lambd."""

    def forward(self, input: Tensor) -> Tensor:
        return activations.softshrink(input, self.lambd)


class Softplus(_Activation):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""

    shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        return activations.softplus(input, self.beta, self.threshold)


class Threshold(_Activation):
    """x where x > threshold, value elsewhere."""

    shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        return activations.threshold(input, self.threshold, self.value, self.inplace)


class PReLU(_Activation):
    """x where x > 0, weight * x elsewhere; the weight is learned.

    Args:
        num_parameters: 1, or the number of channels
        init: where the weights start
    """

    shown = ("num_parameters",)

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        start = full((num_parameters,), float(init), device=device, dtype=dtype)
        self.weight = Parameter(start)

    def reset_parameters(self) -> None:
        """Start again."""
        from .init import constant_

        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return activations.prelu(input, self.weight)


# --- softmax --------------------------------------------------------------------------------


def _chosen_dim(name: str, input: Tensor, dim: int | None) -> int:
    """The dimension; old programs leave it out, and are warned."""
    if dim is not None:
        return dim
    warn_user(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument."
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    return activations.softmax(input, _chosen_dim("softmax", input, dim), dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """The logarithm of softmax, without underflow."""
    return activations.log_softmax(input, _chosen_dim("log_softmax", input, dim), dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    return activations.softmin(input, _chosen_dim("softmin", input, dim), dtype=dtype)


class _AlongDim(_Activation):
    shown = ("dim",)
    function: Any

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.dim)


class Softmax(_AlongDim):
    """exp(x) / sum of exp(x) along `dim`."""

    function = staticmethod(softmax)


class LogSoftmax(_AlongDim):
    """The logarithm of softmax along `dim`."""

    function = staticmethod(log_softmax)


class Softmin(_AlongDim):
    """softmax(-x) along `dim`."""

    function = staticmethod(softmin)


class Softmax2d(_Activation):
    """Softmax over the channels of each pixel."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return softmax(input, -3)


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]
