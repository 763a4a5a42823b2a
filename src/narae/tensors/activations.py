"""Activation functions and softmax."""

from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.dtypes import is_floating
from narae.base.errors import ConfigError, ShapeError, explain
from narae.base.shapes import normalize_dim

from .arithmetic import add, div, sub
from .autocast import low_precision
from .eager import apply, converted, unary
from .operands import as_dtype, check_castable, refuse_dtype, require_tensor
from .pointwise import abs, tanh
from .reductions import along
from .tensor import Tensor
from .views import check_writable, version_before, write

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _checked(input: Any, name: str) -> Tensor:
    """A floating point tensor."""
    if not is_floating(require_tensor(input, name)._value.dtype):
        raise refuse_dtype(name, input, "it needs floating point numbers; convert with .float()")
    return input  # type: ignore[no-any-return]


def _maybe_in_place(
    function: Callable[[Tensor], Tensor], input: Tensor, inplace: bool, name: str
) -> Tensor:
    """Compute, and write the result back when `inplace` is asked for."""
    if not inplace:
        return function(input)
    check_writable(input, name + "_")
    result = function(version_before(input))
    check_castable(result._value.dtype, input._value.dtype, name + "_")
    return write(input, result, name + "_")


# --- straight lines --------------------------------------------------------------------------


