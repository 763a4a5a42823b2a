"""Kernels for 64-bit ARM: vector instructions in their listings, right results in an emulator.

The checks are those that this processor's kernels pass. Running needs `qemu-aarch64` and
`aarch64-linux-gnu-gcc` (Debian's packages qemu-user and gcc-aarch64-linux-gnu).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings
from hypothesis import strategies as st

from narae import primitives as p
from narae.base.dtypes import BFLOAT16
from narae.ir import trace
from narae.native.products.kernels import lower_product
from narae.reference.executor import execute
from tests.native import test_nest, test_product, test_vecmath
from tests.native.emulation import (
    NEON,
    NEWER,
    Emulated,
    assembly,
    emulated,
    has_target,
    kernels_of,
    missing,
    run_program,
)
from tests.native.kernel_samples import (
    F16,
    F32,
    F64,
    ONE_ARGUMENT,
    PRODUCTS,
    apply_all,
    check_same_bits,
)
from tests.native.native_checks import LOOSE, assert_same, expected
from tests.native.nest_making import random_nest
from tests.native.nest_running import BY_NAME
from tests.native.program_making import Making, with_gradients
from tests.native.test_native_updates import _adam as adam
from tests.native.test_product import products, weight_gradient

if not has_target():
    pytest.skip("llvmlite writes no code for 64-bit ARM", allow_module_level=True)

runs = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")
machines = pytest.mark.parametrize("machine", [NEON, NEWER], ids=["neon", "newer"])
WHOLE = ["floor_divide", "remainder", "fmod", "shift_left", "shift_right", "pow", "mul", "lt"]
SEEDS = st.integers(0, 2**32 - 1)


# --- programs, and what must be in the listings of their kernels ------------------------------


def softmax(x: Any) -> Any:
    return p.softmax(x, dim=1)


def layer_norm(x: Any, w: Any, b: Any) -> Any:
    return p.layer_norm(x, w, b, rank=1, eps=1e-5)


def max_pool(x: Any) -> Any:
    none = ((0, 0), (0, 0))
    return p.max_pool(x, kernel=(2, 2), stride=(2, 2), padding=none, dilation=(1, 1))


def transpose(x: Any) -> Any:
    return p.permute(x, dims=(1, 0))


def dropout(x: Any, key: Any) -> Any:
    keep = p.dropout_mask(key, shape=tuple(x.shape), threshold=2**31)
    return p.dropout(x, keep, scale=2.0), keep


def sample(*shape: int, dtype: Any = F32) -> Any:
    return np.abs(np.random.default_rng(len(shape)).normal(size=shape)).astype(dtype)


SINGLES, DOUBLES = r"v\d+\.4s", r"v\d+\.2d"
PROGRAMS: dict[str, tuple[Any, list[Any], list[str]]] = {
    "adam": (
        adam,
        [sample(20, 33), sample(20, 33), sample(20, 33), sample(20, 33), np.array(0.1, F32)],
        [f"fsqrt {SINGLES}", f"fdiv {SINGLES}", f"fmul {SINGLES}"],
    ),
    "softmax": (softmax, [sample(30, 70)], [f"fmla {SINGLES}", f"fdiv {SINGLES}"]),
    "layer norm": (
        layer_norm,
        [sample(30, 70), sample(70), sample(70)],
        [f"fmul {SINGLES}", f"fadd {SINGLES}"],
    ),
    "max pool": (max_pool, [sample(2, 3, 12, 22)], [f"fcm(gt|eq) {SINGLES}", r"b(sl|it|if) v"]),
    "transpose": (
        transpose,
        [sample(33, 70)],
        [r"ldp q", r"st1 { v\d+\.s }"],
    ),
    "dropout": (dropout, [sample(20, 33), np.array(77, np.uint64)], [rf"um(ull|lal)2? {DOUBLES}"]),
    "bfloat16": (
        p.add,
        [sample(20, 33, dtype=BFLOAT16)] * 2,
        [f"shll2? {SINGLES}", f"fadd {SINGLES}"],
    ),
    "float16": (p.add, [sample(20, 33, dtype=F16)] * 2, [f"fcvtl2? {SINGLES}", r"fcvtn2? v"]),
}


def check_listing(listing: str, wanted: list[str]) -> None:
    """Vector instructions, and no call: nothing is left to a library of the system."""
    listing = re.sub(r"[\t ]+", " ", listing)
    for pattern in wanted:
        assert re.search(rf"\n {pattern}", listing), (pattern, listing)
    assert not re.search(r"\n blr? ", listing), listing


@machines
@pytest.mark.parametrize("name", PROGRAMS)
def test_listings_of_programs(name: str, machine: Any) -> None:
    function, arrays, wanted = PROGRAMS[name]
    kernels = kernels_of(trace(function, arrays), machine)
    check_listing("".join(assembly(kernel, machine) for kernel in kernels), wanted)


@machines
@pytest.mark.parametrize("name", PRODUCTS)
def test_listings_of_products(name: str, machine: Any) -> None:
    product = PRODUCTS[name]
    stages = lower_product(product, machine).stages
    lanes = DOUBLES if product.dtype == F64 else SINGLES
    check_listing("".join(assembly(x.kernel, machine) for x in stages), [f"fmla {lanes}"])


def cases(names: Iterable[str]) -> list[Any]:
    """All on the oldest processor; on a newer one, what it has instructions for."""
    newer = [pytest.param(name, NEWER, id=f"{name}-newer") for name in names if "float" in name]
    return [*(pytest.param(name, NEON, id=name) for name in names), *newer]


# --- results ----------------------------------------------------------------------------------


@runs
@pytest.mark.parametrize(("name", "machine"), cases(PROGRAMS))
def test_programs(name: str, machine: Any) -> None:
    function, arrays, _ = PROGRAMS[name]
    program = trace(function, arrays)
    assert_same(run_program(program, arrays, machine), expected(program, arrays), name)


@runs
@pytest.mark.parametrize(("name", "machine"), cases(PRODUCTS))
def test_products(name: str, machine: Any) -> None:
    with emulated():
        test_product.check(PRODUCTS[name], machine)


@runs
def test_weight_gradient_in_partial_sums() -> None:
    with emulated(), test_product.small_caches():
        lowered = test_product.check(weight_gradient(37, 14, 8, 16), NEON)
    assert len(lowered.stages) > 1


@runs
@settings(max_examples=10)
@given(products(), st.sampled_from([None, 1, 5]), st.booleans())
def test_any_product(product: Any, piece: int | None, is_newer: bool) -> None:
    with emulated():
        test_product.check(product, NEWER if is_newer else NEON, piece)


@runs
@settings(max_examples=10)
@given(SEEDS)
def test_random_nests(seed: int) -> None:
    nest, slots = random_nest(seed)
    with emulated():
        test_nest.run_and_compare(nest, slots, NEWER if seed % 2 else NEON)


@runs
@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["float32", "float64", "bfloat16"]))
def test_random_programs(seed: int, dtype: str) -> None:
    check_program(seed, dtype, 8)


@pytest.mark.long
@runs
@settings(max_examples=200)
@given(SEEDS, st.sampled_from(["float32", "float64", "bfloat16", "float16"]))
def test_many_random_programs(seed: int, dtype: str) -> None:
    check_program(seed, dtype, 12)


def check_program(seed: int, dtype: str, length: int) -> None:
    """A random program, with its gradients where rounding leaves them alike."""
    random = np.random.default_rng(seed)
    program, arrays = Making(lambda n: int(random.integers(n)), dtype).program(length)
    program = with_gradients(program) if dtype == "float64" else program
    machine = NEWER if seed % 2 else NEON
    assert_same(run_program(program, arrays, machine), expected(program, arrays), "it", LOOSE)


# --- functions of one element -----------------------------------------------------------------


@runs
@machines
@pytest.mark.parametrize("dtype", [F32, F64, F16, BFLOAT16], ids=str)
def test_exact_functions_of_special_numbers(dtype: Any, machine: Any) -> None:
    special = np.array(test_nest.SPECIAL)
    with np.errstate(all="ignore"):
        x = np.repeat(special, len(special)).astype(dtype)
        y = np.tile(special, len(special)).astype(dtype)
        found = apply_all([*test_nest.EXACT, *test_nest.EXACT_BINARY], [x, y], machine, Emulated)
        for name, out in found.items():
            right = execute(BY_NAME[name], [x] if name in ONE_ARGUMENT else [x, y], {})
            np.testing.assert_array_equal(out.astype(F64), right.astype(F64), name)


@runs
@machines
@pytest.mark.parametrize("dtype", ["i4", "i8", "u1"])
def test_arithmetic_of_whole_numbers(dtype: str, machine: Any) -> None:
    """Division by zero, the smallest number by -1, shifts by too much, negative powers."""
    limits = np.iinfo(dtype)
    few = [limits.min, limits.max, 0, 1, 2, 3, 5, 8, 63, 64]
    few += [-1, -2, -7] if limits.min < 0 else []
    x, y = (a.ravel() for a in np.meshgrid(np.array(few, dtype), np.array(few, dtype)))
    for name, out in apply_all(WHOLE, [x, y], machine, Emulated).items():
        with np.errstate(all="ignore"):
            right = execute(BY_NAME[name], [x, y], {})
        np.testing.assert_array_equal(out, right, name)


@runs
def test_every_half_converts_as_numpy_does() -> None:
    with emulated():
        test_nest.test_every_half_converts_as_numpy_does(NEON)


@runs
def test_functions_against_numpy() -> None:
    """The bounds in ulp that hold on this processor, for float32 against NumPy in float64."""
    names = [name for name in test_vecmath.INEXACT if name != "erfinv"]
    x = np.concatenate([test_vecmath.all_singles()[::5], *(inside(name) for name in names)])
    with np.errstate(all="ignore"):
        for name, out in apply_all(names, [x], NEON, Emulated).items():
            right = test_vecmath.numpy_function(name)(x.astype(F64))
            error = test_vecmath.ulps(out, right)
            assert error.max() <= test_vecmath.BOUNDS[name][0], (name, x[error.argmax()])


def inside(name: str) -> Any:
    return test_vecmath.inside(name, "float32", 1000)


@runs
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_functions_have_the_same_bits_on_both_processors(dtype: Any) -> None:
    check_same_bits(dtype, NEON, Emulated)


@runs
def test_large_angles() -> None:
    x = np.random.default_rng(0).uniform(-1e30, 1e30, 300).astype(F32)
    x[::7] /= F32.type(1e28)
    for name, out in apply_all(["sin", "cos", "tan"], [x], NEON, Emulated).items():
        right = test_vecmath.numpy_function(name)(x.astype(F64))
        assert test_vecmath.ulps(out, right).max() <= 4, name
