"""Texts that PyTorch 2.13 printed (`torch.` written as `narae.`), kept here word for word.

`tests/parity/test_printing.py` asks PyTorch for each of them again. Rows: C16 (strings of
objects), G3 (printed parameters), G22 (formatted costs).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from narae.base.errors import ConfigError, DTypeError, NaraeError, ShapeError
from narae.tensors.printing import (
    PrintOptions,
    add_suffixes,
    format_scalar,
    get_printoptions,
    printoptions,
    set_printoptions,
    shows_dtype,
    tensor_text,
)

FLOAT32 = np.dtype(np.float32)


@dataclass
class Golden:
    """A tensor's values, how it was printed, and the text."""

    name: str
    array: np.ndarray
    text: str
    requires_grad: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def ours(self) -> str:
        """Return Narae's text for the same values."""
        dtype = f"narae.{self.array.dtype.name}" if shows_dtype(self.array, FLOAT32) else None
        suffixes = ["requires_grad=True"] if self.requires_grad else []
        with printoptions(**self.options):
            return tensor_text(self.array, show_dtype=dtype, suffixes=suffixes)


def f32(values: Any) -> np.ndarray:
    """Return a float32 array."""
    return np.array(values, dtype=np.float32)


GOLDEN = [
    Golden("scalar", f32(3.5), "tensor(3.5000)"),
    Golden("scalar_whole", f32(-2), "tensor(-2., requires_grad=True)", requires_grad=True),
    Golden("scalar_nan", f32(math.nan), "tensor(nan)"),
    Golden(
        "g3_weight", f32([[-0.7767]]), "tensor([[-0.7767]], requires_grad=True)", requires_grad=True
    ),
    Golden("g3_bias", f32([0.6317]), "tensor([0.6317], requires_grad=True)", requires_grad=True),
    Golden(
        "fixed",
        f32([[1, 2.5], [-3, 0.25]]),
        "tensor([[ 1.0000,  2.5000],\n        [-3.0000,  0.2500]])",
    ),
    Golden(
        "whole_floats",
        f32([1, -0.0, 100, math.inf, math.nan]),
        "tensor([  1.,  -0., 100.,  inf,  nan])",
    ),
    Golden("zeros", f32([0, -0.0, math.inf]), "tensor([0., -0., inf])", options={"sci_mode": True}),
    Golden("negative_zero_fixed", f32([-0.0, 0.5]), "tensor([-0.0000, 0.5000])"),
    Golden("scientific_ratio", f32([1e-3, 2.5]), "tensor([1.0000e-03, 2.5000e+00])"),
    Golden(
        "scientific_large",
        f32([2e8, math.nan, 0, -1e9]),
        "tensor([ 2.0000e+08,         nan,  0.0000e+00, -1.0000e+09])",
    ),
    Golden("scientific_small", f32([5e-5, 6e-5]), "tensor([5.0000e-05, 6.0000e-05])"),
    Golden("boundary_1e8", f32([1e8, 1e6]), "tensor([100000000.,   1000000.])"),
    Golden(
        "never_scientific",
        f32([1e-3, 25000.0]),
        "tensor([    0.00, 25000.00])",
        options={"sci_mode": False, "precision": 2},
    ),
    Golden(
        "always_scientific",
        f32([1, 20]),
        "tensor([1.0e+00, 2.0e+01])",
        options={"sci_mode": True, "precision": 1},
    ),
    Golden(
        "extremes",
        np.array([5e-324, 1.7e308]),
        "tensor([4.9407e-324, 1.7000e+308], dtype=narae.float64)",
    ),
    Golden(
        "float16",
        np.array([0.1, 65504], dtype=np.float16),
        "tensor([9.9976e-02, 6.5504e+04], dtype=narae.float16)",
    ),
    Golden(
        "bfloat16",
        np.array([0.1, -7], dtype=ml_dtypes.bfloat16),
        "tensor([ 0.1001, -7.0000], dtype=narae.bfloat16)",
    ),
    Golden(
        "bool",
        np.array([[True, False], [False, False]]),
        "tensor([[ True, False],\n        [False, False]])",
    ),
    Golden("int64", np.array([-1, 20, 300]), "tensor([ -1,  20, 300])"),
    Golden(
        "int64_limits",
        np.array([-(2**63), 2**63 - 1]),
        "tensor([-9223372036854775808,  9223372036854775807])",
    ),
    Golden("uint8", np.array([0, 255], dtype=np.uint8), "tensor([  0, 255], dtype=narae.uint8)"),
    Golden("empty", f32([]), "tensor([])"),
    Golden(
        "empty_rows",
        np.zeros((0, 3), dtype=np.float32),
        "tensor([], size=(0, 3), requires_grad=True)",
        requires_grad=True,
    ),
    Golden(
        "empty_int", np.zeros((2, 0), dtype=np.int64), "tensor([], size=(2, 0), dtype=narae.int64)"
    ),
    Golden("empty_vector_int", np.array([], dtype=np.int64), "tensor([], dtype=narae.int64)"),
    Golden(
        "wrapped_row",
        np.arange(30),
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])",
    ),
    Golden(
        "wrapped_suffix",
        np.arange(17, dtype=np.float64),
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
        "        14., 15., 16.], dtype=narae.float64, requires_grad=True)",
        requires_grad=True,
    ),
    Golden(
        "three_dims",
        np.arange(12).reshape(2, 2, 3),
        "tensor([[[ 0,  1,  2],\n"
        "         [ 3,  4,  5]],\n"
        "\n"
        "        [[ 6,  7,  8],\n"
        "         [ 9, 10, 11]]])",
    ),
    Golden(
        "four_dims",
        np.arange(8, dtype=np.int32).reshape(2, 2, 1, 2),
        "tensor([[[[0, 1]],\n"
        "\n"
        "         [[2, 3]]],\n"
        "\n"
        "\n"
        "        [[[4, 5]],\n"
        "\n"
        "         [[6, 7]]]], dtype=narae.int32)",
    ),
    Golden("summary_vector", np.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    Golden(
        "summary_not_yet",
        np.arange(12),
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11])",
        options={"threshold": 12},
    ),
    Golden(
        "summary_matrix",
        np.arange(70).reshape(7, 10),
        "tensor([[ 0,  1,  2,  ...,  7,  8,  9],\n"
        "        [10, 11, 12,  ..., 17, 18, 19],\n"
        "        [20, 21, 22,  ..., 27, 28, 29],\n"
        "        ...,\n"
        "        [40, 41, 42,  ..., 47, 48, 49],\n"
        "        [50, 51, 52,  ..., 57, 58, 59],\n"
        "        [60, 61, 62,  ..., 67, 68, 69]])",
        options={"threshold": 50},
    ),
    Golden(
        "summary_long_inside",
        f32(range(60)).reshape(3, 20) / 4,
        "tensor([[ 0.0000,  0.2500,  0.5000,  ...,  4.2500,  4.5000,  4.7500],\n"
        "        [ 5.0000,  5.2500,  5.5000,  ...,  9.2500,  9.5000,  9.7500],\n"
        "        [10.0000, 10.2500, 10.5000,  ..., 14.2500, 14.5000, 14.7500]])",
        options={"threshold": 50},
    ),
    Golden(
        "summary_three_dims",
        np.arange(125).reshape(5, 5, 5),
        "tensor([[[  0,  ...,   4],\n"
        "         ...,\n"
        "         [ 20,  ...,  24]],\n"
        "\n"
        "        ...,\n"
        "\n"
        "        [[100,  ..., 104],\n"
        "         ...,\n"
        "         [120,  ..., 124]]])",
        options={"threshold": 1, "edgeitems": 1},
    ),
    Golden(
        "summary_hidden_middle",
        f32([1, 2, 1e12, 0.5, 3, 4]),
        "tensor([1., 2.,  ..., 3., 4.])",
        options={"threshold": 5, "edgeitems": 2},
    ),
    Golden(
        "no_edgeitems",
        np.arange(20).reshape(4, 5),
        "tensor([...], size=(4, 5))",
        options={"threshold": 5, "edgeitems": 0},
    ),
    Golden(
        "no_edgeitems_full",
        np.arange(4).reshape(2, 2),
        "tensor([[0, 1],\n        [2, 3]], size=(2, 2))",
        options={"edgeitems": 0},
    ),
    Golden(
        "profile_short",
        f32(range(1200)).reshape(40, 30) / 8,
        "tensor([[0.00e+00, 1.25e-01,  ..., 3.50e+00, 3.62e+00],\n"
        "        [3.75e+00, 3.88e+00,  ..., 7.25e+00, 7.38e+00],\n"
        "        ...,\n"
        "        [1.42e+02, 1.43e+02,  ..., 1.46e+02, 1.46e+02],\n"
        "        [1.46e+02, 1.46e+02,  ..., 1.50e+02, 1.50e+02]])",
        options={"profile": "short"},
    ),
    Golden(
        "narrow",
        f32([[1.5, 2.5, 3.5], [4, 5, 6]]),
        "tensor([[1.5000, 2.5000,\n"
        "         3.5000],\n"
        "        [4.0000, 5.0000,\n"
        "         6.0000]],\n"
        "       requires_grad=True)",
        requires_grad=True,
        options={"linewidth": 25},
    ),
    Golden(
        "too_narrow", f32([1.5, 2.5]), "tensor([1.5000,\n        2.5000])", options={"linewidth": 1}
    ),
    Golden("precision_zero", f32([0.5, 1.5, 2.25]), "tensor([0, 2, 2])", options={"precision": 0}),
    Golden("ratio_of_1000", f32([1.5, 1500]), "tensor([   1.5000, 1500.0000])"),
    Golden("ratio_above_1000", f32([1.5, 1500.25]), "tensor([1.5000e+00, 1.5002e+03])"),
    Golden(
        "boundary_1e_4", np.array([1e-4, 1.05e-4]), "tensor([0.0001, 0.0001], dtype=narae.float64)"
    ),
    Golden(
        "below_1e_4",
        np.array([9.9e-5, 1.05e-4]),
        "tensor([9.9000e-05, 1.0500e-04], dtype=narae.float64)",
    ),
    Golden(
        "summary_dim_of_both_edges",
        np.arange(42).reshape(7, 6),
        "tensor([[ 0,  1,  2,  3,  4,  5],\n"
        "        [ 6,  7,  8,  9, 10, 11],\n"
        "        [12, 13, 14, 15, 16, 17],\n"
        "        ...,\n"
        "        [24, 25, 26, 27, 28, 29],\n"
        "        [30, 31, 32, 33, 34, 35],\n"
        "        [36, 37, 38, 39, 40, 41]])",
        options={"threshold": 9},
    ),
    Golden(
        "suffix_fits",
        np.arange(3, dtype=np.int32),
        "tensor([0, 1, 2], dtype=narae.int32)",
        options={"linewidth": 37},
    ),
    Golden(
        "suffix_does_not_fit",
        np.arange(3, dtype=np.int32),
        "tensor([0, 1, 2],\n       dtype=narae.int32)",
        options={"linewidth": 36},
    ),
    Golden(
        "suffix_after_rows_fits",
        f32([[1.5], [2]]),
        "tensor([[1.5000],\n        [2.0000]], requires_grad=True)",
        requires_grad=True,
        options={"linewidth": 39},
    ),
    Golden(
        "suffix_after_rows_does_not_fit",
        f32([[1.5], [2]]),
        "tensor([[1.5000],\n        [2.0000]],\n       requires_grad=True)",
        requires_grad=True,
        options={"linewidth": 38},
    ),
    Golden(
        "second_suffix_fits",
        np.array([0.5, 1, 2]),
        "tensor([0.5000, 1.0000, 2.0000],\n       dtype=narae.float64, requires_grad=True)",
        requires_grad=True,
        options={"linewidth": 46},
    ),
    Golden(
        "second_suffix_does_not_fit",
        np.array([0.5, 1, 2]),
        "tensor([0.5000, 1.0000, 2.0000],\n       dtype=narae.float64,\n       requires_grad=True)",
        requires_grad=True,
        options={"linewidth": 45},
    ),
]


