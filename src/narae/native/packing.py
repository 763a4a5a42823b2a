"""Packing: B copied to panels that a register block reads from front to back.

    packed[batch][panel][term][lane] = B[batch, term, panel * width + lane]   (0 beyond the columns)

Panels are in the type of the sums, so that a block converts nothing. Where the terms are next to
each other in memory, squares of lanes x lanes are turned in registers; where the columns are, rows
are copied; otherwise single elements are.
"""

import math
from dataclasses import dataclass

from .emit import Function, Type, Val
from .kernel import Kernel, begin_kernel, finish_kernel, slot_pointer
from .microkernel import load_as, memory_type


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


def pack_kernel(spec: Panels) -> Kernel:
    """The kernel (b, packed) that packs everything; a piece is a panel."""
    f, args, piece, _ = begin_kernel()
    source, packed = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    panel = f.binary("urem", piece, f.int(spec.panels))
    rest = f.binary("udiv", piece, f.int(spec.panels))
    b = f.at(source, spec.offset, memory_type(spec.b_type))
    for size, stride in reversed(spec.batch):
        index = f.binary("urem", rest, f.int(size))
        rest = f.binary("udiv", rest, f.int(size))
        b = f.at(b, f.mul(index, f.int(stride)), memory_type(spec.b_type))
    to = f.at(packed, f.mul(piece, f.int(spec.depth * spec.width)), spec.type)
    emit_panel(f, spec, b, to, panel)
    pieces = spec.panels * math.prod(size for size, _ in spec.batch)
    return finish_kernel("pack", f, pieces=pieces, about=_about(spec), bytes=2 * spec.bytes)


def _about(spec: Panels) -> str:
    return f"pack {spec.depth} x {spec.columns}"


def emit_panels(f: Function, spec: Panels, b: Val, to: Val, first: Val, stop: Val) -> None:
    """Pack the panels first … stop - 1 of one index of the batch, one after another."""
    with f.loop(first, stop) as loop:
        place = f.mul(f.sub(loop.index, first), f.int(spec.depth * spec.width))
        emit_panel(f, spec, b, f.at(to, place, spec.type), loop.index)


def emit_panel(f: Function, spec: Panels, b: Val, to: Val, panel: Val) -> None:
    """Pack one panel, whose number is `panel`; the last one may have fewer columns."""
    column = f.mul(panel, f.int(spec.width * spec.column_stride))
    b = f.at(b, column, memory_type(spec.b_type))
    whole, tail = divmod(spec.columns, spec.width)
    if not tail or not whole:
        _emit_terms(f, spec, spec.terms, b, to, tail or spec.width)
        return
    with f.when(f.compare("slt", panel, f.int(whole))):
        _emit_terms(f, spec, spec.terms, b, to, spec.width)
    with f.when(f.compare("eq", panel, f.int(whole))):
        _emit_terms(f, spec, spec.terms, b, to, tail)


def _emit_terms(
    f: Function, spec: Panels, terms: tuple[tuple[int, int], ...], b: Val, to: Val, columns: int
) -> None:
    """Loops over the terms, with the innermost left to a way that suits the strides."""
    if len(terms) > 1:
        (size, stride), inner = terms[0], terms[1:]
        step = spec.width * math.prod(size for size, _ in inner)
        with f.loop(0, size, 1, [b, to]) as loop:
            at_b, at_to = loop.carried
            _emit_terms(f, spec, inner, at_b, at_to, columns)
            ahead = f.at(at_b, stride, memory_type(spec.b_type))
            loop.next = [ahead, f.at(at_to, step, spec.type)]
        return
    size, stride = terms[0] if terms else (1, 0)
    if spec.column_stride != 1 and stride == 1 and size > 1 and spec.lanes in (4, 8, 16):
        for v in range(spec.width // spec.lanes):
            left = max(0, min(spec.lanes, columns - v * spec.lanes))
            step = v * spec.lanes
            start = f.at(b, step * spec.column_stride, memory_type(spec.b_type))
            _emit_turned(f, spec, size, start, f.at(to, step, spec.type), left)
        return
    with f.loop(0, size, 1, [b, to]) as loop:
        at_b, at_to = loop.carried
        for v in range(spec.width // spec.lanes):
            x = _row_vector(f, spec, at_b, v, columns)
            f.store(x, f.at(at_to, v * spec.lanes, spec.type))
        ahead = f.at(at_b, stride, memory_type(spec.b_type))
        loop.next = [ahead, f.at(at_to, spec.width, spec.type)]


def _row_vector(f: Function, spec: Panels, b: Val, vector: int, columns: int) -> Val:
    """One vector of one term; lanes beyond the columns are zero."""
    kind = spec.type.of(spec.lanes)
    first = vector * spec.lanes
    if columns <= first:
        return f.const(0.0, kind)
    if spec.column_stride == 1:
        at = f.at(b, first, memory_type(spec.b_type))
        return load_as(f, at, spec.b_type, kind, columns - first)
    x = f.const(0.0, kind)
    for lane in range(min(spec.lanes, columns - first)):
        at = f.at(b, (first + lane) * spec.column_stride, memory_type(spec.b_type))
        one = load_as(f, at, spec.b_type, spec.type)
        x = f.emit(kind, f"insertelement {x}, {one}, i64 {lane}")
    return x


def _emit_turned(f: Function, spec: Panels, size: int, b: Val, to: Val, columns: int) -> None:
    """Terms that are next to each other: squares, loaded by columns and stored by terms."""
    lanes = spec.lanes
    whole = size - size % lanes
    if whole:
        with f.loop(0, whole, lanes, [b, to]) as loop:
            _emit_square(f, spec, *loop.carried, columns, lanes)
            ahead = f.at(loop.carried[0], lanes, memory_type(spec.b_type))
            loop.next = [ahead, f.at(loop.carried[1], lanes * spec.width, spec.type)]
        b, to = loop.results
    if size > whole:
        _emit_square(f, spec, b, to, columns, size - whole)


def _emit_square(f: Function, spec: Panels, b: Val, to: Val, columns: int, terms: int) -> None:
    kind = spec.type.of(spec.lanes)
    rows = []
    for column in range(spec.lanes):
        at = f.at(b, column * spec.column_stride, memory_type(spec.b_type))
        inside = column < columns
        rows.append(load_as(f, at, spec.b_type, kind, terms) if inside else f.const(0.0, kind))
    for term, x in enumerate(transposed(f, rows)[:terms]):
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
