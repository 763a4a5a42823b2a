"""Special functions in NumPy: error functions, gamma functions, Bessel functions, the normal.

All compute in float64, within a few units in the last place; float32 is computed in float64 and
rounded once, so it is nearly always the closest float32 number. Each function is a set of
formulas, one for each range of its argument; NaN stays NaN. Close to a root below zero, lgamma
and digamma are precise absolutely, not relatively. `special_tables` names the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, wraps
from math import factorial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from narae.reference import special_tables as tables

Array: TypeAlias = NDArray[Any]
Doubles: TypeAlias = NDArray[np.float64]
Formula: TypeAlias = Callable[[Doubles], Doubles]

# Elements worked off at once: few enough that the steps of a formula stay in the fast caches.
PIECE = 8192


def _elementwise(formula: Formula) -> Callable[[Array], Array]:
    """Applies a float64 formula to an array of float32 or float64, piece by piece."""

    @wraps(formula)
    def wrapped(x: Array) -> Array:
        flat = x.reshape(-1)
        out = np.empty(flat.shape, x.dtype)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, PIECE):
                part = slice(start, start + PIECE)
                out[part] = formula(flat[part].astype(np.float64, copy=False))
        return out.reshape(x.shape)

    return wrapped


def _piecewise(x: Doubles, *ranges: tuple[Any, Formula]) -> Doubles:
    """Evaluates the formula of the first range that holds an element; NaN where none does.

    >>> _piecewise(np.array([-2.0, 3.0]), (np.array([True, False]), np.abs), (True, np.sqrt))
    array([2.        , 1.73205081])
    """
    out = np.full(x.shape, np.nan)
    left = np.ones(x.shape, bool)
    for inside, formula in ranges:
        here = np.flatnonzero(left & inside)  # positions are quicker to use than a mask
        if here.size == x.size:
            return formula(x)
        if here.size:
            out[here] = formula(x[here])
            left[here] = False
    return out


def _polynomial(x: Doubles, coefficients: Sequence[float]) -> Doubles:
    """Horner's rule, lowest power first.

    >>> _polynomial(np.array([2.0]), (1.0, 0.0, 3.0))
    array([13.])
    """
    total = np.full(x.shape, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def _ratio(x: Doubles, above: Sequence[float], below: Sequence[float]) -> Doubles:
    ratio: Doubles = _polynomial(x, above) / _polynomial(x, below)
    return ratio


def _chebyshev(x: Doubles, coefficients: Sequence[float]) -> Doubles:
    """Clenshaw's recurrence for a Chebyshev series on [-1, 1], lowest order first.

    >>> _chebyshev(np.array([0.5]), (1.0, 2.0, 4.0))  # 1 + 2 x + 4 (2 x^2 - 1)
    array([0.])
    """
    twice, last, before = 2 * x, np.zeros(x.shape), np.zeros(x.shape)
    for coefficient in coefficients[:0:-1]:
        last, before = twice * last - before + coefficient, last
    return x * last - before + coefficients[0]


# ------------------------------------------------------------------------------ error functions


def erf(x: Array) -> Array:
    """Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> erf(np.array([0.0, 0.5, 3.0]))
    array([0.        , 0.52049988, 0.99997791])
    """
    return _erf_single(x) if x.dtype == np.float32 else _erf_double(x)


@_elementwise
def _erf_single(x: Doubles) -> Doubles:
    """erf to 2e-9 by one formula, for the speed of GELU."""
    x = np.clip(x, -3.95, 3.95)  # beyond lies one, in float32
    return x * _ratio(x * x, tables.ERF_SINGLE_P, tables.ERF_SINGLE_Q)


@_elementwise
def _erf_double(x: Doubles) -> Doubles:
    size = np.abs(x)
    return _piecewise(
        x,
        (size < 0.84375, lambda x: x + x * _ratio(x * x, tables.ERF_P, tables.ERF_Q)),
        (size < 1.25, lambda x: np.copysign(tables.ERF_ONE + _erf_past_one(np.abs(x)), x)),
        (size < 6, lambda x: np.copysign(1 - _erfc_tail(np.abs(x)), x)),
        (size >= 6, np.sign),
    )


@_elementwise
def erfc(x: Doubles) -> Doubles:
    """Complement of the error function: 1 - erf(x), precise where that is small.

    >>> erfc(np.array([0.0, 3.0, 10.0]))
    array([1.00000000e+00, 2.20904970e-05, 2.08848758e-45])
    """
    return _piecewise(
        x,
        (x < -6, lambda x: np.full(x.shape, 2.0)),
        (x <= -1.25, lambda x: 2 - _erfc_tail(-x)),
        (x <= -0.84375, lambda x: 1 + (tables.ERF_ONE + _erf_past_one(-x))),
        (x < 0.25, lambda x: 1 - (x + x * _ratio(x * x, tables.ERF_P, tables.ERF_Q))),
        (x < 0.84375, _erfc_middle),
        (x < 1.25, lambda x: (1 - tables.ERF_ONE) - _erf_past_one(x)),
        (x < 28, _erfc_tail),
        (x >= 28, np.zeros_like),
    )


def _erfc_middle(x: Doubles) -> Doubles:
    """erfc between 0.25 and 0.84375, where it is near one half."""
    return 0.5 - (x * _ratio(x * x, tables.ERF_P, tables.ERF_Q) + (x - 0.5))


def _erf_past_one(size: Doubles) -> Doubles:
    """erf(size) - ERF_ONE, for sizes from 0.84375 to 1.25."""
    return _ratio(size - 1, tables.ERF_ONE_P, tables.ERF_ONE_Q)


def _erfc_tail(x: Doubles, scale: float = 1.0) -> Doubles:
    """erfc(z) for z = sqrt(scale) x >= 1.25.

    A rounding error in z^2 would be multiplied by the exponential, so x^2 is split into the
    square of the upper half of x's bits, which is exact, and a small rest.
    """
    z = x * np.sqrt(scale)
    upper = (x.view(np.int64) & np.int64(-(2**32))).view(np.float64)
    rest = (upper - x) * (upper + x) * scale + _log_tail(z)
    tail: Doubles = np.exp(-upper * upper * scale - 0.5625) * np.exp(rest) / z
    return tail


def _log_tail(x: Doubles) -> Doubles:
    """log(x exp(x^2) erfc(x)) + 0.5625, for x >= 1.25."""
    return _piecewise(
        1 / (x * x),
        (x < 1 / 0.35, lambda z: _ratio(z, tables.ERFC_NEAR_P, tables.ERFC_NEAR_Q)),
        (True, lambda z: _ratio(z, tables.ERFC_FAR_P, tables.ERFC_FAR_Q)),
    )


@_elementwise
def erfinv(x: Doubles) -> Doubles:
    """Inverse of the error function, on [-1, 1]; NaN outside.

    >>> erfinv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    quantile = _normal_quantile(x / 2, (1 - np.abs(x)) / 2)
    return quantile * float(np.sqrt(0.5))


