"""From a fused group to loop nests on buffers.

The points of a group's domain are numbered; every operand and every result becomes a layout of that
one dimension, and loops are found in which all of them move by constant strides.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from narae import primitives as p
from narae.ir import Value
from narae.ir.program import Node

from ..loops.nest import Apply, Index, Load, Lookup, Nest, Number, Random, Reduce, Store
from . import layout as lay
from .buffers import Buffer, Ref
from .groups import Group, Member, Step, through
from .layout import Layout, Loops

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


class CannotView(Exception):
    """Elements of a value cannot be read where they are: they have to be copied first."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


class LoopsDiffer(Exception):
    """No loops fit all that a group reads and writes."""


@dataclass
class Sketch:
    """A nest whose loops are not chosen yet.

    Attributes:
        nodes: as in a nest; strides are not filled in.
        places: for nodes that read memory or count, where, as a layout of the domain.
        buffers: the buffer in each slot.
        members: the node of each value (by id) that the group computes.
    """

    size: int
    rows: tuple[lay.Factor, ...]
    nodes: list[Any] = field(default_factory=list)
    places: dict[int, Layout] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    members: dict[int, int] = field(default_factory=dict)

    def add(self, key: Any, node: Any, place: Layout | None = None) -> int:
        """The number of a node; equal keys give equal numbers."""
        if key not in self.known:
            self.known[key] = len(self.nodes)
            self.nodes.append(node)
            if place is not None:
                self.places[self.known[key]] = place
        return self.known[key]

    def slot(self, buffer: Buffer) -> int:
        """The slot of a buffer."""
        for number, each in enumerate(self.buffers):
            if each is buffer:
                return number
        self.buffers.append(buffer)
        return len(self.buffers) - 1


def on_domain(place: Layout, at: Layout, size: int) -> Layout | None:
    """A layout of some shape as a layout of the domain's points, where `at` places the shape.

    Points that `at` does not name (the rest of each row) have the place of the first.
    """
    loops = lay.common_loops([at, place])
    if loops is None:
        return None
    moves = zip(loops.sizes, *loops.strides, strict=True)
    ranked = sorted(((step, n, stride) for n, step, stride in moves if n > 1), reverse=True)
    factors: list[lay.Factor] = []
    above = size
    for step, count, stride in ranked:
        gap = above // (step * count)
        factors += [(gap, 0)] if gap > 1 else []
        factors.append((count, stride))
        above = step
    factors += [(above, 0)] if above > 1 else []
    return Layout((tuple(factors),), place.offset)


