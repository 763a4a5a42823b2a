"""Losses element by element, reduced or not: each is one step on the tape.

All of them take `reduction`: "none" keeps the elements, "sum" adds them, "mean" divides the sum by
their number. Operands have one shape; weights broadcast and receive no gradient.
"""

import math
from collections.abc import Sequence
from typing import Any

from .composite import Composite
from .elementwise import (
    abs_,
    add,
    div,
    eq,
    exp,
    le,
    log,
    log1p,
    lt,
    maximum,
    minimum,
    mul,
    neg,
    sigmoid,
    sign,
    sub,
    where,
)
from .record import Rule, shape_of
from .reductions import sum_

# PyTorch's bounds in binary_cross_entropy: of logarithms, and of x (1 - x), a float32 constant.
LOWEST_LOG = -100.0
LEAST_SPREAD = 9.999999960041972e-13


def reduced(x: Any, reduction: str) -> Any:
    """The elements, their sum, or their mean."""
    if reduction == "none":
        return x
    shape = shape_of(x)
    total = sum_(x, dim=tuple(range(len(shape))), keepdim=False)
    return total if reduction == "sum" else shared(total, math.prod(shape))


def shared(total: Any, count: int) -> Any:
    """A total divided by a count; NaN when there is nothing to count."""
    return div(total, count) if count else mul(total, math.nan)


def spread_grad(grad: Any, x: Any, reduction: str) -> Any:
    """The gradient of every element; of shape () when it is the same for all of them."""
    return shared(grad, math.prod(shape_of(x))) if reduction == "mean" else grad


def _pair_loss(name: str, formula: str, value: Rule, slope: Rule, grad_name: str) -> Composite:
    """A loss of the difference of two tensors: the gradients have opposite signs.

    Args:
        value: `value(x - y, **attrs)`, the loss of each element.
        slope: `slope(x - y, **attrs)`, its derivative.
    """

    def decompose(x: Any, y: Any, *, reduction: str, **attrs: Any) -> Any:
        return reduced(value(sub(x, y), **attrs), reduction)

    def joint_grad(
        needs: Sequence[bool], grads: Sequence[Any], x: Any, y: Any, reduction: str, **attrs: Any
    ) -> tuple[Any, Any]:
        grad_x = mul(slope(sub(x, y), **attrs), spread_grad(grads[0], x, reduction))
        return grad_x if needs[0] else None, neg(grad_x) if needs[1] else None

    return Composite(
        name, "x y", formula, decompose, saves="x y", joint_grad=joint_grad, grad_name=grad_name
    )


def _clamp(x: Any, low: float, high: float) -> Any:
    return minimum(maximum(x, low), high)


def _smooth_l1(d: Any, *, beta: float) -> Any:
    size = abs_(d)
    square = mul(mul(d, d), 0.5 / beta)
    return where(lt(size, beta), square, sub(size, 0.5 * beta))


def _huber(d: Any, *, delta: float) -> Any:
    size = abs_(d)
    line = mul(sub(size, 0.5 * delta), delta)
    return where(le(size, delta), mul(mul(d, d), 0.5), line)


mse_loss = _pair_loss(
    "mse_loss",
    "(x - y) ** 2",
    lambda d: mul(d, d),
    lambda d: mul(d, 2),
    "MseLossBackward0",
)
l1_loss = _pair_loss("l1_loss", "|x - y|", abs_, sign, "MeanBackward0")
smooth_l1_loss = _pair_loss(
    "smooth_l1_loss",
    "d² / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere, for d = x - y",
    _smooth_l1,
    lambda d, beta: where(lt(abs_(d), beta), mul(d, 1 / beta), sign(d)),
    "SmoothL1LossBackward0",
)
huber_loss = _pair_loss(
    "huber_loss",
    "d² / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere, for d = x - y",
    _huber,
    lambda d, delta: where(le(abs_(d), delta), d, mul(sign(d), delta)),
    "HuberLossBackward0",
)


# --- binary cross entropy -------------------------------------------------------------------


def weighted(x: Any, weight: Any) -> Any:
    """x, or x * weight where there is one."""
    return x if weight is None else mul(x, weight)


def _bounded_log(x: Any) -> Any:
    return maximum(log(x), LOWEST_LOG)


def _bce(x: Any, y: Any, weight: Any, *, reduction: str) -> Any:
    positive = mul(y, _bounded_log(x))
    negative = mul(sub(1, y), maximum(log1p(neg(x)), LOWEST_LOG))
    return reduced(weighted(neg(add(positive, negative)), weight), reduction)


