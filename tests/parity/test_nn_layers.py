"""Layers and their functions against PyTorch beyond its own samples: shapes by hypothesis, buffers
over many steps, embeddings, initialization, clipping, and refusals of bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import narae  # noqa: E402
from narae import nn  # noqa: E402
from narae.nn import functional as F  # noqa: E402
from tests.parity.layer_checks import as_numpy, assert_same, check_call, to_narae  # noqa: E402

TF = torch.nn.functional
FEW = settings(max_examples=60)
SLOW = settings(max_examples=30)


def randn(*shape, seed=0, dtype=torch.float64, requires_grad=True):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
    return x.requires_grad_(requires_grad)


# --- convolution ----------------------------------------------------------------------------


@st.composite
def convolutions(draw, transposed=False):
    dims = draw(st.integers(1, 2 if transposed else 3))
    sizes = st.lists(st.integers(1, 3), min_size=dims, max_size=dims)
    kernel, stride, dilation = draw(sizes), draw(sizes), draw(sizes)
    padding = draw(st.lists(st.integers(0, 2), min_size=dims, max_size=dims))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    space = [max(r - 2 * p, 1) + draw(st.integers(0, 4))
             for r, p in zip(reach, padding, strict=True)]  # fmt: skip
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    first, second = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    batch = draw(st.sampled_from([(), (1,), (3,), (0,)]))
    x = randn(*batch, first, *space)
    channels = (first, second // groups) if transposed else (second, first // groups)
    w = randn(*channels, *kernel, seed=1)
    b = randn(second, seed=2) if draw(st.booleans()) else None
    return dims, x, w, b, stride, padding, dilation, groups, draw


@FEW
@given(convolutions())
def test_convolution(case):
    dims, x, w, b, stride, padding, dilation, groups, _ = case
    name = f"conv{dims}d"
    arguments = (x, w, b, stride, padding, dilation, groups)
    check_call(getattr(F, name), getattr(TF, name), arguments)


@FEW
@given(convolutions(transposed=True), st.data())
def test_transposed_convolution(case, data):
    dims, x, w, b, stride, padding, dilation, groups, _ = case
    assume(x.numel() > 0)
    extra = [
        data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    ]
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            x.shape[-dims:], stride, padding, dilation, w.shape[2:], extra, strict=True
        )
    ]
    assume(min(sizes) > 0)
    name = f"conv_transpose{dims}d"
    arguments = (x, w, b, stride, padding, extra, groups, dilation)
    check_call(getattr(F, name), getattr(TF, name), arguments)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(1, 2), (3, 4), (5, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_named_padding(padding, kernel, dilation):
    x, w = randn(2, 3, 12, 14), randn(4, 3, *kernel, seed=1)
    check_call(F.conv2d, TF.conv2d, (x, w, None, 1, padding, dilation))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_convolution_dtypes(dtype):
    x, w, b = randn(2, 3, 6, 5, dtype=dtype), randn(4, 3, 3, 3, dtype=dtype), randn(4, dtype=dtype)
    check_call(F.conv2d, TF.conv2d, (x, w, b), second=False, tolerance=3e-2
               if dtype is not torch.float32 else None)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "weight", "options", "said"),
    [
        ((2, 4, 8, 8), (16, 3, 3, 3), {}, "expected input.* to have 3 channels, but got 4"),
        ((2, 8, 8, 3), (16, 3, 3, 3), {}, r"permute\(0, 3, 1, 2\)"),
        ((2, 3, 2, 2), (16, 3, 3, 3), {}, "Kernel size can't be greater than actual input size"),
        ((2, 3), (16, 3, 3, 3), {}, "Expected 3D .unbatched. or 4D .batched. input to conv2d"),
        ((2, 3, 8, 8), (16, 3, 3, 3), {"bias": (4,)}, "expected bias to be 1-dimensional with 16"),
        ((2, 3, 8, 8), (16, 3, 3, 3), {"stride": 0}, "non-positive stride is not supported"),
        ((2, 3, 8, 8), (16, 3, 3, 3), {"padding": -1}, "negative padding is not supported"),
        ((2, 3, 8, 8), (16, 3, 3, 3), {"dilation": 0}, "dilation should be greater than zero"),
        ((2, 3, 8, 8), (16, 3, 3), {}, "the weight is"),
    ],
)
def test_convolution_refuses(shape, weight, options, said):
    theirs = {k: torch.zeros(v) if k == "bias" else v for k, v in options.items()}
    ours = {k: narae.zeros(v) if k == "bias" else v for k, v in options.items()}
    with pytest.raises(Exception):  # noqa: B017
        TF.conv2d(torch.zeros(shape), torch.zeros(weight), **theirs)
    with pytest.raises((RuntimeError, ValueError), match=said):
        F.conv2d(narae.zeros(shape), narae.zeros(weight), **ours)


def test_convolution_refuses_mixed_dtypes():
    with pytest.raises(RuntimeError, match="should be the same"):
        F.conv2d(narae.zeros(1, 1, 3, 3, dtype=narae.float64), narae.zeros(1, 1, 3, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 2},
        {"groups": 0},
        {"padding": "same", "stride": 2},
        {"padding": "x"},
        {"padding_mode": "x"},
    ],
)
def test_convolution_layers_refuse(options):
    for lib in (narae, torch):
        with pytest.raises(ValueError):
            lib.nn.Conv2d(3, 4, 3, **options)


# --- pooling --------------------------------------------------------------------------------


@st.composite
def poolings(draw):
    dims = draw(st.integers(1, 3))
    sizes = st.lists(st.integers(1, 3), min_size=dims, max_size=dims)
    kernel, stride = draw(sizes), draw(st.one_of(st.none(), sizes))
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    space = [k + draw(st.integers(0, 5)) for k in kernel]
    batch = draw(st.sampled_from([(), (2,)]))
    return dims, randn(*batch, 2, *space), kernel, stride, padding, draw(st.booleans())


@FEW
@given(poolings(), st.data())
def test_max_pooling(case, data):
    dims, x, kernel, stride, padding, ceil_mode = case
    dilation = [data.draw(st.integers(1, 2)) for _ in kernel]
    space = x.shape[-dims:]
    assume(all(n + 2 * p >= d * (k - 1) + 1
               for n, p, d, k in zip(space, padding, dilation, kernel, strict=True)))  # fmt: skip
    name = f"max_pool{dims}d"
    arguments = (x, kernel, stride, padding, dilation, ceil_mode, True)
    check_call(getattr(F, name), getattr(TF, name), arguments, second=dims > 1)


@FEW
@given(poolings(), st.booleans(), st.sampled_from([None, 5]))
def test_average_pooling(case, count_include_pad, divisor):
    dims, x, kernel, stride, padding, ceil_mode = case
    name = f"avg_pool{dims}d"
    arguments = (x, kernel, stride, padding, ceil_mode, count_include_pad)
    if dims > 1:
        arguments = (*arguments, divisor)
    check_call(getattr(F, name), getattr(TF, name), arguments)


@FEW
@given(st.integers(1, 3), st.data())
def test_adaptive_pooling(dims, data):
    space = [data.draw(st.integers(1, 7)) for _ in range(dims)]
    wanted = [data.draw(st.integers(1, 6)) for _ in range(dims)]
    x = randn(*data.draw(st.sampled_from([(), (2,)])), 2, *space)
    name = f"adaptive_avg_pool{dims}d"
    check_call(getattr(F, name), getattr(TF, name), (x, wanted), second=dims < 3)
    name = f"adaptive_max_pool{dims}d"
    check_call(getattr(F, name), getattr(TF, name), (x, wanted, True), second=dims < 3)


def test_pooling_of_nan_and_equal_values():
    x = torch.tensor([[[1.0, float("nan"), 2.0, 2.0, -float("inf"), -float("inf")]]])
    for kernel, stride in ((2, 2), (3, 1)):
        ours = F.max_pool1d(to_narae(x), kernel, stride, return_indices=True)
        theirs = TF.max_pool1d(x, kernel, stride, return_indices=True)
        assert_same(ours, theirs)


@pytest.mark.parametrize(
    ("function", "shape", "options", "said"),
    [
        ("max_pool2d", (1, 1, 4, 4), {"kernel_size": 2, "padding": 2}, "at most half"),
        ("max_pool2d", (1, 1, 2, 2), {"kernel_size": 3}, "Output size is too small"),
        ("max_pool2d", (4, 4), {"kernel_size": 2}, "Expected 3D .unbatched. or 4D"),
        ("avg_pool2d", (1, 1, 4, 4), {"kernel_size": 2, "padding": 2}, "at most half"),
        ("avg_pool2d", (1, 1, 4, 4), {"kernel_size": 2, "divisor_override": 0}, "not zero"),
        ("max_pool2d", (1, 1, 4, 4), {"kernel_size": 0}, "greater than zero"),
        ("adaptive_avg_pool2d", (1, 1, 4, 4), {"output_size": (1, 2, 3)}, "must have 2"),
    ],
)
def test_pooling_refuses(function, shape, options, said):
    with pytest.raises(Exception):  # noqa: B017
        getattr(TF, function)(torch.zeros(shape), **options)
    with pytest.raises((RuntimeError, ValueError), match=said):
        getattr(F, function)(narae.zeros(shape), **options)


# --- padding --------------------------------------------------------------------------------


@FEW
@given(st.sampled_from(["constant", "reflect", "replicate", "circular"]), st.data())
def test_pad(mode, data):
    dims = data.draw(st.integers(1, 3))
    space = [data.draw(st.integers(2, 5)) for _ in range(dims)]
    pairs = [data.draw(st.tuples(st.integers(-1, 3), st.integers(-1, 3))) for _ in range(dims)]
    sizes = list(zip(space[::-1], pairs, strict=True))
    assume(all(n + low + high > 0 for n, (low, high) in sizes))
    if mode in ("reflect", "circular"):
        assume(all(max(pair) < n for n, pair in sizes))
        assume(all(min(pair) >= 0 for _, pair in sizes))
    x = randn(2, 1, *space)
    padding = [number for pair in pairs for number in pair]
    value = 2.5 if mode == "constant" else None
    second = mode in ("constant", "circular")
    check_call(F.pad, TF.pad, (x, padding, mode, value), second=second)


@pytest.mark.parametrize("arguments", [([1], "constant"), ([9, 9], "reflect"), ([1, 1], "mirror"),
                                       ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "constant"),
                                       ([9, 9], "circular"), ([-3, -2], "constant")])  # fmt: skip
def test_pad_refuses(arguments):
    for lib in (narae, torch):
        with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
            lib.nn.functional.pad(lib.zeros(1, 2, 4), *arguments)


# --- normalization --------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.1, 0.5, None, 1.0])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_over_many_steps(momentum, affine):  # E32
    theirs = torch.nn.BatchNorm2d(3, momentum=momentum, affine=affine).double()
    ours = nn.BatchNorm2d(3, momentum=momentum, affine=affine).double()
    for step in range(7):
        x = randn(4, 3, 5, 2, seed=step) * (step + 1) + step
        x = x.detach().requires_grad_()
        y = to_narae(x)
        assert_same(ours(y), theirs(x), 1e-9 if momentum else 1e-6)
        for key, value in theirs.state_dict().items():
            assert_same(ours.state_dict()[key], value, 1e-9, key)
    ours.eval(), theirs.eval()
    assert_same(ours(y), theirs(x), 1e-9)
    ours.reset_running_stats(), theirs.reset_running_stats()
    assert_same(ours(y), theirs(x), 1e-9)
    assert_same(ours.num_batches_tracked, theirs.num_batches_tracked)


@SLOW
@given(
    st.integers(2, 5), st.integers(1, 4), st.lists(st.integers(1, 4), max_size=3), st.booleans(),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_batch_norm_function(batch, channels, space, with_w, with_b, training):
    x = randn(batch, channels, *space)
    w = randn(channels, seed=1) if with_w else None
    b = randn(channels, seed=2) if with_b and with_w else None  # PyTorch cannot do b alone
    mean = randn(channels, seed=3, requires_grad=False)
    var = randn(channels, seed=4, requires_grad=False).square() + 0.1
    check_call(
        lambda *a: F.batch_norm(*a[:1], a[1].clone(), a[2].clone(), *a[3:], training, 0.1, 1e-3),
        lambda *a: TF.batch_norm(*a[:1], a[1].clone(), a[2].clone(), *a[3:], training, 0.1, 1e-3),
        (x, mean, var, w, b),
        tolerance=1e-8,
    )


@SLOW
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_layer_norms(shape, data):
    rank = data.draw(st.integers(1, len(shape)))
    wanted = shape[-rank:]
    assume(np.prod(wanted) > 1)
    x = randn(*shape)
    w = randn(*wanted, seed=1) if data.draw(st.booleans()) else None
    b = randn(*wanted, seed=2) if w is not None and data.draw(st.booleans()) else None
    check_call(F.layer_norm, TF.layer_norm, (x, wanted, w, b, 1e-3), tolerance=1e-8)
    check_call(F.rms_norm, TF.rms_norm, (x, wanted, w, 1e-3), tolerance=1e-8)
    check_call(F.rms_norm, TF.rms_norm, (x, wanted, w), second=False, tolerance=1e-8)


@SLOW
@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 3), max_size=2), st.data())
def test_group_norm(groups, factor, space, data):
    channels = groups * factor
    assume(factor * np.prod(space) > 1)
    x = randn(2, channels, *space)
    w = randn(channels, seed=1) if data.draw(st.booleans()) else None
    b = randn(channels, seed=2) if w is not None and data.draw(st.booleans()) else None
    check_call(F.group_norm, TF.group_norm, (x, groups, w, b, 1e-3), tolerance=1e-8)
    if np.prod(space) > 1:
        check_call(
            lambda x, w, b: F.instance_norm(x, None, None, w, b, True, 0.1, 1e-3),
            lambda x, w, b: TF.instance_norm(x, None, None, w, b, True, 0.1, 1e-3),
            (x, w, b),
            tolerance=1e-8,
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    for shape in ((2, 5, 4), (2, 5, 4, 3)):
        x = randn(*shape)
        check_call(F.local_response_norm, TF.local_response_norm, (x, size, 0.1, 0.75, 2.0))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(2, 3)), "expected 4D input"),
        (lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(2, 4, 2, 2)), "running_mean should contain 4"),
        (lambda lib: lib.nn.BatchNorm1d(3)(lib.zeros(1, 3)), "Expected more than 1 value"),
        (lambda lib: lib.nn.LayerNorm(3)(lib.zeros(2, 4)), "Given normalized_shape"),
        (lambda lib: lib.nn.GroupNorm(2, 3), "must be divisible by num_groups"),
        (lambda lib: lib.nn.GroupNorm(2, 4)(lib.zeros(1, 3, 2)), "divisible by num_groups"),
        (lambda lib: lib.nn.InstanceNorm1d(3)(lib.zeros(1, 3, 1)), "more than 1 spatial element"),
        (
            lambda lib: lib.nn.functional.batch_norm(lib.zeros(2, 3), None, None),
            "Expected running_mean",
        ),
    ],
)
def test_normalization_refuses(call, said):
    with pytest.raises((RuntimeError, ValueError)):
        call(torch)
    with pytest.raises((RuntimeError, ValueError), match=said):
        call(narae)


# --- linear ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    x, w = randn(*shape), randn(5, 3, seed=1)
    check_call(F.linear, TF.linear, (x, w, randn(5, seed=2) if bias else None))
    check_call(F.linear, TF.linear, (x, randn(3, seed=1), None))


def test_names_of_nodes():  # G25
    x, y = torch.rand(2, 3, requires_grad=True), torch.rand(1, 2, 4, 4, requires_grad=True)
    calls = [
        lambda lib, x, y: lib.nn.Linear(3, 2)(x),
        lambda lib, x, y: lib.nn.Conv2d(2, 2, 3)(y),
        lambda lib, x, y: lib.nn.BatchNorm2d(2)(y),
        lambda lib, x, y: lib.nn.LayerNorm(4)(y),
        lambda lib, x, y: lib.nn.GroupNorm(1, 2)(y),
        lambda lib, x, y: lib.nn.MaxPool2d(2)(y),
        lambda lib, x, y: lib.nn.AvgPool2d(2)(y),
        lambda lib, x, y: lib.nn.Dropout()(y),
        lambda lib, x, y: lib.nn.Embedding(3, 2)(lib.tensor([1])),
        lambda lib, x, y: lib.nn.ConvTranspose2d(2, 2, 3)(y),
    ]
    for call in calls:
        ours, theirs = call(narae, to_narae(x), to_narae(y)), call(torch, x, y)
        assert ours.grad_fn.name == theirs.grad_fn.name()


def test_linear_refuses():
    for lib in (narae, torch):
        with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
            lib.nn.functional.linear(lib.zeros(2, 3), lib.zeros(4, 5))
        with pytest.raises(RuntimeError, match="same dtype"):
            lib.nn.functional.linear(lib.zeros(2, 3, dtype=lib.float64), lib.zeros(4, 3))


# --- embedding ------------------------------------------------------------------------------


@pytest.mark.parametrize("padding_idx", [None, 0, 3, -1])
@pytest.mark.parametrize("by_frequency", [False, True])
@pytest.mark.parametrize("shape", [(4,), (2, 3), (), (0,)])
def test_embedding(padding_idx, by_frequency, shape):
    w = randn(5, 3)
    index = torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(1))
    options = {"padding_idx": padding_idx, "scale_grad_by_freq": by_frequency}
    check_call(
        lambda w, index: F.embedding(index, w, **options),
        lambda w, index: TF.embedding(index, w, **options),
        (w, index),
        second=False,
    )


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_embedding_limits_norms(norm_type):
    w = randn(5, 3, requires_grad=False) * 3
    index = torch.tensor([0, 2, 2, 4])
    ours = nn.Embedding.from_pretrained(to_narae(w), max_norm=1.0, norm_type=norm_type)
    theirs = torch.nn.Embedding.from_pretrained(w, max_norm=1.0, norm_type=norm_type)
    assert_same(ours(to_narae(index)), theirs(index))
    assert_same(ours.weight.detach(), theirs.weight.detach())
    assert not ours.weight.requires_grad


def test_embedding_refuses():
    layer = nn.Embedding(5, 3)
    for wrong in ([5], [-1]):
        with pytest.raises(IndexError, match="index out of range in self"):
            layer(narae.tensor(wrong))
    with pytest.raises(RuntimeError, match="scalar type Long or Int"):
        layer(narae.ones(2))
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.Embedding(5, 3, sparse=True)(narae.tensor([1]))
    assert float(nn.Embedding(5, 3, padding_idx=2).weight[2].abs().sum()) == 0


@pytest.mark.parametrize("classes", [-1, 4, 9])
def test_one_hot(classes):
    index = torch.tensor([[0, 3], [2, 1]])
    assert_same(F.one_hot(to_narae(index), classes), TF.one_hot(index, classes))
    for wrong in (torch.tensor([-1]), torch.tensor([9]), torch.tensor([1.0])):
        for lib, x in ((TF, wrong), (F, to_narae(wrong))):
            with pytest.raises((RuntimeError, IndexError)):
                lib.one_hot(x, 4)


# --- dropout --------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_dropout(p):  # E35
    narae.manual_seed(3)
    x = narae.ones(200, 200, requires_grad=True)
    out = F.dropout(x, p)
    out.sum().backward()
    scale = 0.0 if p == 1 else 1 / (1 - p)
    values = out.detach().numpy()
    assert set(np.unique(values)) <= {np.float32(0), np.float32(scale)}
    assert np.array_equal(values, x.grad.numpy())
    count = values.size
    dropped = (values == 0).sum() / count if p else 0.0
    assert abs(dropped - p) <= 5 * np.sqrt(p * (1 - p) / count) + 1e-12
    assert p == 1 or abs(values.mean() - 1) < 5 * np.sqrt(p / (1 - p) / count) + 1e-6
    assert F.dropout(x, p, training=False) is x


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d"])
def test_dropout_of_channels(name):
    dims = int(name[-2])
    x = narae.ones(8, 50, *[3] * dims)
    values = getattr(F, name)(x, 0.5).numpy().reshape(8, 50, -1)
    assert (values == values[..., :1]).all()
    assert set(np.unique(values)) == {0.0, 2.0}
    single = getattr(F, name)(narae.ones(50, *[3] * dims), 0.5) if dims != 2 else None
    if single is not None:
        flat = single.numpy().reshape(50, -1)
        assert (flat == flat[:, :1]).all() and 0 < flat.mean() < 2


def test_dropout_in_place_and_keys():
    narae.manual_seed(0)
    first = F.dropout(narae.ones(100))
    second = F.dropout(narae.ones(100))
    assert not np.array_equal(first.numpy(), second.numpy())
    narae.manual_seed(0)
    x = narae.ones(100)
    assert F.dropout(x, inplace=True) is x
    assert np.array_equal(x.numpy(), first.numpy())
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_alpha_dropout_keeps_mean_and_variance():
    narae.manual_seed(0)
    x = narae.randn(400, 400)
    for function in (F.alpha_dropout, F.feature_alpha_dropout):
        shaped = x if function is F.alpha_dropout else x.reshape(200, 200, 2, 2)
        values = function(shaped, 0.2, training=True).numpy()
        assert abs(values.mean()) < 0.02 and abs(values.var() - 1) < 0.03


# --- activations ----------------------------------------------------------------------------


def test_softmax_without_dim_warns():
    for lib in (narae, torch):
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
            lib.nn.Softmax()(lib.ones(2, 3))
    for shape in ((3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
        x = randn(*shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_same(nn.LogSoftmax()(to_narae(x)), torch.nn.LogSoftmax()(x))


def test_rrelu():
    narae.manual_seed(0)
    x = narae.full((1000,), -1.0)
    slopes = -nn.RReLU(0.1, 0.3)(x).numpy()
    assert slopes.min() >= 0.1 and slopes.max() < 0.3 and abs(slopes.mean() - 0.2) < 0.01
    assert_same(nn.RReLU(0.1, 0.3).eval()(x), torch.full((1000,), -0.2))
    assert repr(nn.RReLU()) == repr(torch.nn.RReLU())


# --- initialization -------------------------------------------------------------------------

RECIPES = [
    ("uniform_", (-1.0, 2.0)),
    ("constant_", (3.0,)),
    ("ones_", ()),
    ("zeros_", ()),
    ("xavier_uniform_", ()),
    ("xavier_uniform_", (2.0,)),
    ("kaiming_uniform_", ()),
    ("kaiming_uniform_", (0.1, "fan_out", "leaky_relu")),
    ("kaiming_uniform_", (0, "fan_in", "tanh")),
]
NORMAL = [
    ("normal_", (1.0, 2.0)),
    ("xavier_normal_", (2.0,)),
    ("kaiming_normal_", ()),
    ("kaiming_normal_", (0, "fan_out", "relu")),
    ("trunc_normal_", ()),
    ("trunc_normal_", (0.5, 2.0, -1.0, 1.0)),
    ("orthogonal_", ()),
    ("orthogonal_", (2.0,)),
]


def started(lib, recipe, arguments, shape):
    lib.manual_seed(7)
    return getattr(lib.nn.init, recipe)(lib.empty(shape), *arguments)


@pytest.mark.parametrize("shape", [(3, 4), (20, 30), (5, 4, 3, 3)])
@pytest.mark.parametrize(("recipe", "arguments"), RECIPES)
def test_uniform_start_is_exact(recipe, arguments, shape):  # G17
    ours, theirs = (started(lib, recipe, arguments, shape) for lib in (narae, torch))
    assert np.array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("shape", [(3, 4), (20, 30), (30, 20), (5, 4, 3, 3)])
@pytest.mark.parametrize(("recipe", "arguments"), NORMAL)
def test_normal_start(recipe, arguments, shape):
    ours, theirs = (started(lib, recipe, arguments, shape) for lib in (narae, torch))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3)])
def test_eye_start(shape):
    assert_same(*(lib.nn.init.eye_(lib.empty(shape)) for lib in (narae, torch)))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 2, 3), (2, 4, 3, 3), (4, 4, 2, 3, 5)])
def test_dirac_start(shape, groups):
    assert_same(*(lib.nn.init.dirac_(lib.empty(shape), groups) for lib in (narae, torch)))


def test_sparse_start():
    x = nn.init.sparse_(narae.empty(10, 6), 0.25, 0.1).numpy()
    assert ((x == 0).sum(0) == 3).all() and 0.02 < x[x != 0].std() < 0.3


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu",
                                  "leaky_relu"])  # fmt: skip
def test_gain(name):
    for param in (None, 0.3):
        ours = nn.init.calculate_gain(name, param)
        assert ours == torch.nn.init.calculate_gain(name, param)
    with pytest.raises(ValueError):
        nn.init.calculate_gain("swish")


def test_starts_refuse():
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_uniform_(narae.empty(3))
    with pytest.raises(ValueError, match="Mode x not supported"):
        nn.init.kaiming_uniform_(narae.empty(3, 3), mode="x")
    layer = nn.Linear(2, 2)
    assert nn.init.ones_(layer.weight) is layer.weight and layer.weight.requires_grad


# --- clipping -------------------------------------------------------------------------------


def clipped(lib, function, *arguments):
    parameters = [lib.nn.Parameter(lib.zeros(shape)) for shape in ((3, 2), (4,), ())]
    for number, parameter in enumerate(parameters):
        grad = torch.randn(tuple(parameter.shape), generator=torch.Generator().manual_seed(number))
        parameter.grad = grad if lib is torch else to_narae(grad)
    parameters.append(lib.nn.Parameter(lib.zeros(1)))
    result = getattr(lib.nn.utils, function)(parameters, *arguments)
    return result, [p.grad for p in parameters]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_norms(norm_type, max_norm):
    ours = clipped(narae, "clip_grad_norm_", max_norm, norm_type)
    theirs = clipped(torch, "clip_grad_norm_", max_norm, norm_type)
    assert_same(ours, theirs)


def test_clipping_values():
    assert_same(clipped(narae, "clip_grad_value_", 0.3), clipped(torch, "clip_grad_value_", 0.3))


def test_clipping_nonfinite():
    for lib in (narae, torch):
        x = lib.nn.Parameter(lib.zeros(2))
        x.grad = lib.tensor([1.0, float("nan")])
        with pytest.raises(RuntimeError, match="non-finite"):
            lib.nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)
        lib.nn.utils.clip_grad_norm_(x, 1.0)
        assert float(lib.nn.utils.clip_grad_norm_([], 1.0)) == 0


def test_parameters_as_a_vector():
    for lib in (narae, torch):
        layer = lib.nn.Linear(3, 2)
        vector = lib.nn.utils.parameters_to_vector(layer.parameters())
        assert tuple(vector.shape) == (8,)
        lib.nn.utils.vector_to_parameters(lib.arange(8.0), layer.parameters())
        assert layer.bias.tolist() == [6.0, 7.0] and layer.weight[1].tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(ValueError, match="9 elements"):
        nn.utils.vector_to_parameters(narae.arange(9.0), nn.Linear(3, 2).parameters())


# --- small ones -----------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_normalize(p, dim):
    x = randn(3, 4)
    with torch.no_grad():
        x[0] = 0
    check_call(F.normalize, TF.normalize, (x.detach() + 0.0, p, dim))
    check_call(F.normalize, TF.normalize, (randn(3, 4), p, dim))


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (1, 4)), ((2, 3, 4), (2, 3, 4))])
def test_cosine_similarity(shapes):
    first, second = randn(*shapes[0]), randn(*shapes[1], seed=1)
    for dim in (0, 1, -1):
        check_call(F.cosine_similarity, TF.cosine_similarity, (first, second, dim), second=False)


def test_bilinear():
    for lead in ((), (2,), (2, 3)):
        x, y = randn(*lead, 3), randn(*lead, 4, seed=1)
        check_call(F.bilinear, TF.bilinear, (x, y, randn(5, 3, 4, seed=2), randn(5, seed=3)))


def test_shaping_layers():
    x = torch.arange(24.0).reshape(2, 3, 4)
    for make in (
        lambda lib: lib.nn.Flatten(),
        lambda lib: lib.nn.Flatten(0, 1),
        lambda lib: lib.nn.Unflatten(2, (2, 2)),
        lambda lib: lib.nn.Unflatten(-1, [4, 1]),
        lambda lib: lib.nn.Identity(3, unused=4),
    ):
        ours, theirs = make(narae), make(torch)
        assert repr(ours) == repr(theirs)
        assert_same(ours(to_narae(x)), theirs(x))
    for lib in (narae, torch):
        with pytest.raises(TypeError):
            lib.nn.Unflatten(1, 3)
        with pytest.raises(TypeError):
            lib.nn.Unflatten(1, (2.0, 3))


def test_a_few_layers_in_half_precision():
    for dtype in (torch.float16, torch.bfloat16):
        ours_dtype = getattr(narae, str(dtype).removeprefix("torch."))
        torch.manual_seed(0)
        theirs = torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten(),
            torch.nn.LayerNorm(16), torch.nn.Linear(16, 3),
        ).to(dtype)  # fmt: skip
        ours = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.LayerNorm(16),
            nn.Linear(16, 3),
        ).to(ours_dtype)  # fmt: skip
        ours.load_state_dict({key: to_narae(value) for key, value in theirs.state_dict().items()})
        x = torch.randn(2, 2, 6, 6).to(dtype)
        found, wanted = as_numpy(ours(to_narae(x))), as_numpy(theirs(x))
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found.astype(float), wanted.astype(float), atol=0.06)
