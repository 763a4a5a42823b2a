"""Writing at computed positions, element by element or slice by slice."""

from typing import Any

from narae import primitives as p
from narae.base.dtypes import BOOL, is_floating
from narae.base.errors import BoundsError, DTypeError, ShapeError, explain
from narae.base.shapes import Shape, broadcast_shapes, normalize_dim

from .advanced_indexing import in_range
from .autocast import widest
from .eager import apply, converted
from .gathering import check_bounds, check_gather, check_integers
from .movement import expand, reshape
from .searching import check_mask_dtype
from .tensor import Tensor

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


# --- scatter: one element for each element of the index -------------------------------------


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """A copy with elements of `src`, or one value, written along `dim`.

    out[index[i][j]][j] = src[i][j] for dim 0, and so on.

    Args:
        input: any shape.
        dim: the dimension that is indexed.
        index: int64, as many dimensions as the input.
        src: at least as large as the index; or a number.
        value: a number, instead of src.
        reduce: "add" or "multiply" instead of overwriting.
    """
    dim = check_gather("scatter", input, dim, index)
    source = _source("scatter", input, index, value if src is None else src)
    if reduce is None:
        return _scattered(p.scatter, input, dim, index, source)
    if reduce not in ("add", "multiply"):
        raise ShapeError(f"[scatter] reduce argument must be either add or multiply, got {reduce}")
    name = {"add": "sum", "multiply": "prod"}[reduce]
    return _reduced(input, dim, index, source, name, True)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with elements of `src` added along `dim`; equal places add up."""
    dim = check_gather("scatter_add", input, dim, index)
    source = _source("scatter_add", input, index, src)
    return _scattered(p.scatter_add, input, dim, index, source)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy in which elements of `src` that meet at one place are reduced.

    Args:
        input, dim, index, src: as for `scatter`.
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the value that is there takes part.
    """
    if reduce not in REDUCTIONS:
        raise ShapeError(
            f"[scatter_reduce] reduce argument must be either sum, prod, mean, amax or amin, got "
            f"{reduce}"
        )
    dim = check_gather("scatter_reduce", input, dim, index)
    source = _source("scatter_reduce", input, index, src)
    return _reduced(input, dim, index, source, reduce, include_self)


def _source(what: str, x: Tensor, index: Tensor, src: Any) -> Tensor:
    """What is written, in the shape of the index."""
    shape = tuple(index._value.shape)
    if not isinstance(src, Tensor):
        if src is None:
            raise TypeError(f"{what}(): missing src or value")
        number = converted(src, x._value.dtype)
        return apply(p.full, shape=shape, value=number, dtype=x._value.dtype)  # type: ignore[no-any-return]
    if src._value.dtype != x._value.dtype:
        raise DTypeError(
            explain(
                what,
                f"self is {x.dtype}, src is {src.dtype}",
                f"{what}(): Expected self.dtype to be equal to src.dtype",
                "convert one of them with .to(dtype)",
            )
        )
    sizes = tuple(src._value.shape)
    if sizes == shape:
        return src
    if index._value.size == 0:
        return apply(p.full, shape=shape, value=0, dtype=x._value.dtype)  # type: ignore[no-any-return]
    if max(len(sizes), 1) != max(len(shape), 1) or any(
        size > limit for size, limit in zip(shape, sizes, strict=False)
    ):
        raise ShapeError(
            explain(
                what,
                f"Expected index {list(shape)} to be no larger than src {list(sizes)}",
                "every element of the index needs an element of src",
            )
        )
    if len(sizes) != len(shape):
        return reshape(src, shape)
    zeros = (0,) * len(shape)
    return apply(p.slice_, src, start=zeros, stop=shape, step=(1,) * len(shape))  # type: ignore[no-any-return]


