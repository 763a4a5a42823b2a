"""Direct NumPy forms of composed views and of the affine map."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import BoundsError, ShapeError, explain

from .indexing import scatter_reduce

Array = Any


def select(x: Array, *, dim: int, index: int) -> Array:
    """A view; the ellipsis keeps it an array when no dimension is left."""
    return x[(slice(None),) * dim + (index, ...)]


def unsqueeze(x: Array, *, dim: int) -> Array:
    """A view."""
    return x[(slice(None),) * dim + (None,)]


def squeeze(x: Array, *, dim: Any) -> Array:
    """A view."""
    return x.squeeze(dim)


def transpose(x: Array, *, dim0: int, dim1: int) -> Array:
    """A view."""
    return x.swapaxes(dim0, dim1)


def as_strided(x: Array, *, size: Any, stride: Any, offset: int) -> Array:
    """A view of the memory of a contiguous array.

    Raises:
        ValueError: if x is not contiguous.
        IndexError: if an element would lie outside of x.
    """
    if not x.flags.c_contiguous:
        raise ShapeError(
            explain(
                "as_strided",
                f"the operand is {x.shape} with strides {x.strides} in bytes",
                "it must be contiguous",
                "call contiguous() first",
            )
        )
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= x.size:
        raise BoundsError(
            explain(
                "as_strided",
                f"size {list(size)}, stride {list(stride)}, offset {offset} reach element {last}",
                f"out of bounds for storage of {x.size} elements",
            )
        )
    strides = tuple(step * x.itemsize for step in stride)
    flat = x.reshape(-1)[offset:]
    return np.lib.stride_tricks.as_strided(flat, size, strides, writeable=x.flags.writeable)


def stack(*xs: Array, dim: int) -> Array:
    """Along a new dimension."""
    return np.stack(xs, dim)


def linear(x: Array, w: Array, b: Array) -> Array:
    """One matrix product; b is added in place."""
    out = linear_without_bias(x, w)
    out += b
    return out


def linear_without_bias(x: Array, w: Array) -> Array:
    """One matrix product for all leading dimensions together."""
    if x.ndim == 2:
        return x @ w.T
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ w.T).reshape(*x.shape[:-1], w.shape[0])


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.select: select,
    p.unsqueeze: unsqueeze,
    p.squeeze: squeeze,
    p.squeeze_all: squeeze,
    p.transpose: transpose,
    p.t: transpose,
    p.as_strided: as_strided,
    p.stack: stack,
    p.scatter_reduce: scatter_reduce,
    p.linear: linear,
    p.linear_without_bias: linear_without_bias,
}
