"""Pictures resampled, unfolded, unpooled and read at places, against PyTorch."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import difference, to_narae  # noqa: E402
from tests.parity.agreement import agree, numbers  # noqa: E402

F, T = narae.nn.functional, torch.nn.functional
nn = narae.nn


@pytest.fixture(autouse=True)
def quiet():
    """Both warn of old names; one thread, as values are compared here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(threads)


def images(*shape, dtype=torch.float64, seed=0):
    return numbers(*shape, dtype=dtype, seed=seed, grad=True)


# --- im2col, convolution and pooling by it --------------------------------------------------

WINDOWS = st.fixed_dictionaries(
    {
        "kernel_size": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    }
)


@given(WINDOWS, st.integers(5, 7), st.integers(5, 8))
@settings(max_examples=25, deadline=None)
def test_unfold_and_fold_agree(windows, height, width):
    """A14: im2col and col2im, values and gradients, batched and not."""
    x = images(2, 3, height, width)
    agree(F.unfold, T.unfold, x, **windows)
    agree(F.unfold, T.unfold, x.detach()[0].requires_grad_(), **windows)
    cols = T.unfold(x.detach(), **windows).requires_grad_()
    agree(F.fold, T.fold, cols, (height, width), **windows)


def test_convolution_by_columns_is_convolution():
    """A15: unfold filters to columns, matmul, reshape: equals convolution, and its gradients."""
    theirs = images(2, 3, 7, 6), numbers(4, 3, 3, 2, seed=1, grad=True)
    expected = T.conv2d(*theirs, stride=2, padding=1)
    x, w = (to_narae(t.detach()).requires_grad_() for t in theirs)
    cols = F.unfold(x, (3, 2), padding=1, stride=2)  # (batch, taps, windows)
    out = (w.reshape(4, -1) @ cols).reshape(*expected.shape)
    assert not difference(out, expected)
    expected.square().sum().backward()
    out.square().sum().backward()
    assert not difference(x.grad, theirs[0].grad)
    assert not difference(w.grad, theirs[1].grad)


def test_pooling_by_columns_is_max_pool():
    """A16: expand, row max, reshape: equals MaxPool2d."""
    theirs = images(2, 3, 7, 8)
    expected = torch.nn.MaxPool2d(3, 2)(theirs)
    x = to_narae(theirs.detach()).requires_grad_()
    cols = F.unfold(x, 3, stride=2).reshape(2, 3, 9, -1)  # (batch, channels, taps, windows)
    out = cols.max(2).values.reshape(*expected.shape)
    assert not difference(out, expected)
    (expected * expected).sum().backward()
    (out * out).sum().backward()
    assert not difference(x.grad, theirs.grad)


@pytest.mark.parametrize("size", [28, 7])
def test_max_pooling_layer(size):
    """A17: torch equality including the gradient, which reaches the argmax; 28 → 14 → 7."""
    theirs = images(2, 3, size, size)
    x = to_narae(theirs.detach()).requires_grad_()
    layers = [(torch.nn.MaxPool2d(2), nn.MaxPool2d(2)), (torch.nn.MaxPool2d(2), nn.MaxPool2d(2))]
    expected, out = theirs, x
    for their_layer, layer in layers:
        expected, out = their_layer(expected), layer(out)
        assert tuple(out.shape) == tuple(expected.shape)
    assert size != 28 or out.shape[-1] == 7
    assert not difference(out, expected)
    weights = numbers(*expected.shape, seed=3)
    (expected * weights).sum().backward()
    (out * to_narae(weights)).sum().backward()
    assert not difference(x.grad, theirs.grad)
    assert int((x.grad != 0).sum()) == expected.numel()


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_transposed_convolution(stride, padding):
    """A21: torch equality; is the gradient of Conv2d."""
    x, w = images(2, 4, 5, 4), numbers(4, 3, 3, 3, seed=1, grad=True)
    how = {"stride": stride, "padding": padding, "output_padding": stride - 1}
    agree(F.conv_transpose2d, T.conv_transpose2d, x, w, **how)
    ours = [to_narae(t.detach()) for t in (x, w)]
    out = F.conv_transpose2d(*ours, **how)
    image = narae.zeros(*out.shape, dtype=narae.float64, requires_grad=True)
    convolved = F.conv2d(image, ours[1], stride=stride, padding=padding)
    assert convolved.shape == ours[0].shape
    (gradient,) = narae.autograd.grad(convolved, image, ours[0])
    assert not difference(gradient, torch.from_numpy(out.numpy()))


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 0},
        {"kernel_size": 2, "stride": 0},
        {"kernel_size": 2, "padding": -1},
        {"kernel_size": 9},
        {"kernel_size": (2, 2, 2)},
    ],
)
def test_unfold_refuses(arguments):
    x = images(1, 2, 4, 4)
    agree(F.unfold, T.unfold, x, **arguments)
    agree(F.unfold, T.unfold, x.detach()[0, 0], **arguments)


