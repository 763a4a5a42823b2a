"""Convolutions as `Product`s on pictures with their channels last.

Nothing is copied into columns: a tap of the kernel is an offset in the picture, so taps and input
channels are nested terms of a product, whose rows are output pixels and whose columns are output
channels. See `product` for the three forms.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from narae import primitives as p
from narae.base.dtypes import BFLOAT16
from narae.ir import Value
from narae.ir.program import Node

from ..products.microkernel import element_type
from ..products.product import BatchDim, Product, RowDim, TermDim
from ..products.tiles import fullest, has_tiles
from ..winograd.shape import WinogradShape, winograd_shape
from ..winograd.tiling import Pictures
from . import layout as lay
from .buffers import Buffer, Ref
from .contractions import bias_of, product_task
from .graph import Unit
from .layout import Layout
from .moving import copy_task, fill_task
from .winograd import Side, add_outputs, add_taps_gradient

if TYPE_CHECKING:
    from .lowering import Lowering


class Picture(NamedTuple):
    """A ref to pictures, taken apart: strides of batch, channels and space."""

    ref: Ref
    batch: int
    channel: int
    space: tuple[int, ...]

    @property
    def offset(self) -> int:
        """Where pixel 0 is."""
        return self.ref.layout.offset


def lower_convolution(lowering: "Lowering", unit: Unit) -> None:
    """Make the tasks of a convolution or one of its gradients."""
    node = unit.node
    assert node is not None
    if node.operation is p.conv:
        result = node.outputs[0] if unit.out is None else unit.out
        _forward(lowering, node, result, bias_of(lowering, unit))
    elif node.operation is p.conv_grad_x:
        _grad_x(lowering, node)
    else:
        _grad_w(lowering, node)


def _picture(lowering: "Lowering", value: Value) -> Picture:
    return _taken_apart(lowering, lowering.image_of(value), value)


def _taken_apart(lowering: "Lowering", ref: Ref, value: Value) -> Picture:
    batch, channel, *space = lowering.image_strides(value)
    return Picture(ref, batch, channel, tuple(space))


def _result(lowering: "Lowering", out: Value) -> Picture:
    ref = lowering.image(out)
    lowering.set_ref(out, ref)
    return _taken_apart(lowering, ref, out)


class Kernel(NamedTuple):
    """A weight (out_channels, channels, *taps) in memory as (*taps, rows, columns)."""

    ref: Ref
    taps: tuple[int, ...]
    row: int


def _kernel(lowering: "Lowering", w: Value, rows: int) -> Kernel:
    """The weight with dimension `rows` (0: output channels, 1: channels) before the other."""
    rank = len(w.shape)
    order = (*range(2, rank), rows, 1 - rows)
    ref = lowering.copied(w, order)
    strides = lay.strides_of(w.shape, order)
    return Kernel(ref, tuple(strides[2:]), strides[rows])


def _forward(lowering: "Lowering", node: Node, out_value: Value, bias: Buffer | None) -> None:
    """out[n, o, pixel] = sum over taps, channels of x[n, c, pixel * stride + tap] w[o, c, tap]."""
    x_value, w = node.operands
    attrs = node.attrs
    groups = attrs["groups"]
    x, out = _picture(lowering, x_value), _result(lowering, out_value)
    kernel = _kernel(lowering, w, 1)
    shape = winograd_shape(node, lowering.machine)
    if shape is not None:
        low = [before for before, _ in attrs["padding"]]
        _winograd(lowering, shape, x, low, kernel, False, out, bias)
        return
    channels, columns = w.shape[1], w.shape[0] // groups
    rows = [RowDim(x_value.shape[0], x.batch, out.batch)]
    terms = []
    start = x.offset
    for dim, size in enumerate(out_value.shape[2:]):
        step, low = attrs["stride"][dim], attrs["padding"][dim][0]
        rows.append(RowDim(size, x.space[dim] * step, out.space[dim]))
        tap = x.space[dim] * attrs["dilation"][dim]
        terms.append(TermDim(w.shape[2 + dim], tap, kernel.taps[dim]))
        start -= low * x.space[dim]
    terms.append(TermDim(channels, x.channel, kernel.row))
    batch = _groups(groups, channels * x.channel, columns, columns)
    _add(
        lowering,
        out_value,
        batch,
        rows,
        terms,
        columns,
        (x.ref, start),
        (kernel.ref, 0),
        (out.ref, out.offset),
        bias,
    )


def _winograd(
    lowering: "Lowering",
    shape: WinogradShape,
    x: Picture,
    low: Sequence[int],
    kernel: Kernel,
    turned: bool,
    out: Picture,
    bias: Buffer | None = None,
) -> None:
    """The same with fewer multiplications; `low` rows and columns of zeros come before x."""
    source = _in_tiles(x, low, shape.channels)
    target = _in_tiles(out, (0, 0), shape.out_channels)
    add_outputs(lowering, shape, source, kernel.ref, turned, target, bias)


def _in_tiles(picture: Picture, low: Sequence[int], channels: int) -> Side:
    row, column = picture.space
    offset = picture.offset - low[0] * row - low[1] * column
    buffer = picture.ref.buffer
    element = element_type(buffer.dtype)
    return Side(buffer, Pictures(picture.batch, row, column, offset, channels, element))


def _groups(groups: int, a: int, b: int, c: int) -> list[BatchDim]:
    return [BatchDim(groups, a, b, c)] if groups > 1 else []


def _add(
    lowering: "Lowering",
    out: Value,
    batch: Sequence[BatchDim],
    rows: Sequence[RowDim],
    terms: Sequence[TermDim],
    columns: int,
    a: tuple[Ref, int],
    b: tuple[Ref, int],
    c: tuple[Ref, int],
    bias: Buffer | None = None,
) -> None:
    """Add the task of a product of buffers, each with the place where it starts."""
    product = Product(
        tuple(batch),
        tuple(rows),
        tuple(terms),
        columns,
        1,
        a[0].buffer.dtype,
        out.dtype,
        bias=bias is not None,
        a_offset=a[1],
        b_offset=b[1],
        c_offset=c[1],
    )
    x, y, z = (ref.buffer for ref, _ in (a, b, c))
    lowering.tasks.append(product_task(product, x, y, z, lowering.machine, bias))


# --- the gradient of the input ------------------------------------------------------------------


class _Class(NamedTuple):
    """Input pixels first, first + stride, … of one dimension: which taps reach them.

    Pixel first + stride * i reads output i + shift - back * j through tap first_tap + tap_step * j.
    """

    first: int
    pixels: int
    taps: int
    first_tap: int
    tap_step: int
    shift: int
    back: int


def _classes(size: int, taps: int, stride: int, low: int, dilation: int) -> list[_Class]:
    """The pixels of one dimension by their remainder, as each sees its own taps."""
    found = []
    tap_step = stride // math.gcd(stride, dilation)
    for first in range(min(stride, size)):
        fitting = [k for k in range(taps) if (first + low - dilation * k) % stride == 0]
        count = len(range(first, size, stride))
        tap = fitting[0] if fitting else 0
        shift = (first + low - dilation * tap) // stride
        back = dilation * tap_step // stride
        found.append(_Class(first, count, len(fitting), tap, tap_step, shift, back))
    return found


def _grad_x(lowering: "Lowering", node: Node) -> None:
    """Every input pixel collects the output pixels whose windows it was in."""
    grad_value, w = node.operands
    out_value = node.outputs[0]
    attrs = node.attrs
    grad, out = _picture(lowering, grad_value), _result(lowering, out_value)
    kernel = _kernel(lowering, w, 0)
    shape = winograd_shape(node, lowering.machine)
    if shape is not None:
        low = [2 - before for before, _ in attrs["padding"]]
        _winograd(lowering, shape, grad, low, kernel, True, out)
        return
    classes = [
        _classes(
            size,
            w.shape[2 + dim],
            attrs["stride"][dim],
            attrs["padding"][dim][0],
            attrs["dilation"][dim],
        )
        for dim, size in enumerate(out_value.shape[2:])
    ]
    for chosen in _combinations(classes):
        _grad_x_of(lowering, node, chosen, grad, out, kernel)


def _combinations(classes: Sequence[Sequence[_Class]]) -> list[tuple[_Class, ...]]:
    found: list[tuple[_Class, ...]] = [()]
    for each in classes:
        found = [(*before, one) for before in found for one in each]
    return found


def _grad_x_of(
    lowering: "Lowering",
    node: Node,
    classes: Sequence[_Class],
    grad: Picture,
    out: Picture,
    kernel: Kernel,
) -> None:
    grad_value, w = node.operands
    groups, stride = node.attrs["groups"], node.attrs["stride"]
    if not all(each.taps for each in classes):
        _clear(lowering, node.outputs[0].shape, classes, stride, out.ref)
        return
    out_channels, columns = w.shape[0] // groups, w.shape[1]
    rows = [RowDim(grad_value.shape[0], grad.batch, out.batch)]
    terms = []
    starts = [grad.offset, 0, out.offset]
    for dim, each in enumerate(classes):
        rows.append(RowDim(each.pixels, grad.space[dim], out.space[dim] * stride[dim]))
        terms.append(
            TermDim(each.taps, -each.back * grad.space[dim], each.tap_step * kernel.taps[dim])
        )
        starts[0] += each.shift * grad.space[dim]
        starts[1] += each.first_tap * kernel.taps[dim]
        starts[2] += each.first * out.space[dim]
    terms.append(TermDim(out_channels, grad.channel, kernel.row))
    batch = _groups(groups, out_channels * grad.channel, out_channels * kernel.row, columns)
    _add(
        lowering,
        node.outputs[0],
        batch,
        rows,
        terms,
        columns,
        (grad.ref, starts[0]),
        (kernel.ref, starts[1]),
        (out.ref, starts[2]),
    )


def _clear(
    lowering: "Lowering",
    shape: Sequence[int],
    classes: Sequence[_Class],
    stride: Sequence[int],
    out: Ref,
) -> None:
    """Pixels that no window covers get zeros."""
    start = (0, 0, *(each.first for each in classes))
    layout = lay.sliced(out.layout, start, shape, (1, 1, *stride))
    assert layout is not None
    part = Ref(out.buffer, layout)
    lowering.tasks.append(fill_task(part, 0.0, layout.shape, lowering.machine))


# --- the gradient of the weight -----------------------------------------------------------------


def _grad_w(lowering: "Lowering", node: Node) -> None:
    """w'[o, c, tap] = sum over n and pixels of x[n, c, pixel * stride + tap] grad[n, o, pixel]."""
    grad_value, x_value = node.operands
    out = node.outputs[0]
    attrs = node.attrs
    groups = attrs["groups"]
    grad, x = _picture(lowering, grad_value), _picture(lowering, x_value)
    channels, columns = out.shape[1], out.shape[0] // groups
    order = (*range(2, len(out.shape)), 1, 0)
    strides = lay.strides_of(out.shape, order)
    buffer = lowering.new_buffer(out.dtype, out.size, out.name)
    ref = Ref(buffer, lay.strided(out.shape, strides))
    shape = winograd_shape(node, lowering.machine)
    if shape is not None:
        low = [before for before, _ in attrs["padding"]]
        inputs = _in_tiles(x, low, shape.channels)
        grads = _in_tiles(grad, (0, 0), shape.out_channels)
        add_taps_gradient(lowering, shape, inputs, grads, buffer)
        _deliver(lowering, out, ref)
        return
    x = _for_tiles(lowering, x, x_value, grad_value, out.shape, attrs)
    rows, terms = [], [TermDim(x_value.shape[0], x.batch, grad.batch)]
    start = x.offset
    for dim, size in enumerate(grad_value.shape[2:]):
        rows.append(
            RowDim(out.shape[2 + dim], x.space[dim] * attrs["dilation"][dim], strides[2 + dim])
        )
        terms.append(TermDim(size, x.space[dim] * attrs["stride"][dim], grad.space[dim]))
        start -= attrs["padding"][dim][0] * x.space[dim]
    rows.append(RowDim(channels, x.channel, strides[1]))
    terms.sort(key=lambda dim: -abs(dim.a))
    batch = _groups(groups, channels * x.channel, columns * grad.channel, columns)
    _add(
        lowering,
        out,
        batch,
        rows,
        terms,
        columns,
        (x.ref, start),
        (grad.ref, grad.offset),
        (ref, 0),
    )
    _deliver(lowering, out, ref)


