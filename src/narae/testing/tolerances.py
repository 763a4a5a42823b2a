"""How closely two frameworks must agree, by dtype, and the comparison that applies it.

Numbers agree when |actual − expected| ≤ rtol · |expected| + atol · max(1, largest |expected|): sums
in another order differ by rounding errors of the size of the largest term, not of the result.
"""

from typing import Any, NamedTuple

import numpy as np

from .convert import Array, dtype_name, to_numpy


class Tolerance(NamedTuple):
    """Allowed differences: relative to the number, and relative to the largest of its tensor."""

    rtol: float
    atol: float


EXACT = Tolerance(0.0, 0.0)
TOLERANCES = {
    "float64": Tolerance(rtol=1e-9, atol=1e-11),
    "float32": Tolerance(rtol=4e-6, atol=2e-6),
    "float16": Tolerance(rtol=2e-3, atol=1e-3),  # 2**-10 is one unit in the last place
    "bfloat16": Tolerance(rtol=1.6e-2, atol=8e-3),  # 2**-7
}


def tolerance_of(dtype: Any) -> Tolerance:
    """The tolerance of a dtype; integers and bools must be equal.

    >>> tolerance_of("int64")
    Tolerance(rtol=0.0, atol=0.0)
    """
    return TOLERANCES.get(dtype_name(dtype), EXACT)


def difference(
    actual: Any, expected: Any, tolerance: Tolerance | None = None, truth: Any = None
) -> str:
    """What is different between two results, in words; empty when they agree.

    Args:
        actual: a tensor, an array or a number.
        expected: the oracle's tensor, array or number.
        tolerance: by default that of the expected dtype.
        truth: the oracle's answer in float64 to the same numbers. Where the oracle itself is off
            by more than the tolerance, it is enough to be no farther from the truth than it is at
            its worst.
    """
    found, wanted = to_numpy(actual), to_numpy(expected)
    if found.dtype != wanted.dtype:
        return f"dtype is {found.dtype}, expected {wanted.dtype}"
    if found.shape != wanted.shape:
        return f"shape is {found.shape}, expected {wanted.shape}"
    if not wanted.size:
        return ""
    if wanted.dtype.kind in "biu":
        return _in_words(found != wanted, found, wanted)
    tolerance = tolerance or tolerance_of(wanted.dtype)
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    wrong = _too_far(found, wanted, tolerance)
    if truth is not None and wrong.any():
        wrong &= ~_no_farther(found, wanted, np.asarray(to_numpy(truth), np.float64), tolerance)
    return _in_words(wrong, found, wanted)


def _no_farther(found: Array, wanted: Array, truth: Array, tolerance: Tolerance) -> Array:
    """Where a result is as near to the truth as the oracle is at its worst."""
    if truth.shape != found.shape:
        return np.zeros(found.shape, bool)
    with np.errstate(invalid="ignore"):
        mine, its = np.abs(found - truth), np.abs(wanted - truth)
    worst = its[np.isfinite(its)].max(initial=0.0)
    finite = np.isfinite(truth)
    nearer = np.where(finite, (mine <= worst) | (mine <= its), mine <= its)
    return np.asarray(nearer | ~_too_far(found, truth, tolerance))


def _in_words(wrong: Array, found: Array, wanted: Array) -> str:
    if not wrong.any():
        return ""
    worst = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return (
        f"{int(wrong.sum())} of {wrong.size} values differ, first at {tuple(map(int, worst))}: "
        f"{found[worst]!r}, expected {wanted[worst]!r}"
    )


def _too_far(found: Array, wanted: Array, tolerance: Tolerance) -> Array:
    finite = np.isfinite(wanted) & np.isfinite(found)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    largest = float(np.abs(wanted[finite]).max(initial=1.0))
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = tolerance.rtol * np.abs(wanted) + tolerance.atol * largest
        close = finite & (np.abs(found - wanted) <= allowed)
    return np.asarray(~(same | close))


def assert_agrees(
    actual: Any, expected: Any, what: str = "result", tolerance: Tolerance | None = None
) -> None:
    """Compare values, dtype and shape.

    Raises:
        AssertionError: naming the first difference.

    >>> assert_agrees(np.float64([1.0]), np.float64([1.0 + 1e-13]))
    """
    problem = difference(actual, expected, tolerance)
    if problem:
        raise AssertionError(f"{what}: {problem}")