def test_fold_refuses():
    for shape, size, kernel in (
        ((1, 5, 9), 4, 2),
        ((1, 4, 8), 4, 2),
        ((4,), 4, 2),
        ((1, 4, 9), 1, 2),
    ):
        agree(F.fold, T.fold, numbers(*shape), size, kernel)


# --- resampling -----------------------------------------------------------------------------

MODES = {1: ["nearest", "nearest-exact", "area", "linear"], 2: [], 3: []}
MODES[2] = ["nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"]
MODES[3] = ["nearest", "nearest-exact", "area", "trilinear"]


def _factor(draw, size, least):
    """A factor of one dimension; 2 where PyTorch's gradient is not that of its own value."""
    factor = draw(st.sampled_from([0.6, 1.6, 2.0, 2.3, 2.6, 3.0]))
    out = int(size * factor)
    return 2.0 if out < least or out in (size, 2 * size) else factor


@st.composite
def resizings(draw):
    dims = draw(st.integers(1, 3))
    mode = draw(st.sampled_from(MODES[dims]))
    top = {1: 20, 2: 9, 3: 5}[dims]
    space = [draw(st.integers(2, top)) for _ in range(dims)]
    how = {"mode": mode}
    antialias = mode == "lanczos" or (mode in ("bilinear", "bicubic") and draw(st.booleans()))
    if antialias:
        how["antialias"] = True
    # PyTorch 2.13 is wrong where antialiasing leaves one column: docs/differences.md.
    least = 2 if antialias else 1
    if draw(st.booleans()):
        how["size"] = [draw(st.integers(least, top)) for _ in range(dims)]
    else:
        how["scale_factor"] = [_factor(draw, size, least) for size in space]
        if draw(st.booleans()):
            how["recompute_scale_factor"] = draw(st.booleans())
    if mode in ("linear", "bilinear", "trilinear", "bicubic"):
        how["align_corners"] = draw(st.sampled_from([None, True, False]))
    return space, how


@given(resizings())
@settings(max_examples=80, deadline=None)
def test_interpolate_agrees(case):
    space, how = case
    agree(F.interpolate, T.interpolate, images(2, 3, *space), **how)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_interpolate_in_other_precisions(mode, dtype):
    x = images(2, 3, 7, 9, dtype=dtype)
    for how in ({"size": (11, 5)}, {"scale_factor": 1.7}, {"scale_factor": 2}):
        agree(F.interpolate, T.interpolate, x, mode=mode, **how)


def test_interpolate_of_bytes():
    """Bytes are interpolated and rounded; PyTorch's fixed-point numbers may differ by one."""
    x = numbers(1, 3, 6, 7, low=60, high=200).to(torch.uint8)
    agree(F.interpolate, T.interpolate, x, scale_factor=1.7)
    for how in ({"mode": "bilinear"}, {"mode": "bicubic"}, {"mode": "bilinear", "antialias": True}):
        found = F.interpolate(to_narae(x), (9, 5), **how).numpy().astype(int)
        expected = T.interpolate(x, (9, 5), **how).numpy().astype(int)
        assert abs(found - expected).max() <= 1


def test_sizes_are_rounded_down():
    for size, factor in itertools.product([3, 7, 10, 29, 50], [0.1 * k for k in range(4, 40, 3)]):
        out = F.interpolate(narae.zeros(1, 1, size), scale_factor=factor)
        assert out.shape == T.interpolate(torch.zeros(1, 1, size), scale_factor=factor).shape


