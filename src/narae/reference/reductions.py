"""Reductions, running totals and generators in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

Array = Any
# Untyped: all arguments by position, which is quicker than by name, has no overload.
add_reduce: Any = np.add.reduce
mul_reduce: Any = np.multiply.reduce
max_reduce: Any = np.maximum.reduce
min_reduce: Any = np.minimum.reduce


def sum_(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """NumPy's pairwise sum; the dtype stays."""
    return add_reduce(x, dim, x.dtype, None, keepdim)


def prod(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The product; the dtype stays."""
    return mul_reduce(x, dim, x.dtype, None, keepdim)


def amax(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The largest."""
    return max_reduce(x, dim, None, None, keepdim)


def amin(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The smallest."""
    return min_reduce(x, dim, None, None, keepdim)


def argmax(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The first index of the largest, or of the first NaN."""
    return _arg(np.argmax, x, dim, keepdim)


def argmin(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The first index of the smallest, or of the first NaN."""
    return _arg(np.argmin, x, dim, keepdim)


def _arg(function: Any, x: Array, dim: Any, keepdim: bool) -> Array:
    if len(dim) == 1:
        return function(x, axis=dim[0], keepdims=keepdim)
    return np.asarray(function(x)).reshape((1,) * x.ndim if keepdim else ())


def cumsum(x: Array, *, dim: int) -> Array:
    """Running sum; float32 is summed in float64, as PyTorch does; the dtype stays."""
    return _accumulate(np.add, x, dim)


def cumprod(x: Array, *, dim: int) -> Array:
    """Running product; float32 is multiplied in float64, as PyTorch does; the dtype stays."""
    return _accumulate(np.multiply, x, dim)


def _accumulate(combine: np.ufunc, x: Array, dim: int) -> Array:
    wide = np.float64 if x.dtype == np.float32 else x.dtype
    return combine.accumulate(x, dim, wide).astype(x.dtype, copy=False)


def full(*, shape: Any, value: Any, dtype: Any) -> Array:
    """One number everywhere."""
    if value == 0:
        return np.zeros(shape, dtype)
    return np.full(shape, value, dtype)


def iota(*, size: int, dtype: Any) -> Array:
    """0, 1, 2, …"""
    return np.arange(size).astype(dtype)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.sum_: sum_,
    p.prod: prod,
    p.amax: amax,
    p.amin: amin,
    p.argmax: argmax,
    p.argmin: argmin,
    p.cumsum: cumsum,
    p.cumprod: cumprod,
    p.full: full,
    p.iota: iota,
}
