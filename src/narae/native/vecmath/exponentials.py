"""exp and what is made of it: expm1, sigmoid, tanh, sinh, cosh.

    x = n log 2 + r,  |r| <= log(2) / 2        n is the integer nearest to x / log 2
    exp(x) = 2ⁿ exp(r)                         exp(r) = 1 + r + r² E(r)

2ⁿ is made of its bits. Adding `magic` (1.5 · 2²³ or 1.5 · 2⁵²) rounds to an integer, which then is
in the lowest bits of the sum.
"""

from .coefficients import EXP
from .lanes import (
    DOUBLE,
    SINGLE,
    Lanes,
    Table,
    at_least,
    at_most,
    fma,
    magnitude,
    polynomial,
    where,
    with_sign,
)

LOG2_E = 1.4426950408889634
# log 2 as a sum of two numbers; x - n times the first is exact by fma.
LN2 = Table(
    (0.6931471824645996, -1.9046542121259336e-9), (0.6931471805599453, 2.3190468138462996e-17)
)


def reduce(x: Lanes) -> tuple[Lanes, Lanes]:
    """r, and n + magic, for x = n log 2 + r."""
    shifted = fma(x, LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, low = x.row(LN2)
    return fma(n, -low, fma(n, -high, x)), shifted


def power_of_two(shifted: Lanes, plus: int = 0) -> Lanes:
    """2 ** (n + plus) from n + magic, where that is a normal number."""
    form = shifted.format
    exponent = shifted.bits() << form.fraction_bits
    return (exponent + (form.one + (plus << form.fraction_bits))).floats(shifted)


def _power_of_difference(n: Lanes, m: Lanes) -> Lanes:
    """2 ** (n - m) from n + magic and m + magic, where that is a normal number."""
    form = n.format
    return (((n.bits() - m.bits()) << form.fraction_bits) + form.one).floats(n)


def scale(x: Lanes, shifted: Lanes) -> Lanes:
    """x · 2ⁿ in two steps, so that it may overflow, or vanish step by step, as it should."""
    form = x.format
    whole = shifted.bits() << form.fraction_bits
    half = (shifted.bits() >> 1) << form.fraction_bits
    return x * (half + form.one).floats(x) * (whole - half + form.one).floats(x)


def exp_near_zero(r: Lanes) -> Lanes:
    """exp(r) for |r| <= log(2) / 2; the rounding error of 1 + r is kept and added."""
    out = r + 1.0
    lost = r - (out - 1.0)
    return out + fma(r * r, polynomial(r, EXP), lost)


def _expm1_near_zero(r: Lanes) -> Lanes:
    """exp(r) - 1 for |r| <= log(2) / 2."""
    return fma(r * r, polynomial(r, EXP), r)


# Where results leave the range of numbers, and a little beyond: low and high.
EXP_LIMITS = Table((-104.0, 89.0), (-746.0, 710.0))
EXPM1_LIMITS = Table((-18.0, 89.0), (-38.0, 710.0))  # below the low one the result is -1
SINH_LIMITS = Table((-89.5, 89.5), (-710.5, 710.5))
SIGMOID_LIMITS = Table((-104.0, 87.0), (-746.0, 708.0))  # beyond the high one the result is 1
SIGMOID_POWER = (100.0 + SINGLE.magic, 1000.0 + DOUBLE.magic)  # for larger n, 2ⁿ is split in two
TANH_LIMIT = (10.0, 20.0)  # from where on tanh is 1
TINY = 2.0**-60  # below it expm1(x) = sinh(x) = x


def clipped(x: Lanes, limits: Table) -> Lanes:
    """x, or the nearest of the two limits."""
    low, high = x.row(limits)
    return at_least(at_most(x, high), low)


def exp(x: Lanes) -> Lanes:
    """eˣ.

    Largest error measured: 0.81 ulp in float32, 0.79 ulp in float64.
    """
    return _exp_of_clipped(clipped(x, EXP_LIMITS))


def _exp_of_clipped(x: Lanes) -> Lanes:
    r, shifted = reduce(x)
    return scale(exp_near_zero(r), shifted)


def exp_of_sum(high: Lanes, low: Lanes) -> Lanes:
    """exp(high + low), where low is so small that it is lost in the sum."""
    bounded = clipped(high, EXP_LIMITS)
    r, shifted = reduce(bounded)
    low = where(bounded.equals(high), low, 0.0)  # beyond the limits it may be infinite or NaN
    return scale(exp_near_zero(r + low), shifted)


def _scaled_expm1(x: Lanes, plus: int) -> Lanes:
    """(eˣ - 1) p with p = 2ᵖˡᵘˢ, for x already clipped: 2ⁿ p (r + r² E(r)) + (2ⁿ p - p).

    2ⁿ p r + (2ⁿ p - p) is exact for n = 0 and n = 1, where precision is scarce.
    """
    r, shifted = reduce(x)
    power = power_of_two(shifted, plus)
    linear = fma(power, r, power - 2.0**plus)
    return fma(power * r * r, polynomial(r, EXP), linear)


def expm1(x: Lanes) -> Lanes:
    """eˣ - 1, precise near zero too.

    Largest error measured: 1.29 ulp in float32, 1.46 ulp in float64.
    """
    half = _scaled_expm1(clipped(x, EXPM1_LIMITS), -1)
    return where(magnitude(x) < TINY, x, half + half)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + e⁻ˣ), where e⁻ˣ = p + p (exp(r) - 1) with p = 2ⁿ; far below 0 it is scaled.

    1 + p is exact for p <= 1; for larger p, 1 is added to what is not a power of two.

    Largest error measured: 1.75 ulp in float32, 1.72 ulp in float64.
    """
    bounded = clipped(x, SIGMOID_LIMITS)
    shifted = fma(bounded, -LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, low = x.row(LN2)
    more = _expm1_near_zero(fma(n, -low, fma(n, -high, -bounded)))
    most = at_most(shifted, x.pick(*SIGMOID_POWER))
    p = power_of_two(most)
    is_large = p > 1.0
    below = fma(p, more, where(is_large, 1.0, p + 1.0)) + where(is_large, p, 0.0)
    return 1.0 / below * _power_of_difference(most, shifted)


def tanh(x: Lanes) -> Lanes:
    """(1 - z) / (1 + z) with z = exp(-2 |x|); in float64 h / (1 + h) with h = (exp(2 |x|) - 1) / 2.

    Largest error measured: 1.97 ulp in float32, 1.74 ulp in float64.
    """
    return _precise_tanh(x) if x.format is DOUBLE else _quick_tanh(x)


def _quick_tanh(x: Lanes) -> Lanes:
    """With z = p + p (exp(r) - 1) and p = 2ⁿ, 1 - p and 1 + p are exact as long as z matters.

    For n = 0, 1 - z is -(exp(r) - 1), precisely.
    """
    size = at_most(magnitude(x), x.pick(*TANH_LIMIT))
    double = size + size
    shifted = fma(double, -LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, _ = x.row(LN2)  # n is so small that the low part of log 2 is lost
    more = _expm1_near_zero(fma(n, -high, -double))
    p = power_of_two(shifted)
    return with_sign(fma(p, -more, 1.0 - p) / fma(p, more, p + 1.0), x)


def _precise_tanh(x: Lanes) -> Lanes:
    """h / (1 + h), where 1 + h = below + lost: what the quotient leaves of h is divided as well.

    For that 1 / (1 + h) = 1 - h / (1 + h) is precise enough.
    """
    size = at_most(magnitude(x), x.pick(*TANH_LIMIT))
    half = _scaled_expm1(size + size, -1)
    below = half + 1.0
    lost = where(half < 2.0**20, half - (below - 1.0), 0.0)  # not exact for huge h
    out = half / below
    left = fma(-out, lost, fma(-out, below, half))
    return with_sign(fma(left, 1.0 - out, out), x)


def sinh(x: Lanes) -> Lanes:
    """(u + u / (u + 1)) / 2 with u = exp(|x|) - 1.

    Largest error measured: 2.16 ulp in float32, 2.37 ulp in float64.
    """
    _, high = x.row(SINH_LIMITS)
    quarter = _scaled_expm1(at_most(magnitude(x), high), -2)
    half = quarter + quarter / fma(quarter, 4.0, 1.0)
    return where(magnitude(x) < TINY, x, with_sign(half + half, x))


def cosh(x: Lanes) -> Lanes:
    """h + 1 / (4 h) with h = exp(|x|) / 2.

    Largest error measured: 1.23 ulp in float32, 1.20 ulp in float64.
    """
    _, high = x.row(SINH_LIMITS)
    r, shifted = reduce(at_most(magnitude(x), high))
    quarter = exp_near_zero(r) * power_of_two(shifted, -2)
    half = quarter + quarter
    return half + 0.25 / half
