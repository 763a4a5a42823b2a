"""Direct NumPy forms of means, variances, softmax and log-sum-exp."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

Array = Any
# Untyped: all arguments by position, which is quicker than by name, has no overload.
add_reduce: Any = np.add.reduce
max_reduce: Any = np.maximum.reduce
min_reduce: Any = np.minimum.reduce


def mean(x: Array, *, dim: Any, keepdim: bool) -> Array:
    """The sum divided by the count."""
    total = add_reduce(x, dim, x.dtype, None, keepdim)
    return total / _count(x, dim)


def _count(x: Array, dim: Any) -> Any:
    return x.dtype.type(math.prod([x.shape[place] for place in dim]))


def var(x: Array, *, dim: Any, correction: float, keepdim: bool) -> Array:
    """Two passes: the mean, then the squares of the distances from it."""
    centred = np.asarray(x - mean(x, dim=dim, keepdim=True))
    np.multiply(centred, centred, out=centred)
    freedom = max(_count(x, dim) - correction, 0)
    return add_reduce(centred, dim, x.dtype, None, keepdim) / x.dtype.type(freedom)


def std(x: Array, *, dim: Any, correction: float, keepdim: bool) -> Array:
    """The square root of the variance."""
    return np.sqrt(var(x, dim=dim, correction=correction, keepdim=keepdim))


def softmax(x: Array, *, dim: int) -> Array:
    """exp(x - largest), divided by its sum."""
    if x.shape[dim] == 0:
        return x.copy()
    powers = x - max_reduce(x, dim, None, None, True)
    np.exp(powers, out=powers)
    powers /= add_reduce(powers, dim, None, None, True)
    return powers


def log_softmax(x: Array, *, dim: int) -> Array:
    """x - largest - log of the sum of their exponentials."""
    if x.shape[dim] == 0:
        return x.copy()
    shifted = x - max_reduce(x, dim, None, None, True)
    total = add_reduce(np.exp(shifted), dim, None, None, True)
    shifted -= np.log(total)
    return shifted


def logcumsumexp(x: Array, *, dim: int) -> Array:
    """The logarithm of the running sum of exponentials, kept as a logarithm throughout."""
    return np.logaddexp.accumulate(x, dim)


def max_with_index(x: Array, *, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The largest, and the first place where it is."""
    return max_reduce(x, dim, None, None, keepdim), x.argmax(dim, keepdims=keepdim)


def min_with_index(x: Array, *, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The smallest, and the first place where it is."""
    return min_reduce(x, dim, None, None, keepdim), x.argmin(dim, keepdims=keepdim)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.mean: mean,
    p.var: var,
    p.std: std,
    p.softmax: softmax,
    p.log_softmax: log_softmax,
    p.logcumsumexp: logcumsumexp,
    p.max_with_index: max_with_index,
    p.min_with_index: min_with_index,
}
