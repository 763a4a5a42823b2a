"""Rounding, signs, roots, the larger and the smaller: an instruction or two each, all exact."""

from .lanes import Lanes, magnitude, where


def neg(x: Lanes) -> Lanes:
    """-x; exact."""
    return -x


def abs_(x: Lanes) -> Lanes:
    """|x|; exact."""
    return magnitude(x)


def sign(x: Lanes) -> Lanes:
    """-1, 0 or 1; 0 for NaN; exact."""
    return where(x > 0, 1.0, where(x < 0, -1.0, x.constant(0.0)))


def floor(x: Lanes) -> Lanes:
    """The largest integer not above x; exact."""
    return x.intrinsic("floor")


def ceil(x: Lanes) -> Lanes:
    """The smallest integer not below x; exact."""
    return x.intrinsic("ceil")


def trunc(x: Lanes) -> Lanes:
    """x without its fraction; exact."""
    return x.intrinsic("trunc")


def round_(x: Lanes) -> Lanes:
    """The nearest integer, ties to even; exact."""
    return x.intrinsic("rint")


def sqrt(x: Lanes) -> Lanes:
    """√x, rounded correctly (0.5 ulp)."""
    return x.intrinsic("sqrt")


def rsqrt(x: Lanes) -> Lanes:
    """1 / √x, rounded twice (1.5 ulp)."""
    return 1.0 / sqrt(x)


def maximum(x: Lanes, y: Lanes) -> Lanes:
    """The larger, or NaN if either is NaN; exact."""
    return where(x.is_nan(), x, where(x > y, x, y))


def minimum(x: Lanes, y: Lanes) -> Lanes:
    """The smaller, or NaN if either is NaN; exact."""
    return where(x.is_nan(), x, where(x < y, x, y))
