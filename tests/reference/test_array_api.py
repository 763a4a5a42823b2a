"""The array API standard: Narae's namespace gives what the consortium's reference gives (D1–D4).

`array_api_strict` accepts only what the standard defines; whatever it accepts, `narae.array_api`
must accept, too, and give the same dtype, shape and numbers. D1 "array-api-tests subset": these
functions over all dtypes, broadcasting shapes, special values, 0-d and empty arrays.
"""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import narae

strict = pytest.importorskip("array_api_strict")
compat = pytest.importorskip("array_api_compat")
extra = pytest.importorskip("array_api_extra")

xp = narae.array_api
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
         "float32", "float64")  # fmt: skip
FLOATS = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.75, 7.0, 1e-3, 20.0, np.inf, -np.inf, np.nan]
)


def elements_of(name, low=-7, special=True):
    if name == "bool":
        return st.booleans()
    if name.startswith("float"):
        return FLOATS if special else st.integers(-8, 8).map(lambda n: n / 2)
    return st.integers(0 if name.startswith("u") else low, 9)


@st.composite
def arrays(draw, name, shape=None, **limits):
    if shape is None:
        shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    return draw(hnp.arrays(name, shape, elements=elements_of(name, **limits)))


@st.composite
def pairs(draw, first, second, **limits):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    drawn = [draw(arrays(name, shape, **limits)) for name, shape in
             zip((first, second), shapes.input_shapes, strict=True)]  # fmt: skip
    return tuple(drawn)


def expected_of(call, *arrays, **options):
    """The reference's answer; None where the standard defines none."""
    with np.errstate(all="ignore"):
        try:
            return call(strict, *[strict.asarray(x) for x in arrays], **options)
        except TypeError:
            return None


def ours(call, *arrays, **options):
    return call(xp, *[xp.asarray(x.copy()) for x in arrays], **options)


def compare(found, wanted):
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            compare(one, other)
        return
    wanted = np.asarray(wanted._array) if hasattr(wanted, "_array") else np.asarray(wanted)
    assert found.dtype.name == wanted.dtype.name
    assert tuple(found.shape) == wanted.shape
    tolerance = {"float32": 2e-6, "float64": 1e-14}.get(wanted.dtype.name, 0)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=tolerance, atol=tolerance / 4)


def agree(call, *arrays, **options):
    wanted = expected_of(call, *arrays, **options)
    if wanted is not None:
        compare(ours(call, *arrays, **options), wanted)
    return wanted is not None


def by_name(name):
    return lambda space, *operands, **options: getattr(space, name)(*operands, **options)


# --- one element, or one pair, at a time ------------------------------------------------------
UNARY = ("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil",
         "cos", "cosh", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log10",
         "log1p", "log2", "logical_not", "negative", "positive", "reciprocal", "round", "sign",
         "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc")  # fmt: skip
ARITHMETIC = ("add", "subtract", "multiply", "divide")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
               "logical_and", "logical_or", "logical_xor")  # fmt: skip
BINARY = ("atan2", "bitwise_and", "bitwise_or", "bitwise_xor", "copysign", "hypot", "logaddexp",
          "maximum", "minimum")  # fmt: skip
# Division by zero of integers, and negative powers and shifts, are left open by the standard.
POSITIVE = ("bitwise_left_shift", "bitwise_right_shift", "floor_divide", "pow", "remainder")


@given(name=st.sampled_from(UNARY), data=st.data())
@settings(max_examples=150)
def test_functions_of_one_array(name, data):
    kind = data.draw(st.sampled_from(NAMES))
    low = 0 if name in ("abs", "negative") else -7
    agree(by_name(name), data.draw(arrays(kind, low=low)))


@pytest.mark.parametrize("name", UNARY)
def test_every_dtype_of_the_standard_is_tried(name):
    """What one random run leaves out: one array of each dtype."""
    tried = [agree(by_name(name), np.ones((2, 1), kind)) for kind in NAMES]
    assert any(tried)


def check_pairs(name, data, **limits):
    first = data.draw(st.sampled_from(NAMES))
    second = data.draw(st.sampled_from(NAMES))
    x, y = data.draw(pairs(first, second, **limits))
    agree(by_name(name), x, y)


@pytest.mark.parametrize("name", ARITHMETIC)
@given(data=st.data())
@settings(max_examples=25)
def test_arithmetic(name, data):
    """D1 add/subtract/multiply/divide, elementwise: works means "array-api-tests subset"."""
    check_pairs(name, data)


