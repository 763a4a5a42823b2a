"""Layers against mathematics and the course notes, without any oracle library."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import narae
from narae import nn
from narae.nn import functional as F


def constant(array, requires_grad=False):
    return narae.tensor(np.asarray(array, np.float64), requires_grad=requires_grad)


# --- convolution ----------------------------------------------------------------------------


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2))
def test_shifting_the_input_shifts_the_output(down, right, kernel, seed):  # A3
    rng = np.random.default_rng(seed)
    # Whole numbers: their sums are exact in any order.
    x = rng.integers(-9, 9, size=(1, 2, 9, 9))
    w = rng.integers(-9, 9, size=(3, 2, kernel, kernel))
    plain = F.conv2d(constant(x), constant(w)).numpy()
    moved = F.conv2d(constant(np.roll(x, (down, right), (2, 3))), constant(w)).numpy()
    size = plain.shape[-1]
    inside = moved[..., down:, right:]
    assert np.array_equal(inside, plain[..., : size - down, : size - right])


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
)
def test_output_size(size, kernel, stride, padding, dilation):  # A9, A11
    wanted = tuple(
        math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1
        for n, k in zip(size, kernel, strict=True)
    )
    assume(min(wanted) >= 1)
    layer = nn.Conv2d(2, 3, kernel, stride, padding, dilation)
    assert tuple(layer(narae.zeros(1, 2, *size)).shape) == (1, 3, *wanted)
    if padding == 0 and dilation == 1 and stride == 1:
        assert wanted == tuple(n - k + 1 for n, k in zip(size, kernel, strict=True))
    if all(2 * padding <= dilation * (k - 1) + 1 for k in kernel):
        pool = nn.MaxPool2d(kernel, stride, padding, dilation)
        assert tuple(pool(narae.zeros(1, 2, *size)).shape) == (1, 2, *wanted)


def test_padding_is_zeros_around():  # A10
    assert tuple(nn.Conv2d(1, 1, 3, padding=1)(narae.zeros(1, 1, 28, 28)).shape)[2:] == (28, 28)
    x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 3, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    ours = F.conv2d(constant(x), constant(w), padding=1).numpy()
    assert np.array_equal(ours, F.conv2d(constant(padded), constant(w)).numpy())
    assert ours[0, 0, 1, 1] == x.sum()
    assert ours[0, 0, 0, 0] == x[0, 0, :2, :2].sum()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 5))
def test_a_larger_stride_keeps_every_second_position(stride, kernel, seed):  # A11
    rng = np.random.default_rng(seed)
    x, w = (
        constant(rng.normal(size=(2, 1, 9, 8))),
        constant(rng.normal(size=(2, 1, kernel, kernel))),
    )
    whole = F.conv2d(x, w).numpy()[..., ::stride, ::stride]
    np.testing.assert_allclose(F.conv2d(x, w, stride=stride).numpy(), whole, rtol=1e-12)


# --- pooling --------------------------------------------------------------------------------


def test_max_pooling_halves_and_sends_gradients_to_the_largest():  # A17
    x = narae.randn(2, 32, 28, 28, requires_grad=True)
    once = nn.MaxPool2d(2)(x)
    assert tuple(once.shape) == (2, 32, 14, 14)
    assert tuple(nn.MaxPool2d(2)(once).shape) == (2, 32, 7, 7)
    once.sum().backward()
    blocks = x.detach().numpy().reshape(2, 32, 14, 2, 14, 2)
    assert np.array_equal(once.detach().numpy(), blocks.max((3, 5)))
    largest = (blocks == blocks.max((3, 5), keepdims=True)).reshape(x.shape)
    assert np.array_equal(x.grad.numpy(), largest.astype(np.float32))


# --- normalization and dropout --------------------------------------------------------------


@given(st.integers(2, 6), st.integers(1, 4), st.floats(-5, 5), st.floats(0.5, 20))
def test_batch_norm_gives_mean_0_and_variance_1(batch, channels, shift, scale):  # E32
    rng = np.random.default_rng(batch)
    x = constant(rng.normal(size=(batch, channels, 5, 4)) * scale + shift)
    layer = nn.BatchNorm2d(channels).double()
    out = layer(x).detach().numpy()
    np.testing.assert_allclose(out.mean((0, 2, 3)), 0, atol=1e-9)
    np.testing.assert_allclose(out.var((0, 2, 3)), 1, atol=2e-4)
    counted = x.numpy().var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * counted, rtol=1e-9)
    np.testing.assert_allclose(
        layer.running_mean.numpy(), 0.1 * x.numpy().mean((0, 2, 3)), atol=1e-9
    )
    layer.eval()
    fixed = (x.numpy() - layer.running_mean.numpy()[:, None, None]) / np.sqrt(
        layer.running_var.numpy()[:, None, None] + 1e-5
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), fixed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("start", [1e-4, 1e-2, 1.0, 1e2])
def test_batch_norm_makes_the_scale_of_the_weights_irrelevant(start):  # E32
    narae.manual_seed(0)
    x = narae.randn(64, 10)
    layers = []
    for _ in range(6):
        layers += [nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10), nn.Tanh()]
        nn.init.normal_(layers[-3].weight, std=start)
    out = nn.Sequential(*layers)(x).detach().numpy()
    if start >= 1e-2:
        assert 0.5 < out.std() < 0.8


def test_dropout_keeps_the_mean():  # E35
    narae.manual_seed(1)
    layer = nn.Dropout(0.3)
    x = narae.rand(50, 50) + 1
    total = sum(layer(x).numpy().mean() for _ in range(40)) / 40
    assert abs(total / x.numpy().mean() - 1) < 0.01
    out = layer(x).numpy()
    kept = out != 0
    assert 0.65 < kept.mean() < 0.75
    np.testing.assert_allclose(out[kept], (x.numpy() / 0.7)[kept], rtol=1e-6)
    assert layer.eval()(x) is x


# --- the notes ------------------------------------------------------------------------------


def test_a_new_linear_layer_is_printed_as_in_the_notes():  # G3
    narae.manual_seed(100)
    assert repr(list(nn.Linear(1, 1).parameters())) == (
        "[Parameter containing:\ntensor([[-0.7767]], requires_grad=True), "
        "Parameter containing:\ntensor([0.6317], requires_grad=True)]"
    )


def test_layers_are_printed_as_in_the_notes():  # G14
    assert repr(nn.Conv2d(1, 32, 3, padding=1)) == (
        "Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"
    )
    assert repr(nn.Conv2d(32, 64, kernel_size=3, padding=1)) == (
        "Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"
    )
    assert repr(nn.MaxPool2d(2)) == (
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )


def test_the_walk_of_shapes():  # G15
    inputs = narae.Tensor(1, 1, 28, 28)
    conv1, conv2, pool = (
        nn.Conv2d(1, 32, 3, padding=1),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.MaxPool2d(2),
    )
    shapes = [str(inputs.shape)]
    out = inputs
    for layer in (conv1, pool, conv2, pool):
        out = layer(out)
        shapes.append(str(out.shape))
    out = out.view(out.size(0), -1)
    shapes.append(str(out.shape))
    shapes.append(str(nn.Linear(3136, 10)(out).shape))
    assert [text.replace("narae", "torch") for text in shapes] == [
        "torch.Size([1, 1, 28, 28])",
        "torch.Size([1, 32, 28, 28])",
        "torch.Size([1, 32, 14, 14])",
        "torch.Size([1, 64, 14, 14])",
        "torch.Size([1, 64, 7, 7])",
        "torch.Size([1, 3136])",
        "torch.Size([1, 10])",
    ]


class CNN(nn.Module):
    """The network of the notes."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, stride=1, padding=1), nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )  # fmt: skip
        self.layer2 = nn.Sequential(
            nn.Conv2d(32, 64, kernel_size=3, stride=1, padding=1), nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )  # fmt: skip
        self.fc = nn.Linear(7 * 7 * 64, 10, bias=True)
        nn.init.xavier_uniform_(self.fc.weight)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        return self.fc(out.view(out.size(0), -1))


