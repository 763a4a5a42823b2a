"""Order: sorting, the largest k, medians and quantiles, distinct values, counting."""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64, is_floating
from narae.base.errors import BoundsError, DTypeError, NaraeError, ShapeError, explain
from narae.base.shapes import normalize_dim
from narae.reference import ordering as kernels

from .autocast import in_float32
from .creation import constant
from .eager import apply, converted
from .operands import numbers, refuse_dtype, require_tensor
from .reductions import along, count_nonzero
from .results import named_result
from .tensor import Tensor

sort_result = named_result("sort", "values", "indices")
topk_result = named_result("topk", "values", "indices")
kthvalue_result = named_result("kthvalue", "values", "indices")
median_result = named_result("median", "values", "indices")
nanmedian_result = named_result("nanmedian", "values", "indices")
mode_result = named_result("mode", "values", "indices")


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The elements in order along `dim`, and where each came from; NaN is the largest.

    Equal elements always keep their order, whether `stable` is asked for or not.

    >>> import narae
    >>> values, indices = narae.sort(narae.tensor([3.0, 1.0, 2.0]))
    >>> values, indices
    (tensor([1., 2., 3.]), tensor([1, 2, 0]))
    """
    require_tensor(input, "sort")
    return sort_result(*along(input, dim, "sort", p.sort, check=False, descending=bool(descending)))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Where each element of the sorted tensor came from."""
    return sort(input, dim, descending, stable).indices  # type: ignore[no-any-return]


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    return sort(input, 0).values  # type: ignore[no-any-return]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) along `dim`, in order, and where they were.

    Raises:
        RuntimeError: when the dimension has fewer than k elements.
    """
    place = normalize_dim(dim, require_tensor(input, "topk")._value.ndim)
    size = input._value.shape[place] if input._value.ndim else 1
    if not 0 <= k <= size:
        raise ShapeError(
            explain("topk", f"k is {k}, dimension {place} has {size} elements",
                    "selected index k out of range")
        )  # fmt: skip
    return topk_result(
        *along(input, dim, "topk", p.topk, check=False, k=int(k), largest=bool(largest))
    )


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest along `dim`, counted from one, and where it was.

    Raises:
        RuntimeError: when the dimension has fewer than k elements, or k is below one.
    """
    x, place, shape = _line(input, dim, keepdim)
    size = x._value.shape[place]
    if not 1 <= k <= size:
        raise ShapeError(
            explain("kthvalue", f"k is {k}, dimension {place} has {size} elements",
                    "selected number k out of range for dimension")
        )  # fmt: skip
    found = (p.narrow(item, place, k - 1, 1) for item in apply(p.sort, x, dim=place,
             descending=False))  # fmt: skip
    return kthvalue_result(*(apply(p.reshape, item, shape=shape) for item in found))


def _line(input: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, int, tuple[int, ...]]:
    """The tensor with at least one dimension, the dimension's number, the reduced shape."""
    place = normalize_dim(dim, input._value.ndim)
    if input._value.ndim == 0:
        return apply(p.reshape, input, shape=(1,)), 0, ()
    sizes = tuple(input._value.shape)
    return input, place, (*sizes[:place], *((1,) if keepdim else ()), *sizes[place + 1 :])


# --- medians and quantiles -------------------------------------------------------------------


def _median(input: Tensor, dim: int | None, keepdim: bool, ignore_nan: bool, result: Any) -> Any:
    name = "nanmedian" if ignore_nan else "median"
    if require_tensor(input, name)._value.dtype.kind == "b":
        raise refuse_dtype(name, input, "bools have no order")
    if dim is None:
        return _median_of_all(input, ignore_nan)
    x, place, shape = _line(input, dim, keepdim)
    if x._value.shape[place] == 0:
        raise BoundsError(f"{name}(): Expected reduction dim {place} to have non-zero size.")
    values, indices = apply(p.sort, x, dim=place, descending=False)
    middle = p.median_place(x, dim=place, ignore_nan=ignore_nan)
    found = (apply(p.gather, item, middle, dim=place) for item in (values, indices))
    return result(*(apply(p.reshape, item, shape=shape) for item in found))


