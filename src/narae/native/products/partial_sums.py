"""Partial sums added up: C = (C +) (bias +) partials[0] + partials[1] + …, always in this order."""

from ..emit import Function, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from .form import count, merged, outer_dims
from .levels import Level, LoopDim, Range, State, emit_levels, part_of, whole
from .microkernel import element_type, load_as, memory_type, store_as, sum_type
from .product import Product, RowDim

BYTES = 262_144  # that a piece reads


def sum_kernel(product: Product, partials: int, machine: Machine) -> Kernel:
    """The kernel (partials, c[, bias]) that makes C of partial sums, each dense in C's order."""
    sums = sum_type(product.dtype)
    lanes = machine.lanes(sums.bytes)
    rows, columns = _rows(product)
    outputs = columns * count(rows)
    loops = [LoopDim(dim.size, (dim.a, dim.c)) for dim in rows] + [LoopDim(columns, (1, 1))]
    chunk_of = _chunks(loops, BYTES // (partials * sums.bytes), 4 * lanes)
    f, args, piece, _ = begin_kernel(machine)
    places = [slot_pointer(f, args, number) for number in range(2 + product.bias)]
    places[1] = f.at(places[1], product.c_offset, memory_type(element_type(product.out_dtype)))
    ranges, pieces, rest = [whole(dim) for dim in loops], 1, piece
    for number, chunk in chunk_of:
        parts = -(-loops[number].size // chunk)
        ranges[number] = part_of(f, loops[number], f.binary("urem", rest, f.number(parts)), chunk)
        rest = f.binary("udiv", rest, f.number(parts))
        pieces *= parts
    levels = [Level(number, 1, True) for number in range(len(rows))]
    levels.append(Level(len(rows), 4 * lanes, True))
    emit_levels(
        f,
        loops,
        levels,
        State(tuple(ranges), tuple(places)),
        lambda state: _emit_sum(f, product, loops, state, partials, outputs, lanes),
    )
    return finish_kernel(
        "partial_sums",
        f,
        pieces=pieces,
        about=f"add {partials} x {outputs} {sums}",
        bytes=(partials + 1) * outputs * sums.bytes,
    )


def _rows(product: Product) -> tuple[tuple[RowDim, ...], int]:
    """Rows as (size, stride in the partial sums, stride in C), and columns, few and many."""
    dims = outer_dims(product)
    out, inner = [], product.columns
    for dim in reversed(dims):
        out.append(RowDim(dim.size, inner, dim.c))
        inner *= dim.size
    rows = merged(out[::-1])
    if len(rows) == 1 and rows[0].a == rows[0].c == product.columns and not product.bias:
        return (), product.columns * rows[0].size
    return rows, product.columns


def _chunks(loops: list[LoopDim], elements: int, step: int) -> list[tuple[int, int]]:
    """(dim, indices of a piece) so that a piece has about so many elements."""
    if len(loops) == 1:
        chunk = max(step, elements - elements % step)
        return [(0, chunk)] if chunk < loops[0].size else []
    inner = 1
    for dim in loops[1:]:
        inner *= dim.size
    chunk = max(1, elements // inner)
    return [(0, chunk)] if chunk < loops[0].size else []


def _emit_sum(
    f: Function,
    product: Product,
    loops: list[LoopDim],
    state: State,
    partials: int,
    outputs: int,
    lanes: int,
) -> None:
    """A few vectors of one row."""
    sums, c_type = sum_type(product.dtype), element_type(product.out_dtype)
    source, c, *bias = state.places
    for dim, current in zip(loops, state.ranges, strict=True):
        start = f.number(current.start)
        source = f.at(source, f.mul(start, f.number(dim.strides[0])), sums)
        c = f.at(c, f.mul(start, f.number(dim.strides[1])), memory_type(c_type))
    columns: Range = state.ranges[-1]
    extent = columns.extent or 1
    for v in range(-(-extent // lanes)):
        left, kind = extent - v * lanes, sums.of(lanes)
        at_c = f.at(c, v * lanes, memory_type(c_type))
        x: Val | None = None
        if product.accumulate:
            x = load_as(f, at_c, c_type, kind, left)
        if bias:
            place = f.add(f.number(columns.start), f.number(v * lanes))
            y = load_as(f, f.at(bias[0], place, memory_type(c_type)), c_type, kind, left)
            x = y if x is None else f.add(x, y)
        for part in range(partials):
            y = load_as(f, f.at(source, part * outputs + v * lanes, sums), sums, kind, left)
            x = y if x is None else f.add(x, y)
        assert x is not None
        store_as(f, x, at_c, c_type, left)
