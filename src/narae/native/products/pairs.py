"""Pairs of bfloat16 terms: one instruction multiplies two terms and adds both to a float32 sum.

    out[lane] = sums[lane] + x[2 * lane] * y[2 * lane] + x[2 * lane + 1] * y[2 * lane + 1]

Two terms that are next to each other in A are loaded as one 32-bit number, and B is packed so that
those of a column are. Numbers below the normal range count as zero. (x86 with avx512_bf16.)
"""

from dataclasses import replace

from narae.base.dtypes import BFLOAT16

from ..emit import BF16, F32, I32, Function, Type, Val
from ..kernel import Machine
from .form import count
from .product import Product

LANES = 16
LEAST_ROWS = 16


def suits_pairs(product: Product, machine: Machine) -> bool:
    """Whether a product's terms can be taken in pairs, and its B is worth packing for that."""
    if product.dtype != BFLOAT16 or not product.terms or machine.vector_bytes != 64:
        return False
    inner = product.terms[-1]
    is_near = inner.a == 1 and (inner.b == 1 or product.column_stride == 1)
    enough = count(product.rows) >= LEAST_ROWS and inner.size >= 2 and inner.size % 2 == 0
    return "avx512bf16" in machine.features and is_near and enough


def in_pairs(product: Product) -> Product:
    """The same product with each pair of its innermost terms as one term."""
    inner = product.terms[-1]
    half = replace(inner, size=inner.size // 2, a=2 * inner.a, b=2 * inner.b)
    return replace(product, terms=(*product.terms[:-1], half))


def load_pair(f: Function, at: Val, lanes: int = 0) -> Val:
    """Pairs that are next to each other, each as one whole number."""
    kind = I32.of(lanes)
    return f.emit(kind, f"load {kind}, {at}, align 2")


def join_pairs(f: Function, low: Val, high: Val) -> Val:
    """Pairs of two vectors of 16-bit numbers, or of two such numbers."""
    kind: Type = I32.like(low.type)
    low, high = f.convert("zext", low, kind), f.convert("zext", high, kind)
    return f.binary("or", low, f.binary("shl", high, f.const(16, kind)))


def multiply_pairs(f: Function, x: Val, y: Val, sums: Val) -> Val:
    """sums + the products of pairs, lane by lane."""
    kind = BF16.of(2 * LANES)
    x, y = f.convert("bitcast", x, kind), f.convert("bitcast", y, kind)
    return f.call("llvm.x86.avx512bf16.dpbf16ps.512", F32.of(LANES), sums, x, y)
