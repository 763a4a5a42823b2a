"""The programs of examples/scratch on convolution and pooling, against independent answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import narae
import narae.nn as nn
import narae.nn.functional as F

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from tests.e2e.scratch_programs import differences, leaf, program

SEEDS = st.integers(0, 2**32 - 1)
WHOLE = st.integers(-9, 9).map(float)  # sums of their products are exact
SIGNALS = arrays.arrays(np.float64, st.integers(5, 12), elements=WHOLE)
KERNELS = arrays.arrays(np.float64, st.integers(1, 5), elements=WHOLE)


# ----------------------------------------------------------------------------------- one dimension
@given(SIGNALS, KERNELS)
def test_convolution_in_one_dimension(x, kernel):
    """A1: 1-D convolution equals a double loop; output length n−K+1."""
    out = program("19").cross_correlation(x, kernel)
    assert len(out) == len(x) - len(kernel) + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, len(kernel))
    assert out.tolist() == (windows @ kernel).tolist()
    assert program("19").narae_conv1d(x, kernel).tolist() == out.tolist()


@given(SIGNALS, KERNELS)
def test_cross_correlation_and_convolution(x, kernel):
    """A2: `conv(x, k) == xcorr(x, flip(k))`; our ConvNd is xcorr."""
    convolution = program("19").convolution(x, kernel)
    assert convolution.tolist() == np.convolve(x, kernel, "valid").tolist()
    assert convolution.tolist() == program("19").cross_correlation(x, kernel[::-1]).tolist()
    xcorr = np.correlate(x, kernel, "valid")
    assert program("19").narae_conv1d(x, kernel).tolist() == xcorr.tolist()
    square, filters = np.outer(x[:5], x[-5:]), np.outer(kernel[:2], kernel[-2:])
    out = program("20").narae_conv2d(square[None, None], filters[None, None])[0, 0]
    exact = [
        [(square[i : i + len(filters), j : j + filters.shape[1]] * filters).sum() for j in columns]
        for columns in [range(6 - filters.shape[1])]
        for i in range(6 - len(filters))
    ]
    assert out.tolist() == exact


@given(SIGNALS, KERNELS, st.integers(1, 3))
def test_shifted_input_shifted_output(x, kernel, shift):
    """A3: weight sharing: shift x ⇒ the output shifts (interior exact)."""
    one = program("19")
    for convolve in (one.cross_correlation, one.convolution, one.narae_conv1d):
        out, shifted = convolve(x, kernel), convolve(np.roll(x, shift), kernel)
        assert shifted[shift:].tolist() == out[: max(0, len(out) - shift)].tolist()


def test_parameters_of_convolution_and_dense(tmp_path):
    """A4: figure: params of conv vs dense for the same in/out."""
    conv, dense = program("19").parameter_counts([16, 100], size=9)
    assert conv == [10, 10]  # nine weights and a bias, whatever the length
    assert dense == [16 * 8 + 8, 100 * 92 + 92]
    program("19").draw_parameters(tmp_path)
    assert (tmp_path / "convolution-parameters.png").is_file()


def test_kernels_on_a_signal():
    """A5: experiment: box, edge, Gaussian kernels on a 1-D signal: amplification, attenuation."""
    one = program("19")
    x, kernels = one.signal(), one.kernels()
    assert [name.split()[0] for name in kernels] == ["box", "edge", "Gaussian"]
    filtered = {
        name.split()[0]: one.cross_correlation(x, kernel) for name, kernel in kernels.items()
    }
    flat = slice(35, 75)  # inside the plateau
    for name in ("box", "Gaussian"):
        assert filtered[name][flat].mean() == pytest.approx(1, abs=0.05)
        assert filtered[name][flat].std() < 0.5 * x[40:80].std()
    edge = filtered["edge"]
    assert abs(edge[flat].mean()) < 0.05
    step = int(np.abs(edge).argmax()) + 1
    assert min(abs(step - 0.15 * 199), abs(step - 0.45 * 199)) < 2
    assert np.abs(edge).max() > 0.8


# ---------------------------------------------------------------------------------- two dimensions
@given(SEEDS, st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=25)
def test_convolution_in_two_dimensions(seed, stride, padding, high, wide):
    """A6: 2-D convolution equals the 4-loop oracle, which equals windows of NumPy."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-9, 10, (6, 7)).astype(float)
    kernel = rng.integers(-9, 10, (high, wide)).astype(float)
    out = program("20").convolve(image, kernel, stride, padding)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, padding), (high, wide))
    exact = np.einsum("ijkl,kl->ij", windows[::stride, ::stride], kernel)
    assert out.tolist() == exact.tolist()
    ours = program("20").narae_conv2d(
        image[None, None], kernel[None, None], stride=stride, padding=padding
    )
    assert ours[0, 0].tolist() == exact.tolist()


