"""Indexed reads and writes against plain loops, and bad indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae.reference.indexing import (
    gather,
    scatter,
    scatter_add,
    scatter_reduce,
    take,
    take_grad,
)


@st.composite
def cases(draw):
    """x, a dimension, and an index no larger than x except along that dimension."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    dim = draw(st.integers(0, len(shape) - 1))
    sizes = [draw(st.integers(0, n)) for n in shape]
    sizes[dim] = draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal(shape)
    if draw(st.booleans()):
        x = np.asfortranarray(x)
    index = rng.integers(0, shape[dim], sizes)
    src = rng.standard_normal([n + draw(st.integers(0, 1)) for n in sizes])
    return x, index, src, dim


def moved(index, dim):
    """For every place of the index: that place, and the place of x that it names."""
    for place in np.ndindex(*index.shape):
        yield place, (*place[:dim], index[place], *place[dim + 1 :])


@given(cases(), st.booleans())
def test_gather(case, negative_dim):
    """out[i, j] = x[index[i, j], j]."""
    x, index, _, dim = case
    out = gather(x, index, dim=dim - x.ndim if negative_dim else dim)
    assert out.shape == index.shape
    for place, where in moved(index, dim):
        assert out[place] == x[where]


@given(cases())
def test_scatter_and_scatter_add(case):
    """The last write wins; sums collect all."""
    x, index, src, dim = case
    before, written, added = x.copy(), x.copy(), x.copy()
    for place, where in moved(index, dim):
        written[where] = src[place]
        added[where] += src[place]
    np.testing.assert_array_equal(scatter(x, index, src, dim=dim), written)
    np.testing.assert_allclose(scatter_add(x, index, src, dim=dim), added, rtol=1e-12)
    np.testing.assert_array_equal(x, before)


@given(cases(), st.sampled_from(["sum", "prod", "mean", "amax", "amin"]), st.booleans())
def test_scatter_reduce(case, reduce, include_self):
    """Every place reduces what was sent to it, with or without what was there."""
    x, index, src, dim = case
    sent = {}
    for place, where in moved(index, dim):
        sent.setdefault(where, [x[where]] if include_self else []).append(src[place])
    functions = {"sum": sum, "prod": np.prod, "mean": np.mean, "amax": max, "amin": min}
    expected = x.copy()
    for where, values in sent.items():
        expected[where] = functions[reduce](values)
    out = scatter_reduce(x, index, src, dim=dim, reduce=reduce, include_self=include_self)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


@given(cases(), st.integers(0, 2))
def test_take_and_its_gradient(case, index_dims):
    """Whole slices; the gradient adds each slice where it came from."""
    x, _, _, dim = case
    rng = np.random.default_rng(0)
    index = rng.integers(0, x.shape[dim], (2, 3)[:index_dims])
    out = take(x, index, dim=dim)
    assert out.shape == x.shape[:dim] + index.shape + x.shape[dim + 1 :]
    grad_out = rng.standard_normal(out.shape)
    expected = np.zeros(x.shape)
    for place in np.ndindex(*index.shape):
        whole = (slice(None),) * dim
        np.testing.assert_array_equal(out[whole + place], x[(*whole, index[place])])
        expected[(*whole, index[place])] += grad_out[whole + place]
    grad_x = take_grad(grad_out, index, dim=dim, x_shape=x.shape)
    np.testing.assert_allclose(grad_x, expected, rtol=1e-12, atol=1e-12)
    grad_x = take_grad(grad_out, index, dim=dim - x.ndim, x_shape=x.shape)
    np.testing.assert_allclose(grad_x, expected, rtol=1e-12, atol=1e-12)


def test_scalars():
    """0-d arrays count as one element."""
    x, zero = np.array(2.0), np.array(0)
    assert gather(x, zero, dim=0) == 2
    assert gather(x, np.array([0, 0]), dim=0).tolist() == [2, 2]
    assert scatter_add(x, zero, np.array(3.0), dim=0) == 5
    assert scatter(x, zero, np.array(3.0), dim=-1).shape == ()


@pytest.mark.parametrize("bad", [-1, 4])
@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_bad_index(bad, dtype):
    """The error states the index, where it stands, and the size it exceeds."""
    x = np.zeros((3, 4))
    index = np.array([[0, 1], [2, bad], [0, bad]], dtype)
    message = rf"index {bad} at position \(1, 1\) is outside dimension 1 of size 4; .* 0 to 3"
    attempts = [
        lambda: gather(x, index, dim=1),
        lambda: scatter(x, index, np.ones((3, 2)), dim=1),
        lambda: scatter_add(x, index, np.ones((3, 2)), dim=1),
        lambda: take(x, index, dim=1),
        lambda: take_grad(np.ones((3, 3, 2)), index, dim=1, x_shape=(3, 4)),
        lambda: scatter_reduce(x, index, np.ones((3, 2)), dim=1, reduce="sum"),
    ]
    for attempt in attempts:
        with pytest.raises(IndexError, match=message):
            attempt()


def test_index_into_nothing():
    """An empty dimension has no valid index, and an empty index is always valid."""
    x = np.zeros((2, 0))
    with pytest.raises(IndexError, match="no elements"):
        take(x, np.array([0]), dim=1)
    assert take(x, np.array([], np.int64), dim=1).shape == (2, 0)
    assert gather(x, np.zeros((2, 0), np.int64), dim=1).shape == (2, 0)


def test_unknown_reduction():
    """Names the five there are."""
    with pytest.raises(ValueError, match=r"'max'.* sum, prod, mean, amax, amin"):
        scatter_reduce(np.ones(2), np.array([0]), np.ones(1), dim=0, reduce="max")
