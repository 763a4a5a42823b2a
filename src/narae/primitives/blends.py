"""Element-wise functions composed of primitives: limits, mixtures, powers of two, logarithms."""

import math
from typing import Any

from .composite import Composite
from .elementwise import (
    abs_,
    add,
    and_,
    cos,
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
    ne,
    neg,
    or_,
    sin,
    sqrt,
    sub,
    where,
)
from .record import Rule, is_number

LN2, LN10 = math.log(2), math.log(10)


def _unary(name: str, formula: str, decompose: Rule, grad: Rule, saves: str, **more: Any) -> Any:
    return Composite(name, "x", formula, decompose, saves=saves, grads=(grad,), **more)


def _binary(name: str, formula: str, decompose: Rule, grads: Any, saves: str) -> Composite:
    return Composite(name, "x y", formula, decompose, saves=saves, grads=grads, broadcasts=True)


# --- exponentials and logarithms of other bases ----------------------------------------------

exp2 = _unary(
    "exp2",
    "2 ** x",
    lambda x: exp(mul(x, LN2)),
    lambda grad, out: mul(mul(grad, out), LN2),
    "out",
    grad_name="Exp2Backward0",
)
log2 = _unary(
    "log2",
    "log(x) / log(2)",
    lambda x: mul(log(x), 1 / LN2),
    lambda grad, x: div(grad, mul(x, LN2)),
    "x",
    grad_name="Log2Backward0",
)
log10 = _unary(
    "log10",
    "log(x) / log(10)",
    lambda x: mul(log(x), 1 / LN10),
    lambda grad, x: div(grad, mul(x, LN10)),
    "x",
    grad_name="Log10Backward0",
)
reciprocal = _unary(
    "reciprocal",
    "1 / x",
    lambda x: div(1, x),
    lambda grad, out: neg(mul(grad, mul(out, out))),
    "out",
)


def _logit_grad(grad: Any, x: Any, eps: float | None) -> Any:
    slope = div(grad, mul(x, sub(1, x)))
    if eps is None:
        return slope
    inside = and_(le(eps, x), le(x, 1 - eps))
    return where(inside, slope, 0.0)


def _logit(x: Any, *, eps: float | None) -> Any:
    z = x if eps is None else minimum(maximum(x, eps), 1 - eps)
    return log(div(z, sub(1, z)))


logit = _unary("logit", "log(x / (1 - x)), x within eps of 0 and 1", _logit, _logit_grad, "x")


def _sinc(x: Any) -> Any:
    angle = mul(x, math.pi)
    at_zero = eq(x, 0)
    return where(at_zero, 1.0, div(sin(angle), where(at_zero, 1.0, angle)))


def _sinc_grad(grad: Any, x: Any) -> Any:
    angle = mul(x, math.pi)
    at_zero = eq(x, 0)
    safe = where(at_zero, 1.0, mul(angle, x))
    slope = div(sub(mul(cos(angle), angle), sin(angle)), safe)
    return where(at_zero, 0.0, mul(grad, slope))


sinc = _unary("sinc", "sin(pi x) / (pi x); 1 at 0", _sinc, _sinc_grad, "x")

# --- limits ----------------------------------------------------------------------------------


def _clamp(x: Any, low: Any, high: Any) -> Any:
    out = x if low is None else maximum(x, low)
    return out if high is None else minimum(out, high)


def _clamp_grad_x(grad: Any, x: Any, low: Any, high: Any) -> Any:
    above = None if low is None else le(low, x)
    below = None if high is None else le(x, high)
    inside = below if above is None else above if below is None else and_(above, below)
    return where(inside, grad, 0.0)


def _clamp_grad_low(grad: Any, x: Any, low: Any, high: Any) -> Any:
    chosen = lt(x, low)
    if high is not None:
        chosen = and_(chosen, lt(low, high))
    return where(chosen, grad, 0.0)


def _clamp_grad_high(grad: Any, x: Any, low: Any, high: Any) -> Any:
    chosen = lt(high, x)
    if low is not None:
        chosen = or_(chosen, lt(high, low))
    return where(chosen, grad, 0.0)


clamp: Composite = Composite(
    "clamp",
    "x low high",
    "min(max(x, low), high); a missing limit does not limit",
    _clamp,
    saves="x low high",
    grads=(_clamp_grad_x, _clamp_grad_low, _clamp_grad_high),
    broadcasts=True,
    grad_name="ClampBackward1",
)


