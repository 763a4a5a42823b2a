"""The register block: a small tile of C, summed over all its terms in vector registers.

    C[r, n] = (0, bias[n] or C[r, n]) + sum over terms t of A[r, t] * B[t, n]

Each row r is at a constant distance in A and in C, so a tile may span several dimensions of an
image. A row of B is loaded as vectors, an element of A is put into every lane, and each of the
rows x vectors accumulators takes one fused multiply-add a term. `meaning` says the same in NumPy.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.base.dtypes import BFLOAT16, NumpyDType

from ..emit import BF16, F16, F32, F64, I1, I16, I32, Function, Int, Type, Val
from ..halves import extended, shortened
from .pairs import load_pair, multiply_pairs
from .product import TermDim

Array = np.ndarray[Any, Any]
_TYPES = {np.dtype(np.float16): F16, np.dtype(np.float32): F32, np.dtype(np.float64): F64}


def element_type(dtype: NumpyDType) -> Type:
    """LLVM's type of a floating-point dtype."""
    return BF16 if dtype == BFLOAT16 else _TYPES[dtype]


def sum_type(dtype: NumpyDType) -> Type:
    """The type that sums are kept in: float32 for 16-bit numbers."""
    return F64 if dtype == np.float64 else F32


@dataclass(frozen=True)
class Block:
    """A register tile.

    Attributes:
        a_rows, c_rows: where each row is in A and C, in elements from the tile's beginning.
        terms: nested dimensions that are summed over, outermost first; strides as in `a` and `b`.
        columns: how many columns; those beyond a whole number of vectors are masked.
        lanes: elements of a vector of sums.
        a_type, b_type, c_type, sum_type: of the elements in memory, and of the sums.
        start: what the sums begin with: "zero", "bias", "c" (what C holds), or "c+bias".
        unroll: how many terms a round of the innermost loop takes.
        pairs: whether a term is a pair of bfloat16 terms, and B made of such pairs (see `pairs`).
    """

    a_rows: tuple[int, ...]
    c_rows: tuple[int, ...]
    terms: tuple[TermDim, ...]
    columns: int
    lanes: int
    a_type: Type
    b_type: Type
    c_type: Type
    sum_type: Type
    start: str = "zero"
    unroll: int = 1
    pairs: bool = False

    @property
    def vectors(self) -> int:
        """How many vectors a row takes."""
        return -(-self.columns // self.lanes)


def meaning(block: Block, a: Array, b: Array, c: Array, bias: Array | None = None) -> None:
    """What `emit_block` computes, on flat arrays that begin at the tile's addresses.

    With pairs, B has a second dimension, of size 2.
    """
    kind = np.float64 if block.sum_type == F64 else np.float32
    columns = slice(0, block.columns)
    for a_row, c_row in zip(block.a_rows, block.c_rows, strict=True):
        total: Array = np.zeros(block.columns, kind)
        if "c" in block.start.split("+"):
            total = total + c[c_row:][columns]
        if bias is not None and "bias" in block.start:
            total = total + bias[columns]
        for index in itertools.product(*(range(dim.size) for dim in block.terms)):
            x = a[a_row + sum(i * dim.a for i, dim in zip(index, block.terms, strict=True)) :]
            row = b[sum(i * dim.b for i, dim in zip(index, block.terms, strict=True)) :]
            for half in range(1 + block.pairs):
                y = row[columns, half] if block.pairs else row[columns]
                total = total + x[half].astype(kind) * y.astype(kind)
        c[c_row:][columns] = total


# --- elements in memory ---------------------------------------------------------------------------


def widen(f: Function, x: Val, kind: Type) -> Val:
    """Floating-point numbers as `kind`, exactly; bfloat16 is given as int16."""
    if x.type.scalar == kind.scalar:
        return x
    if x.type.scalar == "i16":
        wide = f.convert("zext", x, I32.like(x.type))
        high = f.binary("shl", wide, f.const(16, wide.type))
        x = f.convert("bitcast", high, F32.like(x.type))
    if x.type.scalar == "half":
        x = extended(f, x)
    return x if x.type.scalar == kind.scalar else f.convert("fpext", x, kind.like(x.type))


def narrow(f: Function, x: Val, kind: Type) -> Val:
    """Floating-point numbers rounded to `kind`, to the nearest and of two to the even one."""
    if x.type.scalar == kind.scalar:
        return x
    if x.type.scalar == "double" and kind != F32:
        x = f.convert("fptrunc", x, F32.like(x.type))
    if kind == F16:
        return shortened(f, x)
    if kind != BF16:
        how = "fptrunc" if kind.bits < x.type.bits else "fpext"
        return f.convert(how, x, kind.like(x.type))
    bits = f.convert("bitcast", x, I32.like(x.type))
    high = f.binary("lshr", bits, f.const(16, bits.type))
    odd = f.binary("and", high, f.const(1, bits.type))
    rounded = f.add(bits, f.add(odd, f.const(0x7FFF, bits.type)))
    quiet = f.binary("or", high, f.const(0x40, bits.type))
    is_nan = f.compare("uno", x, x)
    rounded = f.binary("lshr", rounded, f.const(16, bits.type))
    return f.convert("trunc", f.select(is_nan, quiet, rounded), I16.like(x.type))


def memory_type(kind: Type) -> Type:
    """How elements are loaded and stored: bfloat16 as int16, which every processor can."""
    return I16 if kind == BF16 else kind


def load_as(f: Function, at: Val, kind: Type, out: Type, count: int | None = None) -> Val:
    """Load a scalar, or a vector of the lanes of `out`, and widen it.

    With a count below the lanes only so many elements are read, and the other lanes are zero.
    """
    return widen(f, f.load(at, memory_type(kind).like(out), _mask(f, count, out.lanes)), out.of(0))


def store_as(f: Function, x: Val, at: Val, kind: Type, count: int | None = None) -> None:
    """Round to the type in memory and store the first `count` lanes, or all."""
    x = narrow(f, x, kind)
    if count == 1 and x.type.lanes:
        # LLVM 22 makes four bytes of a masked store of one 16-bit lane that was truncated
        f.store(f.extract(x, 0), at)
        return
    f.store(x, at, _mask(f, count, x.type.lanes))


def _mask(f: Function, count: int | None, lanes: int) -> Val | None:
    if count is None or count >= lanes:
        return None
    return f.vector([int(lane < count) for lane in range(lanes)], I1)


# --- the block ------------------------------------------------------------------------------------


def emit_block(
    f: Function,
    block: Block,
    a: Val,
    b: Val,
    c: Val,
    bias: Val | None = None,
    terms: Int | None = None,
) -> None:
    """Write the block's code; `terms`, if given, is the size of its outermost dimension."""
    sums = _start(f, block, c, bias)
    dims: list[tuple[TermDim, Int]] = [(dim, dim.size) for dim in block.terms]
    if terms is not None:
        dims[0] = (block.terms[0], terms)
    for place, total in zip(_places(block), _sum_terms(f, block, dims, a, b, sums), strict=True):
        row, vector = place
        at = f.at(c, block.c_rows[row] + vector * block.lanes, memory_type(block.c_type))
        store_as(f, total, at, block.c_type, block.columns - vector * block.lanes)


def _places(block: Block) -> list[tuple[int, int]]:
    return [(row, v) for row in range(len(block.c_rows)) for v in range(block.vectors)]


def _start(f: Function, block: Block, c: Val, bias: Val | None) -> list[Val]:
    kind = block.sum_type.of(block.lanes)
    zero = f.const(0.0, kind)
    rows = [zero] * block.vectors
    if "bias" in block.start and bias is not None:
        rows = [_vector_at(f, block, bias, v) for v in range(block.vectors)]
    out = []
    for row, v in _places(block):
        x = rows[v]
        if "c" in block.start.split("+"):
            held = _vector_at(f, block, c, v, block.c_rows[row])
            x = f.add(held, x) if "bias" in block.start else held
        out.append(x)
    return out


def _vector_at(f: Function, block: Block, base: Val, vector: int, offset: int = 0) -> Val:
    at = f.at(base, offset + vector * block.lanes, memory_type(block.c_type))
    left = block.columns - vector * block.lanes
    return load_as(f, at, block.c_type, block.sum_type.of(block.lanes), left)


def _sum_terms(
    f: Function,
    block: Block,
    dims: Sequence[tuple[TermDim, Int]],
    a: Val,
    b: Val,
    sums: list[Val],
) -> list[Val]:
    """Loops over the terms, which carry the sums in registers."""
    if not dims:
        return _multiply(f, block, a, b, sums)
    (dim, size), inner = dims[0], dims[1:]
    step = block.unroll if not inner else 1
    if isinstance(size, int) and size <= step:
        whole: Int = 0
    else:
        whole = size - size % step if isinstance(size, int) else _whole(f, size, step)
        with f.loop(0, whole, step, [a, b, *sums]) as loop:
            at_a, at_b, *inside = loop.carried
            for u in range(step):
                inside = _sum_at(f, block, dim, u, inner, at_a, at_b, inside)
            ends = _term_places(f, block, dim, step, at_a, at_b)
            loop.next = [*ends, *inside]
        a, b, *sums = loop.results
    if isinstance(size, int) and isinstance(whole, int):
        for u in range(size - whole):
            sums = _sum_at(f, block, dim, u, inner, a, b, sums)
        return sums
    if step == 1:
        return sums
    with f.loop(whole, size, 1, [a, b, *sums]) as loop:
        at_a, at_b, *inside = loop.carried
        inside = _sum_terms(f, block, inner, at_a, at_b, inside)
        loop.next = [*_term_places(f, block, dim, 1, at_a, at_b), *inside]
    return loop.results[2:]


def _whole(f: Function, size: Val, step: int) -> Val:
    if step == 1:
        return size
    return f.sub(size, f.binary("urem", size, f.const(step, size.type)))


def _sum_at(
    f: Function,
    block: Block,
    dim: TermDim,
    index: int,
    inner: Sequence[tuple[TermDim, Int]],
    a: Val,
    b: Val,
    sums: list[Val],
) -> list[Val]:
    return _sum_terms(f, block, inner, *_term_places(f, block, dim, index, a, b), sums)


def _term_places(
    f: Function, block: Block, dim: TermDim, index: int, a: Val, b: Val
) -> tuple[Val, Val]:
    at_a = f.at(a, dim.a * index, memory_type(block.a_type))
    return at_a, f.at(b, dim.b * index, memory_type(block.b_type))


def _multiply(f: Function, block: Block, a: Val, b: Val, sums: list[Val]) -> list[Val]:
    """One term: rows x vectors multiply-adds."""
    kind = block.sum_type if not block.pairs else block.b_type
    row_of_b = []
    for v in range(block.vectors):
        at, left = (
            f.at(b, v * block.lanes, memory_type(block.b_type)),
            block.columns - v * block.lanes,
        )
        row_of_b.append(load_as(f, at, block.b_type, kind.of(block.lanes), left))
    out = []
    for row, offset in enumerate(block.a_rows):
        at = f.at(a, offset, memory_type(block.a_type))
        x = load_pair(f, at) if block.pairs else load_as(f, at, block.a_type, kind)
        x = f.splat(x, block.lanes)
        held = sums[row * block.vectors : (row + 1) * block.vectors]
        if block.pairs:
            out += [multiply_pairs(f, x, y, z) for y, z in zip(row_of_b, held, strict=True)]
        else:
            out += [f.fma(x, y, z) for y, z in zip(row_of_b, held, strict=True)]
    return out
