"""Kernels of loop nests compute what the nest says, as NumPy has it."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings
from hypothesis import strategies as st

from narae.base.dtypes import BFLOAT16, BOOL, INT64, is_floating, is_half
from narae.native.kernel import Machine
from narae.native.loops.kernels import Unsupported, nest_kernel, supported
from narae.native.loops.nest import Apply, Index, Load, Lookup, Nest, Number, Random, Reduce, Store
from narae.native.runtime.machine import host_features, host_machine, machine_of
from tests.native.nest_making import MARGIN, guarded, random_nest
from tests.native.nest_running import BY_NAME, Compiled, Meaning

BITS = [bits for bits in (512, 256, 128) if bits <= host_machine().vector_bytes * 8]
MACHINES = [machine_of(host_features(), bits) for bits in BITS]
F32, F64, F16 = np.dtype("f4"), np.dtype("f8"), np.dtype("f2")
I32, U8, U32 = np.dtype("i4"), np.dtype("u1"), np.dtype("u4")


def copied(slots: list[Any]) -> list[Any]:
    return [x.copy() if isinstance(x, np.ndarray) else x for x in slots]


def run_and_compare(nest: Nest, slots: list[Any], machine: Machine, pieces: int = 0) -> None:
    kernel = nest_kernel(nest, machine)
    expected = copied(slots)
    Compiled(kernel, machine, 1).run(slots, pieces)
    Meaning(nest, expected).run()
    for out, right in zip(slots, expected, strict=True):
        if isinstance(out, np.ndarray):
            compare(out, right)


def compare(out: np.ndarray, right: np.ndarray) -> None:
    if not is_floating(out.dtype):
        np.testing.assert_array_equal(out, right)
        return
    digits = 3e-2 if is_half(out.dtype) else 1e-4
    out, right = out.astype(np.float64), right.astype(np.float64)
    finite = np.abs(right[np.isfinite(right)])
    np.testing.assert_allclose(out, right, digits, digits * finite.max(initial=0))


@given(seed=st.integers(0, 2**32), which=st.integers(0, len(MACHINES) - 1), edge=st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_random_nests(seed: int, which: int, edge: bool) -> None:
    nest, slots = random_nest(seed, at_end=edge)
    run_and_compare(nest, slots, MACHINES[which])


# --- elements -------------------------------------------------------------------------------


def applied(operation: str, arrays: list[np.ndarray], dtype: Any, machine: Machine) -> np.ndarray:
    """One primitive by a flat kernel of any length."""
    loads = [Load(k, x.dtype, (1,)) for k, x in enumerate(arrays)]
    count = len(arrays)
    apply = Apply(operation, tuple(range(count)), np.dtype(dtype))
    store = Store(count, count, np.dtype(dtype), (1,))
    nest = Nest((0,), 1, (*loads, apply), (store,), 64, count + 1)
    out = np.zeros(len(arrays[0]), dtype)
    slots = [guarded(x, at_end=True) for x in arrays] + [out, len(out)]
    Compiled(nest_kernel(nest, machine), machine, 1).run(slots, -(-len(out) // 64))
    return out


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -3.5, 0.5, 1.5, 1e30, -1e-30, np.inf, -np.inf, np.nan, 7.25]
EXACT = ["neg", "abs", "sign", "floor", "ceil", "round", "trunc", "sqrt", "rsqrt"]
EXACT_BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le"]


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
@pytest.mark.parametrize("dtype", [F32, F64, F16, BFLOAT16], ids=str)
def test_exact_functions_of_special_numbers(machine: Machine, dtype: Any) -> None:
    from narae.reference.executor import execute

    with np.errstate(all="ignore"):
        x = np.repeat(np.array(SPECIAL), len(SPECIAL)).astype(dtype)
        y = np.tile(np.array(SPECIAL), len(SPECIAL)).astype(dtype)
        for operation in EXACT + EXACT_BINARY:
            arrays = [x] if operation in EXACT else [x, y]
            right = execute(BY_NAME[operation], arrays, {})
            out = applied(operation, arrays, right.dtype, machine)
            np.testing.assert_array_equal(
                out.astype(F64), right.astype(F64), f"{operation} of {dtype}"
            )


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
def test_every_half_converts_as_numpy_does(machine: Machine) -> None:
    every = np.arange(65536, dtype=np.uint16)
    with np.errstate(all="ignore"):
        for dtype in (F16, BFLOAT16):
            halves = every.view(dtype)
            wide = applied("cast", [halves], F32, machine)
            np.testing.assert_array_equal(wide, halves.astype(F32))
            edges = np.concatenate([np.nextafter(wide, k, dtype=F32) for k in (-np.inf, np.inf)])
            middles = (wide[1:] + wide[:-1]) / 2
            for x in (edges, middles):
                out = applied("cast", [x.astype(F32)], dtype, machine).astype(F32)
                np.testing.assert_array_equal(out, x.astype(dtype).astype(F32))
        wide = every.view(F16).astype(F64)
        close = np.concatenate([(wide[1:] + wide[:-1]) / 2, wide * (1 + 2**-11 + 2**-40), wide * 9])
        np.testing.assert_array_equal(applied("cast", [close], F16, machine), close.astype(F16))


WHOLE = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def test_conversions_of_numbers_out_of_range() -> None:
    """Whole numbers of 32 bits and more wrap, or are the smallest, as on the same processor."""
    machine = MACHINES[0]
    for source in (F32, F64):
        x = np.array([300.0, -1.0, 1e6, -7.9, 3.999, 0.0, -0.0, 1e9, 2.0**31 - 512], source)
        for target in WHOLE:
            with np.errstate(all="ignore"):
                right = x.astype(target)
            np.testing.assert_array_equal(applied("cast", [x], target, machine), right)
    x = np.array([np.nan, 0.0, -0.0, 0.5, np.inf], F32)
    np.testing.assert_array_equal(applied("cast", [x], bool, machine), x.astype(bool))


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
def test_arithmetic_of_whole_numbers(machine: Machine) -> None:
    """Division by zero, the smallest number by -1, shifts by too much, negative powers."""
    from narae.reference.executor import execute

    names = ["floor_divide", "remainder", "fmod", "shift_left", "shift_right", "pow", "mul", "lt"]
    for name in WHOLE if machine == MACHINES[0] else ["i4", "u1"]:
        limits = np.iinfo(name)
        few = [limits.min, limits.max, 0, 1, 2, 3, 5, 8, 63, 64]
        few += [-1, -2, -7] if limits.min < 0 else []
        x, y = (a.ravel() for a in np.meshgrid(np.array(few, name), np.array(few, name)))
        for operation in names:
            with np.errstate(all="ignore"):
                right = execute(BY_NAME[operation], [x, y], {})
            out = applied(operation, [x, y], right.dtype, machine)
            np.testing.assert_array_equal(out, right, f"{operation} of {name}")


def test_approximated_functions_are_used() -> None:
    x = np.random.default_rng(0).uniform(0.1, 0.9, 1000).astype(F32)
    for name in ("exp", "log", "tanh", "erf", "sigmoid", "sin"):
        out = applied(name, [x], F32, MACHINES[0])
        from narae.reference.executor import execute

        np.testing.assert_allclose(out, execute(BY_NAME[name], [x], {}), 1e-6)
    assert supported("pow", F32) and supported("and", BOOL)
    assert not supported("and", F32) and not supported("no such thing", F32)
    with pytest.raises(Unsupported):
        applied("xor", [x, x], F32, MACHINES[0])


# --- memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 15, 64, 65, 1000])
@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
def test_a_flat_kernel_of_any_length_in_place(length: int, machine: Machine) -> None:
    nodes = (Load(0, F32, (1,), 3), Load(1, F64, (0,)), Apply("cast", (1,), F32))
    nodes += (Apply("mul", (0, 2), F32),)
    nest = Nest((0,), 1, nodes, (Store(0, 3, F32, (1,), 3),), 100, 2)
    x = np.arange(length + 6).astype(F32)
    run_and_compare(nest, [x, np.array([3.0]), length], machine, -(-length // 100))


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
def test_a_whole_row_of_any_length(machine: Machine) -> None:
    """Outer 0: one sum over a length that is known only when it runs."""
    nodes = (Load(0, F32, (1,)), Reduce("sum", 0, F32), Reduce("amax", 0, F32))
    nodes += (Apply("sub", (0, 2), F32), Apply("exp", (3,), F32), Reduce("sum", 4, F32))
    stores = (Store(1, 1, F32, (0,)), Store(2, 5, F32, (0,)))
    nest = Nest((0,), 0, nodes, stores, 100, 3)
    for length in (1, 5, 64, 300, 70001):
        x = guarded(np.random.default_rng(0).normal(size=length).astype(F32), at_end=True)
        run_and_compare(nest, [x, np.zeros(1, F32), np.zeros(1, F32), length], machine, 1)


@pytest.mark.parametrize("dtype", [BFLOAT16, U8, np.dtype("i2"), F32], ids=str)
def test_one_element_after_whole_vectors(dtype: Any) -> None:
    """LLVM 22 writes the elements after it too, if a narrowed vector is stored under a mask."""
    for machine in MACHINES:
        nodes = (Load(0, I32, (1,)), Apply("cast", (0,), dtype))
        nest = Nest((65,), 1, nodes, (Store(1, 1, dtype, (1,)),), 1000)
        run_and_compare(nest, [np.arange(65, dtype=I32), np.full(90, 77).astype(dtype)], machine)


def softmax(rows: int, columns: int, dtype: Any = F32) -> Nest:
    nodes = (Load(0, dtype, (columns, 1)), Reduce("amax", 0, dtype), Apply("sub", (0, 1), dtype))
    nodes += (Apply("exp", (2,), dtype), Reduce("sum", 3, dtype), Apply("div", (3, 4), dtype))
    return Nest((rows, columns), 1, nodes, (Store(0, 5, dtype, (columns, 1)),), 2)


@pytest.mark.parametrize("columns", [1, 10, 64, 130, 600, 20000])
@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
def test_softmax_in_place(columns: int, machine: Machine) -> None:
    """Rows in registers, in scratch memory, and too long for it."""
    x = np.random.default_rng(0).normal(size=3 * columns).astype(F32)
    run_and_compare(softmax(3, columns), [x], machine)


@pytest.mark.parametrize("dtype", [F32, F64, F16, INT64], ids=str)
@pytest.mark.parametrize("shape", [(16, 16), (33, 70), (5, 100), (100, 3), (64, 64)])
def test_transposes(shape: tuple[int, int], dtype: Any) -> None:
    rows, columns = shape
    x = guarded(np.arange(rows * columns).astype(dtype), at_end=True)
    for machine in MACHINES:
        for piece in (rows, 7):
            load = Load(0, dtype, (columns, 1))
            nest = Nest(shape, 2, (load,), (Store(1, 0, dtype, (1, rows), MARGIN),), piece)
            out = np.full(rows * columns + 2 * MARGIN, 77).astype(dtype)
            run_and_compare(nest, [x, out], machine)


def test_pieces_may_run_in_any_order() -> None:
    machine = MACHINES[0]
    nest, x = softmax(7, 33), np.random.default_rng(0).normal(size=7 * 33).astype(F32)
    kernel = Compiled(nest_kernel(nest, machine), machine)
    assert kernel.kernel.pieces == 4
    out, other = x.copy(), x.copy()
    kernel.run([out])
    args = np.array([other.ctypes.data], np.int64)
    for piece in (2, 0, 3, 1):
        kernel.call(args.ctypes.data, piece, kernel.scratch)
    np.testing.assert_array_equal(out, other)


# --- reductions -----------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
@pytest.mark.parametrize("kind", ["row", "rows", "window"])
def test_argmax_takes_the_first_of_equals_and_of_nan(machine: Machine, kind: str) -> None:
    rng = np.random.default_rng(0)
    sizes, strides, outer = {
        "row": ((4, 300), (300, 1), 1),
        "rows": ((70, 40), (1, 70), 1),
        "window": ((3, 20, 2, 3), (120, 1, 60, 20), 2),
    }[kind]
    results = (1,) if outer == 1 else (20, 1)
    stride = (*results, *(0,) * (len(sizes) - outer))
    for chance in (0.0, 0.1, 1.0):
        x = rng.integers(0, 3, int(np.prod(sizes))).astype(F32)
        x[rng.random(len(x)) < chance] = np.nan
        for operation in ("argmax", "argmin", "amax", "amin"):
            dtype = INT64 if operation.startswith("arg") else F32
            nodes = (Load(0, F32, strides), Reduce(operation, 0, dtype))
            nest = Nest(sizes, outer, nodes, (Store(1, 1, dtype, stride),), 1)
            run_and_compare(nest, [x.copy(), np.zeros(200, dtype)], machine)


@pytest.mark.parametrize("shape", [(1, 3_000_001), (3_000_001, 1), (40, 100_000)])
def test_long_sums_are_nearly_pairwise(shape: tuple[int, int]) -> None:
    """Equal terms: with one long chain for each lane the fourth digit would be wrong."""
    rows, columns = shape
    x = np.full(rows * columns, 0.1, F32)
    right = x.astype(F64).sum()
    for machine in MACHINES:
        nodes = (Load(0, F32, (columns, 1)), Reduce("sum", 0, F32))
        nest = Nest(shape, 0, nodes, (Store(1, 1, F32, (0, 0)),), 1)
        out = np.zeros(1, F32)
        Compiled(nest_kernel(nest, machine), machine).run([x, out])
        assert abs(out[0] - right) < 1e-5 * right


# --- lookups and random numbers -------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
@pytest.mark.parametrize("bad", [None, 5, -1, 2**40])
def test_lookups_check_their_indices(machine: Machine, bad: int | None) -> None:
    """A table's rows (one index for a vector) and single elements (one for each lane)."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 5, 37)
    if bad is not None:
        indices[35] = bad
    table = guarded(np.arange(5 * 20, dtype=F32), at_end=True)
    rows = Nest(
        (37, 20),
        2,
        (Load(0, INT64, (1, 0)), Lookup(1, F32, (0, 1), ((0, 20, 5),), 3)),
        (Store(2, 1, F32, (20, 1)),),
        10,
    )
    items = Nest(
        (37,),
        1,
        (Load(0, INT64, (1,)), Lookup(1, F32, (0,), ((0, 20, 5),), 3, 7)),
        (Store(2, 1, F32, (1,)),),
        10,
    )
    for nest in (rows, items):
        slots = [guarded(indices, at_end=True), table, np.zeros(37 * 20, F32), np.zeros(1, I32)]
        run_and_compare(nest, slots, machine)
        assert slots[3][0] == (bad is not None)