@pytest.mark.parametrize("kind", NAMES[1:])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_every_dtype(name, kind):
    """D1: every numeric dtype, where the standard defines the operation."""
    x, y = np.array([[7], [4]], kind), np.array([1, 2, 3], kind)
    defined = agree(by_name(name), x, y)
    assert defined or name == "divide"


@given(name=st.sampled_from(COMPARISONS), data=st.data())
@settings(max_examples=60)
def test_comparisons_give_bools(name, data):
    """D2 comparisons → Boolean [비교연산]: works means "same" as D1, the array-api-tests subset."""
    check_pairs(name, data)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_of_every_dtype(name):
    """D2: the result is bool for every dtype that can be compared."""
    kinds = ("bool",) if name.startswith("logical") else NAMES[1:]
    for kind in kinds:
        x, y = np.array([0, 1, 1], kind), np.array([1, 1, 0], kind)
        assert agree(by_name(name), x, y)


@given(name=st.sampled_from(BINARY), data=st.data())
@settings(max_examples=60)
def test_functions_of_two_arrays(name, data):
    check_pairs(name, data)


@given(name=st.sampled_from(POSITIVE), data=st.data())
@settings(max_examples=40)
def test_division_powers_and_shifts(name, data):
    kind = data.draw(st.sampled_from(NAMES))
    x, y = data.draw(pairs(kind, kind, low=1, special=False))
    y = np.where(y == 0, np.ones((), kind), np.abs(y) if kind.startswith("float") else y)
    agree(by_name(name), x, np.minimum(y, 5).astype(kind))


@settings(max_examples=20)
@given(x=arrays("float64"), low=st.integers(-3, 0), high=st.integers(0, 3))
def test_clip_and_where(x, low, high):
    agree(lambda space, x: space.clip(x, low, high), x)
    agree(lambda space, x: space.clip(x, max=high), x)
    agree(lambda space, x: space.where(x > 0, x, space.zeros_like(x)), x)


@pytest.mark.parametrize("kind", ["int8", "uint8", "float32"])
def test_a_number_follows_its_array_and_a_0_d_array_counts_by_its_dtype(kind):
    one = np.array(3, kind)
    agree(lambda space, x: space.add(x, 2), one)
    agree(lambda space, x: space.multiply(2, x), one)
    vector, wide = np.ones(2, "float32"), np.array(2.0, "float64")
    assert agree(lambda space, x, y: space.add(x, y), vector, wide)


# --- arrays from nothing ----------------------------------------------------------------------
@pytest.mark.parametrize("kind", [None, *NAMES])
def test_constants_of_a_shape(kind):
    """D3 array, zeros, ones, full, eye, empty, *_like: works means "array-api-tests subset"."""

    def check(call):
        found, wanted = call(xp), call(strict)
        if kind is None and wanted.dtype == strict.float64:
            wanted = strict.astype(wanted, strict.float32)  # the default dtype here is float32
        compare(found, wanted)

    def dtype(space):
        return None if kind is None else getattr(space, kind)

    for shape in ((), (0,), 3, (2, 3)):
        check(lambda space, shape=shape: space.zeros(shape, dtype=dtype(space)))
        check(lambda space, shape=shape: space.ones(shape, dtype=dtype(space)))
        check(lambda space, shape=shape: space.full(shape, 1, dtype=dtype(space)))
        empty = xp.empty(shape, dtype=dtype(xp))
        assert tuple(empty.shape) == (shape if isinstance(shape, tuple) else (shape,))
    for rows, columns, k in ((3, None, 0), (2, 4, 1), (3, 2, -1), (0, 2, 0)):
        check(lambda space, n=rows, m=columns, k=k: space.eye(n, m, k=k, dtype=dtype(space)))
    check(lambda space: space.asarray([[1, 0], [1, 1]], dtype=dtype(space)))
    like = lambda space: space.ones((2, 1), dtype=dtype(space))  # noqa: E731
    for name in ("zeros_like", "ones_like"):
        check(lambda space, name=name: getattr(space, name)(like(space)))
    check(lambda space: space.full_like(like(space), 1))
    assert xp.empty_like(like(xp)).dtype == like(xp).dtype


