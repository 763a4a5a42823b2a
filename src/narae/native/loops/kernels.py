"""Nests as kernels: loops over pieces, vectors and rows, around the work of a row.

pieces of the cut dimension
  the other outer dimensions
    vectors of the last outer dimension (where lanes are rows)
      a row: one pass for each reduction that the next one waits for
"""

from ..emit import I8, I64, Int, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_number, slot_pointer
from .body import Body, scratch_type
from .counts import described, moved_bytes, worked_flops
from .memory import Cursor, Point, summed
from .nest import Index, Load, Lookup, Nest, Random
from .philox import philox_keys
from .rows import Row, vector_points
from .schedule import scheduled, scratch_layout
from .shape import Loops, normalised
from .stages import dtype_of
from .types import memory_type, register_type
from .values import Unsupported, supported

__all__ = ["Unsupported", "nest_kernel", "supported"]


def nest_kernel(nest: Nest, machine: Machine) -> Kernel:
    """Machine code for a nest.

    Raises:
        Unsupported: if it applies a primitive that has no native form.
    """
    key = repr(nest), machine  # as text, since -0.0 == 0.0
    if key not in _written:
        _written[key] = _Writer(nest, machine).kernel()
    return _written[key]


_written: dict[tuple[str, Machine], Kernel] = {}


