"""`Linear` and `Bilinear`, and their functions."""

import math
from typing import Any

from narae import primitives as p
from narae.base.errors import DTypeError, ShapeError, explain
from narae.tensors import Parameter, Tensor, empty
from narae.tensors.autocast import products
from narae.tensors.eager import apply
from narae.tensors.modes import modes

from . import init
from .module import Module


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b.

    Args:
        input: (.., in_features)
        weight: (out_features, in_features), or (in_features,) for a single output
        bias: (out_features,), or none

    Returns:
        (.., out_features)

    Raises:
        RuntimeError: when the last size of the input is not in_features.
    """
    if modes.autocast is not None:
        input, weight, bias = products(input, weight, bias)
    x, w = input._value, weight._value
    if w.ndim == 1 or x.ndim == 0 or x.shape[-1] != w.shape[-1] or x.dtype != w.dtype:
        return _unusual_linear(input, weight, bias)
    if bias is None:
        return apply(p.linear_without_bias, input, weight)
    return apply(p.linear, input, weight, bias)


def _unusual_linear(x: Any, w: Any, b: Any) -> Any:
    """One output without a dimension of its own; everything else is an error."""
    if x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        last = x.shape[-1] if x.ndim else 1
        raise ShapeError(
            explain(
                "linear",
                f"mat1 and mat2 shapes cannot be multiplied: the input is {tuple(x.shape)}, the "
                f"weight {tuple(w.shape)} (out_features, in_features)",
                "the last size of the input must equal in_features",
                f"in_features should be {last}{_flattening(x, w)}",
            )
        )
    if x.dtype is not w.dtype:
        raise DTypeError(
            explain(
                "linear",
                f"mat1 and mat2 must have the same dtype, but the input is {x.dtype} and the "
                f"weight {w.dtype}",
                "a layer computes in the dtype of its weights",
                f"convert the input (x.to({w.dtype})) or the model",
            )
        )
    out = x @ w
    return out if b is None else out + b


def _flattening(x: Any, w: Any) -> str:
    """The other usual fix: an image that was not flattened before the layer."""
    flat = math.prod(x.shape[1:])
    if x.ndim > 2 and flat == w.shape[-1]:
        return f", or flatten the input first: x.flatten(1) is ({x.shape[0]}, {flat})"
    return ""


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1ᵀ W[o] x2 + b[o] for every output o.

    Args:
        input1: (.., in1_features)
        input2: (.., in2_features)
        weight: (out_features, in1_features, in2_features)
        bias: (out_features,), or none
    """
    x1, x2, w = input1, input2, weight
    if x1.shape[:-1] != x2.shape[:-1] or (x1.shape[-1], x2.shape[-1]) != tuple(w.shape[1:]):
        raise ShapeError(
            explain(
                "bilinear",
                f"the inputs are {tuple(x1.shape)} and {tuple(x2.shape)}, the weight "
                f"{tuple(w.shape)}",
                "leading sizes of the inputs must be equal, their last sizes those of the weight",
            )
        )
    rows1 = x1.reshape(-1, w.shape[1])  # (rows, in1)
    rows2 = x2.reshape(-1, w.shape[2])  # (rows, in2)
    # (rows, in1) @ (out, in1, in2) -> (out, rows, in2), times x2, summed over in2
    out = ((rows1 @ w) * rows2).sum(-1).t().reshape(*x1.shape[:-1], w.shape[0])
    return out if bias is None else out + bias


def start_like_linear(weight: Tensor, bias: Tensor | None) -> None:
    """PyTorch's start for linear and convolution layers: both uniform in ±1 / √fan_in."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init.fans(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)


class Linear(Module):
    """out = x Wᵀ + b.

    Args:
        in_features: the last size of the input.
        out_features: the last size of the output.
        bias: whether b is added.

    >>> import narae
    >>> _ = narae.manual_seed(100)
    >>> layer = narae.nn.Linear(1, 1)
    >>> print(f"{layer.weight.item():.4f} {layer.bias.item():.4f}")
    -0.7767 0.6317
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty((out_features, in_features), **kind))
        if bias:
            self.bias = Parameter(empty(out_features, **kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        start_like_linear(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """out[o] = x1ᵀ W[o] x2 + b[o].

    Args:
        in1_features, in2_features: the last sizes of the two inputs.
        out_features: the last size of the output.
        bias: whether b is added.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        kind = {"device": device, "dtype": dtype}
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), **kind))
        if bias:
            self.bias = Parameter(empty(out_features, **kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


__all__ = ["Bilinear", "Linear", "bilinear", "linear"]
