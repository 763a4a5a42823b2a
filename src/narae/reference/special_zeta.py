"""Hurwitz's zeta function in NumPy."""

from __future__ import annotations

from math import factorial

import numpy as np

from narae.reference import special_tables as tables
from narae.reference.approximation import Doubles, pairwise, piecewise_of

START = 10


@pairwise
def zeta(x: Doubles, q: Doubles) -> Doubles:
    """Sum over k >= 0 of 1 / (k + q)^x, for x > 1.

    NaN for x < 1, and for q < 0 unless x is whole; infinite for x = 1 and at q = 0, -1, ...

    >>> zeta(np.array([2.0, 4.0]), np.array([1.0, 1.0]))
    array([1.64493407, 1.08232323])
    """
    at_pole = (q <= 0) & (q == np.floor(q))
    return piecewise_of(
        (x, q),
        ((x == 1) | ((x > 1) & at_pole), lambda x, q: np.full(x.shape, np.inf)),
        ((x > 1) & (q > 0), _positive),
        ((x > 1) & (x == np.floor(x)) & (q < 0), _negative),
    )


def _positive(x: Doubles, q: Doubles) -> Doubles:
    """Ten terms, then the Euler-Maclaurin formula for the rest of the sum."""
    total = np.zeros(x.shape)
    for k in range(START):
        total += (q + k) ** -x
    w = q + START
    rising, power = x, w**-x
    rest = power * (w / (x - 1) + 0.5)
    for k, bernoulli in enumerate(tables.BERNOULLI, start=1):
        power = power / (w if k == 1 else w * w)
        rest += bernoulli / factorial(2 * k) * rising * power
        rising = rising * (x + (2 * k - 1)) * (x + 2 * k)
    return total + np.where(rest == rest, rest, 0)  # 0 times infinity for a huge x


def _negative(x: Doubles, q: Doubles) -> Doubles:
    """The terms below zero are those of two other sums, with the sign (-1)^x."""
    above = q - np.floor(q)
    below = _positive(x, 1 - above) - _positive(x, 1 - q)
    return _positive(x, above) + np.where(x % 2 == 0, below, -below)
