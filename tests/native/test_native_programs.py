"""Random programs, and programs that were once wrong, on the native executor.

Planted faults that it has seen: rows that a window reads twice taken for rows in order; fusing
into a group that something in between waits for; no way out where loops do not fit together; an
index that is a member of its group; strides of borders along sizes of 1 taken for 0.
"""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings
from hypothesis import strategies as st

from narae import primitives as p
from narae.ir import trace
from tests.native.native_checks import (
    LOOSE,
    check_program,
    expected,
    native_runner,
)
from tests.native.program_making import Making, with_gradients

LARGE = {"sizes": (1, 4, 32, 64, 96, 100), "most": 100_000}


SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(1, 14)


def check_random(seed, length, dtype, gradients=False, **options) -> None:
    """A walk of so many steps; a failure is reported with the shortest that fails."""
    random = np.random.default_rng(seed)
    made = Making(lambda n: int(random.integers(n)), dtype, **options)
    program, arrays = made.program(length)
    check_program(with_gradients(program) if gradients else program, arrays, LOOSE)


@settings(max_examples=100)
@given(SEEDS, LENGTHS)
def test_random_programs(seed, length):
    check_random(seed, length, "float64")


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 8))
def test_gradients_of_random_programs(seed, length):
    check_random(seed, length, "float32", gradients=True)


@settings(max_examples=25)
@given(SEEDS, LENGTHS)
def test_large_random_programs(seed, length):
    """Large enough to be cut into pieces, which chains pass on to each other."""
    check_random(seed, length, "float64", **LARGE)


@pytest.mark.slow
@settings(max_examples=400)
@given(SEEDS, LENGTHS, st.sampled_from(["float64", "float32", "bfloat16"]))
def test_many_random_programs(seed, length, dtype):
    check_random(seed, length, dtype)


@pytest.mark.slow
@settings(max_examples=200)
@given(SEEDS, LENGTHS)
def test_gradients_of_many_random_programs(seed, length):
    check_random(seed, length, "float64", gradients=True)


@pytest.mark.slow
@settings(max_examples=100)
@given(SEEDS, LENGTHS)
def test_many_large_random_programs(seed, length):
    check_random(seed, length, "float32", **LARGE)


# --- programs that say one thing each ---------------------------------------------------------


