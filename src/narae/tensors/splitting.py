"""Taking tensors apart: chunks, pieces of given sizes, single slices. All results are views."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import BoundsError, ShapeError, explain
from narae.base.shapes import normalize_dim
from narae.primitives import copy

from .eager import apply
from .movement import select, slice_dim
from .tensor import Tensor
from .views import mark_several

Tensors = tuple[Tensor, ...]


def _size(input: Tensor, dim: int, what: str) -> tuple[int, int]:
    """The normalised dimension and its size."""
    shape = input._value.shape
    if not shape:
        raise ShapeError(f"[{what}] {what} expects at least a 1-dimensional tensor")
    dim = normalize_dim(dim, len(shape), what)
    return dim, shape[dim]


def _pieces(input: Tensor, dim: int, bounds: Sequence[tuple[int, int]]) -> Tensors:
    return tuple([slice_dim(input, dim, start, stop) for start, stop in bounds])


def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> Tensors:
    """Pieces of equal size (the last may be smaller), or of the sizes in a list.

    >>> import narae
    >>> [tuple(part.shape) for part in narae.zeros(5, 2).split(2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    if isinstance(split_size_or_sections, (list, tuple)):
        return split_with_sizes(input, split_size_or_sections, dim)
    dim, size = _size(input, dim, "split")
    step = int(split_size_or_sections)
    if step < 0 or (step == 0 and size != 0):
        raise ShapeError(
            explain(
                "split",
                f"split_size is {step}, the dimension size is {size}",
                "split_size must be non-negative, and can only be 0 if dimension size is 0",
            )
        )
    if size == 0:
        return mark_several(_pieces(input, dim, [(0, 0)]))
    bounds = [(start, min(start + step, size)) for start in range(0, size, step)]
    return mark_several(_pieces(input, dim, bounds))


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> Tensors:
    """Pieces of the given sizes, which must add up to the size of the dimension."""
    dim, size = _size(input, dim, "split_with_sizes")
    sizes = [int(length) for length in split_sizes]
    if min(sizes, default=0) < 0:
        raise ShapeError(f"[split] split_with_sizes expects non-negative sizes, but got {sizes}")
    if sum(sizes) != size:
        raise ShapeError(
            explain(
                "split",
                f"split_sizes={sizes}",
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's "
                f"size at dimension {dim})",
            )
        )
    bounds, start = [], 0
    for length in sizes:
        bounds.append((start, start + length))
        start += length
    return mark_several(_pieces(input, dim, bounds))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> Tensors:
    """At most `chunks` pieces of equal size; the last may be smaller."""
    dim, size = _size(input, dim, "chunk")
    if chunks <= 0:
        raise ShapeError(f"[chunk] chunk expects `chunks` to be greater than 0, got: {chunks}")
    if size == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, -(-size // chunks), dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> Tensors:
    """Pieces between indices, or `sections` pieces whose sizes differ by at most one."""
    dim, size = _size(input, dim, "tensor_split")
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (list, tuple)):
        starts = [slice(int(place), None).indices(size)[0] for place in indices_or_sections]
    else:
        starts = _even_starts(size, int(indices_or_sections))
    bounds = zip([0, *starts], [*starts, size], strict=True)
    return _pieces(input, dim, [(start, max(start, stop)) for start, stop in bounds])


def _check_sections(sections: Any, what: str) -> None:
    if not isinstance(sections, (int, list, tuple, Tensor)):
        raise TypeError(f"{what}(): sections must be int or a tuple of ints, not {sections!r}")


def _even_starts(size: int, sections: int) -> list[int]:
    if sections <= 0:
        raise ShapeError(f"[tensor_split] number of sections must be larger than 0, got {sections}")
    length, longer = divmod(size, sections)
    return [place * length + min(place, longer) for place in range(1, sections)]


def hsplit(input: Tensor, indices_or_sections: Any) -> Tensors:
    """Split along columns (the only dimension of a vector)."""
    dim = 0 if len(input._value.shape) == 1 else 1
    return _evenly(input, indices_or_sections, dim, 1, "hsplit")


def vsplit(input: Tensor, indices_or_sections: Any) -> Tensors:
    """Split along rows."""
    return _evenly(input, indices_or_sections, 0, 2, "vsplit")


def dsplit(input: Tensor, indices_or_sections: Any) -> Tensors:
    """Split along the third dimension."""
    return _evenly(input, indices_or_sections, 2, 3, "dsplit")


def _evenly(input: Tensor, sections: Any, dim: int, rank: int, what: str) -> Tensors:
    shape = input._value.shape
    _check_sections(sections, what)
    if len(shape) < rank:
        raise ShapeError(
            f"[{what}] {what} requires a tensor with at least {rank} dimension, but got a "
            f"tensor with {len(shape)} dimensions!"
        )
    if isinstance(sections, int) and (sections == 0 or shape[dim] % sections):
        raise ShapeError(
            f"[{what}] attempted to split along dimension {dim}, but the size of the dimension "
            f"{shape[dim]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(input, sections, dim)


def unbind(input: Tensor, dim: int = 0) -> Tensors:
    """The slices along a dimension, without it.

    >>> import narae
    >>> narae.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    if not input._value.shape:
        raise BoundsError("[unbind] Dimension specified as 0 but tensor has no dimensions")
    dim, size = _size(input, dim, "unbind")
    return mark_several(tuple([select(input, dim, index) for index in range(size)]))


# --- without the restrictions on several views ------------------------------------------------


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> Tensors:
    """`split` whose pieces may be written to under gradients: they have memory of their own."""
    return tuple([apply(copy, piece) for piece in split(input, split_size, dim)])


def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> Tensors:
    """`split_with_sizes` whose pieces may be written to under gradients."""
    return tuple([apply(copy, piece) for piece in split_with_sizes(input, split_sizes, dim)])


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> Tensors:
    """`chunk` whose pieces may be written to under gradients."""
    return tuple([apply(copy, piece) for piece in chunk(input, chunks, dim)])


__all__ = [
    "chunk",
    "dsplit",
    "hsplit",
    "split",
    "split_with_sizes",
    "tensor_split",
    "unbind",
    "unsafe_chunk",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "vsplit",
]
METHODS = __all__
