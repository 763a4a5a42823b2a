"""A row of a nest: its passes, its loops, its accumulators."""

from collections.abc import Sequence
from itertools import product
from math import prod

from ..emit import I1, I32, I64, Int, Val
from .body import Body
from .memory import Point
from .nest import Reduce
from .reduce import Reducer, State
from .stages import dtype_of

LONG_CHAIN = 1024  # steps that one accumulator takes before it is folded into a total
BLOCK = 256

Slot = tuple[int, Point]  # a reduction, and the point that its accumulator is for
States = list[State]


def vector_points(body: Body, start: int, count: int, rest: int | None = None) -> list[Point]:
    """Vectors next to each other, at the first place of the row.

    Args:
        rest: how many elements there are, if fewer than the vectors hold
    """
    lanes, zero = body.lanes, (0,) * len(body.loops.row)
    points = []
    for k in range(start, start + count):
        left = lanes if rest is None else rest - k * lanes
        mask = body.f.vector([lane < left for lane in range(lanes)], I1) if left < lanes else None
        points.append(Point(zero, k, mask, left if left < lanes else None))
    return points


class Row:
    """Writes the work of a row, for the rows in work at a time.

    Args:
        points: the vectors in work, where lanes are rows; one point where they are not.
    """

    def __init__(self, body: Body, points: Sequence[Point], length: Int | None = None) -> None:
        self.body, self.f, self.points = body, body.f, list(points)
        self.loops, self.stages, self.schedule = body.loops, body.stages, body.schedule
        self.length = length
        size = self.loops.row_size
        self.place = I32 if size < 2**31 and length is None else I64
        self.empty = size == 0 and length is None
        self.reducers = {
            index: Reducer(node, dtype_of(self.loops.nodes[node.argument]), self.place)
            for index, node in enumerate(self.loops.nodes)
            if isinstance(node, Reduce)
        }

    def write(self) -> None:
        """All passes, then what is stored once for each row."""
        held = self._all_points() if self.schedule.held and not self.empty else []
        for stage in range(self.stages.passes):
            if self.empty:
                self._nothing(stage)
            elif self.schedule.held:
                self._held(stage, held)
            else:
                self._looped(stage)
            self._between(stage + 1)
        for number, store in enumerate(self.loops.stores):
            if not any(store.strides[self.loops.outer :]):
                self.body.store(number, self.points)

    def _between(self, level: int) -> None:
        """What is computed once for each row from the reductions of the pass before."""
        stages = self.stages
        chosen = [
            index
            for index in sorted(stages.live)
            if stages.levels[index] == level and not stages.element[index]
        ]
        self.body.compute(chosen, self.points)

    def _nothing(self, stage: int) -> None:
        """A row without elements."""
        for index in self.stages.reduces[stage]:
            reducer = self.reducers[index]
            for point in self.points:
                lanes = self.body.lanes if self.body.varying[index] else 0
                state = reducer.identity(self.f, lanes, empty=True)
                self.body.set(index, point, reducer.result(self.f, state))

    # --- a row in registers ---------------------------------------------------------------

    def _all_points(self) -> list[Point]:
        """Every place of the row, each with every vector."""
        sizes = [self.loops.sizes[dim] for dim in self.loops.row]
        vectors = self.points
        if self.body.in_row:
            vectors = vector_points(self.body, 0, self.schedule.vectors, sizes[-1])
            sizes[-1] = 1
        return [
            Point(row, v.vector, v.mask, v.count)
            for row in product(*map(range, sizes))
            for v in vectors
        ]

    def _held(self, stage: int, points: list[Point]) -> None:
        self.body.compute(self.stages.needed[stage], points, stage)
        slots = self._slots(stage, points)
        states = [self._taken(index, point) for index, point in slots]
        self._finish(stage, slots, states)
        for number in self.stages.stores[stage]:
            self.body.store(number, points)

    # --- accumulators ---------------------------------------------------------------------

    def _slots(self, stage: int, points: Sequence[Point]) -> list[Slot]:
        """One accumulator for each reduction and each point (once for lanes that are equal)."""
        slots: list[Slot] = []
        for index in self.stages.reduces[stage]:
            merge = not self.body.in_row and not self.body.varying[index]
            first = min(point.vector for point in points)
            slots += [(index, p) for p in points if not merge or p.vector == first]
        return slots

    def _is_wide(self, index: int) -> bool:
        return self.body.in_row or self.body.varying[index]

    def _taken(self, index: int, point: Point) -> State:
        """The element at a point."""
        reducer, node = self.reducers[index], self.loops.nodes[index]
        assert isinstance(node, Reduce)
        wide = self._is_wide(index)
        value = self.body.value(node.argument, point, wide)
        place = None
        if reducer.by_place:
            place = self.body.ramp(("place", 0), point, self.place)
            place = self.f.splat(place, self.body.lanes if wide else 0)
        return reducer.taken(self.f, value, place, point.mask if self.body.in_row else None)

    def _finish(self, stage: int, slots: list[Slot], states: States) -> None:
        """Accumulators become the values of the reductions."""
        for index in self.stages.reduces[stage]:
            reducer = self.reducers[index]
            for point in self.points:
                mine = [
                    state
                    for (which, at), state in zip(slots, states, strict=True)
                    if which == index and self._same_row(index, point, at)
                ]
                total = reducer.all_of(self.f, mine, in_order=self.schedule.held)
                if self.body.in_row:
                    total = reducer.across(self.f, total)
                self.body.set(index, point, reducer.result(self.f, total))

    def _same_row(self, index: int, point: Point, other: Point) -> bool:
        if self.body.in_row or not self.body.varying[index]:
            return True
        return point.vector == other.vector

    # --- loops ----------------------------------------------------------------------------

    def _looped(self, stage: int) -> None:
        slots = self._slots(stage, self._step_points())
        start = self._identities(slots)
        states = self._outer_loops(stage, list(self.loops.row), slots, start, folded=False)
        self._finish(stage, slots, states)

    def _identities(self, slots: list[Slot]) -> States:
        lanes = self.body.lanes
        return [
            self.reducers[index].identity(self.f, lanes if self._is_wide(index) else 0)
            for index, _ in slots
        ]

    def _step_points(self) -> list[Point]:
        """The points of one full step of the innermost loop."""
        if self.body.in_row:
            return vector_points(self.body, 0, self.schedule.vectors)
        return self._places(self.schedule.rows)

    def _places(self, count: int) -> list[Point]:
        """Places next to each other along the last dimension of the row."""
        zeros = self.points[0].row[:-1]
        return [
            Point((*zeros, k), v.vector, v.mask, v.count) for k in range(count) for v in self.points
        ]

    def _outer_loops(
        self, stage: int, dims: list[int], slots: list[Slot], states: States, *, folded: bool
    ) -> States:
        """Loops over all dimensions of the row but the last."""
        dim = dims[0]
        steps = prod(self.loops.sizes[d] for d in dims) // self._chunk()
        if len(dims) == 1:
            return self._last_loop(stage, dim, slots, states)
        if not folded and steps <= LONG_CHAIN and self._sums(stage):
            fresh = self._identities(slots)
            inner = self._outer_loops(stage, dims, slots, fresh, folded=True)
            return self._added(slots, states, inner)
        with self.f.loop(0, self.loops.sizes[dim], carried=_flat(states)) as loop:
            now = _grouped(states, loop.carried)
            with self.body.cursor.moved(dim, loop.index), self.body.scope():
                now = self._outer_loops(stage, dims[1:], slots, now, folded=folded)
            loop.next = _flat(now)
        return _grouped(states, loop.results)

    def _sums(self, stage: int) -> bool:
        return any(self.reducers[index].is_sum for index in self.stages.reduces[stage])

    def _added(self, slots: list[Slot], states: States, more: States) -> States:
        return [
            self.reducers[index].combined(self.f, a, b)
            for (index, _), a, b in zip(slots, states, more, strict=True)
        ]

    def _chunk(self) -> int:
        """Indices of the last dimension that a step takes."""
        return self.schedule.vectors * self.body.lanes if self.body.in_row else self.schedule.rows

    def _last_loop(self, stage: int, dim: int, slots: list[Slot], states: States) -> States:
        chunk, points = self._chunk(), self._step_points()
        if self.length is not None:
            return self._run_time_loop(stage, dim, slots, states)
        size = self.loops.sizes[dim]
        full, rest = size // chunk * chunk, size % chunk
        if full > LONG_CHAIN * chunk and self._sums(stage):
            states = self._blocks(stage, dim, slots, states, full)
        elif full == chunk:
            states = self._step(stage, dim, 0, points, slots, states)
        elif full:
            states = self._loop(stage, dim, 0, full, points, slots, states)
        if rest and self.body.in_row:
            some = vector_points(self.body, 0, -(-rest // self.body.lanes), rest)
            states = self._step(stage, dim, full, some, slots, states)
        elif rest:
            states = self._step(stage, dim, full, self._places(rest), slots, states)
        return states

    def _run_time_loop(self, stage: int, dim: int, slots: list[Slot], states: States) -> States:
        """A row whose length is known only when it runs: whole steps, then vector by vector."""
        f, chunk, lanes = self.f, self._chunk(), self.body.lanes
        assert isinstance(self.length, Val)
        whole = f.mul(f.div(self.length, f.const(chunk, I64)), f.const(chunk, I64))
        states = self._blocks(stage, dim, slots, states, whole)
        with f.loop(whole, self.length, lanes, carried=_flat(states)) as loop:
            left = f.sub(self.length, loop.index)
            point = Point((0,), 0, f.first_lanes(left, lanes))
            now = _grouped(states, loop.carried)
            loop.next = _flat(self._step(stage, dim, loop.index, [point], slots, now))
        return _grouped(states, loop.results)

    def _blocks(self, stage: int, dim: int, slots: list[Slot], states: States, stop: Int) -> States:
        """Accumulators of a block of steps are folded into totals, so that no chain is long."""
        f, chunk, points = self.f, self._chunk(), self._step_points()
        with f.loop(0, stop, BLOCK * chunk, carried=_flat(states)) as loop:
            after = f.add(loop.index, f.const(BLOCK * chunk, I64))
            end = f.select(f.compare("slt", after, f.number(stop)), after, f.number(stop))
            fresh = self._identities(slots)
            inner = self._loop(stage, dim, loop.index, end, points, slots, fresh)
            total = self._added(slots, _grouped(states, loop.carried), inner)
            loop.next = _flat(total)
        return _grouped(states, loop.results)

    def _loop(
        self,
        stage: int,
        dim: int,
        start: Int,
        stop: Int,
        points: list[Point],
        slots: list[Slot],
        states: States,
    ) -> States:
        with self.f.loop(start, stop, self._chunk(), carried=_flat(states)) as loop:
            now = _grouped(states, loop.carried)
            loop.next = _flat(self._step(stage, dim, loop.index, points, slots, now))
        return _grouped(states, loop.results)

    def _step(
        self,
        stage: int,
        dim: int,
        index: Int,
        points: list[Point],
        slots: list[Slot],
        states: States,
    ) -> States:
        """Some points: values, reductions, stores."""
        body, out = self.body, list(states)
        with body.cursor.moved(dim, index), body.scope():
            body.compute(self.stages.needed[stage], points, stage)
            for number, (which, at) in enumerate(slots):
                mine = [p for p in points if (p.row, p.vector) == (at.row, at.vector)]
                for point in mine:
                    taken = self._taken(which, point)
                    out[number] = self.reducers[which].combined(self.f, out[number], taken)
            for number in self.stages.stores[stage]:
                body.store(number, points)
        return out


def _flat(states: States) -> list[Val]:
    return [x for state in states for x in state]


def _grouped(like: States, values: Sequence[Val]) -> States:
    out, place = [], 0
    for state in like:
        out.append(list(values[place : place + len(state)]))
        place += len(state)
    return out