def test_infinities_stay_where_they_are():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 2] = float("inf")
    for mode in ("bilinear", "nearest"):
        agree(F.interpolate, T.interpolate, x, size=(8, 8), mode=mode)
        agree(F.interpolate, T.interpolate, x, size=(2, 3), mode=mode)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((1, 1, 4), {"size": 2, "scale_factor": 2}),
        ((1, 1, 4), {}),
        ((1, 1, 4), {"size": (2, 2)}),
        ((1, 1, 4), {"size": 2.5}),
        ((1, 1, 4), {"size": 0}),
        ((1, 1, 4), {"size": 2, "mode": "bilinear"}),
        ((1, 1, 4, 4), {"size": 2, "mode": "linear"}),
        ((1, 1, 4, 4), {"size": 2, "mode": "unknown"}),
        ((1, 1, 4, 4), {"size": 2, "align_corners": True}),
        ((1, 1, 4), {"size": 2, "mode": "linear", "antialias": True}),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos"}),
        ((1, 1, 4, 4), {"size": 2, "recompute_scale_factor": True}),
        ((4, 4), {"size": 2}),
    ],
)
def test_interpolate_refuses(shape, arguments):
    agree(F.interpolate, T.interpolate, numbers(*shape), **arguments)


def test_old_names():
    x = images(1, 2, 4, 5)
    agree(F.upsample, T.upsample, x, scale_factor=2)
    agree(F.upsample_nearest, T.upsample_nearest, x, size=(7, 6))
    agree(F.upsample_bilinear, T.upsample_bilinear, x, scale_factor=2)


# --- reading at places ----------------------------------------------------------------------

