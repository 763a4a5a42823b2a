"""Kernels of loop nests compute what the nest says, as NumPy has it."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from narae.base.dtypes import is_floating, is_half  # noqa: E402
from narae.native.kernel import Machine  # noqa: E402
from narae.native.machine import host_features, host_machine, machine_of  # noqa: E402
from narae.native.nest import Nest  # noqa: E402
from narae.native.nest_kernels import nest_kernel  # noqa: E402

from .nest_making import random_nest  # noqa: E402
from .nest_running import Compiled, Meaning  # noqa: E402

BITS = [bits for bits in (512, 256, 128) if bits <= host_machine().vector_bytes * 8]
MACHINES = [machine_of(host_features(), bits) for bits in BITS]


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
@settings(max_examples=150, deadline=None, derandomize=True)
def test_random_nests(seed: int, which: int, edge: bool) -> None:
    nest, slots = random_nest(seed, at_end=edge)
    run_and_compare(nest, slots, MACHINES[which])