@pytest.mark.parametrize("golden", GOLDEN, ids=[golden.name for golden in GOLDEN])
def test_golden(golden: Golden) -> None:
    assert golden.ours() == golden.text


def test_grad_fn_and_device_take_pytorchs_places() -> None:
    values = f32([[1.5, 2.0]])
    text = tensor_text(values, suffixes=["grad_fn=<AddmmBackward0>"])
    assert text == "tensor([[1.5000, 2.0000]], grad_fn=<AddmmBackward0>)"
    text = tensor_text(values[:0], show_dtype="narae.float16", device="cuda:0")
    assert text == "tensor([], device='cuda:0', size=(0, 2), dtype=narae.float16)"
    text = tensor_text(values, prefix="MyTensor(")
    assert text == "MyTensor([[1.5000, 2.0000]])"


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (f32(0.066701926290989), ">.9", "0.0667019263"),  # G22: f"{avg_cost:>.9}"
        (f32(28.903635), ".6f", "28.903635"),  # G6
        (np.array(3), "05d", "00003"),
        (np.array(True), "", "True"),
        (np.array(-2.5, dtype=ml_dtypes.bfloat16), "+.2e", "-2.50e+00"),
        (np.array(0.1, dtype=np.float16), "", "0.0999755859375"),
    ],
)
def test_format_scalar(value: np.ndarray, spec: str, text: str) -> None:
    assert format_scalar(value, spec) == text