class SketchBuilder:
    """Writes the nodes of a group, reading what it needs from memory."""

    def __init__(
        self,
        group: Group,
        follow: Callable[[Value], tuple[Value, list[Node]]],
        inlined: dict[int, Node],
        ref: Callable[[Value], Ref],
        status: Buffer,
    ) -> None:
        self.group, self.follow, self.inlined = group, follow, inlined
        self.ref, self.status = ref, status
        self.sketch = Sketch(group.size, group.rows or ())
        self.number_of = self.sketch.members

    def build(self) -> Sketch:
        """All members, in order.

        Raises:
            CannotView: naming the operand of a member that has to be copied.
        """
        for member in self.group.members:
            shape = tuple(member.node.outputs[0].shape)
            if member.node.operation.kind == "reduction":  # type: ignore[attr-defined]
                shape = tuple(member.node.operands[0].shape)
            at = self._place_of(member, shape)
            number = self._node(member.node, [], shape, at)
            self.number_of[id(member.node.outputs[0])] = number
        return self.sketch

    def _place_of(self, member: Member, shape: Sequence[int]) -> Layout:
        """Where a member's elements are; for a reduction, those of its operand."""
        if member.node.operation.kind != "reduction":  # type: ignore[attr-defined]
            return member.at
        found = member.source
        assert found is not None
        return found

    # --- nodes --------------------------------------------------------------------------------

    def _node(self, node: Node, steps: Sequence[Step], shape: Any, at: Layout) -> int:
        """A node, whose elements go through `steps` to the shape that `at` places."""
        operation: Any = node.operation
        out = node.outputs[0]
        if operation is p.full:
            return self._constant(node.attrs["value"], out.dtype)
        if operation is p.iota:
            place = self._on_domain(lay.dense((node.attrs["size"],)), steps, at, out)
            return self.sketch.add((p.iota, out.dtype, place), Index(out.dtype, ()), place)
        if operation is p.random_bits:
            return self._random(node, steps, at)
        if operation in (p.take, p.gather):
            return self._lookup(node, steps, shape, at)
        own = tuple(out.shape)
        if operation.kind == "reduction":
            argument = self._operand(node.operands[0], node, [], shape, at)
            made = (operation, argument)
            return self.sketch.add(made, Reduce(operation.name, argument, out.dtype))
        before = [own, *steps]
        arguments = tuple(self._operand(x, node, before, shape, at) for x in node.operands)
        attrs = tuple(sorted((k, v) for k, v in node.attrs.items() if k != "dtype"))
        key = (operation, arguments, out.dtype, attrs)
        return self.sketch.add(key, Apply(operation.name, arguments, out.dtype, attrs))

    def _operand(
        self, operand: Any, node: Node, steps: Sequence[Step], shape: Any, at: Layout
    ) -> int:
        """An operand of a node, broadcast and moved by `steps`."""
        if isinstance(operand, np.ndarray) and operand.size != 1:
            return self._load(operand, steps, at)
        if not isinstance(operand, Value):
            return self._constant(operand, _number_dtype(operand, node))
        base, views = self.follow(operand)
        if id(base) in self.number_of:
            return self.number_of[id(base)]
        inner = self.inlined.get(id(base))
        try:
            if inner is not None:
                return self._node(inner, [*views, *steps], shape, at)
            return self._load(base, [*views, *steps], at)
        except CannotView:
            raise CannotView(operand) from None

    def _constant(self, value: Any, dtype: Any) -> int:
        if isinstance(value, np.ndarray):
            value = value.reshape(())[()]
        return self.sketch.add(("number", dtype, repr(value)), Number(value, dtype))

    def _load(self, base: Any, steps: Sequence[Step], at: Layout) -> int:
        buffer, layout = self.ref(base)
        place = self._on_domain(layout, steps, at, base)
        slot = self.sketch.slot(buffer)
        return self.sketch.add(("load", slot, place), Load(slot, base.dtype, ()), place)

    def _on_domain(self, layout: Layout, steps: Sequence[Step], at: Layout, value: Value) -> Layout:
        moved = through(steps, layout)
        place = moved and on_domain(lay.expanded(moved, at.shape), at, self.sketch.size)
        if place is None:
            raise CannotView(value)
        return place

    def _random(self, node: Node, steps: Sequence[Step], at: Layout) -> int:
        out = node.outputs[0]
        place = self._on_domain(lay.dense(out.shape), steps, at, out)
        counter = self.sketch.add((p.iota, INT64, place), Index(INT64, ()), place)
        (key,) = node.operands
        buffer, layout = self.ref(key)
        if layout.offset:
            raise CannotView(key)
        slot = self.sketch.slot(buffer)
        return self.sketch.add(("random", slot, counter), Random(slot, counter))

    def _lookup(self, node: Node, steps: Sequence[Step], shape: Any, at: Layout) -> int:
        """`take` and `gather`: one dimension of x is walked by the index, the others by loops."""
        x, index = node.operands
        dim = node.attrs["dim"]
        buffer, layout = self.ref(x)
        if len(layout.dims[dim]) > 1:
            raise CannotView(x)
        stride = layout.dims[dim][0][1] if layout.dims[dim] else 0
        dims = list(layout.dims)
        own = tuple(node.outputs[0].shape)
        spread: list[Step]
        if node.operation is p.take:
            rank = len(index.shape)
            dims[dim : dim + 1] = [()] * rank
            spread = [_reshape_step(node, (*index.shape, *(1,) * (len(own) - dim - rank)))]
        else:
            dims[dim] = ()
            sizes = tuple(1 if n == dim else size for n, size in enumerate(own))
            narrowed = lay.sliced(Layout(tuple(dims)), (0,) * len(own), sizes, (1,) * len(own))
            dims = list(narrowed.dims) if narrowed else dims
            spread = []
        number = self._operand(index, node, [*spread, own, *steps], shape, at)
        rest = Layout(tuple(dims), layout.offset)
        place = self._on_domain(lay.expanded(rest, own), steps, at, x)
        slot, status = self.sketch.slot(buffer), self.sketch.slot(self.status)
        indices = ((number, stride, x.shape[dim]),)
        lookup = Lookup(slot, x.dtype, (), indices, status)
        return self.sketch.add(("lookup", slot, place, indices), lookup, place)


