"""Differences of neighbours: `diff`, and numerical derivatives of sampled functions."""

from collections.abc import Sequence
from typing import Any

from narae import primitives as p
from narae.base.dtypes import default_dtype, is_floating
from narae.base.errors import ShapeError, explain
from narae.base.shapes import normalize_dim, normalize_dims

from .arithmetic import sub
from .eager import apply, converted
from .joining import cat
from .movement import narrow, reshape, slice_dim
from .operands import deliver
from .tensor import Tensor


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours along `dim`, taken n times: out[i] = x[i + 1] - x[i].

    Args:
        input: at least one dimension; bools give `x[i + 1] != x[i]`.
        n: how often.
        dim: the dimension, which gets shorter by n.
        prepend, append: what to put before and after the input first.
        out: where the result is written.

    >>> import narae
    >>> narae.diff(narae.tensor([1, 4, 9, 16])), narae.diff(narae.tensor([1, 4, 9, 16]), 2)
    (tensor([3, 5, 7]), tensor([2, 2]))
    """
    shape = input._value.shape
    if not shape:
        raise ShapeError("[diff] diff expects input to be at least one-dimensional")
    dim = normalize_dim(dim, len(shape), "diff")
    if n < 0:
        raise ShapeError(f"[diff] order must be non-negative but got {n}")
    for extra in (prepend, append):
        _check_ends(input, extra, dim)
    parts = [part for part in (prepend, input, append) if part is not None]
    if n == 0:
        x = apply(p.copy, input)  # as in PyTorch, without what stands before and after
    else:
        x = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, x._value.shape[dim])):
        x = _neighbours(x, dim)
    return x if out is None else deliver(x, out, "diff")


def _neighbours(x: Tensor, dim: int) -> Tensor:
    size = x._value.shape[dim]
    after, before = slice_dim(x, dim, min(1, size), size), slice_dim(x, dim, 0, max(size - 1, 0))
    different = x._value.dtype.kind == "b"
    return apply(p.ne, after, before) if different else sub(after, before)


def _check_ends(input: Tensor, extra: Tensor | None, dim: int) -> None:
    if extra is None:
        return
    shape, found = tuple(input._value.shape), tuple(extra._value.shape)
    rest = [shape[:dim] + shape[dim + 1 :], found[:dim] + found[dim + 1 :]]
    if len(shape) != len(found) or rest[0] != rest[1]:
        raise ShapeError(
            explain(
                "diff",
                f"the input is {shape}, prepend or append is {found}",
                "diff expects the shape of the tensor to prepend or append to match that of input "
                "except along the differencing dimension",
            )
        )


# --- numerical derivatives -------------------------------------------------------------------


def gradient(
    input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives of a function, estimated from its values at the points of a grid.

    Inside, with the distances l to the point before and r to the point after,

        g'(x) = (l^2 g(x + r) - r^2 g(x - l) + (r^2 - l^2) g(x)) / (r l^2 + r^2 l)

    Args:
        input: the values g(x), one dimension for each coordinate.
        spacing: the distance between neighbours, one for each dimension, or a vector of
            coordinates for each dimension.
        dim: the dimensions to differentiate in; all by default.
        edge_order: 1 or 2, the order of the one-sided estimate at both ends.

    Returns:
        One tensor for each dimension.

    >>> import narae
    >>> x = narae.tensor([1.0, 4.0, 9.0, 16.0])
    >>> narae.gradient(x)
    (tensor([3., 4., 6., 7.]),)
    """
    rank = input._value.ndim
    wanted = None if dim is None else ([dim] if isinstance(dim, int) else list(dim))
    if wanted is not None:
        normalize_dims(wanted, rank, "gradient")
    dims = range(rank) if wanted is None else [normalize_dim(place, rank) for place in wanted]
    spaces = _spaces(spacing, len(dims), dim)
    if edge_order not in (1, 2):
        raise ShapeError(
            f"[gradient] edge_order is {edge_order}; torch.gradient only supports edge_order=1 and "
            "edge_order=2."
        )
    for place in dims:
        _check_points(input, place, edge_order)
    x = input if is_floating(input._value.dtype) else converted(input, default_dtype())
    pairs = zip(dims, spaces, strict=True)
    return tuple([_derivative(x, place, space, edge_order) for place, space in pairs])


