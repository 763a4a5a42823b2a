"""New tensors with the same elements in another arrangement: repeats, flips, rolls, triangles."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64, as_numpy
from narae.base.errors import BoundsError, ShapeError, explain
from narae.base.shapes import normalize_dim, normalize_dims
from narae.primitives.views import strided_positions

from .creation import constant
from .eager import apply, converted
from .joining import cat
from .movement import (
    as_strided,
    diagonal,
    expand,
    reshape,
    sizes_of,
    slice_dim,
    transpose,
    unsqueeze,
)
from .tensor import Tensor

# --- repeating ------------------------------------------------------------------------------


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Copies of the whole tensor side by side: `repeats[i]` of them along dimension i.

    >>> import narae
    >>> narae.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    counts, shape = sizes_of(repeats), tuple(input._value.shape)
    if len(counts) < len(shape):
        raise ShapeError(
            explain(
                "repeat",
                f"the tensor is {shape}, repeats are {list(counts)}",
                "Number of dimensions of repeat dims can not be smaller than number of dimensions "
                "of tensor",
            )
        )
    if min(counts, default=0) < 0:
        raise ShapeError(f"[repeat] Trying to create tensor with negative dimension: {counts}")
    sizes = (1,) * (len(counts) - len(shape)) + shape
    # (n, m) -> (1, n, 1, m) -> (repeats, n, repeats, m) -> (repeats * n, repeats * m)
    apart = tuple(size for pair in sizes for size in (1, pair))
    wide = tuple(size for pair in zip(counts, sizes, strict=True) for size in pair)
    joined = tuple(count * size for count, size in zip(counts, sizes, strict=True))
    copied = apply(p.copy, expand(reshape(input, apart), wide))
    return reshape(copied, joined)


def tile(input: Tensor, *dims: Any) -> Tensor:
    """`repeat`, with missing counts taken as 1."""
    counts = sizes_of(dims)
    missing = len(input._value.shape) - len(counts)
    return repeat(input, (1,) * max(missing, 0) + counts)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Every element several times in a row.

    Args:
        input: any shape.
        repeats: a number, or one number for each index of the dimension.
        dim: the dimension; without it the input is flattened.
        output_size: the size of the result, if known; checked.
    """
    if repeats is None:
        return _interleaved_places(input)
    if dim is None:
        input, dim = reshape(input, (input._value.size,)), 0
    dim = normalize_dim(dim, len(input._value.shape), "repeat_interleave")
    if not input._value.shape:
        input = reshape(input, (1,))
    size = input._value.shape[dim]
    if isinstance(repeats, Tensor):
        repeats = repeats._array
    counts = np.asarray(repeats)
    if counts.ndim > 1 or counts.size not in (1, size) or counts.dtype.kind not in "iu":
        raise ShapeError(
            explain(
                "repeat_interleave",
                f"repeats are {counts.dtype} {counts.shape}, the dimension has size {size}",
                "repeats must have the same size as input along dim, and be integers",
            )
        )
    if counts.size and counts.min() < 0:
        raise ShapeError("[repeat_interleave] repeats can not be negative")
    places = np.repeat(np.arange(size), counts.reshape(-1) if counts.ndim else counts)
    if output_size is not None and output_size != len(places):
        raise ShapeError(
            f"[repeat_interleave] allocated size does not match required size: {output_size} and "
            f"{len(places)}"
        )
    return apply(p.take, input, constant(places), dim=dim)  # type: ignore[no-any-return]


def _interleaved_places(counts: Tensor) -> Tensor:
    array = counts._array
    return constant(np.repeat(np.arange(array.size), array))


# --- reversing and turning ------------------------------------------------------------------


