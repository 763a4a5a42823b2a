"""The values of a nest's nodes, computed for the vectors in work at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from narae.base.dtypes import INT64

from ..emit import I1, I8, I32, I64, Function, Type, Val
from .memory import Cursor, Point, gather, offset_by, read, write
from .nest import Apply, Index, Load, Lookup, Number, Random, Reduce
from .philox import philox_run, philox_words
from .schedule import Schedule
from .shape import Loops
from .stages import Stages, dtype_of
from .tiles import is_tiled, read_tile
from .types import constant, converted, memory_type, packed, register_type, unpacked
from .values import Unsupported, apply

Known = tuple[int, tuple[int, ...] | None, int | None, bool]


class Body:
    """What runs inside the loops of a nest."""

    def __init__(
        self, f: Function, loops: Loops, schedule: Schedule, stages: Stages, cursor: Cursor
    ) -> None:
        self.f, self.loops, self.schedule, self.stages = f, loops, schedule, stages
        self.cursor = cursor
        self.lanes = schedule.lanes
        self.in_row = schedule.vector >= loops.outer
        self.varying = [schedule.vector in dims for dims in stages.depends]
        self.keys: dict[int, list[tuple[Val, Val]]] = {}  # of Random nodes
        self.status: dict[int, Val] = {}  # of Lookup nodes
        self._values: dict[Known, Val] = {}
        self._wide = self._used_wide()

    def _used_wide(self) -> set[int]:
        """Nodes that are the same in all lanes, and needed in all lanes."""
        used: set[int] = set()
        for index in self.stages.live:
            node = self.loops.nodes[index]
            if isinstance(node, Apply) and self.varying[index]:
                used.update(node.arguments)
            if isinstance(node, Reduce) and self.in_row:
                used.add(node.argument)
        used.update(s.node for s in self.loops.stores if self._along(s.strides))
        return {index for index in used if self.lanes and not self.varying[index]}

    def _along(self, strides: Sequence[int]) -> int:
        return strides[self.schedule.vector] if self.lanes else 0

    # --- values ---------------------------------------------------------------------------

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is computed inside is forgotten afterwards."""
        before = dict(self._values)
        yield
        self._values = before

    def _known(self, index: int, point: Point, wide: bool) -> Known:
        row = point.row if self.stages.element[index] else None
        return index, row, point.vector if self.varying[index] else None, wide

    def value(self, index: int, point: Point, wide: bool) -> Val:
        """A node's value at a point, in all lanes if `wide`."""
        node = self.loops.nodes[index]
        if isinstance(node, Number):
            return constant(self.f, node.value, node.dtype, self.lanes if wide else 0)
        return self._values[self._known(index, point, wide or self.varying[index])]

    def set(self, index: int, point: Point, value: Val) -> None:
        """Remember a node's value at a point."""
        if index in self._wide:
            wide = self.f.splat(value, self.lanes)
            self._values[self._known(index, point, True)] = wide
        self._values[self._known(index, point, self.varying[index])] = value

    def compute(self, indices: Iterable[int], points: Sequence[Point], stage: int = 0) -> None:
        """Compute nodes in order, each at all points."""
        restored = self.stages.restored[stage]
        for index in indices:
            if self._is_tiled(index, points):
                self._tile(index, points)
            if self._is_run(index, points):
                self._random_run(index, points)
            for point in points:
                if isinstance(self.loops.nodes[index], Number | Reduce):
                    continue
                if self._known(index, point, self.varying[index]) in self._values:
                    continue
                if index in restored:
                    self.set(index, point, self._restore(index, point))
                    continue
                self.set(index, point, self._compute(index, point))
                if index in self.stages.kept and self.stages.element[index]:
                    self._keep(index, point)

    def _compute(self, index: int, point: Point) -> Val:
        node = self.loops.nodes[index]
        if isinstance(node, Apply):
            return self._apply(index, node, point)
        if isinstance(node, Load):
            kind = memory_type(node.dtype)
            return unpacked(self.f, self._read(("node", index), kind, point), node.dtype)
        if isinstance(node, Index):
            return self._index(index, node, point)
        if isinstance(node, Lookup):
            return self._lookup(index, node, point)
        assert isinstance(node, Random)
        counter = self.loops.nodes[node.counter]
        number = self.value(node.counter, point, False)
        wide = converted(self.f, number, dtype_of(counter), INT64)
        return philox_words(self.f, self.keys[index], wide)

    def _apply(self, index: int, node: Apply, point: Point) -> Val:
        nodes = self.loops.nodes
        operation, arguments = node.operation, node.arguments
        if operation == "pow" and _is_two(nodes[arguments[1]]):
            operation, arguments = "mul", (arguments[0], arguments[0])
        values = [self.value(x, point, self.varying[index]) for x in arguments]
        dtypes = [dtype_of(nodes[x]) for x in arguments]
        return apply(self.f, operation, values, dtypes, node.dtype)

    def _index(self, index: int, node: Index, point: Point) -> Val:
        if node.dtype.kind in "iu":  # all arithmetic wraps, so it may be done in few bits
            return self.ramp(("node", index), point, memory_type(node.dtype))
        return converted(self.f, self.ramp(("node", index), point, I64), INT64, node.dtype)

    def ramp(self, key: tuple[str, int], point: Point, kind: Type) -> Val:
        """A whole number in every lane."""
        f, first, stride = self.f, self.cursor.at(key, point), self.cursor.stride(key)
        if isinstance(first, Val) and kind != I64:
            first = f.convert("trunc", first, kind)
        if not stride:
            return f.const(_wrapped(first, kind), kind) if isinstance(first, int) else first
        if isinstance(first, int):
            numbers = [first + lane * stride for lane in range(self.lanes)]
            return f.vector([_wrapped(x, kind) for x in numbers], kind)
        steps = f.vector([_wrapped(lane * stride, kind) for lane in range(self.lanes)], kind)
        return f.add(f.splat(first, self.lanes), steps)

    # --- memory ---------------------------------------------------------------------------

    def _pointer(self, key: tuple[str, int], point: Point) -> Val:
        place = self.cursor.at(key, point)
        assert isinstance(place, Val)
        return place

    def _read(self, key: tuple[str, int], kind: Type, point: Point) -> Val:
        stride = self.cursor.stride(key)
        return read(self.f, self._pointer(key, point), kind, stride, point, self.lanes)

    def _restore(self, index: int, point: Point) -> Val:
        lanes = self.lanes if self.varying[index] else 0
        kind = scratch_type(register_type(dtype_of(self.loops.nodes[index]), lanes))
        value = self.f.load(self._pointer(("kept", index), point), kind)
        held = register_type(dtype_of(self.loops.nodes[index]), lanes)
        return value if held == kind else self.f.convert("trunc", value, held)

    def _keep(self, index: int, point: Point) -> None:
        value = self._values[self._known(index, point, self.varying[index])]
        kind = scratch_type(value.type)
        if kind != value.type:
            value = self.f.convert("zext", value, kind)
        self.f.store(value, self._pointer(("kept", index), point))

    def store(self, number: int, points: Sequence[Point]) -> None:
        """Make a store at all points."""
        store = self.loops.stores[number]
        stride = self.cursor.stride(("store", number))
        if self.varying[store.node] and stride == 0:
            raise Unsupported("a store that changes along a dimension its place does not")
        source = dtype_of(self.loops.nodes[store.node])
        done: set[tuple[int, ...]] = set()
        for point in points:
            if stride == 0 and point.row in done:
                continue
            done.add(point.row)
            value = self.value(store.node, point, stride != 0)
            value = packed(self.f, converted(self.f, value, source, store.dtype), store.dtype)
            write(self.f, value, self._pointer(("store", number), point), stride, point)

    def _is_tiled(self, index: int, points: Sequence[Point]) -> bool:
        node, schedule = self.loops.nodes[index], self.schedule
        if not isinstance(node, Load) or not self.stages.element[index]:
            return False
        known = all(point.mask is None or point.count is not None for point in points)
        return known and is_tiled(node, schedule.vector, schedule.tile)

    def _tile(self, index: int, points: Sequence[Point]) -> None:
        """Read a square along the row; the points are its places, one vector each."""
        node = self.loops.nodes[index]
        assert isinstance(node, Load)
        kind, stride = memory_type(node.dtype), self.cursor.stride(("node", index))
        start = self._pointer(("node", index), points[0])
        count = points[0].count or self.lanes
        starts = [self.f.at(start, lane * stride, kind) for lane in range(count)]
        columns = read_tile(self.f, starts, kind, self.lanes, len(points))
        for point, column in zip(points, columns, strict=True):
            self.set(index, point, unpacked(self.f, column, node.dtype))

    # --- random numbers -------------------------------------------------------------------

    def _is_run(self, index: int, points: Sequence[Point]) -> bool:
        """Whether the counters of the points are consecutive, from a multiple of 4."""
        node, loops, vector = self.loops.nodes[index], self.loops, self.schedule.vector
        if not isinstance(node, Random) or self.lanes < 4 or points[0].row != points[-1].row:
            return False
        counter = loops.nodes[node.counter]
        if not isinstance(counter, Index) or counter.strides[vector] != 1:
            return False
        others = [s for dim, s in enumerate(counter.strides) if dim != vector]
        even = all(s % 4 == 0 for s in [*others, counter.offset])
        return even and (loops.cut != vector or loops.piece % 4 == 0)

    def _random_run(self, index: int, points: Sequence[Point]) -> None:
        node = self.loops.nodes[index]
        assert isinstance(node, Random)
        start = self.f.number(self.cursor.at(("node", node.counter), points[0]))
        words = philox_run(self.f, self.keys[index], start, self.lanes, len(points))
        for point, word in zip(points, words, strict=True):
            self.set(index, point, word)

    # --- lookups --------------------------------------------------------------------------

    def _lookup(self, index: int, node: Lookup, point: Point) -> Val:
        f = self.f
        wide = any(self.varying[x] for x, _, _ in node.indices)
        lanes = self.lanes if wide else 0
        steps, valid = f.const(0, I64.of(lanes)), f.const(1, I1.of(lanes))
        for which, stride, size in node.indices:
            source = dtype_of(self.loops.nodes[which])
            place = converted(f, self.value(which, point, wide), source, INT64)
            good = f.compare("ult", place, f.const(size, place.type))
            valid = f.binary("and", valid, good)
            place = f.select(good, place, f.const(0, place.type))
            steps = f.add(steps, f.mul(place, f.const(stride, place.type)))
        self._report(index, valid, point)
        found = self._found(index, node, point, steps, valid)
        return unpacked(f, found, node.dtype)

    def _found(self, index: int, node: Lookup, point: Point, steps: Val, valid: Val) -> Val:
        """The elements, where the indices are valid; otherwise 0."""
        f, kind = self.f, memory_type(node.dtype)
        start, stride = self._pointer(("node", index), point), self.cursor.stride(("node", index))
        if not self.varying[index]:
            start = f.emit(start.type, f"getelementptr {kind}, {start}, {steps}")
            one = f.splat(valid, 1)
            return f.extract(f.load(start, kind.of(1), one), 0)
        if steps.type.lanes == 0 and stride == 1:
            start = f.emit(start.type, f"getelementptr {kind}, {start}, {steps}")
            return f.load(start, kind.of(self.lanes), self._active(valid, point))
        if stride:
            ramp = f.vector([lane * stride for lane in range(self.lanes)], I64)
            steps = f.add(f.splat(steps, self.lanes), ramp)
        places = offset_by(f, start, kind, steps)
        return gather(f, places, kind.of(self.lanes), self._active(valid, point))

    def _active(self, valid: Val, point: Point) -> Val:
        valid = self.f.splat(valid, self.lanes)
        return valid if point.mask is None else self.f.binary("and", valid, point.mask)

    def _report(self, index: int, valid: Val, point: Point) -> None:
        """Set the status word if an index is out of range."""
        f = self.f
        bad = f.binary("xor", valid, f.const(1, valid.type))
        if valid.type.lanes:
            if point.mask is not None:
                bad = f.binary("and", bad, point.mask)
            bad = f.call(f"llvm.vector.reduce.or.{bad.type.suffix}", I1, bad)
        with f.when(bad):
            f.store(f.const(1, I32), self.status[index])


def _wrapped(number: int, kind: Type) -> int:
    """A whole number in two's complement."""
    half = 1 << (kind.bits - 1)
    return (number + half) % (2 * half) - half


def _is_two(node: object) -> bool:
    return isinstance(node, Number) and node.value == 2


def scratch_type(kind: Type) -> Type:
    """How a value in registers is kept in scratch memory."""
    return I8.like(kind) if kind.scalar == "i1" else kind
