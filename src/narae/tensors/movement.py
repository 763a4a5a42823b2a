"""Other views of the same elements: shapes, order of dimensions, slices, diagonals, windows.

Results share storage with their operand wherever they do in PyTorch.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from narae import primitives as p
from narae.base import dtypes
from narae.base.errors import BoundsError, NotSupportedError, ShapeError, explain
from narae.base.shapes import Shape, contiguous_strides, infer_reshape, normalize_dim

from .eager import apply, ndarray
from .layout import can_view, offset_of, strides_of
from .tensor import Tensor
from .views import make_view


def sizes_of(sizes: Sequence[Any]) -> Shape:
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` or `f([2, 3])`."""
    if len(sizes) == 1:
        (only,) = sizes
        if only.__class__ is int:
            return (only,)
        if isinstance(only, (tuple, list)):
            sizes = only
    return tuple([size if type(size) is int else size.__index__() for size in sizes])


def _shape(x: Tensor) -> Shape:
    return x._value.shape  # type: ignore[no-any-return]


# --- shapes ---------------------------------------------------------------------------------


def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in row-major order under another shape; a view if possible, else a copy.

    Args:
        input: any shape.
        sizes: the new sizes; one of them may be -1 and is computed.
        shape: the same as one tuple, as a keyword.

    >>> import narae
    >>> narae.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    wanted = infer_reshape(_shape(input), sizes_of(sizes) if shape is None else tuple(shape))
    value = input._value
    if (value.__class__ is ndarray and value.flags.c_contiguous) or can_view(input, wanted):
        return make_view(input, p.reshape, shape=wanted)
    return apply(p.reshape, input, shape=wanted)  # type: ignore[no-any-return]


def view(input: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape.

    Raises:
        RuntimeError: when the layout does not allow it, or the number of elements differs.
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.DType):
        return _view_as_dtype(input, shape[0])
    wanted = infer_reshape(_shape(input), sizes_of(shape))
    if not can_view(input, wanted):
        raise ShapeError(
            explain(
                "view",
                f"shape {tuple(_shape(input))} with strides {strides_of(input)} cannot become "
                f"{wanted} without a copy",
                "view size is not compatible with input tensor's size and stride (at least one "
                "dimension spans across two contiguous subspaces)",
                "Use .reshape(...) instead, or .contiguous().view(...)",
            )
        )
    return make_view(input, p.reshape, shape=wanted)


def _view_as_dtype(input: Tensor, dtype: dtypes.DType) -> Tensor:
    if input.dtype is dtype:
        return alias(input)
    raise NotSupportedError(
        explain(
            "view",
            f"the elements are {input.dtype}, wanted is {dtype}",
            "Narae does not read the bits of one dtype as another",
            "convert with .to(dtype), or go through .numpy().view(...)",
        )
    )


