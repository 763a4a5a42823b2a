"""Products as machine code, against NumPy's einsum in float64."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import ml_dtypes

from narae.native.emit import F32 as F32_TYPE
from narae.native.kernel import begin_kernel, finish_kernel, slot_pointer
from narae.native.products import limits as product_limits
from narae.native.products.form import merged
from narae.native.products.kernels import Lowered, lower_product
from narae.native.products.microkernel import Block, emit_block, meaning
from narae.native.products.product import BatchDim, Product, RowDim, TermDim
from tests.native.running import load, machine_of, run, run_product

F32, F64, F16 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)
BF16 = np.dtype(ml_dtypes.bfloat16)
MARGIN = 37


def extreme(sizes, strides):
    """The smallest and the largest place that indices reach."""
    ends = [(n - 1) * s for n, s in zip(sizes, strides, strict=True) if n]
    return sum(min(e, 0) for e in ends), sum(max(e, 0) for e in ends)


def places(sizes, strides, offset):
    """Where every index is, as an array of that shape."""
    out = np.full(sizes, offset, np.int64)
    for dim, (n, s) in enumerate(zip(sizes, strides, strict=True)):
        shape = [1] * len(sizes)
        shape[dim] = n
        out = out + (np.arange(n) * s).reshape(shape)
    return out


def poisoned(sizes, strides, dtype, rng):
    """A buffer with random numbers where indices reach and NaN elsewhere; and where index 0 is."""
    low, high = extreme(sizes, strides)
    buffer = np.full(high - low + 1 + 2 * MARGIN, np.nan, dtype)
    where = places(sizes, strides, MARGIN - low)
    named = np.unique(where)
    buffer[named] = rng.standard_normal(len(named)).astype(dtype)
    return buffer, MARGIN - low, where


def split(product):
    """Sizes and strides of A, B and C, as (batch, row, term), (batch, term, column), …"""
    g, m, k = product.batch, product.rows, product.terms
    a = [(d.size, d.a) for d in (*g, *m, *k)]
    b = [*((d.size, d.b) for d in (*g, *k)), (product.columns, product.column_stride)]
    c = [*((d.size, d.c) for d in (*g, *m)), (product.columns, 1)]
    return [([n for n, _ in x], [s for _, s in x]) for x in (a, b, c)]


def check(product: Product, machine, piece=None, seed=0, threads=1) -> Lowered:
    """Run a product on poisoned buffers and compare."""
    rng = np.random.default_rng(seed)
    (a_n, a_s), (b_n, b_s), (c_n, c_s) = split(product)
    a, a0, a_at = poisoned(a_n, a_s, product.dtype, rng)
    b, b0, b_at = poisoned(b_n, b_s, product.dtype, rng)
    c, c0, c_at = poisoned(c_n, c_s, product.out_dtype, rng)
    bias = np.full(product.columns + 2 * MARGIN, np.nan, product.out_dtype)
    inside = slice(MARGIN, MARGIN + product.columns)
    bias[inside] = rng.standard_normal(product.columns).astype(product.out_dtype)
    before = c.copy()
    product = dataclasses.replace(product, a_offset=a0, b_offset=b0, c_offset=c0)
    lowered = lower_product(product, machine, piece)
    loaded = load([stage.kernel for stage in lowered.stages], machine) if lowered.stages else None
    buffers = {"a": a, "b": b, "c": c, "bias": bias[MARGIN:]}
    if loaded is not None:
        run_product(loaded, lowered, buffers, threads)
    expected, scale = _expected(product, a[a_at], b[b_at], before[c_at], bias[inside])
    found = c[c_at].astype(np.float64)
    eps = float(ml_dtypes.finfo(product.out_dtype).eps)
    sums = 2.0**-52 if product.dtype == F64 else 2.0**-23
    terms = max(1, math.prod(d.size for d in product.terms))
    bound = eps * np.abs(expected) + (2 * sums * terms + 1e-30) * scale + 1e-30
    assert np.all(np.abs(found - expected) <= bound), np.max(np.abs(found - expected) / bound)
    c[c_at] = before[c_at]
    np.testing.assert_array_equal(c.view(np.uint8), before.view(np.uint8))
    return lowered


def _expected(product, a, b, c, bias):
    """The product in float64, and a measure of what rounding can change."""
    g, m, k = len(product.batch), len(product.rows), len(product.terms)
    names = [*range(g + m + k + 1)]
    batch, rows, terms, column = names[:g], names[g : g + m], names[g + m : -1], names[-1:]
    a, b, c, bias = (x.astype(np.float64) for x in (a, b, c, bias))
    sub = (batch + rows + terms, batch + terms + column, batch + rows + column)
    out = np.einsum(a, sub[0], b, sub[1], sub[2])
    size = np.einsum(np.abs(a), sub[0], np.abs(b), sub[1], sub[2])
    if product.accumulate:
        out, size = out + c, size + np.abs(c)
    if product.bias:
        out, size = out + bias, size + np.abs(bias)
    return out, size


def linear(m, k, n, dtype=F32, *, transposed=False, **options):
    """rows x terms times terms x columns; B is stored as its transpose if asked for."""
    b, column = (1, k) if transposed else (n, 1)
    options.setdefault("out_dtype", dtype)
    return Product((), (RowDim(m, k, n),), (TermDim(k, 1, b),), n, column, dtype=dtype, **options)


@contextlib.contextmanager
def small_caches():
    """Schedules as if caches were tiny and cores slow: small products are cut as large ones are."""
    tiny = {
        "PIECE_FLOPS": 500,
        "CACHE": 4000,
        "PANEL_CACHE": 2000,
        "LEAST_DEPTH": 4,
        "PACKED": 2500,
    }
    tiny |= {"FAR": 100, "PANEL": 800}
    with mock.patch.multiple(product_limits, **tiny):
        yield


@st.composite
def products(draw):
    """Any product: several dimensions, any strides of A and B, C with gaps and in any order."""
    size = st.one_of(st.integers(1, 4), st.integers(1, 40))
    stride = st.integers(-9, 9)
    columns = draw(st.integers(1, 70))
    sizes = [draw(st.lists(size, max_size=n)) for n in (2, 3, 3)]
    while math.prod(n for group in sizes for n in group) * columns > 150_000:
        longest = max(sizes, key=lambda x: max(x, default=0))
        longest[longest.index(max(longest))] = 2
    outer = sizes[0] + sizes[1]
    order = draw(st.permutations(range(len(outer))))
    c_strides, inner = [0] * len(outer), columns
    for dim in order:
        inner += draw(st.integers(0, 3))
        c_strides[dim] = inner * draw(st.sampled_from([1, 1, -1]))
        inner *= outer[dim]
    contiguous = draw(st.booleans())
    b_strides, wide = [], columns
    for n in reversed(sizes[2]):
        b_strides.insert(0, wide if contiguous else draw(stride))
        wide *= n
    a_strides, wide = [], 1
    for n in reversed(sizes[2]):
        a_strides.insert(0, wide if contiguous else draw(stride))
        wide *= n
    dtype = draw(st.sampled_from([F32, F32, F64, BF16, F16]))
    out = dtype if dtype in (F32, F64) else draw(st.sampled_from([dtype, F32]))
    return Product(
        tuple(
            BatchDim(n, draw(stride), draw(stride), c)
            for n, c in zip(sizes[0], c_strides, strict=False)
        ),
        tuple(
            RowDim(n, draw(stride), c)
            for n, c in zip(sizes[1], c_strides[len(sizes[0]) :], strict=True)
        ),
        tuple(TermDim(*x) for x in zip(sizes[2], a_strides, b_strides, strict=True)),
        columns,
        draw(st.sampled_from([1, 1, 1, -1, 2, 3, 0, 17])),
        dtype,
        out,
        accumulate=draw(st.booleans()),
        bias=draw(st.booleans()),
        b_constant=draw(st.booleans()),
    )


VECTORS = st.sampled_from([64, 32, 16])
PIECES = st.sampled_from([None, None, 1, 2, 5])
WIDE = machine_of(64)


@settings(max_examples=50)
@given(products(), VECTORS, PIECES)
def test_any_product(product, vector_bytes, piece):
    check(product, machine_of(vector_bytes), piece)


@settings(max_examples=50)
@given(products(), VECTORS, PIECES)
def test_any_product_cut_into_many_blocks(product, vector_bytes, piece):
    with small_caches():
        check(product, machine_of(vector_bytes), piece)


@pytest.mark.parametrize("dtype", [F32, F64, F16, BF16], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("m", [1, 3, 70, 530])
def test_linear(m, transposed, dtype):
    """One row (dot products if B is transposed), few rows, and many."""
    product = linear(m, 67, 75, dtype, transposed=transposed, bias=True)
    lowered = check(product, WIDE)
    packed = any("packed" in stage.slots for stage in lowered.stages)
    assert packed == (m > 512 and (transposed or dtype.itemsize == 2))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("m", [16, 600])
@pytest.mark.parametrize("out_dtype", [BF16, F32], ids=str)
def test_pairs_of_bfloat16(m, transposed, out_dtype):
    """Two terms an instruction, where there is one for it."""
    product = linear(m, 70, 75, BF16, transposed=transposed, bias=True, out_dtype=out_dtype)
    lowered = check(product, WIDE)
    assert ("dpbf16ps" in lowered.stages[-1].kernel.text) == ("avx512bf16" in WIDE.features)
    check(convolution(4, 6, 8, 33, dtype=BF16), WIDE)


def test_constant_weight_is_packed_by_a_stage_of_its_own():
    lowered = check(linear(20, 64, 128, transposed=True, b_constant=True), WIDE)
    assert [stage.slots for stage in lowered.stages] == [("b", "packed"), ("a", "packed", "c")]
    assert lowered.temporaries == {"packed": 64 * 128 * 4}


def convolution(n, size, c, o, stride=1, dtype=F32, **options):
    """3 x 3 taps over channels-last images with a halo of one pixel."""
    high, out = size + 2, (size - 1) // stride + 1
    rows = (
        RowDim(n, high * high * c, out * out * o),
        RowDim(out, stride * high * c, out * o),
        RowDim(out, stride * c, o),
    )
    terms = (TermDim(3, high * c, 3 * c * o), TermDim(3, c, c * o), TermDim(c, 1, o))
    return Product((), rows, terms, o, 1, dtype, dtype, **options)


def weight_gradient(n, size, c, o, dtype=F32):
    """Of the same convolution: taps and channels are rows, pixels of all images are terms."""
    high = size + 2
    rows = (RowDim(3, high * c, 3 * c * o), RowDim(3, c, c * o), RowDim(c, 1, o))
    terms = (
        TermDim(n, high * high * c, size * size * o),
        TermDim(size, high * c, size * o),
        TermDim(size, c, o),
    )
    return Product((), rows, terms, o, 1, dtype, dtype)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(stride):
    check(convolution(2, 7, 5, 40, stride, bias=True), WIDE)
    check(convolution(4, 4, 16, 16, stride), WIDE, piece=2)


@pytest.mark.parametrize("images", [32, 37])
@pytest.mark.parametrize("dtype", [F32, BF16], ids=str)
def test_weight_gradient_in_partial_sums(images, dtype):
    """Long sums for a small C: fixed parts of the images, added up in a fixed order."""
    with small_caches():
        lowered = check(weight_gradient(images, 14, 8, 16, dtype), WIDE)
    first, last = lowered.stages[-2:]
    assert (first.slots[-1], last.slots) == ("partials", ("partials", "c"))
    assert lowered.temporaries["partials"] == first.kernel.pieces * 9 * 8 * 16 * 4


def test_attention():
    """Queries times keys, head by head; keys lie as (batch, time, head, channel)."""
    batch = (BatchDim(3, 65 * 2 * 16, 65 * 2 * 16, 2 * 65 * 65), BatchDim(2, 16, 16, 65 * 65))
    rows, terms = (RowDim(65, 32, 65),), (TermDim(16, 1, 1),)
    check(Product(batch, rows, terms, 65, 32, F32, F32), WIDE, piece=1)


@pytest.mark.parametrize("size", ["batch", "rows", "columns"])
def test_nothing_to_compute(size):
    batch = (BatchDim(0 if size == "batch" else 2, 9, 9, 99),)
    rows = (RowDim(0 if size == "rows" else 3, 1, 9),)
    product = Product(batch, rows, (), 0 if size == "columns" else 4, 1, F32, F32)
    assert lower_product(product, WIDE).stages == ()


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_no_terms_leave_zeros_bias_and_what_was_there(accumulate, bias):
    check(linear(5, 0, 20, accumulate=accumulate, bias=bias), WIDE)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_wished_piece_stays_in_its_rows(transposed):
    """Only rows [4p, 4p + 4) of A are read (others are NaN) and of C are written."""
    product = linear(24, 40, 50, transposed=transposed)
    lowered = lower_product(product, WIDE, piece=4)
    stage, loaded = lowered.stages[-1], load([s.kernel for s in lowered.stages], WIDE)
    assert (stage.aligned_rows, stage.kernel.pieces) == (4, 6)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((40, 50), np.float32)
    b = np.ascontiguousarray(weight.T) if transposed else weight
    x = rng.standard_normal((24, 40), np.float32)
    for piece in range(6):
        rows = slice(4 * piece, 4 * piece + 4)
        a, c = np.full_like(x, np.nan), np.full((24, 50), 7, np.float32)
        a[rows] = x[rows]
        run_product(loaded, lowered, {"a": a, "b": b, "c": c}, only=piece)
        np.testing.assert_allclose(c[rows], x[rows] @ weight, rtol=1e-4, atol=1e-4)
        c[rows] = 7
        assert np.all(c == 7)


@pytest.mark.parametrize("product", [weight_gradient(32, 14, 8, 16), linear(300, 400, 200)])
def test_same_bits_by_one_thread_and_by_two(product):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(2_000_000).astype(np.float32) for _ in range(2))
    lowered = lower_product(product, WIDE)
    assert lowered.stages[0].kernel.pieces > 4
    loaded, found = load([s.kernel for s in lowered.stages], WIDE), []
    for threads in (1, 2):
        c = np.zeros(300 * 200, np.float32)
        run_product(loaded, lowered, {"a": a, "b": b, "c": c}, threads)
        found.append(c)
    np.testing.assert_array_equal(found[0].view(np.int32), found[1].view(np.int32))


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 40)), max_size=2),
    st.integers(1, 40),
    st.sampled_from(["zero", "c", "bias", "c+bias"]),
    st.integers(1, 3),
)
@settings(max_examples=25)
def test_block_and_its_meaning(a_rows, terms, columns, start, unroll):
    """The register tile as machine code and as NumPy."""
    rows = tuple(100 * number for number in range(len(a_rows)))
    dims = tuple(TermDim(*term) for term in terms)
    kinds = {"a_type": F32_TYPE, "b_type": F32_TYPE, "c_type": F32_TYPE, "sum_type": F32_TYPE}
    block = Block(tuple(a_rows), rows, dims, columns, 16, start=start, unroll=unroll, **kinds)
    f, args, _, _ = begin_kernel()
    emit_block(f, block, *(slot_pointer(f, args, slot) for slot in range(4)))
    kernel = finish_kernel("block", f)
    rng = np.random.default_rng(1)
    a, b, c, bias = (rng.standard_normal(700).astype(np.float32) for _ in range(4))
    expected = c.copy()
    meaning(block, a, b, expected, bias)
    run(load([kernel], WIDE), kernel, [x.ctypes.data for x in (a, b, c, bias)])
    np.testing.assert_allclose(c, expected, rtol=1e-5, atol=1e-5)


def test_kernels_are_small():
    """Compile time: a few variants of the tile, not one for every size."""
    for product in (convolution(32, 32, 64, 64), linear(2080, 192, 577), linear(127, 331, 67)):
        for stage in lower_product(product, WIDE).stages:
            assert stage.kernel.text.count("\n") < 700, stage.kernel.about


def test_coalescing():
    assert merged([RowDim(4, 30, 60), RowDim(3, 10, 20), RowDim(1, 5, 5)]) == (RowDim(12, 10, 20),)
    assert merged([TermDim(3, 12, 4), TermDim(4, 1, 1)]) == (TermDim(3, 12, 4), TermDim(4, 1, 1))