_relu = unary(p.relu)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0).

    >>> import narae
    >>> narae.relu(narae.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if require_tensor(input, "relu")._value.dtype.kind == "b":
        raise refuse_dtype("relu", input, "Boolean inputs not supported for relu")
    return _maybe_in_place(_relu, input, inplace, "relu") if inplace else _relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, negative_slope * x elsewhere (Maas et al. 2013)."""
    x, slope = _checked(input, "leaky_relu"), float(negative_slope)
    return _maybe_in_place(lambda x: apply(p.leaky_relu, x, slope=slope), x, inplace, "leaky_relu")


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """min(max(x, min_val), max_val)."""
    if min_val > max_val:
        raise ConfigError("min_val cannot be greater than max_val")
    if require_tensor(input, "hardtanh")._value.dtype.kind == "b":
        raise refuse_dtype("hardtanh", input, "Bool inputs not supported for hardtanh")
    integer = input._value.dtype.kind in "iu"
    low, high = (int(min_val), int(max_val)) if integer else (float(min_val), float(max_val))
    return _maybe_in_place(
        lambda x: apply(p.hardtanh, x, low=low, high=high), input, inplace, "hardtanh"
    )


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    x = _checked(input, "hardsigmoid")
    return _maybe_in_place(lambda x: apply(p.hardsigmoid, x), x, inplace, "hardsigmoid")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    x = _checked(input, "hardswish")
    return _maybe_in_place(lambda x: apply(p.hardswish, x), x, inplace, "hardswish")


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |x| <= lambd, x elsewhere."""
    return apply(p.hardshrink, _checked(input, "hardshrink"), width=float(lambd))  # type: ignore[no-any-return]


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd; 0 where |x| <= lambd."""
    if lambd < 0:
        raise ConfigError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return apply(p.softshrink, _checked(input, "softshrink"), width=float(lambd))  # type: ignore[no-any-return]


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, value elsewhere."""
    dtype = require_tensor(input, "threshold")._value.dtype
    if dtype.kind == "b":
        raise refuse_dtype("threshold", input, "it needs numbers")
    attrs = {"limit": converted(threshold, dtype), "value": converted(value, dtype)}
    return _maybe_in_place(lambda x: apply(p.threshold, x, **attrs), input, inplace, "threshold")


@low_precision
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, weight * x elsewhere; one weight, or one a channel (He et al. 2015).

    Raises:
        ValueError: when the number of weights is neither 1 nor that of the channels.
    """
    x = _checked(input, "prelu")
    shape, count = x._value.shape, weight._value.size
    if weight.ndim > 1:
        raise ShapeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if count != 1 and (len(shape) == 0 or count != shape[min(1, len(shape) - 1)]):
        raise ShapeError(
            explain("prelu", f"{count} weights for x {tuple(shape)}",
                    "Mismatch of parameter numbers and input channel size: one weight, or one a "
                    "channel")
        )  # fmt: skip
    wanted = tuple(count if place == 1 else 1 for place in range(len(shape)))
    if len(shape) == 1:
        wanted = (count,)
    if tuple(weight._value.shape) != wanted:
        weight = apply(p.reshape, weight, shape=wanted)
    return apply(p.prelu, x, weight)  # type: ignore[no-any-return]


# --- curves ----------------------------------------------------------------------------------


def _elu(
    input: Tensor, name: str, inplace: bool, alpha: float, scale: float, input_scale: float
) -> Tensor:
    attrs = {"alpha": float(alpha), "scale": float(scale), "input_scale": float(input_scale)}
    x = _checked(input, name)
    return _maybe_in_place(lambda x: apply(p.elu, x, **attrs), x, inplace, name)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2016)."""
    return _elu(input, "elu", inplace, alpha, 1.0, 1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha) with the two constants of Klambauer et al. 2017."""
    return _elu(input, "selu", inplace, SELU_ALPHA, SELU_SCALE, 1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere (Barron 2017)."""
    if alpha == 0:
        raise ConfigError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(input, "celu", inplace, alpha, 1.0, 1.0 / alpha)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016).

    Args:
        input: a floating point tensor.
        approximate: "none", or "tanh" for their equation with tanh.
    """
    if approximate not in ("none", "tanh"):
        raise ConfigError("approximate argument must be either none or tanh.")
    return apply(p.gelu, _checked(input, "gelu"), approximate=approximate == "tanh")  # type: ignore[no-any-return]


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    x = _checked(input, "silu")
    return _maybe_in_place(lambda x: apply(p.silu, x), x, inplace, "silu")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019)."""
    x = _checked(input, "mish")
    return _maybe_in_place(lambda x: apply(p.mish, x), x, inplace, "mish")


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""
    x = _checked(input, "softplus")
    return apply(p.softplus, x, beta=float(beta), threshold=float(threshold))  # type: ignore[no-any-return]


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return div(input, add(abs(input), 1))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return sub(input, tanh(input))


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    return apply(p.logsigmoid, _checked(input, "logsigmoid"))  # type: ignore[no-any-return]


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second (Dauphin et al. 2017).

    Raises:
        ValueError: when the size of the dimension is odd.
    """
    x = _checked(input, "glu")
    if x._value.ndim == 0:
        raise ShapeError("glu does not support 0-dimensional tensors")
    place = normalize_dim(dim, x._value.ndim)
    size = x._value.shape[place]
    if size % 2:
        raise ShapeError(f"Halving dimension must be even, but dimension {place} is size {size}")
    return apply(p.glu, x, dim=place)  # type: ignore[no-any-return]


# --- softmax ---------------------------------------------------------------------------------


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`: positive numbers that sum to 1.

    Args:
        input: a floating point tensor.
        dim: the dimension that sums to 1.
        dtype: convert to it first.

    >>> import narae
    >>> narae.softmax(narae.tensor([1010.0, 1000.0, 990.0]), dim=0).sum()
    tensor(1.)
    """
    x = _checked(as_dtype(require_tensor(input, "softmax"), dtype), "softmax")
    return along(x, _implicit_dim(x, dim), "softmax", p.softmax, check=False)  # type: ignore[no-any-return]


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """x - log(sum of exp(x)) along `dim`: the logarithm of softmax, without underflow."""
    x = _checked(as_dtype(require_tensor(input, "log_softmax"), dtype), "log_softmax")
    return along(x, _implicit_dim(x, dim), "log_softmax", p.log_softmax, check=False)  # type: ignore[no-any-return]


def _implicit_dim(x: Tensor, dim: int | None) -> int:
    """PyTorch's old default: 0 for 0, 1 and 3 dimensions, else 1."""
    if dim is not None:
        return dim
    return 0 if x._value.ndim in (0, 1, 3) else 1


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    return softmax(apply(p.neg, input), dim, dtype=dtype)


def _softmax_method(self: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    return softmax(self, dim, dtype=dtype)


def _log_softmax_method(self: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    return log_softmax(self, dim, dtype=dtype)


def relu_(input: Tensor) -> Tensor:
    """In-place form of `relu`."""
    return relu(input, inplace=True)


OPERATORS = {"softmax": _softmax_method, "log_softmax": _log_softmax_method}

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_",
    "selu", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign",
    "tanhshrink", "threshold",
]  # fmt: skip
METHODS = ["prelu", "relu", "hardshrink"]
IN_PLACE = ["relu"]
