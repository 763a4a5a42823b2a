"""Reductions and normalisations that leave out the elements where a mask is False.

What is left out becomes the identity of the operation (0 of a sum, -inf of a maximum), so shapes
stay as they are and everything traces. `narae.masked` is their address.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import FLOAT32, INT64, as_numpy, is_floating
from narae.base.errors import BoundsError, DataError, ShapeError, explain
from narae.base.shapes import normalize_dim

from . import activations, arithmetic, reductions
from .comparison import as_bool, isnan
from .eager import apply, converted
from .movement import expand
from .ordering import nanmedian
from .tensor import Tensor

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp",
    "logsumexp", "mean", "median", "norm", "normalize", "prod", "softmax", "softmin", "std",
    "sum", "var",
]  # fmt: skip


# --- masks and identities --------------------------------------------------------------------


def _full_mask(input: Tensor, mask: Tensor) -> Tensor:
    """The mask as bools in the shape of the input.

    Raises:
        IndexError: when it has more dimensions than the input.
    """
    shape = tuple(input._value.shape)
    if mask._value.ndim > len(shape):
        raise BoundsError(
            explain(
                "masked",
                f"the mask is {tuple(mask.shape)}, the input {shape}",
                "expected broadcastable mask (got mask dimensionality higher than of the input)",
            )
        )
    return as_bool(mask if tuple(mask._value.shape) == shape else expand(mask, shape))


def _lowest(input: Tensor) -> float | int:
    dtype = input._value.dtype
    return -float("inf") if is_floating(dtype) else int(np.iinfo(dtype).min)


def _highest(input: Tensor) -> float | int:
    dtype = input._value.dtype
    return float("inf") if is_floating(dtype) else int(np.iinfo(dtype).max)


def _filled(
    input: Tensor, mask: Tensor | None, identity: Callable[[Tensor], float | int] | float
) -> Tensor:
    """The input, with the identity of an operation where the mask is False."""
    if mask is None:
        return input
    value = identity(input) if callable(identity) else identity
    number = converted(value, input._value.dtype)
    return apply(p.where, _full_mask(input, mask), input, number)  # type: ignore[no-any-return]


def _dims(input: Tensor, dim: Any) -> tuple[int, ...]:
    """Sorted dimensions; a 0-d tensor has one that can be named, and none to reduce."""
    rank = input._value.ndim
    wanted = [dim] if isinstance(dim, int) else list(dim or ())
    if not wanted:
        return tuple(range(rank))
    found = [normalize_dim(place, rank, "masked") for place in wanted]
    if len(set(found)) < len(found):
        raise ShapeError(f"[masked] a dim appears multiple times in the list of dims: {wanted}")
    return tuple(sorted(found)) if rank else ()


def _as(out: Tensor, input: Tensor, dtype: Any) -> Tensor:
    """A result in the dtype asked for, or that of the input."""
    return converted(out, input._value.dtype if dtype is None else as_numpy(dtype))  # type: ignore[no-any-return]


# --- sums and products -----------------------------------------------------------------------


def sum(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The sum of the elements where the mask holds; 0 where it holds nowhere.

    Args:
        input: any tensor.
        dim: a dimension, several, or None for all.
        keepdim: keep reduced dimensions with size 1.
        dtype: convert to it before summing; small integers become int64 otherwise.
        mask: bools that broadcast to the input; None for True everywhere.

    >>> import narae
    >>> x = narae.tensor([1.0, 2.0, 4.0])
    >>> narae.masked.sum(x, mask=narae.tensor([True, False, True]))
    tensor(5.)
    """
    return reductions.sum(_filled(input, mask, 0), _dims(input, dim), keepdim, dtype=dtype)


