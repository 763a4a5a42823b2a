"""Element by element: unary and binary functions, selection, conversion."""

import math
from typing import Any

from .record import (
    Primitive,
    Rule,
    bool_dtype,
    broadcast_shape,
    is_number,
    same_dtype,
    same_shape,
)


def unary(name: str, formula: str, grad: Rule | None, saves: str = "", **more: Any) -> Primitive:
    """A function of one operand, applied to each element."""
    grads = None if grad is None else (grad,)
    return Primitive(
        name,
        "elementwise",
        "x",
        formula,
        shape=same_shape,
        dtype=same_dtype,
        saves=saves,
        grads=grads,
        **more,
    )


def binary(
    name: str,
    formula: str,
    grads: tuple[Rule | None, Rule | None] | None,
    saves: str = "",
    dtype: Rule = same_dtype,
    **more: Any,
) -> Primitive:
    """A function of two operands that broadcast against each other."""
    return Primitive(
        name,
        "elementwise",
        "x y",
        formula,
        shape=broadcast_shape,
        dtype=dtype,
        saves=saves,
        grads=grads,
        broadcasts=True,
        **more,
    )


def zero_grad(grad: Any) -> Any:
    """The gradient of a piecewise constant function."""
    return mul(grad, 0)


# --- arithmetic -----------------------------------------------------------------------------

add: Primitive = binary("add", "x + y", (lambda grad: grad, lambda grad: grad))
sub: Primitive = binary("sub", "x - y", (lambda grad: grad, lambda grad: neg(grad)))
mul: Primitive = binary(
    "mul", "x * y", (lambda grad, x, y: mul(grad, y), lambda grad, x, y: mul(grad, x)), "x y"
)
div: Primitive = binary(
    "div",
    "x / y",
    (lambda grad, x, y: div(grad, y), lambda grad, x, y: neg(mul(grad, div(div(x, y), y)))),
    "x y",
)
neg: Primitive = unary("neg", "-x", lambda grad: neg(grad))
abs_: Primitive = unary("abs", "|x|", lambda grad, x: mul(grad, sign(x)), "x")
sign: Primitive = unary("sign", "-1, 0 or 1", zero_grad, grad_name="SignBackward0")


def _pow_grad_x(grad: Any, x: Any, y: Any, out: Any) -> Any:
    if is_number(y):
        if y == 0:
            return mul(grad, 0)
        return (
            mul(grad, x if y == 2 else pow_(x, y - 1))
            if y == 1
            else mul(mul(grad, y), x if y == 2 else pow_(x, y - 1))
        )
    slope = mul(y, pow_(x, sub(y, 1)))
    return where(eq(y, 0), 0.0, mul(grad, slope))


def _pow_grad_y(grad: Any, x: Any, y: Any, out: Any) -> Any:
    if is_number(x):
        if x == 0:
            return where(le(0, y), 0.0, mul(mul(grad, out), -math.inf))
        return mul(mul(grad, out), math.log(x) if x > 0 else math.nan)
    grad_y = mul(grad, mul(out, log(x)))
    return where(and_(eq(x, 0), le(0, y)), 0.0, grad_y)


pow_: Primitive = binary("pow", "x ** y", (_pow_grad_x, _pow_grad_y), "x y out")
remainder: Primitive = binary(
    "remainder",
    "x - y * floor(x / y)",
    (lambda grad, x, y: grad, lambda grad, x, y: neg(mul(grad, floor_divide(x, y)))),
    "x y",
)
fmod: Primitive = binary(
    "fmod",
    "x - y * trunc(x / y)",
    (lambda grad, x, y: grad, lambda grad, x, y: neg(mul(grad, trunc(div(x, y))))),
    "x y",
)
floor_divide: Primitive = binary(
    "floor_divide", "floor(x / y)", (zero_grad, zero_grad), grad_name="DivBackward1"
)


def _share(grad: Any, x: Any, y: Any, loses: Any) -> Any:
    """All of the gradient to the one that won, half of it on a tie (as PyTorch does)."""
    return where(loses, 0.0, where(eq(x, y), mul(grad, 0.5), grad))


maximum: Primitive = binary(
    "maximum",
    "the larger; NaN wins",
    (
        lambda grad, x, y: _share(grad, x, y, lt(x, y)),
        lambda grad, x, y: _share(grad, x, y, lt(y, x)),
    ),
    "x y",
)
minimum: Primitive = binary(
    "minimum",
    "the smaller; NaN wins",
    (
        lambda grad, x, y: _share(grad, x, y, lt(y, x)),
        lambda grad, x, y: _share(grad, x, y, lt(x, y)),
    ),
    "x y",
)

# --- rounding -------------------------------------------------------------------------------

floor: Primitive = unary("floor", "the largest integer not above x", zero_grad)
ceil: Primitive = unary("ceil", "the smallest integer not below x", zero_grad)
round_: Primitive = unary("round", "the nearest integer, ties to even", zero_grad)
trunc: Primitive = unary("trunc", "x without its fraction", zero_grad)

# --- exponentials and roots -----------------------------------------------------------------

exp: Primitive = unary("exp", "e ** x", lambda grad, out: mul(grad, out), "out")
expm1: Primitive = unary("expm1", "e ** x - 1", lambda grad, out: mul(grad, add(out, 1)), "out")
log: Primitive = unary("log", "natural logarithm", lambda grad, x: div(grad, x), "x")
log1p: Primitive = unary("log1p", "log(1 + x)", lambda grad, x: div(grad, add(x, 1)), "x")
sqrt: Primitive = unary("sqrt", "x ** 0.5", lambda grad, out: div(grad, mul(out, 2)), "out")
rsqrt: Primitive = unary(
    "rsqrt", "x ** -0.5", lambda grad, out: mul(mul(grad, -0.5), mul(mul(out, out), out)), "out"
)
sigmoid: Primitive = unary(
    "sigmoid",
    "1 / (1 + e ** -x)",
    lambda grad, out: mul(grad, mul(sub(1, out), out)),
    "out",
)

