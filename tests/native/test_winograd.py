"""Winograd's convolutions beside plain sums over windows in float64.

Faults that it has seen: taps not turned round, a point of a transform with the wrong sign, a last
column of outputs written beyond the picture, blocks whose tiles were counted twice.
"""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from narae import primitives as p
from narae.ir import trace
from narae.native.executor import NativeExecutor
from narae.native.runtime.machine import host_machine
from narae.native.runtime.team import get_threads, set_threads
from narae.native.winograd.shape import winograd_shape
from tests.native.native_checks import LOOSE, bits, check_program, native_runner
from tests.native.running import machine_of

# Each output is a sum of 9 * channels products; its error, as a share of the largest output.
MOST_ERROR = 2e-6


def windows(x, padding):
    """(images, channels, height, width, 3, 3): what each output is a sum of."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *padding))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))


def expected(x, w, grad, padding):
    """The convolution and its gradients, in float64."""
    view = windows(x, padding)
    turned = [(2 - low, 2 - high) for low, high in padding]
    return (
        np.einsum("nchwij,ocij->nohw", view, w, optimize=True),
        np.einsum("nohwij,ocij->nchw", windows(grad, turned), w[:, :, ::-1, ::-1], optimize=True),
        np.einsum("nchwij,nohw->ocij", view, grad, optimize=True),
    )


def step_of(padding):
    attrs = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}

    def step(x, w, grad):
        # `relu` of each: chains of kernels begin and end with the convolutions
        x = p.maximum(x, 0.0)
        out = p.conv(x, w, **attrs)
        return (
            p.maximum(out, -100.0),
            p.maximum(p.conv_grad_x(grad, w, x_shape=tuple(x.shape), **attrs), -100.0),
            p.conv_grad_w(grad, x, w_shape=tuple(w.shape), **attrs),
        )

    return step


def case(images, channels, out_channels, size, padding, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(images, channels, *size)).astype(np.float32)
    w = random.normal(size=(out_channels, channels, 3, 3)).astype(np.float32)
    w /= np.float32(3 * np.sqrt(channels))
    out = [n + sum(pair) - 2 for n, pair in zip(size, padding, strict=True)]
    grad = random.normal(size=(images, out_channels, *out)).astype(np.float32)
    return trace(step_of(padding), [x, w, grad]), [x, w, grad]


def used(program):
    """Which of a program's convolutions are computed in this way."""
    names = ("conv", "conv_grad_x", "conv_grad_w")
    nodes = [node for node in program.nodes if node.operation.name in names]
    return [winograd_shape(node) is not None for node in nodes]


def assert_near(found, arrays, padding):
    x, w, grad = arrays
    for one, two in zip(found, expected(np.maximum(x, 0), w, grad, padding), strict=True):
        error = np.abs(one - two).max() / np.abs(two).max()
        assert error < MOST_ERROR, error


SAME = ((1, 1), (1, 1))
CASES = {
    "blocks of several pictures": (12, 64, 32, (4, 4), SAME),
    "blocks of a part of a picture": (2, 32, 48, (32, 20), SAME),
    "odd sizes": (3, 40, 33, (9, 13), ((0, 1), (2, 0))),
    "panels of columns": (2, 32, 192, (12, 12), ((1, 1), (1, 1))),
    "steps for all tiles": (8, 256, 256, (4, 4), SAME),
    "a single picture": (1, 32, 64, (14, 14), ((2, 2), (0, 0))),
    "a prime number of pictures": (37, 32, 32, (6, 6), SAME),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    """On guarded memory, and again on memory that is shared and holds NaN at first."""
    program, arrays = case(*CASES[name])
    assert all(used(program))
    _, found = check_program(program, arrays)
    assert_near(found, arrays, CASES[name][-1])


@settings(max_examples=12, deadline=None)
@given(
    images=st.integers(1, 9),
    channels=st.sampled_from([32, 37, 64, 80]),
    out_channels=st.sampled_from([32, 50, 64, 112]),
    size=st.tuples(st.integers(6, 19), st.integers(6, 19)),
    padding=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    seed=st.integers(0, 9),
)
def test_any_sizes(images, channels, out_channels, size, padding, seed):
    program, arrays = case(images, channels, out_channels, size, padding, seed)
    _, found = check_program(program, arrays)
    assert_near(found, arrays, padding)


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_narrower_vectors(vector_bytes):
    if vector_bytes > host_machine().vector_bytes:
        pytest.skip("wider than this processor's vectors")
    program, arrays = case(2, 37, 32, (9, 8), SAME)
    found = NativeExecutor(machine_of(vector_bytes)).compile(program)(arrays)
    assert all(used(program))
    assert_near(found, arrays, SAME)


def test_bits_do_not_depend_on_threads():
    before = get_threads()
    for name in ("blocks of several pictures", "panels of columns", "steps for all tiles"):
        program, arrays = case(*CASES[name])
        runner = native_runner(program)
        found = []
        for count in (1, 2, 5):
            set_threads(count)
            found += [bits(runner(arrays)) for _ in range(3)]
        set_threads(before)
        assert all(each == found[0] for each in found), name


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"stride": (2, 1)}, "tiles overlap by two, whatever the stride"),
        ({"dilation": (1, 2)}, "taps lie next to each other"),
        ({"groups": 2}, "each group would be a product of its own"),
        ({"padding": ((3, 3), (1, 1))}, "the gradient would begin inside of the picture"),
    ],
)
def test_what_is_left_to_plain_sums(changed, why):
    attrs = {"stride": (1, 1), "padding": SAME, "dilation": (1, 1), "groups": 1, **changed}
    x = np.zeros((2, 64, 16, 16), np.float32)
    w = np.zeros((64, 64 // attrs["groups"], 3, 3), np.float32)
    assert used(trace(lambda x, w: p.conv(x, w, **attrs), [x, w])) == [False], why


def test_bfloat16_is_rounded_once():
    """Transforms and sums are in float32; what is stored is near the nearest number."""
    program, arrays = case(2, 48, 64, (9, 12), SAME)
    narrow = [x.astype(ml_dtypes.bfloat16) for x in arrays]
    program = trace(step_of(SAME), narrow)
    assert used(program) == [True, True, True]
    _, found = check_program(program, narrow, LOOSE)
    x, w, grad = (a.astype(np.float64) for a in narrow)
    for one, two in zip(found, expected(np.maximum(x, 0), w, grad, SAME), strict=True):
        assert one.dtype == ml_dtypes.bfloat16
        error = np.abs(one.astype(np.float64) - two)
        assert (error <= np.abs(two) * 2**-8 + 2e-6 * np.abs(two).max()).all()


def test_float64_is_left_to_plain_sums():
    _, arrays = case(2, 64, 64, (16, 16), SAME)
    program = trace(step_of(SAME), [x.astype(np.float64) for x in arrays])
    assert used(program) == [False, False, False]
