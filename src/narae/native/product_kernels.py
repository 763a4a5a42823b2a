"""A product as kernels: packing, the loops around the register tile, and sums of partial sums.

for piece: for column block: for term block: for row tile: for column tile: block of registers
"""

import math
from dataclasses import dataclass, replace

from .axes import Axis, Level, Range, State, emit_levels, part_of, whole
from .emit import Function, Int, Type, Val
from .kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from .microkernel import Block, element_type, emit_block, memory_type, sum_type
from .packing import Panels, emit_panels, pack_kernel
from .partial_sums import sum_kernel
from .product import BatchDim, Product, RowDim, TermDim
from .product_form import Form, count, merged, simplified
from .product_schedule import Pack, Schedule, choose


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
    plan = _Plan(form, choose(form, machine), machine, count(product.terms) == 0)
    stages: list[Stage] = []
    temporaries: dict[str, int] = {}
    if plan.schedule.pack == Pack.BEFORE:
        stages.append(Stage(pack_kernel(plan.panels), ("b", "packed")))
        temporaries["packed"] = plan.panels.bytes
    stages.append(_main_stage(plan))
    if plan.schedule.partials > 1:
        temporaries["partials"] = plan.schedule.partials * plan.outputs * plan.sums.bytes
        slots = ("partials", "c", "bias") if product.bias else ("partials", "c")
        stages.append(Stage(sum_kernel(form.product, plan.schedule.partials, machine), slots))
    return Lowered(tuple(stages), temporaries)


