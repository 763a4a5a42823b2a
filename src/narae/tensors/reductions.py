"""Many elements to one: sums, means, extremes, norms; and running totals."""

import math
from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.dtypes import BOOL, INT64, as_numpy, is_floating
from narae.base.errors import BoundsError, DTypeError, ShapeError, explain
from narae.base.shapes import normalize_dim, normalize_dims

from .autocast import in_float32
from .comparison import as_bool, isnan
from .eager import apply, converted
from .operands import as_dtype, as_float, deliver, dtype_name, require_tensor
from .results import named_result
from .tensor import Tensor

max_result = named_result("max", "values", "indices")
min_result = named_result("min", "values", "indices")
aminmax_result = named_result("aminmax", "min", "max")
cummax_result = named_result("cummax", "values", "indices")
cummin_result = named_result("cummin", "values", "indices")
_reshape: Any = p.reshape


def dims_of(input: Tensor, dim: Any) -> tuple[int, ...]:
    """Sorted, non-negative dimensions; all of them for None and for an empty list."""
    rank = input._value.ndim
    if dim.__class__ is int and 0 <= dim < rank:
        return (dim,)
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(rank))
    if isinstance(dim, int):
        return normalize_dims(dim, rank)
    return normalize_dims(tuple(int(item) for item in dim), input._value.ndim)


def _summable(input: Tensor, dtype: Any) -> Tensor:
    """The dtype that sums have: that asked for, int64 for integers and bools, else their own."""
    if dtype is not None:
        return converted(input, as_numpy(dtype))  # type: ignore[no-any-return]
    if input._value.dtype.kind in "biu":
        return converted(input, INT64)  # type: ignore[no-any-return]
    return input


# --- sums ------------------------------------------------------------------------------------


def sum(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The sum over the dimensions `dim`; over all of them when it is None.

    Args:
        input: any tensor; integers and bools are summed in int64.
        dim: a dimension, several, or None.
        keepdim: keep reduced dimensions with size 1.
        dtype: convert to it before summing.
        out: a tensor to write the result into.

    >>> import narae
    >>> narae.sum(narae.tensor([[1, 2], [3, 4]]), dim=0)
    tensor([4, 6])
    """
    require_tensor(input, "sum")
    x = _summable(input, dtype)
    result = apply(p.sum_, x, dim=dims_of(x, dim), keepdim=keepdim)
    return result if out is None else deliver(result, out, "sum")


def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The mean over the dimensions `dim`: sum / count.

    Raises:
        TypeError: for integers and bools, unless a floating point dtype is given.
    """
    x = as_dtype(require_tensor(input, "mean"), dtype)
    _check_floating("mean", x)
    result = apply(p.mean, x, dim=dims_of(x, dim), keepdim=keepdim)
    return result if out is None else deliver(result, out, "mean")


def _check_floating(name: str, x: Tensor) -> None:
    if not is_floating(x._value.dtype):
        raise DTypeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {dtype_name(x._value.dtype)}. Fix: convert with .float()"
        )


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of all elements that are not NaN."""
    x = _summable(input, dtype)
    if is_floating(x._value.dtype):
        x = apply(p.where, isnan(x), 0.0, x)
    return sum(x, dim, keepdim, dtype=x._value.dtype)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of all elements that are not NaN."""
    x = as_dtype(input, dtype)
    _check_floating("nanmean", input)
    _check_floating("nanmean", x)
    counted = converted(apply(p.eq, x, x), x._value.dtype)
    return apply(p.div, nansum(x, dim, keepdim), sum(counted, dim, keepdim))  # type: ignore[no-any-return]


@in_float32
def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The product over one dimension, or over all elements."""
    x = _summable(input, dtype)
    if dim is None or x._value.ndim == 0:
        if dim is not None:
            normalize_dim(dim, 0)
        flat = apply(p.reshape, x, shape=(x._value.size,))
        result = apply(p.prod, flat, dim=(0,), keepdim=False)
    else:
        place = normalize_dim(dim, x._value.ndim)
        result = apply(p.prod, x, dim=(place,), keepdim=keepdim)
    return deliver(result, out, "prod")


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero."""
    return sum(as_bool(input), dim)


# --- truth -----------------------------------------------------------------------------------


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some element is not zero; False for none."""
    if dim == ():
        return _truth(apply(p.copy, as_bool(input)), input)
    count = sum(as_bool(input), dim, keepdim)
    return _truth(apply(p.ne, count, 0), input)


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero; True for none."""
    if dim == ():
        return _truth(apply(p.copy, as_bool(input)), input)
    zeros = sum(apply(p.not_, as_bool(input)), dim, keepdim)
    return _truth(apply(p.eq, zeros, 0), input)


