"""x ** y, by a logarithm in twice the precision.

An error of log(x) is multiplied by y log(x), which may be as large as the largest exponent; so the
logarithm is the unevaluated sum of two numbers, high + low.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .basic import trunc
from .coefficients import LOG_TAIL
from .exponentials import exp_of_sum
from .lanes import Lanes, Table, fma, magnitude, polynomial, where
from .logarithms import LN2, split

TWO_THIRDS = Table(
    (0.6666666865348816, -1.9868215517249155e-8), (0.6666666666666666, 3.700743415417188e-17)
)


class Pair(NamedTuple):
    """The unevaluated sum of two numbers, of which the second is a rounding error of the first."""

    high: Lanes
    low: Lanes

    def __add__(self, other: Pair) -> Pair:  # type: ignore[override]
        """Their sum; the first must be the larger, or both of one sign."""
        high = self.high + other.high
        return Pair(high, (self.high - high + other.high) + other.low + self.low)

    def times(self, other: Pair) -> Pair:
        """Their product."""
        high = self.high * other.high
        low = fma(self.high, other.high, -high)
        low = fma(self.high, other.low, low)
        return Pair(high, fma(self.low, other.high, low))

    def settled(self) -> Pair:
        """The same sum, with the second number as small as it can be."""
        high = self.high + self.low
        return Pair(high, self.high - high + self.low)


def _precise_log(x: Lanes) -> Pair:
    """log(x) for 0 < x < inf: k log 2 + 2 s + s³ (2/3 + s² T(s²)) with s = f / (2 + f)."""
    fraction, k = split(x)
    f, below = fraction - 1.0, fraction + 1.0
    below_low = fraction - (below - 1.0)
    inverse = 1.0 / below
    quotient = f * inverse
    left = fma(-quotient, below_low, fma(-quotient, below, f))
    s = Pair(quotient, left * inverse)
    square = s.times(s)
    tail = polynomial(square.high, LOG_TAIL) * square.high
    third, third_low = x.row(TWO_THIRDS)
    factor = Pair(x.constant(third), x.constant(third_low)) + Pair(tail, x.constant(0.0))
    cubic = square.times(s).times(factor)
    log = Pair(s.high + s.high, s.low + s.low) + cubic
    high, low = x.row(LN2)
    return (Pair(k * high, k * low) + log).settled()


def _log_of_size(size: Lanes) -> Pair:
    """log(size) for size >= 0, also where it is infinite or NaN."""
    log = _precise_log(size)
    ordinary = (size > 0.0) & (size < math.inf)
    edge = where(size.equals(0.0), -math.inf, size)
    return Pair(where(ordinary, log.high, edge), where(ordinary, log.low, 0.0))


def pow_(x: Lanes, y: Lanes) -> Lanes:
    """x ** y as in C: x ** 0 = 1 ** y = 1, odd y keep the sign of x, roots of x < 0 are NaN.

    Largest error measured: 0.98 ulp in float32, 0.98 ulp in float64.
    """
    size = magnitude(x)
    log = _log_of_size(size)
    product = y * log.high
    lost = fma(y, log.low, fma(y, log.high, -product))
    out = exp_of_sum(product, lost)
    half = y * 0.5
    whole = trunc(y).equals(y)
    odd = whole & trunc(half).equals(half).inverted()
    out = where((x.bits() < 0) & odd, -out, out)
    out = where((x < 0.0) & (x > -math.inf) & whole.inverted(), math.nan, out)
    endless = size.equals(1.0) & magnitude(y).equals(math.inf)
    return where(x.equals(1.0) | y.equals(0.0) | endless, 1.0, out)