def test_the_network_of_the_notes():  # G16, G17
    model = CNN()
    assert sum(p.numel() for p in model.parameters()) == 50186
    assert [name for name, _ in model.named_parameters()] == [
        "layer1.0.weight", "layer1.0.bias", "layer2.0.weight", "layer2.0.bias", "fc.weight",
        "fc.bias",
    ]  # fmt: skip
    bound = math.sqrt(6 / (3136 + 10))
    weights = model.fc.weight.detach().numpy()
    assert abs(weights).max() <= bound
    assert abs(weights).max() > 0.999 * bound
    out = model(narae.rand(3, 1, 28, 28))
    assert tuple(out.shape) == (3, 10)
    out.sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_xavier_follows_the_stream():  # G17
    narae.manual_seed(5)
    layer = nn.Linear(3136, 10)
    nn.init.xavier_uniform_(layer.weight)
    narae.manual_seed(5)
    nn.Linear(3136, 10)
    bound = math.sqrt(6 / 3146)
    expected = narae.rand(10, 3136).numpy().astype(np.float64) * 2 * bound - bound
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, atol=1e-7)


def test_anomaly_mode_names_the_layer():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    model = nn.Sequential(nn.Identity(), nn.Sequential(Root()))
    x = constant([-1.0], requires_grad=True)
    with narae.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"1\.0 \(Root\)"):
        model(x).sum().backward()