SAMPLERS = [
    (dims, mode, padding, corners)
    for dims in (2, 3)
    for mode in ("bilinear", "nearest", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for corners in (True, False)
    if dims == 2 or mode != "bicubic"
]


@pytest.mark.parametrize(("dims", "mode", "padding", "corners"), SAMPLERS)
def test_grid_sample_agrees(dims, mode, padding, corners):
    """All modes far beyond the edges, with gradients of both operands."""
    x = images(2, 3, *(4, 5, 3)[:dims])
    grid = numbers(2, *(3, 4, 2)[:dims], dims, seed=1, low=-2.6, high=2.6, grad=True)
    how = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    agree(F.grid_sample, T.grid_sample, x, grid, **how, second=False)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_at_the_edges(mode, padding):
    """Places exactly at pixels, at the edges, and at one row: where slopes change."""
    line = torch.linspace(-1.5, 1.5, 13, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)[None].requires_grad_()
    for x, corners in itertools.product((images(1, 2, 4, 3), images(1, 1, 1, 5)), (True, False)):
        how = {"mode": mode, "padding_mode": padding, "align_corners": corners}
        agree(F.grid_sample, T.grid_sample, x, grid, **how, second=False)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_grid_sample_of_no_place(mode, padding):
    """Infinite places and NaN read nothing beyond the picture, and give what PyTorch gives."""
    grid = torch.tensor([float("inf"), float("-inf"), float("nan"), 1e30]).reshape(1, 2, 1, 2)
    how = {"mode": mode, "padding_mode": padding, "align_corners": False}
    agree(F.grid_sample, T.grid_sample, torch.ones(1, 1, 3, 3), grid, **how)


@pytest.mark.parametrize("corners", [True, False])
def test_affine_grid_agrees(corners):
    for dims, size in ((2, (2, 3, 4, 5)), (2, (2, 1, 1, 3)), (3, (2, 1, 2, 3, 4))):
        theta = numbers(2, dims, dims + 1, seed=2, grad=True)
        agree(F.affine_grid, T.affine_grid, theta, size, align_corners=corners)
    theta = numbers(2, 2, 3, seed=2, dtype=torch.float32)
    for size in ((2, 1, 0, 3), (3, 1, 2, 2), (2, 1, 3), (2, 1, 2, 2, 2)):
        agree(F.affine_grid, T.affine_grid, theta, size, align_corners=False)


def test_grid_sample_refuses():
    x, grid = numbers(2, 1, 3, 3), numbers(2, 2, 2, 2)
    how = {"align_corners": False}
    agree(F.grid_sample, T.grid_sample, x, grid, mode="cubic", **how)
    agree(F.grid_sample, T.grid_sample, x, grid, padding_mode="wrap", **how)
    agree(F.grid_sample, T.grid_sample, x, grid[:1], **how)
    agree(F.grid_sample, T.grid_sample, x, grid[..., :1], **how)
    agree(F.grid_sample, T.grid_sample, x[0], grid, **how)
    agree(F.grid_sample, T.grid_sample, x, grid.float(), **how)
    agree(F.grid_sample, T.grid_sample, numbers(2, 1, 3, 3, 3), numbers(2, 1, 1, 1, 3),
          mode="bicubic", **how)  # fmt: skip


# --- unpooling, fractional pooling ----------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_unpool_agrees(dims):
    space, name = (7, 6, 5)[:dims], f"max_unpool{dims}d"
    pooled, places = getattr(T, f"max_pool{dims}d")(images(2, 3, *space), 2, return_indices=True)
    pooled = pooled.detach().requires_grad_()
    ours, theirs = getattr(F, name), getattr(T, name)
    agree(ours, theirs, pooled, places, 2)
    agree(ours, theirs, pooled, places, 2, output_size=space)
    agree(ours, theirs, pooled, places, 2, output_size=(2, 3, *space))
    agree(ours, theirs, pooled.detach()[0].requires_grad_(), places[0], 2)
    agree(ours, theirs, pooled, places, 2, output_size=[n + 4 for n in space])
    agree(ours, theirs, pooled, places + 1000, 2)
    agree(ours, theirs, pooled, places[:, :1], 2)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("given", [{"output_ratio": 0.6}, {"output_size": 4}])
def test_fractional_pooling_agrees(dims, given):
    """With the same random numbers, given or drawn with one seed, the same windows."""
    name = f"fractional_max_pool{dims}d"
    ours, theirs = getattr(F, name), getattr(T, name)
    given = {key: (value,) * dims for key, value in given.items()}
    for dtype in (torch.float64, torch.float32):
        x = images(2, 3, *(7, 9, 8)[:dims], dtype=dtype)
        samples = numbers(2, 3, dims, dtype=dtype, low=0, high=1)
        agree(ours, theirs, x, 2, **given, return_indices=True, _random_samples=samples)
        agree(ours, theirs, x.detach()[0], 3, **given, _random_samples=samples)
    torch.manual_seed(5)
    expected = theirs(x.detach(), 2, **given)
    narae.manual_seed(5)
    assert not difference(ours(to_narae(x.detach()), 2, **given), expected)
    agree(ours, theirs, x, 2)
    agree(ours, theirs, x, 9, output_size=(4,) * dims)


# --- bags of embeddings ---------------------------------------------------------------------

BAGS = [
    (torch.tensor([[1, 2, 4], [4, 3, 2]]), None),
    (torch.tensor([1, 2, 4, 4, 3, 2, 1]), torch.tensor([0, 2, 2, 5])),
    (torch.tensor([1, 1, 4]), torch.tensor([0, 0, 3])),
    (torch.tensor([], dtype=torch.int64), torch.tensor([0, 0])),
    (torch.tensor([5, 2, 2], dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32)),
]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("bag", range(len(BAGS)))
@pytest.mark.parametrize("padding", [None, 2, -2])
def test_embedding_bag_agrees(mode, bag, padding):
    index, offsets = BAGS[bag]
    w = numbers(6, 3, grad=True)
    how = {"mode": mode, "padding_idx": padding}
    agree(F.embedding_bag, T.embedding_bag, index, w, offsets, **how, second=False)


def test_embedding_bag_with_weights_frequencies_and_norms():
    index, offsets = BAGS[1]
    w, samples = numbers(6, 3, grad=True), numbers(7, seed=4, grad=True)
    both = {"mode": "sum", "per_sample_weights": samples}
    agree(F.embedding_bag, T.embedding_bag, index, w, offsets, **both, second=False)
    last = torch.tensor([0, 2, 7])
    agree(F.embedding_bag, T.embedding_bag, index, w, last, include_last_offset=True, second=False)
    table = numbers(6, 3)
    agree(F.embedding_bag, T.embedding_bag, index, table, offsets, max_norm=1.0)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_by_frequency(mode):
    """Divided by how often a row is used (PyTorch 2.13 looks up the frequency of other rows)."""
    index, offsets = map(to_narae, BAGS[1])
    w = narae.ones(6, 3, requires_grad=True)
    weights = narae.arange(12.0).reshape(4, 3)
    grads = []
    for by_frequency in (False, True):
        out = F.embedding_bag(index, w, offsets, mode=mode, scale_grad_by_freq=by_frequency)
        grads.append(narae.autograd.grad(out, w, weights)[0])
    counts = narae.bincount(index, minlength=6).clamp(min=1).unsqueeze(1)
    assert (grads[1] - grads[0] / counts).abs().max().item() < 1e-6
    assert counts.max().item() == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"offsets": None},
        {"offsets": torch.tensor([1, 2])},
        {"offsets": torch.tensor([0, 9])},
        {"offsets": torch.tensor([[0]])},
        {"offsets": torch.tensor([0]), "mode": "median"},
        {"offsets": torch.tensor([0]), "mode": "max", "scale_grad_by_freq": True},
        {"offsets": torch.tensor([0]), "mode": "mean", "per_sample_weights": torch.ones(3)},
        {"offsets": torch.tensor([0]), "mode": "sum", "per_sample_weights": torch.ones(2)},
        {"offsets": torch.tensor([0]), "padding_idx": 9},
    ],
)
def test_embedding_bag_refuses(arguments):
    agree(F.embedding_bag, T.embedding_bag, torch.tensor([0, 1, 2]), torch.ones(4, 2), **arguments)