def _truth(result: Tensor, input: Tensor) -> Tensor:
    """PyTorch answers in uint8 for uint8."""
    dtype = input._value.dtype
    return converted(result, dtype) if dtype.str == "|u1" else result


# --- spread ----------------------------------------------------------------------------------


def _spread(operation: Any, input: Tensor, arguments: Any, options: dict[str, Any]) -> Tensor:
    """PyTorch's three forms: (dim, unbiased, keepdim), (unbiased), (dim, *, correction)."""
    dim, unbiased, keepdim, correction = _spread_arguments(arguments, **options)
    _check_floating(operation.name, require_tensor(input, operation.name))
    wanted = (1 if unbiased else 0) if correction is None else correction
    dims = dims_of(input, dim)
    return apply(  # type: ignore[no-any-return]
        operation, input, dim=dims, correction=float(wanted), keepdim=keepdim
    )


def _spread_arguments(
    arguments: Any,
    dim: Any = None,
    unbiased: bool = True,
    keepdim: bool = False,
    correction: float | None = None,
) -> tuple[Any, bool, bool, float | None]:
    if len(arguments) == 1 and isinstance(arguments[0], bool):
        unbiased, arguments = arguments[0], ()
    known = dict(zip(("dim", "unbiased", "keepdim"), arguments, strict=False))
    dim, keepdim = known.get("dim", dim), known.get("keepdim", keepdim)
    return dim, known.get("unbiased", unbiased), keepdim, correction


