"""Windows as columns, resampling, places and bags: against plain loops, and compiled."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import nn
from narae.primitives.resizing import taps_of

F = nn.functional


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- windows as columns ---------------------------------------------------------------------


def loop_columns(x, kernel, stride, padding, dilation):
    """Every window as a column, element by element: (batch, channels * taps, windows)."""
    around = [(0, 0), (0, 0), *((size, size) for size in padding)]
    padded = np.pad(x, around)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(padded.shape[2:], reach, stride, strict=True)]
    out = np.zeros((*x.shape[:2], *kernel, *counts))
    for tap in np.ndindex(*kernel):
        for place in np.ndindex(*counts):
            row, column = (
                p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation, strict=True)
            )
            out[(slice(None), slice(None), *tap, *place)] = padded[:, :, row, column]
    return out.reshape(len(x), -1, counts[0] * counts[1])


SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(SMALL, SMALL, st.tuples(st.integers(0, 2), st.integers(0, 2)), SMALL)
@settings(max_examples=30, deadline=None)
def test_columns_equal_the_loops_and_fold_is_their_transpose(kernel, stride, padding, dilation):
    """A14: 4-D input to columns, and back: col2im(im2col(x)) is x times the windows over it."""
    x = random(2, 2, 7, 8)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    cols = F.unfold(narae.tensor(x), kernel, **how)
    np.testing.assert_array_equal(cols.numpy(), loop_columns(x, kernel, **how))
    back = F.fold(cols, (7, 8), kernel, **how)
    counts = F.fold(F.unfold(narae.ones(1, 1, 7, 8).double(), kernel, **how), (7, 8), kernel, **how)
    np.testing.assert_allclose(back.numpy(), (narae.tensor(x) * counts).numpy(), atol=1e-12)
    other = random(*cols.shape, seed=1)
    folded = F.fold(narae.tensor(other), (7, 8), kernel, **how).numpy()
    np.testing.assert_allclose((folded * x).sum(), (other * cols.numpy()).sum(), atol=1e-9)


def test_columns_and_back_without_overlap():
    """A14: round trip with col2im: windows side by side come back bit for bit."""
    x = narae.tensor(random(2, 3, 6, 8))
    cols = F.unfold(x, (3, 2), stride=(3, 2))
    assert cols.shape == (2, 18, 8)
    assert np.array_equal(F.fold(cols, (6, 8), (3, 2), stride=(3, 2)).numpy(), x.numpy())


def four_loops(x, w):
    """2-D convolution: the kernel moves one step in x and y (A6)."""
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    out = np.zeros((rows, columns))
    for i, j, k, m in itertools.product(range(rows), range(columns), *map(range, w.shape)):
        out[i, j] += x[i + k, j + m] * w[k, m]
    return out


def test_convolution_by_columns_equals_the_loops():
    """A14, A15: unfold filters to columns, matmul, reshape: equals A6, the four loops."""
    x, w = random(6, 7), random(3, 2, seed=1)
    cols = F.unfold(narae.tensor(x)[None, None], (3, 2))  # (1, taps, windows)
    out = (narae.tensor(w).reshape(1, -1) @ cols).reshape(4, 6)
    np.testing.assert_allclose(out.numpy(), four_loops(x, w), rtol=1e-12, atol=1e-12)


def test_pooling_by_columns_in_three_steps():
    """A16: expand, row max, reshape: equals MaxPool2d."""
    x = narae.tensor(random(2, 3, 6, 8))
    cols = F.unfold(x, 2, stride=2)  # expand: (batch, channels * taps, windows)
    rows = cols.reshape(2, 3, 4, -1).amax(2)  # the largest of each window
    assert np.array_equal(rows.reshape(2, 3, 3, 4).numpy(), nn.MaxPool2d(2)(x).numpy())


# --- resampling -----------------------------------------------------------------------------

HOW = st.sampled_from(
    [
        ("nearest", False, False),
        ("nearest-exact", False, False),
        ("linear", False, False),
        ("linear", True, False),
        ("cubic", False, False),
        ("cubic", True, False),
        ("linear", False, True),
        ("cubic", False, True),
        ("lanczos", False, True),
    ]
)
FACTOR = st.one_of(st.none(), st.floats(0.2, 4))


def dense(taps, size, out):
    """The matrix (out, size) that a table of taps stands for."""
    matrix = np.zeros((out, size))
    weight = np.ones(taps.index.shape) if taps.weight is None else taps.weight
    used = np.ones(taps.index.shape, bool) if taps.used is None else taps.used
    for k, o in np.ndindex(*taps.index.shape):
        matrix[o, taps.index[k, o]] += weight[k, o] * used[k, o]
    return matrix


@given(st.integers(1, 12), st.integers(1, 12), FACTOR, HOW)
@settings(max_examples=150, deadline=None)
def test_matrices_of_resampling(size, out, factor, how):
    """Rows add up to 1, so flat pictures stay flat; the transposed table is the transpose."""
    if factor is not None:
        out = max(int(size * factor), 1)
        factor = factor if size * factor >= 1 else None
    tables = [taps_of(size, out, factor, *how, t, np.dtype(np.float64)) for t in (False, True)]
    matrix, transposed = dense(tables[0], size, out), dense(tables[1], out, size)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(matrix.T, transposed)


@pytest.mark.parametrize("how", [{"mode": "bilinear"}, {"mode": "bicubic", "antialias": True}])
def test_slopes_are_kept(how):
    """A plane is a plane at any size, away from the edges."""
    plane = np.add.outer(np.arange(8.0), 3 * np.arange(9.0))
    out = F.interpolate(narae.tensor(plane)[None, None], (16, 18), **how)[0, 0].numpy()
    rows, columns = (np.arange(n) / 2 - 0.25 for n in (16, 18))
    expected = np.add.outer(rows, 3 * columns)
    np.testing.assert_allclose(out[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-12)


def test_sampling_at_pixels_gives_the_picture():
    x = narae.tensor(random(1, 2, 4, 5))
    theta = narae.tensor([[[1.0, 0, 0], [0, 1.0, 0]]]).double()
    for corners in (True, False):
        grid = F.affine_grid(theta, x.shape, align_corners=corners)
        for mode in ("bilinear", "nearest", "bicubic"):
            out = F.grid_sample(x, grid, mode=mode, align_corners=corners)
            np.testing.assert_allclose(out.numpy(), x.numpy(), atol=1e-12)


def test_shuffled_pixels_come_back():
    x = narae.tensor(random(2, 3, 8, 4, 6))
    assert np.array_equal(narae.pixel_unshuffle(narae.pixel_shuffle(x, 2), 2).numpy(), x.numpy())
    y = narae.tensor(random(2, 6, 3))
    shuffled = narae.channel_shuffle(narae.channel_shuffle(y, 2), 3)
    assert np.array_equal(shuffled.numpy(), y.numpy())


# --- compiled steps -------------------------------------------------------------------------

SAMPLES = random(2, 3, 2, seed=9) % 1
STEPS = {
    "unfold": lambda x: F.unfold(x, 3, padding=1, stride=2),
    "fold": lambda x: F.fold(x.reshape(2, 12, -1), (6, 4), 2, stride=2),
    "nearest": lambda x: F.interpolate(x, scale_factor=1.7),
    "bilinear": lambda x: F.interpolate(x, (9, 5), mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x, scale_factor=1.3, mode="bicubic"),
    "antialias": lambda x: F.interpolate(x, (3, 4), mode="bilinear", antialias=True),
    "area": lambda x: F.interpolate(x, (4, 5), mode="area"),
    "grid_sample": lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=True),
    "affine_grid": lambda x: F.affine_grid(x[:, :2, 0, :3], (2, 1, 4, 4), align_corners=False),
    "pixel_shuffle": lambda x: narae.pixel_unshuffle(
        narae.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), 2
    ),
    "channel_shuffle": lambda x: narae.channel_shuffle(x, 3),
    "max_unpool": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
    "fractional": lambda x: F.fractional_max_pool2d(x, 2, output_size=3),
    "fixed_fractional": lambda x: F.fractional_max_pool2d(
        x, 2, output_size=3, _random_samples=narae.tensor(SAMPLES)
    ),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x, hard=True),
    "across_maps": lambda x: nn.CrossMapLRN2d(3, 0.5)(x),
    "cross_entropy": lambda x: F.linear_cross_entropy(
        x.reshape(4, -1), x[0].reshape(2, -1), narae.tensor([0, 1, 1, 0])
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_compiled_equals_eager(name):
    """The same bits, value and gradient, at every call."""

    def step(x):
        out = STEPS[name](x)
        (grad,) = narae.autograd.grad((out * out).sum(), x)
        return out, grad

    results = []
    for run in (step, narae.compile(step)):
        narae.manual_seed(4)
        x = narae.tensor(random(2, 3, 6, 6), requires_grad=True)
        if name == "fold":
            x = narae.tensor(random(2, 3, 4, 6), requires_grad=True)
        results.append([y.detach().numpy().tobytes() for _ in range(3) for y in run(x)])
    assert results[0] == results[1]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("flat", [True, False])
def test_compiled_bags_equal_eager_ones(mode, flat):
    bag = nn.EmbeddingBag(10, 3, mode=mode, padding_idx=2)
    index = narae.tensor([1, 2, 4, 2, 3, 9, 9, 4]).reshape((8,) if flat else (2, 4))
    offsets = narae.tensor([0, 3, 3]) if flat else None

    def step(index, offsets):
        bag.zero_grad()
        out = bag(index, offsets)
        (grad,) = narae.autograd.grad((out * out).sum(), bag.weight)
        return out, grad

    eager = step(index, offsets)
    compiled = narae.compile(step)(index, offsets)
    for one, other in zip(eager, compiled, strict=True):
        assert one.detach().numpy().tobytes() == other.detach().numpy().tobytes()


# --- what users see when something is wrong -------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: F.unfold(x, 9), "a window does not fit"),
        (lambda x: F.fold(x[0], 4, 2), "divisible by the product of kernel_size"),
        (lambda x: F.interpolate(x, (2, 2, 2)), "one number for each dimension of space"),
        (lambda x: F.interpolate(x.long(), 2), r"\.float\(\)"),
        (lambda x: narae.pixel_shuffle(x, 2), "upscale_factor squared, 4"),
        (lambda x: F.grid_sample(x, x, align_corners=True), "expected grid to have size 2"),
        (lambda x: F.embedding_bag(narae.tensor([7]), x[0, 0], narae.tensor([0])), "out of range"),
        (lambda x: F.ctc_loss(x[0], x.long(), (1,), (1,)), "log_probs is"),
    ],
)
def test_errors_say_what_to_do(call, words):
    with pytest.raises((RuntimeError, ValueError, IndexError), match=words):
        call(narae.zeros(1, 3, 5, 5))