def test_format_refuses_a_tensor_with_dimensions() -> None:
    with pytest.raises(TypeError, match=r"\(2, 3\).*x\.mean\(\)") as caught:
        format_scalar(np.ones((2, 3)), ".3f")
    assert isinstance(caught.value, ShapeError)


def test_format_refuses_an_unknown_code() -> None:
    with pytest.raises(ValueError, match="Unknown format code 'd'"):
        format_scalar(f32(1.5), "d")


@pytest.mark.parametrize("values", [[1 + 2j], ["text"], [None]])
def test_other_dtypes_are_refused(values: list[Any]) -> None:
    with pytest.raises(DTypeError, match="bool, integer or floating-point"):
        tensor_text(np.array(values))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"precision": -1}, "precision is -1.*at least 0"),
        ({"precision": True}, "precision is True.*whole number"),
        ({"precision": 2.5}, "precision is 2.5.*whole number"),
        ({"edgeitems": -3}, "edgeitems is -3.*at least 0"),
        ({"linewidth": "wide"}, "linewidth is 'wide'.*whole number"),
        ({"threshold": math.nan}, "threshold is nan.*math.inf"),
        ({"threshold": "all"}, "threshold is 'all'"),
        ({"sci_mode": "auto"}, "sci_mode is 'auto'.*None"),
        ({"profile": "long"}, "profile is 'long'.*'default', 'short' and 'full'"),
    ],
)
def test_a_bad_option_is_refused_and_changes_nothing(bad: dict[str, Any], words: str) -> None:
    before = get_printoptions()
    with pytest.raises(ConfigError, match=words):
        set_printoptions(**{"linewidth": 50, **bad})
    assert get_printoptions() == before
    with pytest.raises(NaraeError), printoptions(**bad):
        pytest.fail("the block must not run")
    assert get_printoptions() == before


