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

import ml_dtypes  # noqa: E402

from narae.native import product_schedule  # noqa: E402
from narae.native.product import BatchDim, Product, RowDim, TermDim  # noqa: E402
from narae.native.product_kernels import Lowered, lower_product  # noqa: E402
from tests.native.running import load, machine_of, run_product  # noqa: E402

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
    tiny = {"PIECE_FLOPS": 500, "CACHE": 4000, "PANEL_CACHE": 2000, "LEAST_DEPTH": 4}
    with mock.patch.multiple(product_schedule, **tiny):
        yield


@st.composite
def products(draw):
    """Any product: several dimensions, any strides of A and B, C with gaps and in any order."""
    size = st.one_of(st.integers(1, 4), st.integers(1, 40))
    stride = st.integers(-9, 9)
    columns = draw(st.integers(1, 70))
    sizes = [draw(st.lists(size, max_size=n)) for n in (2, 3, 3)]
    while math.prod(sum(sizes, [])) * columns > 150_000:
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


@settings(max_examples=60)
@given(products(), VECTORS, PIECES)
def test_any_product(product, vector_bytes, piece):
    check(product, machine_of(vector_bytes), piece)


@settings(max_examples=60)
@given(products(), VECTORS, PIECES)
def test_any_product_cut_into_many_blocks(product, vector_bytes, piece):
    with small_caches():
        check(product, machine_of(vector_bytes), piece)