def _nan_to_num(x: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    out = where(ne(x, x), nan, x)
    out = where(eq(out, math.inf), posinf, out)
    return where(eq(out, -math.inf), neginf, out)


nan_to_num = _unary(
    "nan_to_num",
    "x with other numbers in place of NaN and infinities",
    _nan_to_num,
    lambda grad, x, **_: where(lt(abs_(x), math.inf), grad, 0.0),
    "x",
)

masked_fill: Composite = Composite(
    "masked_fill",
    "x mask value",
    "value where the mask holds, x elsewhere",
    lambda x, mask, value: where(mask, value, x),
    saves="mask",
    grads=(
        lambda grad, mask: where(mask, 0.0, grad),
        None,
        lambda grad, mask: where(mask, grad, 0.0),
    ),
    broadcasts=True,
)

# --- mixtures --------------------------------------------------------------------------------


def _lerp(x: Any, y: Any, weight: Any) -> Any:
    """Counted from the nearer end, so that weight 1 gives y exactly."""
    span = sub(y, x)
    if is_number(weight):
        return add(x, mul(span, weight)) if weight < 0.5 else sub(y, mul(span, 1 - weight))
    from_y = sub(y, mul(span, sub(1, weight)))
    return where(lt(abs_(weight), 0.5), add(x, mul(span, weight)), from_y)


lerp: Composite = Composite(
    "lerp",
    "x y weight",
    "x + weight * (y - x)",
    _lerp,
    saves="x y weight",
    grads=(
        lambda grad, x, y, weight: mul(grad, 1 - weight if is_number(weight) else sub(1, weight)),
        lambda grad, x, y, weight: mul(grad, weight),
        lambda grad, x, y, weight: mul(grad, sub(y, x)),
    ),
    broadcasts=True,
)

addcmul: Composite = Composite(
    "addcmul",
    "x y z",
    "x + value * y * z",
    lambda x, y, z, *, value: add(x, mul(mul(y, z), value)),
    saves="y z",
    grads=(
        lambda grad, y, z, value: grad,
        lambda grad, y, z, value: mul(grad, mul(z, value)),
        lambda grad, y, z, value: mul(grad, mul(y, value)),
    ),
    broadcasts=True,
)
addcdiv: Composite = Composite(
    "addcdiv",
    "x y z",
    "x + value * y / z",
    lambda x, y, z, *, value: add(x, mul(div(y, z), value)),
    saves="y z",
    grads=(
        lambda grad, y, z, value: grad,
        lambda grad, y, z, value: mul(grad, div(value, z)),
        lambda grad, y, z, value: neg(mul(grad, div(mul(div(y, z), value), z))),
    ),
    broadcasts=True,
)

hypot = _binary(
    "hypot",
    "sqrt(x ** 2 + y ** 2)",
    lambda x, y: sqrt(add(mul(x, x), mul(y, y))),
    (
        lambda grad, x, y, out: mul(grad, div(x, out)),
        lambda grad, x, y, out: mul(grad, div(y, out)),
    ),
    "x y out",
)


def _logaddexp(x: Any, y: Any) -> Any:
    far = add(maximum(x, y), log1p(exp(neg(abs_(sub(x, y))))))
    return where(eq(x, y), add(x, LN2), far)


logaddexp = _binary(
    "logaddexp",
    "log(exp(x) + exp(y))",
    _logaddexp,
    (
        lambda grad, x, y: div(grad, add(exp(sub(y, x)), 1)),
        lambda grad, x, y: div(grad, add(exp(sub(x, y)), 1)),
    ),
    "x y",
)


def _logaddexp2(x: Any, y: Any) -> Any:
    far = add(maximum(x, y), mul(log1p(exp2(neg(abs_(sub(x, y))))), 1 / LN2))
    return where(eq(x, y), add(x, 1.0), far)


logaddexp2 = _binary(
    "logaddexp2",
    "log2(2 ** x + 2 ** y)",
    _logaddexp2,
    (
        lambda grad, x, y: div(grad, add(exp2(sub(y, x)), 1)),
        lambda grad, x, y: div(grad, add(exp2(sub(x, y)), 1)),
    ),
    "x y",
)


def _copysign(x: Any, y: Any) -> Any:
    negative = or_(lt(y, 0), and_(eq(y, 0), lt(div(1, y), 0)))
    size = abs_(x)
    return where(negative, neg(size), size)


def _copysign_grad(grad: Any, x: Any, y: Any, out: Any) -> Any:
    at_zero = eq(x, 0)
    return where(at_zero, 0.0, mul(grad, div(out, where(at_zero, 1.0, x))))


copysign = _binary(
    "copysign",
    "|x| with the sign of y, that of zero included",
    _copysign,
    (_copysign_grad, lambda grad, x, y, out: mul(grad, 0)),
    "x y out",
)


def _xlogy(x: Any, y: Any) -> Any:
    usual = mul(x, log(y))
    zero = and_(eq(x, 0), eq(y, y))
    return where(zero, 0.0, usual)


def _xlogy_grad(grad: Any, x: Any, y: Any) -> Any:
    return where(and_(eq(x, 0), le(y, 0)), 0.0, mul(grad, log(y)))


xlogy = _binary(
    "xlogy",
    "x log(y); 0 where x is 0",
    _xlogy,
    (_xlogy_grad, lambda grad, x, y: mul(grad, div(x, y))),
    "x y",
)


def _pick(x: Any, y: Any, wanted: Any) -> Any:
    return where(or_(wanted, ne(y, y)), x, y)


fmax = _binary(
    "fmax",
    "the larger; a number wins over NaN",
    lambda x, y: _pick(x, y, le(y, x)),
    (
        lambda grad, x, y: where(or_(le(y, x), ne(y, y)), grad, 0.0),
        lambda grad, x, y: where(or_(le(y, x), ne(y, y)), 0.0, grad),
    ),
    "x y",
)
fmin = _binary(
    "fmin",
    "the smaller; a number wins over NaN",
    lambda x, y: _pick(x, y, le(x, y)),
    (
        lambda grad, x, y: where(or_(le(x, y), ne(y, y)), grad, 0.0),
        lambda grad, x, y: where(or_(le(x, y), ne(y, y)), 0.0, grad),
    ),
    "x y",
)
