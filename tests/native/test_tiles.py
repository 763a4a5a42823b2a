"""Products of bfloat16 in tiles (AMX), beside NumPy in float64; `tile_emulation` is the processor.

Faults that it has seen: rows of a short tile read beyond the picture, tiles of the last terms in
the place of others, a configuration that was not loaded again after a short block, a thread that
was left with tiles.
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
import platform
import re
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from narae import primitives as p
from narae.ir import trace
from narae.native.executor import NativeExecutor
from narae.native.plan.arena import GuardedArena
from narae.native.products.kernels import lower_product
from narae.native.products.product import BatchDim, Product, RowDim, TermDim
from narae.native.products.tiles import Shape, configuration, has_tiles, suits_tiles
from narae.native.runtime import code, machine, tile_permission
from narae.native.runtime.code_compile import target_machine
from narae.native.runtime.team import get_threads, set_threads
from narae.native.winograd.shape import winograd_shape
from tests.native import running
from tests.native.native_checks import bits, guarded_copy, guarded_outputs
from tests.native.running import run_product
from tests.native.test_product import BF16, F32, check, convolution, linear, small_caches
from tests.native.test_winograd import SAME, expected, step_of
from tests.native.tile_emulation import FEATURES, TILED, Tiles, emulated, load, wide

ATTRS = {"stride": (1, 1), "padding": SAME, "dilation": (1, 1), "groups": 1}


# --- products -------------------------------------------------------------------------------------

TERMS = [8, 32, 46, 96, 200]  # less than an instruction, one, and two that leave something
# rows and columns: whole tiles, and with some that are left
SIZES = [(16, 16), (37, 33), (70, 80), (128, 48), (50, 17)]
OPTIONS = [{}, {"bias": True}, {"accumulate": True}, {"bias": True, "accumulate": True}, {}]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("out_dtype", [BF16, F32], ids=str)
@pytest.mark.parametrize("terms", TERMS)
def test_linear(terms, out_dtype, transposed):
    for (rows, columns), options in zip(SIZES, OPTIONS, strict=True):
        kind = {"transposed": transposed, "out_dtype": out_dtype, **options}
        with emulated() as used:
            check(linear(rows, terms, columns, BF16, **kind), TILED)
        blocks = -(-rows // 16) * -(-columns // 16)
        assert used["tdpbf16ps"] >= blocks * -(-terms // 32)
        assert used["tilerelease"] > 0


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 14, 19])
def test_convolution(size, stride):
    """Neighbouring pixels of a row are rows of a tile; two rows of small pictures make a block."""
    with emulated() as used:
        check(convolution(3, size, 16, 40, stride, BF16, bias=True), TILED)
        check(convolution(4, size, 16, 16, stride, BF16), TILED, piece=2)
    assert used["tdpbf16ps"] > 0


@st.composite
def tiled_products(draw):
    """Products whose innermost terms are next to each other, with any other strides."""
    columns, near = draw(st.integers(16, 70)), 2 * draw(st.integers(4, 60))
    outer_terms = draw(st.lists(st.integers(1, 3), max_size=2))
    rows = [*draw(st.lists(st.integers(1, 4), max_size=2)), draw(st.integers(4, 40))]
    batch = draw(st.lists(st.integers(1, 3), max_size=1))
    while math.prod(rows) < 16:
        rows[-1] *= 2
    stride = st.integers(-90, 90)
    sizes, strides, inner = [*batch, *rows], [], columns
    for size in reversed(sizes):
        inner += draw(st.integers(0, 3))
        strides.insert(0, inner)
        inner *= size
    is_turned = draw(st.booleans())
    terms = [TermDim(n, draw(stride), draw(stride)) for n in outer_terms]
    last = TermDim(near, 1, 1 if is_turned else draw(st.sampled_from([columns, -columns, 99])))
    groups = [
        BatchDim(n, draw(stride), draw(stride), c) for n, c in zip(batch, strides, strict=False)
    ]
    row_dims = [
        RowDim(n, draw(stride), c) for n, c in zip(rows, strides[len(batch) :], strict=True)
    ]
    return Product(
        tuple(groups),
        tuple(row_dims),
        (*terms, last),
        columns,
        draw(st.sampled_from([near, 130, -near])) if is_turned else 1,
        BF16,
        draw(st.sampled_from([BF16, F32])),
        accumulate=draw(st.booleans()),
        bias=draw(st.booleans()),
        b_constant=draw(st.booleans()),
    )


PIECES = st.sampled_from([None, None, 1, 2, 5])


@settings(max_examples=40, deadline=None)
@given(tiled_products(), PIECES, st.booleans())
def test_any_product(product, piece, are_caches_small):
    assert suits_tiles(product, TILED)
    with emulated():
        if are_caches_small:
            with small_caches():
                check(product, TILED, piece)
        else:
            check(product, TILED, piece)


def test_sums_in_parts():
    """Long sums for a small C: each part in tiles, which begin with what memory holds."""
    with emulated() as used, small_caches():
        lowered = check(linear(32, 2048, 32, BF16, out_dtype=F32), TILED)
    assert "partials" in lowered.temporaries
    assert used["tdpbf16ps"] == 2 * 2 * 2048 // 32


def test_terms_in_blocks():
    """C is gone through several times: tiles are loaded from it."""
    with emulated() as used, small_caches():
        check(linear(40, 1024, 16, BF16, out_dtype=F32, bias=True), TILED, piece=20)
        check(convolution(2, 6, 96, 64, dtype=BF16), TILED)
    assert used["tileloadd64"] > 0


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sizes", [(16, 8, 16), (37, 70, 33), (33, 96, 17), (64, 46, 48)])
def test_nothing_outside_is_touched(sizes, transposed):
    """A, B and C end where memory ends that may be touched."""
    m, k, n = sizes
    product = linear(m, k, n, BF16, transposed=transposed, bias=True)
    lowered = lower_product(product, TILED)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(BF16) for shape in ((m, k), (k, n)))
    arrays = {
        "a": guarded_copy(a),
        "b": guarded_copy(b.T if transposed else b),
        "c": guarded_copy(np.zeros((m, n), BF16)),
        "bias": guarded_copy(np.ones(n, BF16)),
    }
    with emulated():
        loaded = load([stage.kernel for stage in lowered.stages], TILED)
        run_product(loaded, lowered, arrays)
    right = a.astype(np.float64) @ b.astype(np.float64) + 1
    error = np.abs(arrays["c"].astype(np.float64) - right)
    assert (error <= 2**-8 * np.abs(right) + 1e-5).all()


def test_same_bits_by_one_thread_and_by_two():
    """Every call of a kernel configures the tiles of its thread, and releases them."""
    product, found = linear(128, 160, 96, BF16, b_constant=True), []
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((160, 128)).astype(BF16) for _ in range(2))
    with small_caches():
        lowered = lower_product(product, TILED)
    assert lowered.stages[-1].kernel.pieces > 4
    for threads in (1, 2):
        c = np.zeros((128, 96), BF16)
        with emulated() as used:
            loaded = load([stage.kernel for stage in lowered.stages], TILED)
            run_product(loaded, lowered, {"a": a, "b": b, "c": c}, threads)
        assert used["tilerelease"] == lowered.stages[-1].kernel.pieces
        found.append(c.view(np.uint16))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.skipif(not has_tiles(machine.host_machine()), reason="this processor has no tiles")
@pytest.mark.parametrize("terms", TERMS)
def test_the_processor_itself(terms):
    """The same bits as in the emulation."""
    random, found = np.random.default_rng(0), []
    a, b = random.standard_normal((70, terms)), random.standard_normal((terms, 80))
    arrays = {"a": a.astype(BF16), "b": b.astype(BF16)}
    lowered = lower_product(linear(70, terms, 80, BF16, out_dtype=F32), TILED)
    kernels = [stage.kernel for stage in lowered.stages]
    for make in (load, running.load):
        c = np.zeros((70, 80), F32)
        with emulated():
            run_product(make(kernels, TILED), lowered, {**arrays, "c": c})
        found.append(c)
    np.testing.assert_array_equal(*found)


# --- programs -------------------------------------------------------------------------------------


def run_program(program, arrays, threads=1):
    """A program on guarded memory, the outputs and what was used."""
    before = get_threads()
    with emulated() as used:
        runner = NativeExecutor(TILED, GuardedArena).compile(program)
        set_threads(threads)
        try:
            with guarded_outputs:
                found = runner([guarded_copy(x) for x in arrays])
        finally:
            set_threads(before)
    return found, used


def near(found, right):
    """Whether results are those sums, rounded once."""
    error = np.abs(found.astype(np.float64) - right)
    return (error <= np.abs(right) * 2**-8 + 3e-6 * np.abs(right).max()).all()


@pytest.mark.parametrize(
    ("images", "size"), [(2, (14, 16)), (2, (9, 12)), (3, (6, 7)), (16, (4, 5))], ids=str
)
@pytest.mark.parametrize("padding", [SAME, ((0, 1), (2, 0))])
def test_convolution_with_gradients(images, size, padding):
    """Winograd's way is left to the gradient of the taps of a few pictures with odd rows."""
    random = np.random.default_rng(0)
    out = [n + sum(pair) - 2 for n, pair in zip(size, padding, strict=True)]
    shapes = [(images, 32, *size), (48, 32, 3, 3), (images, 48, *out)]
    arrays = [random.normal(size=shape).astype(BF16) for shape in shapes]
    program = trace(step_of(padding), arrays)
    found, used = run_program(program, arrays)
    x, w, grad = (a.astype(np.float64) for a in arrays)
    for one, two in zip(found, expected(np.maximum(x, 0), w, grad, padding), strict=True):
        assert near(one, two)
    assert used["tdpbf16ps"] > 0
    nodes = [node for node in program.nodes if node.operation.name.startswith("conv")]
    chosen = [winograd_shape(node, TILED) is not None for node in nodes]
    is_odd = images < 8 and (out[-1] % 2 == 1 or out[-1] < 8)
    assert chosen == [False, False, is_odd and winograd_shape(nodes[2]) is not None]


