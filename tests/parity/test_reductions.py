"""Reductions and running totals: forms, dtypes, dimensions, empty tensors, ties, gradients."""

import math

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity.agreement import (  # noqa: E402
    DTYPES,
    FLOATS,
    agree,
    agree_named,
    layouts,
    numbers,
)

MANY_DIMS = ["sum", "mean", "nansum", "nanmean", "amax", "amin", "logsumexp", "all", "any", "var",
             "std", "count_nonzero"]  # fmt: skip
ONE_DIM = ["prod", "max", "min", "argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin",
           "logcumsumexp"]  # fmt: skip
WHOLE = ["sum", "mean", "nansum", "nanmean", "amax", "amin", "all", "any", "var", "std", "prod",
         "max", "min", "argmax", "argmin", "norm", "aminmax", "count_nonzero", "var_mean",
         "std_mean"]  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_all_elements_in_every_dtype(name, dtype):
    agree_named(name, numbers(3, 4, dtype=dtype))
    agree_named(name, numbers(dtype=dtype))
    agree_named(name, numbers(0, dtype=dtype))


@pytest.mark.parametrize("name", MANY_DIMS)
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2), (1,), (), None, (0, 0), 3, -4])
def test_over_dimensions(name, dim):
    if dim == () and name in ("logsumexp", "var", "std"):
        pytest.skip("PyTorch fails, or its gradient is infinite")
    x = numbers(2, 3, 4, grad=True)
    agree_named(name, x, dim)
    if name != "count_nonzero":
        agree_named(name, x, dim, keepdim=True)
    agree_named(name, numbers(2, 0, 3), dim)
    agree_named(name, numbers(), dim if dim in (0, -1) else 0)


@pytest.mark.parametrize("name", ONE_DIM)
@pytest.mark.parametrize("dim", [0, 1, -1, 3, -4])
def test_along_one_dimension(name, dim):
    agree_named(name, numbers(2, 3, 4, grad=True), dim)
    if dim in (0, 1, -1):
        agree_named(name, numbers(2, 0, 3), dim)
    agree_named(name, numbers(grad=True), 0 if dim in (0, 1) else -1)
    if not name.startswith(("cum", "log")):
        agree_named(name, numbers(2, 3, 4, grad=True), dim, keepdim=True)


@pytest.mark.parametrize("name", ONE_DIM)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_along_one_dimension_in_every_dtype(name, dtype):
    agree_named(name, numbers(3, 5, dtype=dtype), 1)


@pytest.mark.parametrize("name", [n for n in MANY_DIMS + ONE_DIM if n not in ("all", "any")])
def test_memory_in_any_order(name):
    for x in layouts(grad=True):
        if x.ndim == 2:
            agree_named(name, x, 0)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "nansum", "nanmean", "cumsum", "cumprod"])
@pytest.mark.parametrize("source", [torch.int64, torch.float32, torch.bool], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.float16, torch.bool], ids=str)
def test_dtype_is_converted_first(name, source, dtype):
    if dtype == torch.bool and name in ("nansum", "nanmean"):
        pytest.skip("no NaN among bools")
    agree_named(name, numbers(3, 4, dtype=source), 0, dtype=dtype)


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_forms_of_the_spread(name):
    x = numbers(3, 4, grad=True)
    for arguments, options in (
        ((), {}), ((False,), {}), ((1,), {}), ((1, False), {}), ((1, True, True), {}),
        ((), {"correction": 0}), ((1,), {"correction": 2, "keepdim": True}),
        (((0, 1),), {"unbiased": False}), ((), {"dim": 0, "correction": 0.5}),
    ):  # fmt: skip
        agree_named(name, x, *arguments, **options)
    agree_named(name, numbers(1, grad=True))
    agree_named(name, torch.ones(3, dtype=torch.float64, requires_grad=True), second=False)


