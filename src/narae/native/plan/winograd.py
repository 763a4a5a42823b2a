"""Convolutions of 3 x 3 taps as Winograd's, where these need far fewer multiplications."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..kernel import Kernel
from ..products.microkernel import element_type
from ..winograd import kernels
from ..winograd.products import outputs_product, taps_product
from ..winograd.shape import LEAST_BLOCK, WinogradShape, divisor_near, tiling_of
from ..winograd.tiling import POINTS, Matrices, Pictures, Tiling, in_one, in_panels
from .buffers import Access, Buffer, Ref, Step, Task
from .contractions import FLOPS_PER_NANOSECOND, product_task

if TYPE_CHECKING:
    from .lowering import Lowering

# Partial sums of the gradient of the taps: at most so many, each of its own piece.
MOST_PARTS = 16
# With fewer blocks, those who wait for work are more than what a step for all tiles costs, ...
FEW_BLOCKS = 8
# ... if each block has to read so many bytes of transformed taps.
MANY_TAPS = 2_000_000


class Side(NamedTuple):
    """Pictures in a buffer."""

    buffer: Buffer
    place: Pictures

    def access(self, images: int, writes: bool) -> Access:
        """Reading or writing it tile by tile."""
        return Access(self.buffer, writes, self.place.image * images == self.buffer.size)


# --- a convolution --------------------------------------------------------------------------------


def add_outputs(
    lowering: "Lowering",
    shape: WinogradShape,
    x: Side,
    taps: Ref,
    turned: bool,
    out: Side,
    bias: Buffer | None,
) -> None:
    """Tasks that convolve; `taps` are (3, 3, channels, output channels) in memory."""
    u = in_panels(shape.channels, shape.out_channels)
    transformed = lowering.new_buffer(np.float32, u.size, "transformed taps")
    element = element_type(taps.buffer.dtype)
    kernel = kernels.taps_kernel(u, turned, element, lowering.machine)
    task = _plain_task(kernel, (taps.buffer,), transformed)
    task.prepares = True
    lowering.tasks.append(task)
    tiling = tiling_of(shape, shape.images)
    if tiling.blocks < FEW_BLOCKS and 4 * u.size > MANY_TAPS:
        _add_outputs_by_steps(lowering, tiling, x, transformed, out, bias)
    else:
        lowering.tasks.append(_outputs_task(lowering, shape, x, transformed, out, bias))


def _outputs_task(
    lowering: "Lowering",
    shape: WinogradShape,
    x: Side,
    taps: Buffer,
    out: Side,
    bias: Buffer | None,
) -> Task:
    """One task, which takes a block of tiles at a time through all steps."""
    accesses = [x.access(shape.images, False), Access(taps, False, False)]
    accesses.append(out.access(shape.images, True))
    if bias is not None:
        accesses.append(Access(bias, False, False))
    slots = tuple(access.buffer for access in accesses)

    def make(wished: int) -> list[Step]:
        pieces = _pieces(shape, wished)
        kernel = kernels.outputs_kernel(
            x.place, out.place, pieces, bias is not None, lowering.machine
        )
        whole_images = pieces.blocks % pieces.tiling.per_group == 0
        even = whole_images and shape.images % kernel.pieces == 0
        return [Step(kernel, slots, tuple(accesses), kernel.pieces, even)]

    flops = 2 * POINTS * shape.tiles * shape.channels * shape.out_channels
    return Task(
        make,
        shape.images,
        tuple(accesses),
        about="winograd",
        nanoseconds=flops / FLOPS_PER_NANOSECOND,
        most_pieces=max(1, min(shape.images, shape.tiles // LEAST_BLOCK)),
    )


def _pieces(shape: WinogradShape, wished: int) -> kernels.Pieces:
    if wished and shape.images % wished == 0:
        tiling = tiling_of(shape, shape.images // wished)
        return kernels.Pieces(tiling, tiling.blocks // wished)
    tiling = tiling_of(shape, shape.images, FEW_BLOCKS)
    return kernels.Pieces(tiling, divisor_near(tiling.blocks, max(1, tiling.blocks / 64)))


def _add_outputs_by_steps(
    lowering: "Lowering", tiling: Tiling, x: Side, taps: Buffer, out: Side, bias: Buffer | None
) -> None:
    """A task for each step, which does it for all tiles."""
    channels, out_channels = x.place.channels, out.place.channels
    v, m = in_one(tiling.tiles, channels), in_one(tiling.tiles, out_channels)
    inputs = _transformed(lowering, x, tiling, v, False)
    outputs = lowering.new_buffer(np.float32, tiling.blocks * m.size, "tiles")
    product = outputs_product(v, in_panels(channels, out_channels), m, tiling.blocks)
    lowering.tasks.append(product_task(product, inputs, taps, outputs, lowering.machine))
    kernel = kernels.outputs_of_matrices_kernel(
        out.place, tiling, m, bias is not None, lowering.machine
    )
    read = (outputs,) if bias is None else (outputs, bias)
    lowering.tasks.append(_plain_task(kernel, read, out.buffer))


# --- the gradient of the taps ---------------------------------------------------------------------


def add_taps_gradient(
    lowering: "Lowering", shape: WinogradShape, x: Side, grad_out: Side, out: Buffer
) -> None:
    """Tasks for the gradient of the taps, which is (3, 3, channels, output channels) in memory."""
    u = in_one(shape.channels, shape.out_channels)
    tiling = tiling_of(shape, shape.images, MOST_PARTS)
    matrices = POINTS * shape.tiles * (shape.channels + shape.out_channels)
    parts = divisor_near(tiling.blocks, min(MOST_PARTS, matrices / (2 * u.size)))
    if parts >= MOST_PARTS // 4:
        sums = lowering.new_buffer(np.float32, parts * u.size, "gradients of transformed taps")
        pieces = kernels.Pieces(tiling, tiling.blocks // parts)
        kernel = kernels.taps_gradient_kernel(x.place, grad_out.place, pieces, lowering.machine)
        lowering.tasks.append(_plain_task(kernel, (x.buffer, grad_out.buffer), sums))
    else:
        parts, sums = 1, _sums_by_steps(lowering, tiling, x, grad_out, u)
    kernel = kernels.taps_back_kernel(u, parts, element_type(out.dtype), lowering.machine)
    lowering.tasks.append(_plain_task(kernel, (sums,), out))


def _sums_by_steps(
    lowering: "Lowering", tiling: Tiling, x: Side, grad_out: Side, u: Matrices
) -> Buffer:
    """A task for each step, since partial sums would be larger than all transformed tiles."""
    v, d = in_one(tiling.tiles, x.place.channels), in_panels(tiling.tiles, grad_out.place.channels)
    inputs = _transformed(lowering, x, tiling, v, False)
    gradients = _transformed(lowering, grad_out, tiling, d, True)
    sums = lowering.new_buffer(np.float32, u.size, "gradients of transformed taps")
    product = taps_product(v, d, u, tiling.blocks)
    lowering.tasks.append(product_task(product, inputs, gradients, sums, lowering.machine))
    return sums


def _transformed(
    lowering: "Lowering", side: Side, tiling: Tiling, matrices: Matrices, is_gradient: bool
) -> Buffer:
    """The matrices of all blocks of tiles."""
    buffer = lowering.new_buffer(np.float32, tiling.blocks * matrices.size, "tiles")
    kernel = kernels.matrices_kernel(side.place, tiling, matrices, is_gradient, lowering.machine)
    lowering.tasks.append(_plain_task(kernel, (side.buffer,), buffer))
    return buffer


def _plain_task(kernel: Kernel, read: tuple[Buffer, ...], written: Buffer) -> Task:
    """A task of one kernel (read, written), whatever its pieces are."""
    accesses = (*(Access(b, False, False) for b in read), Access(written, True, False))
    step = Step(kernel, (*read, written), accesses, kernel.pieces)
    return Task(lambda _: [step], 1, accesses, about=kernel.about)
