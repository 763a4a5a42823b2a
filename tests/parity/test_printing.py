"""Narae's tensor texts equal PyTorch's, with `torch.` written as `narae.` (C16, G3, G22)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from narae.tensors import printing
from tests.reference.test_printing_golden import GOLDEN, Golden

torch = pytest.importorskip("torch")

FLOATS = [np.dtype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
WHOLE_NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
WHOLES = [np.dtype(name) for name in WHOLE_NAMES]

# Around each value where PyTorch's formatter changes its mind.
TURNING_POINTS = [
    value * nudge
    for value in (1e-4, 1e-1, 1.0, 1e3, 1e5, 1e8, 9.99995, 0.00005, 0.5)
    for nudge in (1 - 1e-7, 1, 1 + 1e-7)
]
FAMILIES = {
    "unit": st.floats(-1, 1),
    "whole": st.integers(-2000, 2000).map(float),
    "large_whole": st.integers(-(10**10), 10**10).map(float),
    "tiny": st.floats(-1e-30, 1e-30),
    "huge": st.floats(-1e300, 1e300),
    "anything": st.floats(),
    "turning": st.sampled_from(TURNING_POINTS),
    "special": st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -2.0, 1.5]),
}


@pytest.fixture(autouse=True)
def _default_options() -> Iterator[None]:
    """Start and leave every test with both sides' default options."""
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")
    yield
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")


@contextmanager
def both(options: dict[str, Any]) -> Iterator[None]:
    """Print with the same options on both sides."""
    with torch._tensor_str.printoptions(**options), printing.printoptions(**options):
        yield


