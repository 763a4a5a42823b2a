"""Reading at computed positions, element by element or slice by slice."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import BoundsError, DTypeError, ShapeError, explain
from narae.base.shapes import broadcast_shapes, normalize_dim

from .advanced_indexing import in_range
from .eager import apply
from .modes import modes
from .movement import expand, reshape, slice_dim
from .operands import deliver, refuse_overlap
from .tensor import Tensor


def check_integers(what: str, index: Tensor) -> None:
    """Refuse an index that is neither int64 nor int32.

    Raises:
        RuntimeError: for other dtypes.
    """
    if index._value.dtype not in (INT64, np.dtype(np.int32)):
        raise DTypeError(
            explain(
                what,
                f"the index is {index.dtype} {tuple(index.shape)}",
                f"{what}(): Expected dtype int32/int64 for index",
                "convert it with .long()",
            )
        )


def check_bounds(what: str, index: Tensor, size: int, dim: int) -> None:
    """Refuse an index outside 0 .. size - 1; in a trace the executor does.

    Raises:
        IndexError, RuntimeError: if an index is out of range.
    """
    if modes.trace is not None or index._value.size == 0:
        return
    array = index._value
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= size:
        raise BoundsError(
            explain(
                what,
                f"index {low if low < 0 else high} is out of bounds for dimension {dim} with size "
                f"{size}",
                f"valid are 0 to {size - 1}" if size else "it has no elements",
            )
        )


def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices at `index` along a dimension.

    Args:
        input: any shape.
        dim: the dimension.
        index: a vector of integers, or a single one.
        out: where the result is written.
    """
    if out is not None:
        refuse_overlap(out, "index_select", input, index)
    return deliver(_selected(input, dim, index), out, "index_select")


def _selected(input: Tensor, dim: int, index: Tensor) -> Tensor:
    shape = input._value.shape
    dim = normalize_dim(dim, len(shape), "index_select")
    check_integers("index_select", index)
    if index._value.ndim > 1:
        raise BoundsError(
            f"[index_select] the index is {tuple(index.shape)}; index_select(): Index is supposed "
            "to be a vector"
        )
    if not shape:
        check_bounds("index_select", index, 1, 0)
        return reshape(apply(p.take, reshape(input, (1,)), index, dim=0), ())
    check_bounds("index_select", index, shape[dim], dim)
    if index._value.ndim == 0:
        index = reshape(index, (1,))
    return apply(p.take, input, index, dim=dim)  # type: ignore[no-any-return]


def check_gather(what: str, input: Tensor, dim: int, index: Tensor) -> int:
    """Check the shape of an index of `gather` and `scatter`; the normalised dimension.

    Raises:
        RuntimeError: when the ranks differ or the index is larger than the input elsewhere.
    """
    shape, sizes = tuple(input._value.shape), tuple(index._value.shape)
    dim = normalize_dim(dim, len(shape), what)
    if index._value.size == 0:
        return dim
    check_integers(what, index)
    if max(len(sizes), 1) != max(len(shape), 1):
        raise ShapeError(
            explain(
                what,
                f"the index is {sizes}, the input {shape}",
                "Index tensor must have the same number of dimensions as input tensor",
            )
        )
    for place, (size, limit) in enumerate(zip(sizes, shape, strict=False)):
        if place != dim and size > limit:
            raise ShapeError(
                explain(
                    what,
                    f"Size does not match at dimension {place} expected index {list(sizes)} to be "
                    f"no larger than self {list(shape)} apart from dimension {dim}",
                    "the index may be larger only along `dim`",
                )
            )
    check_bounds(what, index, shape[dim] if shape else 1, dim)
    return dim


def gather(
    input: Tensor,
    dim: int,
    index: Tensor,
    *,
    sparse_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """One element along `dim` for each element of the index.

    out[i][j] = input[index[i][j]][j] for dim 0; input[i][index[i][j]] for dim 1.

    Args:
        input: any shape.
        dim: the dimension that is indexed.
        index: int64, as many dimensions as the input, no larger than it except along `dim`.
        sparse_grad: ignored; gradients are dense.
        out: where the result is written.

    >>> import narae
    >>> narae.tensor([[1, 2], [3, 4]]).gather(1, narae.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    dim = check_gather("gather", input, dim, index)
    if out is None:
        return _gathered(input, dim, index)
    refuse_overlap(out, "gather", input, index)
    if out._value.dtype != input._value.dtype:
        raise DTypeError(
            explain("gather", f"the input is {input.dtype}, out= is {out.dtype}",
                    "Expected out tensor to have the dtype of the input")
        )  # fmt: skip
    return deliver(_gathered(input, dim, index), out, "gather")


def _gathered(input: Tensor, dim: int, index: Tensor) -> Tensor:
    rank, index_rank = input._value.ndim, index._value.ndim
    if rank == index_rank and rank:
        return apply(p.gather, input, index, dim=dim)  # type: ignore[no-any-return]
    if index._value.size == 0:
        nothing = slice_dim(reshape(input, (input._value.size,)), 0, 0, 0)
        return reshape(nothing, index._value.shape)
    row = reshape(input, (1,)) if not rank else input
    found = apply(p.gather, row, reshape(index, (-1,)), dim=0)
    return reshape(found, index._value.shape)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with an index that broadcasts; without `dim` the input counts as flat."""
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    shape, sizes = tuple(input._value.shape), tuple(indices._value.shape)
    if len(shape) != len(sizes):
        raise ShapeError(
            "[take_along_dim] take_along_dim(): input and indices should have the same number"
            f" of dimensions, but got {len(shape)} dimensions for input, and {len(sizes)} "
            "dimensions for indices"
        )
    check_integers("take_along_dim", indices)
    dim = normalize_dim(dim, len(shape), "take_along_dim")
    indices = in_range(indices, shape[dim], dim)
    common = list(broadcast_shapes(_with(shape, dim, 1), _with(sizes, dim, 1)))
    wide = expand(input, _with(common, dim, shape[dim]))
    return gather(wide, dim, expand(indices, _with(common, dim, sizes[dim])))


def _with(shape: Any, dim: int, size: int) -> tuple[int, ...]:
    """A shape with another size in one place."""
    return (*shape[:dim], size, *shape[dim + 1 :])


def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Elements at positions in row-major order; negative ones count from the end."""
    if index._value.dtype != INT64:
        raise DTypeError(f"[take] take(): Expected a long tensor for index, but got {index.dtype}")
    if out is not None:
        refuse_overlap(out, "take", input, index)
    size = int(input._value.size)
    if size == 0 and index._value.size:
        raise BoundsError("[take] take(): tried to take from an empty tensor")
    flat = reshape(input, (size,))
    found = apply(p.take, flat, in_range(index, size, 0), dim=0)
    return deliver(found, out, "take")


def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements where a mask holds, in one dimension."""
    if mask._value.dtype.kind != "b":
        raise DTypeError(
            f"[masked_select] masked_select: expected BoolTensor for mask, but got {mask.dtype}"
        )
    from .indexing import getitem

    if out is not None:
        refuse_overlap(out, "masked_select", input, mask)
    shape = broadcast_shapes(input._value.shape, mask._value.shape, what="masked_select")
    if not shape:
        input, mask, shape = reshape(input, (1,)), reshape(mask, (1,)), (1,)
    return deliver(getitem(expand(input, shape), expand(mask, shape)), out, "masked_select")


__all__ = ["gather", "index_select", "masked_select", "take", "take_along_dim"]
METHODS = __all__
