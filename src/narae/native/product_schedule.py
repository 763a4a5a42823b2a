"""How a product is cut: what is packed, which tile, which blocks for the caches, which pieces.

Choices only. Nothing here depends on how many threads there will be, so neither do the results.
"""

import math
from dataclasses import dataclass
from enum import Enum

from .kernel import Machine
from .microkernel import element_type, sum_type
from .product import Product
from .product_form import Form, count
from .register_tile import Tile, choose_tile

PIECE_FLOPS = 1_600_000  # about 20 µs of one core
PIECES = 32  # enough for any thread to find work until the end
CACHE = 600_000  # bytes of a core's second-level cache that blocks may fill
PANEL_CACHE = 400_000  # of these, for B
LEAST_DEPTH = 128  # terms of a block


class Pack(Enum):
    """Where B is packed, if it is."""

    NOT = "not"
    BEFORE = "before"  # by a kernel of its own
    PIECE = "piece"  # by each piece, into its scratch memory


@dataclass(frozen=True)
class Schedule:
    """Choices for a product in its simplest form.

    Attributes:
        tile: the register tile.
        unroll: terms that a round of the innermost loop takes.
        pack: where B is packed.
        outer, chunk: pieces are `chunk` indices of dimension `outer` (of batch + rows; those before
            it are cut into single indices).
        column_chunk: columns of a piece.
        column_block: columns of B that are used by all rows before the next ones are.
        term_dim, term_block: the sum is cut into blocks of `term_block` indices of this dimension
            (those before it: single indices); all tiles take a block before the next. None: not.
        partials: how many partial sums, each over a part of the outermost term dimension.
        columns_first: whether the loop over a block's columns is outside that over its rows.
    """

    tile: Tile
    unroll: int
    pack: Pack
    outer: int
    chunk: int
    column_chunk: int
    column_block: int
    term_dim: int | None
    term_block: int
    partials: int
    columns_first: bool


def choose(form: Form, machine: Machine) -> Schedule:
    """The schedule of a product that has columns and rows."""
    product = form.product
    lanes = machine.lanes(sum_type(product.dtype).bytes)
    terms = count(product.terms)
    partials = 1 if form.wished else _partials(product)
    pack = _pack(form)
    outer, chunk, parts = _cut(form, partials)
    sizes = _row_sizes(product, outer, chunk)
    limits = tuple(_most_rows(dim.a * product.dtype.itemsize) for dim in product.rows)
    tile = choose_tile(sizes, product.columns, lanes, machine.registers, max(terms, 1), limits)
    chunk = _whole_tiles(product, tile, outer, chunk)
    width = tile.vectors * lanes
    if pack == Pack.PIECE and not form.wished and not product.batch:
        outer, chunk, parts = 0, _whole_tiles(product, tile, 0, _size(product, 0)), _wanted(product)
    column_chunk = _column_chunk(product.columns, width, 1 if form.wished else parts)
    if pack == Pack.PIECE and terms * column_chunk * sum_type(product.dtype).bytes > CACHE:
        pack = Pack.BEFORE
    block, term_dim, term_block = _blocks(product, tile, width, column_chunk, partials)
    depth = _block_depth(product, term_dim, term_block)
    return Schedule(
        tile=tile,
        unroll=_unroll(tile, product),
        pack=pack,
        outer=outer,
        chunk=chunk,
        column_chunk=column_chunk,
        column_block=block,
        term_dim=term_dim,
        term_block=term_block,
        partials=partials,
        columns_first=depth * width * 4 <= 16_384,
    )


# --- packing --------------------------------------------------------------------------------------


def _pack(form: Form) -> Pack:
    product = form.product
    rows, terms = count(product.rows), count(product.terms)
    must = product.column_stride != 1 and product.columns > 1
    if not must and not (rows >= 64 and _pays(product)):
        return Pack.NOT
    if product.batch and any(dim.b for dim in product.batch):
        small = terms * product.columns * sum_type(product.dtype).bytes <= CACHE
        return Pack.PIECE if small and not product.b_constant else Pack.BEFORE
    if form.wished or product.b_constant or rows > 512:
        return Pack.BEFORE
    return Pack.PIECE


def _pays(product: Product) -> bool:
    """Whether B is worth copying although its columns are next to each other."""
    if element_type(product.dtype) != sum_type(product.dtype):
        return True
    apart = min((abs(dim.b) for dim in product.terms), default=0) * product.dtype.itemsize
    return apart % 2048 == 0 and count(product.terms) >= 256


# --- pieces ---------------------------------------------------------------------------------------


def _flops(product: Product) -> int:
    return (
        2
        * count(product.batch)
        * count(product.rows)
        * max(1, count(product.terms))
        * product.columns
    )


