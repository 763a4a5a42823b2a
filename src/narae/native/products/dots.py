"""Dot products: few rows times a B whose terms, not its columns, are next to each other.

    C[r, n] = (0, bias[n] or C[r, n]) + sum over lanes of (sum over t of A[r, t] * B[t, n])

A vector of A and one of B lie along the terms; each sum is a vector, whose lanes are added up at
the end. So a weight that is read once is neither packed nor turned. Its meaning is that of
`microkernel.meaning`, with columns that are `column_stride` apart in B.
"""

from collections.abc import Sequence

from ..emit import Function, Int, Type, Val
from .form import count
from .microkernel import Block, load_as, memory_type, store_as
from .product import Product, TermDim

MOST_ROWS = 4


def suits_dots(product: Product, lanes: int) -> bool:
    """Whether a product should be made of dot products."""
    if not product.terms or product.b_constant:
        return False
    inner = product.terms[-1]
    along = inner.a == inner.b == 1 and inner.size >= 2 * lanes
    apart = product.column_stride != 1 or product.columns == 1
    few = count(product.rows) <= MOST_ROWS or product.columns <= 2
    return along and apart and few


def emit_dots(
    f: Function,
    block: Block,
    column_stride: int,
    a: Val,
    b: Val,
    c: Val,
    bias: Val | None = None,
    terms: Int | None = None,
) -> None:
    """Write a block's code; `terms`, if given, is the size of its outermost dimension."""
    sizes: list[tuple[TermDim, Int]] = [(dim, dim.size) for dim in block.terms]
    if terms is not None:
        sizes[0] = (block.terms[0], terms)
    places = [(r, n) for r in range(len(block.c_rows)) for n in range(block.columns)]
    zero = f.const(0.0, block.sum_type.of(block.lanes))
    columns = [n * column_stride for n in range(block.columns)]
    sums = _sum_terms(f, block, columns, sizes, a, b, [zero] * len(places))
    for (row, column), x in zip(places, sums, strict=True):
        total = _add_lanes(f, x)
        at = f.at(c, block.c_rows[row] + column, memory_type(block.c_type))
        if "c" in block.start.split("+"):
            total = f.add(load_as(f, at, block.c_type, block.sum_type), total)
        if bias is not None and "bias" in block.start:
            place = f.at(bias, column, memory_type(block.c_type))
            total = f.add(load_as(f, place, block.c_type, block.sum_type), total)
        store_as(f, total, at, block.c_type)


def _sum_terms(
    f: Function,
    block: Block,
    columns: Sequence[int],
    dims: Sequence[tuple[TermDim, Int]],
    a: Val,
    b: Val,
    sums: list[Val],
) -> list[Val]:
    """Loops over the terms; the innermost one takes a vector at a time."""
    (dim, size), inner = dims[0], dims[1:]
    a_type, b_type = memory_type(block.a_type), memory_type(block.b_type)
    if inner:
        with f.loop(0, size, 1, [a, b, *sums]) as loop:
            at_a, at_b, *inside = loop.carried
            inside = _sum_terms(f, block, columns, inner, at_a, at_b, inside)
            loop.next = [f.at(at_a, dim.a, a_type), f.at(at_b, dim.b, b_type), *inside]
        return loop.results[2:]
    lanes = block.lanes
    whole = f.sub(f.number(size), f.binary("urem", f.number(size), f.number(lanes)))
    with f.loop(0, whole, lanes, [a, b, *sums]) as loop:
        at_a, at_b, *inside = loop.carried
        inside = _multiply(f, block, columns, at_a, at_b, inside, lanes)
        loop.next = [f.at(at_a, lanes, a_type), f.at(at_b, lanes, b_type), *inside]
    a, b, *sums = loop.results
    if isinstance(size, int):
        left = size % lanes
        return _multiply(f, block, columns, a, b, sums, left) if left else sums
    with f.loop(whole, size, 1, [a, b, *sums]) as loop:
        at_a, at_b, *inside = loop.carried
        inside = _multiply(f, block, columns, at_a, at_b, inside, 1)
        loop.next = [f.at(at_a, 1, a_type), f.at(at_b, 1, b_type), *inside]
    return loop.results[2:]


def _multiply(
    f: Function,
    block: Block,
    columns: Sequence[int],
    a: Val,
    b: Val,
    sums: list[Val],
    terms: int,
) -> list[Val]:
    """The next few terms, at most one a lane."""

    def vectors(base: Val, offsets: Sequence[int], kind: Type) -> list[Val]:
        out = block.sum_type.of(block.lanes)
        places = [f.at(base, offset, memory_type(kind)) for offset in offsets]
        return [load_as(f, at, kind, out, terms) for at in places]

    y = vectors(b, columns, block.b_type)
    x = vectors(a, block.a_rows, block.a_type)
    pairs = [(row, column) for row in x for column in y]
    return [f.fma(p, q, z) for (p, q), z in zip(pairs, sums, strict=True)]


def _add_lanes(f: Function, x: Val) -> Val:
    """The sum of a vector's lanes, halves first."""
    while x.type.lanes > 1:
        half = x.type.lanes // 2
        low, high = f.shuffle(x, None, range(half)), f.shuffle(x, None, range(half, 2 * half))
        x = f.add(low, high)
    return f.extract(x, 0)
