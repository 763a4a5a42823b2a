"""Tiles: one instruction multiplies 16 rows by 16 columns over 32 bfloat16 terms.

    C[r, n] = C[r, n] + sum over t of A[r, 2t] * B[t, 2n] + A[r, 2t + 1] * B[t, 2n + 1]

A processor with AMX (x86) has eight tiles, each of up to 16 rows of 64 bytes. Before a thread uses
them, it loads a configuration, which says how large each tile is; loading one clears all tiles.
Rows of A may be anywhere at equal distances; B is made of pairs of terms (see `pairs`). Sums are in
float32, and numbers below the normal range count as zero.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, LDTILECFG,
TDPBF16PS.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from narae.base.dtypes import BFLOAT16

from ..emit import I8, I32, VOID, Function, Val
from ..kernel import Machine
from .form import count
from .pairs import in_pairs
from .product import Product

TILES = 8
ROWS, LANES, PAIRS = 16, 16, 16  # of a tile: rows; elements of a row of C; pairs of a row of A
ROW_BYTES = 64
CONFIGURATION_BYTES = 64
# Fewer rows, columns or terms leave too much of a tile empty.
LEAST_ROWS, LEAST_COLUMNS, LEAST_TERMS = 16, 16, 8
# Rows at equal distances, which one tile can have.
LEAST_EQUAL_ROWS = 4
# Fewest pairs of an instruction, where a divisor of all pairs avoids a shorter last instruction.
LEAST_PAIRS = 12


def has_tiles(machine: Machine) -> bool:
    """Whether a machine multiplies tiles of bfloat16."""
    return machine.vector_bytes == 64 and machine.features >= {"amx-tile", "amx-bf16"}


def suits_tiles(product: Product, machine: Machine) -> bool:
    """Whether a product's terms can be taken in tiles, and are enough of them."""
    if not has_tiles(machine) or product.dtype != BFLOAT16 or not product.terms:
        return False
    inner, rows = product.terms[-1], product.rows
    is_near = inner.a == 1 and (inner.b == 1 or product.column_stride == 1)
    is_near = is_near and bool(rows) and rows[-1].size >= LEAST_EQUAL_ROWS
    return is_near and fits_tiles(count(rows), inner.size, product.columns)


def fits_tiles(rows: int, terms: int, columns: int) -> bool:
    """Whether so many rows, terms that are next to each other, and columns fill enough of tiles."""
    many = rows >= LEAST_ROWS and terms >= LEAST_TERMS and columns >= LEAST_COLUMNS
    return many and terms % 2 == 0


def in_tiles(product: Product) -> Product:
    """The same product in pairs, and these in as many as an instruction takes, if that divides.

    >>> from narae.native.products.product import TermDim
    >>> product = Product((), (), (TermDim(96, 1, 7),), 7, 1, BFLOAT16, BFLOAT16)
    >>> in_tiles(product).terms
    (TermDim(size=3, a=32, b=224), TermDim(size=16, a=2, b=14))
    """
    paired = in_pairs(product)
    inner = paired.terms[-1]
    fitting = (n for n in range(PAIRS, LEAST_PAIRS - 1, -1) if inner.size % n == 0)
    size = next(fitting, None)
    if size is None or inner.size <= PAIRS:
        return paired
    outer = replace(inner, size=inner.size // size, a=inner.a * size, b=inner.b * size)
    return replace(paired, terms=(*paired.terms[:-1], outer, replace(inner, size=size)))


def fullest(rows: int, terms: Sequence[int], columns: int) -> int | None:
    """Which of several sizes of terms fills tiles best; None if none of them suits tiles.

    >>> fullest(64, [8, 28, 7], 64)
    1
    """
    most = 2 * PAIRS
    shares = [n / -(-n // most) if fits_tiles(rows, n, columns) else 0 for n in terms]
    best = max(range(len(terms)), key=shares.__getitem__)
    return best if shares[best] else None


# --- instructions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """How much of a tile is used: rows, and elements of four bytes in each."""

    rows: int
    lanes: int


def configuration(shapes: Mapping[int, Shape]) -> tuple[int, ...]:
    """What a thread loads before it uses these tiles, as numbers of 32 bits.

    Byte 0 is 1 (a table of eight tiles); bytes 16 … 31 are the tiles' bytes of a row, two bytes
    each; bytes 48 … 55 their rows.
    """
    tiles = [shapes.get(number, Shape(0, 0)) for number in range(TILES)]
    widths = struct.pack("<8H", *(4 * tile.lanes for tile in tiles))
    rows = bytes(tile.rows for tile in tiles)
    raw = bytes([1]) + bytes(15) + widths + bytes(16) + rows + bytes(8)
    return struct.unpack("<16i", raw)


def emit_configure(f: Function, shapes: Mapping[int, Shape], at: Val) -> None:
    """Make tiles ready, by way of 64 bytes of memory."""
    f.store(f.vector(configuration(shapes), I32), at)
    emit_load_configuration(f, at)


def emit_load_configuration(f: Function, at: Val) -> None:
    """Load the configuration that is there; all tiles become zero."""
    f.call("llvm.x86.ldtilecfg", VOID, at)


def emit_release(f: Function) -> None:
    """Leave a thread as if it never used tiles: it is switched faster, and nobody expects them."""
    f.call("llvm.x86.tilerelease", VOID)


def emit_zero(f: Function, tile: int) -> None:
    """tile = 0."""
    f.call("llvm.x86.tilezero", VOID, _number(tile))


def emit_load(f: Function, tile: int, at: Val, stride: int) -> None:
    """Load a tile whose rows are `stride` bytes apart; nothing beside its rows is touched."""
    f.call("llvm.x86.tileloadd64", VOID, _number(tile), at, f.number(stride))


def emit_store(f: Function, tile: int, at: Val, stride: int) -> None:
    """Store a tile whose rows are `stride` bytes apart."""
    f.call("llvm.x86.tilestored64", VOID, _number(tile), at, f.number(stride))


def emit_multiply(f: Function, c: int, a: int, b: int) -> None:
    """c = c + a @ b, for the numbers of tiles."""
    f.call("llvm.x86.tdpbf16ps", VOID, _number(c), _number(a), _number(b))


def _number(tile: int) -> Val:
    return Val(str(tile), I8)
