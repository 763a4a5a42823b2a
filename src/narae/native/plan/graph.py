"""From an expanded program to units of work: what runs together, and what waits for what.

A unit is a group of fused nodes, a product (with its bias), or a single node of another kind.
Views are no units: who reads one reads its base at other places.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from narae import primitives as p
from narae.ir import Program, Value
from narae.ir.program import Node

from ..loops.values import supported
from .groups import VIEWS, Group, Step, start_group, start_reduction, try_join

PRODUCTS = {p.matmul, p.conv, p.conv_grad_x, p.conv_grad_w}
ASSEMBLIES = {p.concat, p.pad, p.update_slice, p.update_diagonal}
LOOKUPS = {p.take, p.gather}
SCATTERS = {p.index_add, p.scatter_add}
# Beyond this a group's code takes longer to compile than it saves.
MOST_MEMBERS = 80
# A node far behind a group (in the backward pass, say) would lengthen the life of what it reads.
FARTHEST = 48
_CHEAP = frozenset({"add", "sub", "mul", "neg"})


@dataclass(eq=False)
class Unit:
    """One thing to run.

    Attributes:
        node: the node, for units of one node; of a product with a bias, the product.
        group: the nodes, for a fused group.
        bias: what a product adds to every row.
        out, views: the sum that a product with a bias makes, and the views between it and the
            product itself.
        first, last: places of its nodes in the program.
        needs: units that run before.
        followers: units that run after.
        rank: higher than that of every unit that runs before.
        writes_state: whether it runs at the very end.
    """

    first: int
    last: int
    node: Node | None = None
    group: Group | None = None
    bias: Value | None = None
    out: Value | None = None
    views: Sequence[Node] = ()
    needs: set["Unit"] = field(default_factory=set)
    followers: set["Unit"] = field(default_factory=set)
    rank: int = 0
    writes_state: bool = False

    def wait_for(self, needs: Iterable["Unit"]) -> None:
        """Run after other units."""
        for need in needs:
            self.needs.add(need)
            need.followers.add(self)
        changed = [self]
        while changed:
            unit = changed.pop()
            rank = 1 + max((need.rank for need in unit.needs), default=-1)
            if rank > unit.rank:
                unit.rank = rank
                changed += unit.followers
                if self in unit.followers:
                    raise AssertionError("units wait for each other in a circle")

    def give_way(self, other: "Unit") -> None:
        """Let another unit take its place among those that wait for each other."""
        for follower in self.followers:
            follower.needs.discard(self)
            if follower is not other:
                follower.wait_for([other])
        for need in self.needs:
            need.followers.discard(self)
        other.wait_for(need for need in self.needs if need is not other)

    @property
    def nodes(self) -> list[Node]:
        """Its nodes in order."""
        if self.group is not None:
            return [member.node for member in self.group.members]
        return [self.node] if self.node is not None else []


class Graph:
    """The units of a program.

    Attributes:
        units: in an order in which they can run.
        maker: which unit computes a value (by id); inputs, views and inlined values have none.
        inlined: nodes that are computed again wherever they are read.
        stored: values (by id) that somebody reads from memory.
        plain: views and inlined values (by id) that were brought to memory to be read there.
    """

    def __init__(
        self, program: Program, updates: Sequence[tuple[int, int]], hints: "Hints"
    ) -> None:
        self.program, self.hints = program, hints
        self.units: list[Unit] = []
        self.maker: dict[int, Unit] = {}
        self.inlined: dict[int, Node] = {}
        self.readers: dict[int, list[Unit]] = {}
        self.uses = _uses(program)
        self.plain: set[int] = set()
        self._late = _late_nodes(program, updates, self.uses)
        self._only_fused = _only_fused(program)
        self._sliced: dict[int, list[Node]] = {}
        for node in program.nodes:
            if node.operation is p.slice_:
                self._sliced.setdefault(id(node.operands[0]), []).append(node)
        for place, node in enumerate(program.nodes):
            self._place(place, node)
        self.stored = self._find_stored()
        self.units = _ordered(self.units)

    def follow(self, value: Value) -> tuple[Value, list[Node]]:
        """The value that a chain of views starts from, and the views, outermost last."""
        views: list[Node] = []
        while value.node is not None and value.node.operation.name in VIEWS:
            if id(value) in self.plain:
                break
            views.append(value.node)
            value = value.node.operands[0]
        return value, views[::-1]

    def leaves(self, value: Value) -> Iterator[tuple[Value, list[Step]]]:
        """What is read from memory for a value, and the steps from there to its elements."""
        base, views = self.follow(value)
        inner = self.inlined.get(id(base))
        if inner is None:
            yield base, list(views)
            return
        for operand in inner.operands:
            if isinstance(operand, Value):
                for leaf, steps in self.leaves(operand):
                    yield leaf, [*steps, tuple(base.shape), *views]

    # --- placing nodes ------------------------------------------------------------------------

    def _place(self, place: int, node: Node) -> None:
        if node.operation.name in VIEWS:
            return
        if self._add_bias(place, node):
            return
        if is_inlined(node) or self._is_cheap(node):
            self.inlined[id(node.outputs[0])] = node
            return
        if is_fusible(node):
            self._fuse(place, node)
        else:
            self._new_unit(Unit(place, place, node=node), node)

    def _new_unit(self, unit: Unit, node: Node) -> None:
        self.units.append(unit)
        self._note(unit, node, unit.first)

    def _note(self, unit: Unit, node: Node, place: int) -> None:
        """A node belongs to a unit now."""
        unit.first, unit.last = min(unit.first, place), max(unit.last, place)
        for value in self.bases(node):
            maker = self.maker.get(id(value))
            if maker is not None and maker is not unit:
                unit.wait_for([maker])
            readers = self.readers.setdefault(id(value), [])
            if not readers or readers[-1] is not unit:
                readers.append(unit)
        for value in node.outputs:
            self.maker[id(value)] = unit

    def bases(self, node: Node) -> Iterator[Value]:
        """What a node reads, behind views and inlined values."""
        for operand in node.operands:
            if isinstance(operand, Value):
                yield from self.sources(operand)

    def sources(self, value: Value) -> Iterator[Value]:
        """The values in memory that a value is made of, wherever it is read."""
        base, _ = self.follow(value)
        inner = self.inlined.get(id(base))
        if inner is None:
            yield base
        else:
            yield from self.bases(inner)

    def _is_cheap(self, node: Node) -> bool:
        """Whether computing it again from memory costs no more than reading its result would.

        Simple arithmetic on one value that is in memory anyway, and on much smaller ones:
        before: c = x - mean; v = sum(c * c); y = c * r
        after:  v = sum((x - mean) * (x - mean)); y = (x - mean) * r
        """
        if node.operation.name not in _CHEAP or not is_fusible(node):
            return False
        out = node.outputs[0]
        if id(out) not in self._only_fused or node in self._late:
            return False
        if self._is_read_in_slices(out):
            return True
        values = [x for x in node.operands if isinstance(x, Value)]
        large = [x for x in values if x.size * 8 > out.size]
        if len(large) != 1 or large[0].shape != out.shape:
            return False
        base, _ = self.follow(large[0])
        maker = self.maker.get(id(base))
        return maker is None or maker.group is None

    def _is_read_in_slices(self, value: Value) -> bool:
        """Whether every reader takes a slice of its own, so that nothing is computed twice."""
        readers = self._sliced.get(id(value), [])
        if not readers or len(readers) != self.uses.get(id(value), 0):
            return False
        alone = all(self.uses.get(id(node.outputs[0]), 0) == 1 for node in readers)
        return alone and sum(node.outputs[0].size for node in readers) <= value.size

    # --- fusing -------------------------------------------------------------------------------

    def _fuse(self, place: int, node: Node) -> None:
        late = node in self._late
        across = self.hints.lies_across(node)
        for unit in self._candidates(node):
            group = unit.group
            if group is None or group.writes_state != late or len(group.members) > MOST_MEMBERS:
                continue
            if place - unit.last > FARTHEST:
                continue
            if self._join_with_others(unit, node, across):
                self._note(unit, node, place)
                return
        started = (
            start_reduction(node, late, across)
            if node.operation.kind == "reduction"  # type: ignore[attr-defined]
            else start_group(node, late)
        )
        self._new_unit(Unit(place, place, group=started, writes_state=late), node)

    def _candidates(self, node: Node) -> list[Unit]:
        """Units that made what the node reads, then those that read the same; the latest first."""
        makers: list[Unit] = []
        siblings: list[Unit] = []
        for value in self.bases(node):
            maker = self.maker.get(id(value))
            if maker is not None and maker.group is not None:
                makers.append(maker)
            if value.shape != ():
                siblings += self.readers.get(id(value), [])[-3:]
        ranked = sorted(set(makers), key=lambda unit: -unit.last)
        others = sorted(set(siblings) - set(makers), key=lambda unit: -unit.last)
        return ranked + others[:4]

    def _would_wait_for_itself(self, unit: Unit, node: Node) -> bool:
        """Whether something else that the node needs can only run after the unit."""
        others = {self.maker.get(id(value)) for value in self.bases(node)} - {unit, None}
        return any(_depends(other, unit) for other in others if other is not None)

    def _join_with_others(self, unit: Unit, node: Node, across: bool) -> bool:
        """Join a group, and bring along the other groups that the node's operands come from."""
        others = [x for x in self._candidates(node) if x is not unit and self._made_for(x, node)]
        for other in others:
            self._merge(unit, other)
        if self._would_wait_for_itself(unit, node):
            return False
        assert unit.group is not None
        return try_join(unit.group, node, self.leaves, across)

    def _made_for(self, unit: Unit, node: Node) -> bool:
        """Whether a group computes an operand of the node, for nobody else so far."""
        if unit.group is None:
            return False
        made = [value for value in self.bases(node) if self.maker.get(id(value)) is unit]
        return bool(made) and all(self.uses.get(id(value), 0) == 1 for value in made)

    def _merge(self, unit: Unit, other: Unit) -> bool:
        """Move all nodes of another group into a unit's, if one nest can do both."""
        group, moved = unit.group, other.group
        if group is None or moved is None or moved.writes_state != group.writes_state:
            return False
        if len(group.members) + len(moved.members) > MOST_MEMBERS:
            return False
        if _depends_through(unit, other) or _depends_through(other, unit):
            return False
        first, second = (moved, group) if other in unit.needs else (group, moved)
        trial = _copy(first)
        for member in second.members:
            across = self.hints.lies_across(member.node)
            if not try_join(trial, member.node, self.leaves, across):
                return False
        unit.group, other.group = trial, None
        self.units.remove(other)
        other.give_way(unit)
        for member in moved.members:
            self._note(unit, member.node, other.first)
        unit.last = max(unit.last, other.last)
        return True

    # --- products -----------------------------------------------------------------------------

    def _add_bias(self, place: int, node: Node) -> bool:
        """Let a product add a vector to every row, if that is what a node does and nothing else.

        before: v = matmul(x, w); y = add(v, b)
        after:  y = matmul(x, w) + b, one unit
        """
        if node.operation is not p.add or not all(isinstance(x, Value) for x in node.operands):
            return False
        for value, bias in (node.operands, node.operands[::-1]):
            base, views = self.follow(value)
            unit = self.maker.get(id(base))
            if unit is None or unit.node is None or unit.bias is not None:
                continue
            if not is_compiled_product(unit.node):
                continue
            vector = self.follow(bias)[0]
            before = self.maker.get(id(vector))
            if before is not None and (before.last > unit.first or _depends(before, unit)):
                continue
            if self._is_row_vector(unit.node, base, views, bias, node):
                if before is not None:
                    unit.needs.add(before)
                unit.bias, unit.out, unit.views = self.follow(bias)[0], node.outputs[0], views
                unit.last = place
                self.maker[id(node.outputs[0])] = unit
                return True
        return False

    def _is_row_vector(
        self, product: Node, base: Value, views: Sequence[Node], bias: Value, node: Node
    ) -> bool:
        """Whether `bias` has one number for each column of a product that is read here only."""
        alone = all(self.uses.get(id(x), 0) == 1 for x in (base, *(v.outputs[0] for v in views)))
        vector, _ = self.follow(bias)
        if not alone or id(vector) in self.inlined or vector.dtype != base.dtype:
            return False
        shape = tuple(node.outputs[0].shape)
        if product.operation is p.matmul:
            dim = len(shape) - 1
            kept = all(v.operation is p.reshape for v in views) and shape[-1:] == base.shape[-1:]
        else:
            dim, kept = 1, product.operation is p.conv and not views
            kept = kept and product.attrs["groups"] == 1
        if not kept or shape != tuple((views[-1].outputs[0] if views else base).shape):
            return False
        lined_up = [1] * (len(shape) - len(bias.shape)) + list(bias.shape)
        wanted = [size if n == dim else 1 for n, size in enumerate(shape)]
        return lined_up == wanted and vector.size == shape[dim]

    # --- afterwards ---------------------------------------------------------------------------

    def _find_stored(self) -> set[int]:
        """Values that are read by another unit than the one that makes them, or are results."""
        stored = {id(unit.bias) for unit in self.units if unit.bias is not None}
        for unit in self.units:
            for node in unit.nodes:
                for value in self.bases(node):
                    if self.maker.get(id(value)) is not unit:
                        stored.add(id(value))
        for output in self.program.outputs:
            if isinstance(output, Value):
                stored.update(id(value) for value in self.sources(output))
        return stored