@pytest.mark.parametrize(
    ("shape", "taps", "attrs"),
    [
        ((2, 16, 20), (3,), {"stride": (1,), "padding": ((2, 0),), "dilation": (2,)}),
        ((2, 16, 9, 12), (3, 3), {"stride": (2, 1), "padding": SAME, "dilation": (1, 2)}),
        ((18, 16, 5, 7), (3, 3), {"stride": (2, 2), "padding": SAME, "dilation": (2, 1)}),
        ((2, 32, 4, 16), (1, 1), {"stride": (1, 1), "padding": ((0, 0),) * 2}),
        ((1, 16, 3, 4, 8), (2, 3, 1), {"stride": (1,) * 3, "padding": ((0, 0), (1, 1), (0, 0))}),
    ],
    ids=["line", "stride and dilation", "images", "one tap", "space"],
)
def test_gradient_of_taps(shape, taps, attrs):
    """Pictures are copied so that pixels of a row, or images, are terms next to each other."""
    attrs = {"dilation": (1,) * len(taps), "groups": 1, **attrs}
    random = np.random.default_rng(0)
    w = random.normal(size=(32, shape[1], *taps)).astype(BF16)
    x = random.normal(size=shape).astype(BF16)
    out = trace(lambda x, w: p.conv(x, w, **attrs), [x, w]).outputs[0].shape
    grad = random.normal(size=out).astype(BF16)

    def step(grad, x):
        return p.conv_grad_w(grad, x, w_shape=w.shape, **attrs)

    program = trace(step, [grad, x])
    (found,), used = run_program(program, [grad, x])
    wide_arrays = [a.astype(np.float64) for a in (grad, x)]
    right = NativeExecutor().compile(trace(step, wide_arrays))(wide_arrays)[0]
    assert near(found, right)
    assert used["tdpbf16ps"] > 0