def prod(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The product of the elements where the mask holds; 1 where it holds nowhere."""
    out = _filled(input, mask, 1)
    if dtype is not None or input._value.dtype.kind in "biu":
        out = converted(out, INT64 if dtype is None else as_numpy(dtype))
    for place in reversed(_dims(input, dim)):
        out = reductions.prod(out, place, keepdim, dtype=dtype)
    return out


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The sum so far along `dim` of the elements where the mask holds."""
    return _as(reductions.cumsum(_filled(input, mask, 0), dim), input, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The product so far along `dim` of the elements where the mask holds."""
    return _as(reductions.cumprod(_filled(input, mask, 1), dim), input, dtype)


# --- extremes --------------------------------------------------------------------------------


def amax(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The largest element where the mask holds; -inf (the smallest integer) for none."""
    out = reductions.amax(_filled(input, mask, _lowest), _dims(input, dim), keepdim)
    return _as(out, input, dtype)


def amin(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The smallest element where the mask holds; inf (the largest integer) for none."""
    out = reductions.amin(_filled(input, mask, _highest), _dims(input, dim), keepdim)
    return _as(out, input, dtype)


def argmax(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The index of the largest element where the mask holds, in the dtype of the input."""
    return _as(reductions.argmax(_filled(input, mask, _lowest), dim, keepdim), input, dtype)


def argmin(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The index of the smallest element where the mask holds, in the dtype of the input."""
    return _as(reductions.argmin(_filled(input, mask, _highest), dim, keepdim), input, dtype)


# --- means and spread ------------------------------------------------------------------------


def _count(input: Tensor, mask: Tensor | None, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """How many elements take part."""
    if mask is None:
        ones = apply(p.full, shape=tuple(input._value.shape), value=1, dtype=INT64)
        return reductions.sum(ones, dims, keepdim)
    return reductions.sum(_full_mask(input, mask), dims, keepdim)


def mean(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The mean of the elements where the mask holds; NaN where it holds nowhere.

    Raises:
        ValueError: for integers and bools, unless a floating point dtype is given.
    """
    wanted = input._value.dtype if dtype is None else as_numpy(dtype)
    if not is_floating(wanted):
        raise DataError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {wanted}. Fix: convert with .float()"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return arithmetic.div(total, _count(input, mask, _dims(input, dim), keepdim))


def median(
    input: Tensor,
    dim: int = -1,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The median along `dim` of the elements where the mask holds; NaN where it holds nowhere.

    Raises:
        ValueError: when integers leave nothing to take the median of.
    """
    floating = is_floating(input._value.dtype)
    x = input if floating else converted(input, FLOAT32)
    out: Tensor = nanmedian(_filled(x, mask, float("nan")), dim, keepdim).values
    if floating:
        return out
    if mask is not None and bool(reductions.any(isnan(out))):
        raise ShapeError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return _as(out, input, dtype)


def _spread(input: Tensor, dim: Any, options: dict[str, Any]) -> Tensor:
    """sum of (x - mean)^2 / max(count - correction, 0)."""
    keepdim, dtype, mask = options["keepdim"], options["dtype"], options["mask"]
    correction, unbiased = options["correction"], options["unbiased"]
    if correction is not None and unbiased is not None:
        raise ShapeError("[var] only one of unbiased and correction may be given")
    if correction is None:
        correction = 0.0 if unbiased is False else 1.0
    kind = input._value.dtype if dtype is None else as_numpy(dtype)
    wanted = kind if is_floating(kind) or dtype is not None else FLOAT32
    compute = wanted if is_floating(wanted) else FLOAT32
    dims = _dims(input, dim)
    total = sum(input, dim, keepdim=True, dtype=wanted, mask=mask)
    distance = arithmetic.sub(input, arithmetic.div(total, _count(input, mask, dims, True)))
    squares = sum(distance * distance, dim, keepdim=keepdim, dtype=compute, mask=mask)
    count = _count(input, mask, dims, keepdim)
    if correction:
        count = arithmetic.clamp_min(arithmetic.sub(converted(count, compute), correction), 0.0)
    return converted(arithmetic.div(squares, count), wanted)  # type: ignore[no-any-return]


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of the elements where the mask holds: sum of (x - mean)^2 / (count - 1).

    Args:
        input: any tensor; integers give float32.
        dim: a dimension, several, or None for all.
        unbiased: False divides by the count itself.
        correction: what is subtracted from the count, instead of `unbiased`.
        keepdim: keep reduced dimensions with size 1.
        dtype: of the result.
        mask: bools that broadcast to the input; None for True everywhere.
    """
    return _spread(input, dim, {"unbiased": unbiased, "correction": correction,
                                "keepdim": keepdim, "dtype": dtype, "mask": mask})  # fmt: skip


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The standard deviation: the square root of `var`."""
    options = {"unbiased": unbiased, "correction": correction,
               "keepdim": keepdim, "dtype": dtype, "mask": mask}  # fmt: skip
    return apply(p.sqrt, _spread(input, dim, options))  # type: ignore[no-any-return]


# --- exponentials and norms ------------------------------------------------------------------


def logsumexp(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """log of the sum of exp(x) where the mask holds; -inf where it holds nowhere."""
    out = reductions.logsumexp(_filled(input, mask, _lowest), _dims(input, dim), keepdim)
    return _as(out, input, dtype)


def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """log(exp(x) + exp(y)), where a masked number counts as -inf."""
    first, second = _filled(input, input_mask, _lowest), _filled(other, other_mask, _lowest)
    return _as(arithmetic.logaddexp(first, second), input, dtype)


def norm(
    input: Tensor,
    ord: float | None = 2.0,
    dim: Any = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The norm of order `ord` of the elements where the mask holds."""
    identity = float("inf") if ord == -float("inf") else 0.0
    x = _filled(input, mask, identity)
    return reductions.norm(x, ord, _dims(input, dim), keepdim, dtype=dtype)


def normalize(
    input: Tensor,
    ord: float,
    dim: int,
    *,
    eps: float = 1e-12,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """x / max(norm of x along dim, eps), both over the elements where the mask holds."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    floor = apply(p.full, shape=(), value=eps, dtype=length._value.dtype)
    return arithmetic.div(_filled(input, mask, 0), arithmetic.maximum(length, floor))


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """exp(x) / sum of exp(x) along dim, where masked elements get 0."""
    return activations.softmax(_filled(input, mask, _lowest), dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of `softmax`."""
    return activations.log_softmax(_filled(input, mask, _lowest), dim, dtype=dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The softmax of -x."""
    return activations.softmin(_filled(input, mask, _highest), dim, dtype=dtype)