# -------------------------------------------------------------------------- normal distribution


@_elementwise
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
    in_tail = _piecewise(
        deep,
        (deep <= 5, lambda deep: _ratio(deep - 1.6, *near)),
        (deep < np.inf, lambda deep: _ratio(deep - 5, *far)),
        (deep == np.inf, np.array),
    )
    r = 0.180625 - from_middle * from_middle
    middle = from_middle * _ratio(r, tables.NDTRI_MIDDLE_P, tables.NDTRI_MIDDLE_Q)
    return np.where(r >= 0, middle, np.copysign(in_tail, from_middle))


@_elementwise
def ndtr(x: Doubles) -> Doubles:
    """Probability that a standard normal falls below x.

    >>> ndtr(np.array([0.0, 1.96]))
    array([0.5      , 0.9750021])
    """
    return _piecewise(
        x,
        (x <= -40, np.zeros_like),
        (x <= -1.8, lambda x: _erfc_tail(-x, 0.5) / 2),
        (x <= 1.8, lambda x: erfc(x * -np.sqrt(0.5)) / 2),
        (x <= 40, lambda x: 1 - _erfc_tail(x, 0.5) / 2),
        (x > 40, np.ones_like),
    )


@_elementwise
def log_ndtr(x: Doubles) -> Doubles:
    """Logarithm of the probability that a standard normal falls below x.

    >>> log_ndtr(np.array([0.0, -40.0]))
    array([-6.93147181e-01, -8.04608442e+02])
    """
    return _piecewise(
        x,
        (x < -1.8, _log_ndtr_tail),
        (x < -1, lambda x: np.log(ndtr(x))),
        (x >= -1, lambda x: np.log1p(-ndtr(-x))),
    )