class Hints:
    """What is known of layouts before they are chosen: which values have their channels last."""

    def __init__(self, program: Program) -> None:
        self.channels_last = _channels_last(program)

    def lies_across(self, node: Node) -> bool:
        """Whether the rows of a reduction are not next to each other in memory."""
        if node.operation.kind != "reduction":  # type: ignore[attr-defined]
            return False
        operand = node.operands[0]
        rank, dims = len(operand.shape), sorted(node.attrs["dim"])
        if id(operand) in self.channels_last:
            return 1 not in dims
        return dims != list(range(rank - len(dims), rank))


def _channels_last(program: Program) -> set[int]:
    """Values that convolutions read or make, and what is computed from them element by element."""
    found: set[int] = set()
    for node in program.nodes:
        name = node.operation.name
        if name in ("conv", "conv_grad_x"):
            found.update(id(value) for value in (node.outputs[0], node.operands[0]))
        elif name == "conv_grad_w":
            found.update(id(value) for value in node.operands)
        elif is_fusible(node) or name in ("cast",):
            out = node.outputs[0]
            like = [x for x in node.operands if isinstance(x, Value) and x.shape == out.shape]
            if any(id(x) in found for x in like):
                found.add(id(out))
    return found


# --- kinds of nodes ---------------------------------------------------------------------------


