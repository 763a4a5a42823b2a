"""Special functions in NumPy: error functions, the normal distribution, Bessel functions.

All compute in float64, within a few units in the last place; float32 is computed in float64 and
rounded once, so it is nearly always the closest float32 number. Each function is a set of
formulas, one for each range of its argument; NaN stays NaN. `special_tables` names the sources.
The gamma functions live in `special_gamma` and are offered here as well.
"""

from __future__ import annotations

from math import factorial

import numpy as np

from narae.reference import special_tables as tables
from narae.reference.approximation import (
    Array,
    Doubles,
    chebyshev,
    elementwise,
    piecewise,
    polynomial,
    ratio,
)
from narae.reference.special_gamma import digamma, lgamma, polygamma, trigamma

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "lgamma",
    "log_ndtr",
    "ndtr",
    "ndtri",
    "polygamma",
    "trigamma",
]

# ------------------------------------------------------------------------------ error functions


def erf(x: Array) -> Array:
    """Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> erf(np.array([0.0, 0.5, 3.0]))
    array([0.        , 0.52049988, 0.99997791])
    """
    return _erf_single(x) if x.dtype == np.float32 else _erf_double(x)


@elementwise
def _erf_single(x: Doubles) -> Doubles:
    """erf to 2e-9 by one formula, for the speed of GELU."""
    x = np.clip(x, -3.95, 3.95)  # beyond lies one, in float32
    return x * ratio(x * x, tables.ERF_SINGLE_P, tables.ERF_SINGLE_Q)


@elementwise
def _erf_double(x: Doubles) -> Doubles:
    size = np.abs(x)
    return piecewise(
        x,
        (size < 0.84375, lambda x: x + x * ratio(x * x, tables.ERF_P, tables.ERF_Q)),
        (size < 1.25, lambda x: np.copysign(tables.ERF_ONE + _erf_past_one(np.abs(x)), x)),
        (size < 6, lambda x: np.copysign(1 - _erfc_tail(np.abs(x)), x)),
        (size >= 6, np.sign),
    )


@elementwise
def erfc(x: Doubles) -> Doubles:
    """Complement of the error function: 1 - erf(x), precise where that is small.

    >>> erfc(np.array([0.0, 3.0, 10.0]))
    array([1.00000000e+00, 2.20904970e-05, 2.08848758e-45])
    """
    return piecewise(
        x,
        (x < -6, lambda x: np.full(x.shape, 2.0)),
        (x <= -1.25, lambda x: 2 - _erfc_tail(-x)),
        (x <= -0.84375, lambda x: 1 + (tables.ERF_ONE + _erf_past_one(-x))),
        (x < 0.25, lambda x: 1 - (x + x * ratio(x * x, tables.ERF_P, tables.ERF_Q))),
        (x < 0.84375, _erfc_middle),
        (x < 1.25, lambda x: (1 - tables.ERF_ONE) - _erf_past_one(x)),
        (x < 28, _erfc_tail),
        (x >= 28, np.zeros_like),
    )


def _erfc_middle(x: Doubles) -> Doubles:
    """erfc between 0.25 and 0.84375, where it is near one half."""
    return 0.5 - (x * ratio(x * x, tables.ERF_P, tables.ERF_Q) + (x - 0.5))


def _erf_past_one(size: Doubles) -> Doubles:
    """erf(size) - ERF_ONE, for sizes from 0.84375 to 1.25."""
    return ratio(size - 1, tables.ERF_ONE_P, tables.ERF_ONE_Q)


def _erfc_tail(x: Doubles, scale: float = 1.0) -> Doubles:
    """erfc(z) for z = sqrt(scale) x >= 1.25.

    A rounding error in z^2 would be multiplied by the exponential, so x^2 is split into the
    square of the upper half of x's bits, which is exact, and a small rest.
    """
    z = x * np.sqrt(scale)
    upper = _upper_half(x)
    rest = (upper - x) * (upper + x) * scale + _log_tail(z)
    tail: Doubles = np.exp(-upper * upper * scale - 0.5625) * np.exp(rest) / z
    return tail


def _upper_half(x: Doubles) -> Doubles:
    """x without the lower half of its bits."""
    return (x.view(np.int64) & np.int64(-(2**32))).view(np.float64)


def _log_tail(x: Doubles) -> Doubles:
    """log(x exp(x^2) erfc(x)) + 0.5625, for x >= 1.25."""
    return piecewise(
        1 / (x * x),
        (x < 1 / 0.35, lambda z: ratio(z, tables.ERFC_NEAR_P, tables.ERFC_NEAR_Q)),
        (True, lambda z: ratio(z, tables.ERFC_FAR_P, tables.ERFC_FAR_Q)),
    )


@elementwise
def erfcx(x: Doubles) -> Doubles:
    """exp(x^2) erfc(x), which neither overflows nor vanishes above zero.

    >>> erfcx(np.array([0.0, 3.0, 1000.0]))
    array([1.00000000e+00, 1.79001151e-01, 5.64189301e-04])
    """
    return piecewise(
        x,
        (x < -27, lambda x: np.full(x.shape, np.inf)),
        (x < 1.25, _erfcx_near),
        (x >= 1.25, lambda x: np.exp(_log_tail(x) - 0.5625) / x),
    )


def _erfcx_near(x: Doubles) -> Doubles:
    """The product; the square is split, as a rounding error in it would be multiplied."""
    upper = _upper_half(x)
    return np.exp(upper * upper) * np.exp((x - upper) * (x + upper)) * erfc(x)


