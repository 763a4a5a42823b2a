"""Borders: pictures that convolutions read beyond their edge are kept in larger buffers.

The values around the edge are zeros, so a padded convolution reads them like any others:

    0 0 0 0
    0 a b 0     a picture of 2 x 2 with a border of 1, as a 3 x 3 convolution reads it
    0 c d 0
    0 0 0 0
"""

from typing import Any, NamedTuple

from narae.base.shapes import Shape
from narae.ir import Program, Value

from ..emit import F32, I8, I64, Function, Type, Val
from ..kernel import Machine, begin_kernel, finish_kernel, slot_pointer
from ..winograd.shape import WinogradShape, winograd_shape
from .buffers import Access, Ref, Step, Task
from .nest_tasks import pieces_for


class Halo(NamedTuple):
    """How many elements lie before and behind each dimension of space."""

    sides: tuple[tuple[int, int], ...]

    @classmethod
    def none(cls, rank: int) -> "Halo":
        """No border."""
        return cls(((0, 0),) * rank)

    def joined(self, other: "Halo") -> "Halo":
        """What serves both."""
        pairs = zip(self.sides, other.sides, strict=True)
        return Halo(tuple((max(a, c), max(b, d)) for (a, b), (c, d) in pairs))


def halos(program: Program, machine: Machine) -> dict[int, Halo]:
    """The border that each value (by id) needs for the convolutions that read it."""
    found: dict[int, Halo] = {}

    def want(value: Any, halo: Halo) -> None:
        if isinstance(value, Value):
            found[id(value)] = found[id(value)].joined(halo) if id(value) in found else halo

    for node in program.nodes:
        if node.operation.name in ("conv", "conv_grad_x", "conv_grad_w"):
            for value, halo in node_halos(node, machine):
                want(value, halo)
    return found


def node_halos(node: Any, machine: Machine) -> list[tuple[Value, Halo]]:
    """The operands of a convolution that are read beyond their edge, and how far."""
    attrs = node.attrs
    name = node.operation.name
    shape = winograd_shape(node, machine)
    if shape is not None:
        return _of_tiles(node, shape)
    if name == "conv":
        x, w = node.operands
        return [(x, _forward(x.shape, node.outputs[0].shape, w.shape, attrs))]
    if name == "conv_grad_w":
        grad_out, x = node.operands
        return [(x, _forward(x.shape, grad_out.shape, node.outputs[0].shape, attrs))]
    grad_out, w = node.operands
    return [(grad_out, _backward(grad_out.shape, node.outputs[0].shape, w.shape, attrs))]


def _of_tiles(node: Any, shape: WinogradShape) -> list[tuple[Value, Halo]]:
    """Tiles of 4 x 4 begin `low` before the edge; the last may begin in the last row or column."""
    name, space = node.operation.name, (shape.rows, shape.columns)
    x = node.operands[1] if name == "conv_grad_w" else node.operands[0]
    sides = []
    for dim, (before, _) in enumerate(node.attrs["padding"]):
        low = 2 - before if name == "conv_grad_x" else before
        sides.append((low, max(0, 2 * space[dim] + 2 - low - x.shape[2 + dim])))
    found = [(x, Halo(tuple(sides)))]
    if name == "conv_grad_w":
        grad = node.operands[0]
        beyond = [(0, 2 * n - grad.shape[2 + dim]) for dim, n in enumerate(space)]
        found.append((grad, Halo(tuple(beyond))))
    return found


def _forward(x_shape: Shape, out_shape: Shape, w_shape: Shape, attrs: Any) -> Halo:
    """Window o reads from o * stride - low to o * stride - low + dilation * (kernel - 1)."""
    sides = []
    for dim, (low, _) in enumerate(attrs["padding"]):
        reach = attrs["dilation"][dim] * (w_shape[2 + dim] - 1)
        last = (out_shape[2 + dim] - 1) * attrs["stride"][dim] - low + reach
        sides.append((max(0, low), max(0, last - (x_shape[2 + dim] - 1))))
    return Halo(tuple(sides))


