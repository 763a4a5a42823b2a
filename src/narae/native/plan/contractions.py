"""Matrix products as `Product`s on buffers, and products as tasks."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BFLOAT16
from narae.ir import Value

from ..kernel import Machine
from ..products.dots import MOST_ROWS
from ..products.kernels import lower_product
from ..products.limits import CACHE
from ..products.product import BatchDim, Product, RowDim, TermDim
from ..products.tiles import fits_tiles, has_tiles
from . import layout as lay
from .buffers import Access, Buffer, Ref, Step, Task
from .graph import Unit
from .groups import through
from .layout import Layout
from .moving import copy_task
from .nest_tasks import is_parted

if TYPE_CHECKING:
    from .lowering import Lowering

_BYTE = np.dtype(np.uint8)
# Floating-point operations in a nanosecond, at least; to decide into how many pieces to cut.
FLOPS_PER_NANOSECOND = 50
# Fewer rows do not make good use of the matrix they are multiplied by.
ROWS_OF_A_PIECE = 32


def lower_product_unit(lowering: "Lowering", unit: Unit) -> None:
    """Make the tasks of a matrix product or a convolution."""
    from .convolutions import lower_convolution

    assert unit.node is not None
    if unit.node.operation is p.matmul:
        _lower_matmul(lowering, unit)
    else:
        lower_convolution(lowering, unit)


def bias_of(lowering: "Lowering", unit: Unit) -> Buffer | None:
    """The vector that a product adds to every row."""
    return lowering.densely(unit.bias).buffer if unit.bias is not None else None


# --- matrix products --------------------------------------------------------------------------


def _lower_matmul(lowering: "Lowering", unit: Unit) -> None:
    node = unit.node
    assert node is not None
    x, y = (lowering.ref(operand) for operand in node.operands)
    out = node.outputs[0]
    if unit.bias is None and _better_turned(x.layout, y.layout):
        # out.T = y.T @ x.T reads memory along columns
        x, y = Ref(y.buffer, _turned(y.layout)), Ref(x.buffer, _turned(x.layout))
        shape = (*out.shape[:-2], out.shape[-1], out.shape[-2])
        ref = _multiply(lowering, x, y, shape, out, None)
        lowering.set_ref(out, Ref(ref.buffer, _turned(ref.layout)))
        _bring_home(lowering, out)
        return
    result = out if unit.out is None else unit.out
    home = lowering.decided(result)
    inner = home and lay.reshaped(home.layout, out.shape)
    fits = inner is not None and _column_stride(inner) in (1, 0)
    target = Ref(home.buffer, inner) if home and inner and fits else None
    ref = _multiply(lowering, x, y, out.shape, out, target, bias_of(lowering, unit))
    shown = through(unit.views, ref.layout)
    assert shown is not None
    lowering.set_ref(result, Ref(ref.buffer, shown))
    if not fits:
        _bring_home(lowering, result)


def _better_turned(x: Layout, y: Layout) -> bool:
    """Whether x's rows make better columns than y's columns: in order of memory, and more of them.

    Columns go through vectors, a row of B is read at once; so the more columns, the better.
    """
    if _column_stride(_turned(x)) != 1:
        return False
    rows, columns = x.shape[-2], y.shape[-1]
    return _column_stride(y) != 1 or rows >= 2 * columns


def _bring_home(lowering: "Lowering", out: Value) -> None:
    """Copy a result to where it has to be, if it was computed elsewhere."""
    home = lowering.decided(out)
    if home is not None:
        lowering.tasks.append(copy_task(lowering.ref(out), home, lowering.machine))
        lowering.set_ref(out, home)


def _turned(layout: Layout) -> Layout:
    """The last two dimensions exchanged."""
    return Layout((*layout.dims[:-2], layout.dims[-1], layout.dims[-2]), layout.offset)


def _column_stride(layout: Layout) -> int | None:
    """The stride of the last dimension (0 if its size is 1); None if it has several."""
    dim = layout.dims[-1]
    if len(dim) > 1:
        return None
    return dim[0][1] if dim else 0


def _multiply(
    lowering: "Lowering",
    x: Ref,
    y: Ref,
    shape: Sequence[int],
    out: Value,
    home: Ref | None,
    bias: Buffer | None = None,
) -> Ref:
    """x @ y into `home`, or into a new buffer whose rows are in the order of x's."""
    if _column_stride(y.layout) is None:
        y = _densely(lowering, y, out.dtype)
    if _should_line_up(x.layout, y.layout) or _should_fit_tiles(lowering.machine, x, y):
        x = _densely(lowering, x, x.buffer.dtype)
    batch_shape = tuple(shape[:-2])
    leading = [lay.expanded(Layout(z.layout.dims[:-2]), batch_shape).dims for z in (x, y)]
    batch = _joint(*leading)
    terms = _joint((x.layout.dims[-1],), (y.layout.dims[-2],))
    if batch is None or terms is None:
        x, y = _densely(lowering, x, out.dtype), _densely(lowering, y, out.dtype)
        return _multiply(lowering, x, y, shape, out, home, bias)
    rows = list(x.layout.dims[-2])
    columns = shape[-1]
    if home is None:
        layout = _result_layout(batch.sizes, batch.strides[0], rows, columns, batch_shape)
        home = Ref(lowering.new_buffer(out.dtype, math.prod(shape), out.name), layout)
    places = _joint(*leading, home.layout.dims[:-2])
    row_places = _joint((x.layout.dims[-2],), (home.layout.dims[-2],))
    assert places is not None and row_places is not None
    batch_dims = [BatchDim(*dim) for dim in zip(places.sizes, *places.strides, strict=True)]
    row_dims = [RowDim(*dim) for dim in zip(row_places.sizes, *row_places.strides, strict=True)]
    term_dims = [TermDim(*dim) for dim in zip(terms.sizes, *terms.strides, strict=True)]
    if all(dim.b == 0 for dim in batch_dims):  # one matrix for all: more rows
        row_dims = [RowDim(dim.size, dim.a, dim.c) for dim in batch_dims] + row_dims
        batch_dims = []
    rows_of_a = math.prod(dim.size for dim in row_dims)
    a_bytes = rows_of_a * math.prod(terms.sizes) * x.buffer.dtype.itemsize
    by_b = columns > rows_of_a and a_bytes <= CACHE  # B comes from memory: read it in its order
    product = Product(
        tuple(sorted(batch_dims, key=lambda dim: -abs(dim.c))),
        tuple(sorted(row_dims, key=lambda dim: -abs(dim.c))),
        tuple(sorted(term_dims, key=lambda dim: -abs(dim.b if by_b else dim.a))),
        columns,
        _column_stride(y.layout) or 1,
        x.buffer.dtype,
        home.buffer.dtype,
        bias=bias is not None,
        a_offset=x.layout.offset,
        b_offset=y.layout.offset,
        c_offset=home.layout.offset,
    )
    task = product_task(product, x.buffer, y.buffer, home.buffer, lowering.machine, bias)
    lowering.tasks.append(task)
    return home


