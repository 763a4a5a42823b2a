"""Adding at computed positions: `index_add` and `scatter_add`.

    index_add:   out[p, index[i], q] += src[p, i, q]
    scatter_add: out[p, index[p, i, q], q] += src[p, i, q]

Different p and q never meet, so pieces are cut from them; within a piece the indices are taken in
their order, which makes the sums, and their bits, the same for any number of threads.
"""

import math
from typing import TYPE_CHECKING, Any

from narae import primitives as p
from narae.ir import Value
from narae.ir.program import Node

from ..emit import F32, F64, I8, I16, I32, I64, Function, Type, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from . import layout as lay
from .buffers import Access, Buffer, Ref, Step, Task
from .moving import copy_task, fill_task

if TYPE_CHECKING:
    from .lowering import Lowering

_TYPES = {"float32": F32, "float64": F64, "int64": I64, "int32": I32, "int16": I16, "int8": I8}
MOST_PIECES = 16


def lower_scatter(lowering: "Lowering", node: Node) -> bool:
    """Make the tasks of a scatter; False if NumPy has to do it."""
    x, index, src = node.operands
    out, dim = node.outputs[0], node.attrs["dim"]
    element = _TYPES.get(str(out.dtype))
    if element is None or str(getattr(index, "dtype", "")) != "int64" or p.is_number(src):
        return False
    along = node.operation is p.scatter_add
    counts = (math.prod(src.shape[:dim]), math.prod(out.shape[dim + 1 :]))
    same = math.prod(out.shape[:dim]) == counts[0]
    if along and (src.shape != index.shape or _others(src, dim) != _others(out, dim)):
        return False
    if not same or math.prod(src.shape) == 0:
        return False
    ref = lowering.decided(out) or Ref(
        lowering.new_buffer(out.dtype, out.size, out.name), lay.dense(out.shape)
    )
    if ref.layout != lay.dense(out.shape) or ref.buffer.size != out.size:
        return False
    lowering.set_ref(out, ref)
    _start(lowering, x, ref)
    rows = math.prod(src.shape) // (counts[0] * counts[1])
    shape = Scatter(counts[0], rows, counts[1], out.shape[dim], along)
    buffers = [lowering.densely(index).buffer, lowering.densely(src).buffer, ref.buffer]
    task = _task(shape, element, [*buffers, lowering.status], lowering.machine)
    lowering.tasks.append(task)
    return True


def _others(value: Value, dim: int) -> list[int]:
    return [size for place, size in enumerate(value.shape) if place != dim]


def _start(lowering: "Lowering", x: Any, ref: Ref) -> None:
    """The result begins as x."""
    made = x.node if isinstance(x, Value) else None
    if made is not None and made.operation is p.full:
        value = made.attrs["value"]
        lowering.tasks.append(fill_task(ref, value, x.shape, lowering.machine))
    else:
        lowering.tasks.append(copy_task(lowering.ref(x), ref, lowering.machine))


class Scatter:
    """The sizes of a scatter: p, i and q as above, and the size of the dimension written to."""

    def __init__(self, before: int, rows: int, behind: int, size: int, along: bool) -> None:
        self.before, self.rows, self.behind, self.size = before, rows, behind, size
        self.along = along  # an index for each element, not for each row


def _task(scatter: Scatter, element: Type, buffers: list[Buffer], machine: Machine) -> Task:
    index, src, out, status = buffers
    accesses = (
        Access(index, False, False),
        Access(src, False, False),
        Access(out, False, False),
        Access(out, True, False),
        Access(status, True, False),
    )

    def make(_: int) -> list[Step]:
        kernel = scatter_kernel(scatter, element, machine)
        return [Step(kernel, tuple(buffers), accesses, kernel.pieces)]

    return Task(make, 1, accesses, about="scatter")