@settings(max_examples=30)
@given(
    start=st.integers(-9, 9),
    stop=st.integers(-9, 9),
    step=st.sampled_from([-3, -1, 1, 2, 0.5, 0.3]),
)
def test_arange(start, stop, step):
    """D4 linspace, arange, logspace: the standard's `arange`."""
    found = xp.arange(start, stop, step, dtype=xp.float64)
    compare(found, strict.arange(start, stop, step, dtype=strict.float64))
    if isinstance(step, int):
        compare(xp.arange(start, stop, step), strict.arange(start, stop, step))


@settings(max_examples=30)
@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 9), st.booleans())
def test_linspace(start, stop, num, endpoint):
    """D4: the standard's `linspace`, with its `endpoint`."""
    found = xp.linspace(start, stop, num, endpoint=endpoint, dtype=xp.float64)
    wanted = strict.linspace(start, stop, num, endpoint=endpoint, dtype=strict.float64)
    assert tuple(found.shape) == (num,)
    np.testing.assert_allclose(found.numpy(), np.asarray(wanted._array), rtol=1e-13, atol=1e-13)


def test_asarray_shares_or_copies_as_asked():
    array = np.zeros(2)
    shared, copied = xp.asarray(array, copy=False), xp.asarray(array, copy=True)
    array[0] = 5
    assert shared[0] == 5
    assert copied[0] == 0
    with pytest.raises(ValueError, match="copy"):
        xp.asarray(array, dtype=xp.float32, copy=False)
    with pytest.raises(ValueError, match="copy"):
        xp.asarray([1.0], copy=False)
    assert xp.from_dlpack(array).data_ptr() == array.__array_interface__["data"][0]