def _bce_grad_x(grad: Any, x: Any, y: Any, weight: Any, reduction: str) -> Any:
    slope = div(sub(x, y), maximum(mul(sub(1, x), x), LEAST_SPREAD))
    return mul(weighted(slope, weight), spread_grad(grad, x, reduction))


def _bce_grad_y(grad: Any, x: Any, y: Any, weight: Any, reduction: str) -> Any:
    slope = sub(log1p(neg(x)), log(x))
    return mul(weighted(slope, weight), spread_grad(grad, x, reduction))


binary_cross_entropy: Composite = Composite(
    "binary_cross_entropy",
    "x y weight",
    "-weight * (y log x + (1 - y) log(1 - x)), logarithms bounded below by -100",
    _bce,
    saves="x y weight",
    grads=(_bce_grad_x, _bce_grad_y, None),
    grad_name="BinaryCrossEntropyBackward0",
)


def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + exp(-x))) without overflow: min(x, 0) - log(1 + exp(-|x|))."""
    return sub(minimum(x, 0), log1p(exp(neg(abs_(x)))))


def _bce_with_logits(x: Any, y: Any, weight: Any, pos_weight: Any, *, reduction: str) -> Any:
    log_odds = log_sigmoid(x)
    if pos_weight is not None:
        log_odds = mul(log_odds, add(mul(sub(pos_weight, 1), y), 1))
    loss = sub(mul(sub(1, y), x), log_odds)
    return reduced(weighted(loss, weight), reduction)


def _logits_grad_x(grad: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    if pos_weight is None:
        slope = sub(sigmoid(x), y)
    else:
        hits = mul(pos_weight, y)
        slope = sub(mul(sub(add(hits, 1), y), sigmoid(x)), hits)
    return mul(weighted(slope, weight), spread_grad(grad, x, reduction))


def _logits_grad_y(grad: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    slope = neg(x)
    if pos_weight is not None:
        slope = sub(slope, mul(sub(pos_weight, 1), log_sigmoid(x)))
    return mul(weighted(slope, weight), spread_grad(grad, x, reduction))


binary_cross_entropy_with_logits: Composite = Composite(
    "binary_cross_entropy_with_logits",
    "x y weight pos_weight",
    "-weight * (pos_weight y log s + (1 - y) log(1 - s)) for s = sigmoid(x), without overflow",
    _bce_with_logits,
    saves="x y weight pos_weight",
    grads=(_logits_grad_x, _logits_grad_y, None, None),
    grad_name="BinaryCrossEntropyWithLogitsBackward0",
)


# --- divergence and margins -----------------------------------------------------------------


def x_log_x(x: Any) -> Any:
    """x log x, which is 0 at 0."""
    is_zero = eq(x, 0)
    return where(is_zero, 0.0, mul(x, log(where(is_zero, 1.0, x))))


def _kl_div(x: Any, y: Any, *, log_target: bool, reduction: str) -> Any:
    if log_target:
        return reduced(mul(exp(y), sub(y, x)), reduction)
    return reduced(sub(x_log_x(y), mul(y, x)), reduction)


def _kl_grad_x(grad: Any, x: Any, y: Any, log_target: bool, reduction: str) -> Any:
    return mul(neg(exp(y) if log_target else y), spread_grad(grad, x, reduction))


def _kl_grad_y(grad: Any, x: Any, y: Any, log_target: bool, reduction: str) -> Any:
    if log_target:
        slope = mul(exp(y), sub(add(y, 1), x))
    else:
        slope = sub(add(log(y), 1), x)
    return mul(slope, spread_grad(grad, x, reduction))


kl_div: Composite = Composite(
    "kl_div",
    "x y",
    "y (log y - x); with log_target e^y (y - x)",
    _kl_div,
    saves="x y",
    grads=(_kl_grad_x, _kl_grad_y),
    grad_name="MeanBackward0",
)


def _soft_margin(x: Any, y: Any, *, reduction: str) -> Any:
    return reduced(neg(log_sigmoid(mul(x, y))), reduction)


def _soft_margin_slope(grad: Any, x: Any, y: Any, reduction: str) -> Any:
    miss = sigmoid(neg(mul(x, y)))
    return mul(neg(miss), spread_grad(grad, x, reduction))


soft_margin_loss: Composite = Composite(
    "soft_margin_loss",
    "x y",
    "log(1 + e^(-x y))",
    _soft_margin,
    saves="x y",
    grads=(
        lambda grad, x, y, reduction: mul(_soft_margin_slope(grad, x, y, reduction), y),
        lambda grad, x, y, reduction: mul(_soft_margin_slope(grad, x, y, reduction), x),
    ),
    grad_name="SoftMarginLossBackward0",
)