def var(input: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """The variance: sum of (x - mean)^2 / (count - correction).

    Args:
        input: a floating point tensor.
        arguments: `dim`, `unbiased`, `keepdim`, in PyTorch's order; or `unbiased` alone.
        options: the same by name; `correction` (1 unless given) instead of `unbiased`.

    >>> import narae
    >>> narae.var(narae.tensor([1.0, 2.0, 3.0])), narae.var(narae.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(1.))
    """
    return _spread(p.var, input, arguments, options)


def std(input: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """The standard deviation: the square root of `var`."""
    return _spread(p.std, input, arguments, options)


def var_mean(input: Tensor, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """The variance and the mean."""
    dim, _, keepdim, _ = _spread_arguments(arguments, **options)
    return var(input, *arguments, **options), mean(input, dim, keepdim)


def std_mean(input: Tensor, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean."""
    dim, _, keepdim, _ = _spread_arguments(arguments, **options)
    return std(input, *arguments, **options), mean(input, dim, keepdim)


# --- exponentials and norms ------------------------------------------------------------------


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum of exp(x)), without overflow."""
    if dim is None:
        raise TypeError("logsumexp(): argument 'dim' (position 2) must be tuple of ints, not None")
    x = as_float(require_tensor(input, "logsumexp"))
    return apply(p.logsumexp, x, dim=dims_of(x, dim), keepdim=keepdim)  # type: ignore[no-any-return]


def norm(
    input: Tensor, p_: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None,
    **named: Any,
) -> Tensor:  # fmt: skip
    """The p-norm of all elements, or along dimensions.

    Args:
        input: a floating point tensor.
        p_: the order (PyTorch's `p`): a number, infinity, "fro", which is 2, or "nuc", the sum of
            singular values of matrices.
        dim: a dimension, several, or None.
        keepdim: keep reduced dimensions with size 1.
        dtype: convert to it first.
        named: `p`, by name.

    >>> import narae
    >>> narae.norm(narae.tensor([3.0, 4.0]))
    tensor(5.)
    """
    order = named.pop("p", p_)
    if named:
        raise TypeError(f"norm() got an unexpected keyword argument {next(iter(named))!r}")
    if order == "nuc":
        from .linalg import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    order = 2.0 if order in (None, "fro") else float(order)
    x = as_dtype(require_tensor(input, "norm"), dtype)
    if not is_floating(x._value.dtype):
        raise DTypeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{dtype_name(x._value.dtype)}"
        )
    dims = dims_of(x, dim)
    if abs(order) == math.inf:
        _check_reducible("norm", x, dims, dim)
    return apply(p.vector_norm, x, ord=order, dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]


# --- extremes --------------------------------------------------------------------------------


def _check_reducible(name: str, x: Tensor, dims: tuple[int, ...], dim: Any) -> None:
    """Refuse the largest of nothing."""
    if 0 not in x._value.shape:
        return
    if dim is None or dim == ():
        raise ShapeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    for place in dims:
        if x._value.shape[place] == 0:
            raise BoundsError(f"{name}(): Expected reduction dim {place} to have non-zero size.")


def _extreme(operation: Any, name: str, text: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None
    ) -> Tensor:
        require_tensor(input, name)
        dims = dims_of(input, dim)
        _check_reducible(name, input, dims, dim)
        return deliver(apply(operation, input, dim=dims, keepdim=keepdim), out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


amax = _extreme(p.amax, "amax", "The largest over `dim`; elements that tie share the gradient.")
amin = _extreme(p.amin, "amin", "The smallest over `dim`; elements that tie share the gradient.")


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest."""
    return aminmax_result(amin(input, dim, keepdim), amax(input, dim, keepdim))


def _largest_or(
    name: str, whole: Any, indexed: Any, pairwise: str, result: Any, text: str
) -> Callable[..., Any]:
    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        require_tensor(input, name)
        if isinstance(dim, Tensor) or other is not None:
            from . import arithmetic

            return getattr(arithmetic, pairwise)(input, dim if other is None else other)
        if dim is None:
            dims = dims_of(input, None)
            _check_reducible(name, input, dims, None)
            return apply(whole, input, dim=dims, keepdim=False)
        return result(*along(input, dim, name, indexed, keepdim=keepdim))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def along(
    input: Tensor, dim: int, name: str, operation: Any, *, check: bool = True, **attrs: Any
) -> Any:
    """Apply an operation along one dimension; a 0-d tensor counts as one of a single element."""
    shape = input._value.shape
    rank = len(shape)
    place = dim if 0 <= dim < rank else normalize_dim(dim, rank)
    if rank == 0:
        line = apply(_reshape, input, shape=(1,))
        found = apply(operation, line, dim=0, **attrs)
        items = found if isinstance(found, tuple) else (found,)
        points = tuple(x if x._value.ndim == 0 else apply(_reshape, x, shape=()) for x in items)
        return points if isinstance(found, tuple) else points[0]
    if check and 0 in shape:
        _check_reducible(name, input, (place,), place)
    return apply(operation, input, dim=place, **attrs)


max = _largest_or(
    "max", p.amax, p.max_with_index, "maximum", max_result,
    "The largest: of all elements, along `dim` with its index, or of two tensors.",
)  # fmt: skip
min = _largest_or(
    "min", p.amin, p.min_with_index, "minimum", min_result,
    "The smallest: of all elements, along `dim` with its index, or of two tensors.",
)  # fmt: skip


def _position(operation: Any, name: str, text: str) -> Callable[..., Tensor]:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        require_tensor(input, name)
        if input._value.dtype == BOOL:
            raise DTypeError(explain(name, f'"{name}_cpu" not implemented for \'Bool\'',
                                     "bools have no order", "convert with .int()"))  # fmt: skip
        if 0 in input._value.shape and dim is None:
            raise BoundsError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        if dim is not None:
            dims = normalize_dims(dim, input._value.ndim)
            _check_reducible(name, input, dims, dim)
        else:
            dims = tuple(range(input._value.ndim))
        return apply(operation, input, dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


argmax = _position(p.argmax, "argmax", "The index of the largest: the first one, or of NaN.")
argmin = _position(p.argmin, "argmin", "The index of the smallest: the first one, or of NaN.")

# --- running totals --------------------------------------------------------------------------


def _running(operation: Any, name: str, text: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None
    ) -> Tensor:
        x = _summable(require_tensor(input, name), dtype)
        if x._value.dtype == BOOL:
            raise DTypeError(f"\"{name}\" not implemented for 'Bool'. Fix: leave dtype= away")
        return deliver(along(x, dim, name, operation, check=False), out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


cumsum = _running(p.cumsum, "cumsum", "The sum so far along `dim`.")
cumprod = _running(p.cumprod, "cumprod", "The product so far along `dim`.")


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log of the sum of exp(x) so far along `dim`, without overflow."""
    x = require_tensor(input, "logcumsumexp")
    _check_floating("logcumsumexp", x)
    if 0 in x._value.shape:
        normalize_dim(dim, x._value.ndim)
        return apply(p.copy, x)  # type: ignore[no-any-return]
    return along(x, dim, "logcumsumexp", p.logcumsumexp, check=False)  # type: ignore[no-any-return]


def cummax(input: Tensor, dim: int) -> Any:
    """The largest so far along `dim`, and the latest index where it stood."""
    return cummax_result(*along(input, dim, "cummax", p.cummax, check=False))


def cummin(input: Tensor, dim: int) -> Any:
    """The smallest so far along `dim`, and the latest index where it stood."""
    return cummin_result(*along(input, dim, "cummin", p.cummin, check=False))


__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "cummax",
    "cummin", "cumprod", "cumsum", "logcumsumexp", "logsumexp", "max", "mean", "min", "nanmean",
    "nansum", "norm", "prod", "std", "std_mean", "sum", "var", "var_mean",
]  # fmt: skip
METHODS = [name for name in __all__ if name not in ("std_mean", "var_mean")]
IN_PLACE = ["cumprod", "cumsum"]
