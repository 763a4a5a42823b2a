"""The words of the array API standard: `axis` and `keepdims` for `dim` and `keepdim`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from narae.base import dtypes
from narae.base.dtypes import as_numpy

from ..eager import as_operand, converted, no_number
from ..operands import common
from ..tensor import Tensor

_WORDS = {"axis": "dim", "keepdims": "keepdim", "axes": "dims"}
_OURS = {ours: theirs for theirs, ours in _WORDS.items()}


def standard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be called, and shown, with the standard's names of its parameters.

    before: def sum(x, /, *, dim=None, keepdim=False)
    after:  sum(x, axis=0, keepdims=True)
    """

    @functools.wraps(function)
    def adapted(*operands: Any, **options: Any) -> Any:
        return function(*operands, **{_WORDS.get(name, name): x for name, x in options.items()})

    shown = inspect.signature(function)
    renamed = [x.replace(name=_OURS.get(x.name, x.name)) for x in shown.parameters.values()]
    adapted.__signature__ = shown.replace(parameters=renamed)  # type: ignore[attr-defined]
    return adapted


def of_one(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """A function of one array."""

    def applied(x: Tensor, /) -> Tensor:
        return function(x)

    applied.__name__ = applied.__qualname__ = name
    applied.__doc__ = function.__doc__
    return applied


def paired(first: Any, second: Any, name: str) -> tuple[Tensor, Tensor]:
    """Two arrays in the dtype that the standard says, whatever their shapes.

    PyTorch lets a 0-d tensor follow one with dimensions; the standard looks at dtypes alone. A
    Python number follows its array in both.
    """
    x, y = as_operand(first, name), as_operand(second, name)
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        dtype = dtypes.promote_types(x._value.dtype, y._value.dtype)
        return converted(x, dtype), converted(y, dtype)
    x, y = common(name, x, y)
    known = x if isinstance(x, Tensor) else y
    dtype = known._value.dtype
    return no_number(x, dtype), no_number(y, dtype)


def of_two(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """A function of two arrays, or of an array and a number."""

    def applied(x1: Any, x2: Any, /) -> Tensor:
        return function(*paired(x1, x2, name))

    applied.__name__ = applied.__qualname__ = name
    applied.__doc__ = function.__doc__
    return applied


def dims_given(dim: Any) -> tuple[int, ...] | None:
    """A tuple of dimensions; None for all."""
    if dim is None:
        return None
    return (dim,) if isinstance(dim, int) else tuple(dim)


def summing_dtype(x: Tensor, dtype: Any) -> Any:
    """The dtype of sums and products: that asked for, else at least 64 bits for integers."""
    if dtype is not None:
        return as_numpy(dtype)
    kind = x._value.dtype.kind
    if kind == "u":
        return np.dtype(np.uint64)
    return np.dtype(np.int64) if kind in "ib" else x._value.dtype
