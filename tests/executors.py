"""Running the same compiled cases on each executor: what equals eager bit for bit, and what nearly.

A file of cases says `pytestmark = on_every_executor`; `close` compares as the executor allows.
"""

import importlib.util

import numpy as np
import pytest

import narae
from narae.tensors.executors import executor_named

# Another executor rounds differently: sums in another order, products and sums in one go.
TOLERANCES = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2, "bfloat16": 5e-2}

on_every_executor = pytest.mark.parametrize("executor", ["reference", "native"], indirect=True)


def choose(name):
    """Let compiled steps run on an executor; skips the test where it is not there."""
    if name == "native" and importlib.util.find_spec("llvmlite") is None:
        pytest.skip("llvmlite is not installed")
    narae.set_executor(name)


def close(found, expected, where=""):
    """Compare nested results: the same bits on the reference executor, nearly so on others."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key, value in expected.items():
            close(found[key], value, f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for place, (one, two) in enumerate(zip(found, expected, strict=True)):
            close(one, two, f"{where}[{place}]")
    elif isinstance(expected, (narae.Tensor, np.ndarray, float)):
        _close_arrays(_array(found), _array(expected), where)
    else:
        assert found == expected, where


def _array(value):
    return value.detach().numpy() if isinstance(value, narae.Tensor) else np.asarray(value)


def _close_arrays(found, expected, where):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
    exact = executor_named(None).name == "reference" or expected.dtype.name not in TOLERANCES
    if exact:
        same = np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()
        assert same, f"{where}: {found} is not {expected}"
    else:
        tolerance = TOLERANCES[expected.dtype.name]
        found, expected = found.astype(np.float64), expected.astype(np.float64)
        np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=where)


def kept(state):
    """A nested state with its numbers copied."""
    if isinstance(state, narae.Tensor):
        return state.detach().numpy().copy()
    if isinstance(state, dict):
        return {key: kept(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [kept(value) for value in state]
    return state
