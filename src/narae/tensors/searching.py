"""Where something holds: results whose size depends on the numbers."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import DTypeError, ShapeError, TraceError
from narae.base.places import user_line
from narae.base.shapes import contiguous_strides

from .creation import constant
from .eager import apply
from .modes import modes
from .operands import deliver
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


def nonzero_static(
    input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None
) -> Tensor:
    """The first `size` rows of `nonzero`, filled up where there are fewer.

    Args:
        input: any shape.
        size: how many rows the result has.
        fill_value: what stands in rows that no element fills.
        out: where the result is written.

    >>> import narae
    >>> narae.nonzero_static(narae.tensor([0, 5, 7]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise ShapeError(f"[nonzero_static] size is {size}; it must be a non-negative number")
    found = nonzero(input)._array[:size]
    rows = np.full((size, found.shape[1]), fill_value, np.int64)
    rows[: len(found)] = found
    made = constant(rows)
    return made if out is None else deliver(made, out, "nonzero_static")


# --- positions -------------------------------------------------------------------------------


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions in row-major order as one index for each dimension of `shape`.

    Args:
        indices: integers from 0 to the number of elements of `shape`, less 1.
        shape: the sizes; a number for one dimension.

    >>> import narae
    >>> narae.unravel_index(narae.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices._value.dtype.kind not in "iu":
        raise DTypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(size, int) or size < 0 for size in sizes):
        raise ShapeError(f"[unravel_index] 'shape' cannot have negative values, but got {sizes}")
    steps = contiguous_strides(sizes)
    pairs = zip(steps, sizes, strict=True)
    return tuple([apply(p.remainder, _whole(indices, step), size) for step, size in pairs])


def _whole(x: Tensor, step: int) -> Tensor:
    return x if step == 1 else apply(p.floor_divide, x, step)


__all__ = ["argwhere", "nonzero", "nonzero_static", "unravel_index"]
METHODS = ["argwhere", "nonzero", "nonzero_static"]
