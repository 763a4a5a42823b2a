"""Packing: B copied to panels that a register block reads from front to back.

    packed[batch][panel][term][lane] = B[batch, term, panel * width + lane]   (0 beyond the columns)

Panels are in the type of the sums, so that a block converts nothing. Where the columns are next
to each other in memory, rows are copied; where the terms are, squares of 4 x 4 are turned in
registers; otherwise single elements are gathered.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..emit import I16, I64, Function, Int, Type, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from .microkernel import load_as, memory_type
from .pairs import join_pairs, load_pair

SQUARE = 4  # columns and terms that are turned at once: more would be code, not speed


@dataclass(frozen=True)
class Panels:
    """How B is packed.

    Attributes:
        batch, terms: nested (size, stride in B), outermost first.
        columns, column_stride: of B.
        offset: where index 0 of all is in B.
        width: columns of a panel, a multiple of `lanes`.
        lanes: elements of a vector.
        b_type, type: elements of B, and of the panels.
        pair: if an element of a panel is two terms (see `pairs`): how far they are apart in B.
    """

    batch: tuple[tuple[int, int], ...]
    terms: tuple[tuple[int, int], ...]
    columns: int
    column_stride: int
    offset: int
    width: int
    lanes: int
    b_type: Type
    type: Type
    pair: int | None = None

    @property
    def depth(self) -> int:
        """How many terms a panel has."""
        return math.prod(size for size, _ in self.terms)

    @property
    def panels(self) -> int:
        """How many panels an index of the batch has."""
        return -(-self.columns // self.width)

    @property
    def bytes(self) -> int:
        """What all panels take."""
        batch = math.prod(size for size, _ in self.batch)
        return batch * self.panels * self.depth * self.width * self.type.bytes


def pack_kernel(spec: Panels, machine: Machine) -> Kernel:
    """The kernel (b, packed) that packs everything; a piece is a panel."""
    f, args, piece, _ = begin_kernel(machine)
    source, packed = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    panel = f.binary("urem", piece, f.number(spec.panels))
    rest = f.binary("udiv", piece, f.number(spec.panels))
    b = f.at(source, spec.offset, memory_type(spec.b_type))
    for size, stride in reversed(spec.batch):
        index = f.binary("urem", rest, f.number(size))
        rest = f.binary("udiv", rest, f.number(size))
        b = f.at(b, f.mul(index, f.number(stride)), memory_type(spec.b_type))
    to = f.at(packed, f.mul(piece, f.number(spec.depth * spec.width)), spec.type)
    emit_panels(f, spec, b, to, panel, f.add(panel, f.number(1)))
    pieces = spec.panels * math.prod(size for size, _ in spec.batch)
    about = f"pack {spec.depth} x {spec.columns}"
    return finish_kernel("pack", f, pieces=pieces, about=about, bytes=2 * spec.bytes)


def emit_panels(
    f: Function, spec: Panels, b: Val, to: Val, first: Int, stop: Int, terms: Int | None = None
) -> None:
    """Pack the panels first … stop - 1 of one index of the batch, one after another.

    `terms`, if given, is the size of the outermost term dimension here, instead of the usual one.
    """
    sizes = [(f.number(size), stride) for size, stride in spec.terms] or [(f.number(1), 0)]
    if terms is not None:
        sizes[0] = (f.number(terms), sizes[0][1])
    if spec.column_stride == 1:
        _emit_rows(f, spec, sizes, b, to, f.number(first), f.number(stop))
    else:
        _emit_columns(f, spec, sizes, b, to, f.number(first), f.number(stop))


Terms = list[tuple[Val, int]]


def _emit_rows(
    f: Function, spec: Panels, terms: Terms, b: Val, to: Val, first: Val, stop: Val
) -> None:
    """Columns that are next to each other: copy vectors.

    Each row of B is read from end to end, for all panels, which is the order that memory is fast
    in: rows that are far apart, a few vectors of each, would be read several times slower.
    """
    whole, tail = divmod(spec.columns, spec.width)
    panels = f.sub(stop, first)
    if tail:
        is_last = f.compare("sgt", stop, f.number(whole))
        panels = f.select(is_last, f.sub(f.number(whole), first), panels)
    columns, apart = f.mul(panels, f.number(spec.width)), spec.depth * spec.width

    def copy_row(b: Val, to: Val) -> None:
        with f.loop(0, panels, 1, [b, to]) as loop:
            at_b, at_to = loop.carried
            _copy(f, spec, at_b, at_to, spec.width)
            ahead = f.at(at_b, spec.width, memory_type(spec.b_type))
            loop.next = [ahead, f.at(at_to, apart, spec.type)]
        if tail:
            with f.when(is_last):
                at_b = f.at(b, columns, memory_type(spec.b_type))
                at_to = f.at(to, f.mul(panels, f.number(apart)), spec.type)
                _copy(f, spec, at_b, at_to, tail)

    start = f.at(b, f.mul(first, f.number(spec.width)), memory_type(spec.b_type))
    _emit_terms(f, spec, terms, start, to, copy_row)


def _copy(f: Function, spec: Panels, b: Val, to: Val, columns: int) -> None:
    for lane in range(0, columns, spec.lanes):
        at, kind = f.at(b, lane, memory_type(spec.b_type)), spec.type.of(spec.lanes)
        f.store(_load(f, spec, at, kind, columns - lane), f.at(to, lane, spec.type))


def _load(f: Function, spec: Panels, at: Val, kind: Type, columns: int | None = None) -> Val:
    """An element of B (or a pair of terms), or one for each of the next columns."""
    if spec.pair is None:
        return load_as(f, at, spec.b_type, kind, columns)
    other = f.at(at, spec.pair, memory_type(spec.b_type))
    halves = [load_as(f, x, I16, I16.like(kind), columns) for x in (at, other)]
    return join_pairs(f, halves[0], halves[1])


def _emit_terms(
    f: Function,
    spec: Panels,
    terms: Terms,
    b: Val,
    to: Val,
    body: Callable[[Val, Val], None],
    place: int = 0,
) -> None:
    """Loops over the terms; the panel goes on by one row with each. B is an address or an index.

    `place` is that of the first of `terms` among all of the panel.
    """
    if not terms:
        body(b, to)
        return
    (size, stride), inner = terms[0], terms[1:]
    step = f.number(spec.width)
    for other, _ in spec.terms[place + 1 :]:
        step = f.mul(step, f.number(other))
    with f.loop(0, size, 1, [b, to]) as loop:
        at_b, at_to = loop.carried
        _emit_terms(f, spec, inner, at_b, at_to, body, place + 1)
        is_index = at_b.type == I64
        ahead = (
            f.add(at_b, f.number(stride))
            if is_index
            else f.at(at_b, stride, memory_type(spec.b_type))
        )
        loop.next = [ahead, f.at(at_to, step, spec.type)]


def _emit_columns(
    f: Function, spec: Panels, terms: Terms, b: Val, to: Val, first: Val, stop: Val
) -> None:
    """Columns that are apart: four at a time, term by term or in squares of four terms.

    Beyond the last column its numbers are repeated: nobody looks at those lanes.
    """
    size, stride = spec.terms[-1] if spec.terms else (1, 0)
    is_near = stride == 1 if spec.pair is None else spec.pair == 1 and stride == 2
    squares = is_near and size >= SQUARE and spec.lanes >= SQUARE
    wide = SQUARE if spec.lanes >= SQUARE else spec.lanes

    def body(index: Val, to: Val) -> None:
        with f.loop(0, spec.width, wide) as loop:
            column = f.add(panel_column, loop.index)
            with f.when(f.compare("slt", column, f.number(spec.columns))):
                at = [_column(f, spec, b, f.add(column, f.number(i)), index) for i in range(wide)]
                _turn(f, spec, at, f.at(to, loop.index, spec.type), SQUARE if squares else 1)

    with f.loop(first, stop) as loop:
        panel_column = f.mul(loop.index, f.number(spec.width))
        panel = f.mul(f.sub(loop.index, first), f.number(spec.depth * spec.width))
        place = f.at(to, panel, spec.type)
        if squares:
            _emit_terms(
                f,
                spec,
                terms[:-1],
                f.number(0),
                place,
                lambda x, y: _emit_squares(f, spec, x, y, body),
            )
        else:
            _emit_terms(f, spec, terms, f.number(0), place, body)


def _column(f: Function, spec: Panels, b: Val, column: Val, index: Val) -> Val:
    """Where an element of B is; columns beyond the last are the last."""
    last = f.number(spec.columns - 1)
    column = f.select(f.compare("slt", column, last), column, last)
    place = f.add(f.mul(column, f.number(spec.column_stride)), index)
    return f.at(b, place, memory_type(spec.b_type))


def _emit_squares(
    f: Function, spec: Panels, index: Val, to: Val, body: Callable[[Val, Val], None]
) -> None:
    """Terms that are next to each other, four at a time.

    The last four begin so early that they are whole, and some rows are written twice.
    """
    last = f.number(spec.terms[-1][0] - SQUARE)
    with f.loop(0, spec.terms[-1][0], SQUARE) as loop:
        start = f.select(f.compare("slt", loop.index, last), loop.index, last)
        place = f.mul(start, f.number(spec.terms[-1][1]))
        body(f.add(index, place), f.at(to, f.mul(start, f.number(spec.width)), spec.type))


def _turn(f: Function, spec: Panels, columns: list[Val], to: Val, terms: int) -> None:
    """A few columns: loaded each by itself, stored term by term."""
    kind = spec.type.of(len(columns))
    if terms == 1:
        x = f.const(0, kind)
        for lane, column in enumerate(columns):
            one = _load(f, spec, column, spec.type)
            x = f.emit(kind, f"insertelement {x}, {one}, i64 {lane}")
        f.store(x, to)
        return
    if spec.pair is None:
        rows = [load_as(f, column, spec.b_type, spec.type.of(terms)) for column in columns]
    else:
        rows = [load_pair(f, column, terms) for column in columns]
    for term, x in enumerate(transposed(f, rows)):
        f.store(x, f.at(to, term * spec.width, spec.type))


def transposed(f: Function, rows: list[Val]) -> list[Val]:
    """Turn a square of vectors: out[i][j] = rows[j][i].

    Stage by stage, blocks of 1, 2, 4, … lanes change places between rows that far apart:
    with d = 1, (a0 a1 a2 a3), (b0 b1 b2 b3) -> (a0 b0 a2 b2), (a1 b1 a3 b3).
    """
    lanes, distance = len(rows), 1
    while distance < lanes:
        low = [i if not i & distance else lanes + i - distance for i in range(lanes)]
        high = [i + distance if not i & distance else lanes + i for i in range(lanes)]
        out = list(rows)
        for i in range(lanes):
            if not i & distance:
                x, y = rows[i], rows[i + distance]
                out[i], out[i + distance] = f.shuffle(x, y, low), f.shuffle(x, y, high)
        rows, distance = out, distance * 2
    return rows