def _log_ndtr_tail(x: Doubles) -> Doubles:
    z = x * -np.sqrt(0.5)
    return np.where(x == -np.inf, x, -x * x / 2 - 0.5625 + _log_tail(z) - np.log(2 * z))


# ------------------------------------------------------------------------------ gamma functions


@_elementwise
def lgamma(x: Doubles) -> Doubles:
    """Logarithm of the size of the gamma function; infinite at zero and negative integers.

    >>> lgamma(np.array([0.5, 5.0, -1.0]))
    array([0.57236494, 3.17805383,        inf])
    """
    return _piecewise(
        x, (np.isinf(x), np.abs), (x >= 0, _lgamma_positive), (x < 0, _lgamma_negative)
    )


def _lgamma_positive(x: Doubles) -> Doubles:
    return _piecewise(
        x,
        (x < 2.0**-70, lambda x: -np.log(x)),
        (x < 0.9, lambda x: _lgamma_next(x) - np.log(x)),
        (x < 2, lambda x: _lgamma_next(x - 1)),
        (x < 8, _lgamma_middle),
        (True, _lgamma_large),
    )


def _lgamma_next(y: Doubles) -> Doubles:
    """lgamma(1 + y) for y from -0.1 to 1, with y exact."""
    one = (tables.LGAMMA_ONE_P, tables.LGAMMA_ONE_Q)
    return _piecewise(
        y,
        # Just below one, lgamma(x) = lgamma(x + 1) - log(x), and x + 1 lies below two.
        (y < 0, lambda y: _lgamma_below_two(-y) - np.log1p(y)),
        (y < 0.2316, lambda y: y * _ratio(y, *one) - 0.5 * y),
        (y < 0.7316, lambda y: _lgamma_dip(y - (tables.DIP_PLACE - 1))),
        (True, lambda y: _lgamma_below_two(1 - y)),
    )


def _lgamma_below_two(y: Doubles) -> Doubles:
    """lgamma(2 - y)."""
    return y * _polynomial(y, tables.LGAMMA_TWO) - 0.5 * y


def _lgamma_dip(y: Doubles) -> Doubles:
    """lgamma near its minimum, from the distance to it."""
    rise = y * y * _polynomial(y, tables.LGAMMA_DIP)
    return tables.DIP_VALUE + (rise + tables.DIP_TAIL)


def _lgamma_middle(x: Doubles) -> Doubles:
    """lgamma from 2 to 8: log of (x - 1) (x - 2) ... down to 2, and lgamma of what remains."""
    whole = np.floor(x)
    y = x - whole
    product = np.ones(x.shape)
    for step in range(2, 7):
        product *= np.where(whole > step, y + step, 1)
    ratio = _ratio(y, tables.LGAMMA_MIDDLE_P, tables.LGAMMA_MIDDLE_Q)
    return 0.5 * y + y * ratio + np.log(product)


def _lgamma_large(x: Doubles) -> Doubles:
    z = 1 / x
    series = tables.LGAMMA_LIMIT + z * _polynomial(z * z, tables.LGAMMA_LARGE)
    leading: Doubles = (x - 0.5) * (np.log(x) - 1)
    return leading + series


