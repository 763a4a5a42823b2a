"""How a product is cut into pieces: parts of the rows, of the columns, and of the terms."""

import math
from dataclasses import dataclass

from . import limits
from .blocks import is_far
from .form import Form, count, footprint, outer_dims
from .microkernel import sum_type
from .product import Product


@dataclass(frozen=True)
class Grid:
    """How a product is cut into pieces.

    Attributes:
        outer, chunk: as in `Schedule`.
        column_parts: into how many parts the columns are cut.
        partials: how many partial sums there are.
    """

    outer: int
    chunk: int
    column_parts: int = 1
    partials: int = 1


def flops(product: Product) -> int:
    """Multiplications and additions."""
    rows = count(product.batch) * count(product.rows)
    return 2 * rows * max(1, count(product.terms)) * product.columns


def size_of(product: Product, dim: int) -> int:
    """The size of an outer dimension of C; 1 if there is none."""
    dims = outer_dims(product)
    return dims[dim].size if dims else 1


def grid_of(form: Form, packs: bool, lanes: int, tiles: bool = False) -> Grid:
    """Pieces of about equal work that read as little as possible from beyond a core's cache.

    With `packs`, each piece packs the columns of B that it uses, and has all the rows; with
    `tiles`, much work takes little time, and pieces have rows for whole tiles.
    """
    product = form.product
    if form.wished:
        return Grid(0, 1)
    piece_flops = limits.PIECE_FLOPS * (limits.TILES_SPEED if tiles else 1)
    wanted = max(1, min(limits.PIECES, flops(product) // piece_flops))
    rows = limits.TILES_ROWS if tiles else limits.PIECE_ROWS
    if any(dim.b for dim in product.batch):
        outer, chunk, _ = _cut_rows(product, wanted, rows)
        return Grid(outer, chunk)
    most_columns = max(1, product.columns // (2 * lanes))
    best, least, traffic, pieces = Grid(0, size_of(product, 0)), math.inf, 0.0, 1
    for number in range(6):
        parts = min(2**number, most_columns, wanted)
        row_parts = 1 if packs else -(-wanted // parts)
        outer, chunk, row_parts = _cut_rows(product, row_parts, rows)
        read = _traffic(product, row_parts, parts)
        packed = (1 if row_parts >= limits.REUSED else row_parts) * is_far(product, 0)
        packing = 2 * packed * count(product.terms) * product.columns
        cost = (read + packing) * max(1.0, wanted / (row_parts * parts)) ** 0.5
        if cost < least:
            best, least = Grid(outer, chunk, parts), cost
            traffic, pieces = read, row_parts * parts
    if tiles and pieces >= limits.TILES_PIECES:  # adding parts up takes longer than to wait
        return best
    partials = _partials(product, wanted, pieces, traffic)
    return Grid(0, size_of(product, 0), 1, partials) if partials > 1 else best


def _cut_rows(product: Product, wanted: int, least: int) -> tuple[int, int, int]:
    """Dimension, indices of it in a piece, and how many pieces that makes: at most as wanted.

    A piece has at least so many indices of the last dimension, if that is cut.
    """
    before = 1
    dims = [dim.size for dim in outer_dims(product)]
    for number, size in enumerate(dims):
        last = number == len(dims) - 1
        if before * size >= wanted or last:
            chunk = max(-(-size * before // wanted), min(size, least) if last else 1)
            chunk = divisor_near(size, chunk)
            return number, chunk, before * -(-size // chunk)
        before *= size
    return 0, 1, 1


def divisor_near(size: int, wish: int) -> int:
    """A divisor of size from wish / 2 to 2 * wish if there is one, else the wish."""
    near = [d for d in range(-(-wish // 2), min(size, 2 * wish) + 1) if size % d == 0]
    return min(near, key=lambda d: abs(d - wish), default=wish)


def _operand_sizes(product: Product) -> tuple[int, int]:
    """How many elements A and B have."""
    dims = [(dim.size, dim.a) for dim in outer_dims(product)]
    a = footprint(dims + [(dim.size, dim.a) for dim in product.terms])
    return a, count(product.terms) * product.columns


def _traffic(product: Product, row_parts: int, column_parts: int) -> float:
    """Elements that pieces read: all of B for each part of the rows, of A for each of the columns.

    What fits a core's cache is read twice at most, once by each of a few cores.
    """
    a, b = _operand_sizes(product)
    fits = limits.CACHE // sum_type(product.dtype).bytes
    of_a = min(column_parts, 2) if a <= fits else column_parts
    of_b = min(row_parts, 2) if b <= fits else row_parts
    return a * of_a + b * of_b


def _partials(product: Product, wanted: int, pieces: int, traffic: float) -> int:
    """How many partial sums: several if pieces are too few, or would read too much."""
    if not product.terms or wanted < 4 or product.terms[0].size < 4:
        return 1
    read = sum(_operand_sizes(product))
    written = 3 * count(product.rows) * count(product.batch) * product.columns
    parts = _parts(product.terms[0].size, min(wanted, 16 if 16 * written <= read else 8))
    is_slow = traffic * limits.READ_FLOPS > flops(product) / 10
    if pieces >= min(8, wanted) and not (is_slow and traffic > 2 * (read + parts * written)):
        return 1
    return parts


def _parts(size: int, wish: int) -> int:
    """About as many parts as wished, all equal if possible."""
    near = [d for d in range(-(-3 * wish // 4), min(2 * wish, size) + 1) if size % d == 0]
    parts = min(near, key=lambda d: abs(d - wish), default=min(wish, size))
    return -(-size // -(-size // parts))
