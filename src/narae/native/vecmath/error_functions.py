"""The error function, its complement and its inverse."""

import math

from .basic import sqrt
from .coefficients import (
    ERF_FAR,
    ERF_NEAR,
    ERFC,
    ERFINV_FAR,
    ERFINV_NEAR,
    ERFINV_TAIL,
)
from .exponentials import exp, exp_of_sum
from .lanes import SINGLE, Lanes, at_most, fma, magnitude, polynomial, where, with_sign
from .logarithms import log_of_one_plus, split

NEAR = (0.9, 1.0)  # where erf changes its formula
START = 0.8999  # the centre of erf's second polynomial in float32
ONE = (3.93, 5.95)  # from where on erf is 1
ZERO = (10.2, 27.4)  # from where on erfc is 0


def _erf_near(x: Lanes) -> Lanes:
    """x + x N(x²) for |x| <= 0.9."""
    return fma(x, polynomial(x * x, ERF_NEAR), x)


def erf(x: Lanes) -> Lanes:
    """x + x N(x²) near zero; beyond, 1 - F(|x| - 0.8999)⁴ in float32, 1 - exp(F(|x|)) in float64.

    The fourth root of 1 - erf is so smooth that a short polynomial is enough.

    Largest error measured: 1.60 ulp in float32, 0.90 ulp in float64.
    """
    size = at_most(magnitude(x), x.pick(*ONE))
    if x.format is SINGLE:
        root = polynomial(size - START, ERF_FAR)
        root = root * root
        far = 1.0 - root * root
    else:
        far = 1.0 - exp(polynomial(size, ERF_FAR))
    return where(size < x.pick(*NEAR), _erf_near(x), with_sign(far, x))


def erfc(x: Lanes) -> Lanes:
    """1 - erf(x) near zero; beyond, exp(-x²) E(t) / (1 + 2 |x|) with t = (|x| - 4) / (|x| + 4).

    For x < 0 it is 2 minus that. A rounding error of x² would be multiplied by the exponential, so
    it is taken into account.

    Largest error measured: 3.80 ulp in float32, 2.60 ulp in float64.
    """
    size = at_most(magnitude(x), x.pick(*ZERO))
    t = (size - 4.0) / (size + 4.0)
    scaled = polynomial(t, ERFC) / fma(size, 2.0, 1.0)
    square = size * size
    lost = fma(size, size, -square)
    tail = scaled * exp_of_sum(-square, -lost)
    far = where(x < 0, 2.0 - tail, tail)
    return where(size < 0.5, 1.0 - _erf_near(x), far)


def erfinv(x: Lanes) -> Lanes:
    """x P(w) with w = -log(1 - x²); a polynomial of w, or beyond w = 5 of √w. NaN beyond 1.

    Largest error measured: 2.50 ulp in float32, 3.10 ulp in float64.
    """
    w = -log_of_one_plus(*_one_minus_square(x))
    root = sqrt(w)
    out = polynomial(root - 3.0, ERFINV_FAR)
    if x.format is not SINGLE:  # only float64 comes so close to 1
        out = where(root > 3.75, polynomial(root - 4.9, ERFINV_TAIL), out)
    out = x * where(w < 5.0, polynomial(w - 2.5, ERFINV_NEAR), out)
    edge = where(magnitude(x).equals(1.0), x * math.inf, math.nan)
    return where(magnitude(x) < 1.0, out, edge)


def _one_minus_square(x: Lanes) -> tuple[Lanes, Lanes]:
    """f and k for (1 - x)(1 + x) = 2ᵏ (1 + f)."""
    fraction, k = split(fma(-x, x, 1.0))
    return fraction - 1.0, k
