"""The standard's functions that make many elements one: sums, extremes, truth, running totals."""

from typing import Any

from narae import primitives as p
from narae.base.errors import BoundsError, ShapeError

from .. import differences, reductions
from ..comparison import as_bool
from ..creation import zeros_like
from ..eager import apply, converted
from ..joining import cat
from ..tensor import Tensor
from .standard import dims_given, standard, summing_dtype


def _copy(x: Tensor) -> Tensor:
    return apply(p.copy, x)  # type: ignore[no-any-return]


@standard
def sum(x: Tensor, /, *, dim: Any = None, dtype: Any = None, keepdim: bool = False) -> Tensor:
    """The sum; of unsigned integers in uint64, of signed ones in int64."""
    wanted = converted(x, summing_dtype(x, dtype))
    dims = dims_given(dim)
    if dims == ():
        return _copy(wanted)
    return reductions.sum(wanted, dims, keepdim, dtype=wanted._value.dtype)


@standard
def prod(x: Tensor, /, *, dim: Any = None, dtype: Any = None, keepdim: bool = False) -> Tensor:
    """The product; of unsigned integers in uint64, of signed ones in int64."""
    out = converted(x, summing_dtype(x, dtype))
    dims = dims_given(dim)
    dims = tuple(range(x.ndim)) if dims is None else reductions.dims_of(x, dims) if dims else ()
    for place in reversed(dims):
        out = reductions.prod(out, place, keepdim, dtype=out._value.dtype)
    return out if dims else _copy(out)


@standard
def mean(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The mean."""
    dims = dims_given(dim)
    return _copy(x) if dims == () else reductions.mean(x, dims, keepdim)


@standard
def var(x: Tensor, /, *, dim: Any = None, correction: float = 0.0, keepdim: bool = False) -> Tensor:
    """The variance: the sum of squared distances from the mean by (count - correction)."""
    dims = dims_given(dim)
    if dims == ():
        return zeros_like(x)  # type: ignore[no-any-return]
    return reductions.var(x, dims, correction=correction, keepdim=keepdim)


@standard
def std(x: Tensor, /, *, dim: Any = None, correction: float = 0.0, keepdim: bool = False) -> Tensor:
    """The square root of the variance."""
    dims = dims_given(dim)
    if dims == ():
        return zeros_like(x)  # type: ignore[no-any-return]
    return reductions.std(x, dims, correction=correction, keepdim=keepdim)


@standard
def max(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The largest element; NaN wins."""
    dims = dims_given(dim)
    return _copy(x) if dims == () else reductions.amax(x, dims, keepdim)


@standard
def min(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The smallest element; NaN wins."""
    dims = dims_given(dim)
    return _copy(x) if dims == () else reductions.amin(x, dims, keepdim)


@standard
def all(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero, as bool."""
    return reductions.all(as_bool(x), dims_given(dim), keepdim)


@standard
def any(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some element is not zero, as bool."""
    return reductions.any(as_bool(x), dims_given(dim), keepdim)


@standard
def argmax(x: Tensor, /, *, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element: the first one, or of NaN."""
    return reductions.argmax(x, dim, keepdim)


@standard
def argmin(x: Tensor, /, *, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element: the first one, or of NaN."""
    return reductions.argmin(x, dim, keepdim)


@standard
def count_nonzero(x: Tensor, /, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """How many elements are not zero."""
    return sum(as_bool(x), axis=dim, keepdims=keepdim)  # type: ignore[no-any-return]


# --- running totals --------------------------------------------------------------------------


def _running(
    x: Tensor, total: Any, first: int, dim: int | None, dtype: Any, include_initial: bool
) -> Tensor:
    if dim is None:
        if x.ndim != 1:
            raise ShapeError(f"the array is {tuple(x.shape)}; name the axis unless there is one")
        dim = 0
    if not x.ndim:
        raise BoundsError("a running total needs at least one dimension")
    kind = summing_dtype(x, dtype)
    out: Tensor = total(converted(x, kind), dim, dtype=kind)
    if not include_initial:
        return out
    shape = list(x.shape)
    shape[dim] = 1
    initial = apply(p.full, shape=tuple(shape), value=first, dtype=kind)
    return cat([initial, out], dim)


@standard
def cumulative_sum(
    x: Tensor, /, *, dim: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The sum so far along a dimension; with `include_initial` it starts at 0."""
    return _running(x, reductions.cumsum, 0, dim, dtype, include_initial)


@standard
def cumulative_prod(
    x: Tensor, /, *, dim: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The product so far along a dimension; with `include_initial` it starts at 1."""
    return _running(x, reductions.cumprod, 1, dim, dtype, include_initial)


@standard
def diff(
    x: Tensor,
    /,
    *,
    dim: int = -1,
    n: int = 1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours, taken n times."""
    return differences.diff(x, n, dim, prepend, append)


__all__ = [
    "all", "any", "argmax", "argmin", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff",
    "max", "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip
