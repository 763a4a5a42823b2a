"""Element-wise functions: promotion, in-place forms, operators, refusals, special values (D6)."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity.agreement import (  # noqa: E402
    DTYPES,
    agree,
    agree_named,
    assert_same,
    layouts,
    narae_of,
    numbers,
)

UNARY = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "neg",
    "rad2deg",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "positive",
    "signbit",
    "isnan",
    "isinf",
    "isfinite",
    "isposinf",
    "isneginf",
    "isreal",
    "logical_not",
    "bitwise_not",
    "nan_to_num",
]
BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "true_divide",
    "floor_divide",
    "remainder",
    "fmod",
    "pow",
    "atan2",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "hypot",
    "logaddexp",
    "logaddexp2",
    "copysign",
    "xlogy",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "float_power",
    "gcd",
    "heaviside",
]
OPERATORS = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
    operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift,
)  # fmt: skip
IN_PLACE_OPERATORS = (
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv,
    operator.imod, operator.ipow,
)  # fmt: skip
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30, 1e30, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unary_in_every_dtype(name, dtype):
    agree_named(name, numbers(7, dtype=dtype, low=-0.9, high=2.9))


@pytest.mark.parametrize("name", UNARY)
def test_unary_in_every_layout_with_gradients(name):
    for x in layouts(grad=True):
        agree_named(name, x)


@pytest.mark.parametrize("name", UNARY)
def test_unary_on_special_values(name):
    if name in ("bitwise_not",):
        pytest.skip("no floating point numbers")
    agree_named(name, torch.tensor(SPECIAL, dtype=torch.float64))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("first", [torch.float32, torch.int32, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("second", DTYPES, ids=str)
def test_binary_promotes(name, first, second):
    x = numbers(3, 1, dtype=first, low=0.5)
    agree_named(name, x, numbers(4, dtype=second, seed=1, low=1.1))
    agree_named(name, x, numbers(dtype=second, seed=2, low=1.1))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("number", [2, 2.5, True, 300, -1])
def test_binary_with_a_number(name, dtype, number):
    x = numbers(4, dtype=dtype, low=1)
    agree_named(name, x, number)
    if not (dtype == torch.bool and name == "pow" and isinstance(number, bool)):
        agree_named(name, number, x)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("floor_divide", "heaviside")])
def test_binary_gradients_broadcast(name):
    pairs = [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((0, 3), (1, 3)), ((2, 1, 3), (4, 1))]
    for first, second in pairs:
        x = numbers(*first, grad=True, low=0.4)
        agree_named(name, x, numbers(*second, seed=1, grad=True, low=0.4))
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        getattr(narae, name)(narae.ones(3), narae.ones(4))


@pytest.mark.parametrize("name", [name for name in BINARY if "shift" not in name])
def test_binary_on_special_values(name):
    x = torch.tensor(SPECIAL, dtype=torch.float64)
    if name.startswith("bitwise") or name == "gcd":
        pytest.skip("no floating point numbers")
    agree_named(name, x[:, None], x)


@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool], ids=str)
def test_operators_and_their_reflections(function, dtype):
    x, y = numbers(3, dtype=dtype, low=1), numbers(3, dtype=dtype, seed=1, low=1)
    agree(function, function, x, y)
    for number in (2, 2.0, True):
        agree(function, function, x, number)
        if not (number is True and dtype == torch.bool and function is operator.pow):
            agree(function, function, number, x)


@pytest.mark.parametrize("function", [operator.neg, operator.pos, abs, operator.invert])
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool], ids=str)
def test_unary_operators(function, dtype):
    agree(function, function, numbers(4, dtype=dtype))


@pytest.mark.parametrize("function", IN_PLACE_OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("first", [torch.float64, torch.float32, torch.int64, torch.bool], ids=str)
@pytest.mark.parametrize("second", [torch.float64, torch.int64, torch.bool], ids=str)
def test_in_place_operators_keep_the_dtype_or_refuse(function, first, second):
    def run(x, y):
        x = x.clone()
        y = function(x, y)
        assert y is x
        return x

    x = numbers(3, dtype=first, low=1)
    agree(run, run, x, numbers(3, dtype=second, seed=1, low=1))
    agree(run, run, x, numbers(2, 3, dtype=second, seed=1, low=1))


def test_in_place_forms_carry_gradients():
    def run(x, y):
        out = x * 1
        out.mul_(y).add_(y, alpha=2).clamp_(0.1, 5).div_(3).sin_().mul_(y).sigmoid_()
        return out

    agree(run, run, numbers(5, grad=True, low=-1, high=1), numbers(5, seed=1, grad=True, high=1))


def test_alpha_and_rounding_modes():
    x, y = numbers(4, grad=True), numbers(4, seed=1, grad=True)
    agree_named("add", x, y, alpha=2.5)
    agree_named("sub", x, y, alpha=3)
    agree_named("rsub", x, y, alpha=3)
    for mode in (None, "floor", "trunc", "up"):
        agree_named("div", x, y, rounding_mode=mode)
        for dtype in (torch.int64, torch.uint8, torch.float16):
            first = torch.tensor([7, 5, 250, 3, -7, -5, -1]).to(dtype)
            agree_named("div", first, torch.tensor([2, 3, 7, 9, 2, 3, 5]).to(dtype),
                        rounding_mode=mode)  # fmt: skip
    agree_named("add", torch.tensor([1, 2]), 3, alpha=1.5)
    agree_named("add", torch.tensor([1, 2]), 3, alpha=True)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.integers(-5, 5))
def test_integer_division_agrees_with_python(values, divisor):
    x = narae.tensor(values)
    if divisor == 0:
        for function in (operator.floordiv, operator.mod):
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                function(x, divisor)
        return
    assert (x // divisor).tolist() == [value // divisor for value in values]
    assert (x % divisor).tolist() == [value % divisor for value in values]
    assert narae.fmod(x, divisor).tolist() == [int(math.fmod(v, divisor)) for v in values]


def test_integer_powers():
    base, power = torch.tensor([2, -1, -1, 1, 3, 0]), torch.tensor([-1, -3, -2, -5, 2, 0])
    agree_named("pow", base, power)
    agree_named("pow", 2, power)
    agree_named("pow", base, -1)
    agree_named("pow", base, 0.5)
    agree_named("float_power", base, 3)


def test_powers_with_numbers_and_their_gradients():
    for exponent in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.7):
        agree_named("pow", numbers(5, grad=True, low=0.3), exponent)
        # PyTorch's second gradient of 0 ** x is NaN, by way of log(0).
        agree_named("pow", exponent, numbers(5, grad=True), second=exponent != 0)
    at_zero = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    for exponent in (0, 1, 2):
        agree_named("pow", at_zero, exponent)


def test_clamp_with_numbers_tensors_and_none():
    x = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, math.nan], dtype=torch.float64)
    x.requires_grad_()
    low, high = numbers(7, seed=3, grad=True), numbers(7, seed=4, grad=True)
    for limits in ((-1, 1), (None, 1), (-1, None), (2, -2), (low, high), (low, None), (None, high)):
        agree_named("clamp", x, *limits)
    agree_named("clamp", x)
    agree_named("clamp", torch.tensor([1, 5]), 0.5, 3)
    agree_named("clamp_min", x, 0)
    agree_named("clamp_max", x, low)
    agree_named("clip", x, -1, 1)


def test_where_takes_numbers_and_broadcasts():
    condition = torch.tensor([[True], [False]])
    x, y = numbers(3, grad=True), numbers(2, 3, seed=1, grad=True)
    for pair in (
        (x, y),
        (x, 2),
        (2.5, y),
        (1, 2),
        (1.0, 2),
        (True, False),
        (x, torch.ones(3).int()),
    ):
        agree_named("where", condition, *pair)
    agree_named("where", torch.tensor([1, 0]), 1, 2)
    agree(lambda x, c, y: x.where(c, y), lambda x, c, y: x.where(c, y), x, condition, y)


def test_masked_fill_keeps_the_dtype():
    mask = torch.tensor([True, False, True])
    for dtype in DTYPES:
        agree(narae.masked_fill, torch.masked_fill, numbers(2, 3, dtype=dtype), mask, 1)
    agree(narae.masked_fill, torch.masked_fill, numbers(3, grad=True), mask,
          torch.tensor(2.0, dtype=torch.float64, requires_grad=True))  # fmt: skip
    agree(narae.masked_fill, torch.masked_fill, numbers(3), mask, torch.ones(2))
    agree(narae.masked_fill, torch.masked_fill, numbers(3), torch.tensor([1, 0, 1]), 1)


def test_mixtures():
    x, y, z = (numbers(4, seed=seed, grad=True, low=0.5) for seed in (0, 1, 2))
    for weight in (0.25, 0.75, z):
        agree_named("lerp", x, y, weight)
    agree_named("addcmul", x, y, z, value=0.3)
    agree_named("addcdiv", x, y, z, value=0.3)
    agree_named("addcdiv", torch.tensor([1]), torch.tensor([1]), torch.tensor([2]))
    agree_named("addcmul", torch.tensor([1]), torch.tensor([3]), torch.tensor([2]), value=2)


def test_round_to_decimals():
    x = torch.tensor([0.5, 1.5, -2.5, 2.567, 1234.567], dtype=torch.float64)
    for decimals in (-2, -1, 0, 1, 2):
        agree_named("round", x, decimals=decimals)
    agree_named("round", torch.tensor([12]), decimals=1)


def test_closeness():
    x = torch.tensor([1.0, math.nan, math.inf, 1.00001, -math.inf])
    y = torch.tensor([1.0001, math.nan, math.inf, 1.0, math.inf])
    for options in ({}, {"rtol": 1e-3}, {"atol": 1e-3}, {"equal_nan": True}, {"rtol": -1.0}):
        agree_named("isclose", x, y, **options)
        agree_named("allclose", x, y, **options)
    agree_named("isclose", torch.tensor([1, 2]), torch.tensor([1, 3]))
    agree_named("isclose", x, y.double())
    agree_named("equal", x, x)
    agree_named("equal", torch.ones(2), torch.ones(3))


def test_comparison_with_what_is_not_a_tensor():
    x = narae.tensor([1.0])
    assert (x == "a") is False and (x != "a") is True
    assert (x == None) is False  # noqa: E711
    with pytest.raises(TypeError):
        x < "a"  # noqa: B015
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        [] * x


def test_arrays_and_numpy_numbers_are_operands():
    x = narae.tensor([1.0, 2.0])
    assert_same(x + np.float32(2), torch.tensor([3.0, 4.0]))
    assert_same(np.float64(2) * x, torch.tensor([2.0, 4.0]))
    assert_same(np.ones(2, np.float32) + x, torch.tensor([2.0, 3.0]))


def test_other_operand_may_answer():
    class Other:
        def __radd__(self, x):
            return "radd"

    assert narae.ones(2) + Other() == "radd"


def test_not_a_tensor_is_refused_by_name():
    with pytest.raises(TypeError, match=r"exp\(\): argument 'input' \(position 1\) must be Tensor"):
        narae.exp(1.0)


@pytest.mark.parametrize("name", ["exp", "add", "clamp", "cumsum", "floor", "eq", "mean"])
def test_out_is_written_and_resized(name):
    arguments = {"add": (2,), "clamp": (0, 1), "eq": (1,), "cumsum": (0,), "mean": (0,)}.get(
        name, ()
    )
    x = numbers(3, dtype=torch.float32)
    out, theirs = narae.empty(0), torch.empty(0)
    returned = getattr(narae, name)(narae_of(x), *arguments, out=out)
    getattr(torch, name)(x, *arguments, out=theirs)
    assert returned is out
    assert_same(out, theirs)


def test_out_refuses_gradients():
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        narae.exp(narae.ones(2, requires_grad=True), out=narae.empty(2))


NODES = {
    "mul": lambda x: x * x,
    "add": lambda x: x + 1,
    "clamp": lambda x: x.clamp(0, 1),
    "mean": lambda x: x.mean(),
    "max": lambda x: x.max(0)[0],
    "pow": lambda x: x.pow(2),
    "neg": lambda x: -x,
    "softmax": lambda x: x.softmax(0),
    "logsumexp": lambda x: x.logsumexp(0),
    **{name: lambda x, name=name: getattr(x, name)() for name in ("exp", "relu", "std", "var",
       "norm", "log2", "abs", "sqrt", "clone")},
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_names_of_nodes_are_pytorchs(name):
    theirs = NODES[name](torch.tensor([1.0, 2.0], requires_grad=True)).grad_fn
    text = repr(NODES[name](narae.tensor([1.0, 2.0], requires_grad=True)).grad_fn)
    assert type(theirs).__name__ in text