# --- modules --------------------------------------------------------------------------------

MODULES = [
    ("PixelShuffle", (2,), (1, 8, 3, 2)),
    ("PixelUnshuffle", (2,), (1, 2, 4, 6)),
    ("ChannelShuffle", (3,), (2, 6, 4)),
    ("Upsample", (None, 1.5, "bilinear"), (1, 2, 4, 5)),
    ("Upsample", ((3, 7),), (1, 2, 4, 5)),
    ("UpsamplingNearest2d", (None, 2), (1, 2, 3, 3)),
    ("UpsamplingBilinear2d", ((4, 7),), (1, 2, 3, 3)),
    ("Unfold", (2, 1, 1, 2), (1, 2, 5, 4)),
    ("Fold", ((4, 5), 2), (1, 8, 12)),
    ("CosineSimilarity", (), (3, 4)),
    ("LocalResponseNorm", (4, 0.1), (2, 7, 3, 3)),
    ("Softmax2d", (), (2, 3, 4, 4)),
]


@pytest.mark.parametrize(("name", "arguments", "shape"), MODULES)
def test_modules_agree(name, arguments, shape):
    """Printed form, results and gradients."""
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    assert repr(ours) == repr(theirs)
    inputs = [images(*shape, seed=seed) for seed in range(1 + (name == "CosineSimilarity"))]
    agree(ours, theirs, *inputs)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_normalization_across_maps(size):
    """PyTorch's keeps the first map in its sum for good; before that it is the same."""
    arguments = (size, 0.5, 0.6, 2.0)
    ours, theirs = nn.CrossMapLRN2d(*arguments), torch.nn.CrossMapLRN2d(*arguments)
    assert repr(ours) == repr(theirs)
    x = numbers(2, 9, 3, 3)
    out, reach = ours(to_narae(x)), int((size - 1) / 2) + 1
    assert not difference(out[:, :reach], theirs(x)[:, :reach])
    if size % 2:
        assert not difference(out, torch.nn.LocalResponseNorm(*arguments)(x))
    with pytest.raises(ValueError, match="4D"):
        ours(narae.zeros(2, 3))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_modules(dims):
    pool = getattr(torch.nn, f"MaxPool{dims}d")(2, return_indices=True)
    values, places = pool(numbers(1, 2, *(4, 6, 4)[:dims]))
    ours, theirs = (getattr(lib, f"MaxUnpool{dims}d")(2) for lib in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, values, places)


