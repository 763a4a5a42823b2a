"""Activation functions, each one node of the tape, composed of primitives."""

import math
from typing import Any

from .composite import Composite
from .elementwise import (
    abs_,
    add,
    div,
    erf,
    exp,
    expm1,
    le,
    log1p,
    lt,
    maximum,
    minimum,
    mul,
    neg,
    or_,
    sigmoid,
    sub,
    tanh,
    where,
)
from .movement import concat, narrow
from .record import Rule, shape_of


def _activation(
    name: str, formula: str, decompose: Rule, grad: Rule, saves: str = "x", grad_name: str = ""
) -> Composite:
    return Composite(name, "x", formula, decompose, saves=saves, grads=(grad,), grad_name=grad_name)


# --- straight lines --------------------------------------------------------------------------

relu = _activation(
    "relu",
    "max(x, 0)",
    lambda x: maximum(x, 0),
    lambda grad, out: where(le(out, 0), 0.0, grad),
    "out",
)
leaky_relu = _activation(
    "leaky_relu",
    "x where x > 0, slope * x elsewhere",
    lambda x, *, slope: where(lt(0, x), x, mul(x, slope)),
    lambda grad, x, slope: where(lt(0, x), grad, mul(grad, slope)),
)
hardtanh = _activation(
    "hardtanh",
    "min(max(x, low), high)",
    lambda x, *, low, high: minimum(maximum(x, low), high),
    lambda grad, x, low, high: where(or_(le(x, low), le(high, x)), 0.0, grad),
)
hardsigmoid = _activation(
    "hardsigmoid",
    "min(max(x + 3, 0), 6) / 6",
    lambda x: div(minimum(maximum(add(x, 3), 0), 6), 6),
    lambda grad, x: where(lt(abs_(x), 3), mul(grad, 1 / 6), 0.0),
)


def _hardswish_grad(grad: Any, x: Any) -> Any:
    middle = mul(grad, add(mul(x, 1 / 3), 0.5))
    return where(le(x, -3), 0.0, where(lt(x, 3), middle, grad))


hardswish = _activation(
    "hardswish",
    "x * min(max(x + 3, 0), 6) / 6",
    lambda x: div(mul(x, minimum(maximum(add(x, 3), 0), 6)), 6),
    _hardswish_grad,
)
hardshrink = _activation(
    "hardshrink",
    "0 where |x| <= width, x elsewhere",
    lambda x, *, width: where(le(abs_(x), width), 0.0, x),
    lambda grad, x, width: where(le(abs_(x), width), 0.0, grad),
)


def _softshrink(x: Any, *, width: float) -> Any:
    return where(lt(width, x), sub(x, width), where(lt(x, -width), add(x, width), mul(x, 0)))


softshrink = _activation(
    "softshrink",
    "x moved towards 0 by width; 0 where |x| <= width",
    _softshrink,
    lambda grad, x, width: where(le(abs_(x), width), 0.0, grad),
)
threshold = _activation(
    "threshold",
    "x where x > limit, value elsewhere",
    lambda x, *, limit, value: where(le(x, limit), value, x),
    lambda grad, x, limit, value: where(le(x, limit), 0.0, grad),
)
prelu: Composite = Composite(
    "prelu",
    "x weight",
    "x where x > 0, weight * x elsewhere",
    lambda x, weight: where(lt(0, x), x, mul(x, weight)),
    saves="x weight",
    grads=(
        lambda grad, x, weight: where(lt(0, x), grad, mul(grad, weight)),
        lambda grad, x, weight: where(lt(0, x), 0.0, mul(grad, x)),
    ),
    broadcasts=True,
    grad_name="PreluKernelBackward0",
)

# --- curves ----------------------------------------------------------------------------------


def _elu(x: Any, *, alpha: float, scale: float, input_scale: float) -> Any:
    low = mul(expm1(mul(minimum(x, 0), input_scale)), alpha * scale)
    return where(lt(0, x), mul(x, scale), low)


