"""Kernels that every kind of processor is tried with: products, and primitives of one element."""

from __future__ import annotations

from typing import Any

import numpy as np

from narae.base.dtypes import BFLOAT16
from narae.native.kernel import Machine
from narae.native.loops.kernels import nest_kernel
from narae.native.loops.nest import Apply, Load, Nest, Store
from narae.native.vecmath import BINARY, FUNCTIONS
from tests.native import test_vecmath
from tests.native.nest_making import COMPARISONS
from tests.native.nest_running import Compiled
from tests.native.test_nest import EXACT
from tests.native.test_product import convolution, linear, weight_gradient

F16, F32, F64 = np.dtype("f2"), np.dtype("f4"), np.dtype("f8")
ONE_ARGUMENT = {*FUNCTIONS, *EXACT}
# Which of two zeros is the largest is open.
ALL = [name for name in (*FUNCTIONS, *BINARY) if name not in ("maximum", "minimum")]

PRODUCTS = {
    "plain": linear(70, 67, 75, bias=True),
    "one row": linear(1, 67, 75, transposed=True),
    "packed": linear(530, 67, 75, transposed=True),
    "convolution": convolution(2, 7, 5, 40, bias=True),
    "strides": convolution(2, 7, 5, 40, stride=2),
    "weight gradient": weight_gradient(8, 14, 8, 16),
    "float64": linear(70, 67, 75, F64, bias=True),
    "bfloat16": linear(70, 67, 75, BFLOAT16, bias=True),
    "bfloat16, packed": linear(530, 68, 75, BFLOAT16, transposed=True),
    "float16": linear(70, 67, 75, F16, bias=True),
}


def apply_all(
    names: list[str], arrays: list[Any], machine: Machine, compiled: Any = Compiled
) -> dict[str, Any]:
    """Primitives of the same arrays, by one kernel of any length."""
    nodes: list[Any] = [Load(slot, x.dtype, (1,)) for slot, x in enumerate(arrays)]
    stores, outs, size = [], [], len(arrays[0])
    for name in names:
        dtype = np.dtype(bool) if name in COMPARISONS else arrays[0].dtype
        count = 1 if name in ONE_ARGUMENT else 2
        stores.append(Store(len(arrays) + len(outs), len(nodes), dtype, (1,)))
        nodes.append(Apply(name, tuple(range(count)), dtype))
        outs.append(np.zeros(size, dtype))
    slots = [*arrays, *outs, size]
    nest = Nest((0,), 1, tuple(nodes), tuple(stores), 1000, len(slots) - 1)
    compiled(nest_kernel(nest, machine), machine).run(slots, -(-size // 1000))
    return dict(zip(names, outs, strict=True))


def numbers(dtype: Any) -> tuple[Any, Any]:
    """Two arrays with special numbers; no large angles, which the C library is asked for."""
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        special = test_vecmath.special(dtype.name)
        x = np.concatenate([special, np.ravel(rng.normal(size=(2, 500)) * [[3.0], [1e4]])])
    x = x[~((np.abs(x) > 6e4) & (np.abs(x) < np.inf))].astype(dtype)
    return x, rng.permutation(x)


def check_same_bits(dtype: Any, machine: Machine, compiled: Any = Compiled) -> None:
    """All functions give what they give in the widest vectors of this processor."""
    x, y = numbers(dtype)
    for name, out in apply_all(ALL, [x, y], machine, compiled).items():
        right = test_vecmath.apply(name, *([x] if name in FUNCTIONS else [x, y]))
        np.testing.assert_array_equal(out, right, name)