def is_empty(node: Node) -> bool:
    """Whether something that it reads or makes has no elements: NumPy does it then."""
    values = (*node.operands, *node.outputs)
    return any(0 in x.shape for x in values if isinstance(x, Value))


def is_compiled_product(node: Node) -> bool:
    """Whether it is a product that NumPy need not do, as it does those of whole numbers."""
    is_float = node.outputs[0].dtype.kind in "fV"  # V: bfloat16
    return node.operation in PRODUCTS and is_float and not is_empty(node)


def is_fusible(node: Node) -> bool:
    """Whether a loop nest can compute it."""
    operation: Any = node.operation
    if is_empty(node):
        return False
    if operation.kind == "reduction":
        return operation.name in _REDUCTIONS
    if operation in LOOKUPS:
        return True
    if operation.kind == "elementwise" or operation is p.random_bits:
        return operation is p.random_bits or _is_supported(node)
    return False


_REDUCTIONS = frozenset({"sum", "prod", "amax", "amin", "argmax", "argmin"})


def _is_supported(node: Node) -> bool:
    dtypes = {x.dtype for x in node.operands if isinstance(x, Value)} | {node.outputs[0].dtype}
    return all(supported(node.operation.name, dtype) for dtype in dtypes)


def is_inlined(node: Node) -> bool:
    """Whether it is computed again wherever it is read, instead of being kept in memory.

    Constants and counting; numbers (0-d); conversions to a wider dtype, and comparisons with a
    number, which take less time than reading their result would.
    """
    operation: Any = node.operation
    out = node.outputs[0] if node.outputs else None
    if operation in (p.full, p.iota):
        return not is_empty(node)
    if out is None or not is_fusible(node) or operation.kind != "elementwise":
        return False
    values = [x for x in node.operands if isinstance(x, Value)]
    if out.shape == ():
        return all(x.node is None or is_inlined(x.node) for x in values)
    if all(x.node is not None and _counts(x.node) for x in values):
        return True
    if operation is p.cast:
        (x,) = values
        return out.dtype.itemsize > x.dtype.itemsize
    return len(values) == 1 and out.dtype.kind == "b" and len(node.operands) == 2


