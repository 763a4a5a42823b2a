"""Special functions with derivatives: error functions, normal distribution, Bessel, gamma, zeta.

Formulas: NIST Digital Library of Mathematical Functions, chapters 7, 8, 10 and 25.
"""

import math
from typing import Any

from .composite import Composite
from .elementwise import (
    add,
    and_,
    binary,
    digamma,
    div,
    eq,
    erfc,
    exp,
    le,
    lgamma,
    log,
    log1p,
    lt,
    mul,
    neg,
    sign,
    sub,
    unary,
    where,
)
from .record import Primitive

# --- error functions and the normal distribution ---------------------------------------------

erfcx: Primitive = unary(
    "erfcx",
    "exp(x^2) erfc(x)",
    lambda grad, x, out: mul(grad, sub(mul(mul(x, out), 2), 2 / math.sqrt(math.pi))),
    "x out",
    grad_name="SpecialErfcxBackward0",
)
ndtr = Composite(
    "ndtr",
    "x",
    "the probability that a standard normal falls below x",
    lambda x: mul(erfc(mul(x, -math.sqrt(0.5))), 0.5),
    saves="x",
    grads=(lambda grad, x: mul(mul(grad, 1 / math.sqrt(2 * math.pi)), exp(mul(mul(x, x), -0.5))),),
)
log_ndtr: Primitive = unary(
    "log_ndtr",
    "log(ndtr(x))",
    lambda grad, x: mul(div(grad, erfcx(mul(x, -math.sqrt(0.5)))), math.sqrt(2 / math.pi)),
    "x",
    grad_name="SpecialLogNdtrBackward0",
)
ndtri: Primitive = unary(
    "ndtri",
    "inverse of ndtr",
    lambda grad, out: mul(mul(grad, math.sqrt(2 * math.pi)), exp(mul(mul(out, out), 0.5))),
    "out",
    grad_name="SpecialNdtriBackward0",
)

# --- modified Bessel functions ---------------------------------------------------------------


def _i1_grad(grad: Any, x: Any, out: Any) -> Any:
    """i0(x) - i1(x) / x, which is 1/2 at zero."""
    at_zero = eq(x, 0)
    safe = where(at_zero, 1.0, x)
    return mul(grad, where(at_zero, 0.5, sub(i0(x), div(out, safe))))


def _i1e_grad(grad: Any, x: Any, out: Any) -> Any:
    """i0e(x) - i1e(x) (sign(x) + 1 / x), which is 1/2 at zero."""
    at_zero = eq(x, 0)
    falls = mul(out, add(sign(x), div(1, where(at_zero, 1.0, x))))
    return mul(grad, where(at_zero, 0.5, sub(i0e(x), falls)))


i0: Primitive = unary(
    "i0",
    "modified Bessel function of the first kind, order 0",
    lambda grad, x: mul(grad, i1(x)),
    "x",
)
i0e: Primitive = unary(
    "i0e",
    "exp(-|x|) i0(x)",
    lambda grad, x, out: mul(grad, sub(i1e(x), mul(sign(x), out))),
    "x out",
    grad_name="SpecialI0EBackward0",
)
i1: Primitive = unary(
    "i1",
    "modified Bessel function of the first kind, order 1",
    _i1_grad,
    "x out",
    grad_name="SpecialI1Backward0",
)
i1e: Primitive = unary(
    "i1e", "exp(-|x|) i1(x)", _i1e_grad, "x out", grad_name="SpecialI1EBackward0"
)

# --- entropy and its kin ---------------------------------------------------------------------


def _entr(x: Any) -> Any:
    usual = neg(mul(x, log(x)))
    out = where(eq(x, 0), 0.0, usual)
    return where(lt(x, 0), -math.inf, out)


def _xlog1py(x: Any, y: Any) -> Any:
    usual = mul(x, log1p(y))
    return where(and_(eq(x, 0), eq(y, y)), 0.0, usual)


entr = Composite(
    "entr",
    "x",
    "-x log(x); 0 at 0, -inf below",
    _entr,
    saves="x",
    grads=(lambda grad, x: mul(grad, sub(neg(log(x)), 1)),),
    grad_name="SpecialEntrBackward0",
)
xlog1py = Composite(
    "xlog1py",
    "x y",
    "x log(1 + y); 0 where x is 0",
    _xlog1py,
    saves="x y",
    grads=(
        lambda grad, x, y: where(and_(eq(x, 0), le(y, -1)), 0.0, mul(grad, log1p(y))),
        lambda grad, x, y: div(mul(grad, x), add(y, 1)),
    ),
    broadcasts=True,
    grad_name="SpecialXlog1PyBackward0",
)

# --- gamma and zeta --------------------------------------------------------------------------


def _gamma_density(x: Any, y: Any) -> Any:
    """y^(x - 1) exp(-y) / Gamma(x)."""
    return exp(sub(sub(mul(sub(x, 1), log(y)), y), lgamma(x)))


igamma: Primitive = binary(
    "igamma",
    "integral of t^(x - 1) exp(-t) from 0 to y, divided by Gamma(x)",
    (None, lambda grad, x, y: mul(grad, _gamma_density(x, y))),
    "x y",
)
igammac: Primitive = binary(
    "igammac",
    "1 - igamma(x, y)",
    (None, lambda grad, x, y: neg(mul(grad, _gamma_density(x, y)))),
    "x y",
)
zeta: Primitive = binary(
    "zeta",
    "Hurwitz zeta: sum over k >= 0 of 1 / (k + y)^x",
    (None, lambda grad, x, y: neg(mul(grad, mul(x, zeta(add(x, 1), y))))),
    "x y",
    grad_name="SpecialZetaBackward0",
)


def _mvlgamma(x: Any, *, order: int) -> Any:
    total = lgamma(x)
    for j in range(1, order):
        total = add(total, lgamma(sub(x, j / 2)))
    return add(total, order * (order - 1) / 4 * math.log(math.pi))


def _mvlgamma_grad(grad: Any, x: Any, order: int) -> Any:
    slope = digamma(x)
    for j in range(1, order):
        slope = add(slope, digamma(sub(x, j / 2)))
    return mul(grad, slope)


mvlgamma = Composite(
    "mvlgamma",
    "x",
    "order (order - 1) / 4 log(pi) + sum over j < order of lgamma(x - j / 2)",
    _mvlgamma,
    saves="x",
    grads=(_mvlgamma_grad,),
)