@elementwise
def erfinv(x: Doubles) -> Doubles:
    """Inverse of the error function, on [-1, 1]; NaN outside.

    >>> erfinv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    quantile = _normal_quantile(x / 2, (1 - np.abs(x)) / 2)
    return quantile * float(np.sqrt(0.5))


# -------------------------------------------------------------------------- normal distribution


@elementwise
def ndtri(x: Doubles) -> Doubles:
    """Normal quantile: the number below which a standard normal falls with probability x.

    >>> ndtri(np.array([0.5, 0.975, 0.0]))
    array([0.        , 1.95996398,       -inf])
    """
    return _normal_quantile(x - 0.5, np.minimum(x, 1 - x))


def _normal_quantile(from_middle: Doubles, tail: Doubles) -> Doubles:
    """Normal quantile from p - 0.5 and min(p, 1 - p), given apart so that neither is rounded."""
    deep = np.sqrt(-np.log(tail))
    near = (tables.NDTRI_NEAR_P, tables.NDTRI_NEAR_Q)
    far = (tables.NDTRI_FAR_P, tables.NDTRI_FAR_Q)
    in_tail = piecewise(
        deep,
        (deep <= 5, lambda deep: ratio(deep - 1.6, *near)),
        (deep < np.inf, lambda deep: ratio(deep - 5, *far)),
        (deep == np.inf, np.array),
    )
    r = 0.180625 - from_middle * from_middle
    middle = from_middle * ratio(r, tables.NDTRI_MIDDLE_P, tables.NDTRI_MIDDLE_Q)
    return np.where(r >= 0, middle, np.copysign(in_tail, from_middle))


@elementwise
def ndtr(x: Doubles) -> Doubles:
    """Probability that a standard normal falls below x.

    >>> ndtr(np.array([0.0, 1.96]))
    array([0.5      , 0.9750021])
    """
    return piecewise(
        x,
        (x <= -40, np.zeros_like),
        (x <= -1.8, lambda x: _erfc_tail(-x, 0.5) / 2),
        (x <= 1.8, lambda x: erfc(x * -np.sqrt(0.5)) / 2),
        (x <= 40, lambda x: 1 - _erfc_tail(x, 0.5) / 2),
        (x > 40, np.ones_like),
    )


@elementwise
def log_ndtr(x: Doubles) -> Doubles:
    """Logarithm of the probability that a standard normal falls below x.

    >>> log_ndtr(np.array([0.0, -40.0]))
    array([-6.93147181e-01, -8.04608442e+02])
    """
    return piecewise(
        x,
        (x < -1.8, _log_ndtr_tail),
        (x < -1, lambda x: np.log(ndtr(x))),
        (x >= -1, lambda x: np.log1p(-ndtr(-x))),
    )


def _log_ndtr_tail(x: Doubles) -> Doubles:
    z = x * -np.sqrt(0.5)
    return np.where(x == -np.inf, x, -x * x / 2 - 0.5625 + _log_tail(z) - np.log(2 * z))


# ----------------------------------------------------------------------------- Bessel functions


@elementwise
def i0(x: Doubles) -> Doubles:
    """Modified Bessel function of the first kind, order zero.

    >>> i0(np.array([0.0, 1.0]))
    array([1.        , 1.26606588])
    """
    return _grow(_scaled_i0(x), x)


@elementwise
def i0e(x: Doubles) -> Doubles:
    """exp(-|x|) i0(x).

    >>> i0e(np.array([0.0, 1000.0]))
    array([1.        , 0.01261724])
    """
    return _scaled_i0(x)


@elementwise
def i1(x: Doubles) -> Doubles:
    """Modified Bessel function of the first kind, order one.

    >>> i1(np.array([0.0, 1.0]))
    array([0.        , 0.5651591])
    """
    return _grow(_scaled_i1(x), x)


@elementwise
def i1e(x: Doubles) -> Doubles:
    """exp(-|x|) i1(x).

    >>> i1e(np.array([0.0, 1000.0]))
    array([0.        , 0.01261093])
    """
    return _scaled_i1(x)


# Taylor series in (x / 2)^2; all terms are positive, so nothing cancels.
I0_SERIES = tuple(1 / factorial(k) ** 2 for k in range(28))
I1_SERIES = tuple(0.5 / (factorial(k) * factorial(k + 1)) for k in range(28))


def _grow(scaled: Doubles, x: Doubles) -> Doubles:
    """exp(|x|) scaled, without an infinite step on the way to a finite result."""
    size = np.abs(x)
    half = np.where(size > 700, size / 2, size)
    grown = scaled * np.exp(half) * np.exp(size - half)
    return np.where(np.isinf(x), np.copysign(np.inf, scaled), grown)


def _scaled_i0(x: Doubles) -> Doubles:
    size = np.abs(x)
    return piecewise(
        size,
        (size <= 8, lambda size: np.exp(-size) * polynomial(size * size / 4, I0_SERIES)),
        (size > 8, lambda size: chebyshev(16 / size - 1, tables.I0_LARGE) / np.sqrt(size)),
    )


def _scaled_i1(x: Doubles) -> Doubles:
    size = np.abs(x)
    positive = piecewise(
        size,
        (size <= 8, lambda x: np.exp(-x) * (x * polynomial(x * x / 4, I1_SERIES))),
        (size > 8, lambda size: chebyshev(16 / size - 1, tables.I1_LARGE) / np.sqrt(size)),
    )
    return np.copysign(positive, x)
