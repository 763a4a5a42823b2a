"""Kernels of Winograd's convolutions.

`outputs_kernel` and `taps_gradient_kernel` take a block of tiles at a time through all their steps
(transform, 16 products, transform), so that the matrices of transformed tiles, four times as large
as the pictures, stay in a core's cache. The others do one step for all tiles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..emit import F32, I64, VOID, Function, Type, Val
from ..kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from ..products.kernels import lower_product
from ..products.product import Product
from .points import Points, Taps, Tiles
from .products import outputs_product, taps_product
from .tiling import POINTS, Matrices, Pictures, Tiling, in_one, in_panels

_LINE = 64  # bytes that memory is aligned to
# Elements of transformed taps that a piece reads or writes: about 20 µs.
_ELEMENTS = 130_000


@dataclass(frozen=True)
class Pieces:
    """Pieces of `blocks` blocks of tiles each; the last may have fewer."""

    tiling: Tiling
    blocks: int

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return -(-self.tiling.blocks // self.blocks)

    def emit(self, f: Function, piece: Val, body: Callable[[Val], None]) -> None:
        """A loop over the blocks of a piece."""
        first = f.mul(piece, f.number(self.blocks))
        last, most = f.add(first, f.number(self.blocks)), f.number(self.tiling.blocks)
        with f.loop(first, f.select(f.compare("slt", last, most), last, most)) as loop:
            body(loop.index)


# --- everything for a block at a time -------------------------------------------------------------


def outputs_kernel(
    x: Pictures, out: Pictures, pieces: Pieces, bias: bool, machine: Machine
) -> Kernel:
    """The kernel (x, u, out, bias) of a convolution whose taps are transformed already."""
    tiling, lanes = pieces.tiling, machine.lanes(F32.bytes)
    v, m = in_one(tiling.tiles, x.channels), in_one(tiling.tiles, out.channels)
    product = _single(outputs_product(v, in_panels(x.channels, out.channels), m), machine)
    f, args, piece, scratch = begin_kernel(machine)
    x_at, u_at, out_at = (slot_pointer(f, args, number) for number in range(3))
    bias_at = slot_pointer(f, args, 3) if bias else None
    room = _Room(f, scratch)
    v_at, m_at = room.part(4 * v.size), room.part(4 * m.size)
    multiply = _call(f, product, room, (v_at, u_at, m_at))
    inputs, outputs = Tiles(tiling, x, x_at), Tiles(tiling, out, out_at)

    def block(number: Val) -> None:
        inputs.transform(Points(f, lanes, v, v_at), number, gradient=False)
        multiply()
        outputs.write_outputs(Points(f, lanes, m, m_at), number, bias_at)

    pieces.emit(f, piece, block)
    return _composed(f, product, pieces, room.bytes, f"{x.channels} x {out.channels}")


def taps_gradient_kernel(
    x: Pictures, grad_out: Pictures, pieces: Pieces, machine: Machine
) -> Kernel:
    """The kernel (x, grad_out, parts): for each piece, the gradient of the transformed taps."""
    tiling, lanes = pieces.tiling, machine.lanes(F32.bytes)
    v = in_one(tiling.tiles, x.channels)
    d = in_panels(tiling.tiles, grad_out.channels)
    u = in_one(x.channels, grad_out.channels)
    product = _single(replace(taps_product(v, d, u), accumulate=True), machine)
    f, args, piece, scratch = begin_kernel(machine)
    x_at, grad_at, parts = (slot_pointer(f, args, number) for number in range(3))
    room = _Room(f, scratch)
    v_at, d_at = room.part(4 * v.size), room.part(4 * d.size)
    u_at = f.at(parts, f.mul(piece, f.number(u.size)), F32)
    multiply = _call(f, product, room, (v_at, d_at, u_at))
    _clear(f, u_at, u.size, lanes)
    inputs, gradients = Tiles(tiling, x, x_at), Tiles(tiling, grad_out, grad_at)

    def block(number: Val) -> None:
        inputs.transform(Points(f, lanes, v, v_at), number, gradient=False)
        gradients.transform(Points(f, lanes, d, d_at), number, gradient=True)
        multiply()

    pieces.emit(f, piece, block)
    about = f"{x.channels} x {grad_out.channels}, taps"
    return _composed(f, product, pieces, room.bytes, about)


class _Room:
    """Parts of scratch memory, one after the other."""

    def __init__(self, f: Function, base: Val) -> None:
        self._f, self._base, self.bytes = f, base, 0

    def part(self, size: int) -> Val:
        """The address of `size` bytes."""
        place = self.bytes
        self.bytes += -(-size // _LINE) * _LINE
        return self._f.emit(self._base.type, f"getelementptr i8, {self._base}, i64 {place}")


def _single(product: Product, machine: Machine) -> Kernel:
    """The one kernel of a product whose right side is in panels, so that it needs no packing."""
    (stage,) = lower_product(product, machine).stages
    return stage.kernel


def _call(f: Function, kernel: Kernel, room: _Room, operands: Sequence[Val]) -> Callable[[], None]:
    """Make a call of all pieces of a kernel ready: what is returned writes it."""
    arguments, scratch = room.part(8 * len(operands)), room.part(kernel.scratch)
    for number, operand in enumerate(operands):
        f.store(operand, f.at(arguments, number, I64))

    def write() -> None:
        with f.loop(0, kernel.pieces) as loop:
            f.call(kernel.name, VOID, arguments, loop.index, scratch)

    return write


def _clear(f: Function, start: Val, size: int, lanes: int) -> None:
    zero = f.const(0.0, F32.of(lanes))
    with f.loop(0, size, lanes) as loop:
        f.store(zero, f.at(start, loop.index, F32))


def _composed(f: Function, product: Kernel, pieces: Pieces, scratch: int, about: str) -> Kernel:
    """A kernel that calls another, which becomes part of its text."""
    kernel = finish_kernel(
        "winograd",
        f,
        pieces=pieces.count,
        scratch=scratch,
        about=f"winograd {pieces.tiling.tiles} x {about}",
        flops=product.flops * pieces.tiling.blocks,
    )
    return replace(
        kernel,
        text=f"{product.text}\n\n{kernel.text}",
        declarations=kernel.declarations | product.declarations,
    )


# --- a step for all tiles -------------------------------------------------------------------------


def matrices_kernel(
    pictures: Pictures, tiling: Tiling, matrices: Matrices, gradient: bool, machine: Machine
) -> Kernel:
    """The kernel (pictures, matrices): transformed tiles of inputs, or of gradients of outputs.

    Each block of tiles has matrices of its own, one after the other.
    """
    f, args, piece, _ = begin_kernel(machine)
    source, target = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    points = _of_block(f, matrices, target, piece, machine)
    Tiles(tiling, pictures, source).transform(points, piece, gradient)
    pixels = 4 if gradient else 16
    moved = 4 * tiling.blocks * matrices.rows * matrices.columns * (pixels + POINTS)
    about = f"transform {tiling.tiles} tiles x {matrices.columns}"
    return finish_kernel("tiles", f, pieces=tiling.blocks, about=about, bytes=moved)


def outputs_of_matrices_kernel(
    out: Pictures, tiling: Tiling, matrices: Matrices, bias: bool, machine: Machine
) -> Kernel:
    """The kernel (matrices, [bias,] out): outputs from the products of transformed tiles."""
    f, args, piece, _ = begin_kernel(machine)
    source, target = slot_pointer(f, args, 0), slot_pointer(f, args, 1 + bias)
    bias_at = slot_pointer(f, args, 1) if bias else None
    points = _of_block(f, matrices, source, piece, machine)
    Tiles(tiling, out, target).write_outputs(points, piece, bias_at)
    moved = 4 * tiling.blocks * matrices.rows * matrices.columns * (4 + POINTS)
    about = f"outputs of {tiling.tiles} tiles x {matrices.columns}"
    return finish_kernel("tiles", f, pieces=tiling.blocks, about=about, bytes=moved)


def _of_block(f: Function, matrices: Matrices, base: Val, block: Val, machine: Machine) -> Points:
    """The matrices of a block among those of all."""
    here = f.at(base, f.mul(block, f.number(matrices.size)), F32)
    return Points(f, machine.lanes(F32.bytes), matrices, here)


# --- taps -----------------------------------------------------------------------------------------


def taps_kernel(u: Matrices, turned: bool, element: Type, machine: Machine) -> Kernel:
    """The kernel (taps, u) that transforms taps (3, 3, channels, output channels) for products."""
    f, args, piece, _ = begin_kernel(machine)
    source, target = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    taps, points = Taps(element, source), Points(f, machine.lanes(F32.bytes), u, target)
    count = _rows(f, u, 1, piece, lambda row: taps.transform(points, row, turned))
    return _taps_kernel(f, "taps", u, 1, count)


def taps_back_kernel(u: Matrices, parts: int, element: Type, machine: Machine) -> Kernel:
    """The kernel (u, taps): the gradient of the taps from `parts` parts of that of U."""
    f, args, piece, _ = begin_kernel(machine)
    source, target = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    taps, points = Taps(element, target), Points(f, machine.lanes(F32.bytes), u, source)
    count = _rows(f, u, parts, piece, lambda row: taps.write_gradient(points, row, parts))
    return _taps_kernel(f, "gradient of taps", u, parts, count)


def _taps_kernel(f: Function, what: str, u: Matrices, parts: int, pieces: int) -> Kernel:
    about = f"transform {what} {u.rows} x {u.columns}"
    moved = 4 * u.rows * u.columns * (9 + POINTS * parts)
    return finish_kernel("taps", f, pieces=pieces, about=about, bytes=moved)


def _rows(
    f: Function, matrices: Matrices, parts: int, piece: Val, body: Callable[[Val], None]
) -> int:
    """A loop over the rows of a piece; how many pieces there are."""
    each = _ELEMENTS // (matrices.columns * POINTS * parts)
    each = max(1, min(matrices.rows, each))
    first = f.mul(piece, f.number(each))
    last, most = f.add(first, f.number(each)), f.number(matrices.rows)
    with f.loop(first, f.select(f.compare("slt", last, most), last, most)) as loop:
        body(loop.index)
    return -(-matrices.rows // each)