# --- reductions -------------------------------------------------------------------------------
REDUCTIONS = ("sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "count_nonzero")


@given(name=st.sampled_from(REDUCTIONS), data=st.data())
@settings(max_examples=80)
def test_reductions(name, data):
    kind = data.draw(st.sampled_from(NAMES))
    sides = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
    x = data.draw(arrays(kind, data.draw(sides), special=False))
    places = st.lists(st.integers(-x.ndim, x.ndim - 1), unique_by=lambda d: d % x.ndim)
    drawn = data.draw(st.one_of(st.none(), places.map(tuple))) if x.ndim else None
    keepdims = data.draw(st.booleans())
    agree(by_name(name), x, axis=drawn, keepdims=keepdims)


@pytest.mark.parametrize("kind", NAMES)
def test_sums_have_at_least_64_bits(kind):
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        agree(by_name(name), np.array([1, 0, 1], kind))


@given(data=st.data())
@settings(max_examples=20)
def test_running_totals_and_differences(data):
    x = data.draw(arrays(data.draw(st.sampled_from(NAMES[1:])), (2, 3), special=False, low=0))
    axis, initial = data.draw(st.sampled_from([0, 1, -1])), data.draw(st.booleans())
    for name in ("cumulative_sum", "cumulative_prod"):
        assert agree(by_name(name), x, axis=axis, include_initial=initial)
    assert agree(lambda space, x: space.diff(x, axis=axis, n=1), x)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@given(data=st.data())
@settings(max_examples=20)
def test_positions_of_extremes(name, data):
    x = data.draw(arrays("float64", (2, 3)))
    axis = data.draw(st.sampled_from([None, 0, 1, -1]))
    assert agree(by_name(name), x, axis=axis, keepdims=data.draw(st.booleans()))


def test_nan_wins_and_correction_counts():
    x = np.array([1.0, np.nan, 3.0])
    assert agree(by_name("max"), x)
    assert agree(by_name("min"), x)
    assert agree(by_name("var"), np.arange(6.0).reshape(2, 3), axis=1, correction=1.0)
    assert xp.std(xp.asarray([1.0, 3.0])).item() == 1.0  # correction is 0 unless given


# --- moving elements --------------------------------------------------------------------------
X = np.arange(24).reshape(2, 3, 4)
MOVES = {
    "broadcast_to": lambda space, x: space.broadcast_to(x[:, :1, :], (5, 2, 3, 4)),
    "broadcast_arrays": lambda space, x: space.broadcast_arrays(x, x[0, :1, :]),
    "concat": lambda space, x: space.concat([x, x], axis=1),
    "concat flat": lambda space, x: space.concat([x, x[0, ...]], axis=None),
    "expand_dims": lambda space, x: space.expand_dims(x, axis=-1),
    "flip": lambda space, x: space.flip(x, axis=(0, -1)),
    "flip all": lambda space, x: space.flip(x),
    "matrix_transpose": lambda space, x: space.matrix_transpose(x),
    "moveaxis": lambda space, x: space.moveaxis(x, (0, 1), (-1, 0)),
    "permute_dims": lambda space, x: space.permute_dims(x, (2, 0, 1)),
    "repeat": lambda space, x: space.repeat(x, 2, axis=1),
    "repeat each": lambda space, x: space.repeat(x, space.asarray([0, 2, 1]), axis=1),
    "reshape": lambda space, x: space.reshape(x, (4, -1)),
    "roll": lambda space, x: space.roll(x, 2),
    "roll some": lambda space, x: space.roll(x, (1, -1), axis=(0, 2)),
    "roll one": lambda space, x: space.roll(x, 1, axis=(0, 2)),
    "squeeze": lambda space, x: space.squeeze(x[:1, :, :1], (0, 2)),
    "stack": lambda space, x: space.stack([x, x], axis=-1),
    "take": lambda space, x: space.take(x, space.asarray([2, 0]), axis=1),
    "take_along_axis": lambda space, x: space.take_along_axis(
        x, space.zeros((2, 3, 2), dtype=space.int64), axis=-1
    ),
    "tile": lambda space, x: space.tile(x, (2, 1, 1, 3)),
    "tril": lambda space, x: space.tril(x, k=1),
    "triu": lambda space, x: space.triu(x, k=-1),
    "unstack": lambda space, x: space.unstack(x, axis=2),
    "meshgrid": lambda space, x: space.meshgrid(x[0, 0, :], x[0, :, 0]),
    "meshgrid ij": lambda space, x: space.meshgrid(x[0, 0, :], x[0, :, 0], indexing="ij"),
    "mask": lambda space, x: x[x > 5],
    "slices": lambda space, x: x[..., ::-1][1:, None, :, 0] if space is strict else (
        space.flip(x, axis=-1)[1:, None, :, 0]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moving_elements(name):
    assert agree(MOVES[name], X)
    assert agree(MOVES[name], X.astype("float32"))


@given(data=st.data())
@settings(max_examples=15)
def test_sorting_searching_and_sets(data):
    kind = data.draw(st.sampled_from(("int16", "uint8", "float64")))
    x = data.draw(arrays(kind, (2, 4), special=False))
    for axis in (0, -1):
        for descending in (False, True):
            assert agree(by_name("sort"), x, axis=axis, descending=descending)
            assert agree(by_name("argsort"), x, axis=axis, descending=descending)
    assert agree(by_name("nonzero"), x)
    for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
        assert agree(by_name(name), x)
    row = np.sort(x[0])
    for side in ("left", "right"):
        assert agree(lambda space, x, y, side=side: space.searchsorted(x, y, side=side), row, x)


def test_named_results_and_nan_in_sets():
    found = xp.unique_all(xp.asarray([1.0, np.nan, 1.0, np.nan]))
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    assert found.counts.tolist() == [2, 1, 1]


@pytest.mark.parametrize("kind", ["int32", "float32", "float64"])
def test_products_of_matrices(kind):
    x, y = np.arange(12).reshape(2, 2, 3).astype(kind), np.arange(6).reshape(3, 2).astype(kind)
    assert agree(by_name("matmul"), x, y)
    assert agree(lambda space, x, y: space.tensordot(x, y, axes=1), x, y)
    assert agree(lambda space, x, y: space.tensordot(x, y, axes=((2, 1), (0, 1))), x, y)
    assert agree(lambda space, x: space.vecdot(x, x), x)
    assert agree(lambda space, x: space.vecdot(x, x, axis=-3), x)


RANDOM = np.random.default_rng(0).normal(size=(2, 3, 3))
LINALG = {
    "cholesky": lambda linalg, x, y: linalg.cholesky(y),
    "cholesky upper": lambda linalg, x, y: linalg.cholesky(y, upper=True),
    "cross": lambda linalg, x, y: linalg.cross(x, y, axis=-2),
    "det": lambda linalg, x, y: linalg.det(x),
    "diagonal": lambda linalg, x, y: linalg.diagonal(x, offset=1),
    "eigvalsh": lambda linalg, x, y: linalg.eigvalsh(y),
    "inv": lambda linalg, x, y: linalg.inv(x),
    "matrix_norm": lambda linalg, x, y: linalg.matrix_norm(x),
    "matrix_norm nuc": lambda linalg, x, y: linalg.matrix_norm(x, ord="nuc", keepdims=True),
    "matrix_power": lambda linalg, x, y: linalg.matrix_power(x, -2),
    "matrix_rank": lambda linalg, x, y: linalg.matrix_rank(x),
    "outer": lambda linalg, x, y: linalg.outer(x[0, 0, :], y[0, 0, :2]),
    "pinv": lambda linalg, x, y: linalg.pinv(x[:, :, :2]),
    "slogdet": lambda linalg, x, y: linalg.slogdet(x),
    "solve": lambda linalg, x, y: linalg.solve(x, y),
    "solve one matrix": lambda linalg, x, y: linalg.solve(x, y[0, :, :]),
    "solve a vector": lambda linalg, x, y: linalg.solve(x, y[0, 0, :]),
    "svdvals": lambda linalg, x, y: linalg.svdvals(x),
    "trace": lambda linalg, x, y: linalg.trace(x, offset=-1),
    "vector_norm": lambda linalg, x, y: linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True),
    "vector_norm all": lambda linalg, x, y: linalg.vector_norm(x),
}


@pytest.mark.parametrize("name", LINALG)
def test_linear_algebra(name):
    symmetric = RANDOM @ RANDOM.mT + np.eye(3)
    wanted = LINALG[name](strict.linalg, strict.asarray(RANDOM), strict.asarray(symmetric))
    found = LINALG[name](xp.linalg, xp.asarray(RANDOM), xp.asarray(symmetric))
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    for one, other in pairs:
        assert one.dtype.name == str(other.dtype).rpartition(".")[2]
        assert tuple(one.shape) == other.shape
        np.testing.assert_allclose(one.numpy(), np.asarray(other._array), rtol=1e-11, atol=1e-12)


def test_decompositions_have_the_standards_fields():
    x = xp.asarray(RANDOM)
    symmetric = x @ x.mT
    for name, fields, back in (
        ("eigh", ("eigenvalues", "eigenvectors"), lambda r: r[1] * r[0][:, None, :] @ r[1].mT),
        ("qr", ("Q", "R"), lambda r: r[0] @ r[1]),
        ("svd", ("U", "S", "Vh"), lambda r: r[0] * r[1][:, None, :] @ r[2]),
    ):
        given = symmetric if name == "eigh" else x
        found = getattr(xp.linalg, name)(given)
        assert found._fields == fields
        np.testing.assert_allclose(back(found).numpy(), given.numpy(), atol=1e-12)


# --- dtypes and the namespace -----------------------------------------------------------------
@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_promotion(first, second):
    one, other = getattr(xp, first), getattr(xp, second)
    try:
        wanted = strict.result_type(getattr(strict, first), getattr(strict, second))
    except TypeError:
        return
    assert xp.result_type(one, other).name == str(wanted).rpartition(".")[2]
    assert xp.result_type(xp.ones(2, dtype=one), other) is xp.result_type(one, other)
    castable = strict.can_cast(getattr(strict, first), getattr(strict, second))
    assert xp.can_cast(one, other) == castable


@pytest.mark.parametrize("kind", NAMES)
def test_limits_and_kinds(kind):
    mine, theirs = getattr(xp, kind), getattr(strict, kind)
    for word in ("bool", "signed integer", "unsigned integer", "integral", "real floating",
                 "complex floating", "numeric"):  # fmt: skip
        assert xp.isdtype(mine, word) == strict.isdtype(theirs, word)
    assert xp.isdtype(mine, (mine, "bool"))
    if kind.startswith("float"):
        found, wanted = xp.finfo(mine), strict.finfo(theirs)
        for word in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(found, word) == float(getattr(wanted, word))
        assert found.dtype is mine
    elif kind != "bool":
        found, wanted = xp.iinfo(mine), strict.iinfo(theirs)
        assert (found.bits, found.max, found.min) == (wanted.bits, wanted.max, wanted.min)


def test_what_the_namespace_says_of_itself():
    info = xp.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] is True
    assert set(info.dtypes()) == set(NAMES)
    assert set(info.dtypes(kind="integral")) == set(NAMES[1:9])
    assert info.default_dtypes()["real floating"] is narae.float32
    assert info.devices() == [info.default_device()]
    assert xp.__array_api_version__ == "2024.12"


def test_every_function_of_the_standard_is_there_with_its_parameters():
    """D1: names and parameters (of what is not complex) are those of the reference."""
    missing, differing = [], []
    later = {"broadcast_shapes", "isin"}  # of the version after 2024.12
    functions = {name for name in strict.__all__ if inspect.isfunction(getattr(strict, name))}
    for name in sorted(functions - later):
        if "flags" in name or name.startswith(("__", "set_")):
            continue
        if not hasattr(xp, name):
            missing.append(name)
            continue
        wanted = inspect.signature(getattr(strict, name)).parameters
        found = inspect.signature(getattr(xp, name)).parameters
        named = [p for p, x in wanted.items() if x.kind is x.KEYWORD_ONLY and p != "stream"]
        differing += [f"{name}({p}=)" for p in named if p not in found]
    assert missing == []
    assert differing == []


def test_a_tensor_leads_to_its_namespace():
    x = narae.ones(2, 3)
    assert compat.array_namespace(x) is x.__array_namespace__(api_version="2024.12")
    assert compat.is_array_api_obj(x)
    assert compat.size(x) == 6
    assert compat.device(x) == narae.device("cpu")
    assert x.to_device(x.device) is x
    with pytest.raises(NotImplementedError, match="2099"):
        x.__array_namespace__(api_version="2099.12")
    with pytest.raises(RuntimeError, match="cuda"):
        x.to_device("cuda")


# --- gradients and compiled steps -------------------------------------------------------------
def normalised(x):
    """Written against the standard alone."""
    space = compat.array_namespace(x)
    centred = x - space.mean(x, axis=-1, keepdims=True)
    return centred / space.sqrt(space.mean(space.square(centred), axis=-1, keepdims=True) + 1e-5)


def test_gradients_flow_through_code_written_for_the_standard():
    x = narae.randn(3, 5, dtype=narae.float64, requires_grad=True)
    assert narae.autograd.gradcheck(normalised, (x,))
    wanted = narae.nn.functional.layer_norm(x, (5,))
    assert narae.allclose(normalised(x), wanted)


def test_code_written_for_the_standard_compiles():
    x = narae.arange(12.0).reshape(3, 4)
    step = narae.compile(lambda x: normalised(x))
    assert step(x).tolist() == normalised(x).tolist()


# --- other people's code ----------------------------------------------------------------------
def test_array_api_extra_runs_on_tensors():
    x = narae.tensor([[1.0, 2.0, 4.0], [3.0, 5.0, 1.0]], dtype=narae.float64)
    array = x.numpy()
    np.testing.assert_allclose(extra.cov(x).numpy(), np.cov(array))
    np.testing.assert_allclose(extra.kron(x, x).numpy(), np.kron(array, array))
    padded = extra.pad(x, 1, constant_values=7.0)
    np.testing.assert_array_equal(padded.numpy(), np.pad(array, 1, constant_values=7.0))
    np.testing.assert_allclose(extra.sinc(x / 3).numpy(), np.sinc(array / 3))
    assert extra.nunique(narae.tensor([3, 1, 3])) == 2
    np.testing.assert_array_equal(extra.one_hot(narae.tensor([2, 0]), 3).numpy(), np.eye(3)[[2, 0]])
    diagonal = extra.create_diagonal(x[0])
    np.testing.assert_array_equal(diagonal.numpy(), np.diag(array[0]))
    assert extra.atleast_nd(x, ndim=4).shape == (1, 1, 2, 3)


SKLEARN = """
import narae, numpy, sklearn
from sklearn import metrics, preprocessing

target, guess = narae.tensor([0, 1, 2, 2]), narae.tensor([0, 2, 2, 2])
x = narae.tensor([[1.0, 10.0], [3.0, 30.0], [5.0, 20.0]], dtype=narae.float64)
with sklearn.config_context(array_api_dispatch=True):
    print(metrics.accuracy_score(target, guess))
    scaled = preprocessing.StandardScaler().fit_transform(x)
assert isinstance(scaled, narae.Tensor)
wanted = preprocessing.StandardScaler().fit_transform(x.numpy())
numpy.testing.assert_allclose(scaled.numpy(), wanted)
"""


@pytest.mark.slow
def test_scikit_learn_runs_on_tensors():
    """A metric and a scaler of scikit-learn, unmodified, with array API dispatch switched on."""
    pytest.importorskip("sklearn")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}  # read when SciPy is imported
    command = [sys.executable, "-c", SKLEARN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0.75\n"