def _scattered(operation: Any, x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    if index._value.size == 0:
        return apply(p.copy, x)  # type: ignore[no-any-return]
    if x._value.ndim and index._value.ndim:
        return apply(operation, x, index, source, dim=dim)  # type: ignore[no-any-return]
    row = reshape(x, (1,)) if not x._value.ndim else x
    index, source = reshape(index, (-1,)), reshape(source, (-1,))
    return reshape(apply(operation, row, index, source, dim=0), x._value.shape)


def _reduced(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, include_self: bool
) -> Tensor:
    if reduce == "mean":
        return _mean(x, dim, index, source, include_self)
    if reduce == "sum":
        base = x if include_self else _scattered(p.scatter, x, dim, index, _like(source, 0))
        return _scattered(p.scatter_add, base, dim, index, source)
    if index._value.size == 0:
        return apply(p.copy, x)  # type: ignore[no-any-return]
    shape = x._value.shape
    if not shape or not index._value.ndim:
        x = reshape(x, (-1,))
        index, source = reshape(index, (-1,)), reshape(source, (-1,))
    attrs = {"dim": dim, "reduce": reduce, "include_self": include_self}
    return reshape(apply(p.scatter_reduce, x, index, source, **attrs), shape)


def _like(x: Tensor, value: int) -> Tensor:
    return apply(  # type: ignore[no-any-return]
        p.full, shape=tuple(x._value.shape), value=value, dtype=x._value.dtype
    )


def _mean(x: Tensor, dim: int, index: Tensor, source: Tensor, include_self: bool) -> Tensor:
    """The sum by the count; integers round down."""
    total = _reduced(x, dim, index, source, "sum", include_self)
    counts = _like(x, 1)
    if not include_self:
        counts = _scattered(p.scatter, counts, dim, index, _like(source, 0))
    counts = _scattered(p.scatter_add, counts, dim, index, _like(source, 1))
    division = p.div if is_floating(x._value.dtype) else p.floor_divide
    return apply(division, total, counts)  # type: ignore[no-any-return]


# --- index_…: one slice for each element of a vector ----------------------------------------


def _slices(what: str, x: Tensor, dim: int, index: Tensor, src: Any) -> tuple[int, Tensor]:
    """Check dimension, index and source; the dimension and the index as a vector."""
    shape = tuple(x._value.shape)
    dim = normalize_dim(dim, len(shape), what)
    check_integers(what, index)
    if index._value.ndim > 1:
        raise BoundsError(
            f"[{what}] {what}(): Index is supposed to be a vector, got {tuple(index.shape)}"
        )
    count = int(index._value.size)
    if isinstance(src, Tensor):
        _check_slices(what, shape, dim, count, src)
    return dim, reshape(index, (count,))


def _check_slices(what: str, shape: Shape, dim: int, count: int, src: Tensor) -> None:
    sizes = tuple(src._value.shape)
    expected = (*shape[:dim], count, *shape[dim + 1 :])
    if sizes not in (expected, ()) or (sizes == () and count != 1):
        raise ShapeError(
            explain(
                what,
                f"source is {sizes}, self is {shape}, the index has {count} elements",
                "source tensor shape must match self tensor shape, excluding the specified "
                f"dimension: {expected} is expected",
            )
        )


def _rowed(x: Tensor) -> Tensor:
    return reshape(x, (1,)) if not x._value.ndim else x


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy with slices of `source` times alpha added at `index`; equal places add up."""
    dim, index = _slices("index_add", input, dim, index, source)
    _check_same_dtype("index_add", input, source)
    x = _rowed(input)
    check_bounds("index_add", index, x._value.shape[dim], dim)
    if alpha != 1:
        source = source * alpha
    return reshape(
        apply(p.index_add, x, index, _as_slices(x, dim, index, source), dim=dim), input._value.shape
    )


def _as_slices(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    shape = x._value.shape
    return reshape(source, (*shape[:dim], int(index._value.size), *shape[dim + 1 :]))


def _check_same_dtype(what: str, x: Tensor, source: Tensor) -> None:
    if x._value.dtype != source._value.dtype:
        raise DTypeError(
            explain(
                what,
                f"self is {x.dtype}, source is {source.dtype}",
                f"{what}(): self and source expected to have the same dtype",
                "convert one of them with .to(dtype)",
            )
        )


def _index_for_slices(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """A vector index of slices as an index of elements."""
    shape, count = tuple(x._value.shape), int(index._value.size)
    line = (1,) * dim + (count,) + (1,) * (len(shape) - dim - 1)
    return expand(reshape(index, line), (*shape[:dim], count, *shape[dim + 1 :]))


@widest
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with slices of `source` written at `index`."""
    dim, index = _slices("index_copy", input, dim, index, source)
    _check_same_dtype("index_copy", input, source)
    x = _rowed(input)
    index = in_range(index, x._value.shape[dim], dim)
    places = _index_for_slices(x, dim, index)
    out = _scattered(p.scatter, x, dim, places, _as_slices(x, dim, index, source))
    return reshape(out, input._value.shape)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with one number in the slices at `index`."""
    dim, index = _slices("index_fill", input, dim, index, None)
    if isinstance(value, Tensor) and value._value.ndim:
        raise ShapeError(
            "[index_fill] index_fill_ only supports a 0-dimensional value tensor, but got tensor "
            f"with {value._value.ndim} dimension(s)."
        )
    x = _rowed(input)
    index = in_range(index, x._value.shape[dim], dim)
    size = x._value.shape[dim]
    line = (1,) * dim + (size,) + (1,) * (x._value.ndim - dim - 1)
    chosen = apply(p.full, shape=(size,), value=False, dtype=BOOL)
    flags = apply(p.full, shape=tuple(index._value.shape), value=True, dtype=BOOL)
    chosen = reshape(_scattered(p.scatter, chosen, 0, index, flags), line)
    out = apply(p.where, chosen, converted(value, x._value.dtype), x)
    return reshape(out, input._value.shape)


def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """A copy in which slices of `source` that meet at one index are reduced.

    Args:
        input, dim, index, source: as for `index_add`.
        reduce: "prod", "mean", "amax" or "amin".
        include_self: whether what is there takes part.
    """
    if reduce not in REDUCTIONS[1:]:
        raise ShapeError(
            f"[index_reduce] reduce argument must be either prod, mean, amax or amin, got {reduce}."
        )
    dim, index = _slices("index_reduce", input, dim, index, source)
    _check_same_dtype("index_reduce", input, source)
    x = _rowed(input)
    check_bounds("index_reduce", index, x._value.shape[dim], dim)
    places, slices = _index_for_slices(x, dim, index), _as_slices(x, dim, index, source)
    return reshape(_reduced(x, dim, places, slices, reduce, include_self), input._value.shape)


# --- flat positions and masks ---------------------------------------------------------------


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with elements written (or added) at positions in row-major order."""
    _check_same_dtype("put_", input, source)
    if index._value.size != source._value.size:
        raise ShapeError(
            "[put_] put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._value.size}, index.numel() = {index._value.size}"
        )
    check_integers("put_", index)
    size = int(input._value.size)
    flat, places = reshape(input, (size,)), in_range(reshape(index, (-1,)), size, 0)
    operation = p.scatter_add if accumulate else p.scatter
    out = _scattered(operation, flat, 0, places, reshape(source, (-1,)))
    return reshape(out, input._value.shape)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy in which the places where a mask holds take elements of `source`, in order."""
    from .advanced_indexing import put_into_copy, resolved

    check_mask_dtype("masked_scatter", mask)
    _check_same_dtype("masked_scatter", input, source)
    shape = broadcast_shapes(input._value.shape, mask._value.shape, what="masked_scatter")
    input = expand(input, shape) if tuple(input.shape) != shape else input
    wide = expand(mask, shape) if tuple(mask.shape) != shape else mask
    places = resolved(input._value.shape, {0: wide}) if input._value.ndim else None
    x = input
    if places is None:
        x = reshape(input, (1,))
        places = resolved((1,), {0: reshape(wide, (1,))})
    count = int(places[0]._value.size)
    if count > source._value.size:
        raise ShapeError(
            "[masked_scatter] masked_scatter: expected self and source to have same number of "
            f"elements: {count} places, {source._value.size} elements of source"
        )
    flat = reshape(source, (-1,))
    used = apply(p.slice_, flat, start=(0,), stop=(count,), step=(1,))
    return reshape(put_into_copy(x, places, used, False), input._value.shape)


__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_reduce",
    "masked_scatter",
    "put",
    "scatter",
    "scatter_add",
    "scatter_reduce",
]
METHODS = __all__
IN_PLACE = __all__