def _spaces(spacing: Any, count: int, dim: Any) -> list[Any]:
    """A number or a vector of coordinates for each dimension."""
    if spacing is None:
        return [1.0] * count
    if not isinstance(spacing, Sequence):
        return [spacing] * count
    if len(spacing) != count or isinstance(dim, int):
        raise ShapeError(
            explain(
                "gradient",
                f"spacing has {len(spacing)} entries for {count} dimensions",
                "gradient expected spacing to be unspecified, a scalar, or a list of the same "
                "length as dim",
            )
        )
    return list(spacing)


def _check_points(input: Tensor, dim: int, edge_order: int) -> None:
    size = input._value.shape[dim] if input._value.ndim else 1
    if size < edge_order + 1:
        raise ShapeError(
            explain(
                "gradient",
                f"the tensor is {tuple(input._value.shape)}",
                f"gradient expected each dimension size to be at least edge_order+1, and dimension "
                f"{dim} has {size}",
            )
        )


def _derivative(x: Tensor, dim: int, space: Any, edge_order: int) -> Tensor:
    size, rank = x._value.shape[dim], x._value.ndim
    if isinstance(space, Tensor):
        steps = _steps(space, size, dim, rank, x._value.dtype)
    else:
        steps = None
    parts = [_edge(x, dim, steps, space, edge_order, False)]
    if size > 2:
        parts.append(_inside(x, dim, steps, space))
    parts.append(_edge(x, dim, steps, space, edge_order, True))
    return cat(parts, dim)


def _steps(points: Tensor, size: int, dim: int, rank: int, dtype: Any) -> Tensor:
    """The distances of neighbours, ready to broadcast along the other dimensions."""
    if tuple(points._value.shape) != (size,):
        raise ShapeError(
            explain(
                "gradient",
                f"dimension {dim} has {size} points, the coordinates are "
                f"{tuple(points._value.shape)}",
                "gradient expected each element of spacing to have as many elements as the "
                "dimension",
            )
        )
    line = (1,) * dim + (size - 1,) + (1,) * (rank - dim - 1)
    return reshape(diff(converted(points, dtype)), line)


def _inside(x: Tensor, dim: int, steps: Any, space: Any) -> Tensor:
    size = x._value.shape[dim]
    before, here, after = (narrow(x, dim, first, size - 2) for first in range(3))
    if steps is None:
        return (after - before) / (2 * space)  # type: ignore[no-any-return]
    left, right = narrow(steps, dim, 0, size - 2), narrow(steps, dim, 1, size - 2)
    whole = left + right
    return (
        before * (-right / (left * whole))
        + here * ((right - left) / (left * right))
        + after * (left / (right * whole))
    )


def _edge(x: Tensor, dim: int, steps: Any, space: Any, order: int, last: bool) -> Tensor:
    """The one-sided estimate at the first or the last point."""
    size = x._value.shape[dim]

    def point(distance: int) -> Tensor:
        return narrow(x, dim, size - 1 - distance if last else distance, 1)

    def step(distance: int) -> Any:
        if steps is None:
            return space
        return narrow(steps, dim, size - 2 - distance if last else distance, 1)

    first = step(0)
    if order == 1:
        slope = (point(1) - point(0)) / first
    else:
        second = step(1)
        whole = first + second
        slope = (
            point(0) * (-(first + whole) / (first * whole))
            + point(1) * (whole / (first * second))
            - point(2) * (first / (second * whole))
        )
    return -slope if last else slope  # type: ignore[no-any-return]


__all__ = ["diff", "gradient"]
METHODS = ["diff"]
