"""Regularized incomplete gamma functions in NumPy.

    P(a, x) = 1 / Gamma(a) times the integral of t^(a - 1) exp(-t) from 0 to x,   Q = 1 - P

Computed in float64: P as a power series, Q as a continued fraction, whichever converges fast
(Gautschi, A Computational Procedure for Incomplete Gamma Functions, ACM TOMS 5, 1979), and both by
Temme's uniform expansion where a is large and x is near it (NIST Digital Library of Mathematical
Functions, section 8.12).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from narae.reference import special_tables as tables
from narae.reference.approximation import (
    Doubles,
    pairwise,
    piecewise,
    piecewise_of,
    polynomial,
)
from narae.reference.special import erfc
from narae.reference.special_gamma import lgamma, lgamma_next

TINY = float(np.finfo(np.float64).tiny)
CLOSE = float(np.finfo(np.float64).eps) / 4


@pairwise
def igamma(a: Doubles, x: Doubles) -> Doubles:
    """Regularized lower incomplete gamma function P(a, x); NaN where a or x is negative.

    >>> igamma(np.array([1.0, 1.0, 500.0]), np.array([0.0, 2.0, 500.0]))
    array([0.        , 0.86466472, 0.50594715])
    """
    return piecewise_of(
        (a, x),
        (_undefined(a, x), lambda a, x: np.full(a.shape, np.nan)),
        ((x == 0) | np.isinf(a), lambda a, x: np.zeros(a.shape)),
        ((a == 0) | np.isinf(x), lambda a, x: np.ones(a.shape)),
        (_is_uniform(a, x), lambda a, x: _uniform(a, x, -1)),
        ((x <= 1) | (x <= a), _series),
        (True, lambda a, x: 1 - _fraction(a, x)),
    )


@pairwise
def igammac(a: Doubles, x: Doubles) -> Doubles:
    """Regularized upper incomplete gamma function Q(a, x); NaN where a or x is negative.

    >>> igammac(np.array([1.0, 1.0, 500.0]), np.array([0.0, 2.0, 500.0]))
    array([1.        , 0.13533528, 0.49405285])
    """
    return piecewise_of(
        (a, x),
        (_undefined(a, x), lambda a, x: np.full(a.shape, np.nan)),
        ((x == 0) | np.isinf(a), lambda a, x: np.ones(a.shape)),
        ((a == 0) | np.isinf(x), lambda a, x: np.zeros(a.shape)),
        (_is_uniform(a, x), lambda a, x: _uniform(a, x, 1)),
        ((x <= 1.1) & (a <= _small_enough(x)), _complement_near_zero),
        ((x <= 1.1) | (x < a), lambda a, x: 1 - _series(a, x)),
        (True, _fraction),
    )


def _undefined(a: Doubles, x: Doubles) -> NDArray[np.bool_]:
    both_end = ((a == 0) & (x == 0)) | (np.isinf(a) & np.isinf(x))
    return np.asarray(~((a >= 0) & (x >= 0)) | both_end)


def _is_uniform(a: Doubles, x: Doubles) -> NDArray[np.bool_]:
    return np.asarray((a > 100) & (np.abs(x - a) < 0.4 * a))


def _small_enough(x: Doubles) -> Doubles:
    """The a up to which P is more than about one half, so that 1 - P would cancel."""
    return np.where(x <= 0.5, -0.4 / np.log(x), 1.1 * x)


# ------------------------------------------------------------- the factor that all forms share


def _factor(a: Doubles, x: Doubles) -> Doubles:
    """x^a exp(-x) / Gamma(a + 1)."""
    return piecewise_of(
        (a, x),
        (a < 10, lambda a, x: np.exp(a * np.log(x) - x - lgamma(a + 1))),
        (True, _factor_large),
    )


def _factor_large(a: Doubles, x: Doubles) -> Doubles:
    """The same by Stirling's formula, in which large exponents do not cancel."""
    rest = polynomial(1 / (a * a), tables.LGAMMA_LARGE) / a
    exponent = -a * _excess((x - a) / a, x / a) - rest
    return np.exp(exponent) / np.sqrt(2 * np.pi * a)


# (u^2 / 2 - u^3 / 3 + u^4 / 4 ...) / u^2
EXCESS_SERIES = tuple((-1) ** k / k for k in range(2, 22))


