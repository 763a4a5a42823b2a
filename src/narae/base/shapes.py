"""Arithmetic on shapes: broadcasting, dimension numbers, sizes."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from .errors import BoundsError, ShapeError, explain

Shape = tuple[int, ...]


class Size(tuple[int, ...]):
    """The shape of a tensor, printed as PyTorch prints it.

    >>> Size((2, 3)).numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"narae.Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other: Any) -> "Size":
        return Size(tuple(self) + tuple(other))


def broadcast_shapes(*shapes: Sequence[int], what: str = "broadcast") -> Shape:
    """The common shape of several operands.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        offset = rank - len(shape)
        for position, size in enumerate(shape, offset):
            if result[position] == 1:
                result[position] = size
            elif size not in (1, result[position]):
                raise ShapeError(_broadcast_message(what, shapes, rank, position))
    return tuple(result)


def _broadcast_message(what: str, shapes: Sequence[Sequence[int]], rank: int, place: int) -> str:
    given = " and ".join(str(tuple(shape)) for shape in shapes)
    sizes = [shape[place - rank] for shape in shapes if len(shape) >= rank - place]
    return explain(
        what,
        f"the shapes are {given}",
        f"sizes in dimension {place - rank} are {sizes}: they must be equal or 1",
        "reshape, or insert a dimension of size 1 with unsqueeze",
    )


def normalize_dim(dim: int, rank: int, what: str = "dim") -> int:
    """A dimension number in 0..rank-1; negative ones count from the end; a 0-d value has one."""
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise BoundsError(
            f"[{what}] Dimension out of range (expected to be in range of [{-limit}, {limit - 1}],"
            f" but got {dim})"
        )
    return dim % limit


def normalize_dims(dims: int | Iterable[int] | None, rank: int, what: str = "dim") -> Shape:
    """Sorted, distinct dimension numbers; None means all of them."""
    if dims is None:
        return tuple(range(rank))
    if isinstance(dims, int):
        dims = (dims,)
    found = [normalize_dim(dim, rank, what) for dim in dims]
    if len(set(found)) != len(found):
        repeated = next(dim for dim in found if found.count(dim) > 1)
        raise ShapeError(
            f"[{what}] dim {repeated} appears multiple times in the list of dims {tuple(dims)}"
        )
    return tuple(sorted(dim for dim in found if dim < rank))


def reduced_shape(shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> Shape:
    """The shape after reducing over `dims`.

    >>> reduced_shape((2, 3, 4), (1,), keepdim=True)
    (2, 1, 4)
    """
    if keepdim:
        return tuple(1 if dim in dims else size for dim, size in enumerate(shape))
    return tuple(size for dim, size in enumerate(shape) if dim not in dims)


@lru_cache(4096)
def infer_reshape(shape: Sequence[int], wanted: Sequence[int]) -> Shape:
    """Replace one -1 in `wanted` so that the number of elements stays.

    >>> infer_reshape((2, 6), (3, -1))
    (3, 4)
    """
    wanted = tuple(wanted)
    total = math.prod(shape)
    if math.prod(wanted) == total and min(wanted, default=0) >= 0:
        return wanted
    if wanted.count(-1) > 1:
        raise ShapeError("[reshape] only one dimension can be inferred: use -1 once")
    known = math.prod(size for size in wanted if size != -1)
    if -1 in wanted and known and total % known == 0:
        return tuple(total // known if size == -1 else size for size in wanted)
    if known != total or -1 in wanted or min(wanted, default=0) < 0:
        raise ShapeError(
            explain(
                "reshape",
                f"shape {tuple(shape)} has {total} elements; shape '{list(wanted)}' is invalid for"
                f" input of size {total}",
                "the number of elements must stay the same",
                "let one size be -1 to have it computed" if -1 not in wanted else "",
            )
        )
    return wanted


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Strides, in elements, of a row-major layout.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))