def _median_of_all(input: Tensor, ignore_nan: bool) -> Tensor:
    if input._value.size == 0:
        fill = math.nan if is_floating(input._value.dtype) else np.iinfo(input._value.dtype).min
        return constant(np.asarray(fill, input._value.dtype))
    return apply(p.median, input, ignore_nan=ignore_nan)  # type: ignore[no-any-return]


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower one of two; along `dim` with its index; NaN wins."""
    return _median(input, dim, keepdim, False, median_result)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle of the elements that are not NaN; along `dim` with its index."""
    return _median(input, dim, keepdim, True, nanmedian_result)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim`, the smallest of several, and its last index."""
    x, place, shape = _line(input, dim, keepdim)
    rows = np.moveaxis(x._array, place, -1)
    found = np.empty(rows.shape[:-1], np.int64)
    for position in np.ndindex(found.shape):
        row = rows[position]
        values, counts = np.unique(row, return_counts=True)
        found[position] = np.flatnonzero(row == values[counts.argmax()])[-1]
    indices = constant(np.expand_dims(found, place))
    values_of = apply(p.gather, x, indices, dim=place)
    return mode_result(*(apply(p.reshape, item, shape=shape) for item in (values_of, indices)))


@in_float32
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The value below which a share q of the elements lies.

    Args:
        input: float32 or float64.
        q: a number from 0 to 1, or several in a tensor, whose dimension comes first in the result.
        dim: a dimension, or None for all elements.
        keepdim: keep the reduced dimension with size 1.
        interpolation: "linear", "lower", "higher", "midpoint" or "nearest".

    >>> import narae
    >>> narae.quantile(narae.tensor([1.0, 2.0, 4.0]), 0.75)
    tensor(3.)
    """
    return _quantile(input, q, dim, keepdim, interpolation, False)


@in_float32
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, True)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Tensor:
    shares = q if isinstance(q, Tensor) else constant(np.asarray(q, input._value.dtype))
    _check_quantile(input, shares, interpolation)
    x, place, shape = _quantile_line(input, dim, keepdim)
    if x._value.shape[place] == 0:
        raise ShapeError("quantile() input tensor must be non-empty")
    values, _ = apply(p.sort, x, dim=place, descending=False)
    last = _last_rank(x, place, ignore_nan)
    count = shares._value.size
    along_place = tuple(count if dim == place else 1 for dim in range(x._value.ndim))
    found = _at_rank(values, p.reshape(shares, shape=along_place), last, place, interpolation)
    others = [dim for dim in range(x._value.ndim) if dim != place]
    first = apply(p.permute, found, dims=(place, *others))
    return apply(p.reshape, first, shape=(*shares._value.shape, *shape))  # type: ignore[no-any-return]


def _check_quantile(input: Tensor, shares: Tensor, interpolation: str) -> None:
    if input._value.dtype.itemsize < 4 or not is_floating(input._value.dtype):
        raise DTypeError("quantile() input tensor must be either float or double dtype")
    if shares._value.ndim > 1:
        raise ShapeError("quantile() q must be a scalar or 1D tensor")
    if shares._value.dtype != input._value.dtype:
        raise DTypeError("quantile() q tensor must be same dtype as the input tensor")
    array = numbers(shares)
    if array is not None and not np.all((array >= 0) & (array <= 1)):
        raise ShapeError("quantile() q must be in the range [0, 1]")
    if interpolation not in _INTERPOLATIONS:
        raise ShapeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )


def _quantile_line(
    input: Tensor, dim: int | None, keepdim: bool
) -> tuple[Tensor, int, tuple[int, ...]]:
    if dim is not None:
        return _line(input, dim, keepdim)
    flat = apply(p.reshape, input, shape=(input._value.size,))
    return flat, 0, (1,) * input._value.ndim if keepdim else ()


def _last_rank(x: Tensor, place: int, ignore_nan: bool) -> Tensor:
    """The highest rank that counts, as a float: that of the last number, or of the last NaN."""
    size = x._value.shape[place]
    counted = count_nonzero(apply(p.eq, x, x), place)
    shape = tuple(1 if dim == place else n for dim, n in enumerate(x._value.shape))
    counted = apply(p.reshape, counted, shape=shape)
    if ignore_nan:
        last = apply(p.maximum, apply(p.sub, counted, 1), 0)
    else:
        # A row with a NaN is NaN: a negative rank stands for it.
        last = apply(p.where, apply(p.lt, counted, size), -1, apply(p.sub, counted, 1))
    return converted(last, x._value.dtype)  # type: ignore[no-any-return]


def _at_rank(values: Tensor, share: Tensor, last: Tensor, place: int, interpolation: str) -> Tensor:
    spoiled = apply(p.lt, last, 0)
    rank = apply(p.mul, apply(p.maximum, last, 0), share)
    low_rank, high_rank = apply(p.floor, rank), apply(p.ceil, rank)
    if interpolation == "nearest":
        low_rank = high_rank = apply(p.round_, rank)
    low = apply(p.gather, values, converted(low_rank, INT64), dim=place)
    high = apply(p.gather, values, converted(high_rank, INT64), dim=place)
    if interpolation in ("lower", "nearest"):
        found = low
    elif interpolation == "higher":
        found = high
    else:
        middle = 0.5 if interpolation == "midpoint" else apply(p.sub, rank, low_rank)
        found = apply(p.lerp, low, high, middle)
    return apply(p.where, spoiled, math.nan, found)  # type: ignore[no-any-return]


# --- distinct values -------------------------------------------------------------------------


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in order; with `dim`, the distinct slices.

    Args:
        input: any tensor.
        sorted: the result is in order either way.
        return_inverse: also where each element went.
        return_counts: also how often each occurs.
        dim: compare slices along it instead of elements.
    """
    place = None if dim is None else normalize_dim(dim, input._value.ndim)
    return _distinct(kernels.unique(input._array, dim=place), return_inverse, return_counts)


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements without repetitions of the one before."""
    place = None if dim is None else normalize_dim(dim, input._value.ndim)
    found = kernels.unique_consecutive(input._array, dim=place)
    return _distinct(found, return_inverse, return_counts)


def _distinct(found: Any, return_inverse: bool, return_counts: bool) -> Any:
    results = [constant(found.values)]
    if return_inverse:
        results.append(constant(found.inverse))
    if return_counts:
        results.append(constant(found.counts.astype(np.int64)))
    return results[0] if len(results) == 1 else tuple(results)


# --- places and counts -----------------------------------------------------------------------


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value would be inserted to keep the last dimension in order.

    Args:
        sorted_sequence: (n,), or (..., n) with one row for every row of the values.
        input: the values, or a number.
        out_int32: int32 instead of int64.
        right: after equal elements instead of before them.
        side: "left" or "right", instead of `right`.
        sorter: indices that put the sequence in order.
    """
    rows = sorted_sequence._array
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter._array, -1)
    values = input._array if isinstance(input, Tensor) else np.asarray(input)
    if rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]:
        raise ShapeError(
            explain("searchsorted", f"the sequence is {rows.shape}, the values {values.shape}",
                    "all but the last dimension must be equal")
        )  # fmt: skip
    after = right or side == "right"
    found = kernels.searchsorted(rows, values, right=after)
    return constant(found.astype(np.int32) if out_int32 else found)


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket between boundaries that each value falls into."""
    if boundaries._value.ndim != 1:
        raise ShapeError("boundaries tensor must be 1 dimension, but got dim("
                         f"{boundaries._value.ndim})")  # fmt: skip
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often every number from zero occurs, or the sum of its weights.

    Raises:
        TypeError: for floating point numbers.
        ValueError: for negative numbers, more than one dimension, or unequal lengths.
    """
    x = input._array
    if is_floating(x.dtype):
        raise refuse_dtype("bincount", input, "it counts whole numbers")
    if x.ndim != 1:
        raise ShapeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights._value.shape != x.shape:
        raise ShapeError("weights should have the same length as input")
    found = _as_shape_error(
        kernels.bincount,
        x,
        weights=None if weights is None else weights._array,
        minlength=minlength,
    )
    return constant(found)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts in equal bins from `min` to `max`; by default from the smallest to the largest.

    Raises:
        TypeError: for integers.
        ValueError: when the ends are not finite or stand in the wrong order.
    """
    if not is_floating(input._value.dtype):
        raise refuse_dtype("histc", input, "it needs floating point numbers")
    if bins <= 0:
        raise ShapeError("bins must be > 0")
    return constant(_as_shape_error(kernels.histc, input._array, bins=bins, min=min, max=max))


def _as_shape_error(kernel: Any, *arrays: Any, **attrs: Any) -> Any:
    """Kernels raise ValueError; PyTorch's class is RuntimeError: ours is both."""
    try:
        return kernel(*arrays, **attrs)
    except NaraeError:
        raise
    except ValueError as error:
        raise ShapeError(str(error)) from error


__all__ = [
    "argsort", "bincount", "bucketize", "histc", "kthvalue", "median", "mode", "msort",
    "nanmedian", "nanquantile", "quantile", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip
METHODS = [name for name in __all__ if name not in ("bucketize", "searchsorted")]