class _Plan:
    """A product with its schedule: axes, levels and the register block follow from both."""

    def __init__(self, form: Form, schedule: Schedule, machine: Machine, empty: bool) -> None:
        self.form, self.schedule, self.empty = form, schedule, empty
        self.product = form.product
        self.sums = sum_type(self.product.dtype)
        self.lanes = machine.lanes(self.sums.bytes)
        self.width = schedule.tile.vectors * self.lanes
        self.depth = count(self.product.terms)
        self.outputs = count(self.product.batch) * count(self.product.rows) * self.product.columns
        self.panels = self._panels()
        batch, rows, terms = self._operands()
        self.terms = terms
        self.cut_terms = self._cut_terms()
        axes = [Axis(dim.size, (dim.a, dim.b, dim.c)) for dim in batch]
        axes += [Axis(dim.size, (dim.a, 0, dim.c)) for dim in rows]
        axes += [Axis(self.product.columns, (0, 1 if not self.packed else self.depth, 1))]
        axes += [Axis(dim.size, (dim.a, dim.b, 0)) for dim in terms[: self.cut_terms]]
        self.axes = axes
        self.first_row, self.column = len(batch), len(batch) + len(rows)

    @property
    def packed(self) -> bool:
        """Whether the block reads panels."""
        return self.schedule.pack != Pack.NOT

    @property
    def blocked(self) -> bool:
        """Whether C is gone through several times, once for each block of terms."""
        return self.schedule.term_dim is not None

    @property
    def b_type(self) -> Type:
        """The type of what the block reads as B."""
        return self.sums if self.packed else element_type(self.product.dtype)

    @property
    def c_type(self) -> Type:
        """The type of what the block writes."""
        return self.sums if self.schedule.partials > 1 else element_type(self.product.out_dtype)

    def _panels(self) -> Panels:
        product = self.product
        return Panels(
            batch=tuple((dim.size, dim.b) for dim in product.batch if dim.b),
            terms=tuple((dim.size, dim.b) for dim in product.terms),
            columns=product.columns,
            column_stride=product.column_stride,
            offset=product.b_offset,
            width=self.width,
            lanes=self.lanes,
            b_type=element_type(product.dtype),
            type=self.sums,
        )

    def _operands(
        self,
    ) -> tuple[tuple[BatchDim, ...], tuple[RowDim, ...], tuple[TermDim, ...]]:
        """The dimensions with strides in what the block reads and writes."""
        batch, rows, terms = self.product.batch, self.product.rows, self.product.terms
        if self.packed:
            batch = self._packed_batch(batch)
            inner = [count(terms[number + 1 :]) for number in range(len(terms))]
            terms = tuple(replace(d, b=n * self.width) for d, n in zip(terms, inner, strict=True))
        if self.schedule.partials > 1:
            sizes = [d.size for d in batch] + [d.size for d in rows]
            strides = dense(sizes, self.product.columns)
            batch = tuple(replace(d, c=s) for d, s in zip(batch, strides, strict=False))
            last = strides[len(batch) :]
            rows = tuple(replace(d, c=s) for d, s in zip(rows, last, strict=True))
        return batch, rows, terms

    def _packed_batch(self, batch: tuple[BatchDim, ...]) -> tuple[BatchDim, ...]:
        before = self.schedule.pack == Pack.BEFORE
        each = self.panels.panels * self.depth * self.width if before else 0
        moving = [dim.size if dim.b else 1 for dim in batch]
        strides = dense(moving, each)
        return tuple(replace(d, b=s if d.b else 0) for d, s in zip(batch, strides, strict=True))

    def _cut_terms(self) -> int:
        """How many of the term dimensions are axes."""
        if self.schedule.term_dim is not None:
            return self.schedule.term_dim + 1
        return 1 if self.schedule.partials > 1 else 0

    def piece_cuts(self) -> list[tuple[int, int]]:
        """(axis, indices of a piece), the last one changing from piece to piece."""
        schedule = self.schedule
        cuts = []
        if schedule.partials > 1:
            size = self.axes[self.column + 1].size
            cuts.append((self.column + 1, -(-size // schedule.partials)))
        if schedule.column_chunk < self.product.columns:
            cuts.append((self.column, schedule.column_chunk))
        outer = [(number, 1) for number in range(schedule.outer)]
        if self.column:
            outer.append((schedule.outer, schedule.chunk))
        return cuts + [(axis, step) for axis, step in outer if step < self.axes[axis].size]

    def batch_levels(self) -> list[Level]:
        """Loops over the batch."""
        return [Level(number, 1, True) for number in range(self.first_row)]

    def block_levels(self) -> list[Level]:
        """Loops over blocks of columns and of terms."""
        schedule = self.schedule
        levels = []
        if schedule.column_block < schedule.column_chunk:
            levels.append(Level(self.column, schedule.column_block, False))
        if schedule.term_dim is not None:
            axis = self.column + 1
            levels += [Level(axis + n, 1, False) for n in range(schedule.term_dim)]
            levels.append(Level(axis + schedule.term_dim, schedule.term_block, False))
        return levels

    def tile_levels(self) -> list[Level]:
        """Loops over tiles."""
        rows = [Level(self.first_row + n, t, True) for n, t in enumerate(self.schedule.tile.rows)]
        columns = [Level(self.column, self.width, True)]
        return columns + rows if self.schedule.columns_first else rows + columns


def dense(sizes: list[int], inner: int) -> list[int]:
    """The strides of dimensions that lie next to each other, the last one `inner` apart."""
    return [inner * math.prod(sizes[number + 1 :]) for number in range(len(sizes))]


# --- the main kernel ------------------------------------------------------------------------------


def _main_stage(plan: _Plan) -> Stage:
    f, args, piece, scratch = begin_kernel()
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
        part = f.binary("udiv", piece, f.int(pieces // schedule.partials))
        c = f.at(c, f.mul(part, f.int(plan.outputs)), plan.sums)
    if schedule.pack == Pack.NOT:
        b = f.at(b, product.b_offset, memory_type(plan.b_type))
    state = replace(state, places=(a, b, c, *bias))
    _emit_batch(plan, f, state, scratch)
    kernel = finish_kernel(
        "product",
        f,
        pieces=pieces,
        scratch=_scratch(plan),
        about=_about(plan),
        flops=2 * plan.outputs * plan.depth,
    )
    return Stage(kernel, tuple(slots), plan.form.aligned if plan.form.wished else None)


def _about(plan: _Plan) -> str:
    product = plan.product
    sizes = "x".join(str(n) for n in (*(d.size for d in product.batch), count(product.rows)))
    return f"product {sizes} x {plan.depth} x {product.columns} {product.dtype}"


def _scratch(plan: _Plan) -> int:
    if plan.schedule.pack != Pack.PIECE:
        return 0
    panels = -(-plan.schedule.column_chunk // plan.width)
    return panels * plan.width * plan.depth * plan.sums.bytes


def _piece_state(plan: _Plan, f: Function, piece: Val) -> tuple[State, int]:
    """The ranges of a piece, and how many pieces there are."""
    ranges = [whole(axis) for axis in plan.axes]
    pieces, rest = 1, piece
    for number, chunk in reversed(plan.piece_cuts()):
        axis = plan.axes[number]
        parts = -(-axis.size // chunk)
        ranges[number] = part_of(f, axis, f.binary("urem", rest, f.int(parts)), chunk)
        rest = f.binary("udiv", rest, f.int(parts))
        pieces *= parts
    return State(tuple(ranges), ()), pieces


def _emit_batch(plan: _Plan, f: Function, state: State, scratch: Val) -> None:
    """Loops over the batch; B is packed where it begins to change."""
    levels = plan.batch_levels()
    moving = [n for n, dim in enumerate(plan.product.batch) if dim.b]
    cut = moving[-1] + 1 if moving else 0

    def packed(state: State) -> None:
        if plan.schedule.pack == Pack.PIECE:
            state = _packed_here(plan, f, state, scratch)
        emit_levels(f, plan.axes, levels[cut:], state, lambda inner: _emit_blocks(plan, f, inner))

    emit_levels(f, plan.axes, levels[:cut], state, packed)


def _packed_here(plan: _Plan, f: Function, state: State, scratch: Val) -> State:
    """Pack the columns of this piece; index 0 of B is then where column 0 would be."""
    product, columns = plan.product, state.ranges[plan.column]
    b = f.at(state.places[1], product.b_offset, memory_type(element_type(product.dtype)))
    for number, dim in enumerate(product.batch):
        start = f.int(state.ranges[number].start)
        if dim.b:
            place = f.mul(start, f.int(dim.b))
            b = f.at(b, place, memory_type(element_type(product.dtype)))
    width = f.int(plan.width)
    first = f.binary("udiv", f.int(columns.start), width)
    end = f.add(f.int(columns.stop), f.int(plan.width - 1))
    emit_panels(f, plan.panels, b, scratch, first, f.binary("udiv", end, width))
    back = f.mul(f.int(columns.start), f.int(-plan.depth))
    places = (state.places[0], f.at(scratch, back, plan.sums), *state.places[2:])
    return replace(state, places=places)


def _emit_blocks(plan: _Plan, f: Function, state: State) -> None:
    """Everything of one index of the batch."""
    product, once = plan.product, plan.schedule.partials == 1
    start = "+".join(["c"] * (product.accumulate and once) + ["bias"] * (product.bias and once))
    start = start or "zero"
    if plan.blocked and start != "c":
        nothing = (TermDim(0, 0, 0),)
        tiles = plan.tile_levels()
        emit_levels(
            f, plan.axes, tiles, state, lambda tile: _emit_tile(plan, f, tile, start, nothing)
        )
        start = "c"
    levels = plan.block_levels() + plan.tile_levels()
    emit_levels(f, plan.axes, levels, state, lambda tile: _emit_tile(plan, f, tile, start, None))


def _emit_tile(
    plan: _Plan, f: Function, state: State, start: str, terms: tuple[TermDim, ...] | None
) -> None:
    a, b, c, *bias = state.places
    rows = range(plan.first_row, plan.column)
    a_rows, c_rows = [0], [0]
    for number in rows:
        extent, (stride, _, c_stride) = state.ranges[number].extent or 1, plan.axes[number].strides
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
    )
    a = _address(plan, f, state, 0, a, block.a_type)
    b = _address(plan, f, state, 1, b, block.b_type)
    c = _address(plan, f, state, 2, c, block.c_type)
    here = _bias_place(plan, f, state, bias)
    emit_block(f, block, a, b, c, here, length if terms is None else None)


def _bias_place(plan: _Plan, f: Function, state: State, bias: list[Val]) -> Val | None:
    if not bias:
        return None
    return f.at(bias[0], state.ranges[plan.column].start, memory_type(plan.c_type))


def _inner_terms(plan: _Plan, f: Function, state: State) -> tuple[tuple[TermDim, ...], Int | None]:
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


def _address(plan: _Plan, f: Function, state: State, operand: int, base: Val, kind: Type) -> Val:
    """base + the sum of first index * stride over all axes."""
    for axis, current in zip(plan.axes, state.ranges, strict=True):
        stride = axis.strides[operand]
        if stride == 0 or current.start == 0:
            continue
        if isinstance(current.start, int):
            base = f.at(base, current.start * stride, memory_type(kind))
        else:
            place = current.start if stride == 1 else f.mul(current.start, f.int(stride))
            base = f.at(base, place, memory_type(kind))
    return base
