"""Products and powers of matrices, and small things that NumPy's and PyTorch's linalg share."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import ShapeError, explain
from narae.base.shapes import broadcast_shapes, normalize_dim

from ..autocast import low_precision
from ..contracting import chain_matmul
from ..contracting import cross as cross_along
from ..creation import constant, ones
from ..eager import apply
from ..joining import cat
from ..linear import check_dtypes, shape_text
from ..linear import matmul as product
from ..movement import diagonal as diagonal_along
from ..movement import expand, reshape, unsqueeze
from ..tensor import Tensor
from .checks import require_floating, require_square, shape_of, takes_out
from .factors import eye_like
from .solving import inv


@takes_out
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, as `narae.matmul`."""
    return product(input, other)


@takes_out
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices, in the order that takes the fewest multiplications.

    Args:
        tensors: matrices; the first may be a vector (a row), and so may the last (a column).

    >>> import narae
    >>> narae.linalg.multi_dot([narae.ones(2), narae.ones(2, 3), narae.ones(3)])
    tensor(6.)
    """
    what = "linalg.multi_dot"
    if len(tensors) < 2:
        raise ShapeError(f"[{what}] expected at least 2 tensors but got {len(tensors)}")
    _check_ranks(what, tensors)
    check_dtypes(what, *tensors)
    first, *middle, last = tensors
    row, column = len(shape_of(first)) == 1, len(shape_of(last)) == 1
    left = unsqueeze(first, 0) if row else first
    right = unsqueeze(last, 1) if column else last
    chain = (left, *middle, right)
    _check_chain(what, chain)
    out = chain_matmul(*chain)
    sizes = shape_of(out)
    return reshape(out, (() if row else sizes[:1]) + (() if column else sizes[1:]))


def _check_ranks(what: str, tensors: Sequence[Tensor]) -> None:
    for place, x in enumerate(tensors):
        rank, ends = len(shape_of(x)), place in (0, len(tensors) - 1)
        if rank != 2 and not (ends and rank == 1):
            raise ShapeError(
                explain(
                    what,
                    f"tensor {place} is {shape_text(x)}",
                    f"tensor {place} must be 2D" + (" or 1D" if ends else ""),
                )
            )


def _check_chain(what: str, chain: Sequence[Tensor]) -> None:
    shapes = [shape_of(x) for x in chain]
    for place, (shape, other) in enumerate(pairwise(shapes)):
        if shape[1] != other[0]:
            raise ShapeError(
                explain(
                    what,
                    f"the matrices are {', '.join(map(str, shapes))}",
                    f"tensors {place} and {place + 1} with shapes {shape} and {other} cannot be "
                    "multiplied",
                    "transpose one of them with .T",
                )
            )


@takes_out
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The product of n copies of square matrices; of their inverses for negative n.

    >>> import narae
    >>> narae.linalg.matrix_power(narae.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    what = "linalg.matrix_power"
    require_square(what, A)
    if not isinstance(n, int):
        raise TypeError(f"{what}(): argument 'n' must be int, not {type(n).__name__}")
    size = shape_of(A)[-1]
    if n == 0:
        return apply(p.where, constant(np.ones((), bool)), eye_like(A, size, size), A)  # type: ignore[no-any-return]
    if n < 0:
        A, n = inv(require_floating(what, A)), -n
    if n == 1:
        return apply(p.copy, A)  # type: ignore[no-any-return]
    return _power(A, n)


def _power(A: Tensor, n: int) -> Tensor:
    """By squaring: the bits of n tell which powers of two are multiplied."""
    found = None
    while n:
        if n & 1:
            found = A if found is None else product(found, A)
        n >>= 1
        if n:
            A = product(A, A)
    assert found is not None
    return found


@takes_out
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices: the sum of Aᵏ / k!.

    >>> import narae
    >>> narae.linalg.matrix_exp(narae.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    what = "linalg.matrix_exp"
    require_floating(what, require_square(what, A), half=True)
    return apply(p.matrix_exp, A)  # type: ignore[no-any-return]


@low_precision
@takes_out
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of products along a dimension; the others broadcast.

    >>> import narae
    >>> narae.linalg.vecdot(narae.tensor([[1.0, 2.0], [3.0, 4.0]]), narae.ones(2))
    tensor([3., 7.])
    """
    what = "linalg.vecdot"
    check_dtypes(what, require_floating(what, x, half=True), y)
    common = broadcast_shapes(shape_of(x), shape_of(y), what=what)
    place = normalize_dim(dim, len(common), what)
    return apply(p.sum_, x * y, dim=(place,), keepdim=False)  # type: ignore[no-any-return]


@takes_out
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of size 3 along a dimension; the others broadcast."""
    return cross_along(input, other, dim)


@takes_out
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Powers 0 to N - 1 of each element, in a new last dimension.

    Args:
        x: (.., n).
        N: how many powers; by default n.

    >>> import narae
    >>> narae.linalg.vander(narae.tensor([2, 3]), N=4)
    tensor([[ 1,  2,  4,  8],
            [ 1,  3,  9, 27]])
    """
    what = "linalg.vander"
    shape = shape_of(x)
    if not shape and N is None:
        raise ShapeError(f"[{what}] x is (); x must have a dimension that tells N, or give N")
    if not shape:
        x = reshape(x, (1,))
    count = shape[-1] if N is None else N
    if count <= 1:
        raise ShapeError(f"[{what}] N is {count}; N must be greater than 1")
    return powers(x, count)


def powers(x: Tensor, count: int) -> Tensor:
    """1, x, x², … as a new last dimension of size `count` >= 1; integers become int64."""
    shape = shape_of(x)
    bases = expand(unsqueeze(x, -1), (*shape, count - 1))
    following = bases.cumprod(len(shape))
    first = ones((*shape, 1), dtype=following.dtype)
    return cat((first, following), len(shape))


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices; a view, as `narae.diagonal`."""
    return diagonal_along(A, offset, dim1, dim2)


__all__: list[Any] = [
    "cross",
    "diagonal",
    "matmul",
    "matrix_exp",
    "matrix_power",
    "multi_dot",
    "vander",
    "vecdot",
]
