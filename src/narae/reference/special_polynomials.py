"""Orthogonal polynomials in NumPy: three-term recurrences, from degree 0 and 1 upwards.

Source: NIST Digital Library of Mathematical Functions, table 18.9.1 and section 18.5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from narae.reference.approximation import Array, Doubles, pairwise, piecewise_of

First = Callable[[Doubles], Doubles]
# p[k + 1] from k, x, p[k] and p[k - 1]
Step = Callable[[int, Doubles, Doubles, Doubles], Doubles]


def _chebyshev_step(k: int, x: Doubles, p: Doubles, before: Doubles) -> Doubles:
    return 2 * x * p - before


# p[1], and the step; p[0] is 1 for all of them.
FAMILIES: dict[str, tuple[First, Step]] = {
    "chebyshev_t": (lambda x: x, _chebyshev_step),
    "chebyshev_u": (lambda x: 2 * x, _chebyshev_step),
    "chebyshev_v": (lambda x: 2 * x - 1, _chebyshev_step),
    "chebyshev_w": (lambda x: 2 * x + 1, _chebyshev_step),
    "hermite_h": (lambda x: 2 * x, lambda k, x, p, before: 2 * x * p - 2 * k * before),
    "hermite_he": (lambda x: x, lambda k, x, p, before: x * p - k * before),
    "laguerre_l": (
        lambda x: 1 - x,
        lambda k, x, p, before: ((2 * k + 1 - x) * p - k * before) / (k + 1),
    ),
    "legendre_p": (
        lambda x: x,
        lambda k, x, p, before: ((2 * k + 1) * x * p - k * before) / (k + 1),
    ),
}

# Chebyshev polynomials of high degree within [-1, 1], from n and the angle whose cosine is x
WAVES: dict[str, Callable[[Doubles, Doubles], Doubles]] = {
    "chebyshev_t": lambda n, angle: np.cos(n * angle),
    "chebyshev_u": lambda n, angle: np.sin((n + 1) * angle) / np.sin(angle),
    "chebyshev_v": lambda n, angle: np.cos((n + 0.5) * angle) / np.cos(angle / 2),
    "chebyshev_w": lambda n, angle: np.sin((n + 0.5) * angle) / np.sin(angle / 2),
}
HIGH = 32
HERMITE_LIMIT = 512


def orthogonal_polynomial(x: Any, n: Any, *, family: str) -> Array:
    """Value at x of the polynomial of degree n; degrees are cut to whole numbers, below 0 gives 0.

    >>> orthogonal_polynomial(np.array([0.5]), np.array([3.0]), family="legendre_p")
    array([-0.4375])
    """
    return _evaluation(family)(x, n)


@cache
def _evaluation(family: str) -> Callable[[Any, Any], Array]:
    base = family.removeprefix("shifted_")

    def formula(x: Doubles, n: Doubles) -> Doubles:
        if base is not family:
            x = 2 * x - 1
        degree = np.trunc(np.where(np.isfinite(n), n, -1))
        high = (degree > HIGH) & (np.abs(x) < 1) & (base in WAVES)
        overflows = (degree > HERMITE_LIMIT) & base.startswith("hermite")
        return piecewise_of(
            (x, degree),
            (degree < 0, lambda x, n: np.zeros(x.shape)),
            (overflows, lambda x, n: np.full(x.shape, np.nan)),
            (high, lambda x, n: WAVES[base](n, np.arccos(x))),
            (True, lambda x, n: _climb(base, x, n)),
        )

    return pairwise(formula)


def _climb(family: str, x: Doubles, degree: Doubles) -> Doubles:
    """The recurrence up to the highest degree asked for, each value kept at its own."""
    first, step = FAMILIES[family]
    before, p = np.ones(x.shape), first(x)
    out = np.where(degree == 0, before, p)
    for k in range(1, int(degree.max(initial=0))):
        before, p = p, step(k, x, p, before)
        out = np.where(degree == k + 1, p, out)
    return out
