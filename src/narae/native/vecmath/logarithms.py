"""log, log1p and what is made of them: asinh, acosh, atanh.

    x = 2ᵏ (1 + f),  √½ <= 1 + f < √2
    log(x) = k log 2 + log(1 + f)

In float32 log(1 + f) = f - f²/2 + f³ L(f). In float64 such a polynomial would be long; with
s = f / (2 + f) the series of log(1 + f) = log((1 + s) / (1 - s)) needs half of the terms.
"""

import math

from .basic import sqrt
from .coefficients import LOG
from .lanes import SINGLE, Lanes, Table, fma, magnitude, polynomial, where, with_sign

ROOT_HALF = (0x3F3504F3, 0x3FE6A09E667F3BCD)  # the bits of √½


# log 2 as a sum of two numbers of which the first has few bits: k times it is exact.
LN2 = Table((0.693145751953125, 1.428606765330187e-6), (0.693147180559663, 2.8235290563031577e-13))


def exponent(x: Lanes) -> Lanes:
    """k, as an integer already shifted to the place of the exponent, for normal x > 0."""
    form = x.format
    low = ROOT_HALF[0] if form is SINGLE else ROOT_HALF[1]
    bits = x.bits()
    return (bits - low) >> form.fraction_bits << form.fraction_bits


def split(x: Lanes) -> tuple[Lanes, Lanes]:
    """1 + f and k, for x > 0 that is normal or denormal."""
    form = x.format
    lift = form.fraction_bits + 1
    small = x < form.least_normal
    x = where(small, x * 2.0**lift, x)
    shifted = exponent(x)
    k = (shifted >> form.fraction_bits).number(x) - where(small, x.constant(lift), 0.0)
    return (x.bits() - shifted).floats(x), k


def log_of_one_plus(f: Lanes, k: Lanes) -> Lanes:
    """k log 2 + log(1 + f)."""
    high, low = f.row(LN2)
    if f.format is SINGLE:
        square = f * f
        rest = fma(square * f, polynomial(f, LOG), fma(k, low, square * -0.5))
        return fma(k, high, f + rest)
    s = f / (f + 2.0)
    square = s * s
    half = f * f * 0.5
    rest = fma(s, fma(square, polynomial(square, LOG), half), k * low)
    return fma(k, high, f - (half - rest))


def _with_edges(x: Lanes, pole: float, inside: Lanes) -> Lanes:
    """The result inside; -inf at the pole, NaN below it, and infinity and NaN for themselves."""
    out = where(x < math.inf, inside, x)
    out = where(x < pole, math.nan, out)
    return where(x.equals(pole), -math.inf, out)


def log(x: Lanes) -> Lanes:
    """The natural logarithm.

    Largest error measured: 0.87 ulp in float32, 0.77 ulp in float64.
    """
    fraction, k = split(x)
    return _with_edges(x, 0.0, log_of_one_plus(fraction - 1.0, k))


def log1p(x: Lanes) -> Lanes:
    """log(1 + x) = k log 2 + log(1 + f) with f = 2⁻ᵏ x + (2⁻ᵏ - 1), rounded once.

    k may be as large as the largest exponent; so that 2⁻ᵏ is a normal number, it is taken fourfold.

    Largest error measured: 1.45 ulp in float32, 1.25 ulp in float64.
    """
    form = x.format
    shifted = exponent(x + 1.0)
    fourfold = (form.one + (2 << form.fraction_bits)) - shifted
    power = fourfold.floats(x)
    f = fma(x * power, 0.25, fma(power, 0.25, -1.0))
    k = (shifted >> form.fraction_bits).number(x)
    return with_sign(_with_edges(x, -1.0, log_of_one_plus(f, k)), x)


HUGE = (2.0**30, 2.0**60)  # beyond it asinh(x) = acosh(x) = log(2 x); the square must not overflow


def asinh(x: Lanes) -> Lanes:
    """log(x + √(x² + 1)), from |x| by log1p.

    Largest error measured: 1.77 ulp in float32, 1.75 ulp in float64.
    """
    size = magnitude(x)
    grown = size + size * size / (sqrt(fma(size, size, 1.0)) + 1.0)
    return with_sign(_log1p_or_double(size, grown), x)


def acosh(x: Lanes) -> Lanes:
    """log(x + √(x² - 1)), from x - 1 by log1p; NaN below 1.

    Largest error measured: 1.98 ulp in float32, 2.07 ulp in float64.
    """
    above = x - 1.0
    grown = above + sqrt(fma(above, above, above + above))
    return where(x >= 1.0, _log1p_or_double(x, grown), math.nan)


def _log1p_or_double(x: Lanes, grown: Lanes) -> Lanes:
    """log1p(grown), or log(2 x) for huge x."""
    huge = x > x.pick(*HUGE)
    plus = where(huge, x.constant(math.log(2)), 0.0)
    return log1p(where(huge, x, grown)) + plus


def atanh(x: Lanes) -> Lanes:
    """log((1 + x) / (1 - x)) / 2 by log1p; NaN beyond 1.

    Largest error measured: 2.08 ulp in float32, 1.92 ulp in float64.
    """
    size = magnitude(x)
    return with_sign(log1p((size + size) / (1.0 - size)) * 0.5, x)