def scatter_kernel(scatter: Scatter, element: Type, machine: Machine) -> Kernel:
    """The kernel (index, src, out, status)."""
    lanes = 0 if scatter.along else machine.lanes(element.bytes)
    by_row = scatter.before >= 4 or scatter.behind < 2 * max(1, lanes)
    total = scatter.before if by_row else scatter.behind
    unit = 1 if by_row else max(1, lanes)
    pieces = max(1, min(MOST_PIECES, -(-total // unit)))
    chunk = -(-total // (pieces * unit)) * unit
    pieces = -(-total // chunk)
    f, args, piece, _ = begin_kernel()
    pointers = [slot_pointer(f, args, slot) for slot in range(4)]
    first = f.mul(piece, f.number(chunk))
    last = _least(f, f.add(first, f.number(chunk)), f.number(total))
    writer = _Writer(f, scatter, element, lanes, pointers)
    if by_row:
        writer.write((first, last), (f.number(0), f.number(scatter.behind)))
    else:
        writer.write((f.number(0), f.number(scatter.before)), (first, last))
    count = scatter.before * scatter.rows * scatter.behind
    about = f"add at indices ({scatter.before}×{scatter.rows}×{scatter.behind})"
    moved = 3 * count * element.bytes
    return finish_kernel("scatter", f, pieces=pieces, about=about, flops=count, bytes=moved)


def _least(f: Function, x: Val, y: Val) -> Val:
    return f.select(f.compare("slt", x, y), x, y)


class _Writer:
    """The loops of a scatter."""

    def __init__(
        self, f: Function, scatter: Scatter, element: Type, lanes: int, pointers: list[Val]
    ) -> None:
        self.f, self.scatter, self.element, self.lanes = f, scatter, element, lanes
        self.index, self.src, self.out, self.status = pointers

    def write(self, before: tuple[Val, Val], behind: tuple[Val, Val]) -> None:
        """for p: for i: for q."""
        f, scatter = self.f, self.scatter
        with f.loop(*before) as p_loop, f.loop(0, scatter.rows) as row:
            line = f.add(f.mul(p_loop.index, f.number(scatter.rows)), row.index)
            source = f.mul(line, f.number(scatter.behind))
            base = f.mul(p_loop.index, f.number(scatter.size))
            if scatter.along:
                with f.loop(*behind) as column:
                    place = f.add(source, column.index)
                    found = f.load(f.at(self.index, place, I64), I64)
                    self._checked(found, base, place, column.index)
            else:
                found = f.load(f.at(self.index, row.index, I64), I64)
                self._checked(found, base, source, None, behind)

    def _checked(
        self, found: Val, base: Val, source: Val, column: Val | None, behind: Any = None
    ) -> None:
        """Outside of the dimension, the status word is set and nothing is added."""
        f, size = self.f, self.f.number(self.scatter.size)
        inside = f.compare("ult", found, size)
        outside = f.binary("xor", inside, f.const(1, inside.type))
        with f.when(outside):
            f.store(f.const(1, I32), self.status)
        with f.when(inside):
            line = f.mul(f.add(base, found), f.number(self.scatter.behind))
            if column is not None:
                self._add(f.add(line, column), source, 0)
            else:
                self._add_line(line, source, *behind)

    def _add_line(self, line: Val, source: Val, first: Val, last: Val) -> None:
        """Whole vectors, then what is left with a mask."""
        f, lanes = self.f, self.lanes
        length = f.sub(last, first)
        whole = f.mul(f.binary("udiv", length, f.number(lanes)), f.number(lanes))
        stop = f.add(first, whole)
        with f.loop(first, stop, lanes) as loop:
            self._add(f.add(line, loop.index), f.add(source, loop.index), lanes)
        with f.when(f.compare("slt", stop, last)):
            mask = f.first_lanes(f.sub(last, stop), lanes)
            self._add(f.add(line, stop), f.add(source, stop), lanes, mask)

    def _add(self, place: Val, source: Val, lanes: int, mask: Val | None = None) -> None:
        f, kind = self.f, self.element.of(lanes)
        target = f.at(self.out, place, self.element)
        added = f.load(f.at(self.src, source, self.element), kind, mask)
        f.store(f.add(f.load(target, kind, mask), added), target, mask)