def test_embedding_bag_module():
    for options in ({}, {"mode": "sum", "padding_idx": 1}, {"max_norm": 1.0, "norm_type": 1.0}):
        torch.manual_seed(1)
        theirs = torch.nn.EmbeddingBag(6, 3, **options)
        narae.manual_seed(1)
        ours = nn.EmbeddingBag(6, 3, **options)
        assert repr(ours) == repr(theirs)
        assert not difference(ours(to_narae(BAGS[0][0])), theirs(BAGS[0][0]))
        assert not difference(ours.weight, theirs.weight)
    table = nn.EmbeddingBag.from_pretrained(narae.ones(4, 2), mode="sum")
    assert not table.weight.requires_grad
    assert table(narae.tensor([[0, 1]])).tolist() == [[2.0, 2.0]]


def adaptive(head_bias):
    layers = []
    for library in (torch, narae):
        library.manual_seed(2)
        make = library.nn.AdaptiveLogSoftmaxWithLoss
        layers.append(make(16, 20, [4, 10], div_value=2.0, head_bias=head_bias))
    return layers


@pytest.mark.parametrize("head_bias", [True, False])
def test_adaptive_softmax_agrees(head_bias):
    theirs, ours = adaptive(head_bias)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = numbers(8, 16, dtype=torch.float32, grad=True)
    for target in ([0, 3, 4, 9, 10, 19, 5, 1], [0, 1, 2, 3, 0, 1, 2, 3], [19] * 8):
        agree(ours, theirs, x, torch.tensor(target))
    agree(ours, theirs, x.detach()[0].requires_grad_(), torch.tensor(12))
    agree(ours.log_prob, theirs.log_prob, x)
    for scale in (1.0, 10.0, -10.0):
        agree(ours.predict, theirs.predict, x.detach() * scale)
    agree(ours, theirs, x, torch.tensor([20] * 8))
    agree(ours, theirs, x, torch.tensor([1] * 7))
    parameters = zip(ours.named_parameters(), theirs.parameters(), strict=True)
    target = torch.tensor([0, 3, 4, 9, 10, 19, 5, 1])
    theirs(x, target).loss.backward()
    ours(to_narae(x.detach()), to_narae(target)).loss.backward()
    for (name, mine), other in parameters:
        assert not difference(mine.grad, other.grad), name


@pytest.mark.parametrize("cutoffs", [[], [0, 3], [5, 3], [3, 3], [20]])
def test_adaptive_softmax_refuses_cutoffs(cutoffs):
    for library in (torch, narae):
        with pytest.raises(ValueError):
            library.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs)


def test_old_modules():
    x, target = images(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64)
    agree(nn.NLLLoss2d(), torch.nn.NLLLoss2d(), x, target)
    assert list(nn.Container(first=nn.ReLU())._modules) == ["first"]


# --- further functions ----------------------------------------------------------------------


@pytest.mark.parametrize("hard", [True, False])
def test_gumbel_softmax_draws_the_same(hard):
    x = numbers(5, 4, dtype=torch.float32, grad=True)
    torch.manual_seed(3)
    expected = T.gumbel_softmax(x, tau=0.7, hard=hard)
    narae.manual_seed(3)
    ours = to_narae(x.detach()).requires_grad_()
    found = F.gumbel_softmax(ours, tau=0.7, hard=hard)
    assert not difference(found, expected)
    weights = numbers(5, 4, dtype=torch.float32, seed=1)
    (expected * weights).sum().backward()
    (found * to_narae(weights)).sum().backward()
    assert not difference(ours.grad, x.grad)


def test_conv_tbc():
    x, w, b = images(6, 2, 3), numbers(3, 3, 4, seed=1, grad=True), numbers(4, seed=2, grad=True)
    agree(F.conv_tbc, T.conv_tbc, x, w, b)
    agree(F.conv_tbc, T.conv_tbc, x, w, b, 2)


