"""Reading and writing at computed positions along one dimension.

`take` reads whole slices; `gather` and the `scatter` family move single elements. Every index
is checked before anything is read or written, and negative ones are refused: a caller that
allows them adds the size first. Sums add in the order of the index, so they are reproducible.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


def take(x: Array, index: Array, *, dim: int) -> Array:
    """Slices of `x` along `dim`, in the order of `index`; the forward of an embedding.

    out[a, i, b] = x[a, index[i], b]

    Args:
        x: any shape with at least one dimension
        index: integers in [0, x.shape[dim]), any shape

    Returns:
        x.shape[:dim] + index.shape + x.shape[dim + 1:]

    Raises:
        IndexError: if an index is outside the dimension.

    >>> take(np.array([[1, 2], [3, 4], [5, 6]]), np.array([2, 0]), dim=0)
    array([[5, 6],
           [1, 2]])
    """
    check_index("take", index, x.shape[dim], dim)
    # Checked already; "clip" spares NumPy its own check and a buffer.
    return x.take(index, dim, None, "clip")


def take_grad(grad_out: Array, index: Array, *, dim: int, x_shape: Shape) -> Array:
    """Gradient of `take`: adds every slice back where it was read.

    Args:
        grad_out: x_shape[:dim] + index.shape + x_shape[dim + 1:]
        index: integers in [0, x_shape[dim])
        x_shape: shape of the result

    Raises:
        IndexError: if an index is outside the dimension.

    >>> grad_out = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    >>> take_grad(grad_out, np.array([2, 0, 2]), dim=0, x_shape=(3, 2))
    array([[2., 2.],
           [0., 0.],
           [5., 5.]])
    """
    dim %= len(x_shape)
    check_index("take_grad", index, x_shape[dim], dim)
    grad_x = np.zeros(tuple(x_shape), grad_out.dtype)
    before, after = prod(x_shape[:dim]), prod(x_shape[dim + 1 :])
    # (before, index, after): flat position of every element of grad_out inside grad_x
    rows = np.arange(before)[:, None] * x_shape[dim] + index.reshape(-1)
    flat = rows[..., None] * after + np.arange(after)
    # NumPy adds quickly at positions of a flat array, and slowly at those of any other.
    np.add.at(grad_x.reshape(-1), flat.reshape(-1), grad_out.reshape(-1))
    return grad_x


def gather(x: Array, index: Array, *, dim: int) -> Array:
    """Elements of `x` picked along `dim`, one for each element of `index`.

    out[i, j] = x[index[i, j], j]    for dim = 0

    Args:
        x: any shape
        index: as many dimensions as `x`; no larger than `x` except along `dim`

    Returns:
        the shape of `index`

    Raises:
        IndexError: if an index is outside the dimension.

    >>> gather(np.array([[1, 2], [3, 4]]), np.array([[0, 0], [1, 0]]), dim=1)
    array([[1, 1],
           [4, 3]])
    """
    if x.ndim == 0:
        check_index("gather", index, 1, 0)
        return np.broadcast_to(x, index.shape).copy()
    check_index("gather", index, x.shape[dim], dim)
    return x[_grid(index, dim)]


def scatter(x: Array, index: Array, src: Array, *, dim: int) -> Array:
    """A copy of `x` with elements of `src` written along `dim`; the last of equal places wins.

    out[index[i, j], j] = src[i, j]    for dim = 0

    Args:
        x: any shape
        index: as many dimensions as `x`; no larger than `x` except along `dim`
        src: at least as large as `index` in every dimension; the rest of it is not used

    Raises:
        IndexError: if an index is outside the dimension.

    >>> scatter(np.zeros(3), np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), dim=0)
    array([2., 0., 3.])
    """
    out, places, source = _scatter_parts("scatter", x, index, src, dim)
    out[places] = source
    return out.reshape(x.shape)


def scatter_add(x: Array, index: Array, src: Array, *, dim: int) -> Array:
    """A copy of `x` with elements of `src` added along `dim`; the gradient of `gather`.

    out[index[i, j], j] += src[i, j]    for dim = 0

    Args:
        x: any shape
        index: as many dimensions as `x`; no larger than `x` except along `dim`
        src: at least as large as `index` in every dimension; the rest of it is not used

    Raises:
        IndexError: if an index is outside the dimension.

    >>> scatter_add(np.ones(3), np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), dim=0)
    array([3., 1., 5.])
    """
    out, places, source = _scatter_parts("scatter_add", x, index, src, dim)
    np.add.at(out, places, source)
    return out.reshape(x.shape)


def scatter_reduce(
    x: Array, index: Array, src: Array, *, dim: int, reduce: str, include_self: bool = True
) -> Array:
    """A copy of `x` in which elements of `src` that meet at one place are reduced.

    Args:
        x, index, src, dim: as for `scatter`
        reduce: "sum", "prod", "mean", "amax" or "amin"
        include_self: whether the value already in `x` takes part

    Raises:
        IndexError: if an index is outside the dimension.
        ValueError: if the reduction is not one of the five.

    >>> src = np.array([1.0, 2.0, 5.0])
    >>> scatter_reduce(np.ones(3), np.array([2, 0, 2]), src, dim=0, reduce="mean")
    array([1.5       , 1.        , 2.33333333])
    """
    if reduce not in _REDUCTIONS:
        raise ValueError(
            f"[scatter_reduce] unknown reduction {reduce!r}; use one of {', '.join(_REDUCTIONS)}"
        )
    combine, identity = _REDUCTIONS[reduce]
    out, places, source = _scatter_parts("scatter_reduce", x, index, src, dim)
    if not include_self:
        out[places] = identity(x.dtype)
    combine.at(out, places, source)
    if reduce == "mean":
        _divide_by_count(out, places, include_self)
    return out.reshape(x.shape)


_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def check_index(name: str, index: Array, size: int, dim: int) -> None:
    """Refuses an index outside [0, size), saying which one and where it stands.

    Raises:
        IndexError: if an index is negative or not less than `size`.

    >>> check_index("gather", np.array([0, 7]), 4, 1)
    Traceback (most recent call last):
    IndexError: [gather] index 7 at position (1,) is outside dimension 1 of size 4; ...
    """
    if index.size == 0:
        return
    # Seen as unsigned, a negative number is too large as well: one comparison finds both.
    if index.dtype == _INT64:
        outside = np.maximum.reduce(index.view(_UINT64), None) >= size
    else:
        outside = int(index.min()) < 0 or int(index.max()) >= size
    if not outside:
        return
    wrong = (index < 0) | (index >= size)
    where = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), index.shape))
    valid = f"valid are 0 to {size - 1}" if size else "it has no elements"
    raise IndexError(
        f"[{name}] index {int(index[where])} at position {where} is outside dimension {dim} "
        f"of size {size}; {valid}"
    )


def _grid(index: Array, dim: int) -> tuple[Array, ...]:
    """Open coordinates that select, for every element of `index`, one element along `dim`."""
    dim %= index.ndim
    coordinates: list[Array] = []
    for axis, size in enumerate(index.shape):
        shape = (1,) * axis + (size,) + (1,) * (index.ndim - axis - 1)
        coordinates.append(index if axis == dim else np.arange(size).reshape(shape))
    return tuple(coordinates)


def _scatter_parts(
    name: str, x: Array, index: Array, src: Array, dim: int
) -> tuple[Array, Array, Array]:
    """A flat copy of `x`, the flat places to write, and what to write there."""
    if x.ndim == 0:
        x, index, src, dim = x.reshape(1), index.reshape(-1), src.reshape(-1), 0
    check_index(name, index, x.shape[dim], dim)
    flat = np.zeros((), np.int64)
    for coordinate, size in zip(_grid(index, dim), x.shape, strict=True):
        flat = flat * size + coordinate
    used = src[tuple(slice(0, size) for size in index.shape)]
    # Copied in row order whatever the strides of x, since the places are flat.
    out = np.array(x, order="C").reshape(-1)
    return out, flat.reshape(-1), used.reshape(-1).astype(x.dtype, copy=False)


def _divide_by_count(out: Array, places: Array, include_self: bool) -> None:
    """Turns sums into means, in place; integers round down as in PyTorch."""
    counts = np.bincount(places, minlength=out.size) + int(include_self)
    counts = np.maximum(counts, 1).astype(out.dtype)
    divide = np.divide if np.issubdtype(out.dtype, np.floating) else np.floor_divide
    divide(out, counts, out=out)


def _least(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return False
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


def _greatest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return True
    return np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max


def _zero(dtype: np.dtype[Any]) -> Any:
    return 0


def _one(dtype: np.dtype[Any]) -> Any:
    return 1


_REDUCTIONS: dict[str, tuple[np.ufunc, Callable[[np.dtype[Any]], Any]]] = {
    "sum": (np.add, _zero),
    "prod": (np.multiply, _one),
    "mean": (np.add, _zero),
    "amax": (np.maximum, _least),
    "amin": (np.minimum, _greatest),
}
