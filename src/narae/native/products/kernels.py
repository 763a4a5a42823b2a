"""A product as kernels: packing, the loops around the register tile, and sums of partial sums.

for piece: for column block: for term block: for row tile: for column tile: block of registers
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from ..emit import I8, Function, Int, Type, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from .dots import emit_dots
from .form import count, merged, simplified
from .levels import Range, State, emit_levels, part_of, whole
from .microkernel import Block, element_type, emit_block, memory_type
from .packing import emit_panels, pack_kernel
from .partial_sums import sum_kernel
from .plan import Plan
from .product import Product, TermDim
from .schedule import Pack
from .tile_block import ROOM, emit_tiles
from .tile_plan import block_of_tiles, usual_tiles
from .tiles import emit_configure, emit_release


@dataclass(frozen=True)
class Stage:
    """One kernel of a product.

    Attributes:
        kernel: the kernel.
        slots: what its slots hold: "a", "b", "c", "bias", "packed" or "partials".
        aligned_rows: if not None, piece p computes exactly the indices
            [p * aligned_rows, (p + 1) * aligned_rows) of C's outermost dimension (batch[0] if there
            is a batch, else rows[0]) and reads only those of A.
    """

    kernel: Kernel
    slots: tuple[str, ...]
    aligned_rows: int | None = None


@dataclass(frozen=True)
class Lowered:
    """The stages of a product, in order, and its temporaries.

    Attributes:
        stages: each begins when the one before it has ended.
        temporaries: bytes of "packed" and "partials", where used; aligned to 64 bytes.
    """

    stages: tuple[Stage, ...]
    temporaries: dict[str, int]


@lru_cache(maxsize=4096)
def lower_product(product: Product, machine: Machine, piece: int | None = None) -> Lowered:
    """The kernels of a product.

    Args:
        product: what is computed.
        machine: what the kernels run on.
        piece: how many outermost indices of C a piece should have; it gets as many or fewer, or
            the stage says that it has no such pieces.
    """
    if product.columns * count(product.batch) * count(product.rows) == 0:
        return Lowered((), {})
    form = simplified(product, piece)
    if count(product.terms) == 0:
        form = replace(form, product=replace(form.product, terms=()))
    plan = Plan(form, machine, count(product.terms) == 0)
    stages: list[Stage] = []
    temporaries: dict[str, int] = {}
    if plan.schedule.pack == Pack.BEFORE:
        stages.append(Stage(pack_kernel(plan.panels, machine), ("b", "packed")))
        temporaries["packed"] = plan.panels.bytes
    stages.append(_main_stage(plan))
    if plan.schedule.partials > 1:
        temporaries["partials"] = plan.schedule.partials * plan.outputs * plan.sums.bytes
        slots = ("partials", "c", "bias") if product.bias else ("partials", "c")
        stages.append(Stage(sum_kernel(form.product, plan.schedule.partials, machine), slots))
    return Lowered(tuple(stages), temporaries)


# --- the main kernel ------------------------------------------------------------------------------


def _main_stage(plan: Plan) -> Stage:
    f, args, piece, scratch = begin_kernel(plan.machine)
    product, schedule = plan.product, plan.schedule
    slots = ["a", "packed" if schedule.pack == Pack.BEFORE else "b"]
    slots.append("partials" if schedule.partials > 1 else "c")
    with_bias = product.bias and schedule.partials == 1
    slots += ["bias"] * with_bias
    a, b, c, *bias = [slot_pointer(f, args, number) for number in range(len(slots))]
    state, pieces = _piece_state(plan, f, piece)
    a = f.at(a, product.a_offset, memory_type(element_type(product.dtype)))
    if schedule.partials == 1:
        c = f.at(c, product.c_offset, memory_type(plan.c_type))
    else:
        part = f.binary("udiv", piece, f.number(pieces // schedule.partials))
        c = f.at(c, f.mul(part, f.number(plan.outputs)), plan.sums)
    if schedule.pack == Pack.NOT:
        b = f.at(b, product.b_offset, memory_type(plan.b_type))
    state = replace(state, places=(a, b, c, *bias))
    if plan.tiles:
        emit_configure(f, usual_tiles(plan), _tile_room(plan, f))
    _emit_batch(plan, f, state, scratch)
    if plan.tiles:
        emit_release(f)
    kernel = finish_kernel(
        "product",
        f,
        pieces=pieces,
        scratch=_packed_bytes(plan) + ROOM * plan.tiles,
        about=_about(plan),
        flops=2 * plan.outputs * plan.depth * (1 + plan.pairs),
    )
    return Stage(kernel, tuple(slots), plan.form.aligned if plan.form.wished else None)


def _about(plan: Plan) -> str:
    product = plan.product
    sizes = "x".join(str(n) for n in (*(d.size for d in product.batch), count(product.rows)))
    return f"product {sizes} x {plan.depth} x {product.columns} {product.dtype}"


def _tile_room(plan: Plan, f: Function) -> Val:
    """Where scratch memory is for tiles: behind what a piece packs."""
    _, _, scratch = f.arguments
    return f.at(scratch, _packed_bytes(plan), I8)


def _packed_bytes(plan: Plan) -> int:
    """The scratch memory for what a piece packs."""
    columns = {
        Pack.PIECE: plan.schedule.column_chunk,
        Pack.BLOCK: min(plan.schedule.blocks.columns, plan.schedule.column_chunk),
    }.get(plan.schedule.pack, 0)
    return -(-columns // plan.width) * plan.width * plan.panels.depth * plan.sums.bytes


def _piece_state(plan: Plan, f: Function, piece: Val) -> tuple[State, int]:
    """The ranges of a piece, and how many pieces there are."""
    ranges = [whole(dim) for dim in plan.loops]
    pieces, rest = 1, piece
    for number, chunk in reversed(plan.piece_cuts()):
        dim = plan.loops[number]
        parts = -(-dim.size // chunk)
        ranges[number] = part_of(f, dim, f.binary("urem", rest, f.number(parts)), chunk)
        rest = f.binary("udiv", rest, f.number(parts))
        pieces *= parts
    return State(tuple(ranges), ()), pieces


def _emit_batch(plan: Plan, f: Function, state: State, scratch: Val) -> None:
    """Loops over the batch; B is packed where it begins to change."""
    levels = plan.batch_levels()
    moving = [n for n, dim in enumerate(plan.product.batch) if dim.b]
    cut = moving[-1] + 1 if moving else 0

    def packed(state: State) -> None:
        if plan.schedule.pack == Pack.PIECE:
            state = _packed_here(plan, f, state, scratch)
        emit_levels(
            f, plan.loops, levels[cut:], state, lambda inner: _emit_blocks(plan, f, inner, scratch)
        )

    emit_levels(f, plan.loops, levels[:cut], state, packed)


def _packed_here(plan: Plan, f: Function, state: State, scratch: Val) -> State:
    """Pack the columns at hand; index 0 of B is then where column 0 would be."""
    product, columns = plan.product, state.ranges[plan.column]
    kind = memory_type(element_type(product.dtype))
    b = f.at(state.places[1], product.b_offset, kind)
    dims = [(number, dim.b) for number, dim in enumerate(product.batch)]
    terms, length = product.terms, None
    if plan.schedule.pack == Pack.BLOCK:
        first = plan.column + 1
        dims += [(first + n, dim.b) for n, dim in enumerate(terms[: plan.cut_terms])]
        length = state.ranges[first + plan.cut_terms - 1].length(f)
    for number, stride in dims:
        if stride:
            b = f.at(b, f.mul(f.number(state.ranges[number].start), f.number(stride)), kind)
    width = f.number(plan.width)
    first_panel = f.binary("udiv", f.number(columns.start), width)
    end = f.binary("udiv", f.add(f.number(columns.stop), f.number(plan.width - 1)), width)
    emit_panels(f, plan.panels, b, scratch, first_panel, end, length)
    back = f.mul(f.number(columns.start), f.number(-plan.panels.depth))
    return replace(
        state, places=(state.places[0], f.at(scratch, back, plan.sums), *state.places[2:])
    )


def _emit_blocks(plan: Plan, f: Function, state: State, scratch: Val) -> None:
    """Everything of one index of the batch."""
    product, once = plan.product, plan.schedule.partials == 1
    start = "+".join(["c"] * (product.accumulate and once) + ["bias"] * (product.bias and once))
    start = start or "zero"
    tiles = plan.tile_levels()
    if plan.blocked and start != "c":
        nothing, begin = (TermDim(0, 0, 0),), start
        emit_levels(
            f, plan.loops, tiles, state, lambda tile: _emit_tile(plan, f, tile, begin, nothing)
        )
        start = "c"

    def block(state: State) -> None:
        if plan.schedule.pack == Pack.BLOCK:
            state = _packed_here(plan, f, state, scratch)
        emit_levels(
            f, plan.loops, tiles, state, lambda tile: _emit_tile(plan, f, tile, start, None)
        )

    emit_levels(f, plan.loops, plan.block_levels(), state, block)


def _emit_tile(
    plan: Plan, f: Function, state: State, start: str, terms: tuple[TermDim, ...] | None
) -> None:
    a, b, c, *bias = state.places
    rows = range(plan.first_row, plan.column)
    a_rows, c_rows = [0], [0]
    for number in rows:
        extent, (stride, _, c_stride) = state.ranges[number].extent or 1, plan.loops[number].strides
        a_rows = [x + i * stride for x in a_rows for i in range(extent)]
        c_rows = [x + i * c_stride for x in c_rows for i in range(extent)]
    inner, length = _inner_terms(plan, f, state)
    block = Block(
        a_rows=tuple(a_rows),
        c_rows=tuple(c_rows),
        terms=inner if terms is None else terms,
        columns=state.ranges[plan.column].extent or 1,
        lanes=plan.lanes,
        a_type=element_type(plan.product.dtype),
        b_type=plan.b_type,
        c_type=plan.c_type,
        sum_type=plan.sums,
        start=start,
        unroll=plan.schedule.unroll,
        pairs=plan.pairs,
    )
    a = _address(plan, f, state, 0, a, block.a_type)
    b = _address(plan, f, state, 1, b, block.b_type)
    c = _address(plan, f, state, 2, c, block.c_type)
    here = _bias_place(plan, f, state, bias)
    length = length if terms is None else None
    if plan.tiles and terms is None:
        extents = tuple(state.ranges[number].extent or 1 for number in rows)
        tiles = block_of_tiles(plan, extents, block.columns, inner, start)
        room = _tile_room(plan, f)
        emit_tiles(f, tiles, a, b, c, room, usual_tiles(plan), here, length)
    elif plan.tiles:
        for row in c_rows:
            emit_block(f, replace(block, a_rows=(0,), c_rows=(row,)), a, b, c, here)
    elif plan.schedule.dots and terms is None:
        emit_dots(f, block, plan.product.column_stride, a, b, c, here, length)
    else:
        emit_block(f, block, a, b, c, here, length)


def _bias_place(plan: Plan, f: Function, state: State, bias: list[Val]) -> Val | None:
    if not bias:
        return None
    return f.at(bias[0], state.ranges[plan.column].start, memory_type(plan.c_type))


def _inner_terms(plan: Plan, f: Function, state: State) -> tuple[tuple[TermDim, ...], Int | None]:
    """The terms that a tile sums, and the size of the outermost if it varies."""
    if plan.empty:
        return (TermDim(0, 0, 0),), None
    if not plan.cut_terms:
        return plan.terms, None
    last = plan.cut_terms - 1
    current: Range = state.ranges[plan.column + 1 + last]
    length = current.length(f)
    size = length if isinstance(length, int) else plan.terms[last].size
    cut = replace(plan.terms[last], size=size)
    if isinstance(length, int):
        return merged([cut, *plan.terms[last + 1 :]]), None
    return (cut, *plan.terms[last + 1 :]), length


def _address(plan: Plan, f: Function, state: State, operand: int, base: Val, kind: Type) -> Val:
    """base + the sum of first index * stride over all dimensions."""
    for dim, current in zip(plan.loops, state.ranges, strict=True):
        stride = dim.strides[operand]
        if stride == 0 or current.start == 0:
            continue
        if isinstance(current.start, int):
            base = f.at(base, current.start * stride, memory_type(kind))
        else:
            place = current.start if stride == 1 else f.mul(current.start, f.number(stride))
            base = f.at(base, place, memory_type(kind))
    return base