def _lgamma_negative(x: Doubles) -> Doubles:
    """Reflection: Gamma(x) Gamma(-x) = -pi / (x sin(pi x))."""
    sine = np.abs(np.sin(np.pi * (x - np.rint(x))))
    reflected = np.log(np.pi / (sine * -x)) - _lgamma_positive(-x)
    return np.where(x == np.rint(x), np.inf, reflected)


@_elementwise
def digamma(x: Doubles) -> Doubles:
    """Derivative of lgamma; NaN at negative integers, infinite at zero with the other sign.

    >>> digamma(np.array([1.0, 0.0]))
    array([-0.57721566,       -inf])
    """
    return _piecewise(
        x,
        (x == 0, lambda x: -np.copysign(np.inf, x)),
        (x < 0, _digamma_negative),
        (True, _digamma_positive),
    )


def _digamma_positive(x: Doubles) -> Doubles:
    return _piecewise(
        x,
        (x < 1, lambda x: _digamma_near_root(x + 1) - 1 / x),
        (x < 10, _digamma_middle),
        (x >= 10, _digamma_large),
    )


def _digamma_near_root(x: Doubles) -> Doubles:
    """digamma from 1 to 2, precise near its root."""
    distance = (x - tables.DIGAMMA_ROOT) - tables.DIGAMMA_ROOT_TAIL
    return distance * _chebyshev(2 * x - 3, tables.DIGAMMA)


def _digamma_middle(x: Doubles) -> Doubles:
    """digamma from 1 to 10: digamma(x) = digamma(x - 1) + 1 / (x - 1), down to 1 to 2."""
    total = np.zeros(x.shape)
    for _ in range(8):
        above = x >= 2
        x = np.where(above, x - 1, x)
        total += np.where(above, 1 / x, 0)
    return _digamma_near_root(x) + total


def _digamma_large(x: Doubles) -> Doubles:
    """log(x) - 1 / (2 x) - sum of B_2k / (2k x^2k)."""
    z = 1 / (x * x)
    terms = [number / (2 * k) for k, number in enumerate(tables.BERNOULLI, start=1)]
    return np.log(x) - 0.5 / x - z * _polynomial(z, terms)


def _digamma_negative(x: Doubles) -> Doubles:
    """Reflection: digamma(1 - x) - digamma(x) = pi / tan(pi x)."""
    return np.where(
        x == np.rint(x),
        np.nan,
        _digamma_positive(1 - x) - np.pi / np.tan(np.pi * (x - np.rint(x))),
    )


@_elementwise
def trigamma(x: Doubles) -> Doubles:
    """Derivative of digamma, `polygamma(1, x)`; infinite at zero and negative integers.

    >>> trigamma(np.array([1.0, 0.0]))
    array([1.64493407,        inf])
    """
    return _piecewise(x, (x > 0, _trigamma_positive), (x <= 0, _trigamma_negative))


def _trigamma_positive(x: Doubles) -> Doubles:
    """Recurrence up to 10 or more, then 1/x + 1/(2 x^2) + sum of B_2k / x^(2k + 1)."""
    total = np.zeros(x.shape)
    for _ in range(10):
        below = x < 10
        total += np.where(below, 1 / (x * x), 0)
        x = np.where(below, x + 1, x)
    z = 1 / (x * x)
    return total + (1 / x + z / 2 + z / x * _polynomial(z, tables.BERNOULLI))


def _trigamma_negative(x: Doubles) -> Doubles:
    """Reflection: trigamma(1 - x) + trigamma(x) = (pi / sin(pi x))^2."""
    sine = np.sin(np.pi * (x - np.rint(x)))
    return (np.pi / sine) ** 2 - _trigamma_positive(1 - x)