@pytest.mark.parametrize("machine", MACHINES, ids=map(str, BITS))
@pytest.mark.parametrize("size", [1, 30, 200])
def test_random_words_are_those_of_philox(machine: Machine, size: int) -> None:
    key = np.array([0x123456789ABCDEF], np.uint64)
    for counter, piece in ((Index(INT64, (1,)), 10**6), (Index(I32, (3,), 2), 7)):
        nest = Nest((size,), 1, (counter, Random(0, 0)), (Store(1, 1, U32, (1,)),), piece)
        run_and_compare(nest, [key, np.zeros(size, U32)], machine)


@pytest.mark.parametrize("piece", [300, 301])
def test_dropout_in_pieces(piece: int) -> None:
    key = np.array([77], np.uint64)
    nodes = (Index(INT64, (1,)), Random(0, 0), Number(2**31, U32), Apply("le", (2, 1), BOOL))
    nodes += (Load(1, F32, (1,)), Number(0.0, F32), Apply("where", (3, 4, 5), F32))
    nest = Nest((1003,), 1, nodes, (Store(2, 6, F32, (1,)), Store(3, 3, BOOL, (1,))), piece)
    x = np.random.default_rng(0).normal(size=1003).astype(F32)
    for machine in MACHINES:
        run_and_compare(nest, [key, x, np.zeros(1003, F32), np.zeros(1003, bool)], machine)
