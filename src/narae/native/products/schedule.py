"""How a product is cut: what is packed, which tile, which blocks for the caches, which pieces.

Choices only. Nothing here depends on how many threads there will be, so neither do the results.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum

from ..kernel import Machine
from . import limits
from .blocks import Blocks, blocks_of, is_far, is_turned
from .dots import suits_dots
from .form import Form, count
from .microkernel import sum_type
from .pieces import Grid, grid_of, size_of
from .product import Product
from .register_tile import Tile, choose_tile
from .tiles import LANES, PAIRS, ROWS


class Pack(Enum):
    """Where B is packed, if it is."""

    NOT = "not"
    BEFORE = "before"  # by a kernel of its own
    PIECE = "piece"  # by each piece, into its scratch memory
    BLOCK = "block"  # by each piece, a block at a time


@dataclass(frozen=True)
class Schedule:
    """Choices for a product in its simplest form.

    Attributes:
        tile: the register tile; its vectors are along the columns, or along the terms for `dots`.
        dots: whether each sum is a vector over terms, which is added up at the end.
        width: columns of a tile.
        unroll: terms that a round of the innermost loop takes.
        pack: where B is packed.
        outer, chunk: pieces are `chunk` indices of dimension `outer` (of batch + rows; those before
            it are cut into single indices).
        column_chunk: columns of a piece.
        partials: how many partial sums, each over a part of the outermost term dimension.
        blocks: how a piece is cut for the caches.
        columns_first: whether the loop over a block's columns is outside that over its rows.
    """

    tile: Tile
    dots: bool
    width: int
    unroll: int
    pack: Pack
    outer: int
    chunk: int
    column_chunk: int
    partials: int
    blocks: Blocks
    columns_first: bool


def choose(form: Form, machine: Machine, pairs: bool = False, tiles: bool = False) -> Schedule:
    """The schedule of a product that has columns and rows.

    With `pairs`, B must be packed; with `tiles`, its columns and the rows are taken in tiles.
    """
    product = form.product
    size = sum_type(product.dtype).bytes
    lanes, terms = machine.lanes(size), count(product.terms)
    dots = not pairs and suits_dots(product, lanes)
    pack = Pack.NOT if dots else _pack(form, pairs)
    grid = grid_of(form, pack == Pack.PIECE, lanes, tiles)
    if tiles and len(product.terms) == 1:
        grid = replace(grid, partials=1)
    sizes = _row_sizes(product, grid)
    columns = -(-product.columns // grid.column_parts)
    if tiles:
        tile = _block_of_tiles(product, sizes, columns)
    else:
        tile = _dot_tile(sizes) if dots else _tile(product, sizes, columns, lanes, machine)
    width = tile.vectors * (1 if dots else lanes)
    columns = _column_chunk(product.columns, width, grid.column_parts)
    if pack == Pack.PIECE and (grid.partials > 1 or terms * columns * size > limits.CACHE):
        pack = Pack.BEFORE
    if pack == Pack.NOT and not dots and _is_reused(product, sizes, width):
        pack = Pack.BEFORE
    direct = pack == Pack.NOT and not dots
    blocks = blocks_of(product, sizes, width, columns, grid.partials, direct)
    if tiles and blocks.term_dim == len(product.terms) - 1:
        blocks = replace(blocks, term_dim=None, terms=terms, depth=terms)
    return Schedule(
        tile=tile,
        dots=dots,
        width=width,
        unroll=1 if dots else _unroll(tile, product),
        pack=Pack.BLOCK if blocks.pack else pack,
        outer=grid.outer,
        chunk=_whole_tiles(product, tile, grid),
        column_chunk=columns,
        partials=grid.partials,
        blocks=blocks,
        columns_first=blocks.depth >= 64 and blocks.depth * width * size <= limits.PANEL,
    )


def _pack(form: Form, pairs: bool) -> Pack:
    """Where B is packed because of its type or its columns, or because it rarely changes."""
    product = form.product
    rows, terms = count(product.rows), count(product.terms)
    size = sum_type(product.dtype).bytes
    converts = product.dtype.itemsize < size and rows >= 64 and not is_turned(product)
    must = pairs or (product.column_stride != 1 and product.columns > 1)
    if not (must or converts):
        return Pack.BEFORE if product.b_constant and is_far(product, 0) else Pack.NOT
    if any(dim.b for dim in product.batch):
        small = terms * product.columns * size <= limits.CACHE
        return Pack.PIECE if small and not product.b_constant else Pack.BEFORE
    return Pack.BEFORE if form.wished or product.b_constant or rows > 512 else Pack.PIECE


def _is_reused(product: Product, sizes: tuple[int, ...], width: int) -> bool:
    """Whether many pieces read rows of B that are far from each other."""
    pieces = count(product.rows) // math.prod(sizes)
    reads = count(product.rows) >= 128 and pieces >= limits.REUSED
    return reads and is_far(product, width) and count(product.terms) >= limits.LEAST_DEPTH


# --- tiles ----------------------------------------------------------------------------------------


def _tile(
    product: Product, sizes: tuple[int, ...], columns: int, lanes: int, machine: Machine
) -> Tile:
    most = tuple(_most_rows(dim.a * product.dtype.itemsize) for dim in product.rows)
    terms = max(1, count(product.terms))
    return choose_tile(sizes, columns, lanes, machine.registers, terms, most)


def _block_of_tiles(product: Product, sizes: tuple[int, ...], columns: int) -> Tile:
    """Two tiles of rows, of one or two neighbouring rows of pictures, by two of columns.

    A shorter last instruction has tiles of its own, which leaves room for one of columns.
    """
    rows = [1] * len(sizes)
    rows[-1] = _rows_of_tiles(sizes[-1])
    if rows[-1] <= ROWS and len(sizes) > 1:
        rows[-2] = min(sizes[-2], 2)
    pairs = product.terms[-1].size
    has_tail = pairs > PAIRS and pairs % PAIRS > 0
    return Tile(tuple(rows), 1 if has_tail or columns <= LANES else 2)


def _rows_of_tiles(size: int) -> int:
    """Rows of a block: those of whole tiles, or so many that all blocks are equal."""
    most = 2 * ROWS
    parts = -(-size // most)
    return min(size, most) if size % ROWS == 0 or size % parts else size // parts


def _dot_tile(sizes: tuple[int, ...]) -> Tile:
    """Up to four rows by four columns, or more columns for a single row."""
    rows = [1] * len(sizes)
    if sizes:
        rows[-1] = min(sizes[-1], 4)
    return Tile(tuple(rows), 4 if math.prod(rows) > 1 else 8)


def _row_sizes(product: Product, grid: Grid) -> tuple[int, ...]:
    """The sizes of the row dimensions in a piece."""
    sizes = []
    for number, dim in enumerate(product.rows, len(product.batch)):
        inside = 1 if number < grid.outer else dim.size
        sizes.append(min(grid.chunk, dim.size) if number == grid.outer else inside)
    return tuple(sizes)


def _most_rows(stride: int) -> int:
    """How many rows this many bytes apart the first-level cache can hold lines of."""
    return 8 if stride and stride % 4096 == 0 else 99


def _whole_tiles(product: Product, tile: Tile, grid: Grid) -> int:
    """The chunk, made of whole tiles if pieces cannot all be equal."""
    size, row, chunk = size_of(product, grid.outer), grid.outer - len(product.batch), grid.chunk
    step = tile.rows[row] if 0 <= row < len(tile.rows) else 1
    if chunk >= size:
        return size
    return chunk if size % chunk == 0 else max(step, chunk - chunk % step)


def _column_chunk(columns: int, width: int, parts: int) -> int:
    panels = -(-columns // width)
    return min(columns, -(-panels // min(parts, panels)) * width)


def _unroll(tile: Tile, product: Product) -> int:
    sums = math.prod(tile.rows) * tile.vectors
    size = product.terms[-1].size if product.terms else 1
    wish = 4 if sums <= 8 else 2 if sums <= 20 else 1
    return max(d for d in range(1, wish + 1) if size % d == 0) if size < 4 * wish else wish