@given(SEEDS, st.integers(1, 4))
@settings(max_examples=10)
def test_channels_are_summed(seed, channels):
    """A7: C_in > 1 equals the sum of single-channel convs."""
    rng = np.random.default_rng(seed)
    images = rng.integers(-9, 10, (2, channels, 5, 6)).astype(float)
    filters = rng.integers(-9, 10, (3, channels, 2, 3)).astype(float)
    out = program("20").narae_conv2d(images, filters)
    alone = sum(
        F.conv2d(narae.tensor(images[:, [c]]), narae.tensor(filters[:, [c]])).numpy()
        for c in range(channels)
    )
    assert out.tolist() == alone.tolist()
    assert program("20").convolve_channels(images, filters).tolist() == alone.tolist()


def test_shape_of_filters():
    """A8: filter tensor (FN, C, FH, FW): the weight shape."""
    assert nn.Conv2d(3, 8, (5, 7)).weight.shape == (8, 3, 5, 7)
    out = program("20").convolve_channels(np.ones((2, 3, 6, 6)), np.ones((4, 3, 2, 5)))
    assert out.shape == (2, 4, 5, 2)
    assert (out == 3 * 2 * 5).all()


@given(
    st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3)
)
def test_output_size(size, kernel, stride, padding, dilation):
    """A9, A11: property test of the output-size formula with padding, stride and dilation."""
    reach = dilation * (kernel - 1) + 1
    starts = range(0, size + 2 * padding - reach + 1, stride)  # where a window may begin
    count = program("20").output_size(size, kernel, stride, padding, dilation)
    if len(starts) == 0:
        assert count < 1
        return
    assert count == len(starts)
    layer = nn.Conv1d(1, 1, kernel, stride=stride, padding=padding, dilation=dilation)
    assert layer(narae.zeros(1, 1, size)).shape[-1] == count


def test_padding_keeps_the_size():
    """A10: `padding=1, k=3` keeps 28×28."""
    assert program("20").output_size(28, kernel=3, padding=1) == 28
    assert program("20").convolve(np.zeros((28, 28)), np.zeros((3, 3)), padding=1).shape == (28, 28)
    assert nn.Conv2d(1, 1, 3, padding=1)(narae.zeros(1, 1, 28, 28)).shape[2:] == (28, 28)


def test_small_kernels():
    """A22, A23: 147,456 vs 40,960 and 294,912 < 409,600 weights; the same 5×5 receptive field."""
    two = program("20")
    three = nn.Conv2d(128, 128, 3)
    assert two.parameters(three) == 147_456
    assert two.parameters(nn.Conv2d(128, 32, 1), nn.Conv2d(32, 128, 3)) == 40_960
    assert two.parameters(three, three) == 294_912
    assert two.parameters(nn.Conv2d(128, 128, 5)) == 409_600
    assert two.receptive_field(three, three) == two.receptive_field(nn.Conv2d(128, 128, 5)) == 5


def test_small_kernels_are_in_the_story(tmp_path, capsys):
    """A22, A23: the program shows all four counts."""
    program("20").main(["--out", str(tmp_path)])
    printed = capsys.readouterr().out
    for count in ("147,456", "40,960", "294,912", "409,600"):
        assert count in printed