def _backward(grad_shape: Shape, x_shape: Shape, w_shape: Shape, attrs: Any) -> Halo:
    """Pixel i reads the outputs (i + low - dilation * k) / stride for every tap k that divides."""
    sides = []
    for dim, (low, _) in enumerate(attrs["padding"]):
        stride, reach = attrs["stride"][dim], attrs["dilation"][dim] * (w_shape[2 + dim] - 1)
        first = -((reach - low) // stride)
        last = (x_shape[2 + dim] - 1 + low) // stride
        sides.append((max(0, -first), max(0, last - (grad_shape[2 + dim] - 1))))
    return Halo(tuple(sides))


# --- writing zeros ----------------------------------------------------------------------------


def border_task(ref: Ref, shape: Shape, halo: Halo, machine: Machine) -> Task:
    """Write zeros to the border of every picture of a batch.

    Everything outside the pictures' rows is a number of runs: one before the first row, one
    between each two rows, one behind the last.
    """
    batch, size = shape[0], ref.buffer.size
    accesses = (Access(ref.buffer, True, True),)
    runs = _runs(shape, halo)

    def make(pieces: int) -> list[Step]:
        count = pieces or pieces_for(batch, batch * len(runs) * 2)
        piece = -(-batch // count)
        kernel = _border_kernel(ref, batch, size // batch, runs, piece, machine)
        return [Step(kernel, (ref.buffer,), accesses, -(-batch // piece), batch % count == 0)]

    return Task(make, batch, accesses, about="border", prepares=True)


class _Run(NamedTuple):
    """`count` runs of `length` elements, `step` apart, from `start` in a picture on."""

    start: int
    length: int
    times: int
    step: int


def _runs(shape: Shape, halo: Halo) -> list[_Run]:
    """Runs of zeros in a picture whose rows (the last dimension of space) hold channels last."""
    channels, space = shape[1], shape[2:]
    room = [n + a + b for n, (a, b) in zip(space, halo.sides, strict=True)]
    runs: list[_Run] = []

    def visit(dim: int, start: int, unit: int) -> None:
        """The border of dimension `dim` of the part at `start`; `unit` elements make an index."""
        low, high = halo.sides[dim]
        if low:
            runs.append(_Run(start, low * unit, 1, 0))
        if high:
            runs.append(_Run(start + (low + space[dim]) * unit, high * unit, 1, 0))
        if dim + 1 < len(space):
            inner = unit // room[dim + 1]
            for index in range(space[dim]):
                visit(dim + 1, start + (low + index) * unit, inner)

    unit = channels
    for n in room[1:]:
        unit *= n
    visit(0, 0, unit)
    return _gathered(runs)


def _gathered(runs: list[_Run]) -> list[_Run]:
    """Runs of one length at equal distances as one."""
    found: list[_Run] = []
    for run in runs:
        for place, other in enumerate(found):
            ahead = run.start - (other.start + (other.times - 1) * other.step)
            fits = other.length == run.length and (other.times == 1 or ahead == other.step)
            if fits and ahead > 0:
                found[place] = _Run(other.start, run.length, other.times + 1, ahead)
                break
        else:
            found.append(run)
    return found


def _border_kernel(
    ref: Ref, batch: int, part: int, runs: list[_Run], piece: int, machine: Machine
) -> Any:
    f, args, number, _ = begin_kernel()
    base = slot_pointer(f, args, 0)
    element = {1: I8, 2: Type("i16"), 4: F32, 8: I64}[ref.buffer.dtype.itemsize]
    first = f.mul(number, f.number(piece))
    last = f.add(first, f.number(piece))
    stop = f.select(f.compare("slt", last, f.number(batch)), last, f.number(batch))
    lanes = machine.lanes(element.bytes)
    with f.loop(first, stop) as images:
        start = f.mul(images.index, f.number(part))
        for run in runs:
            with f.loop(0, run.times) as loop:
                place = f.add(
                    f.add(start, f.number(run.start)), f.mul(loop.index, f.number(run.step))
                )
                _zeros(f, f.at(base, place, element), run.length, element, lanes)
    return finish_kernel("border", f, pieces=-(-batch // piece), about="zeros around pictures")


def _zeros(f: Function, address: Val, length: int, element: Type, lanes: int) -> None:
    whole = length // lanes * lanes
    zero = f.const(0, element.of(lanes))
    if whole:
        with f.loop(0, whole, lanes) as loop:
            f.store(zero, f.at(address, loop.index, element))
    if length > whole:
        mask = f.first_lanes(length - whole, lanes)
        f.store(zero, f.at(address, whole, element), mask)
