"""The NumPy-like layer of the notes (rows D1–D8), each against NumPy."""

import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import narae

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

NUMBERS = st.integers(-40, 40).map(lambda n: n / 4)
ARITHMETIC = {
    "add": (operator.add, np.add),
    "sub": (operator.sub, np.subtract),
    "mul": (operator.mul, np.multiply),
    "div": (operator.truediv, np.divide),
}
COMPARISONS = {
    "eq": (operator.eq, np.equal),
    "ne": (operator.ne, np.not_equal),
    "lt": (operator.lt, np.less),
    "le": (operator.le, np.less_equal),
    "gt": (operator.gt, np.greater),
    "ge": (operator.ge, np.greater_equal),
}


@st.composite
def pairs(draw, dtype=np.float64):
    """Two arrays whose shapes broadcast; sizes of 0 and 0-d arrays among them."""
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
    )
    numbers = NUMBERS if np.dtype(dtype).kind == "f" else st.integers(-9, 9)
    drawn = [draw(hnp.arrays(dtype, shape, elements=numbers)) for shape in shapes.input_shapes]
    return tuple(drawn)


def same(found, wanted):
    """Equal dtype, shape and bits (NaN equals NaN)."""
    wanted = np.asarray(wanted)
    assert found.numpy().dtype == wanted.dtype
    assert tuple(found.shape) == wanted.shape
    np.testing.assert_array_equal(found.detach().numpy(), wanted)


# --- D1, D2 -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ARITHMETIC)
@given(arrays=pairs())
@settings(max_examples=40)
def test_arithmetic(name, arrays):
    """D1 add/subtract/multiply/divide, elementwise: as function, operator and method.

    Works means "array-api-tests subset": see also test_array_api.py.
    """
    sign, numpy_function = ARITHMETIC[name]
    x, y = (narae.tensor(array) for array in arrays)
    wanted = numpy_function(*arrays)
    same(sign(x, y), wanted)
    same(getattr(narae, name)(x, y), wanted)
    same(getattr(x, name)(y), wanted)


@given(arrays=pairs(np.int64))
@settings(max_examples=30)
def test_arithmetic_of_integers(arrays):
    """D1: integers stay integers, except that division gives floats."""
    x, y = (narae.tensor(array) for array in arrays)
    for name in ("add", "sub", "mul"):
        sign, numpy_function = ARITHMETIC[name]
        same(sign(x, y), numpy_function(*arrays))
    assert (x / y).dtype is narae.float32
    np.testing.assert_allclose((x / y).numpy(), np.divide(*arrays), rtol=1e-6)


@pytest.mark.parametrize("name", COMPARISONS)
@given(arrays=pairs())
@settings(max_examples=25)
def test_comparisons(name, arrays):
    """D2 comparisons → Boolean [비교연산]: works means "same"; a comparison selects, too."""
    sign, numpy_function = COMPARISONS[name]
    x, y = (narae.tensor(array) for array in arrays)
    found, wanted = sign(x, y), numpy_function(*arrays)
    same(found, wanted)
    assert found.dtype is narae.bool
    wide = np.broadcast_to(arrays[0], wanted.shape)
    same(x.expand(wanted.shape)[found], wide[wanted])


# --- D3, D4 -----------------------------------------------------------------------------------
@given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), value=NUMBERS)
@settings(max_examples=30)
def test_arrays_from_nothing(shape, value):
    """D3 array, zeros, ones, full, eye, empty, *_like: works means "same"."""
    kind = {"dtype": narae.float64}
    same(narae.zeros(shape, **kind), np.zeros(shape))
    same(narae.ones(shape, **kind), np.ones(shape))
    same(narae.full(shape, value, **kind), np.full(shape, value))
    like = narae.full(shape, value, **kind)
    same(narae.zeros_like(like), np.zeros(shape))
    same(narae.ones_like(like), np.ones(shape))
    same(narae.full_like(like, 3), np.full(shape, 3.0))
    for empty in (narae.empty(shape, **kind), narae.empty_like(like)):
        assert (tuple(empty.shape), empty.dtype) == (shape, narae.float64)


@given(rows=st.integers(0, 5), columns=st.one_of(st.none(), st.integers(0, 5)))
@settings(max_examples=20)
def test_identity_matrices(rows, columns):
    """D3: eye, square or not."""
    found = narae.eye(rows, dtype=narae.int64) if columns is None else (
        narae.eye(rows, columns, dtype=narae.int64)
    )  # fmt: skip
    same(found, np.eye(rows, columns, dtype=np.int64))