def polygamma(order: int, x: Array) -> Array:
    """Derivative of digamma of the given order; infinite at zero and negative integers.

    psi_n(x) = (-1)^(n + 1) n! sum over k >= 0 of 1 / (x + k)^(n + 1)

    Raises:
        ValueError: if the order is negative.

    >>> polygamma(2, np.array([1.0]))
    array([-2.40411381])
    """
    if order < 0:
        raise ValueError(f"[polygamma] the order is {order}; it must be zero or more")
    if order < 2:
        return trigamma(x) if order else digamma(x)
    return _polygamma(order)(x)


@cache
def _polygamma(order: int) -> Callable[[Array], Array]:
    def formula(x: Doubles) -> Doubles:
        return _piecewise(
            x,
            (x > 0, lambda x: _polygamma_positive(order, x)),
            (x <= 0, lambda x: _polygamma_negative(order, x)),
        )

    return _elementwise(formula)


def _polygamma_positive(order: int, x: Doubles) -> Doubles:
    """Terms up to `start`, then the Euler-Maclaurin formula for the rest of the sum."""
    power, start = order + 1, 10 + order
    total = np.zeros(x.shape)
    for _ in range(start):
        below = x < start
        total += np.where(below, x**-power, 0)
        x = np.where(below, x + 1, x)
    # Coefficients B_2k / (2k)! * power (power + 1) ... (power + 2k - 2)
    terms = [
        number / factorial(2 * k) * factorial(power + 2 * k - 2) / factorial(power - 1)
        for k, number in enumerate(tables.BERNOULLI, start=1)
    ]
    series = x / order + 0.5 + _polynomial(1 / (x * x), terms) / x
    sign = -1.0 if order % 2 == 0 else 1.0
    return sign * factorial(order) * (total + x**-power * series)


def _polygamma_negative(order: int, x: Doubles) -> Doubles:
    """Reflection: psi_n(1 - x) + (-1)^(n + 1) psi_n(x) = (-1)^n pi (d/dx)^n cot(pi x).

    The derivatives of the cotangent c are polynomials in c, since c' = -(1 + c^2).
    """
    derivative = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        derivative = np.polynomial.Polynomial([-1.0, 0.0, -1.0]) * derivative.deriv()
    sign = -1.0 if order % 2 else 1.0
    cotangent = 1 / np.tan(np.pi * (x - np.rint(x)))
    bend = np.pi ** (order + 1) * _polynomial(cotangent, derivative.coef.tolist())
    reflected = sign * _polygamma_positive(order, 1 - x) - bend
    return np.where(x == np.rint(x), np.inf, reflected)


# ----------------------------------------------------------------------------- Bessel functions


@_elementwise
def i0(x: Doubles) -> Doubles:
    """Modified Bessel function of the first kind, order zero.

    >>> i0(np.array([0.0, 1.0]))
    array([1.        , 1.26606588])
    """
    return _grow(_scaled_i0(x), x)


@_elementwise
def i0e(x: Doubles) -> Doubles:
    """exp(-|x|) i0(x).

    >>> i0e(np.array([0.0, 1000.0]))
    array([1.        , 0.01261724])
    """
    return _scaled_i0(x)


@_elementwise
def i1(x: Doubles) -> Doubles:
    """Modified Bessel function of the first kind, order one.

    >>> i1(np.array([0.0, 1.0]))
    array([0.        , 0.5651591])
    """
    return _grow(_scaled_i1(x), x)


@_elementwise
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
    return _piecewise(
        size,
        (size <= 8, lambda size: np.exp(-size) * _polynomial(size * size / 4, I0_SERIES)),
        (size > 8, lambda size: _chebyshev(16 / size - 1, tables.I0_LARGE) / np.sqrt(size)),
    )


def _scaled_i1(x: Doubles) -> Doubles:
    size = np.abs(x)
    positive = _piecewise(
        size,
        (size <= 8, lambda x: np.exp(-x) * (x * _polynomial(x * x / 4, I1_SERIES))),
        (size > 8, lambda size: _chebyshev(16 / size - 1, tables.I1_LARGE) / np.sqrt(size)),
    )
    return np.copysign(positive, x)