def _should_line_up(x: Layout, y: Layout) -> bool:
    """Whether to copy few rows, so that their terms lie as those of a large matrix do.

    before: x (1, 64 × 49) in the order 49 × 64, y.T (10, 3136): one number at a time
    after:  x (1, 3136) dense, y.T (10, 3136): dot products of vectors
    """
    terms_x, terms_y = x.dims[-1], y.dims[-2]
    in_line = len(terms_y) == 1 and terms_y[0][1] == 1 and _column_stride(y) != 1
    few = math.prod(x.shape[:-1]) <= MOST_ROWS
    return in_line and few and (len(terms_x) > 1 or any(stride != 1 for _, stride in terms_x))


def _should_fit_tiles(machine: Machine, x: Ref, y: Ref) -> bool:
    """Whether to copy rows, so that their terms are next to each other and tiles can take them."""
    if x.buffer.dtype != BFLOAT16 or not has_tiles(machine):
        return False
    (*_, rows, terms), columns = x.layout.shape, y.layout.shape[-1]
    near = [size for size, stride in x.layout.dims[-1][-1:] if stride == 1]
    fits_now = bool(near) and fits_tiles(rows, near[0], columns)
    return not fits_now and fits_tiles(rows, terms, columns)


def _joint(*dims: Sequence[lay.Dim]) -> lay.Loops | None:
    return lay.common_loops([Layout(tuple(each)) for each in dims])


def _densely(lowering: "Lowering", ref: Ref, dtype: Any) -> Ref:
    shape = ref.layout.shape
    copy = Ref(lowering.new_buffer(dtype, math.prod(shape), "copy"), lay.dense(shape))
    lowering.tasks.append(copy_task(ref, copy, lowering.machine))
    return copy


