"""Tasks that move elements: copies, constants, and what is assembled from parts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from narae import primitives as p
from narae.ir import Program
from narae.ir.program import Node

from ..kernel import Machine
from ..loops.nest import Load, Nest, Number, Store
from . import layout as lay
from .buffers import Buffer, Ref, Task
from .layout import Layout
from .nest_tasks import nest_task
from .splitting import coalesced

if TYPE_CHECKING:
    from .graph import Graph
    from .lowering import Lowering


def copy_task(source: Ref, target: Ref, machine: Machine, late: bool = False) -> Task:
    """Write a value to other places, walking along the target."""
    loops = lay.common_loops([source.layout, target.layout])
    assert loops is not None, "a layout without gaps fits any other"
    order = sorted(range(len(loops.sizes)), key=lambda n: -abs(loops.strides[1][n]))
    sizes = tuple(loops.sizes[n] for n in order)
    read, write = (tuple(strides[n] for n in order) for strides in loops.strides)
    nodes = (Load(0, source.buffer.dtype, read, source.layout.offset),)
    stores = (Store(1, 0, target.buffer.dtype, write, target.layout.offset),)
    nest = Nest(sizes, len(sizes), nodes, stores, 1)
    return nest_task(coalesced(nest), [source.buffer, target.buffer], machine, late)


def fill_task(
    target: Ref, value: Any, shape: Sequence[int], machine: Machine, late: bool = False
) -> Task:
    """Write one number everywhere."""
    loops = lay.common_loops([target.layout])
    assert loops is not None
    order = sorted(range(len(loops.sizes)), key=lambda n: -abs(loops.strides[0][n]))
    sizes = tuple(loops.sizes[n] for n in order)
    strides = tuple(loops.strides[0][n] for n in order)
    dtype = target.buffer.dtype
    stores = (Store(0, 0, dtype, strides, target.layout.offset),)
    nest = Nest(sizes, len(sizes), (Number(value, dtype),), stores, 1)
    return nest_task(coalesced(nest), [target.buffer], machine, late)


def lower_assembly(lowering: "Lowering", node: Node) -> None:
    """`concat`, `pad` and the updates: a new value, written part by part."""
    ref = _assembled(lowering, node)
    lowering.set_ref(node.outputs[0], ref)
    _PARTS[node.operation.name](lowering, node, ref)


def _assembled(lowering: "Lowering", node: Node) -> Ref:
    """Where the new value is; those who make parts of it may ask first."""
    out = node.outputs[0]
    if id(out) not in lowering.assembled:
        order = lowering.memory_order(node.operands[0])
        lowering.assembled[id(out)] = lowering.decided(out) or Ref(
            lowering.new_buffer(out.dtype, out.size, out.name), lay.dense(out.shape, order)
        )
    return lowering.assembled[id(out)]


def parts_of_concats(program: Program, graph: "Graph") -> dict[int, tuple[Node, int]]:
    """Values that are computed straight into the concat they are for: node, and first index.

    A loop nest or a product makes them; who else reads them reads them there.
    """
    found: dict[int, tuple[Node, int]] = {}
    taken: set[int] = set()
    for node in program.nodes:
        if node.operation is not p.concat:
            continue
        position = 0
        for operand in node.operands:
            maker = graph.maker.get(id(operand))
            made = maker is not None and (
                maker.group is not None or maker.node.operation is p.matmul  # type: ignore[union-attr]
            )
            if made and operand.size and id(operand) not in taken:
                found[id(operand)] = (node, position)
                taken.add(id(operand))
            position += operand.shape[node.attrs["dim"]]
    return found


def joined_part(lowering: "Lowering", node: Node, position: int) -> Ref | None:
    """The part of a concat's result that begins at an index."""
    dim = node.attrs["dim"]
    sizes = [x.shape[dim] for x in node.operands]
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    size = next(n for n, start in zip(sizes, starts, strict=True) if start == position and n)
    shape = list(node.outputs[0].shape)
    start, stop = [0] * len(shape), list(shape)
    start[dim], stop[dim] = position, position + size
    return _part(_assembled(lowering, node), start, stop, [1] * len(shape))


def _write(lowering: "Lowering", operand: Any, target: Ref, over: Buffer | None = None) -> None:
    """Copy an operand to a part of the result; after what was written to `over` before."""
    if p.is_number(operand):
        task = fill_task(target, operand, target.layout.shape, lowering.machine)
    else:
        task = copy_task(lowering.ref(operand), target, lowering.machine)
    if over is not None:
        task.extra_reads = (over,)
    lowering.tasks.append(task)


def _part(ref: Ref, start: Sequence[int], stop: Sequence[int], step: Sequence[int]) -> Ref:
    layout = lay.sliced(ref.layout, start, stop, step)
    assert layout is not None, "a new value has one stride for each dimension"
    return Ref(ref.buffer, layout)


def _concat(lowering: "Lowering", node: Node, ref: Ref) -> None:
    position, dim = 0, node.attrs["dim"]
    shape = list(node.outputs[0].shape)
    for operand in node.operands:
        start, stop = [0] * len(shape), list(shape)
        start[dim], stop[dim] = position, position + operand.shape[dim]
        position = stop[dim]
        part = _part(ref, start, stop, [1] * len(shape))
        if operand.shape[dim] and lowering.ref(operand) != part:
            _write(lowering, operand, part)


def _pad(lowering: "Lowering", node: Node, ref: Ref) -> None:
    (x,) = node.operands
    low = node.attrs["low"]
    shape = node.outputs[0].shape
    start = [max(0, n) for n in low]
    stop = [min(size, n + have) for size, n, have in zip(shape, low, x.shape, strict=True)]
    lowering.fill(ref, node.attrs["value"], shape)
    if math.prod(b - a for a, b in zip(start, stop, strict=True)) <= 0:
        return
    inner = _part(ref, start, stop, [1] * len(shape))
    source = lowering.ref(x)
    first = [a - n for a, n in zip(start, low, strict=True)]
    last = [b - n for b, n in zip(stop, low, strict=True)]
    cut = lay.sliced(source.layout, first, last, [1] * len(shape))
    if cut is None:
        source = lowering.copied(x)
        cut = lay.sliced(source.layout, first, last, [1] * len(shape))
        assert cut is not None
    task = copy_task(Ref(source.buffer, cut), inner, lowering.machine)
    task.extra_reads = (ref.buffer,)
    lowering.tasks.append(task)


def _update_slice(lowering: "Lowering", node: Node, ref: Ref) -> None:
    x, y = node.operands
    _write(lowering, x, ref)
    attrs = node.attrs
    part = _part(ref, attrs["start"], attrs["stop"], attrs["step"])
    if 0 not in part.layout.shape:
        _write(lowering, y, part, over=ref.buffer)


def _update_diagonal(lowering: "Lowering", node: Node, ref: Ref) -> None:
    x, y = node.operands
    _write(lowering, x, ref)
    attrs = node.attrs
    layout: Layout | None = lay.diagonal(
        ref.layout, attrs["offset"], attrs["dim1"], attrs["dim2"], y.shape[-1]
    )
    assert layout is not None
    if 0 not in y.shape:
        _write(lowering, y, Ref(ref.buffer, layout), over=ref.buffer)


_PARTS = {
    "concat": _concat,
    "pad": _pad,
    "update_slice": _update_slice,
    "update_diagonal": _update_diagonal,
}
