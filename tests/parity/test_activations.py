"""Activations and softmax (A20, E9): values, gradients, kinks, extremes, in place."""

import math

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.tensors import activations  # noqa: E402
from tests.parity.agreement import FLOATS, agree, layouts, numbers  # noqa: E402

F = torch.nn.functional
# Every activation with the arguments it is tried with.
CALLS = {
    "relu": [{}], "relu6": [{}], "selu": [{}], "silu": [{}], "mish": [{}], "softsign": [{}],
    "hardsigmoid": [{}], "hardswish": [{}], "logsigmoid": [{}], "tanhshrink": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.2}], "elu": [{}, {"alpha": 0.5}],
    "celu": [{}, {"alpha": 2.0}, {"alpha": 0}], "gelu": [{}, {"approximate": "tanh"},
    {"approximate": "no"}], "hardtanh": [{}, {"min_val": -0.5, "max_val": 2.0},
    {"min_val": 2.0, "max_val": 1.0}], "softplus": [{}, {"beta": 2.0, "threshold": 1.0}],
    "softshrink": [{}, {"lambd": 1.0}, {"lambd": -1.0}], "hardshrink": [{}, {"lambd": 1.0}],
    "threshold": [{"threshold": 0.5, "value": 7.0}],
    "softmax": [{"dim": 0}, {"dim": -1}, {"dim": 2}],
    "log_softmax": [{"dim": 0}, {"dim": -1}], "softmin": [{"dim": 0}],
}  # fmt: skip
# PyTorch holds 1/6 in float32 for every dtype.
CASES = [
    pytest.param(name, kw, id=f"{name}-{i}") for name in CALLS for i, kw in enumerate(CALLS[name])
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_in_every_layout_with_gradients(name, options):
    for x in layouts(torch.float32 if name == "hardsigmoid" else torch.float64, grad=True):
        agree(getattr(activations, name), getattr(F, name), x, **options)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.bool], ids=str)
def test_in_every_dtype(name, options, dtype):
    agree(getattr(activations, name), getattr(F, name), numbers(4, 5, dtype=dtype), **options)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_far_out_and_at_the_kinks(name, options):
    x = torch.tensor(
        [-1000.0, -50.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 21.0, 1000.0]
    )
    for dtype in (torch.float32, torch.float64):
        if name == "hardsigmoid" and dtype == torch.float64:
            continue
        leaf = x.to(dtype).requires_grad_()
        agree(getattr(activations, name), getattr(F, name), leaf, second=False, **options)
    unusual = torch.tensor([math.nan, math.inf, -math.inf, -0.0])
    if name not in ("softmax", "log_softmax", "softmin", "mish", "gelu", "silu", "softplus",
                    "softsign", "hardswish", "tanhshrink"):  # fmt: skip
        agree(getattr(activations, name), getattr(F, name), unusual, **options)


IN_PLACE = ["relu", "relu6", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "hardtanh",
            "hardsigmoid", "hardswish"]  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    x = narae.tensor([-2.0, 0.5, 3.0])
    wanted = getattr(activations, name)(x)
    returned = getattr(activations, name)(x, inplace=True)
    assert returned is x
    assert x.tolist() == wanted.tolist()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        getattr(activations, name)(narae.ones(2, requires_grad=True), inplace=True)


def test_in_place_keeps_gradients():
    def run(functional):
        return lambda x: functional.leaky_relu(
            functional.relu(x * 2, inplace=True) - 1, inplace=True
        )

    agree(run(activations), run(F), numbers(6, grad=True))


def test_prelu():
    for shape, count in (((4,), 1), ((3, 5), 5), ((2, 4, 3), 4), ((), 1), ((2, 3), 2)):
        weight = numbers(count, seed=3, grad=True)
        agree(activations.prelu, F.prelu, numbers(*shape, grad=True), weight)


def test_glu():
    for shape, dim in (((4, 6), -1), ((4, 6), 0), ((3, 5), 1), ((), 0), ((2, 0), 1)):
        agree(activations.glu, F.glu, numbers(*shape, grad=True), dim)


def test_softmax_without_overflow():
    # E9: subtracting the largest keeps exp in range.
    out = narae.softmax(narae.tensor([1010.0, 1000.0, 990.0]), 0)
    assert math.isclose(out.sum().item(), 1.0, rel_tol=1e-6)
    assert all(math.isfinite(value) for value in out.tolist())


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_converts_first(name):
    for source in (torch.int64, torch.float32, torch.float16):
        x = numbers(3, 4, dtype=source)
        agree(getattr(narae, name), getattr(torch, name), x, 1, dtype=torch.float64)
        agree(getattr(narae.Tensor, name), getattr(torch.Tensor, name), x, -1, dtype=torch.float64)