def _wanted(product: Product) -> int:
    """How many pieces there should be."""
    return max(1, min(PIECES, _flops(product) // PIECE_FLOPS))


def _size(product: Product, dim: int) -> int:
    dims = [*product.batch, *product.rows]
    return dims[dim].size if dims else 1


def _cut(form: Form, partials: int) -> tuple[int, int, int]:
    """Dimension, indices of it in a piece, and into how many parts to cut the columns besides."""
    product = form.product
    if form.wished:
        return 0, 1, 1
    wanted = -(-_wanted(product) // partials)
    before = 1
    dims = [dim.size for dim in (*product.batch, *product.rows)]
    for number, size in enumerate(dims):
        if before * size >= wanted:
            chunk = -(-size * before // wanted)
            return number, _divisor_near(size, chunk), 1
        before *= size
    if not dims:
        return 0, 1, wanted
    return len(dims) - 1, 1, -(-wanted // before)


def _divisor_near(size: int, wish: int) -> int:
    """A divisor of size from wish / 2 to 2 * wish if there is one, else the wish."""
    near = [d for d in range(-(-wish // 2), min(size, 2 * wish) + 1) if size % d == 0]
    return min(near, key=lambda d: abs(d - wish), default=wish)


def _row_sizes(product: Product, outer: int, chunk: int) -> tuple[int, ...]:
    """The sizes of the row dimensions in a piece."""
    sizes = []
    for number, dim in enumerate(product.rows, len(product.batch)):
        inside = 1 if number < outer else dim.size
        sizes.append(min(chunk, dim.size) if number == outer else inside)
    return tuple(sizes)


def _most_rows(stride: int) -> int:
    """How many rows this many bytes apart the first-level cache can hold lines of."""
    return 8 if stride and stride % 4096 == 0 else 99


def _whole_tiles(product: Product, tile: Tile, outer: int, chunk: int) -> int:
    """The chunk, made of whole tiles if pieces cannot all be equal."""
    size, row = _size(product, outer), outer - len(product.batch)
    step = tile.rows[row] if 0 <= row < len(tile.rows) else 1
    if chunk >= size:
        return size
    return chunk if size % chunk == 0 else max(step, chunk - chunk % step)


def _column_chunk(columns: int, width: int, parts: int) -> int:
    panels = -(-columns // width)
    return min(columns, -(-panels // min(parts, panels)) * width)


# --- blocks ---------------------------------------------------------------------------------------


def _blocks(
    product: Product, tile: Tile, width: int, columns: int, partials: int
) -> tuple[int, int | None, int]:
    """Columns of a block; term dimension and indices of it in a block."""
    size = sum_type(product.dtype).bytes
    terms = count(product.terms)
    if terms * width * size > PANEL_CACHE or _turned(product):
        dim, block = _term_block(product, min(columns, max(width, 256)))
        if product.out_dtype != _sum_dtype(product) and partials == 1:
            dim, block = None, terms
        depth = _block_depth(product, dim, block)
        return _column_block(depth, width, columns, size), dim, block
    return _column_block(terms, width, columns, size), None, terms


def _sum_dtype(product: Product) -> object:
    return product.dtype if product.dtype.itemsize >= 4 else "float32"


def _column_block(depth: int, width: int, columns: int, size: int) -> int:
    panels = max(1, PANEL_CACHE // max(1, depth * width * size))
    return min(columns, panels * width)


def _turned(product: Product) -> bool:
    """Whether rows, not terms, are next to each other in A."""
    rows = min((abs(dim.a) for dim in product.rows), default=0)
    return bool(product.terms) and rows == 1 and abs(product.terms[-1].a) > 1


def _term_block(product: Product, columns: int) -> tuple[int | None, int]:
    """The largest block of terms whose part of A and B fits the cache."""
    size = sum_type(product.dtype).bytes
    rows = [(dim.size, dim.a) for dim in product.rows]
    for number, dim in enumerate(product.terms):
        inner = [(each.size, each.a) for each in product.terms[number + 1 :]]
        depth = math.prod(n for n, _ in inner)

        def bytes_of(
            n: int,
            inner: list[tuple[int, int]] = inner,
            stride: int = dim.a,
            depth: int = depth,
        ) -> int:
            return size * (_footprint([*rows, (n, stride), *inner]) + n * depth * columns)

        if bytes_of(1) > CACHE and depth > LEAST_DEPTH:
            continue
        least = max(1, LEAST_DEPTH // max(depth, 1))
        fitting = [n for n in range(1, dim.size + 1) if n <= least or bytes_of(n) <= CACHE]
        block = fitting[-1]
        if block >= dim.size and number == 0:
            return None, count(product.terms)
        return number, _divisor_near_below(dim.size, block)
    return None, count(product.terms)


def _divisor_near_below(size: int, wish: int) -> int:
    near = [d for d in range(max(1, wish // 2), wish + 1) if size % d == 0]
    return max(near, default=wish)


def _footprint(dims: list[tuple[int, int]]) -> int:
    """About how many different elements nested dimensions touch."""
    total = math.prod(size for size, stride in dims if stride)
    span = 1 + sum((size - 1) * abs(stride) for size, stride in dims)
    return min(total, span)


def _block_depth(product: Product, term_dim: int | None, term_block: int) -> int:
    if term_dim is None:
        return count(product.terms)
    return term_block * count(product.terms[term_dim + 1 :])


def _partials(product: Product) -> int:
    """How many partial sums: several if the sums are long and C is small."""
    if not product.terms:
        return 1
    rows, terms = count(product.rows) * count(product.batch), count(product.terms)
    read = _footprint([(d.size, d.a) for d in (*product.batch, *product.rows, *product.terms)])
    read += terms * product.columns
    written = rows * product.columns
    most = min(16, _wanted(product), read // max(1, 2 * written), product.terms[0].size)
    if most < 4:
        return 1
    size = product.terms[0].size
    parts = max((d for d in range(4, most + 1) if size % d == 0), default=most)
    return -(-size // -(-size // parts))  # as many parts as there are, all but the last equal


def _unroll(tile: Tile, product: Product) -> int:
    sums = math.prod(tile.rows) * tile.vectors
    size = product.terms[-1].size if product.terms else 1
    wish = 4 if sums <= 8 else 2 if sums <= 20 else 1
    return max(d for d in range(1, wish + 1) if size % d == 0) if size < 4 * wish else wish