@pytest.mark.parametrize("data", [5, 2.5, [1, 2], [[1.5, 2.0], [3.0, 4.0]], [[True], [False]], []])
def test_arrays_from_lists(data):
    """D3: nested lists become arrays of their shape; numbers become float32, int64, bool."""
    found, wanted = narae.tensor(data), np.array(data)
    assert tuple(found.shape) == wanted.shape
    assert found.tolist() == wanted.tolist()
    assert found.dtype.name == {"f": "float32", "i": "int64", "b": "bool"}[wanted.dtype.kind]


@given(start=NUMBERS, stop=NUMBERS, steps=st.integers(0, 12))
@settings(max_examples=40)
def test_linspace(start, stop, steps):
    """D4 linspace, with endpoint and retstep: works means "torch/NumPy equality"."""
    found = narae.linspace(start, stop, steps, dtype=narae.float64)
    wanted, distance = np.linspace(start, stop, steps, retstep=True)
    same(found, wanted)
    if steps > 1:  # what NumPy calls retstep
        np.testing.assert_allclose((found[1] - found[0]).item(), distance, atol=1e-14)
    options = {"endpoint": False, "dtype": narae.float64}
    open_end = narae.array_api.linspace(start, stop, steps, **options)
    np.testing.assert_allclose(
        open_end.numpy(), np.linspace(start, stop, steps, endpoint=False), atol=1e-13
    )


@given(start=st.integers(-9, 9), count=st.integers(0, 9), step=st.sampled_from([-2, -1, 1, 3]))
@settings(max_examples=40)
def test_arange_of_integers(start, count, step):
    """D4 arange: start, stop and step."""
    stop = start + count * step
    same(narae.arange(start, stop, step), np.arange(start, stop, step))
    same(narae.arange(count), np.arange(count))


@given(start=NUMBERS, count=st.integers(0, 9), step=st.sampled_from([0.5, 0.25, -0.75, 0.1]))
@settings(max_examples=40)
def test_arange_of_floats(start, count, step):
    """D4 arange: steps that are no integers; the stop is left out."""
    stop = start + (count - 0.5) * step if count else start
    found = narae.arange(start, stop, step, dtype=narae.float64)
    assert found.numel() == count
    np.testing.assert_allclose(found.numpy(), np.arange(start, stop, step), rtol=1e-14, atol=1e-14)


@given(
    start=st.integers(-3, 3), stop=st.integers(-3, 3), steps=st.integers(0, 6),
    base=st.sampled_from([2.0, 10.0, 0.5, np.e]),
)  # fmt: skip
@settings(max_examples=30)
def test_logspace(start, stop, steps, base):
    """D4 logspace, with its base."""
    found = narae.logspace(start, stop, steps, base, dtype=narae.float64)
    np.testing.assert_allclose(
        found.numpy(), np.logspace(start, stop, steps, base=base), rtol=1e-13
    )


# --- D5 ---------------------------------------------------------------------------------------
COUNT = 40_000
DRAWS = {
    "rand": (lambda: narae.rand(COUNT), 1 / 2, (1 / 12) ** 0.5),
    "randn": (lambda: narae.randn(COUNT), 0.0, 1.0),
    "normal": (lambda: narae.normal(3.0, 2.0, (COUNT,)), 3.0, 2.0),
    "randint": (lambda: narae.randint(2, 8, (COUNT,)), 4.5, (35 / 12) ** 0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_moments_of_random_numbers(name):
    """D5 random normal, rand, randn, randint: works means "moments test"."""
    draw, mean, deviation = DRAWS[name]
    narae.manual_seed(100)
    found = draw().numpy().astype(np.float64)
    assert abs(found.mean() - mean) < 5 * deviation / COUNT**0.5
    assert abs(found.std() - deviation) < 0.03 * deviation
    if name == "randint":
        assert np.array_equal(np.unique(found), np.arange(2, 8))
    if name in ("randn", "normal"):  # skewness and kurtosis of a normal distribution
        z = (found - mean) / deviation
        assert abs((z**3).mean()) < 0.1
        assert abs((z**4).mean() - 3) < 0.2


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_same_numbers(name):
    """D5 seed(100): works means "same seed ⇒ same numbers"; another seed gives others."""
    draw = DRAWS[name][0]
    narae.manual_seed(100)
    first, later = draw(), draw()
    narae.manual_seed(100)
    assert narae.equal(draw(), first)
    assert not narae.equal(first, later)
    narae.manual_seed(101)
    assert not narae.equal(draw(), first)


# --- D6 ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ARITHMETIC)
@given(array=hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=3), elements=NUMBERS),
       number=st.one_of(st.integers(1, 5), st.sampled_from([0.5, -2.5])))  # fmt: skip
@settings(max_examples=25)
def test_broadcasting_with_a_scalar(name, array, number):
    """D6 broadcasting with a scalar [브로드캐스트]: works means "property test vs NumPy"."""
    sign, numpy_function = ARITHMETIC[name]
    same(sign(narae.tensor(array), number), numpy_function(array, number))
    same(sign(number, narae.tensor(array)), numpy_function(number, array))
    same(sign(narae.tensor(array), narae.tensor(float(number), dtype=narae.float64)),
         numpy_function(array, float(number)))  # fmt: skip


@given(arrays=pairs())
@settings(max_examples=40)
def test_gradients_of_broadcast_operands_are_summed_back(arrays):
    """D6: "gradient un-broadcasts": each operand gets a gradient of its own shape."""
    x, y = (narae.tensor(array, requires_grad=True) for array in arrays)
    (x * y).sum().backward()
    wide = np.broadcast_shapes(*(array.shape for array in arrays))
    for leaf, other in ((x, arrays[1]), (y, arrays[0])):
        whole = np.broadcast_to(other, wide)
        extra = len(wide) - leaf.ndim
        sizes = [(dim, leaf.shape[dim - extra] if dim >= extra else 1) for dim in range(len(wide))]
        repeated = [dim for dim, size in sizes if dim < extra or size == 1 != wide[dim]]
        wanted = whole.sum(tuple(repeated), keepdims=True).reshape(tuple(leaf.shape))
        assert leaf.grad.shape == leaf.shape
        np.testing.assert_allclose(leaf.grad.numpy(), wanted, atol=1e-9)


# --- D7 ---------------------------------------------------------------------------------------
@given(shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
@settings(max_examples=40)
def test_dimensions_shapes_and_flattening(shape):
    """D7 vector/matrix/tensor, ndim, shape, reshape, flatten: works means "equality"."""
    array = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
    x = narae.tensor(array)
    assert (x.ndim, tuple(x.shape), x.numel()) == (array.ndim, array.shape, array.size)
    same(x.flatten(), array.flatten())
    same(x.reshape(shape[::-1]), array.reshape(shape[::-1]))
    same(x.T if x.ndim != 1 else x, array.T)
    if array.size:
        same(x.reshape(-1, 1), array.reshape(-1, 1))
        same(x.reshape(1, -1), array.reshape(1, -1))


@given(data=st.data())
@settings(max_examples=30)
def test_reshape_keeps_the_gradient(data):
    """D7: "reshape keeps grad": every element's gradient returns to its place."""
    sizes = data.draw(st.permutations([2, 3, 4]))
    x = narae.randn(2, 3, 4, dtype=narae.float64, requires_grad=True)
    weights = narae.randn(sizes, dtype=narae.float64)
    (x.reshape(sizes) * weights).sum().backward()
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(x.grad.numpy(), weights.numpy().reshape(2, 3, 4))


# --- D8 ---------------------------------------------------------------------------------------
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@given(batch=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_three_layers_are_matrix_products(batch, seed):
    """D8 matrix product as the NN [행렬의 곱], x·W+b then activation.

    Works means "3-layer forward equals NumPy".
    """
    draws = np.random.default_rng(seed)
    sizes = [2, 3, 2, 2]
    weights = [draws.normal(size=pair) for pair in itertools.pairwise(sizes)]
    biases = [draws.normal(size=size) for size in sizes[1:]]
    x = draws.normal(size=(batch, 2))
    out, wanted = narae.tensor(x), x
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        out, wanted = out @ narae.tensor(w) + narae.tensor(b), wanted @ w + b
        if layer < 2:
            out, wanted = narae.sigmoid(out), sigmoid(wanted)
    assert out.shape == (batch, 2)
    np.testing.assert_allclose(out.numpy(), wanted, rtol=1e-12)


def test_inner_sizes_must_agree():
    """D8: a product that does not fit is refused with both shapes in the message."""
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 3\)"):
        narae.ones(2, 3) @ narae.ones(2, 3)