def turned(x, rows):
    """The transpose of x as `rows` rows, flattened."""
    size = x.size
    matrix = p.reshape(x, shape=(rows, size // rows))
    return p.reshape(p.permute(matrix, dims=(1, 0)), shape=(size,))


def _two_foldings(x, y):
    """No loops fit a matrix of (2, 3) and one of (3, 2) at once."""
    return p.add(turned(x, 2), turned(y, 3)), p.mul(turned(p.exp(x), 3), turned(y, 2))


def _foldings_in_a_group(x, y):
    a = p.exp(p.add(x, y))
    return p.add(turned(a, 2), turned(p.neg(y), 3)), p.add(turned(a, 3), a)


def _cut_through_factors(x, y):
    a = p.slice_(turned(x, 2), start=(1,), stop=(5,), step=(1,))
    b = p.slice_(turned(p.mul(y, y), 3), start=(0,), stop=(6,), step=(4,))
    return (
        p.exp(a),
        b,
        p.reshape(p.sum_(p.reshape(a, shape=(2, 2)), dim=(0,), keepdim=False), shape=(2,)),
    )


def _rows_out_of_order(x, y):
    """One value for each row, read backwards, in overlapping windows, and twice."""
    square = p.reshape(p.concat(x, y, x, y, x, y, dim=0), shape=(6, 6))
    rows = p.amax(square, dim=(1,), keepdim=False)
    seen = p.windows(rows, dim=0, size=3, step=2)
    wide = p.expand(p.reshape(rows, shape=(6, 1)), shape=(6, 6))
    return p.neg(p.flip(rows, dim=(0,))), p.neg(seen), p.sub(p.flip(wide, dim=(0,)), square)


def _constants(x, y):
    table = np.arange(12.0).reshape(6, 2)
    places = np.array([[0, 5], [3, 3]])
    return (
        p.mul(x, table[:, 1]),
        p.take(x, places, dim=0),
        p.matmul(p.reshape(x, shape=(1, 6)), table),
        p.take(table, p.argmax(p.reshape(y, shape=(2, 3)), dim=(1,), keepdim=False), dim=0),
    )


def _computed_places(x, y):
    """An index that is computed along another dimension than broadcasting says."""
    matrix = p.reshape(p.concat(x, y, dim=0), shape=(4, 3))
    places = p.argmax(matrix, dim=(1,), keepdim=False)  # (4,)
    rows = p.take(p.exp(matrix), places, dim=0)  # (4, 3)
    square = p.take(p.mul(p.reshape(x, shape=(3, 2)), 2.0), places, dim=0)
    column = p.reshape(places, shape=(4, 1))
    return rows, square, p.gather(p.tanh(matrix), column, dim=1), p.take(x, places, dim=0)


def _waiting_in_between(x, y):
    """The last product cannot be computed with `d`: its `b` needs `a`, whose group needs `d`."""
    left, right = p.reshape(x, shape=(2, 3)), p.reshape(y, shape=(3, 2))
    a = p.exp(left)
    b = p.matmul(a, right)
    d = p.exp(p.matmul(left, right))
    corner = p.slice_(d, start=(0, 0), stop=(1, 1), step=(1, 1))
    e = p.add(a, p.expand(corner, shape=(2, 3)))
    return e, p.mul(d, b)


def _nothing_to_reduce(x, y):
    return p.sum_(x, dim=(), keepdim=False), p.amax(
        p.reshape(y, shape=(1, 6)), dim=(0,), keepdim=True
    )


def _first_of_equals(x, y):
    matrix = p.permute(p.reshape(p.floor(p.concat(x, y, dim=0)), shape=(3, 4)), dims=(1, 0))
    return tuple(
        kind(matrix, dim=dim, keepdim=False)
        for kind in (p.argmax, p.argmin)
        for dim in ((0,), (1,), (0, 1))
    )


SPECIAL = [
    _two_foldings,
    _foldings_in_a_group,
    _cut_through_factors,
    _rows_out_of_order,
    _constants,
    _computed_places,
    _waiting_in_between,
    _nothing_to_reduce,
    _first_of_equals,
]


@pytest.mark.parametrize("function", SPECIAL)
def test_special(function):
    x, y = np.random.default_rng(3).normal(size=(2, 6))
    check_program(trace(function, [x, y]), [x, y], LOOSE)


POOLS = [
    {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)},
    {"kernel": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)},
    {"kernel": (3, 2), "stride": (1, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 2)},
]
ALONE = {"kernel": (2, 2), "stride": (3, 2), "padding": ((0, 3), (0, 2)), "dilation": (1, 1)}


@pytest.mark.parametrize("attrs", POOLS)
def test_which_of_equals_and_of_nans_a_window_chooses(attrs):
    random = np.random.default_rng(0)
    x = random.integers(-3, 3, (2, 3, 9, 10)).astype(np.float32)
    x[random.random(x.shape) < 0.2] = np.nan
    x[random.random(x.shape) < 0.2] = -np.inf

    def step(x, grad):
        out, places = p.max_pool(x, **attrs)
        return out, places, p.max_pool_grad(grad, places, x_shape=tuple(x.shape))

    out = expected(trace(lambda x: p.max_pool(x, **attrs), [x]), [x])[0]
    grad = random.normal(size=out.shape).astype(np.float32)
    check_program(trace(step, [x, grad]), [x, grad])


def test_windows_in_the_padding_alone():
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 10)).astype(np.float32)
    check_program(trace(lambda x: p.max_pool(x, **ALONE), [x]), [x])


# --- outputs ----------------------------------------------------------------------------------


def _every_kind_of_output(x, y):
    z = p.exp(x)
    matrix = p.permute(p.reshape(z, shape=(2, 3)), dims=(1, 0))
    empty = p.slice_(x, start=(2,), stop=(2,), step=(1,))
    full = p.full(shape=(2, 2), value=0.5, dtype=np.dtype("float32"))
    return x, y, x, z, z, matrix, p.reshape(z, shape=(6, 1)), np.arange(3.0), full, empty, z


def test_every_output_has_memory_of_its_own():
    x, y = np.random.default_rng(3).normal(size=(2, 6))
    runner, _ = check_program(trace(_every_kind_of_output, [x, y]), [x, y], LOOSE)
    first, second = runner([x, y]), runner([y, x])
    arrays = [x, y, *first, *second]
    for place, one in enumerate(arrays):
        assert not any(np.may_share_memory(one, other) for other in arrays[:place])
        assert one.flags.c_contiguous and one.flags.writeable