def flip(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The order along dimensions reversed; a copy.

    >>> import narae
    >>> narae.arange(3).flip(0)
    tensor([2, 1, 0])
    """
    wanted = sizes_of(order) if dims is None else dims
    wanted = normalize_dims(wanted, len(input._value.shape), "flip")
    return apply(p.flip, input, dim=wanted)  # type: ignore[no-any-return]


def fliplr(input: Tensor) -> Tensor:
    """Left and right exchanged."""
    if len(input._value.shape) < 2:
        raise ShapeError("[fliplr] Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """Up and down exchanged."""
    if len(input._value.shape) < 1:
        raise ShapeError("[flipud] Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shift along dimensions; what leaves at one end enters at the other.

    Without `dims` the tensor is rolled as if it were flat.
    """
    shape = input._value.shape
    moves = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    places = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not moves:
        raise ShapeError("[roll] `shifts` required")
    if not places and len(moves) == 1:
        flat = reshape(input, (input._value.size,))
        return reshape(_rolled(flat, moves[0], 0), shape)
    if len(moves) != len(places):
        raise ShapeError(
            f"[roll] shifts and dimensions must align. shifts: {len(moves)}, dims:{len(places)}"
        )
    if not shape:
        raise BoundsError(f"[roll] Dimension specified as {places[0]} but tensor has no dimensions")
    out = input
    for move, dim in zip(moves, places, strict=True):
        out = _rolled(out, move, normalize_dim(dim, len(shape), "roll"))
    return out


def _rolled(x: Tensor, shift: int, dim: int) -> Tensor:
    size = x._value.shape[dim] if x._value.shape else 1
    first = size - shift % size if size else 0
    if x._value.size == 0 or first == size:
        return apply(p.copy, x)  # type: ignore[no-any-return]
    return cat([slice_dim(x, dim, first, size), slice_dim(x, dim, 0, first)], dim)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from the first of two dimensions towards the second."""
    rank = len(input._value.shape)
    if len(dims) != 2:
        raise ShapeError(f"[rot90] expected total rotation dims == 2, but got dims = {len(dims)}")
    first, second = (normalize_dim(dim, rank, "rot90") for dim in dims)
    if first == second:
        raise ShapeError(
            f"[rot90] expected rotation dims to be different, but got dim0 = {first} and "
            f"dim1 = {second}"
        )
    if k % 4 == 1:
        return transpose(flip(input, second), first, second)
    if k % 4 == 2:
        return flip(input, first, second)
    if k % 4 == 3:
        return transpose(flip(input, first), first, second)
    return apply(p.copy, input)  # type: ignore[no-any-return]


# --- triangles ------------------------------------------------------------------------------


def _triangle(input: Tensor, diagonal: int, lower: bool, what: str) -> Tensor:
    shape = input._value.shape
    if len(shape) < 2:
        raise ShapeError(f"[{what}] input tensor must have at least 2 dimensions")
    rows, columns = shape[-2:]
    below = np.tri(rows, columns, diagonal if lower else diagonal - 1, dtype=bool)
    kept = constant(below if lower else ~below)
    return apply(p.where, kept, input, _zero(input))  # type: ignore[no-any-return]


def _zero(x: Tensor) -> Any:
    return converted(0, x._value.dtype)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices; zero above the diagonal.

    >>> import narae
    >>> narae.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle(input, diagonal, True, "tril")


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices; zero below the diagonal."""
    return _triangle(input, diagonal, False, "triu")


def _indices(kept: Any, dtype: Any) -> Tensor:
    return constant(np.stack(np.nonzero(kept)).astype(INT64 if dtype is None else as_numpy(dtype)))


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Rows and columns of the lower triangle of a (row, col) matrix, in two rows."""
    return _indices(np.tri(row, col, offset, dtype=bool), dtype)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Rows and columns of the upper triangle of a (row, col) matrix, in two rows."""
    return _indices(~np.tri(row, col, offset - 1, dtype=bool), dtype)


# --- diagonals ------------------------------------------------------------------------------


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    rank = len(input._value.shape)
    if rank == 1:
        return diag_embed(input, diagonal)
    if rank != 2:
        raise ShapeError(
            f"[diag] diag(): Supports 1D or 2D tensors. Got {rank}D. Fix: use diagonal or "
            "diag_embed"
        )
    return apply(p.copy, _diagonal(input, diagonal, 0, 1))  # type: ignore[no-any-return]


_diagonal = diagonal


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension as a diagonal of two new dimensions, zeros elsewhere."""
    shape = tuple(input._value.shape)
    if not shape:
        raise ShapeError("[diag_embed] the tensor must have at least one dimension")
    rank = len(shape) + 1
    first, second = normalize_dim(dim1, rank, "diag_embed"), normalize_dim(dim2, rank, "diag_embed")
    if first == second:
        raise ShapeError(f"[diag_embed] diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = shape[-1] + abs(offset)
    rest = iter(shape[:-1])
    full = tuple(size if dim in (first, second) else next(rest) for dim in range(rank))
    empty = apply(p.full, shape=full, value=0, dtype=input._value.dtype)
    return apply(  # type: ignore[no-any-return]
        p.update_diagonal, empty, input, offset=offset, dim1=first, dim2=second
    )


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The elements in row-major order on the diagonal of a matrix."""
    return diag_embed(reshape(input, (input._value.size,)), offset)


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy whose diagonal is `src`."""
    view = _diagonal(input, offset, dim1, dim2)
    if tuple(view._value.shape) != tuple(src._value.shape):
        raise ShapeError(
            f"[diagonal_scatter] expected src to have a size equal to the slice of self. src size "
            f"= {list(src._value.shape)}, slice size = {list(view._value.shape)}"
        )
    _, attrs = view._view.steps[-1]
    return apply(p.update_diagonal, input, converted(src, input._value.dtype), **attrs)  # type: ignore[no-any-return]


# --- padding --------------------------------------------------------------------------------


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """A constant around the last dimensions; negative amounts cut off.

    Args:
        input: any shape.
        pad: before and after the last dimension, then the one before it, and so on.
        value: what is filled in.

    >>> import narae
    >>> narae.constant_pad_nd(narae.ones(2), (1, 2))
    tensor([0., 1., 1., 0., 0.])
    """
    shape = tuple(input._value.shape)
    if len(pad) % 2:
        raise ShapeError(f"[pad] Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) // 2 > len(shape):
        raise ShapeError(
            explain(
                "pad",
                f"the tensor is {shape}, pad is {list(pad)}",
                "Length of pad should be no more than twice the number of dimensions of the input",
            )
        )
    low, high = [0] * len(shape), [0] * len(shape)
    for place in range(len(pad) // 2):
        low[-1 - place], high[-1 - place] = int(pad[2 * place]), int(pad[2 * place + 1])
    sizes = [size + a + b for size, a, b in zip(shape, low, high, strict=True)]
    if min(sizes, default=0) < 0:
        raise ShapeError(
            f"[pad] The input size {list(shape)}, plus negative padding {list(pad)}, resulted in a "
            "negative output size, which is invalid. Check the dimensions of pad"
        )
    return _padded(_cut(input, low, high), low, high, value)


def _cut(x: Tensor, low: Sequence[int], high: Sequence[int]) -> Tensor:
    for dim, (before, after) in enumerate(zip(low, high, strict=True)):
        if before < 0 or after < 0:
            size = x._value.shape[dim]
            first = min(max(-before, 0), size)
            x = slice_dim(x, dim, first, max(size - max(-after, 0), first))
    return x


def _padded(x: Tensor, low: Sequence[int], high: Sequence[int], value: float) -> Tensor:
    before = tuple(max(amount, 0) for amount in low)
    after = tuple(max(amount, 0) for amount in high)
    filling = converted(value, x._value.dtype)
    return apply(p.pad, x, low=before, high=after, value=filling)  # type: ignore[no-any-return]


# --- slices written into a copy -------------------------------------------------------------


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy whose slice at one index of a dimension is `src`."""
    dim = normalize_dim(dim, len(input._value.shape), "select_scatter")
    index = index + input._value.shape[dim] if index < 0 else index
    return slice_scatter(input, unsqueeze(src, dim), dim, index, index + 1)


def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy whose slice start:end:step along a dimension is `src`."""
    dim = normalize_dim(dim, len(input._value.shape), "slice_scatter")
    first, last, step = slice(start, end, step).indices(input._value.shape[dim])
    view = slice_dim(input, dim, first, max(first, last), step)
    if tuple(view._value.shape) != tuple(src._value.shape):
        raise ShapeError(
            f"[slice_scatter] expected src to have a size equal to the slice of self. src size = "
            f"{list(src._value.shape)}, slice size = {list(view._value.shape)}"
        )
    _, attrs = view._view.steps[-1]
    return apply(p.update_slice, input, converted(src, input._value.dtype), **attrs)  # type: ignore[no-any-return]


def as_strided_scatter(
    input: Tensor,
    src: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """A copy in which the elements that `as_strided` would show are those of `src`."""
    like = apply(p.full, shape=tuple(input._value.shape), value=0, dtype=input._value.dtype)
    view = as_strided(like, size, stride, storage_offset)
    if tuple(view._value.shape) != tuple(src._value.shape):
        raise ShapeError(
            f"[as_strided_scatter] expected src to have a size equal to the slice of self. src "
            f"size = {list(src._value.shape)}, slice size = {list(view._value.shape)}"
        )
    _, attrs = view._view.steps[-1]
    places = strided_positions(**attrs)
    return p.write_at(input, converted(src, input._value.dtype), places)  # type: ignore[no-any-return]


__all__ = [
    "as_strided_scatter",
    "constant_pad_nd",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal_scatter",
    "flip",
    "fliplr",
    "flipud",
    "repeat_interleave",
    "roll",
    "rot90",
    "select_scatter",
    "slice_scatter",
    "tile",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]
METHODS = [name for name in __all__ if not name.endswith("_indices")] + ["repeat"]
METHODS.remove("constant_pad_nd")
IN_PLACE = ["tril", "triu"]
