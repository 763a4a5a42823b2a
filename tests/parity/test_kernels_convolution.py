"""Convolution and pooling kernels against PyTorch: values, positions and gradients."""

import itertools

import numpy as np
import pytest

from narae.reference.convolution import conv, conv_grad_w, conv_grad_x
from narae.reference.pooling import max_pool, max_pool_grad, window_sum, window_sum_grad

torch = pytest.importorskip("torch")
F = torch.nn.functional

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def rows():
    """(x shape, w shape, stride, padding, dilation, groups), every pair of choices in 2-D."""
    for stride, pad, dilation, groups in itertools.product(
        [(1, 1), (2, 3)], [((0, 0), (0, 0)), ((1, 1), (2, 2)), ((0, 1), (2, 0))], [(1, 1), (2, 1)],
        [1, 2],
    ):  # fmt: skip
        yield (3, 4, 9, 8), (6, 4 // groups, 3, 2), stride, pad, dilation, groups
    one, three = ((1, 2),), ((1, 1), (0, 2), (1, 0))
    yield (2, 3, 17), (4, 3, 5), (2,), one, (2,), 1
    yield (2, 6, 17), (6, 1, 3), (1,), one, (1,), 6  # depthwise
    yield (2, 4, 5, 6, 7), (6, 2, 2, 3, 1), (1, 2, 1), three, (2, 1, 1), 2
    yield (2, 4, 7, 7), (8, 1, 3, 3), (2, 2), ((1, 1),) * 2, (1, 1), 4  # two outputs a channel
    yield (2, 3, 5, 5), (7, 3, 1, 1), (1, 1), ((0, 0),) * 2, (1, 1), 1  # pointwise
    yield (2, 3, 5, 5), (7, 3, 1, 1), (2, 2), ((0, 0),) * 2, (1, 1), 1
    yield (1, 1, 1, 1), (1, 1, 1, 1), (1, 1), ((0, 0),) * 2, (1, 1), 1
    yield (2, 2, 4, 4), (3, 2, 4, 4), (1, 1), ((0, 0),) * 2, (1, 1), 1  # one output position
    yield (0, 2, 4, 4), (3, 2, 2, 2), (1, 1), ((0, 0),) * 2, (1, 1), 1  # no images
    yield (70, 16, 14, 14), (8, 16, 3, 3), (1, 1), ((1, 1),) * 2, (1, 1), 1  # several pieces


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "w_shape", "stride", "padding", "dilation", "groups"), rows())
def test_convolution(x_shape, w_shape, stride, padding, dilation, groups, dtype):
    """A6, A7, A12: values and both gradients; asymmetric padding is padded before in PyTorch."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    out = conv(x, w, **how)
    grad_out = rng.standard_normal(out.shape).astype(dtype)

    x_t, w_t = (torch.from_numpy(a).requires_grad_() for a in (x, w))
    sides = [side for pair in reversed(padding) for side in pair]
    expected = CONV[len(stride)](
        F.pad(x_t, sides), w_t, stride=stride, dilation=dilation, groups=groups
    )
    expected.backward(torch.from_numpy(grad_out))

    pixels = len(x) * int(np.prod(out.shape[2:]))
    loose = 1e-5 if dtype == np.float32 else 1e-12
    for got, right, terms in [
        (out, expected.detach(), w[0].size),
        (conv_grad_x(grad_out, w, x_shape=x.shape, **how), x_t.grad, w[:, 0].size),
        (conv_grad_w(grad_out, x, w_shape=w.shape, **how), w_t.grad, pixels),
    ]:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, right.numpy(), rtol=loose, atol=loose * terms**0.5)


POOLS = [
    ((2, 3, 11), (2,), (2,), (0,), (1,)),
    ((2, 3, 11), (3,), (2,), (1,), (2,)),
    ((2, 3, 28, 28), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((2, 3, 9, 8), (3, 2), (1, 2), (1, 0), (1, 2)),
    ((2, 1, 9, 8), (3, 3), (2, 2), (1, 1), (2, 1)),
    ((2, 2, 6, 7, 5), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2)),
    ((0, 2, 6, 7), (2, 2), (2, 2), (0, 0), (1, 1)),
]


def ceil_padding(space, kernel, stride, padding, dilation):
    """What `ceil_mode` means: more padding at the end, unless the last window began in it."""
    pairs = []
    for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True):
        count = -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1
        if (count - 1) * s >= n + p:
            count -= 1
        pairs.append((p, (count - 1) * s + d * (k - 1) + 1 - n - p))
    return tuple(pairs)


@pytest.mark.parametrize("content", ["numbers", "ties", "nan", "minus infinity"])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation"), POOLS)
def test_max_pool(shape, kernel, stride, padding, dilation, ceil_mode, content):
    """A17: values, positions, and the gradient at the position that won."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(np.float32)
    if content == "ties":
        x = np.round(x)
    if content == "nan":
        x[rng.random(shape) < 0.1] = np.nan
    if content == "minus infinity":
        x[rng.random(shape) < 0.8] = -np.inf
    pairs = tuple((p, p) for p in padding)
    if ceil_mode:
        pairs = ceil_padding(shape[2:], kernel, stride, padding, dilation)
    values, indices = max_pool(x, kernel=kernel, stride=stride, padding=pairs, dilation=dilation)

    x_t = torch.from_numpy(x).requires_grad_()
    right, right_indices = MAX_POOL[len(kernel)](
        x_t, kernel, stride, padding, dilation, ceil_mode=ceil_mode, return_indices=True
    )
    np.testing.assert_array_equal(values, right.detach().numpy())
    np.testing.assert_array_equal(indices, right_indices.numpy())
    if not shape[0]:
        return
    grad_out = rng.standard_normal(values.shape).astype(np.float32)
    right.backward(torch.from_numpy(grad_out))
    grad_x = max_pool_grad(grad_out, indices, x_shape=shape)
    np.testing.assert_allclose(grad_x, x_t.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"), [row[:4] for row in POOLS if row[0][0]]
)
def test_window_sum(shape, kernel, stride, padding):
    """The sum is the average times the number of taps, in value and gradient."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape)
    pairs, ones = tuple((p, p) for p in padding), (1,) * len(kernel)
    how = {"kernel": kernel, "stride": stride, "padding": pairs, "dilation": ones}
    total = window_sum(x, **how)
    x_t = torch.from_numpy(x).requires_grad_()
    right = AVG_POOL[len(kernel)](x_t, kernel, stride, padding) * int(np.prod(kernel))
    np.testing.assert_allclose(total, right.detach().numpy(), rtol=1e-12, atol=1e-13)
    grad_out = rng.standard_normal(total.shape)
    right.backward(torch.from_numpy(grad_out))
    grad_x = window_sum_grad(grad_out, x_shape=shape, **how)
    np.testing.assert_allclose(grad_x, x_t.grad.numpy(), rtol=1e-12, atol=1e-13)
