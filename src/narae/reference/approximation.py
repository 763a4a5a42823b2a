"""How the special functions are put together: ranges, polynomials, series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Doubles: TypeAlias = NDArray[np.float64]
Formula: TypeAlias = Callable[[Doubles], Doubles]
PairFormula: TypeAlias = Callable[[Doubles, Doubles], Doubles]

# Elements worked off at once: few enough that the steps of a formula stay in the fast caches.
PIECE = 8192


def elementwise(formula: Formula) -> Callable[[Array], Array]:
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


def pairwise(formula: PairFormula) -> Callable[[Any, Any], Array]:
    """The same for two operands that broadcast; one of them may be a number."""

    @wraps(formula)
    def wrapped(x: Any, y: Any) -> Array:
        dtype = getattr(x, "dtype", None) or y.dtype
        wide, other = np.broadcast_arrays(x, y)
        first, second = wide.reshape(-1), other.reshape(-1)
        out = np.empty(first.shape, dtype)
        with np.errstate(all="ignore"):
            for start in range(0, first.size, PIECE):
                part = slice(start, start + PIECE)
                out[part] = formula(
                    first[part].astype(np.float64, copy=False),
                    second[part].astype(np.float64, copy=False),
                )
        return out.reshape(wide.shape)

    return wrapped


def piecewise(x: Doubles, *ranges: tuple[Any, Formula]) -> Doubles:
    """Evaluates the formula of the first range that holds an element; NaN where none does.

    >>> piecewise(np.array([-2.0, 3.0]), (np.array([True, False]), np.abs), (True, np.sqrt))
    array([2.        , 1.73205081])
    """
    return piecewise_of((x,), *ranges)


def piecewise_of(operands: tuple[Doubles, ...], *ranges: tuple[Any, Any]) -> Doubles:
    """The same for a function of several operands of one shape."""
    shape = operands[0].shape
    out = np.full(shape, np.nan)
    left = np.ones(shape, bool)
    for inside, formula in ranges:
        here = np.flatnonzero(left & inside)  # positions are quicker to use than a mask
        if here.size == out.size:
            return formula(*operands)  # type: ignore[no-any-return]
        if here.size:
            out[here] = formula(*(x[here] for x in operands))
            left[here] = False
    return out


def polynomial(x: Doubles, coefficients: Sequence[float]) -> Doubles:
    """Horner's rule, lowest power first.

    >>> polynomial(np.array([2.0]), (1.0, 0.0, 3.0))
    array([13.])
    """
    total = np.full(x.shape, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def ratio(x: Doubles, above: Sequence[float], below: Sequence[float]) -> Doubles:
    """A rational function, lowest powers first.

    >>> ratio(np.array([2.0]), (1.0, 1.0), (0.0, 2.0))
    array([0.75])
    """
    quotient: Doubles = polynomial(x, above) / polynomial(x, below)
    return quotient


def chebyshev(x: Doubles, coefficients: Sequence[float]) -> Doubles:
    """Clenshaw's recurrence for a Chebyshev series on [-1, 1], lowest order first.

    >>> chebyshev(np.array([0.5]), (1.0, 2.0, 4.0))  # 1 + 2 x + 4 (2 x^2 - 1)
    array([0.])
    """
    twice, last, before = 2 * x, np.zeros(x.shape), np.zeros(x.shape)
    for coefficient in coefficients[:0:-1]:
        last, before = twice * last - before + coefficient, last
    return x * last - before + coefficients[0]
