"""Fusion: nodes that one loop nest can compute together make a group.

A group has a *domain*: a row of `size` numbered points. Each member has an `at`: a layout that says
at which point each of its elements is computed. Following it through views shows whether a later
node needs exactly what is there at its own point; only then it can join, and needs no memory in
between:

    y = exp(x)                       at: (2, 6) -> 0 … 11
    z = permute(y, (1, 0)) * 2       joins, its elements are at (6, 2) -> 0, 6, 1, 7, …

A reduction makes one value of each *row*: all points that differ in the reduced dimensions only.
What is computed of such values is a member for each row; what combines them with full values again
needs another round over the row, and joins only where that is cheap.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from narae.base.shapes import Shape
from narae.ir import Value
from narae.ir.program import Node

from . import layout as lay
from .layout import Layout

# A second round over a row reads it from the nearest cache, if it is no longer than this.
ROW_BYTES = 256 * 1024
# Rows that lie across memory are read again only if all is small.
SMALL = 16 * 1024


@dataclass
class Member:
    """A node in a group.

    Attributes:
        node: what is computed.
        at: the point of each of its elements; of a row member, any point of the row.
        row: whether there is one value for each row.
        stage: how many reductions must be over before it can be computed.
        source: of a reduction, the point of each element of its operand.
    """

    node: Node
    at: Layout
    row: bool
    stage: int
    source: Layout | None = None


@dataclass
class Group:
    """Nodes that one loop nest computes.

    Attributes:
        size: the number of points.
        shape: the shape of the first member, whose points are numbered in row-major order.
        rows: the factors of the domain that are reduced over, or None.
        again: whether a row may be gone over more than once.
        writes_state: whether it is run at the very end, when nothing can fail any more.
    """

    size: int
    shape: tuple[int, ...]
    writes_state: bool
    rows: tuple[lay.Factor, ...] | None = None
    again: bool = True
    members: list[Member] = field(default_factory=list)
    by_value: dict[int, Member] = field(default_factory=dict)
    loads: dict[int, Value] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Add a member."""
        self.members.append(member)
        self.by_value[id(member.node.outputs[0])] = member


# What lies between a value and what is read from memory for it: views, and shapes to broadcast to.
Step = Node | Shape
Leaves = Callable[[Value], Iterable[tuple[Value, list[Step]]]]


def through(steps: Sequence[Step], at: Layout) -> Layout | None:
    """Where the elements of a value are, if those of its base are there; the last step last."""
    found: Layout | None = at
    for step in steps:
        if found is None:
            return None
        found = view_layout(step, found) if isinstance(step, Node) else lay.expanded(found, step)
    return found


def view_layout(node: Node, base: Layout) -> Layout | None:
    """The layout of a movement's result, or None where elements have to be copied."""
    name, attrs = node.operation.name, node.attrs
    out = node.outputs[0]
    if name == "reshape":
        return lay.reshaped(base, attrs["shape"])
    if name == "permute":
        return lay.permuted(base, attrs["dims"])
    if name == "expand":
        return lay.expanded(base, attrs["shape"])
    if name == "slice":
        return lay.sliced(base, attrs["start"], attrs["stop"], attrs["step"])
    if name == "flip":
        return lay.flipped(base, attrs["dim"])
    if name == "diagonal":
        where = attrs["offset"], attrs["dim1"], attrs["dim2"]
        return lay.diagonal(base, *where, out.shape[-1])
    if name == "windows":
        where = attrs["dim"], attrs["size"], attrs["step"]
        return lay.windows(base, *where, out.shape[attrs["dim"]])
    return None


VIEWS = frozenset({"reshape", "permute", "expand", "slice", "flip", "diagonal", "windows"})


def same_places(one: Layout, other: Layout) -> bool:
    """Whether two layouts of one shape say the same."""
    if one == other:
        return True
    if one.offset != other.offset or one.shape != other.shape:
        return False
    loops = lay.common_loops([one, other])
    if loops is None:
        return False
    pairs = zip(loops.sizes, *loops.strides, strict=True)
    return all(size == 1 or a == b for size, a, b in pairs)


def start_group(node: Node, writes_state: bool) -> Group:
    """A group of one element-wise node."""
    out = node.outputs[0]
    group = Group(math.prod(out.shape), tuple(out.shape), writes_state)
    group.add(Member(node, lay.dense(out.shape), False, 0))
    return group


def start_reduction(node: Node, writes_state: bool, across: bool) -> Group:
    """A group of one reduction, whose operand is read from memory."""
    operand = node.operands[0]
    group = Group(math.prod(operand.shape), tuple(operand.shape), writes_state)
    _join_reduction(group, node, lay.dense(operand.shape), 0, across)
    return group


# --- joining --------------------------------------------------------------------------------


def try_join(group: Group, node: Node, leaves: Leaves, across: bool) -> bool:
    """Add an element-wise node or a reduction to a group, if one nest can compute it as well.

    `across` says that the rows of a reduction lie across memory, not along it.
    """
    if node.operation.kind == "reduction":  # type: ignore[attr-defined]
        return _try_reduction(group, node, leaves, across)
    if _looks_up(group, node, leaves):
        return False
    shape = tuple(node.outputs[0].shape)
    found = _place(group, shape, _inner(group, node, leaves))
    if found is not None:
        group.add(Member(node, *found))
    return found is not None