def _elu_grad(grad: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    # The exponential of a positive x, which is not wanted, must not overflow.
    positive = lt(0, x)
    slope = exp(mul(where(positive, 0.0, x), input_scale))
    low = mul(mul(grad, slope), input_scale * alpha * scale)
    return where(positive, mul(grad, scale), low)


elu = _activation(
    "elu",
    "scale * x where x > 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere",
    _elu,
    _elu_grad,
)


def _gelu(x: Any, *, approximate: bool) -> Any:
    inner = tanh(_gelu_argument(x)) if approximate else erf(mul(x, math.sqrt(0.5)))
    return mul(mul(x, 0.5), add(inner, 1))


def _gelu_argument(x: Any) -> Any:
    cubic = mul(mul(mul(x, x), x), 0.044715)
    return mul(add(x, cubic), math.sqrt(2 / math.pi))


def _gelu_grad(grad: Any, x: Any, approximate: bool) -> Any:
    if approximate:
        inner = tanh(_gelu_argument(x))
        slope = mul(add(mul(mul(x, x), 3 * 0.044715), 1), math.sqrt(2 / math.pi))
        tail = mul(mul(mul(x, 0.5), sub(1, mul(inner, inner))), slope)
        return mul(grad, add(mul(add(inner, 1), 0.5), tail))
    below = mul(add(erf(mul(x, math.sqrt(0.5))), 1), 0.5)
    density = mul(exp(mul(mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return mul(grad, add(below, mul(x, density)))


gelu = _activation("gelu", "x times the normal distribution's share below x", _gelu, _gelu_grad)


def _silu_grad(grad: Any, x: Any) -> Any:
    gate = sigmoid(x)
    return mul(mul(grad, gate), add(mul(x, sub(1, gate)), 1))


silu = _activation("silu", "x * sigmoid(x)", lambda x: mul(x, sigmoid(x)), _silu_grad)


def _softplus(x: Any, *, beta: float, threshold: float) -> Any:
    scaled = mul(x, beta)
    # log(1 + e^z) = max(z, 0) + log(1 + e^-|z|), without overflow
    smooth = add(maximum(scaled, 0), log1p(exp(neg(abs_(scaled)))))
    return where(lt(threshold, scaled), x, mul(smooth, 1 / beta))


def _softplus_grad(grad: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = mul(x, beta)
    return where(lt(threshold, scaled), grad, mul(grad, sigmoid(scaled)))


softplus = _activation(
    "softplus",
    "log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold",
    _softplus,
    _softplus_grad,
)


def _mish_gate(x: Any) -> Any:
    return tanh(add(maximum(x, 0), log1p(exp(neg(abs_(x))))))


def _mish_grad(grad: Any, x: Any) -> Any:
    gate = _mish_gate(x)
    return mul(grad, add(gate, mul(mul(x, sigmoid(x)), sub(1, mul(gate, gate)))))


mish = _activation("mish", "x * tanh(log(1 + exp(x)))", lambda x: mul(x, _mish_gate(x)), _mish_grad)

logsigmoid = _activation(
    "logsigmoid",
    "log(sigmoid(x))",
    lambda x: sub(minimum(x, 0), log1p(exp(neg(abs_(x))))),
    lambda grad, x: mul(grad, sigmoid(neg(x))),
    grad_name="LogSigmoidBackward0",
)


def _halves(x: Any, dim: int) -> tuple[Any, Any]:
    half = shape_of(x)[dim] // 2
    return narrow(x, dim, 0, half), narrow(x, dim, half, half)


def _glu(x: Any, *, dim: int) -> Any:
    first, second = _halves(x, dim)
    return mul(first, sigmoid(second))


def _glu_grad(grad: Any, x: Any, dim: int) -> Any:
    first, second = _halves(x, dim)
    gate = sigmoid(second)
    scaled = mul(grad, gate)
    return concat(scaled, mul(mul(scaled, first), sub(1, gate)), dim=dim)


glu = _activation("glu", "first half * sigmoid(second half) along dim", _glu, _glu_grad)
