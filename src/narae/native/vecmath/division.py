"""Remainders: fmod, remainder, floor_divide.

The remainder of a division is always a number of the format, so fma(-q, y, x) is exact if q, the
whole part of the quotient, is. The rounded quotient may have been rounded up to a whole number;
then the remainder comes out negative, and y is added. Quotients too large to have a fraction are
left to the C library's fmod.
"""

import math

from .basic import floor, trunc
from .lanes import Lanes, fma, lane_by_lane, magnitude, rarely, where, with_sign


def fmod(x: Lanes, y: Lanes) -> Lanes:
    """x - y trunc(x / y), exactly; it has the sign of x."""
    top, bottom = magnitude(x), magnitude(y)
    quotient = top / bottom
    large = (quotient >= 2.0**x.format.fraction_bits) & (top < math.inf)
    rest = fma(-trunc(quotient), bottom, top)
    rest = where(rest < 0, rest + bottom, rest)
    rest = where(top < bottom, top, rest)  # also for infinite y
    return rarely(large, with_sign(rest, x), lambda: lane_by_lane("fmod", x, y))


def remainder(x: Lanes, y: Lanes) -> Lanes:
    """x - y floor(x / y): Python's `%`, with the sign of y."""
    rest, _ = _toward_divisor(fmod(x, y), y)
    return rest


def _toward_divisor(rest: Lanes, y: Lanes) -> tuple[Lanes, Lanes]:
    """What is left when the quotient is rounded down, and whether that is one less than trunc."""
    opposite = ((y < 0) ^ (rest < 0)) & (rest.equals(0.0).inverted())
    down = where(opposite, rest + y, rest)
    return where(rest.equals(0.0), with_sign(rest, y), down), opposite


def floor_divide(x: Lanes, y: Lanes) -> Lanes:
    """floor(x / y): Python's `//`, from the exact remainder."""
    rest = fmod(x, y)
    _, opposite = _toward_divisor(rest, y)
    quotient = (x - rest) / y
    quotient = where(opposite, quotient - 1.0, quotient)
    down = floor(quotient)
    down = where(quotient - down > 0.5, down + 1.0, down)
    zero = with_sign(x.constant(0.0), x / y)
    out = where(quotient.equals(0.0), zero, down)
    return where(y.equals(0.0), x / y, out)
