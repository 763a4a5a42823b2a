"""Where something holds: results whose size depends on the numbers."""

from typing import Any

import numpy as np

from narae.base.errors import DTypeError, TraceError
from narae.base.places import user_line

from .creation import constant
from .modes import modes
from .tensor import Tensor


def _numbers(input: Tensor, what: str) -> Any:
    if modes.trace is not None:
        raise TraceError(
            f"[{what}] at {user_line()} the size of the result depends on numbers, and a program "
            "has none until it runs. Fix: use narae.where or a mask, which keep the shape"
        )
    return input._array


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not zero.

    Args:
        input: any shape.
        as_tuple: one vector for each dimension, fit for indexing, instead of one matrix.

    Returns:
        int64 (count, dimensions), or a tuple of vectors.

    >>> import narae
    >>> narae.nonzero(narae.tensor([0, 5, 0, 7]))
    tensor([[1],
            [3]])
    """
    array = _numbers(input, "nonzero")
    if as_tuple:
        return tuple([constant(places) for places in np.nonzero(np.atleast_1d(array))])
    if array.ndim == 0:
        return constant(np.zeros((int(array != 0), 0), np.int64))
    return constant(np.ascontiguousarray(np.argwhere(array)))


def argwhere(input: Tensor) -> Tensor:
    """The indices of all elements that are not zero, one a row."""
    return nonzero(input)  # type: ignore[no-any-return]


def check_mask_dtype(what: str, mask: Tensor) -> None:
    """Refuse masks that are not bool."""
    if mask._value.dtype.kind != "b":
        raise DTypeError(
            f"[{what}] {what} only supports boolean masks, but got mask with dtype {mask.dtype}. "
            "Fix: mask.bool()"
        )


__all__ = ["argwhere", "nonzero"]
METHODS = __all__