def _for_tiles(
    lowering: "Lowering", x: Picture, value: Value, grad: Value, w_shape: Sequence[int], attrs: Any
) -> Picture:
    """The pictures as tiles sum over them, if that is possible: images or columns innermost.

    In a copy, images (or the pixels of a row) are next to each other, channel after channel. It
    has all that the taps reach, so that a tap is an offset in it, too.
    """
    if grad.dtype != BFLOAT16 or not has_tiles(lowering.machine):
        return x
    terms = [grad.shape[0], grad.shape[-1] if attrs["stride"][-1] == 1 else 0]
    inner = fullest(w_shape[1], terms, w_shape[0] // attrs["groups"])
    if inner is None:
        return x
    room = [value.shape[0]]
    for dim, size in enumerate(grad.shape[2:]):
        reach = attrs["dilation"][dim] * (w_shape[2 + dim] - 1)
        room.append((size - 1) * attrs["stride"][dim] + reach + 1)
    sizes = (*room, value.shape[1])
    last = len(room) - 1 if inner else 0
    order = (*(n for n in range(len(room)) if n != last), len(room), last)
    low = [before for before, _ in attrs["padding"]]
    start = x.offset - sum(n * step for n, step in zip(low, x.space, strict=True))
    read = (x.batch, *x.space, x.channel)
    buffer = lowering.new_buffer(value.dtype, math.prod(sizes), "turned pictures")
    source, target = lay.strided(sizes, read, start), lay.dense(sizes, order)
    task = copy_task(Ref(x.ref.buffer, source), Ref(buffer, target), lowering.machine)
    lowering.tasks.append(task)
    batch, *space, channel = lay.strides_of(sizes, order)
    first = sum(n * step for n, step in zip(low, space, strict=True))
    return Picture(Ref(buffer, target._replace(offset=first)), batch, channel, tuple(space))


def _deliver(lowering: "Lowering", out: Value, ref: Ref) -> None:
    """Bring the gradient of a weight to where it has to be."""
    lowering.set_ref(out, ref)
    home = lowering.decided(out)
    if home is not None:
        lowering.tasks.append(copy_task(ref, home, lowering.machine))
        lowering.set_ref(out, home)


__all__ = ["Layout", "Picture", "lower_convolution"]