def _result_layout(
    batch: Sequence[int],
    batch_strides: Sequence[int],
    rows: Sequence[lay.Factor],
    columns: int,
    batch_shape: Sequence[int],
) -> Layout:
    """Without gaps: batch outermost, then rows, both in the order of x's memory, then columns."""
    places: list[tuple[int, int, int, int]] = []  # rank, -stride, order, size
    pairs = zip(batch, batch_strides, strict=True)
    places += [(0, -abs(s), n, size) for n, (size, s) in enumerate(pairs)]
    places += [(1, -abs(s), n, size) for n, (size, s) in enumerate(rows)]
    strides: dict[tuple[int, int], int] = {}
    stride = columns
    for rank, _, number, size in sorted(places, reverse=True):
        strides[rank, number] = stride
        stride *= size
    batch_dims = lay.reshaped(
        lay.strided(batch, [strides[0, n] for n in range(len(batch))]), batch_shape
    )
    assert batch_dims is not None
    row_dim = lay.merged([(size, strides[1, n]) for n, (size, _) in enumerate(rows)])
    return Layout((*batch_dims.dims, row_dim, lay.merged([(columns, 1)])))


# --- products as tasks ------------------------------------------------------------------------


def product_task(
    product: Product, a: Buffer, b: Buffer, c: Buffer, machine: Machine, bias: Buffer | None = None
) -> Task:
    """A task that runs a product; packing and partial sums are steps of it."""
    outer: tuple[Any, ...] = (*product.batch, *product.rows)
    size = outer[0].size if outer else 1
    every: tuple[Any, ...] = (*outer, *product.terms)
    a_parted = _parted(a, [(d.size, d.a) for d in every], product.a_offset)
    c_dims = [*((d.size, d.c) for d in outer), (product.columns, 1)]
    c_parted = _parted(c, c_dims, product.c_offset)
    b_parted = False
    if product.batch:
        inner: tuple[Any, ...] = (*product.batch, *product.terms)
        b_dims = [(d.size, d.b) for d in inner]
        b_parted = _parted(b, [*b_dims, (product.columns, product.column_stride)], product.b_offset)
    accesses = [Access(a, False, a_parted), Access(b, False, b_parted), Access(c, True, c_parted)]
    if bias is not None:
        accesses.append(Access(bias, False, False))
    flops = 2 * product.columns * math.prod(d.size for d in every)
    named = {"a": a, "b": b, "c": c, "bias": bias}

    def make(pieces: int) -> list[Step]:
        piece = size // pieces if pieces and size % pieces == 0 else None
        lowered = lower_product(product, machine, piece)
        buffers: dict[str, Any] = dict(named)
        for name, room in lowered.temporaries.items():
            buffers[name] = Buffer(_BYTE, room, about=name)
        steps = []
        for stage in lowered.stages:
            slots = tuple(buffers[name] for name in stage.slots)
            even = piece is not None and stage.aligned_rows == piece
            even = even and stage.kernel.pieces == pieces
            used = _stage_accesses(stage.slots, slots, accesses)
            steps.append(Step(stage.kernel, slots, used, stage.kernel.pieces, even))
        return steps

    inner_rows = math.prod(d.size for d in outer[1:])
    most = max(1, size * inner_rows // ROWS_OF_A_PIECE) if a_parted and c_parted else 1
    nanoseconds = flops / FLOPS_PER_NANOSECOND
    return Task(
        make, size, tuple(accesses), about="product", nanoseconds=nanoseconds, most_pieces=most
    )


def _stage_accesses(
    names: Sequence[str], slots: Sequence[Buffer], accesses: Sequence[Access]
) -> tuple[Access, ...]:
    """What a stage reads and writes: packing fills "packed", sums fill C, others their slot 2."""
    writes = 1 if names[0] in ("b", "partials") else 2
    found = []
    for number, buffer in enumerate(slots):
        known = [x for x in accesses if x.buffer is buffer]
        found.append(Access(buffer, number == writes, any(x.parted for x in known)))
    return tuple(found)


def _parted(buffer: Buffer, dims: Sequence[lay.Factor], offset: int) -> bool:
    if not dims:
        return False
    sizes, strides = [n for n, _ in dims], [s for _, s in dims]
    return is_parted(buffer.size, sizes, strides, offset)


__all__ = ["lower_product_unit", "product_task"]