def _reshape_step(lookup: Node, shape: Any) -> Node:
    """A view of the index of a `take`."""
    index = lookup.operands[1]
    out = Value(shape, index.dtype, "index", lookup.outputs[0].builder)
    return Node(p.reshape, [index], {"shape": shape}, (out,))


def _number_dtype(number: Any, node: Node) -> Any:
    """The dtype that a constant among the operands takes: that of its neighbours."""
    if isinstance(number, np.ndarray):
        return number.dtype
    if node.operation is p.where and number is node.operands[0]:
        return np.dtype(bool)
    values = [x for x in node.operands if not p.is_number(x)]
    if node.operation is p.where:
        values = [x for x in node.operands[1:] if not p.is_number(x)]
    return values[0].dtype if values else node.outputs[0].dtype


# --- loops ------------------------------------------------------------------------------------


@dataclass
class Target:
    """A result to be stored: the node, its place in the domain, and where it goes."""

    number: int
    place: Layout
    slot: int
    dtype: Any


def find_loops(sketch: Sketch, others: Sequence[Layout]) -> Loops | None:
    """Loops in which every read moves by constant strides, and rows begin and end.

    The last two layouts of the result are the point itself, and the point within its row.
    """
    whole = Layout((((sketch.size, 1),) if sketch.size > 1 else (),))
    layouts = [*sketch.places.values(), *others, *_row_marks(sketch), whole]
    return lay.common_loops(layouts)


def _row_marks(sketch: Sketch) -> list[Layout]:
    """Layouts of the domain that have a factor for each factor of the row."""
    marks = []
    for size, stride in sketch.rows:
        factors = [(sketch.size // (size * stride), 0), (size, 1), (stride, 0)]
        marks.append(Layout((tuple(f for f in factors if f[0] > 1),)))
    return marks


def is_row_loop(sketch: Sketch, point_stride: int, size: int) -> bool:
    """Whether a loop, given its stride in the domain, runs over the row."""
    return any(
        stride <= point_stride and point_stride * size <= stride * length
        for length, stride in sketch.rows
    )


def nest_of(
    sketch: Sketch, loops: Loops, order: Sequence[int], outer: int, targets: Sequence[Target]
) -> Nest:
    """The nest with its loops in an order; `loops` has a layout for each place, then target."""
    numbers = list(sketch.places)
    nodes = list(sketch.nodes)
    for row, number in enumerate(numbers):
        strides = tuple(loops.strides[row][loop] for loop in order)
        offset = sketch.places[number].offset
        nodes[number] = replace(nodes[number], strides=strides, offset=offset)
    stores = []
    for row, target in enumerate(targets):
        strides = tuple(loops.strides[len(numbers) + row][loop] for loop in order)
        place = target.place
        stores.append(Store(target.slot, target.number, target.dtype, strides, place.offset))
    sizes = tuple(loops.sizes[loop] for loop in order)
    return Nest(sizes, outer, tuple(nodes), tuple(stores), max(1, math.prod(sizes[:1])))