def alias(input: Tensor) -> Tensor:
    """A new tensor on the same memory, with the same shape."""
    return make_view(input, p.reshape, shape=_shape(input))


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """The same memory under the shape of another tensor."""
    return view(input, _shape(other))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The same elements under the shape of another tensor."""
    return reshape(input, _shape(other))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the dimensions from `start_dim` to `end_dim` into one.

    >>> import narae
    >>> narae.zeros(2, 3, 4).flatten(1).shape
    narae.Size([2, 12])
    """
    shape = _shape(input)
    start = normalize_dim(start_dim, len(shape), "flatten")
    end = normalize_dim(end_dim, len(shape), "flatten")
    if start > end:
        raise ShapeError(
            explain(
                "flatten",
                f"start_dim is {start_dim}, end_dim is {end_dim}",
                "flatten() has invalid args: start_dim cannot come after end_dim",
            )
        )
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    joined = math.prod(shape[start : end + 1])
    return reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several; one size may be -1."""
    shape = _shape(input)
    if not shape:
        raise BoundsError("[unflatten] Dimension specified as 0 but tensor has no dimensions")
    dim = normalize_dim(dim, len(shape), "unflatten")
    sizes = tuple(int(size) for size in sizes)
    if not sizes:
        raise ShapeError("[unflatten] sizes must be non-empty")
    try:
        found = infer_reshape((shape[dim],), sizes)
    except ShapeError as error:
        raise ShapeError(
            explain(
                "unflatten",
                f"Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
                f"({shape[dim]}) in the input tensor",
                "the product of the sizes is the size of the dimension",
            )
        ) from error
    return view(input, (*shape[:dim], *found, *shape[dim + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, (-1,)) if input._value.size else reshape(input, (0,))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Remove dimensions of size 1: all of them, or those named."""
    shape = _shape(input)
    if dim is None:
        gone = tuple(place for place, size in enumerate(shape) if size == 1)
        return make_view(input, p.squeeze_all, dim=gone)
    dims = (dim,) if isinstance(dim, int) else dim
    wanted = [normalize_dim(int(place), len(shape), "squeeze") for place in dims]
    if len(set(wanted)) != len(wanted):
        raise ShapeError(
            f"[squeeze] dims are {tuple(dims)}; a dim appears multiple times in the list of dims"
        )
    gone = tuple(sorted([place for place in wanted if shape and shape[place] == 1]))
    return make_view(input, p.squeeze, dim=gone)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert a dimension of size 1.

    >>> import narae
    >>> narae.zeros(3).unsqueeze(-1).shape
    narae.Size([3, 1])
    """
    return make_view(input, p.unsqueeze, dim=normalize_dim(dim, len(_shape(input)) + 1))


# --- order of dimensions --------------------------------------------------------------------


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions."""
    rank = len(_shape(input))
    dim0, dim1 = normalize_dim(dim0, rank, "transpose"), normalize_dim(dim1, rank, "transpose")
    if not rank:
        return alias(input)
    return make_view(input, p.transpose, dim0=dim0, dim1=dim1)


swapaxes = swapdims = transpose


def t(input: Tensor) -> Tensor:
    """Exchange the two dimensions of a matrix; vectors and numbers stay."""
    rank = len(_shape(input))
    if rank > 2:
        raise ShapeError(
            explain(
                "t",
                f"the tensor is {tuple(_shape(input))}",
                f"t() expects a tensor with <= 2 dimensions, but self is {rank}D",
                "use transpose(dim0, dim1) or mT",
            )
        )
    return make_view(input, p.t, dim0=0, dim1=1) if rank == 2 else alias(input)


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """Dimension i of the result is dimension `order[i]` (or `dims[i]`) of the input."""
    order = sizes_of(order) if dims is None else tuple(dims)
    return make_view(input, p.permute, dims=_permutation(order, len(_shape(input))))