# --- trigonometry ---------------------------------------------------------------------------

sin: Primitive = unary("sin", "sine", lambda grad, x: mul(grad, cos(x)), "x")
cos: Primitive = unary("cos", "cosine", lambda grad, x: neg(mul(grad, sin(x))), "x")
tan: Primitive = unary("tan", "tangent", lambda grad, out: mul(grad, add(mul(out, out), 1)), "out")
asin: Primitive = unary("asin", "arcsine", lambda grad, x: mul(grad, rsqrt(sub(1, mul(x, x)))), "x")
acos: Primitive = unary(
    "acos", "arccosine", lambda grad, x: neg(mul(grad, rsqrt(sub(1, mul(x, x))))), "x"
)
atan: Primitive = unary("atan", "arctangent", lambda grad, x: div(grad, add(mul(x, x), 1)), "x")
sinh: Primitive = unary("sinh", "hyperbolic sine", lambda grad, x: mul(grad, cosh(x)), "x")
cosh: Primitive = unary("cosh", "hyperbolic cosine", lambda grad, x: mul(grad, sinh(x)), "x")
tanh: Primitive = unary(
    "tanh", "hyperbolic tangent", lambda grad, out: mul(grad, sub(1, mul(out, out))), "out"
)
asinh: Primitive = unary(
    "asinh", "inverse of sinh", lambda grad, x: mul(grad, rsqrt(add(mul(x, x), 1))), "x"
)
acosh: Primitive = unary(
    "acosh", "inverse of cosh", lambda grad, x: mul(grad, rsqrt(sub(mul(x, x), 1))), "x"
)
atanh: Primitive = unary(
    "atanh", "inverse of tanh", lambda grad, x: div(grad, sub(1, mul(x, x))), "x"
)
atan2: Primitive = binary(
    "atan2",
    "the angle of the point (y, x)",
    (
        lambda grad, x, y: mul(grad, div(y, add(mul(x, x), mul(y, y)))),
        lambda grad, x, y: neg(mul(grad, div(x, add(mul(x, x), mul(y, y))))),
    ),
    "x y",
)

# --- special functions ----------------------------------------------------------------------

erf: Primitive = unary(
    "erf",
    "error function",
    lambda grad, x: mul(mul(grad, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x)))),
    "x",
)
erfc: Primitive = unary(
    "erfc",
    "1 - erf(x)",
    lambda grad, x: mul(mul(grad, -2 / math.sqrt(math.pi)), exp(neg(mul(x, x)))),
    "x",
)
erfinv: Primitive = unary(
    "erfinv",
    "inverse of erf",
    lambda grad, out: mul(mul(grad, math.sqrt(math.pi) / 2), exp(mul(out, out))),
    "out",
)
lgamma: Primitive = unary("lgamma", "log |gamma(x)|", lambda grad, x: mul(grad, digamma(x)), "x")
digamma: Primitive = unary(
    "digamma", "derivative of lgamma", lambda grad, x: mul(grad, polygamma(x, order=1)), "x"
)
polygamma: Primitive = unary(
    "polygamma",
    "the derivative of order `order` of digamma",
    lambda grad, x, order: mul(grad, polygamma(x, order=order + 1)),
    "x",
)

# --- comparison, logic, bits ----------------------------------------------------------------

eq: Primitive = binary("eq", "x == y", None, dtype=bool_dtype)
ne: Primitive = binary("ne", "x != y", None, dtype=bool_dtype)
lt: Primitive = binary("lt", "x < y", None, dtype=bool_dtype)
le: Primitive = binary("le", "x <= y", None, dtype=bool_dtype)
and_: Primitive = binary("and", "bits of both", None)
or_: Primitive = binary("or", "bits of either", None)
xor: Primitive = binary("xor", "bits that differ", None)
not_: Primitive = unary("not", "inverted bits; `not` for bool", None)
shift_left: Primitive = binary("shift_left", "x * 2 ** y", None)
shift_right: Primitive = binary("shift_right", "floor(x / 2 ** y)", None)

# --- selection and conversion ---------------------------------------------------------------


def _where_dtype(condition: Any, x: Any, y: Any) -> Any:
    return same_dtype(x, y)


where: Primitive = Primitive(
    "where",
    "elementwise",
    "condition x y",
    "x where the condition holds, y elsewhere",
    shape=broadcast_shape,
    dtype=_where_dtype,
    saves="condition",
    grads=(
        None,
        lambda grad, condition: where(condition, grad, 0.0),
        lambda grad, condition: where(condition, 0.0, grad),
    ),
    broadcasts=True,
)

cast: Primitive = Primitive(
    "cast",
    "elementwise",
    "x",
    "x in another dtype",
    shape=same_shape,
    dtype=lambda x, *, dtype: dtype,
    saves="x.dtype",
    grads=(lambda grad, x_dtype, dtype: cast(grad, dtype=x_dtype),),
    grad_name="ToCopyBackward0",
)

copy: Primitive = unary(
    "copy", "x in storage of its own", lambda grad: grad, grad_name="CloneBackward0"
)

detach: Primitive = unary(
    "detach", "x, through which no gradient flows", None, unview=lambda x, y: y
)
