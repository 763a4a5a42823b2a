"""The logarithm of the gamma function and its derivatives, in NumPy.

Computed in float64 within a few units in the last place. Close to a root below zero, they are
precise absolutely, not relatively. `special_tables` names the sources of the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
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


@elementwise
def lgamma(x: Doubles) -> Doubles:
    """Logarithm of the size of the gamma function; infinite at zero and negative integers.

    >>> lgamma(np.array([0.5, 5.0, -1.0]))
    array([0.57236494, 3.17805383,        inf])
    """
    return piecewise(
        x, (np.isinf(x), np.abs), (x >= 0, _lgamma_positive), (x < 0, _lgamma_negative)
    )


def _lgamma_positive(x: Doubles) -> Doubles:
    return piecewise(
        x,
        (x < 2.0**-70, lambda x: -np.log(x)),
        (x < 0.9, lambda x: lgamma_next(x) - np.log(x)),
        (x < 2, lambda x: lgamma_next(x - 1)),
        (x < 8, _lgamma_middle),
        (True, _lgamma_large),
    )


def lgamma_next(y: Doubles) -> Doubles:
    """lgamma(1 + y) for y from -0.1 to 1, with y exact."""
    one = (tables.LGAMMA_ONE_P, tables.LGAMMA_ONE_Q)
    return piecewise(
        y,
        # Just below one, lgamma(x) = lgamma(x + 1) - log(x), and x + 1 lies below two.
        (y < 0, lambda y: _lgamma_below_two(-y) - np.log1p(y)),
        (y < 0.2316, lambda y: y * ratio(y, *one) - 0.5 * y),
        (y < 0.7316, lambda y: _lgamma_dip(y - (tables.DIP_PLACE - 1))),
        (True, lambda y: _lgamma_below_two(1 - y)),
    )


def _lgamma_below_two(y: Doubles) -> Doubles:
    """lgamma(2 - y)."""
    return y * polynomial(y, tables.LGAMMA_TWO) - 0.5 * y


def _lgamma_dip(y: Doubles) -> Doubles:
    """lgamma near its minimum, from the distance to it."""
    rise = y * y * polynomial(y, tables.LGAMMA_DIP)
    return tables.DIP_VALUE + (rise + tables.DIP_TAIL)


def _lgamma_middle(x: Doubles) -> Doubles:
    """lgamma from 2 to 8: log of (x - 1) (x - 2) ... down to 2, and lgamma of what remains."""
    whole = np.floor(x)
    y = x - whole
    product = np.ones(x.shape)
    for step in range(2, 7):
        product *= np.where(whole > step, y + step, 1)
    near_two = 0.5 * y + y * ratio(y, tables.LGAMMA_MIDDLE_P, tables.LGAMMA_MIDDLE_Q)
    return near_two + np.log(product)


def _lgamma_large(x: Doubles) -> Doubles:
    z = 1 / x
    series = tables.LGAMMA_LIMIT + z * polynomial(z * z, tables.LGAMMA_LARGE)
    leading: Doubles = (x - 0.5) * (np.log(x) - 1)
    return leading + series


def _lgamma_negative(x: Doubles) -> Doubles:
    """Reflection: Gamma(x) Gamma(-x) = -pi / (x sin(pi x))."""
    sine = np.abs(np.sin(np.pi * (x - np.rint(x))))
    reflected = np.log(np.pi / (sine * -x)) - _lgamma_positive(-x)
    return np.where(x == np.rint(x), np.inf, reflected)


@elementwise
def digamma(x: Doubles) -> Doubles:
    """Derivative of lgamma; NaN at negative integers, infinite at zero with the other sign.

    >>> digamma(np.array([1.0, 0.0]))
    array([-0.57721566,       -inf])
    """
    return piecewise(
        x,
        (x == 0, lambda x: -np.copysign(np.inf, x)),
        (x < 0, _digamma_negative),
        (True, _digamma_positive),
    )


def _digamma_positive(x: Doubles) -> Doubles:
    return piecewise(
        x,
        (x < 1, lambda x: _digamma_near_root(x + 1) - 1 / x),
        (x < 10, _digamma_middle),
        (x >= 10, _digamma_large),
    )


def _digamma_near_root(x: Doubles) -> Doubles:
    """digamma from 1 to 2, precise near its root."""
    distance = (x - tables.DIGAMMA_ROOT) - tables.DIGAMMA_ROOT_TAIL
    return distance * chebyshev(2 * x - 3, tables.DIGAMMA)


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
    return np.log(x) - 0.5 / x - z * polynomial(z, terms)


def _digamma_negative(x: Doubles) -> Doubles:
    """Reflection: digamma(1 - x) - digamma(x) = pi / tan(pi x)."""
    return np.where(
        x == np.rint(x),
        np.nan,
        _digamma_positive(1 - x) - np.pi / np.tan(np.pi * (x - np.rint(x))),
    )


@elementwise
def trigamma(x: Doubles) -> Doubles:
    """Derivative of digamma, `polygamma(1, x)`; infinite at zero and negative integers.

    >>> trigamma(np.array([1.0, 0.0]))
    array([1.64493407,        inf])
    """
    return piecewise(x, (x > 0, _trigamma_positive), (x <= 0, _trigamma_negative))


def _trigamma_positive(x: Doubles) -> Doubles:
    """Recurrence up to 10 or more, then 1/x + 1/(2 x^2) + sum of B_2k / x^(2k + 1)."""
    total = np.zeros(x.shape)
    for _ in range(10):
        below = x < 10
        total += np.where(below, 1 / (x * x), 0)
        x = np.where(below, x + 1, x)
    z = 1 / (x * x)
    return total + (1 / x + z / 2 + z / x * polynomial(z, tables.BERNOULLI))


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
        return piecewise(
            x,
            (x > 0, lambda x: _polygamma_positive(order, x)),
            (x <= 0, lambda x: _polygamma_negative(order, x)),
        )

    return elementwise(formula)


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
    series = x / order + 0.5 + polynomial(1 / (x * x), terms) / x
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
    bend = np.pi ** (order + 1) * polynomial(cotangent, derivative.coef.tolist())
    reflected = sign * _polygamma_positive(order, 1 - x) - bend
    pole = -np.inf if order % 2 == 0 else np.inf  # PyTorch's sign; both sides differ for even ones
    return np.where(x == np.rint(x), pole, reflected)