def _counts(node: Node) -> bool:
    """Whether a value depends on the place of an element alone."""
    if node.operation.name in VIEWS:
        inner = node.operands[0].node
        return inner is not None and _counts(inner)
    if node.operation in (p.full, p.iota):
        return True
    return node.operation.kind == "elementwise" and all(  # type: ignore[attr-defined]
        not isinstance(x, Value) or (x.node is not None and _counts(x.node)) for x in node.operands
    )


def _uses(program: Program) -> dict[int, int]:
    counts: dict[int, int] = {}
    for node in program.nodes:
        for operand in node.operands:
            if isinstance(operand, Value):
                counts[id(operand)] = counts.get(id(operand), 0) + 1
    for output in program.outputs:
        if isinstance(output, Value):
            counts[id(output)] = counts.get(id(output), 0) + 1
    return counts


def _only_fused(program: Program) -> set[int]:
    """Values that only loop nests read, directly or through views."""
    elsewhere = {id(x) for x in program.outputs}
    for node in reversed(program.nodes):
        passes_on = node.operation.name in VIEWS
        if is_fusible(node) or (passes_on and id(node.outputs[0]) not in elsewhere):
            continue
        elsewhere.update(id(x) for x in node.operands)
    return {id(x) for node in program.nodes for x in node.outputs} - elsewhere