# ------------------------------------------------------------------------------- the backward pass
@given(SEEDS, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=15)
def test_the_backward_of_a_convolution_is_one(seed, high, wide):
    """A12: dX = full conv with flipped K, dK = xcorr(x, δ); gradcheck in float64 < 1e-6."""
    rng, back = np.random.default_rng(seed), program("21")
    x, kernel = rng.normal(size=(5, 6)), rng.normal(size=(high, wide))
    delta = rng.normal(size=(6 - high, 7 - wide))
    grad_x, grad_kernel = back.gradient_of_input(kernel, delta), back.gradient_of_kernel(x, delta)
    slow_x = differences(lambda x: (back.correlate(x, kernel) * delta).sum(), x)
    slow_kernel = differences(lambda k: (back.correlate(x, k) * delta).sum(), kernel)
    assert np.abs(grad_x - slow_x).max() < 1e-6
    assert np.abs(grad_kernel - slow_kernel).max() < 1e-6
    for ours, theirs in zip((grad_x, grad_kernel), back.by_autograd(x, kernel, delta), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", ["x1", "x2", "x3", "x4", "x5", "w1", "w2", "w3"])
def test_letters(name):
    """A13: the symbolic 3-tap/5-input example: the printed terms, with numbers, equal autograd."""
    rng, back = np.random.default_rng(0), program("21")
    x, w, delta = leaf(rng.normal(size=5)), leaf(rng.normal(size=3)), rng.normal(size=3)
    F.conv1d(x[None, None], w[None, None])[0, 0].backward(narae.tensor(delta))
    numbers = {f"x{i + 1}": value for i, value in enumerate(x.tolist())}
    numbers |= {f"w{i + 1}": value for i, value in enumerate(w.tolist())}
    numbers |= {f"δ{i + 1}": value for i, value in enumerate(delta)}
    text = back.text(back.gradient_terms(back.forward_terms(5, 3), name))
    value = eval(text.replace("·", "*"), numbers)
    exact = (x if name[0] == "x" else w).grad[int(name[1]) - 1].item()
    assert value == pytest.approx(exact, rel=1e-12)


def test_the_letters_are_printed(tmp_path, capsys):
    """A13: printed step by step: δ1·x1 + δ2·x2 + δ3·x3 reaches w1, δ3·x3 is part of it."""
    program("21").main(["--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "o1 = w1·x1 + w2·x2 + w3·x3" in printed
    assert "∂L/∂w1 = δ1·x1 + δ2·x2 + δ3·x3" in printed
    assert "∂L/∂x3 = δ1·w3 + δ2·w2 + δ3·w1" in printed


# ------------------------------------------------------------------------------------------ im2col
CASES = list(itertools.product((2, 3), (1, 2), (0, 1)))


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_im2col_and_back(kernel, stride, padding):
    """A14: im2col: round trip with col2im (each pixel times its windows); equals A6's loops."""
    conv, rng = program("convolution"), np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 5, 6))
    rows = conv.im2col(images, kernel, stride, padding)
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)
    assert rows.tolist() == windows.reshape(-1, 3 * kernel**2).tolist()
    counts = conv.col2im(np.ones_like(rows), images.shape, kernel, stride, padding)
    again = conv.col2im(rows, images.shape, kernel, stride, padding)
    assert again == pytest.approx(images * counts, abs=1e-12)
    real = conv.im2col(np.ones_like(images), kernel, stride, padding)  # 0 where it is padding
    assert counts.sum() == real.sum()
    filters = rng.normal(size=(kernel, kernel))
    exact = program("20").convolve(images[1, 2], filters, stride, padding)
    alone = conv.im2col(images[1:, 2:], kernel, stride, padding) @ filters.ravel()
    assert alone == pytest.approx(exact.ravel(), abs=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_convolution_layer(kernel, stride, padding):
    """A15: conv by im2col + GEMM equals A6's loops, and its backward equals autograd."""
    rng = np.random.default_rng(1)
    x, b = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=4)
    w = rng.normal(size=(4, 3, kernel, kernel))
    layer = program("convolution").Convolution(w, b, stride, padding)
    out = layer.forward(x)
    loops = np.zeros_like(out)
    for item, filter_, channel in np.ndindex(2, 4, 3):
        picture, weights = x[item, channel], w[filter_, channel]
        loops[item, filter_] += program("20").convolve(picture, weights, stride, padding)
    assert out == pytest.approx(loops + b[:, None, None], abs=1e-12)
    x_, w_, b_ = leaf(x), leaf(w), leaf(b)
    grad_out = rng.normal(size=out.shape)
    F.conv2d(x_, w_, b_, stride=stride, padding=padding).backward(narae.tensor(grad_out))
    assert layer.backward(grad_out) == pytest.approx(x_.grad.numpy(), abs=1e-12)
    assert layer.grads["w"] == pytest.approx(w_.grad.numpy(), abs=1e-12)
    assert layer.grads["b"] == pytest.approx(b_.grad.numpy(), abs=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (2, 1), (3, 3)])
