"""What follows from a product and its schedule: operands as read and written, loops and levels."""

import math
from dataclasses import replace

from ..emit import I32, Type
from ..kernel import Machine
from .form import Form, count
from .levels import Level, LoopDim
from .microkernel import element_type, sum_type
from .packing import Panels
from .pairs import in_pairs, suits_pairs
from .product import BatchDim, RowDim, TermDim
from .schedule import Pack, choose
from .tiles import PAIRS, in_tiles, suits_tiles


class Plan:
    """A product with its schedule: loops, levels and the register block follow from both."""

    def __init__(self, form: Form, machine: Machine, empty: bool) -> None:
        self.tiles = suits_tiles(form.product, machine)
        self.pairs = self.tiles or suits_pairs(form.product, machine)
        if self.pairs:
            form = replace(form, product=(in_tiles if self.tiles else in_pairs)(form.product))
        self.form, self.empty, self.machine = form, empty, machine
        self.product, self.schedule = form.product, choose(form, machine, self.pairs, self.tiles)
        self.sums = sum_type(self.product.dtype)
        self.lanes = machine.lanes(self.sums.bytes)
        self.width = self.schedule.width
        self.depth = count(self.product.terms)
        self.outputs = count(self.product.batch) * count(self.product.rows) * self.product.columns
        self.panels = self._panels()
        batch, rows, terms = self._operands()
        self.terms = terms
        self.cut_terms = self._cut_terms()
        loops = [LoopDim(dim.size, (dim.a, dim.b, dim.c)) for dim in batch]
        loops += [LoopDim(dim.size, (dim.a, 0, dim.c)) for dim in rows]
        loops += [LoopDim(self.product.columns, (0, self._column_step(), 1))]
        moves = self.schedule.pack != Pack.BLOCK  # else a block's terms begin where it is packed
        loops += [LoopDim(dim.size, (dim.a, dim.b * moves, 0)) for dim in terms[: self.cut_terms]]
        self.loops = loops
        self.first_row, self.column = len(batch), len(batch) + len(rows)

    @property
    def packed(self) -> bool:
        """Whether the block reads panels."""
        return self.schedule.pack != Pack.NOT

    @property
    def blocked(self) -> bool:
        """Whether C is gone through several times, once for each block of terms."""
        blocks, partials = self.schedule.blocks, self.schedule.partials
        if blocks.term_dim is None:
            return False
        size = self.product.terms[0].size
        return blocks.term_dim > 0 or blocks.terms < -(-size // partials)

    @property
    def b_type(self) -> Type:
        """The type of what the block reads as B."""
        if self.pairs:
            return I32
        return self.sums if self.packed else element_type(self.product.dtype)

    @property
    def c_type(self) -> Type:
        """The type of what the block writes."""
        return self.sums if self.schedule.partials > 1 else element_type(self.product.out_dtype)

    @property
    def per_tile(self) -> int:
        """How many pairs an instruction for tiles takes."""
        return min(self.product.terms[-1].size, PAIRS)

    def _column_step(self) -> int:
        """The stride of columns in what the block reads as B."""
        if self.schedule.pack == Pack.BLOCK:
            return self.schedule.blocks.depth
        return self.depth if self.packed else self.product.column_stride

    def _panels(self) -> Panels:
        product, blocks = self.product, self.schedule.blocks
        terms = [(dim.size, dim.b) for dim in product.terms]
        if self.schedule.pack == Pack.BLOCK and blocks.term_dim is not None:
            terms = terms[blocks.term_dim :]
            terms[0] = (blocks.terms, terms[0][1])
        return Panels(
            batch=tuple((dim.size, dim.b) for dim in product.batch if dim.b),
            terms=tuple(terms),
            columns=product.columns,
            column_stride=product.column_stride,
            offset=product.b_offset,
            width=self.width,
            lanes=self.lanes,
            b_type=element_type(product.dtype),
            type=I32 if self.pairs else self.sums,
            pair=product.terms[-1].b // 2 if self.pairs else None,
        )

    def _operands(
        self,
    ) -> tuple[tuple[BatchDim, ...], tuple[RowDim, ...], tuple[TermDim, ...]]:
        """The dimensions with strides in what the block reads and writes."""
        batch, rows, terms = self.product.batch, self.product.rows, self.product.terms
        if self.packed:
            batch = self._packed_batch(batch)
            inner = [count(terms[number + 1 :]) for number in range(len(terms))]
            steps = [n * self.width for n in inner]
            terms = tuple(replace(d, b=s) for d, s in zip(terms, steps, strict=True))
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
        """How many of the term dimensions are loops around the tile."""
        if self.schedule.blocks.term_dim is not None:
            return self.schedule.blocks.term_dim + 1
        return 1 if self.schedule.partials > 1 else 0

    def piece_cuts(self) -> list[tuple[int, int]]:
        """(dim, indices of a piece), the last one changing from piece to piece."""
        schedule = self.schedule
        cuts = []
        if schedule.partials > 1:
            size = self.loops[self.column + 1].size
            cuts.append((self.column + 1, -(-size // schedule.partials)))
        if schedule.column_chunk < self.product.columns:
            cuts.append((self.column, schedule.column_chunk))
        outer = [(number, 1) for number in range(schedule.outer)]
        if self.column:
            outer.append((schedule.outer, schedule.chunk))
        return cuts + [(dim, step) for dim, step in outer if step < self.loops[dim].size]

    def batch_levels(self) -> list[Level]:
        """Loops over the batch."""
        return [Level(number, 1, True) for number in range(self.first_row)]

    def block_levels(self) -> list[Level]:
        """Loops over blocks of columns and of terms."""
        blocks, first = self.schedule.blocks, self.column + 1
        levels = []
        if blocks.columns < self.schedule.column_chunk:
            levels.append(Level(self.column, blocks.columns, False))
        if blocks.term_dim is not None:
            levels += [Level(first + n, 1, False) for n in range(blocks.term_dim)]
            levels.append(Level(first + blocks.term_dim, blocks.terms, False))
        return levels

    def tile_levels(self) -> list[Level]:
        """Loops over tiles."""
        rows = [Level(self.first_row + n, t, True) for n, t in enumerate(self.schedule.tile.rows)]
        columns = [Level(self.column, self.width, True)]
        return columns + rows if self.schedule.columns_first else rows + columns


def dense(sizes: list[int], inner: int) -> list[int]:
    """The strides of dimensions that lie next to each other, the last one `inner` apart."""
    return [inner * math.prod(sizes[number + 1 :]) for number in range(len(sizes))]
