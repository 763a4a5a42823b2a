"""Further products and distances: tensordot, kron, inner, cross, trace, chains, covariance."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as ops
from narae.base.dtypes import INT64, default_dtype, is_floating
from narae.base.errors import DTypeError, ShapeError, explain
from narae.base.shapes import broadcast_shapes, normalize_dim

from .autocast import as_given, in_float32
from .eager import apply, converted
from .linear import check_dtypes, matmul, shape_text
from .modes import modes
from .movement import diagonal, expand, reshape, slice_dim, unsqueeze
from .tensor import Tensor


def _sum(x: Tensor, *dims: int) -> Tensor:
    return apply(ops.sum_, x, dim=tuple(sorted(dims)), keepdim=False)  # type: ignore[no-any-return]


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum the products over several dimensions of both.

    Args:
        a: the last `dims` dimensions, or those in `dims[0]`, are summed.
        b: the first `dims` dimensions, or those in `dims[1]`, are summed.
        dims: a number, or two lists.

    >>> import narae
    >>> narae.tensordot(narae.ones(2, 3, 4), narae.ones(3, 4, 5), 2).shape
    narae.Size([2, 5])
    """
    shape, other = tuple(a._value.shape), tuple(b._value.shape)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0 or dims > min(len(shape), len(other)):
            raise ShapeError(
                f"[tensordot] tensordot expects dims >= 0 and no more than the dimensions of both, "
                f"but got dims={dims} for {shape} and {other}"
            )
        dims = (list(range(len(shape) - dims, len(shape))), list(range(dims)))
    first = [normalize_dim(dim, len(shape), "tensordot") for dim in _listed(dims[0])]
    second = [normalize_dim(dim, len(other), "tensordot") for dim in _listed(dims[1])]
    check_dtypes("tensordot", a, b)
    if len(first) != len(second):
        raise ShapeError("[tensordot] both dimension lists should have same length")
    a, b = _matching(a, b, first, second)
    rows = [dim for dim in range(len(shape)) if dim not in first]
    columns = [dim for dim in range(len(other)) if dim not in second]
    inner = math.prod(a._value.shape[dim] for dim in first)
    left = reshape(
        apply(ops.permute, a, dims=(*rows, *first)), (math.prod(shape[dim] for dim in rows), inner)
    )
    right = reshape(
        apply(ops.permute, b, dims=(*second, *columns)),
        (inner, math.prod(other[dim] for dim in columns)),
    )
    kept = (*(shape[dim] for dim in rows), *(other[dim] for dim in columns))
    multiply = as_given(matmul) if math.prod(kept) == 1 else matmul  # autocast leaves one number
    return reshape(multiply(left, right), kept)


def _listed(dims: Any) -> list[int]:
    return [dims] if isinstance(dims, int) else list(dims)


