"""Lowering a fused group: choose layouts for what it stores, order its loops, make tasks.

Layouts follow the largest thing that is read, so that both sides of a kernel walk through memory
in the same order; values that convolutions read have their channels last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from narae.ir import Value

from ..loops.nest import Load, Lookup, Nest
from . import layout as lay
from .buffers import Buffer, Ref
from .graph import Unit
from .groups import Group, Member, start_group, start_reduction
from .layout import Layout, Loops
from .nest_tasks import nest_task
from .sketches import (
    CannotView,
    LoopsDiffer,
    Sketch,
    SketchBuilder,
    Target,
    find_loops,
    is_row_loop,
    nest_of,
    on_domain,
)
from .splitting import can_split, coalesced, split, without_dead_nodes

if TYPE_CHECKING:
    from .lowering import Lowering

# Fewer rows than this do not keep the threads busy.
FEW_ROWS = 64
LONG = 32 * 1024
MOST_PARTS = 64
LONG_ENOUGH = 1024


@dataclass
class _Result:
    """A member that is stored."""

    member: Member
    value: Value
    marks: Layout  # a layout of the domain with a factor for each factor of the value
    ref: Ref | None  # where it has to go, if that is decided


def lower_group(lowering: "Lowering", unit: Unit) -> None:
    """Make the tasks of a group, and note where its results are."""
    group = unit.group
    assert group is not None
    if unit.writes_state:
        _line_up(lowering, unit)
    try:
        nest, buffers = _nest_of_group(lowering, group)
    except LoopsDiffer:
        _lower_alone(lowering, unit)
        return
    _add_tasks(lowering, coalesced(nest), buffers, unit.writes_state)


def _line_up(lowering: "Lowering", unit: Unit) -> None:
    """Bring what an update reads in the order of the state it updates.

    A copy that walks in squares takes less time than an update that jumps; and the update of any
    parameter becomes one and the same kernel.
    """
    for node in unit.nodes:
        for value in lowering.graph.bases(node):
            if value.size >= LONG_ENOUGH and value.node is not None:
                lowering.reorder(value)


def _nest_of_group(lowering: "Lowering", group: Group) -> tuple[Nest, list[Buffer]]:
    sketch = _sketch(lowering, group)
    results = [_result(lowering, sketch, m) for m in group.members if _is_stored(lowering, m)]
    return _nest(lowering, sketch, group, results)


def _lower_alone(lowering: "Lowering", unit: Unit) -> None:
    """What one nest cannot do: every member by itself, on plain copies of what it reads.

    For instance the sum of two transposed matrices that were flattened, of (2, 3) and of (3, 2).
    """
    assert unit.group is not None
    nodes, late = [member.node for member in unit.group.members], unit.writes_state
    lowering.keep_states_until_the_end(nodes)
    for node in nodes:
        lowering.graph.stored.add(id(node.outputs[0]))
        for operand in node.operands:
            if isinstance(operand, Value):
                lowering.copy_for_reading(operand)
        reduces = node.operation.kind == "reduction"  # type: ignore[attr-defined]
        group = start_reduction(node, late, False) if reduces else start_group(node, late)
        nest, buffers = _nest_of_group(lowering, group)
        _add_tasks(lowering, coalesced(nest), buffers, late)


def _sketch(lowering: "Lowering", group: Group) -> Sketch:
    """The nodes of the group; values that cannot be read where they are get copied first."""
    while True:
        graph = lowering.graph
        builder = SketchBuilder(group, graph.follow, graph.inlined, lowering.ref, lowering.status)
        try:
            return builder.build()
        except CannotView as error:
            lowering.copy_for_reading(error.value)


def _is_stored(lowering: "Lowering", member: Member) -> bool:
    return id(member.node.outputs[0]) in lowering.graph.stored


def _result(lowering: "Lowering", sketch: Sketch, member: Member) -> _Result:
    value = member.node.outputs[0]
    marks = on_domain(lay.dense(value.shape), member.at, sketch.size)
    assert marks is not None
    return _Result(member, value, marks, lowering.decided(value))


def _nest(
    lowering: "Lowering", sketch: Sketch, group: Group, results: Sequence[_Result]
) -> tuple[Nest, list[Buffer]]:
    """Loops, layouts of results, order."""
    marks = [result.marks for result in results]
    loops = _loops(lowering, sketch, marks)
    memory = _memory_order(sketch, loops, results)
    numbers = [_number_of(sketch, group, result) for result in results]
    targets = []
    for result, number in zip(results, numbers, strict=True):
        ref = result.ref or _new_ref(lowering, sketch, loops, memory, result)
        lowering.set_ref(result.value, ref)
        place = on_domain(ref.layout, result.member.at, sketch.size)
        assert place is not None
        slot = sketch.slot(ref.buffer)
        targets.append(Target(number, place, slot, result.value.dtype))
    final = _loops(lowering, sketch, [*(t.place for t in targets), *marks])
    points = final.strides[-1]
    order = _memory_order(sketch, final, results)
    rows = [n for n in order if _in_row(sketch, final, n)]
    if any(getattr(node, "operation", "").startswith("arg") for node in sketch.nodes):
        rows.sort(key=lambda n: -points[n])  # the first of equals is by the logical order
    outer = [n for n in order if not _in_row(sketch, final, n)]
    return nest_of(sketch, final, [*outer, *rows], len(outer), targets), sketch.buffers


def _loops(lowering: "Lowering", sketch: Sketch, others: Sequence[Layout]) -> Loops:
    loops = find_loops(sketch, others)
    if loops is None:
        raise LoopsDiffer
    return loops


def _in_row(sketch: Sketch, loops: Loops, loop: int) -> bool:
    return is_row_loop(sketch, loops.strides[-1][loop], loops.sizes[loop])


def _number_of(sketch: Sketch, group: Group, result: _Result) -> int:
    return sketch.members[id(result.value)]


def _memory_order(sketch: Sketch, loops: Loops, results: Sequence[_Result]) -> list[int]:
    """All loops as memory should be walked, outermost first: as in the largest operand."""
    lead = _lead(sketch, loops, results)
    points = loops.strides[-1]
    far = max((abs(s) for s in lead), default=0) + 1
    return sorted(range(len(loops.sizes)), key=lambda n: (-abs(lead[n] or far), -points[n]))


def _lead(sketch: Sketch, loops: Loops, results: Sequence[_Result]) -> Sequence[int]:
    """The strides of what decides the order: a result with a given place, or the largest read."""
    size = sketch.size
    for result in results:
        if result.ref is not None and not result.member.row:
            place = on_domain(result.ref.layout, result.member.at, size)
            found = place and _strides_along(place, loops, size)
            if found is not None:
                return found
    best: Sequence[int] = loops.strides[-1]
    most = 0
    for row, (number, _) in enumerate(sketch.places.items()):
        strides = loops.strides[row]
        node = sketch.nodes[number]
        reads = math.prod(n for n, s in zip(loops.sizes, strides, strict=True) if s)
        if hasattr(node, "slot") and reads > most:
            best, most = strides, reads
    return best if most * 2 > size else loops.strides[-1]


def _strides_along(place: Layout, loops: Loops, size: int) -> list[int] | None:
    """The strides of a layout of the domain in loops that were found without it."""
    whole = Layout((tuple(zip(loops.sizes, loops.strides[-1], strict=True)),))
    both = lay.common_loops([whole, place])
    if both is None or both.sizes != tuple(n for n in loops.sizes if n > 1):
        return None
    remaining = iter(both.strides[1])
    return [next(remaining) if n > 1 else 0 for n in loops.sizes]


def _new_ref(
    lowering: "Lowering", sketch: Sketch, loops: Loops, memory: Sequence[int], result: _Result
) -> Ref:
    """A new buffer for a result, without gaps, in the order of memory."""
    steps: dict[int, int] = {}
    stride = 1
    points = loops.strides[-1]
    for loop in reversed(memory):
        if result.member.row and _in_row(sketch, loops, loop):
            continue
        steps[loop] = stride
        stride *= loops.sizes[loop]
    dims = []
    for dim in result.member.at.dims:
        factors = []
        for size, step in dim:
            inside = [n for n in steps if step <= points[n] < step * size and loops.sizes[n] > 1]
            inside.sort(key=lambda n: -points[n])
            factors += [(loops.sizes[n], steps[n]) for n in inside]
        dims.append(lay.merged(factors))
    value = result.value
    return Ref(lowering.new_buffer(value.dtype, value.size, value.name), Layout(tuple(dims)))


def _add_tasks(lowering: "Lowering", nest: Nest, buffers: list[Buffer], late: bool) -> None:
    """One task, or two if a long reduction is to be shared."""
    rows = math.prod(nest.sizes[: nest.outer])
    total = math.prod(nest.sizes)
    dim = _dim_to_cut(nest)
    if dim is None or rows >= FEW_ROWS * 16 or total < LONG or not can_split(nest):
        lowering.tasks.append(nest_task(nest, buffers, lowering.machine, late))
        return
    parts = parts_of(nest.sizes[dim])
    made: list[Buffer] = list(buffers)

    def slot_for(dtype: Any, count: int) -> int:
        made.append(lowering.new_buffer(dtype, count, "partial"))
        return len(made) - 1

    first, second = split(nest, dim, parts, slot_for)
    for part in (first, second):
        compact, used = only_used_slots(coalesced(without_dead_nodes(part)), made)
        lowering.tasks.append(nest_task(compact, used, lowering.machine, late))


def _dim_to_cut(nest: Nest) -> int | None:
    """The row dimension that is outermost in memory and can be cut into enough parts."""
    best, farthest = None, -1
    for dim in range(nest.outer, len(nest.sizes)):
        reads = [x for x in nest.nodes if isinstance(x, (Load, Lookup))]
        step = max((abs(x.strides[dim]) for x in reads), default=0)
        if parts_of(nest.sizes[dim]) > 1 and step > farthest:
            best, farthest = dim, step
    return best


def parts_of(size: int) -> int:
    """Into how many equal parts a dimension is cut: a divisor, at most MOST_PARTS."""
    return max(n for n in range(1, MOST_PARTS + 1) if size % n == 0)


def only_used_slots(nest: Nest, buffers: Sequence[Buffer]) -> tuple[Nest, list[Buffer]]:
    """The nest with its slots renumbered, so that only those it uses remain."""
    items = [*nest.nodes, *nest.stores]
    used = sorted({x.slot for x in items if hasattr(x, "slot")})
    used = sorted({*used, *(x.status for x in items if isinstance(x, Lookup))})
    numbers = {old: new for new, old in enumerate(used)}

    def change(item: Any) -> Any:
        if isinstance(item, Lookup):
            return replace(item, slot=numbers[item.slot], status=numbers[item.status])
        return replace(item, slot=numbers[item.slot]) if hasattr(item, "slot") else item

    changed = replace(
        nest, nodes=tuple(map(change, nest.nodes)), stores=tuple(map(change, nest.stores))
    )
    return changed, [buffers[old] for old in used]
