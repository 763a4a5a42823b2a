"""How a piece is cut into blocks: columns and terms of B that stay in the caches."""

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from . import limits
from .form import count, footprint
from .microkernel import sum_type
from .product import Product


@dataclass(frozen=True)
class Blocks:
    """Blocks of a piece.

    Attributes:
        columns: of B that are used by all rows before the next ones are.
        term_dim, terms: a block has `terms` indices of this term dimension (of those before it: one
            each); all tiles take a block before the next one. None: there is one block.
        depth: how many terms a block has.
        pack: whether each block of B is packed before it is used.
    """

    columns: int
    term_dim: int | None
    terms: int
    depth: int
    pack: bool = False


def blocks_of(
    product: Product, rows: tuple[int, ...], width: int, columns: int, partials: int, direct: bool
) -> Blocks:
    """The blocks of a piece.

    Args:
        product: what is computed.
        rows: the sizes of the row dimensions in a piece.
        width: columns of a tile.
        columns: of a piece.
        partials: how many partial sums there are; a piece belongs to one.
        direct: whether B is not packed for the whole piece.
    """
    size, terms = sum_type(product.dtype).bytes, count(product.terms)
    converts = product.column_stride == 1 and product.dtype.itemsize < size
    many = math.prod(rows) >= limits.PACKED_ROWS
    pack = direct and (converts or is_far(product, width)) and many
    keeps = partials > 1 or product.out_dtype == (np.float32 if size == 4 else np.float64)
    if pack and keeps:
        return _packed_blocks(product, width, columns, partials)
    dim, block = None, terms
    if keeps and (is_turned(product) or terms * width * size > limits.PANEL_CACHE):
        dim, block = _term_block(product, rows, min(columns, max(width, 256)), partials)
    depth = terms if dim is None else block * count(product.terms[dim + 1 :])
    panels = max(1, limits.PANEL_CACHE // max(1, depth * width * size))
    return Blocks(min(columns, panels * width), dim, block, depth)


def _packed_blocks(product: Product, width: int, columns: int, partials: int) -> Blocks:
    """Blocks that are packed: whole rows of B, and all terms of a piece if that is not too much.

    Rows are fast to read from end to end, and each block of terms is one more pass over C.
    """
    size = sum_type(product.dtype).bytes
    widest = max(1, limits.PACKED // (limits.LEAST_DEPTH * width * size)) * width
    columns = min(columns, widest)
    most = max(1, limits.PACKED // (columns * size))
    for number, dim in enumerate(product.terms):
        depth = count(product.terms[number + 1 :])
        if depth <= most or number == len(product.terms) - 1:
            extent = dim.size if number else -(-dim.size // partials)
            block = _divisor_below(extent, min(extent, max(1, most // depth)))
            return Blocks(columns, number, block, block * depth, True)
    return Blocks(columns, None, 1, 1)


def is_far(product: Product, width: int) -> bool:
    """Whether rows of B are so far from each other that each is on another page."""
    if product.column_stride != 1 or not product.terms:
        return False
    size = product.dtype.itemsize
    apart = min(abs(dim.b) for dim in product.terms)
    return apart * size >= limits.FAR and apart > 2 * width


def is_turned(product: Product) -> bool:
    """Whether rows, not terms, are next to each other in A."""
    rows = min((abs(dim.a) for dim in product.rows), default=0)
    return bool(product.terms) and rows == 1 and abs(product.terms[-1].a) > 1


def _term_block(
    product: Product, rows: tuple[int, ...], columns: int, partials: int
) -> tuple[int | None, int]:
    """The largest block of terms whose part of A and B fits the cache, as (dimension, indices)."""
    size = sum_type(product.dtype).bytes
    a_rows = [(n, dim.a) for n, dim in zip(rows, product.rows, strict=True)]
    for number, dim in enumerate(product.terms):
        rest = product.terms[number + 1 :]
        a_terms, depth, stride = [(each.size, each.a) for each in rest], count(rest), dim.a
        most = dim.size if number or partials == 1 else -(-dim.size // partials)

        def filled(n: int) -> int:
            a = footprint([*a_rows, (n, stride), *a_terms])  # noqa: B023
            return size * (a + n * depth * columns)  # noqa: B023

        if depth > limits.LEAST_DEPTH and filled(1) > limits.CACHE:
            continue
        block = bisect_right(range(1, most + 1), limits.CACHE, key=filled)
        block = min(most, max(block, 1, limits.LEAST_DEPTH // depth))
        if block == dim.size and number == 0:
            return None, count(product.terms)
        return number, _divisor_below(most, block)
    return None, count(product.terms)


def _divisor_below(size: int, wish: int) -> int:
    """The largest divisor from wish / 2 to wish if there is one, else the wish."""
    near = [d for d in range(max(1, wish // 2), wish + 1) if size % d == 0]
    return max(near, default=wish)