def test_printoptions_are_put_back_after_an_error() -> None:
    before = get_printoptions()
    with pytest.raises(KeyError), printoptions(precision=1, sci_mode=True):
        assert get_printoptions() == {**before, "precision": 1, "sci_mode": True}
        raise KeyError
    assert get_printoptions() == before


def test_options_given_to_the_call_win() -> None:
    options = PrintOptions(precision=1, linewidth=30)
    text = tensor_text(f32([1.25, 2.5]), suffixes=["requires_grad=True"], options=options)
    assert text == "tensor([1.2, 2.5],\n       requires_grad=True)"
    assert add_suffixes("tensor(1", [], 7, options) == "tensor(1)"


def test_only_the_edges_of_a_large_tensor_are_read() -> None:
    # 10^14 elements over one stored number: reading them all would take hours.
    large = np.broadcast_to(f32(1.5), (10**7, 10**7))
    start = time.perf_counter()
    text = tensor_text(large)
    assert time.perf_counter() - start < 1.0
    row = "[1.5000, 1.5000, 1.5000,  ..., 1.5000, 1.5000, 1.5000]"
    rows = f",\n{' ' * 8}".join([row, row, row, "...", row, row, row])
    assert text == f"tensor([{rows}])"


def test_printing_changes_nothing() -> None:
    values = f32([[1e-30, math.nan], [math.inf, -0.0]])
    before = values.tobytes()
    with np.errstate(all="raise"):
        tensor_text(values)
    assert values.tobytes() == before


def test_sci_mode_left_out_becomes_none_again() -> None:
    with printoptions(sci_mode=True):
        set_printoptions(precision=3)
        assert get_printoptions()["sci_mode"] is None
        assert get_printoptions()["precision"] == 3