class _Writer:
    """One kernel in the making."""

    def __init__(self, nest: Nest, machine: Machine) -> None:
        self.loops, self.schedule, self.stages = scheduled(normalised(nest), machine)
        self.f, self.args, self.piece, self.memory = begin_kernel(machine)
        lanes, vector = self.schedule.lanes, self.schedule.vector
        self.cursor = Cursor(self.f, lanes, vector, self.loops.outer)
        self.body = Body(self.f, self.loops, self.schedule, self.stages, self.cursor)
        self.scratch = 0

    def kernel(self) -> Kernel:
        """Write all of it."""
        loops = self.loops
        if not _is_empty(loops):
            self._open()
            self._compute(frozenset())
            dims = [dim for dim in range(loops.outer) if dim != self.schedule.vector]
            self._outer(dims, frozenset())
        return finish_kernel(
            "nest",
            self.f,
            pieces=loops.pieces,
            scratch=self.scratch,
            about=described(loops),
            flops=worked_flops(loops),
            bytes=moved_bytes(loops),
            in_order=loops.in_order,
        )

    # --- what does not depend on any loop -------------------------------------------------

    def _open(self) -> None:
        """Addresses of everything that is read and written."""
        f, pointers = self.f, dict[int, Val]()

        def pointer(slot: int, offset: int, dtype: object) -> Val:
            if slot not in pointers:
                pointers[slot] = slot_pointer(f, self.args, slot)
            return f.at(pointers[slot], offset, memory_type(dtype))  # type: ignore[arg-type]

        for index in sorted(self.stages.live):
            node = self.loops.nodes[index]
            if isinstance(node, Load | Lookup):
                start = pointer(node.slot, node.offset, node.dtype)
                self.cursor.add(("node", index), start, node.strides, memory_type(node.dtype))
            if isinstance(node, Index):
                self.cursor.add(("node", index), node.offset, node.strides, None)
            if isinstance(node, Lookup):
                self.body.status[index] = slot_pointer(f, self.args, node.status)
            if isinstance(node, Random):
                key = f.load(slot_pointer(f, self.args, node.slot), I64)
                self.body.keys[index] = philox_keys(f, key)
        for number, store in enumerate(self.loops.stores):
            start = pointer(store.slot, store.offset, store.dtype)
            self.cursor.add(("store", number), start, store.strides, memory_type(store.dtype))
        self.cursor.add(("place", 0), 0, self.loops.place, None)

    def _open_scratch(self) -> None:
        """Room for what is kept between the passes of a row."""
        strides, elements = scratch_layout(self.loops, self.schedule)
        self.scratch = 0
        for index in sorted(self.stages.kept):
            kind = scratch_type(register_type(dtype_of(self.loops.nodes[index])))
            start = self.f.at(self.memory, self.scratch, I8)
            self.cursor.add(("kept", index), start, strides, kind)
            self.scratch += -(-elements * kind.bytes // 64) * 64

    def _step(self) -> int:
        return self.schedule.vectors * max(1, self.schedule.lanes)

    # --- loops ----------------------------------------------------------------------------

    def _compute(self, dims: frozenset[int], points: list[Point] | None = None) -> None:
        """What changes along the loops that are open, and along no other."""
        stages = self.stages
        ready = [
            index
            for index in sorted(stages.live)
            if stages.levels[index] == 0 and stages.depends[index] <= dims
        ]
        self.body.compute(ready, points or [self._nowhere()])

    def _nowhere(self) -> Point:
        return Point((0,) * len(self.loops.row), 0)

    def _bounds(self, dim: int) -> tuple[Int, Int]:
        """Where a dimension begins, and its size or (as a value) where it ends."""
        loops, f = self.loops, self.f
        if loops.cut != dim:
            return 0, self._length() if loops.length_slot is not None else loops.sizes[dim]
        first = f.mul(self.piece, f.const(loops.piece, I64))
        if loops.length_slot is None and loops.sizes[dim] == loops.piece * loops.pieces:
            return first, loops.piece
        size = self._length() if loops.length_slot is not None else f.const(loops.sizes[dim], I64)
        last = f.add(first, f.const(loops.piece, I64))
        return first, f.select(f.compare("slt", last, size), last, size)

    def _length(self) -> Val:
        assert self.loops.length_slot is not None
        return slot_number(self.f, self.args, self.loops.length_slot)

    def _outer(self, dims: list[int], opened: frozenset[int]) -> None:
        """Loops over the outer dimensions, then vectors."""
        if not dims:
            self._vectors(opened)
            return
        start, end = self._bounds(dims[0])
        stop = summed(self.f, start, end) if isinstance(end, int) else end
        opened = opened | {dims[0]}
        f, moved, scope = self.f, self.cursor.moved, self.body.scope
        with f.loop(start, stop) as loop, moved(dims[0], loop.index), scope():
            self._compute(opened)
            self._outer(dims[1:], opened)

    def _vectors(self, opened: frozenset[int]) -> None:
        """The vector dimension, where lanes are rows."""
        vector = self.schedule.vector
        if vector < 0 or vector >= self.loops.outer:
            length = self._length() if self.loops.length_slot is not None else None
            self._open_scratch()
            Row(self.body, [self._nowhere()], length).write()
            return
        opened = opened | {vector}
        start, end = self._bounds(vector)
        if isinstance(end, int):
            self._known_vectors(start, end, opened)
        else:
            self._run_time_vectors(start, end, opened)

    def _known_vectors(self, start: Int, size: int, opened: frozenset[int]) -> None:
        """Whole steps, and the rest of the dimension as one step with a mask."""
        step, lanes, f = self._step(), self.schedule.lanes, self.f
        full, rest = size // step * step, size % step
        whole = vector_points(self.body, 0, self.schedule.vectors)
        if full == step:
            self._at(start, whole, opened)
        elif full:
            with f.loop(start, summed(f, start, full), step) as loop:
                self._at(loop.index, whole, opened)
        if rest:
            some = vector_points(self.body, 0, -(-rest // lanes), rest)
            self._at(summed(f, start, full), some, opened)

    def _run_time_vectors(self, start: Int, stop: Val, opened: frozenset[int]) -> None:
        """Whole steps, then vector by vector with a mask."""
        step, lanes, f = self._step(), self.schedule.lanes, self.f
        size = f.sub(stop, f.number(start))
        steps = f.mul(f.div(size, f.const(step, I64)), f.const(step, I64))
        full = f.add(f.number(start), steps)
        with f.loop(start, full, step) as loop:
            self._at(loop.index, vector_points(self.body, 0, self.schedule.vectors), opened)
        with f.loop(full, stop, lanes) as loop:
            mask = f.first_lanes(f.sub(stop, loop.index), lanes)
            point = Point(self._nowhere().row, 0, mask)
            self._at(loop.index, [point], opened)

    def _at(self, index: Int, points: list[Point], opened: frozenset[int]) -> None:
        with self.cursor.moved(self.schedule.vector, index), self.body.scope():
            self._compute(opened, points)
            self._open_scratch()
            Row(self.body, points).write()


def _is_empty(loops: Loops) -> bool:
    return loops.length_slot is None and 0 in loops.sizes[: loops.outer]
