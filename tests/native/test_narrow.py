"""Machines with narrower vectors than this computer has, and without the features of wider ones.

Planted faults that it has seen: 32 registers for AVX2; a conversion that only AVX has; a nest of
much work and no row, whose loops over the row were written.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings
from hypothesis import strategies as st

from narae import primitives as p
from narae.ir import trace
from narae.native import executor as native
from narae.native.plan.arena import GuardedArena
from narae.native.products.kernels import lower_product
from narae.native.runtime.machine import host_features, host_machine, machine_of
from tests.native import test_product
from tests.native.kernel_samples import F32, F64, PRODUCTS, check_same_bits
from tests.native.native_checks import LOOSE, assert_same, expected
from tests.native.program_making import Making
from tests.native.running import load

BITS = [bits for bits in (256, 128) if bits < host_machine().vector_bytes * 8]
if not BITS:
    pytest.skip("this processor's vectors are the narrowest", allow_module_level=True)

MACHINES = {bits: machine_of(host_features(), bits) for bits in BITS}
widths = pytest.mark.parametrize("bits", BITS)
SEEDS = st.integers(0, 2**32 - 1)


CASES = [(name, bits) for name in PRODUCTS for bits in BITS]


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_products(name: str, bits: int) -> None:
    test_product.check(PRODUCTS[name], MACHINES[bits])


@settings(max_examples=30)
@given(test_product.products(), st.sampled_from([None, 1, 5]))
def test_any_product(product: Any, piece: int | None) -> None:
    for machine in MACHINES.values():
        test_product.check(product, machine, piece)


@pytest.mark.skipif(256 not in BITS, reason="the processor has no wider vectors")
@pytest.mark.parametrize("name", ["plain", "convolution", "weight gradient", "bfloat16"])
def test_sixteen_registers_are_enough(name: str) -> None:
    """The tile of a product stays in the registers of AVX2: none is put aside in memory."""
    machine = MACHINES[256]
    kernels = [stage.kernel for stage in lower_product(PRODUCTS[name], machine).stages]
    listing = load(kernels, machine, assembly=True).assembly
    assert re.search(r"vfmadd\w+\s.*%ymm", listing)
    assert not re.search(r"zmm|[xy]mm1[6-9]|[xy]mm[23]\d", listing)
    assert not re.search(r"vmov\w+\s+%[xy]mm\d+, -?\d*\(%rsp\)", listing)


@widths
@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["float32", "float64", "bfloat16"]))
def test_random_programs(bits: int, seed: int, dtype: str) -> None:
    random = np.random.default_rng(seed)
    program, arrays = Making(lambda n: int(random.integers(n)), dtype).program(10)
    executor = native.NativeExecutor(MACHINES[bits], arena=GuardedArena)
    assert_same(executor.compile(program)(arrays), expected(program, arrays), "it", LOOSE)


@widths
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_functions_have_the_same_bits_in_all_widths(dtype: Any, bits: int) -> None:
    check_same_bits(dtype, MACHINES[bits])


def test_a_group_of_much_work() -> None:
    """More work for an element than is written one after the other, and no row to go through."""

    def heavy(x: Any, y: Any) -> Any:
        for _ in range(30):
            x = p.mul(p.tan(p.pow_(p.abs_(x), y)), 0.1)
        return x

    x, y = np.random.default_rng(0).uniform(0.1, 0.9, (2, 20, 33)).astype(F32)
    program = trace(heavy, [x, y])
    for machine in (host_machine(), *MACHINES.values()):
        runner = native.NativeExecutor(machine, arena=GuardedArena).compile(program)
        assert_same(runner([x, y]), expected(program, [x, y]), "it")