def test_pooling_layer(kernel, stride):
    """A16, A17: pooling by im2col equals MaxPool2d, incl. the gradient to the argmax."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, 3, 6, 7))
    layer, x_ = program("convolution").MaxPooling(kernel, stride), leaf(x)
    out = nn.MaxPool2d(kernel, stride)(x_)
    grad_out = rng.normal(size=out.shape)
    out.backward(narae.tensor(grad_out))
    assert layer.forward(x).tolist() == out.tolist()
    assert layer.backward(grad_out) == pytest.approx(x_.grad.numpy(), abs=1e-14)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    assert layer.forward(x).tolist() == windows[:, :, ::stride, ::stride].max(axis=(4, 5)).tolist()


def test_pooling_shrinks():
    """A17: max pooling shrinks height and width: 28→14→7."""
    pool, x = program("convolution").MaxPooling(2), np.zeros((1, 1, 28, 28))
    once = pool.forward(x)
    assert once.shape == (1, 1, 14, 14)
    assert pool.forward(once).shape == (1, 1, 7, 7)


# -------------------------------------------------------------------------------------- the network
def test_the_network_by_hand_has_right_gradients():
    """A20: Conv→ReLU→Pool→Affine→ReLU→Affine→Softmax: every gradient equals autograd's."""
    convnet, rng = program("23"), np.random.default_rng(0)
    model = convnet.simple_convnet(8, filters=3, kernel=3, hidden=5)
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Convolution", "Relu", "MaxPooling", "Flatten", "Affine", "Relu", "Affine"]
    x, labels = rng.random((4, 1, 8, 8)), rng.integers(0, 10, 4)
    w, b, w1, b1, w2, b2 = leaves = [leaf(p) for p in model.params()]
    out = F.max_pool2d(F.conv2d(narae.tensor(x), w, b).relu(), 2).flatten(1)
    loss = F.cross_entropy((out @ w1 + b1).relu() @ w2 + b2, narae.tensor(labels))
    loss.backward()
    assert model.loss(x, labels) == pytest.approx(loss.item(), rel=1e-5)
    model.backward()
    for ours, theirs in zip(model.grads(), leaves, strict=True):
        assert ours == pytest.approx(theirs.grad.numpy(), rel=1e-4, abs=1e-6)


def test_the_network_by_hand_learns_small_digits():
    """A20, in small: `SimpleConvNet` trains on the embedded digits ≥ 92 % in six epochs."""
    common = program("common")
    data = common.load_images(common.options("", ["--out", "."], **common.MNIST), 2000, 360)
    model = program("23").simple_convnet(8, kernel=3)
    rows = program("23").train(model, data, epochs=6, lr=2e-3)
    assert rows[-1][3] >= 0.92
    assert rows[-1][2] < rows[0][2]
    right = model.scores(data[2]).argmax(axis=1) == data[3]
    assert rows[-1][3] == pytest.approx(right.mean())


@pytest.mark.long
@pytest.mark.usefixtures("mnist")
def test_the_network_by_hand_learns_mnist():
    """A20: `SimpleConvNet` trains on MNIST ≥ 98 %."""
    common = program("common")
    data = common.load_images(common.options("", ["--out", ".", "--full"], **common.MNIST), 0, 0)
    assert data[0].shape == (60_000, 1, 28, 28)
    rows = program("23").train(program("23").simple_convnet(28), data, epochs=2)
    assert max(row[3] for row in rows) >= 0.98