def test_a_number_as_output():
    program = trace(lambda x: (3.0, x), [np.ones(2)])
    found, wanted = native_runner(program)([np.ones(2)]), expected(program, [np.ones(2)])
    assert [(x.dtype, x.tolist()) for x in found] == [(x.dtype, x.tolist()) for x in wanted]


@pytest.mark.parametrize(("rows", "is_copied"), [(1, True), (2, True), (64, False)])
def test_a_few_rows_in_another_order_than_the_matrix(rows, is_copied):
    """They are copied, so that their products with a weight are products of vectors."""
    random = np.random.default_rng(4)
    pictures = random.normal(size=(rows, 49, 64)).astype("float32")
    weight = random.normal(size=(10, 64 * 49)).astype("float32")

    def flattened_last(x, w):
        x = p.reshape(p.permute(x, dims=(0, 2, 1)), shape=(rows, 64 * 49))
        return p.matmul(x, p.permute(w, dims=(1, 0)))

    arrays = [pictures, weight]
    runner, (found,) = check_program(trace(flattened_last, arrays), arrays, LOOSE)
    wide = pictures.astype("float64").transpose(0, 2, 1).reshape(rows, -1)
    np.testing.assert_allclose(found, wide @ weight.astype("float64").T, rtol=1e-4, atol=1e-3)
    chains = [chain for phase in runner.built.scheduled.phases for chain in phase.chains]
    names = [step.kernel.about for chain in chains for step in chain.steps]
    assert any(name.startswith("copy") for name in names) == is_copied, names


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
@pytest.mark.parametrize(("rows", "terms"), [(5, 4), (5, 0), (0, 4)])
def test_a_vector_added_to_a_product_that_numpy_does(rows, terms, dtype):
    """Whole numbers, no terms, no rows: the vector is not left to the product."""

    def linear(x, w, b):
        out = p.add(p.matmul(x, w), b)
        return out, p.sum_(p.mul(out, out), dim=(0,), keepdim=False)

    x = np.arange(rows * terms).reshape(rows, terms).astype(dtype)
    w = np.arange(terms * 3).reshape(terms, 3).astype(dtype)
    b = np.arange(1, 4).astype(dtype)
    _, found = check_program(trace(linear, [x, w, b]), [x, w, b])
    np.testing.assert_array_equal(found[0], x @ w + b)
    np.testing.assert_array_equal(found[1], ((x @ w + b) ** 2).sum(axis=0))


@pytest.mark.parametrize(("images", "channels"), [(2, 0), (0, 3)])
def test_a_vector_added_to_an_empty_convolution(images, channels):
    attrs = {"stride": (1,), "padding": ((1, 1),), "dilation": (1,), "groups": 1}

    def convolved(x, w, b):
        return p.add(p.conv(x, w, **attrs), p.reshape(b, shape=(1, 4, 1)))

    arrays = [np.ones((images, channels, 6)), np.ones((4, channels, 3)), np.arange(1.0, 5.0)]
    _, (found,) = check_program(trace(convolved, arrays), arrays)
    expanded = np.broadcast_to(arrays[2].reshape(1, 4, 1), (images, 4, 6))
    np.testing.assert_array_equal(found, expanded)


@pytest.mark.parametrize("shape", [(0, 1, 3), (2, 0, 3), (2, 3, 0)])
def test_a_number_everywhere_where_nothing_is(shape):
    """What loop nests compute for themselves, NumPy has to read: nothing, of a certain shape."""
    turned = (shape[0], shape[2], shape[1])

    def weighted(x):
        full = p.full(shape=turned, value=0.5, dtype=np.dtype("float64"))
        return p.matmul(full, x), p.mul(p.permute(x, dims=(0, 2, 1)), full)

    x = np.ones(shape)
    _, found = check_program(trace(weighted, [x]), [x])
    assert found[0].shape == (shape[0], shape[2], shape[2]) and not found[0].any()
    assert found[1].shape == turned


def test_guard_pages_end_the_process():
    """The checks above would see a read of one element too many."""
    code = (
        "from tests.native.native_checks import guarded\n"
        "import ctypes\n"
        "x = guarded((3,), 'float32')\n"
        "print(ctypes.c_float.from_address(x.ctypes.data + 8).value)\n"
        "ctypes.c_float.from_address(x.ctypes.data + 12).value\n"
        "print('beyond')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode < 0 and run.stdout == "nan\n", run.stderr