def _looks_up(group: Group, node: Node, leaves: Leaves) -> bool:
    """Whether it reads elements of a member at computed places: they must be in memory.

    The index of `take` lies along other dimensions of the result than broadcasting says.
    """
    name = node.operation.name
    if name not in ("take", "gather"):
        return False
    read = node.operands if name == "take" else node.operands[:1]
    values = [x for x in read if isinstance(x, Value)]
    return any(id(base) in group.by_value for x in values for base, _ in leaves(x))


def _inner(group: Group, node: Node, leaves: Leaves) -> list[tuple[Member, Layout | None]]:
    """What a node reads from the members of a group, and the points where its elements are."""
    found = []
    for operand in node.operands:
        if isinstance(operand, Value):
            for base, steps in leaves(operand):
                member = group.by_value.get(id(base))
                if member is not None:
                    found.append((member, through(steps, member.at)))
    return found


def _place(
    group: Group, shape: Shape, inner: Sequence[tuple[Member, Layout | None]]
) -> tuple[Layout, bool, int] | None:
    """Where a node of this shape would be computed, whether once for each row, and its stage."""
    places = [(member, at and lay.expanded(at, shape)) for member, at in inner]
    if any(at is None for _, at in places):
        return None
    stage = max((member.stage for member, _ in places), default=0)
    if places and all(member.row for member, _ in places):
        at = places[0][1]
        if at and _is_row_shape(group, at) and all(same_places(x, at) for _, x in places if x):
            return at, True, stage
    if math.prod(shape) != group.size or (stage and not group.again):
        return None
    full = [at for member, at in places if not member.row and at]
    at = full[0] if full else lay.dense(shape)
    if not _covers(at, group.size):
        return None
    for member, found in places:
        wanted = _without_rows(at, group.rows) if member.row else at
        if found is None or not same_places(found, wanted):
            return None
    return at, False, stage


def _try_reduction(group: Group, node: Node, leaves: Leaves, across: bool) -> bool:
    shape = tuple(node.operands[0].shape)
    found = _place(group, shape, _inner(group, node, leaves))
    if found is None or found[1]:
        return False
    at, _, stage = found
    if node.operation.name.startswith("arg") and at != lay.dense(shape):
        return False  # which of equals is first follows the order of the domain
    rows = _row_factors(at, node.attrs["dim"])
    if group.rows is not None and (set(rows) != set(group.rows) or (stage and not group.again)):
        return False
    _join_reduction(group, node, at, stage, across)
    return True


def _row_factors(at: Layout, dims: Sequence[int]) -> tuple[lay.Factor, ...]:
    return tuple(factor for dim in dims for factor in at.dims[dim])


def _join_reduction(group: Group, node: Node, at: Layout, stage: int, across: bool) -> None:
    dims = node.attrs["dim"]
    kept = Layout(tuple(() if n in dims else dim for n, dim in enumerate(at.dims)), at.offset)
    if group.rows is None:
        group.rows = _row_factors(at, dims)
        row_bytes = math.prod(size for size, _ in group.rows) * node.operands[0].dtype.itemsize
        outer = group.size // max(1, math.prod(size for size, _ in group.rows))
        long = row_bytes > ROW_BYTES or (outer < 16 and group.size > SMALL)
        lies_across = across and row_bytes > 1024 and group.size > SMALL
        group.again = not long and not lies_across
    group.add(Member(node, kept, True, stage + 1, at))


def _covers(at: Layout, size: int) -> bool:
    """Whether a layout visits each of the points once."""
    steps = sorted((stride, count) for count, stride in at.factors)
    reached = 1
    for stride, count in steps:
        if stride != reached:
            return False
        reached *= count
    return reached == size and at.offset == 0


def _is_row_shape(group: Group, at: Layout) -> bool:
    """Whether a layout visits each row once."""
    return _covers(Layout((*at.dims, group.rows or ()), at.offset), group.size)


def _without_rows(at: Layout, rows: Sequence[lay.Factor] | None) -> Layout:
    """The points at the beginning of the row of each point."""
    dims = []
    for dim in at.dims:
        dims.append(_dim_without_rows(dim, rows or ()))
    return Layout(tuple(dims), at.offset)


def _dim_without_rows(dim: lay.Dim, rows: Sequence[lay.Factor]) -> lay.Dim:
    """Cut the factors of a dimension where rows begin and end; those in rows do not move."""
    factors: list[lay.Factor] = []
    for size, stride in dim:
        cuts = {stride, stride * size}
        for length, step in rows:
            cuts |= {c for c in (step, step * length) if stride < c < stride * size}
        ordered = sorted(cuts)
        for low, high in zip(ordered[-2::-1], ordered[:0:-1], strict=True):
            inside = any(step <= low and high <= step * length for length, step in rows)
            factors.append((high // low, 0 if inside else low))
    return tuple(factors)
