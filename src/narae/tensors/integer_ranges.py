"""Which integers a random draw may return for each dtype, as PyTorch's `random_` decides it."""

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from ..base.dtypes import NumpyDType, is_floating
from ..base.errors import DataError, DTypeError, explain

_finfo: Any = ml_dtypes.finfo
_INT64 = np.iinfo(np.int64)
_WITHOUT_DRAWS = tuple(np.dtype(kind) for kind in (np.uint16, np.uint32, np.uint64))


@cache
def significant_bits(kind: NumpyDType) -> int:
    """Return the bits of a floating point dtype's significand: all integers below 2**bits fit.

    >>> significant_bits(np.dtype(np.float32))
    24
    """
    return int(_finfo(kind).nmant) + 1


@cache
def largest_value(kind: NumpyDType) -> float:
    """Return the largest finite number of a floating point dtype.

    >>> largest_value(np.dtype(np.float16))
    65504.0
    """
    return float(_finfo(kind).max)


def check_drawable(what: str, kind: NumpyDType, allow_bool: bool = True) -> None:
    """Raise DTypeError for the dtypes that PyTorch has no such draw for."""
    if kind in _WITHOUT_DRAWS or (kind == np.bool_ and not allow_bool):
        rule = "the draw has no meaning in PyTorch for this dtype"
        raise DTypeError(explain(what, f"dtype is {kind}", rule, "draw int64, then convert"))


def full_range_limit(kind: NumpyDType) -> int:
    """Return the open end of a draw over all numbers of a dtype that are not negative.

    >>> full_range_limit(np.dtype(np.int8)), full_range_limit(np.dtype(np.float16))
    (128, 2049)
    """
    check_drawable("random_", kind)
    if is_floating(kind):
        return int(2 ** significant_bits(kind)) + 1
    return _bounds(kind)[1] + 1


def integer_range(kind: NumpyDType, low: int, high: int | None) -> tuple[int, int]:
    """Return the first integer and the number of integers in [low, high) that a dtype can show.

    Args:
        high: the open end; None goes on to the dtype's largest number (2**bits for floats).

    Raises:
        DataError: an empty range, or an end outside the dtype.

    >>> integer_range(np.dtype(np.uint8), 5, None)
    (5, 251)
    """
    given = f"low is {low}, high is {high}, dtype is {kind}"
    if high is None and low == _INT64.min:
        _check_whole_int64(kind, given)
        return low, 2**64
    if high is None:
        first, last = _up(kind, low), _largest_whole(kind)
    else:
        first, last = _up(kind, low), _down(kind, high) - 1
    if first > last:
        rule = "integers come from [low, high), so low is below high"
        raise DataError(explain("randint", given, rule, "raise high, or swap the two"))
    smallest, largest = _bounds(kind)
    if first < smallest or last > largest:
        rule = f"{kind} holds {smallest} to {largest}"
        raise DataError(explain("randint", given, rule, "narrow the range or widen the dtype"))
    return first, last - first + 1


def _check_whole_int64(kind: NumpyDType, given: str) -> None:
    if kind == np.int64 or (is_floating(kind) and kind != np.float16):
        return
    rule = "only int64, float64, float32 and bfloat16 span all 64-bit integers"
    raise DataError(explain("randint", given, rule, "give high, or another dtype"))


def _bounds(kind: NumpyDType) -> tuple[int, int]:
    """The smallest and the largest integer, within int64, that a dtype holds."""
    if kind == np.bool_:
        return 0, 1
    if is_floating(kind):
        largest = int(largest_value(kind))
        return max(-largest, _INT64.min), min(largest, _INT64.max)
    return int(np.iinfo(kind).min), min(int(np.iinfo(kind).max), _INT64.max)


def _largest_whole(kind: NumpyDType) -> int:
    return int(2 ** significant_bits(kind)) if is_floating(kind) else _bounds(kind)[1]


def _up(kind: NumpyDType, low: int) -> int:
    """Move low to a number of a floating dtype, so that rounding cannot fall below it."""
    rounded = _rounded(kind, low + 1)
    return low if rounded is None or rounded >= low else rounded + _spacing(kind, low + 1)


def _down(kind: NumpyDType, high: int) -> int:
    """Move high to a number of a floating dtype, so that rounding cannot reach it."""
    rounded = _rounded(kind, high - 1)
    return high if rounded is None or rounded < high else rounded - _spacing(kind, high - 1)


def _rounded(kind: NumpyDType, value: int) -> int | None:
    """The value as a floating dtype holds it; None for integer dtypes and for overflow."""
    if not is_floating(kind):
        return None
    single = value if kind == np.float64 else np.float32(value)
    with np.errstate(over="ignore"):
        near = float(np.asarray(single).astype(kind))
    return int(near) if np.isfinite(near) else None


def _spacing(kind: NumpyDType, value: int) -> int:
    """The distance between neighbours of a floating dtype at a value."""
    return int(2 ** max(abs(value).bit_length() - significant_bits(kind), 0))