@lru_cache(4096)
def _permutation(order: Shape, rank: int) -> Shape:
    """An order of dimensions without negative numbers."""
    found = tuple([normalize_dim(dim, rank, "permute") for dim in order])
    if len(found) != rank:
        raise ShapeError(
            explain(
                "permute",
                f"input.dim() = {rank} is not equal to len(dims) = {len(found)}",
                "number of dimensions in the tensor input does not match the length of the "
                "desired ordering of dimensions",
            )
        )
    if len(set(found)) != rank:
        raise ShapeError(f"[permute] dims are {order}; permute(): duplicate dims are not allowed.")
    return found


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move dimensions to other places; the others keep their order."""
    rank = len(_shape(input))
    sources = _distinct_dims(source, rank, "source")
    destinations = _distinct_dims(destination, rank, "destination")
    if len(sources) != len(destinations):
        raise ShapeError(
            f"[movedim] Invalid source or destination dims: source ({list(sources)} dims) should "
            f"contain the same number of dims as destination ({list(destinations)} dims)"
        )
    if not rank:
        return alias(input)
    rest = iter([dim for dim in range(rank) if dim not in sources])
    moved = dict(zip(destinations, sources, strict=True))
    return permute(input, [moved[dim] if dim in moved else next(rest) for dim in range(rank)])


moveaxis = movedim


def _distinct_dims(dims: int | Sequence[int], rank: int, what: str) -> list[int]:
    wanted = [dims] if isinstance(dims, int) else dims
    found = [normalize_dim(dim, rank, "movedim") for dim in wanted]
    if len(set(found)) != len(found):
        raise ShapeError(f"[movedim] repeated dim in `{what}` ({list(wanted)})")
    return found


def _reversed_dims(input: Tensor) -> Tensor:
    """The dimensions in reverse order; for a matrix, its transpose."""
    return permute(input, tuple(range(len(_shape(input)) - 1, -1, -1)))


def _matrix_transpose(input: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if not _shape(input):
        return input
    if len(_shape(input)) < 2:
        raise ShapeError(
            explain(
                "mT",
                f"the tensor is {tuple(_shape(input))}",
                "tensor.mT is only supported on matrices or batches of matrices",
            )
        )
    return transpose(input, -2, -1)


# --- repeating without memory ---------------------------------------------------------------


def expand(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """Repeat dimensions of size 1, and along new leading dimensions, without using memory.

    Args:
        input: any shape.
        sizes: the new sizes; -1 keeps the size that is there.
        size: the same as one tuple, as a keyword.
    """
    wanted = sizes_of(sizes) if size is None else tuple(size)
    return make_view(input, p.expand, shape=_expanded(_shape(input), wanted))


@lru_cache(4096)
def _expanded(shape: Shape, wanted: Shape) -> Shape:
    extra = len(wanted) - len(shape)
    if extra < 0:
        raise ShapeError(
            explain(
                "expand",
                f"the tensor is {tuple(shape)}, sizes are {list(wanted)}",
                f"the number of sizes provided ({len(wanted)}) must be greater or equal to the "
                f"number of dimensions in the tensor ({len(shape)})",
            )
        )
    found = list(wanted)
    for dim, size in enumerate(wanted):
        have = shape[dim - extra] if dim >= extra else None
        if size == -1 and have is not None:
            found[dim] = have
        elif size < 0:
            raise ShapeError(
                f"[expand] The expanded size of the tensor ({size}) isn't allowed in a leading, "
                f"non-existing dimension {dim}"
            )
        elif have is not None and have not in (1, size):
            raise ShapeError(
                explain(
                    "expand",
                    f"The expanded size of the tensor ({size}) must match the existing size "
                    f"({have}) at non-singleton dimension {dim}",
                    f"Target sizes: {list(wanted)}.  Tensor sizes: {list(shape)}",
                )
            )
    return tuple(found)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expand to the shape of another tensor."""
    return expand(input, _shape(other))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expand to a shape."""
    return expand(input, tuple(size))


# --- parts ----------------------------------------------------------------------------------


def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The slice at one index of a dimension, without that dimension."""
    shape = _shape(input)
    if not shape:
        raise BoundsError("[select] select() cannot be applied to a 0-dim tensor.")
    dim, index = normalize_dim(dim, len(shape), "select"), index.__index__()
    size = shape[dim]
    if not -size <= index < size:
        raise BoundsError(
            f"[select] select(): index {index} out of range for tensor of size {list(shape)} at "
            f"dimension {dim}"
        )
    return make_view(input, p.select, dim=dim, index=index % size)


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` indices of a dimension, from `start` on."""
    shape = _shape(input)
    if not shape:
        raise ShapeError("[narrow] narrow() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, len(shape), "narrow")
    if isinstance(start, Tensor) and (start._value.ndim or start._value.dtype.kind not in "iu"):
        raise ShapeError("[narrow] start must be an 0-dim integral Tensor.")
    size, first = shape[dim], start.__index__()
    if length < 0:
        raise ShapeError("[narrow] narrow(): length must be non-negative.")
    if not -size <= first <= size:
        raise BoundsError(
            f"[narrow] start out of range (expected to be in range of [{-size}, {size}], but got "
            f"{first})"
        )
    first = first + size if first < 0 else first
    if first + length > size:
        raise ShapeError(
            f"[narrow] start ({first}) + length ({length}) exceeds dimension size ({size})."
        )
    return slice_dim(input, dim, first, first + length)


def slice_dim(input: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    """The view input[.., start:stop:step, ..]; all numbers are within the dimension."""
    shape = _shape(input)
    return make_view(
        input,
        p.slice_,
        start=tuple([start if place == dim else 0 for place in range(len(shape))]),
        stop=tuple([stop if place == dim else size for place, size in enumerate(shape)]),
        step=tuple([step if place == dim else 1 for place in range(len(shape))]),
    )


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, in memory of its own."""
    return apply(p.copy, narrow(input, dim, start, length))  # type: ignore[no-any-return]


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements whose indices in two dimensions differ by `offset`, as a last dimension."""
    shape = _shape(input)
    first, second = (normalize_dim(dim, len(shape), "diagonal") for dim in (dim1, dim2))
    if first == second:
        raise ShapeError(
            f"[diagonal] dims are {dim1} and {dim2}; diagonal dimensions cannot be identical"
        )
    # An offset beyond the matrix gives an empty diagonal; NumPy accepts it only within.
    offset = max(-shape[first], min(int(offset), shape[second]))
    return make_view(input, p.diagonal, offset=offset, dim1=first, dim2=second)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` elements, every `step`, along a dimension, as a last dimension.

    >>> import narae
    >>> narae.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    shape = _shape(input)
    dim = normalize_dim(dimension, len(shape), "unfold")
    limit = shape[dim] if shape else 1
    if not 0 <= size <= limit:
        raise ShapeError(
            explain(
                "unfold",
                f"the tensor is {tuple(shape)}, size is {size}",
                f"maximum size for tensor at dimension {dim} is {limit} but size is {size}",
            )
        )
    if step <= 0:
        raise ShapeError(f"[unfold] step is {step} but must be > 0")
    if not shape:
        return slice_dim(reshape(input, (1,)), 0, 0, size)
    return make_view(input, p.windows, dim=dim, size=int(size), step=int(step))


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the memory of a contiguous tensor with any sizes and strides, in elements.

    Raises:
        RuntimeError: if the input is not contiguous, or the view would leave its memory.
    """
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise ShapeError(
            f"[as_strided] mismatch in length of strides and shape: {len(stride)} and {len(size)}"
        )
    if min((*size, *stride, storage_offset or 0), default=0) < 0:
        raise ShapeError(
            f"[as_strided] sizes {size}, strides {stride} and the offset must not be negative"
        )
    start = _offset_in_base(input)
    offset = start if storage_offset is None else storage_offset
    view = input._view
    if view is not None and view.origin is view.base:
        # Strides speak of the storage, which is that of the base.
        return make_view(
            _contiguous(view.base), p.as_strided, size=size, stride=stride, offset=offset
        )
    if offset < start:
        raise BoundsError(
            f"[as_strided] storage_offset {storage_offset} lies before this detached view of its "
            "storage; take as_strided of the whole tensor"
        )
    input = _contiguous(input)
    return make_view(input, p.as_strided, size=size, stride=stride, offset=offset - start)


def _contiguous(x: Tensor) -> Tensor:
    """x itself, if its elements lie in memory in row-major order."""
    value = x._value
    if type(value) is ndarray:
        contiguous = value.flags.c_contiguous
    else:
        contiguous = strides_of(x) == contiguous_strides(value.shape)
    if not contiguous:
        raise ShapeError(
            explain(
                "as_strided",
                f"the tensor is {tuple(value.shape)} with strides {strides_of(x)}",
                "its storage must be contiguous",
                "call contiguous() first",
            )
        )
    return x


def _offset_in_base(x: Tensor) -> int:
    """How many elements of its storage lie before a view; in a trace, found by its layout."""
    if x._view is None:
        return 0
    base = x._view.base._value
    if type(x._value) is not ndarray or type(base) is not ndarray:
        return offset_of(x)
    distance = x._value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return int(distance) // int(base.itemsize)


def _adjoint(input: Tensor) -> Tensor:
    """The transpose of a matrix (numbers are real)."""
    if len(_shape(input)) not in (0, 2):
        raise ShapeError(
            f"[H] the tensor is {tuple(_shape(input))}; tensor.H is only supported on matrices "
            "(2-D tensors). Fix: use mH"
        )
    return t(input)


_PROPERTIES = (
    ("H", _adjoint),
    ("T", _reversed_dims),
    ("mT", _matrix_transpose),
    ("mH", _matrix_transpose),
)
for _name, _function in _PROPERTIES:
    setattr(Tensor, _name, property(_function))

__all__ = [
    "as_strided",
    "broadcast_to",
    "diagonal",
    "flatten",
    "moveaxis",
    "movedim",
    "narrow",
    "narrow_copy",
    "permute",
    "ravel",
    "reshape",
    "select",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
]
METHODS = [*__all__, "expand", "expand_as", "reshape_as", "unfold", "view", "view_as"]