@pytest.mark.parametrize("order", [None, "fro", 0, 0.5, 1, 2, 3, 2.5, -1, math.inf, -math.inf])
@pytest.mark.parametrize("dim", [None, 0, (0, 1)])
def test_norms(order, dim):
    agree_named("norm", numbers(3, 4, grad=True), order or 2, dim)
    agree_named("norm", numbers(3, 4, grad=True), p=order or "fro", dim=dim, keepdim=True)


@pytest.mark.parametrize("order", [1, 2, 3, math.inf])
def test_norms_at_zero(order):
    agree_named(
        "norm", torch.zeros(3, dtype=torch.float64, requires_grad=True), order, second=False
    )


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin"])
def test_gradients_of_ties(name):
    x = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], dtype=torch.float64, requires_grad=True)
    agree_named(name, x)
    agree_named(name, x, 1)


def test_largest_of_two_tensors():
    x, y = numbers(3, grad=True), numbers(3, seed=1, grad=True)
    agree_named("max", x, y)
    agree_named("min", x, other=y)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "amax", "cummax", "cummin"])
def test_nan_wins(name):
    x = torch.tensor([[1.0, math.nan, 3.0], [math.nan, 0.0, math.nan], [1.0, 2.0, 3.0]])
    agree_named(name, x, 1)


def test_infinities_in_sums_of_exponentials():
    x = torch.tensor([[math.inf, 1.0], [-math.inf, -math.inf], [-math.inf, 2.0], [1000.0, 1000.0]])
    agree_named("logsumexp", x, 1)
    agree_named("logcumsumexp", x, 1)
    agree_named("softmax", x[2:], 1)
    agree_named("log_softmax", x[2:], 1)


@pytest.mark.parametrize("position", [None, 0, 2, 4])
@pytest.mark.parametrize("second", [None, 3])
def test_gradients_of_products_with_zeros(position, second):
    x = numbers(5)
    for place in (position, second):
        if place is not None:
            x[place] = 0
    x.requires_grad_()
    agree_named("prod", x)
    agree_named("prod", x, 0)
    agree_named("cumprod", x, 0)


def test_named_results():
    values, indices = narae.tensor([[1.0, 3.0], [4.0, 2.0]]).max(1)
    found = narae.tensor([[1.0, 3.0], [4.0, 2.0]]).max(dim=1, keepdim=True)
    assert values.tolist() == [3, 4] and indices.tolist() == [1, 0]
    assert found.values.shape == (2, 1) and found.indices.shape == (2, 1)
    assert repr(narae.tensor([1.0, 3.0]).max(0)) == (
        "narae.return_types.max(\nvalues=tensor(3.),\nindices=tensor(1))"
    )


def test_named_results_can_be_pickled():
    import pickle

    found = pickle.loads(pickle.dumps(narae.tensor([1.0, 3.0]).max(0)))
    assert found.values.item() == 3 and found.indices.item() == 1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_long_sums_are_precise(dtype):
    x = numbers(20_000, dtype=dtype, low=0, high=1)
    agree_named("mean", x)
    agree_named("var", x)
    if dtype != torch.float16:
        agree_named("sum", x)
        agree_named("cumsum", x, 0)


def test_methods_are_the_functions():
    x = numbers(2, 3, grad=True)
    for name in ("sum", "mean", "std", "var", "max", "argmax", "prod", "norm", "all", "any"):
        agree(getattr(narae.Tensor, name), getattr(torch.Tensor, name), x)
        agree(lambda x, n=name: getattr(x, n)(), lambda x, n=name: getattr(x, n)(), x)


def test_refusals_name_the_fix():
    with pytest.raises(TypeError, match=r"Got: Long. Fix: convert with .float"):
        narae.tensor([1, 2]).mean()
    with pytest.raises(IndexError, match=r"Dimension out of range .*\[-1, 0\], but got 5"):
        narae.ones(3).sum(5)
    with pytest.raises(RuntimeError, match="Specify the reduction dim"):
        narae.zeros(0).max()
