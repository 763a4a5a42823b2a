"""Products in their simplest form: fewer dimensions, the same sums.

Neighbouring dimensions merge where one stride fits all operands: rows (32, 64) with strides
(64 * k, k) are 2048 rows with stride k. Dimensions of size 1 vanish, and a batch dimension along
which B does not change is a row dimension.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from .product import BatchDim, Product, RowDim, TermDim

Dim = TypeVar("Dim", RowDim, TermDim, BatchDim)


def outer_dims(product: Product) -> list[RowDim | BatchDim]:
    """The dimensions of C before its columns, outermost first."""
    return [*product.batch, *product.rows]


def count(dims: Sequence[RowDim] | Sequence[TermDim] | Sequence[BatchDim]) -> int:
    """How many indices nested dimensions have together."""
    return math.prod(dim.size for dim in dims)


def merged(dims: Sequence[Dim]) -> tuple[Dim, ...]:
    """The same indices in as few dimensions as possible.

    >>> merged([RowDim(32, 640, 64), RowDim(64, 10, 1), RowDim(1, 7, 7)])
    (RowDim(size=2048, a=10, c=1),)
    """
    out: list[Dim] = []
    for dim in dims:
        if dim.size == 1:
            continue
        if out and _fits(out[-1], dim):
            out[-1] = replace(dim, size=out[-1].size * dim.size)
        else:
            out.append(dim)
    return tuple(out)


def _fits(outer: Dim, inner: Dim) -> bool:
    names = [each.name for each in fields(inner) if each.name != "size"]
    return all(getattr(outer, name) == getattr(inner, name) * inner.size for name in names)


@dataclass(frozen=True)
class Form:
    """A product whose outermost dimension is cut for a chain of kernels, if that was wished.

    Attributes:
        product: simplified; its dimensions have sizes above 1 (or 0).
        wished: whether the outermost dimension (of batch, else of rows) is a wished cut into
            pieces: then each of its indices is one piece.
        aligned: how many outermost indices of the original product such a piece has.
    """

    product: Product
    wished: bool
    aligned: int | None


def simplified(product: Product, piece: int | None = None) -> Form:
    """The simplest form of a product, cut into pieces of at most `piece` outermost indices."""
    head, aligned = _cut(product, piece)
    batch, rows = list(product.batch), list(product.rows)
    batch_head: tuple[BatchDim, ...] = ()
    row_head: tuple[RowDim, ...] = ()
    if head is not None and batch:
        inner = replace(batch[0], size=head[1])
        outer = BatchDim(head[0], inner.a * inner.size, inner.b * inner.size, inner.c * inner.size)
        batch_head, batch = (outer,), [inner, *batch[1:]]
    elif head is not None:
        first = replace(rows[0], size=head[1])
        row_head = (RowDim(head[0], first.a * first.size, first.c * first.size),)
        rows = [first, *rows[1:]]
    shared = [RowDim(dim.size, dim.a, dim.c) for dim in batch if dim.b == 0]
    batch = [dim for dim in batch if dim.b != 0]
    simple = replace(
        product,
        batch=batch_head + merged(batch),
        rows=row_head + merged([*shared, *rows]),
        terms=merged(product.terms),
    )
    return Form(simple, head is not None, aligned)


def _cut(product: Product, piece: int | None) -> tuple[tuple[int, int] | None, int | None]:
    """How the outermost dimension is cut: (pieces, indices of each), if it can be."""
    dims = product.batch or product.rows
    if piece is None or not dims or dims[0].size < 2:
        return None, None
    size = dims[0].size
    inner = max(d for d in range(1, min(piece, size) + 1) if size % d == 0)
    if inner == size:
        return None, None
    return (size // inner, inner), inner


def footprint(dims: list[tuple[int, int]]) -> int:
    """About how many different elements nested dimensions touch."""
    total = math.prod(size for size, stride in dims if stride)
    span = 1 + sum((size - 1) * abs(stride) for size, stride in dims)
    return min(total, span)
