"""sin, cos, tan and their inverses.

    x = q π/2 + r,  |r| <= π/4       sin(r) = r + r³ S(r²)       cos(r) = 1 - r²/2 + r⁴ C(r²)

π/2 is a sum of three numbers, so r is right to its last bits. Where q gets so large that this no
longer holds, the C library's function is called, lane by lane.
"""

import math
from collections.abc import Callable

from .basic import sqrt
from .coefficients import ASIN, ATAN, COS, SIN
from .lanes import (
    Lanes,
    Table,
    fma,
    lane_by_lane,
    magnitude,
    polynomial,
    rarely,
    where,
    with_sign,
)

HALF_PI = Table(
    (1.5707963705062866, -4.371138828673793e-8, -1.7151245100058819e-15),
    (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
)
LARGE = (70000.0, 2.0**25)  # how far the three parts of π/2 carry


def _quadrant(x: Lanes) -> tuple[Lanes, Lanes]:
    """r, and q as an integer of which the lowest two bits count."""
    shifted = fma(x, 2 / math.pi, x.format.magic)
    q = shifted - x.format.magic
    r = x
    for part in x.row(HALF_PI):
        r = fma(q, -part, r)
    return r, shifted.bits()


def _sin_and_cos(r: Lanes) -> tuple[Lanes, Lanes]:
    square = r * r
    sine = fma(square * r, polynomial(square, SIN), r)
    cosine = fma(square * square, polynomial(square, COS), fma(square, -0.5, 1.0))
    return sine, cosine


def _turned(x: Lanes, quarters: int) -> Lanes:
    """sin(x + quarters π/2), for x that is not large."""
    r, q = _quadrant(x)
    sine, cosine = _sin_and_cos(r)
    if quarters:
        q = q + quarters
    out = where((q & 1).equals(0), sine, cosine)
    flip = (q >> 1) << (x.type.bits - 1)  # the second bit of q is the sign
    return (out.bits() ^ flip).floats(x)


def _for_all(name: str, x: Lanes, small: Callable[[Lanes], Lanes]) -> Lanes:
    """`small(x)`, but the C library's function in lanes that are too large for it."""
    large = (magnitude(x) > x.pick(*LARGE)) & (magnitude(x) < math.inf)
    return rarely(large, small(x), lambda: lane_by_lane(name, x))


def sin(x: Lanes) -> Lanes:
    """The sine.

    Largest error measured: 1.53 ulp in float32, 1.54 ulp in float64.
    """
    return _for_all("sin", x, lambda x: with_sign_of_zero(_turned(x, 0), x))


def with_sign_of_zero(out: Lanes, x: Lanes) -> Lanes:
    """The result; x itself where x is so small that both are the same, as for -0."""
    return where(magnitude(x) < 2.0**-60, x, out)


def cos(x: Lanes) -> Lanes:
    """The cosine.

    Largest error measured: 1.53 ulp in float32, 1.53 ulp in float64.
    """
    return _for_all("cos", x, lambda x: _turned(x, 1))


def tan(x: Lanes) -> Lanes:
    """The tangent.

    Largest error measured: 3.63 ulp in float32, 3.34 ulp in float64.
    """
    return _for_all("tan", x, _tan)


def _tan(x: Lanes) -> Lanes:
    """sin(r) / cos(r), or -cos(r) / sin(r) in the odd quadrants."""
    r, q = _quadrant(x)
    sine, cosine = _sin_and_cos(r)
    even = (q & 1).equals(0)
    out = where(even, sine, -cosine) / where(even, cosine, sine)
    return with_sign_of_zero(out, x)


# --- inverses -------------------------------------------------------------------------------


def _small_asin(x: Lanes, square: Lanes) -> Lanes:
    """asin(x) = x + x³ A(x²) for |x| <= 1/2."""
    return fma(x * square, polynomial(square, ASIN), x)


def _asin_parts(x: Lanes) -> tuple[Lanes, Lanes]:
    """Whether |x| <= 1/2, and asin(|x|); or, beyond, asin(√((1 - |x|) / 2)) = acos(|x|) / 2."""
    size = magnitude(x)
    small = size <= 0.5
    square = where(small, x * x, fma(size, -0.5, 0.5))
    return small, _small_asin(where(small, size, sqrt(square)), square)


def asin(x: Lanes) -> Lanes:
    """The inverse of the sine; NaN beyond 1.

    From 1/2 on it is π/2 minus twice the angle whose sine is √((1 - |x|) / 2).

    Largest error measured: 2.25 ulp in float32, 2.18 ulp in float64.
    """
    small, angle = _asin_parts(x)
    high, low, _ = x.row(HALF_PI)
    return with_sign(where(small, angle, high - (angle + angle - low)), x)


def acos(x: Lanes) -> Lanes:
    """The arccosine: π/2 - asin(x), or 2 asin(√((1 - |x|) / 2)) beyond 1/2; NaN beyond 1.

    Largest error measured: 1.10 ulp in float32, 1.13 ulp in float64.
    """
    small, angle = _asin_parts(x)
    high, low, _ = x.row(HALF_PI)
    double = angle + angle
    beyond = where(x < 0, 2 * high - (double - 2 * low), double)
    return where(small, high - (with_sign(angle, x) - low), beyond)


def _small_atan(x: Lanes) -> Lanes:
    """atan(x) = x + x³ T(x²) for |x| <= 1."""
    square = x * x
    return fma(x * square, polynomial(square, ATAN), x)


def atan(x: Lanes) -> Lanes:
    """The inverse of the tangent; beyond 1 it is π/2 minus that of 1 / |x|.

    Largest error measured: 1.25 ulp in float32, 1.49 ulp in float64.
    """
    size = magnitude(x)
    beyond = size > 1.0
    angle = _small_atan(where(beyond, 1.0, size) / where(beyond, size, 1.0))
    high, low, _ = x.row(HALF_PI)
    return with_sign(where(beyond, high - (angle - low), angle), x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y), from -π to π, by the quadrant; signs of zeros count.

    Largest error measured: 1.48 ulp in float32, 1.48 ulp in float64.
    """
    high, low, _ = x.row(HALF_PI)
    width, height = magnitude(x), magnitude(y)
    steep = height > width
    least, most = where(steep, width, height), where(steep, height, width)
    ratio = where(least.equals(most), where(most > 0, x.constant(1.0), 0.0), least / most)
    angle = _small_atan(ratio)
    angle = where(steep, high - (angle - low), angle)
    left = with_sign(x.constant(1.0), x) < 0
    angle = where(left, 2 * high - (angle - 2 * low), angle)
    return where(x.is_nan(), x, where(y.is_nan(), y, with_sign(angle, y)))
