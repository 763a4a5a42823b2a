"""Convolution against plain loops, and its gradients against the definition of an adjoint."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae.reference import convolution
from narae.reference.convolution import conv, conv_grad_w, conv_grad_x
from narae.reference.windows import fold, output_size, output_space, pad, padded_space, unfold


def loops(x, w, *, stride, padding, dilation, groups):
    """The definition: one loop for each index (A6, A7)."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    reach = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    space = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    per_group_in, per_group_out = w.shape[1], len(w) // groups
    out = np.zeros((len(x), len(w), *space))
    for n, o in itertools.product(range(len(x)), range(len(w))):
        first = o // per_group_out * per_group_in
        for place in np.ndindex(*space):
            total = 0.0
            for c in range(per_group_in):
                for tap in np.ndindex(*w.shape[2:]):
                    where = tuple(
                        p * s + t * d
                        for p, s, t, d in zip(place, stride, tap, dilation, strict=True)
                    )
                    total += x[(n, first + c, *where)] * w[(o, c, *tap)]
            out[(n, o, *place)] = total
    return out


@st.composite
def cases(draw):
    """Small convolutions in one to three dimensions, every attribute free."""
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    in_per_group, out_per_group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(dims))
    space = []
    for k, d, (low, high) in zip(kernel, dilation, padding, strict=True):
        least = max(1, d * (k - 1) + 1 - low - high)
        space.append(draw(st.integers(least, least + 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.integers(0, 3))
    x = rng.standard_normal((batch, groups * in_per_group, *space))
    w = rng.standard_normal((groups * out_per_group, in_per_group, *kernel))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, how


@given(cases())
def test_equals_the_loops(case):
    """A6, A7: equals the loop oracle; several channels are the sum of single ones."""
    x, w, how = case
    np.testing.assert_allclose(conv(x, w, **how), loops(x, w, **how), rtol=1e-12, atol=1e-12)


@given(cases())
def test_gradients_are_the_adjoints(case):
    """<g, conv(x, w)> = <conv_grad_x(g, w), x> = <conv_grad_w(g, x), w>, for every g (A12)."""
    x, w, how = case
    out = conv(x, w, **how)
    grad_out = np.random.default_rng(1).standard_normal(out.shape)
    grad_x = conv_grad_x(grad_out, w, x_shape=x.shape, **how)
    grad_w = conv_grad_w(grad_out, x, w_shape=w.shape, **how)
    assert grad_x.shape == x.shape
    assert grad_w.shape == w.shape
    value = np.sum(grad_out * out)
    np.testing.assert_allclose(np.sum(grad_x * x), value, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.sum(grad_w * w), value, rtol=1e-10, atol=1e-10)


def test_gradient_is_a_convolution_with_the_flipped_kernel():
    """A12: dX is the full convolution with the flipped kernel, dK = xcorr(x, grad_out)."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 1, 6, 5)), rng.standard_normal((1, 1, 3, 2))
    valid = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    grad_out = rng.standard_normal((1, 1, 4, 4))
    full = {**valid, "padding": ((2, 2), (1, 1))}
    flipped = loops(grad_out, w[:, :, ::-1, ::-1], **full)
    np.testing.assert_allclose(conv_grad_x(grad_out, w, x_shape=x.shape, **valid), flipped)
    np.testing.assert_allclose(
        conv_grad_w(grad_out, x, w_shape=w.shape, **valid), loops(x, grad_out, **valid)
    )


@pytest.mark.parametrize("piece", [1, 3000, 10**9])
def test_pieces_of_the_batch_do_not_change_the_result(piece, monkeypatch):
    """However the batch is cut, every image is the same, and so is the sum for the weight."""
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((7, 4, 6, 5)), rng.standard_normal((6, 2, 3, 3))
    how = {"stride": (1, 2), "padding": ((1, 1), (0, 2)), "dilation": (1, 1), "groups": 2}
    monkeypatch.setattr(convolution, "PIECE_BYTES", piece)
    monkeypatch.setattr(convolution, "PIECE_WEIGHTS", 0)
    out = conv(x, w, **how)
    np.testing.assert_allclose(out, loops(x, w, **how), rtol=1e-12, atol=1e-12)
    grad_out = rng.standard_normal(out.shape)
    whole = sum(
        conv_grad_w(grad_out[n : n + 1], x[n : n + 1], w_shape=w.shape, **how) for n in range(7)
    )
    np.testing.assert_allclose(
        conv_grad_w(grad_out, x, w_shape=w.shape, **how), whole, rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "expanded"])
def test_any_memory_layout(layout):
    """Views of every kind give what their copies give."""
    rng = np.random.default_rng(4)
    base = rng.standard_normal((8, 6, 6, 4))
    x = {
        "transposed": base.transpose(0, 3, 1, 2),
        "strided": base[::2, ::3, ::2],
        "reversed": base[::-1, :, ::-1],
        "expanded": np.broadcast_to(base[:1, :1], base.shape),
    }[layout]
    w = rng.standard_normal((3, x.shape[1], 2, 2)).swapaxes(2, 3)
    how = {"stride": (1, 1), "padding": ((1, 0), (0, 1)), "dilation": (1, 1), "groups": 1}
    expected = conv(x.copy(), w.copy(), **how)
    assert np.array_equal(conv(x, w, **how), expected)
    grad_w = conv_grad_w(expected, x, w_shape=w.shape, **how)
    assert np.array_equal(grad_w, conv_grad_w(expected, x.copy(), w_shape=w.shape, **how))


@pytest.mark.parametrize("empty", ["images", "in_channels", "out_channels"])
def test_nothing_gives_zeros(empty):
    """Sums without terms are 0, and what has no elements keeps its shape."""
    sizes = {"images": 2, "in_channels": 3, "out_channels": 4, empty: 0}
    x = np.ones((sizes["images"], sizes["in_channels"], 5, 6))
    w = np.ones((sizes["out_channels"], sizes["in_channels"], 3, 2))
    how = {"stride": (1, 2), "padding": ((1, 1), (0, 0)), "dilation": (1, 1)}
    out = conv(x, w, **how)
    assert out.shape == (sizes["images"], sizes["out_channels"], 5, 3)
    grad_x = conv_grad_x(np.ones(out.shape), w, x_shape=x.shape, **how)
    grad_w = conv_grad_w(np.ones(out.shape), x, w_shape=w.shape, **how)
    assert (grad_x.shape, grad_w.shape) == (x.shape, w.shape)
    assert not out.any() and not grad_x.any() and not grad_w.any()


def test_float32_stays_float32():
    """The type of the input is the type of every result."""
    x, w = np.ones((2, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)
    how = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    out = conv(x, w, **how)
    assert out.dtype == np.float32
    assert conv_grad_x(out, w, x_shape=x.shape, **how).dtype == np.float32
    assert conv_grad_w(out, x, w_shape=w.shape, **how).dtype == np.float32


@given(
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_output_size_counts_the_windows(size, kernel, stride, dilation, low, high):
    """A9, A10, A11: the formula is the number of window starts whose last tap is inside."""
    last_tap = dilation * (kernel - 1)
    starts = [s for s in range(0, size + low + high, stride) if s + last_tap < size + low + high]
    if starts:
        assert output_size(size, kernel, stride, (low, high), dilation) == len(starts)


def test_notes_example_keeps_its_size():
    """A10: padding=1 with a kernel of 3 keeps 28 by 28."""
    assert output_space((28, 28), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)) == (28, 28)


@given(cases())
def test_fold_is_the_adjoint_of_unfold(case):
    """A14: <unfold(x), c> = <x, fold(c)>; where windows do not overlap, fold undoes unfold."""
    x, w, how = case
    kernel, stride, dilation = w.shape[2:], how["stride"], how["dilation"]
    padded = pad(x.swapaxes(0, 1), how["padding"])
    out = output_space(x.shape[2:], kernel, stride, how["padding"], dilation)
    cols = unfold(padded, kernel, stride, dilation, out)
    assert cols.shape == (x.shape[1], *kernel, len(x), *out)
    other = np.random.default_rng(0).standard_normal(cols.shape)
    back = fold(other, padded_space(x.shape[2:], how["padding"]), stride, dilation)
    assert back.shape == padded.shape
    np.testing.assert_allclose(np.sum(cols * other), np.sum(padded * back), rtol=1e-10, atol=1e-10)


def test_fold_undoes_unfold_without_overlap():
    """A14: the round trip through im2col and col2im."""
    x = np.arange(2 * 3 * 6 * 4.0).reshape(2, 3, 6, 4)
    cols = unfold(x, (2, 2), (2, 2), (1, 1), (3, 2))
    assert np.array_equal(fold(cols, (6, 4), (2, 2), (1, 1)), x)