IN_PLACE = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "selu_", "threshold_"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_activations(name):
    arguments = (0.1, 2.0) if name == "threshold_" else ()
    theirs = numbers(3, 4)
    ours = to_narae(theirs)
    getattr(T, name)(theirs, *arguments)
    assert getattr(F, name)(ours, *arguments) is ours
    assert not difference(ours, theirs)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooling_with_indices(dims):
    x = images(2, 3, *(6, 7, 5)[:dims])
    name = f"max_pool{dims}d_with_indices"
    agree(getattr(F, name), getattr(T, name), x, 2)
    name = f"adaptive_{name}"
    agree(getattr(F, name), getattr(T, name), x, 3)
    if dims > 1:
        samples = numbers(2, 3, dims, low=0, high=1)
        name = f"fractional_max_pool{dims}d_with_indices"
        how = {"output_size": (3,) * dims, "_random_samples": samples}
        agree(getattr(F, name), getattr(T, name), x, 2, **how)


def test_shuffles_refuse():
    x = numbers(1, 6, 3, 4)
    for library_pair in (
        (narae.pixel_shuffle, torch.pixel_shuffle),
        (narae.pixel_unshuffle, torch.pixel_unshuffle),
    ):
        for tensor, factor in ((x, 2), (x, 0), (x[0, 0], 2)):
            agree(*library_pair, tensor, factor)
    agree(narae.channel_shuffle, torch.channel_shuffle, x, 4)
    agree(narae.channel_shuffle, torch.channel_shuffle, x, 0)
    agree(narae.native_channel_shuffle, torch.native_channel_shuffle, x, 2)


# --- a layer and its loss in one ------------------------------------------------------------


def test_linear_cross_entropy_in_pieces():
    """Cut into pieces of any size: the same loss and gradients."""
    x, w, b = images(9, 4), numbers(12, 4, seed=1, grad=True), numbers(12, seed=2, grad=True)
    target = torch.tensor([0, 3, 11, 2, 2, 5, -100, 7, 1])
    weight = numbers(12, seed=3, low=0.1, high=2)
    for reduction, size in itertools.product(("mean", "sum", "none"), (1, 4, 20)):
        how = {"linear_bias": b, "weight": weight, "reduction": reduction}
        options = nn.LinearCrossEntropyOptions(batch_chunk_size=size)

        def ours(*tensors, options=options, **more):
            return F.linear_cross_entropy(*tensors, **more, options=options)

        agree(ours, T.linear_cross_entropy, x, w, target, **how)


@pytest.mark.parametrize(
    "options",
    [
        {"acc_policy": "best"},
        {"chunking_method": "aspect"},
        {"chunking_method": "aspect_ratio:0"},
        {"batch_chunk_size": 0},
        {"acc_dtype": "float32"},
    ],
)
def test_linear_cross_entropy_options_refuse(options):
    for library in (torch, narae):
        with pytest.raises(ValueError):
            library.nn.LinearCrossEntropyOptions(**options)


def test_sizes_of_pieces_are_pytorchs():
    cases = itertools.product((1, 7, 64, 1000), (3, 64), (5, 64, 5000))
    for batch, features, classes in cases:
        for method in ("auto", "aspect_ratio", "aspect_ratio:3", None):
            theirs = torch.nn.LinearCrossEntropyOptions(chunking_method=method)
            dtype = torch.float64
            wanted = theirs._adjust(batch, features, classes, dtype).batch_chunk_size
            ours = nn.LinearCrossEntropyOptions(chunking_method=method)
            assert ours.rows(batch, features, classes) == wanted


def test_every_module_of_pytorch_is_here():
    """All public classes but lazy, quantized and distributed ones."""
    left_out = ("Lazy", "DataParallel", "SyncBatchNorm", "Uninitialized")
    wanted = {
        name
        for name, value in vars(torch.nn).items()
        if isinstance(value, type) and not name.startswith(left_out)
    }
    assert {name for name in wanted if not hasattr(nn, name)} == set()


def test_the_shapes_of_empty_batches():
    x = narae.zeros(0, 4, 6, 6)
    assert F.unfold(x, 2).shape == (0, 16, 25)
    assert F.interpolate(x, scale_factor=2).shape == (0, 4, 12, 12)
    assert F.pixel_shuffle(x, 2).shape == (0, 1, 12, 12)
    grid = narae.zeros(0, 2, 3, 2)
    assert F.grid_sample(x, grid, align_corners=False).shape == (0, 4, 2, 3)
    assert np.size(F.fractional_max_pool2d(x, 2, output_size=3).numpy()) == 0
