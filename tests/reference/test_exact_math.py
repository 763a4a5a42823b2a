"""Fused multiply-add against exact rational arithmetic, and the C library's functions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narae.tensors import exact_math
from narae.tensors.exact_math import (
    fused_multiply_add,
    fused_multiply_add_single,
    libm,
    round_to_odd,
)

moderate = st.floats(-1e60, 1e60).filter(lambda value: value == 0 or abs(value) > 1e-60)
singles = st.floats(-(2.0**40), 2.0**40, width=32).filter(lambda v: v == 0 or abs(v) > 2.0**-40)


def nearest_single(exact):
    """Round a fraction to float32 once, ties to even, using integers alone."""
    if exact == 0:
        return 0.0
    exponent = math.floor(math.log2(abs(exact))) - 23
    scaled = exact / Fraction(2) ** exponent
    if abs(scaled) >= 2**24:
        exponent, scaled = exponent + 1, scaled / 2
    if abs(scaled) < 2**23:
        exponent, scaled = exponent - 1, scaled * 2
    return float(round(scaled) * Fraction(2) ** exponent)  # `round` takes ties to even


@settings(max_examples=500, deadline=None)
@given(moderate, moderate, moderate)
def test_float64_is_rounded_once(x, scale, offset):
    exact = Fraction(x) * Fraction(scale) + Fraction(offset)
    assert fused_multiply_add(np.array([x]), scale, offset).item() == float(exact)


@settings(max_examples=500, deadline=None)
@given(moderate, moderate)
def test_float64_survives_cancellation(x, scale):
    exact = Fraction(x) * Fraction(scale) - Fraction(x * scale)
    assert fused_multiply_add(np.array([x]), scale, -x * scale).item() == float(exact)


@settings(max_examples=500, deadline=None)
@given(singles, singles, singles)
def test_float32_is_rounded_once(x, scale, offset):
    exact = Fraction(x) * Fraction(scale) + Fraction(offset)
    actual = fused_multiply_add_single(np.array([x], np.float32), scale, offset).item()
    assert actual == nearest_single(exact)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("nudge", [1.0, -1.0])
def test_just_beside_a_tie(sign, nudge):
    """A hair beside a tie of float32 decides the rounding, even where float64 drops the hair."""
    x, scale = np.array([sign * (1 + nudge * 2.0**-23)], np.float32), 2.0**-24
    exact = Fraction(float(x[0])) * Fraction(scale) + Fraction(sign * 2.0**12)
    actual = fused_multiply_add_single(x, scale, sign * 2.0**12).item()
    assert actual == nearest_single(exact)
    tie = np.array([1 + 2.0**-24])
    hair = np.array([2.0**-70])
    above = round_to_odd(sign * tie, sign * nudge * hair).astype(np.float32).item()
    assert above == sign * (1 + 2.0**-23 if nudge > 0 else 1.0)


def test_zeros_keep_the_sign_of_one_rounding():
    minus_zero = np.array([-0.0])
    assert not np.signbit(fused_multiply_add(minus_zero, 1.0, 0.0)[0])
    assert not np.signbit(fused_multiply_add_single(minus_zero.astype(np.float32), 1.0, 0.0)[0])


def test_the_largest_numbers_do_not_turn_into_nan():
    large = np.array([0.5, 1.0])
    assert fused_multiply_add(large, 1e308, 1e307).tolist() == [6e307, 1.1e308]
    assert fused_multiply_add(large, math.inf, 1.0).tolist() == [math.inf, math.inf]
    assert np.isnan(fused_multiply_add(large, math.nan, 1.0)).all()


@pytest.mark.parametrize("name", ["log", "log1p", "exp", "sin", "cos", "tan"])
def test_both_forms_of_a_function_agree(name, monkeypatch):
    x = np.random.default_rng(0).uniform(0.01, 0.99, (40, 50))
    one_by_one = libm(name, x)
    assert one_by_one.ravel().tolist() == [getattr(math, name)(value) for value in x.ravel()]
    monkeypatch.setattr(exact_math, "LIBM_LIMIT", 0)
    np.testing.assert_allclose(libm(name, x), one_by_one, rtol=4e-16)


def test_values_that_python_refuses_go_the_way_of_c():
    assert libm("log", np.array([0.0])).item() == -math.inf
    assert libm("log1p", np.array([-1.0])).item() == -math.inf
    assert libm("exp", np.array([1e4])).item() == math.inf