def torch_tensor(array: np.ndarray) -> Any:
    """Return PyTorch's copy of an array; its own conversion does not know bfloat16."""
    dense = np.array(array, order="C", copy=True)
    if dense.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(dense.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(dense)


def expected_text(tensor: Any) -> str:
    """Return PyTorch's text under Narae's name."""
    return repr(tensor).replace("torch.", "narae.")


def our_text(array: np.ndarray, suffixes: tuple[str, ...] = (), prefix: str = "tensor(") -> str:
    """Return Narae's text, naming the dtype where `shows_dtype` says so."""
    default = np.dtype(str(torch.get_default_dtype()).removeprefix("torch."))
    shown = printing.shows_dtype(array, default)
    dtype = f"narae.{array.dtype.name}" if shown else None
    return printing.tensor_text(array, prefix=prefix, show_dtype=dtype, suffixes=suffixes)


def some_options() -> st.SearchStrategy[dict[str, Any]]:
    """Draw keywords of set_printoptions."""
    return st.fixed_dictionaries(
        {},
        optional={
            "precision": st.integers(0, 12),
            "threshold": st.one_of(st.integers(0, 60), st.just(math.inf)),
            "edgeitems": st.integers(0, 4),
            "linewidth": st.integers(0, 130),
            "profile": st.sampled_from(["default", "short", "full"]),
            "sci_mode": st.sampled_from([None, True, False]),
        },
    )


@st.composite
def arrays(draw: st.DrawFn, dtypes: list[np.dtype]) -> np.ndarray:
    """Draw an array: any strides, and values of one family or of several."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    if dtype.kind in "biu":
        array = draw(hnp.arrays(dtype, shape))
    else:
        names = draw(st.lists(st.sampled_from(sorted(FAMILIES)), min_size=1, max_size=2))
        elements = st.one_of([FAMILIES[name] for name in names])
        array = draw(hnp.arrays(np.float64, shape, elements=elements, fill=elements))
        with np.errstate(all="ignore"):
            array = array.astype(dtype)
    if draw(st.booleans()):
        array = array.transpose()
    if array.ndim and draw(st.booleans()):
        array = array[::-2]
    return array


@pytest.mark.parametrize("golden", GOLDEN, ids=[golden.name for golden in GOLDEN])
def test_golden_texts_are_pytorchs(golden: Golden) -> None:
    tensor = torch_tensor(golden.array).requires_grad_(golden.requires_grad)
    with both(golden.options):
        assert expected_text(tensor) == golden.text


@settings(max_examples=400, deadline=None)
@given(arrays(FLOATS + WHOLES), some_options())
@example(np.array(math.nan), {"sci_mode": True})
@example(np.zeros((2, 0, 3), dtype=bool), {"edgeitems": 0})
@example(np.float32(2.5).reshape(()), {"threshold": 0, "edgeitems": 0})
@example(np.arange(9.0), {"threshold": 9})
@example(np.array([1e8, 2e7]), {})
@example(np.array([1e8 + 1, 2e7]), {})
def test_values_and_options(array: np.ndarray, options: dict[str, Any]) -> None:
    with both(options):
        assert our_text(array) == expected_text(torch_tensor(array))


@settings(max_examples=400, deadline=None)
@given(arrays(FLOATS))
def test_floats_with_default_options(array: np.ndarray) -> None:
    assert our_text(array) == expected_text(torch_tensor(array))


@settings(max_examples=150, deadline=None)
@given(
    arrays(FLOATS),
    some_options(),
    st.sampled_from(["leaf", "product", "view", "subclass", "long subclass"]),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_suffixes_prefixes_and_default_dtypes(
    array: np.ndarray, options: dict[str, Any], kind: str, default: Any
) -> None:
    tensor = torch_tensor(array).requires_grad_()
    suffixes: tuple[str, ...] = ("requires_grad=True",)
    prefix = "tensor("
    if kind == "product":
        tensor, suffixes = tensor * 1, ("grad_fn=<MulBackward0>",)
    elif kind == "view":
        tensor, suffixes = tensor.view_as(tensor), ("grad_fn=<ViewBackward0>",)
    elif kind.endswith("subclass"):
        name = "Wave" if kind == "subclass" else "AVeryLongNameForATensor" * 2
        tensor = tensor.detach().as_subclass(type(name, (torch.Tensor,), {}))
        suffixes, prefix = (), f"{name}("
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        with both(options):
            assert our_text(array, suffixes, prefix) == expected_text(tensor)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("shape", [(1001,), (40, 50), (1000, 2), (2, 600), (7, 1, 200), (6,) * 4])
@pytest.mark.parametrize("profile", ["default", "short", "full"])
@pytest.mark.parametrize("dtype", FLOATS + WHOLES, ids=str)
def test_large_tensors(shape: tuple[int, ...], profile: str, dtype: np.dtype) -> None:
    generator = np.random.default_rng(7)
    array = (generator.standard_normal(shape) * 50).astype(np.int64).astype(dtype)
    if dtype in FLOATS:
        array = generator.standard_normal(shape).astype(dtype)
    with both({"profile": profile}):
        assert our_text(array) == expected_text(torch_tensor(array))


@given(st.lists(some_options(), max_size=5), some_options())
def test_sequences_of_set_printoptions(calls: list[dict[str, Any]], inside: dict[str, Any]) -> None:
    for options in calls:
        torch.set_printoptions(**options)
        printing.set_printoptions(**options)
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    with both(inside):
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_text_without_values() -> None:
    tensor = torch.empty(2, 3, dtype=torch.float64, device="meta")
    parts = ["device='meta'", "size=(2, 3)", "dtype=narae.float64"]
    assert printing.add_suffixes("tensor(...", parts, indent=7) == expected_text(tensor)


def format_or_error(function: Any, *arguments: Any) -> Any:
    """Return a text, or the kind of error that came instead."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        return TypeError if isinstance(error, TypeError) else ValueError


SPECS = ["", ".3f", ">.9", ">12.4e", "+g", "05d", "x", "%", ",", "s", "_^20", "c1"]


@settings(max_examples=200, deadline=None)
@given(arrays(FLOATS + WHOLES), st.sampled_from(SPECS))
def test_format(array: np.ndarray, spec: str) -> None:
    if array.size and array.ndim:
        array = array[(0,) * array.ndim].reshape(())
    if array.ndim and not spec:
        return  # the tensor's own text, not a number's
    ours = format_or_error(printing.format_scalar, array, spec)
    assert ours == format_or_error(format, torch_tensor(array), spec)