def _excess(u: Doubles, one_plus_u: Doubles) -> Doubles:
    """u - log(1 + u), precise near 0."""
    series = u * u * polynomial(u, EXCESS_SERIES)
    return np.where(np.abs(u) < 0.15, series, u - np.log(one_plus_u))


# ------------------------------------------------------------------------ series and fraction


def _series(a: Doubles, x: Doubles) -> Doubles:
    """P = factor times the sum of x^n / ((a + 1) ... (a + n))."""
    term, total = np.ones(a.shape), np.ones(a.shape)
    for n in count(1):
        term = term * x / (a + n)
        total += term
        if np.all(term <= CLOSE * total):
            break
    return _factor(a, x) * total


def _complement_near_zero(a: Doubles, x: Doubles) -> Doubles:
    """Q = 1 - x^a / Gamma(a + 1) - x^a / Gamma(a) times the sum of (-x)^n / (n! (a + n))."""
    power, total = np.ones(a.shape), np.zeros(a.shape)
    for n in range(1, 22):  # x is at most 1.1
        power = power * -x / n
        total += power / (a + n)
    lgamma_a1 = piecewise(a, (a <= 1, lgamma_next), (True, lambda a: lgamma(a + 1)))
    exponent = a * np.log(x) - lgamma_a1
    return -np.expm1(exponent) - np.exp(exponent) * a * total


def _fraction(a: Doubles, x: Doubles) -> Doubles:
    """Q = a factor / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...))).

    By the modified Lentz method (Press et al., Numerical Recipes, section 5.2).
    """
    below = x + 1 - a
    ahead = np.full(a.shape, 1 / TINY)
    behind = 1 / below
    out = behind
    for n in range(1, 5000):
        above = -n * (n - a)
        below = below + 2
        behind = 1 / _not_zero(above * behind + below)
        ahead = _not_zero(below + above / ahead)
        change = behind * ahead
        out = out * change
        if not np.any(np.abs(change - 1) > CLOSE * 4):
            break
    return out * a * _factor(a, x)


def _not_zero(x: Doubles) -> Doubles:
    return np.where(np.abs(x) < TINY, TINY, x)


# -------------------------------------------------------------- Temme's expansion, a near x


def _uniform(a: Doubles, x: Doubles, side: int) -> Doubles:
    """P (side -1) or Q (side 1): erfc(side y sqrt(a / 2)) / 2 + side times a correction.

    y^2 / 2 = u - log(1 + u) with u = (x - a) / a, and y has the sign of u.
    """
    u = (x - a) / a
    excess = _excess(u, x / a)
    y = np.copysign(np.sqrt(2 * excess), u)
    correction = polynomial_of(1 / a, [polynomial(y, row) for row in _temme()])
    correction *= np.exp(-a * excess) / np.sqrt(2 * np.pi * a)
    return erfc(side * y * np.sqrt(a / 2)) / 2 + side * correction


def polynomial_of(x: Doubles, coefficients: list[Doubles]) -> Doubles:
    """Horner's rule with a coefficient for each element."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


@cache
def _temme(orders: int = 8, powers: int = 18) -> tuple[tuple[float, ...], ...]:
    """Coefficients d[k][n] of the expansion, exactly, then rounded (DLMF 8.12.8 to 8.12.12)."""
    width = powers + 2 * orders
    root = _inverse_excess(width + 2)
    first = [Fraction(-1, 3)] + [(n + 2) * root[n + 2] for n in range(1, width)]
    rows, stirling = [first], Fraction(1)
    odd = 1
    for k in range(1, orders):
        odd *= 2 * k + 1
        stirling = odd * root[2 * k + 1] * (-1) ** k
        last = rows[-1]
        rows.append([stirling * first[n] + (n + 2) * last[n + 2] for n in range(width - 2 * k)])
    return tuple(tuple(float(number) for number in row[:powers]) for row in rows)


def _inverse_excess(width: int) -> list[Fraction]:
    """Coefficients of u as a power series in y, from y (1 + u) = u u'."""
    root = [Fraction(0), Fraction(1)]
    for n in range(2, width):
        known = sum(root[i] * (n + 1 - i) * root[n + 1 - i] for i in range(2, n))
        root.append((root[n - 1] - known) / (n + 1))
    return root