def _matching(
    a: Tensor, b: Tensor, first: Sequence[int], second: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Sum over a contracted dimension whose counterpart has size 1, as broadcasting means."""
    for dim, other in zip(first, second, strict=True):
        size, other_size = a._value.shape[dim], b._value.shape[other]
        if size == other_size:
            continue
        if other_size == 1:
            a = apply(ops.sum_, a, dim=(dim,), keepdim=True)
        elif size == 1:
            b = apply(ops.sum_, b, dim=(other,), keepdim=True)
        else:
            raise ShapeError(
                explain(
                    "tensordot",
                    f"a is {shape_text(a)}, b is {shape_text(b)}",
                    "contracted dimensions need to match, but first has size "
                    f"{size} in dim {dim} and second has size {other_size} in dim {other}",
                )
            )
    return a, b


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimensions of both."""
    if not input._value.shape or not other._value.shape:
        return input * other
    if input._value.shape[-1] != other._value.shape[-1]:
        raise ShapeError(
            explain(
                "inner",
                f"the operands are {shape_text(input)} and {shape_text(other)}",
                "inner() the last dimension must match on both input tensors",
            )
        )
    return tensordot(input, other, ([-1], [-1]))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of the input times the whole of `other`."""
    rank = max(len(input._value.shape), len(other._value.shape))
    first, second = (_with_rank(x, rank) for x in (input, other))
    sizes, others = first._value.shape, second._value.shape
    left = reshape(first, tuple(n for size in sizes for n in (size, 1)))
    right = reshape(second, tuple(n for size in others for n in (1, size)))
    product = left * right
    return reshape(product, tuple(n * m for n, m in zip(sizes, others, strict=True)))


def _with_rank(x: Tensor, rank: int) -> Tensor:
    shape = tuple(x._value.shape)
    return reshape(x, (1,) * (rank - len(shape)) + shape)


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of several matrices, in the order that takes the fewest multiplications."""
    chain = (
        list(matrices[0])
        if len(matrices) == 1 and not isinstance(matrices[0], Tensor)
        else (list(matrices))
    )
    if not chain:
        raise ShapeError("[chain_matmul] chain_matmul(): Expected one or more matrices")
    for x in chain:
        if len(x._value.shape) != 2:
            raise ShapeError(
                f"[chain_matmul] Tensor dimension is {len(x._value.shape)}, expected 2 instead."
            )
    order = _best_order([x._value.shape[0] for x in chain] + [chain[-1]._value.shape[1]])
    return _multiplied(chain, order, 0, len(chain) - 1)


def _best_order(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split each part of a chain (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(sizes) - 1
    cost = {(place, place): 0 for place in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            options = [
                (
                    cost[first, middle]
                    + cost[middle + 1, last]
                    + sizes[first] * sizes[middle + 1] * sizes[last + 1],
                    middle,
                )
                for middle in range(first, last)
            ]
            cost[first, last], split[first, last] = min(options)
    return split


def _multiplied(
    chain: Sequence[Tensor], split: dict[tuple[int, int], int], first: int, last: int
) -> Tensor:
    if first == last:
        return chain[first]
    middle = split[first, last]
    left = _multiplied(chain, split, first, middle)
    return matmul(left, _multiplied(chain, split, middle + 1, last))


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of size 3 along a dimension (by default the first such)."""
    shape, sizes = tuple(input._value.shape), tuple(other._value.shape)
    if len(shape) != len(sizes):
        raise ShapeError(
            f"[cross] linalg.cross: inputs must have the same number of dimensions: {shape} and "
            f"{sizes}"
        )
    common = broadcast_shapes(shape, sizes, what="cross")
    if dim is None:
        dim = next((place for place, size in enumerate(shape) if size == 3), -1)
        if dim < 0:
            raise ShapeError("[cross] no dimension of size 3 in input")
    dim = normalize_dim(dim, len(shape), "cross")
    if shape[dim] != 3 or sizes[dim] != 3:
        raise ShapeError(
            f"[cross] linalg.cross: inputs dimension {dim} must have length 3. Got {shape[dim]} "
            f"and {sizes[dim]}"
        )
    a, b = expand(input, common), expand(other, common)
    ahead, behind = np.array([1, 2, 0]), np.array([2, 0, 1])
    forward = _turned(a, ahead, dim) * _turned(b, behind, dim)
    return forward - _turned(a, behind, dim) * _turned(b, ahead, dim)


def _turned(x: Tensor, places: Any, dim: int) -> Tensor:
    return apply(ops.take, x, places, dim=dim)  # type: ignore[no-any-return]


@in_float32
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if len(input._value.shape) != 2:
        raise ShapeError(f"[trace] trace: expected a matrix, got {shape_text(input)}")
    x = diagonal(input)
    dtype = input._value.dtype
    return _sum(converted(x, dtype if is_floating(dtype) else INT64), 0)


def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral by the trapezoidal rule.

    Args:
        y: values at the points.
        x: the points, a vector or of y's shape; equally spaced without it.
        dx: the distance of equally spaced points, 1 by default.
        dim: the dimension that is integrated over.
    """
    return _sum(*_trapezoids(y, x, dx, dim, "trapezoid"))


trapz = trapezoid


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral by the trapezoidal rule from the first point to each of the others."""
    areas, dim = _trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return apply(ops.cumsum, areas, dim=dim)  # type: ignore[no-any-return]


def _trapezoids(
    y: Tensor, x: Tensor | None, dx: float | None, dim: int, what: str
) -> tuple[Tensor, int]:
    dim = normalize_dim(dim, len(y._value.shape), what)
    size = y._value.shape[dim]
    if size == 0:
        return converted(y, default_dtype()) if not is_floating(y._value.dtype) else y, dim
    pair = slice_dim(y, dim, 1, size) + slice_dim(y, dim, 0, size - 1)
    if x is None:
        return pair * ((1.0 if dx is None else dx) / 2), dim
    if len(x._value.shape) == 1:
        x = reshape(x, (-1,) + (1,) * (len(y._value.shape) - dim - 1))
        place = 0
    else:
        place = dim - len(y._value.shape) + len(x._value.shape)
    length = x._value.shape[place]
    if length not in (size, 1):
        raise ShapeError(
            f"[{what}] There must be one `x` value for each sample point: {length} and {size}"
        )
    widths = slice_dim(x, place, 1, length) - slice_dim(x, place, 0, length - 1)
    return pair * widths / 2.0, dim


# --- distances ------------------------------------------------------------------------------


@in_float32
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The p-norm distance of every row of x1 to every row of x2.

    Args:
        x1: (.., n, features).
        x2: (.., m, features).
        p: 0 counts differences, inf takes the largest.
        compute_mode: ignored; differences are always formed, which is exact.

    Returns:
        (.., n, m).
    """
    if x1._value.shape[-1:] != x2._value.shape[-1:] or min(x1._value.ndim, x2._value.ndim) < 2:
        raise ShapeError(
            explain(
                "cdist",
                f"X1 is {shape_text(x1)}, X2 is {shape_text(x2)}",
                "X1 and X2 must have the same number of columns, and at least two dimensions",
            )
        )
    check_dtypes("cdist", x1, x2)
    if not is_floating(x1._value.dtype):
        raise DTypeError(f"[cdist] cdist only supports floating-point dtypes, X1 got: {x1.dtype}")
    differences = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    return _norm(differences, float(p), False)


def _norm(x: Tensor, order: float, keepdim: bool) -> Tensor:
    """The norm over the last dimension; its gradient at zero is zero."""
    dim = (len(x._value.shape) - 1,)
    size = x._value.shape[-1]
    magnitude = apply(ops.abs_, x)
    if order == 0:
        changed = apply(ops.abs_, apply(ops.sign, x))
        return apply(ops.sum_, changed, dim=dim, keepdim=keepdim)  # type: ignore[no-any-return]
    if order == math.inf and size:
        return apply(ops.amax, magnitude, dim=dim, keepdim=keepdim)  # type: ignore[no-any-return]
    if order == 1 or not size:
        return apply(ops.sum_, magnitude, dim=dim, keepdim=keepdim)  # type: ignore[no-any-return]
    powers = apply(ops.mul, x, x) if order == 2 else apply(ops.pow_, magnitude, order)
    total = apply(ops.sum_, powers, dim=dim, keepdim=keepdim)
    zero = apply(ops.eq, total, 0.0)
    safe = apply(ops.where, zero, 1.0, total)
    root = apply(ops.sqrt, safe) if order == 2 else apply(ops.pow_, safe, 1.0 / order)
    return apply(ops.where, zero, 0.0, root)  # type: ignore[no-any-return]


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
    return _norm(x1 - x2 + eps, float(p), keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of all pairs of rows (i, j) with i < j, in one dimension."""
    if len(input._value.shape) != 2:
        raise ShapeError(f"[pdist] pdist only supports 2D tensors, got: {shape_text(input)}")
    first, second = np.triu_indices(input._value.shape[0], 1)
    return _norm(_turned(input, first, 0) - _turned(input, second, 0), float(p), False)


# --- covariance -----------------------------------------------------------------------------


def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariance of variables (rows) over observations (columns).

    Args:
        input: (variables, observations) or (observations,).
        correction: what is taken from the number of observations in the denominator.
        fweights: how often each observation was made.
        aweights: how much each observation counts.
    """
    if len(input._value.shape) > 2:
        raise ShapeError(
            "[cov] cov(): expected input to have two or fewer dimensions but got an input with "
            f"{len(input._value.shape)} dimensions"
        )
    if input._value.dtype.kind == "b":
        raise DTypeError("[cov] cov(): bool dtype is not supported for input")
    x = input if len(input._value.shape) == 2 else reshape(input, (1, input._value.size))
    if not is_floating(x._value.dtype):
        x = converted(x, default_dtype())
    weights: Any = _weights(fweights, aweights, x)
    out = _covariance(x, weights, aweights, correction)
    return reshape(out, ()) if x._value.shape[0] == 1 else out


def _covariance(x: Any, weights: Any, aweights: Any, correction: int) -> Tensor:
    """The covariance matrix of rows; `weights` are those of both kinds multiplied."""
    if weights is None:
        count = x._value.shape[1]
        centered = x - _sum(x, 1).unsqueeze(1) / float(count)
        return matmul(centered, centered.mT) / max(count - correction, 0.0)  # type: ignore[no-any-return]
    total: Any = _sum(weights, 0)
    weighted = x * weights
    centered = converted(x, weighted._value.dtype) - _sum(weighted, 1).unsqueeze(1) / total
    freedom = total - correction
    if aweights is not None and correction:
        freedom = total - correction * _sum(weights * aweights, 0) / total
    freedom = apply(ops.maximum, freedom, 0.0)
    return matmul(centered * weights, centered.mT) / freedom  # type: ignore[no-any-return]


def _weights(fweights: Tensor | None, aweights: Tensor | None, x: Tensor) -> Any:
    if fweights is not None and is_floating(fweights._value.dtype):
        raise DTypeError(
            "[cov] cov(): expected fweights to have integral dtype but got fweights with "
            f"{fweights.dtype} dtype"
        )
    if aweights is not None and not is_floating(aweights._value.dtype):
        raise DTypeError(
            "[cov] cov(): expected aweights to have floating point dtype but got aweights with "
            f"{aweights.dtype} dtype"
        )
    found: Any = None
    for weights in (fweights, aweights):
        if weights is None:
            continue
        if len(weights._value.shape) > 1 or weights._value.size != x._value.shape[1]:
            raise ShapeError(
                f"[cov] cov(): expected one weight for each of {x._value.shape[1]} observations, "
                f"got {shape_text(weights)}"
            )
        if modes.trace is None and bool((weights._array < 0).any()):
            raise ShapeError("[cov] cov(): fweights and aweights cannot be negative")
        if not is_floating(weights._value.dtype):
            weights = converted(weights, x._value.dtype)
        found = weights if found is None else found * weights
    return found


def corrcoef(input: Tensor) -> Tensor:
    """Correlations: covariances divided by both standard deviations, within [-1, 1]."""
    c = cov(input)
    if not c._value.shape:
        return c / c
    deviation = apply(ops.sqrt, diagonal(c))
    scaled = c / unsqueeze(deviation, 1) / unsqueeze(deviation, 0)
    return apply(ops.maximum, apply(ops.minimum, scaled, 1.0), -1.0)  # type: ignore[no-any-return]


__all__ = [
    "cdist",
    "chain_matmul",
    "corrcoef",
    "cov",
    "cross",
    "cumulative_trapezoid",
    "inner",
    "kron",
    "pairwise_distance",
    "pdist",
    "tensordot",
    "trace",
    "trapezoid",
    "trapz",
]
METHODS = ["corrcoef", "cov", "cross", "inner", "kron", "trace"]