@pytest.mark.parametrize("threads", [1, 3])
def test_linear_layer_with_gradients(threads):
    """The gradient of a weight sums over rows, which lie apart: they are copied first."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=s).astype(BF16) for s in ((4, 40, 64), (64, 48), (4, 40, 48))]

    def step(x, w, grad):
        rows = p.reshape(x, shape=(160, 64))
        flat = p.reshape(grad, shape=(160, 48))
        turned = p.permute(w, dims=(1, 0))
        return (
            p.maximum(p.matmul(x, w), 0.0),
            p.matmul(p.permute(rows, dims=(1, 0)), flat),
            p.matmul(grad, turned),
        )

    found, used = run_program(trace(step, arrays), arrays, threads)
    x, w, grad = (a.astype(np.float64) for a in arrays)
    flat = x.reshape(160, 64).T @ grad.reshape(160, 48)
    for one, two in zip(found, (np.maximum(x @ w, 0), flat, grad @ w.T), strict=True):
        assert near(one, two)
    assert used["tdpbf16ps"] >= 3 * (160 // 16) * (48 // 16) * 2
    again, _ = run_program(trace(step, arrays), arrays, 2)
    assert bits(again) == bits(found)


# --- what is computed in tiles --------------------------------------------------------------------

TURNED = Product((), (RowDim(64, 1, 64),), (TermDim(64, 64, 64),), 64, 1, BF16, BF16)
ROWS_OF_TWO = dataclasses.replace(
    linear(64, 64, 64, BF16), rows=(RowDim(32, 150, 128), RowDim(2, 64, 64))
)


@pytest.mark.parametrize(
    "product",
    [
        linear(15, 64, 64, BF16),
        linear(64, 6, 64, BF16),
        linear(64, 33, 64, BF16),
        linear(64, 64, 15, BF16),
        linear(64, 64, 64, F32),
        TURNED,
        ROWS_OF_TWO,
    ],
    ids=["rows", "terms", "odd", "columns", "float32", "turned", "rows of two"],
)
def test_other_products_do_without(product):
    with emulated() as used:
        check(product, TILED)
    assert not used


def test_machines():
    product = linear(64, 64, 64, BF16)
    assert suits_tiles(product, TILED)
    for bits_of_vectors in (128, 256):
        assert not suits_tiles(product, machine.machine_of(TILED.features, bits_of_vectors))
    for name in FEATURES:
        assert not suits_tiles(product, machine.machine_of(TILED.features - {name}, 512))


def test_winograd_in_float32_is_as_it_was():
    arrays = [np.zeros(s, np.float32) for s in ((2, 32, 8, 8), (32, 32, 3, 3))]
    program = trace(lambda x, w: p.conv(x, w, **ATTRS), arrays)
    assert winograd_shape(program.nodes[0], TILED) is not None


# --- permission -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [0, -1])
def test_linux_is_asked_once(answer):
    system = mock.Mock()
    system.syscall.return_value = answer
    tile_permission.tiles_are_permitted.cache_clear()
    try:
        with (
            mock.patch.object(tile_permission.ctypes, "CDLL", return_value=system),
            mock.patch.object(tile_permission, "IS_X86_64", True),
        ):
            found = [tile_permission.tiles_are_permitted() for _ in range(2)]
    finally:
        tile_permission.tiles_are_permitted.cache_clear()
    assert found == [answer == 0] * 2
    ((operands, _),) = system.syscall.call_args_list
    assert [x.value for x in operands] == [158, 0x1023, 18]


@pytest.mark.parametrize("is_permitted", [False, True])
def test_features_without_permission(is_permitted):
    facts = mock.Mock(features=("avx512f", "amx-tile", "amx-bf16", "amx-int8"), processor="x86_64")
    machine.host_features.cache_clear()
    try:
        with (
            mock.patch.object(machine, "llvm_facts", return_value=facts),
            mock.patch.object(machine, "tiles_are_permitted", return_value=is_permitted),
        ):
            found = machine.host_features()
    finally:
        machine.host_features.cache_clear()
    assert found == (set(facts.features) if is_permitted else {"avx512f"})


# --- the real instructions ------------------------------------------------------------------------


def tiled_kernel(product):
    """The kernel of a product that uses tiles."""
    kernels = [stage.kernel for stage in lower_product(product, TILED).stages]
    (kernel,) = (kernel for kernel in kernels if "tdpbf16ps" in kernel.text)
    return kernel


def listing(kernel):
    """A kernel's assembly for a processor with tiles."""
    wide = machine.machine_of(
        TILED.features | {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"}, 512
    )
    import llvmlite.binding as llvm

    target = target_machine(machine.feature_text(wide))
    module = llvm.parse_assembly(code._module(code._unit(kernel), wide), llvm.create_context())
    module.verify()
    return re.sub(r"[\t ]+", " ", target.emit_assembly(module))


LISTED = {
    "linear": linear(512, 1024, 512, BF16, bias=True),
    "tails": linear(150, 200, 75, BF16, bias=True),
    "convolution": convolution(8, 14, 64, 64, dtype=BF16),
    "sums in float32": linear(128, 4096, 128, BF16, out_dtype=F32, accumulate=True),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86")
@pytest.mark.parametrize("name", LISTED)
def test_listing(name):
    """Tiles are used from a configuration to a release, and nothing is spilled in between."""
    kernel = tiled_kernel(LISTED[name])
    lines = [line.strip() for line in listing(kernel).splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("ldtilecfg"))
    uses = [n for n, line in enumerate(lines) if "%tmm" in line]
    releases = [n for n, line in enumerate(lines) if line.startswith("tilerelease")]
    returns = [n for n, line in enumerate(lines) if line.startswith("retq")]
    assert first < uses[0] and uses[-1] < releases[0] < returns[0]
    assert (len(releases), len(returns)) == (1, 1)
    assert in_assembly(lines) == in_text(kernel.text)
    assert not [line for line in lines if re.search(r"%[xyzt]mm\d+, .*\(%rsp", line)]
    assert not [line for line in lines if line.startswith("call")]
    loops = innermost(lines, "tdpbf16ps")
    assert loops and not [line for loop in loops for line in loop if "(%rsp)" in line]


TEXT = re.compile(r"@llvm\.x86\.(t\w+|ldtilecfg)\(([^)]*)\)")
ASSEMBLY = re.compile(r"(ldtilecfg|tile\w+|tdp\w+)(.*)")


def in_text(text):
    """The instructions for tiles in a kernel's text, with the numbers of their tiles."""

    def instruction(line):
        found = TEXT.search(line)
        return found and (found[1].removesuffix("64"), re.findall(r"i8 (\d)", found[2]))

    return straight(text.splitlines(), instruction, r"\w+:| *br ")


def in_assembly(lines):
    """The same of its assembly, where the first operand comes last."""

    def instruction(line):
        found = ASSEMBLY.match(line)
        return found and (found[1], re.findall(r"%tmm(\d)", found[2])[::-1])

    return straight(lines, instruction, r"\.?\w+:|j\w+ ")


def straight(lines, instruction, ends):
    """The instructions between labels and branches, for each such part that has any."""
    parts = [[]]
    for line in lines:
        if re.match(ends, line):
            parts.append([])
        elif instruction(line):
            parts[-1].append(instruction(line))
    return sorted(part for part in parts if part)


def innermost(lines, name):
    """The loops without other labels in them that hold an instruction."""
    labels = [n for n, line in enumerate(lines) if re.match(r"\.?\w+:", line)]
    blocks = [lines[a:b] for a, b in zip(labels, [*labels[1:], len(lines)], strict=True)]
    return [block for block in blocks if any(line.startswith(name) for line in block)]


# --- the emulation --------------------------------------------------------------------------------


class Configuration(ctypes.LittleEndianStructure):
    """As Intel's manual lays it out."""

    _fields_ = [
        ("palette", ctypes.c_uint8),
        ("start_row", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 14),
        ("row_bytes", ctypes.c_uint16 * 16),
        ("rows", ctypes.c_uint8 * 16),
    ]


def test_configuration():
    words = configuration({0: Shape(16, 16), 3: Shape(5, 2), 7: Shape(1, 9)})
    read = Configuration.from_buffer_copy(np.array(words, np.int32).tobytes())
    assert (read.palette, read.start_row, any(read.reserved)) == (1, 0, False)
    assert list(read.row_bytes) == [64, 0, 0, 8, 0, 0, 0, 36, *[0] * 8]
    assert list(read.rows) == [16, 0, 0, 5, 0, 0, 0, 1, *[0] * 8]


def tiles_of(c, a, b):
    """Tiles 0, 1 and 2 with these numbers, and with the sizes that these have."""
    raw = [np.ascontiguousarray(x).view(np.uint8).reshape(len(x), -1) for x in (c, a, b)]
    words = configuration({n: Shape(len(x), x.shape[1] // 4) for n, x in enumerate(raw)})
    memory = np.array(words, np.int32)
    tiles = Tiles()
    tiles.load_configuration(memory.ctypes.data)
    for number, x in enumerate(raw):
        tiles.load(number, x.ctypes.data, x.strides[0])
    return tiles


def in_pairs(b):
    """(terms, columns) as (pairs, columns of pairs)."""
    return np.ascontiguousarray(b.reshape(-1, 2, b.shape[1]).transpose(0, 2, 1)).reshape(
        len(b) // 2, -1
    )


def test_what_the_instruction_computes():
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(BF16) for shape in ((7, 22), (22, 9)))
    c = random.standard_normal((7, 9)).astype(np.float32)
    tiles = tiles_of(c, a, in_pairs(b))
    tiles.multiply(0, 1, 2)
    found = np.zeros_like(c)
    tiles.store(0, found.ctypes.data, found.strides[0])
    right = c.astype(np.float64) + a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)


def test_numbers_below_the_normal_range_count_as_zero():
    tiny = np.array([[2.0**-130, 2.0**-126]], BF16)
    np.testing.assert_array_equal(wide(tiny.view(np.uint8)), [[0, 2.0**-126]])
    large = np.array([[2.0**100], [1.0]], BF16)
    tiles = tiles_of(np.array([[2.0**-127]], np.float32), tiny, in_pairs(large))
    tiles.multiply(0, 1, 2)
    assert tiles.data[0, 0, :4].view(np.float32) == 2.0**-126


@pytest.mark.parametrize(
    ("c", "a", "b", "why"),
    [
        ((4, 3), (5, 8), (4, 6), "sizes of C"),
        ((4, 3), (4, 8), (3, 6), "as many terms"),
        ((4, 4), (4, 8), (4, 6), "sizes of C"),
    ],
)
def test_the_emulation_refuses_tiles_that_do_not_fit(c, a, b, why):
    tiles = tiles_of(np.zeros(c, np.float32), np.zeros(a, BF16), np.zeros(b, BF16))
    with pytest.raises(AssertionError, match=why):
        tiles.multiply(0, 1, 2)


def test_the_emulation_sees_tiles_that_are_not_released():
    kernel = lower_product(linear(32, 64, 32, BF16), TILED).stages[-1].kernel
    assert kernel.text.count("tilerelease") == 1
    arrays = {name: np.zeros((64, 64), BF16) for name in "abc"}
    lowered = lower_product(linear(32, 64, 32, BF16), TILED)
    with mock.patch("narae.native.products.kernels.emit_release"):
        lower_product.cache_clear()
        broken = lower_product(linear(32, 64, 32, BF16), TILED)
        lower_product.cache_clear()
    with pytest.raises(AssertionError, match="left with tiles"), emulated():
        run_product(load([s.kernel for s in broken.stages], TILED), broken, arrays)
    with emulated():
        run_product(load([s.kernel for s in lowered.stages], TILED), lowered, arrays)


def test_kernels_are_small():
    """Compile time: a few variants of the block, not one for every size."""
    for product in (*LISTED.values(), linear(2080, 192, 577, BF16)):
        for stage in lower_product(product, TILED).stages:
            assert len(stage.kernel.text) < 60_000