def _late_nodes(
    program: Program, updates: Sequence[tuple[int, int]], uses: dict[int, int]
) -> set[Node]:
    """Element-wise nodes that only new contents of states depend on."""
    served: dict[int, int] = {}
    for position, _ in updates:
        value = program.outputs[position]
        served[id(value)] = served.get(id(value), 0) + 1
    late: set[Node] = set()
    for node in reversed(program.nodes):
        view = node.operation.name in VIEWS
        if not view and node.operation.kind != "elementwise":  # type: ignore[attr-defined]
            continue
        if not view and not is_fusible(node):
            continue
        out = node.outputs[0]
        if uses.get(id(out), 0) and served.get(id(out), 0) == uses[id(out)]:
            late.add(node)
            for operand in node.operands:
                if isinstance(operand, Value):
                    served[id(operand)] = served.get(id(operand), 0) + 1
    return late


# --- dependence -------------------------------------------------------------------------------


def _depends(unit: Unit, on: Unit) -> bool:
    """Whether a unit can only run after another, or is it."""
    seen: set[Unit] = set()
    waiting = [unit]
    while waiting:
        each = waiting.pop()
        if each is on:
            return True
        if each in seen or each.rank <= on.rank:
            continue
        seen.add(each)
        waiting += each.needs
    return False


def _depends_through(unit: Unit, on: Unit) -> bool:
    """Whether a third unit must run after `on` and before `unit`."""
    return any(_depends(each, on) for each in unit.needs if each is not on)


def _copy(group: Group) -> Group:
    return Group(
        group.size,
        group.shape,
        group.writes_state,
        group.rows,
        group.again,
        list(group.members),
        dict(group.by_value),
    )


def _ordered(units: Sequence[Unit]) -> list[Unit]:
    """Units so that each comes after what it needs, otherwise as in the program."""
    waiting = {unit: len(unit.needs) for unit in units}
    followers: dict[Unit, list[Unit]] = {}
    for unit in units:
        for need in unit.needs:
            followers.setdefault(need, []).append(unit)
    ready = [
        (unit.writes_state, unit.first, number)
        for number, unit in enumerate(units)
        if not waiting[unit]
    ]
    numbers = {unit: number for number, unit in enumerate(units)}
    heapq.heapify(ready)
    ordered: list[Unit] = []
    while ready:
        unit = units[heapq.heappop(ready)[2]]
        ordered.append(unit)
        for follower in followers.get(unit, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                key = (follower.writes_state, follower.first, numbers[follower])
                heapq.heappush(ready, key)
    if len(ordered) != len(units):
        raise AssertionError("units wait for each other in a circle")
    return ordered
