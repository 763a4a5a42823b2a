"""The block of tiles: up to 2 x 2 tiles of C, summed over all their terms in tile registers.

It means what the register block means (`microkernel.meaning`, with pairs). Float32 without a bias
goes from tiles to memory; everything else by way of scratch memory, where vectors add, round and
store it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..emit import F32, I8, I16, I32, Function, Int, Type, Val
from .microkernel import load_as, memory_type, store_as
from .product import TermDim
from .tiles import (
    CONFIGURATION_BYTES,
    LANES,
    ROW_BYTES,
    ROWS,
    TILES,
    Shape,
    emit_configure,
    emit_load,
    emit_load_configuration,
    emit_multiply,
    emit_store,
    emit_zero,
)

MOST_ROWS = 2 * ROWS
# Scratch memory: two configurations (that of whole blocks, and another's), and a block of sums.
ROOM = 2 * CONFIGURATION_BYTES + MOST_ROWS * 2 * ROW_BYTES


@dataclass(frozen=True)
class RowTile:
    """Rows of a block that one tile has: where the first is in A and in C, and how many."""

    a: int
    c: int
    rows: int


@dataclass(frozen=True)
class TileBlock:
    """A block of C.

    Attributes:
        rows: one or two tiles of rows.
        a_step, c_step: how far rows of a tile are apart, in elements.
        terms: nested pairs of terms, outermost first; the innermost are next to each other in A.
        pairs: how many of these pairs an instruction takes; the last takes what is left.
        columns: how many, at most two tiles of them.
        down, across: how many tiles of rows and of columns a usual block has, which number them.
        c_type, start: as in `microkernel.Block`.
    """

    rows: tuple[RowTile, ...]
    a_step: int
    c_step: int
    terms: tuple[TermDim, ...]
    pairs: int
    columns: int
    down: int
    across: int
    c_type: Type
    start: str = "zero"

    @property
    def widths(self) -> tuple[int, ...]:
        """The columns of each tile."""
        return tuple(min(LANES, self.columns - n) for n in range(0, self.columns, LANES))

    @property
    def tail(self) -> int:
        """How many pairs the last instruction takes, if fewer than the others."""
        return self.terms[-1].size % self.pairs

    @property
    def is_direct(self) -> bool:
        """Whether tiles are loaded from C, and stored there."""
        return self.c_type == F32 and "bias" not in self.start

    def c(self, row: int, column: int) -> int:
        """The tile of some rows and columns of C."""
        return row * self.across + column

    def a(self, row: int, is_tail: bool = False) -> int:
        """The tile of some rows of A."""
        return self.down * self.across + row + (self.down + self.across) * is_tail

    def b(self, column: int, is_tail: bool = False) -> int:
        """The tile of some columns of B."""
        return self.a(self.down, is_tail) + column

    def shapes(self) -> dict[int, Shape]:
        """The tiles of this block, by number."""
        shapes: dict[int, Shape] = {}
        for is_tail, pairs in ((False, self.pairs), (True, self.tail)):
            if pairs:
                for i, row in enumerate(self.rows):
                    shapes[self.a(i, is_tail)] = Shape(row.rows, pairs)
                for j, width in enumerate(self.widths):
                    shapes[self.b(j, is_tail)] = Shape(pairs, width)
        for i, row in enumerate(self.rows):
            for j, width in enumerate(self.widths):
                shapes[self.c(i, j)] = Shape(row.rows, width)
        assert max(shapes) < TILES
        return shapes


def emit_tiles(
    f: Function,
    block: TileBlock,
    a: Val,
    b: Val,
    c: Val,
    room: Val,
    usual: Mapping[int, Shape],
    bias: Val | None = None,
    terms: Int | None = None,
) -> None:
    """Write the block's code.

    Args:
        f: where to.
        block: what is computed.
        a, b, c, bias: addresses.
        room: the address of ROOM bytes; the usual configuration is there, and loaded.
        usual: its tiles; it is loaded again if this block needs others.
        terms: the size of the outermost dimension of terms, if it varies.
    """
    own = block.shapes()
    fits = own.items() <= usual.items()
    if not fits:
        emit_configure(f, own, _byte(f, room, CONFIGURATION_BYTES))
    sums = _byte(f, room, 2 * CONFIGURATION_BYTES)
    _start(f, block, c)
    dims: list[tuple[TermDim, Int]] = [(dim, dim.size) for dim in block.terms]
    if terms is not None:
        dims[0] = (block.terms[0], terms)
    _sum_terms(f, block, dims, a, b)
    _finish(f, block, c, sums, bias)
    if not fits:
        emit_load_configuration(f, room)


def _byte(f: Function, base: Val, offset: int) -> Val:
    return f.at(base, offset, I8)


def _start(f: Function, block: TileBlock, c: Val) -> None:
    loads = block.is_direct and block.start == "c"
    for i, row in enumerate(block.rows):
        for j in range(len(block.widths)):
            if loads:
                at = f.at(c, row.c + j * LANES, F32)
                emit_load(f, block.c(i, j), at, F32.bytes * block.c_step)
            else:
                emit_zero(f, block.c(i, j))


def _sum_terms(
    f: Function, block: TileBlock, dims: Sequence[tuple[TermDim, Int]], a: Val, b: Val
) -> None:
    """Loops over the terms; the innermost one takes as many as an instruction does."""
    (dim, size), inner = dims[0], dims[1:]
    if inner:
        with f.loop(0, size, 1, [a, b]) as loop:
            at_a, at_b = loop.carried
            _sum_terms(f, block, inner, at_a, at_b)
            loop.next = [f.at(at_a, dim.a, I16), f.at(at_b, dim.b, I32)]
        return
    whole = dim.size // block.pairs
    if whole == 1:
        _multiply(f, block, dim, a, b)
        a, b = f.at(a, dim.a * block.pairs, I16), f.at(b, dim.b * block.pairs, I32)
    elif whole:
        with f.loop(0, whole, 1, [a, b]) as loop:
            at_a, at_b = loop.carried
            _multiply(f, block, dim, at_a, at_b)
            ahead = f.at(at_a, dim.a * block.pairs, I16)
            loop.next = [ahead, f.at(at_b, dim.b * block.pairs, I32)]
        a, b = loop.results
    if block.tail:
        _multiply(f, block, dim, a, b, True)


def _multiply(
    f: Function, block: TileBlock, dim: TermDim, a: Val, b: Val, is_tail: bool = False
) -> None:
    """As many terms as an instruction takes."""
    columns = range(len(block.widths))
    for j in columns:
        emit_load(f, block.b(j, is_tail), f.at(b, j * LANES, I32), I32.bytes * dim.b)
    for i, row in enumerate(block.rows):
        emit_load(f, block.a(i, is_tail), f.at(a, row.a, I16), I16.bytes * block.a_step)
        for j in columns:
            emit_multiply(f, block.c(i, j), block.a(i, is_tail), block.b(j, is_tail))


# --- results --------------------------------------------------------------------------------------


def _finish(f: Function, block: TileBlock, c: Val, sums: Val, bias: Val | None) -> None:
    if block.is_direct:
        for i, row in enumerate(block.rows):
            for j in range(len(block.widths)):
                at = f.at(c, row.c + j * LANES, F32)
                emit_store(f, block.c(i, j), at, F32.bytes * block.c_step)
        return
    wide = len(block.widths) * LANES
    for i, row in enumerate(block.rows):
        place = f.at(sums, i * ROWS * wide, F32)
        for j in range(len(block.widths)):
            emit_store(f, block.c(i, j), f.at(place, j * LANES, F32), F32.bytes * wide)
        at_c = f.at(c, row.c, memory_type(block.c_type))
        with f.loop(0, row.rows, 1, [place, at_c]) as loop:
            at_sums, at_row = loop.carried
            _finish_row(f, block, at_sums, at_row, bias)
            ahead = f.at(at_row, block.c_step, memory_type(block.c_type))
            loop.next = [f.at(at_sums, wide, F32), ahead]


def _finish_row(f: Function, block: TileBlock, sums: Val, c: Val, bias: Val | None) -> None:
    kind, element = F32.of(LANES), memory_type(block.c_type)
    for j, width in enumerate(block.widths):
        x, at = f.load(f.at(sums, j * LANES, F32), kind), f.at(c, j * LANES, element)
        if bias is not None and "bias" in block.start:
            x = f.add(load_as(f, f.at(bias, j * LANES, element), block.c_type, kind, width), x)
        if "c" in block.start.split("+"):
            x = f.add(load_as(f, at, block.c_type, kind, width), x)
        store_as(f, x, at, block.c_type, width)
