"""Ways to look at the same memory that are composed of slices, permutations and reshapes.

Each is one step on the tape, under PyTorch's name, and one link in the chain of a view.
"""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .generators import zeros
from .indexing import scatter, scatter_add, take
from .movement import concat, narrow, permute, reshape, update_slice
from .record import shape_of


def update_narrow(x: Any, y: Any, dim: int, first: int, length: int) -> Any:
    """x, but its slice of `length` elements along one dimension is y."""
    shape = shape_of(x)
    start = tuple(first if place == dim else 0 for place in range(len(shape)))
    stop = tuple(first + length if place == dim else size for place, size in enumerate(shape))
    return update_slice(x, y, start=start, stop=stop, step=(1,) * len(shape))


def _without(shape: Shape, dims: Shape) -> Shape:
    return tuple(size for place, size in enumerate(shape) if place not in dims)


def _inserted(shape: Shape, dim: int) -> Shape:
    return (*shape[:dim], 1, *shape[dim:])


def _select(x: Any, *, dim: int, index: int) -> Any:
    shape = shape_of(x)
    return reshape(narrow(x, dim, index, 1), shape=_without(shape, (dim,)))


def _select_unview(x: Any, y: Any, *, dim: int, index: int) -> Any:
    return update_narrow(x, unsqueeze(y, dim=dim), dim, index, 1)


select: Composite = Composite(
    "select",
    "x",
    "x[.., index, ..]: the slice at one index, without its dimension",
    _select,
    saves="x.shape x.dtype",
    grads=(
        lambda grad, x_shape, x_dtype, dim, index: _select_unview(
            zeros(x_shape, x_dtype), grad, dim=dim, index=index
        ),
    ),
    unview=_select_unview,
)

unsqueeze: Composite = Composite(
    "unsqueeze",
    "x",
    "x with a new dimension of size 1",
    lambda x, *, dim: reshape(x, shape=_inserted(shape_of(x), dim)),
    grads=(lambda grad, dim: reshape(grad, shape=_without(shape_of(grad), (dim,))),),
    unview=lambda x, y, *, dim: reshape(y, shape=shape_of(x)),
)


def _squeeze_record(name: str, grad_name: str) -> Composite:
    return Composite(
        name,
        "x",
        "x without the dimensions `dim`, whose size is 1",
        lambda x, *, dim: reshape(x, shape=_without(shape_of(x), dim)),
        saves="x.shape",
        grads=(lambda grad, x_shape, dim: reshape(grad, shape=x_shape),),
        unview=lambda x, y, *, dim: reshape(y, shape=shape_of(x)),
        grad_name=grad_name,
    )


squeeze = _squeeze_record("squeeze", "SqueezeBackward1")
squeeze_all = _squeeze_record("squeeze_all", "SqueezeBackward0")


def swapped(rank: int, dim0: int, dim1: int) -> Shape:
    """The permutation that exchanges two dimensions.

    >>> swapped(4, 1, 3)
    (0, 3, 2, 1)
    """
    dims = list(range(rank))
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return tuple(dims)


def _swap(x: Any, *, dim0: int, dim1: int) -> Any:
    return permute(x, dims=swapped(len(shape_of(x)), dim0, dim1))


def _swap_record(name: str, grad_name: str) -> Composite:
    return Composite(
        name,
        "x",
        "x with two dimensions exchanged",
        _swap,
        grads=(lambda grad, dim0, dim1: transpose(grad, dim0=dim0, dim1=dim1),),
        unview=lambda x, y, *, dim0, dim1: transpose(y, dim0=dim0, dim1=dim1),
        grad_name=grad_name,
    )


transpose = _swap_record("transpose", "TransposeBackward0")
t = _swap_record("t", "TBackward0")


def _stack(*xs: Any, dim: int) -> Any:
    return concat(*(unsqueeze(x, dim=dim) for x in xs), dim=dim)


stack: Composite = Composite(
    "stack",
    "*xs",
    "all operands along a new dimension",
    _stack,
    joint_grad=lambda needs, grads, dim: tuple(
        select(grads[0], dim=dim, index=index) if needed else None
        for index, needed in enumerate(needs)
    ),
)


# --- any strides ----------------------------------------------------------------------------


def strided_positions(size: Shape, stride: Shape, offset: int) -> Any:
    """The place in memory of every element of a strided view, in elements."""
    import numpy as np

    positions = np.full(size, offset, np.int64)
    for dim, (count, step) in enumerate(zip(size, stride, strict=True)):
        positions += (np.arange(count) * step).reshape((count,) + (1,) * (len(size) - dim - 1))
    return positions


def _flat(x: Any) -> Any:
    return reshape(x, shape=(_count(shape_of(x)),))


def _count(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _as_strided(x: Any, *, size: Shape, stride: Shape, offset: int) -> Any:
    return take(_flat(x), strided_positions(size, stride, offset), dim=0)


def _as_strided_grad(
    grad: Any, x_shape: Shape, x_dtype: Any, size: Shape, stride: Shape, offset: int
) -> Any:
    places = strided_positions(size, stride, offset).reshape(-1)
    summed = scatter_add(zeros((_count(x_shape),), x_dtype), places, _flat(grad), dim=0)
    return reshape(summed, shape=x_shape)


def write_at(x: Any, y: Any, positions: Any) -> Any:
    """x, but its elements at flat positions are those of y."""
    written = scatter(_flat(x), positions.reshape(-1), _flat(y), dim=0)
    return reshape(written, shape=shape_of(x))


as_strided: Composite = Composite(
    "as_strided",
    "x",
    "out[i, j, ..] = memory of x at offset + i * stride[0] + j * stride[1] + ..",
    _as_strided,
    saves="x.shape x.dtype",
    grads=(_as_strided_grad,),
    unview=lambda x, y, *, size, stride, offset: write_at(
        x, y, strided_positions(size, stride, offset)
    ),
)
