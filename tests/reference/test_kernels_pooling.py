"""Pooling against plain loops (A16, A17)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narae.reference.pooling import max_pool, max_pool_grad, window_sum, window_sum_grad


def windows(space, place, *, kernel, stride, padding, dilation):
    """Positions of one window that lie inside the input, in reading order."""
    for tap in np.ndindex(*kernel):
        where = tuple(
            p * s + t * d - low
            for p, s, t, d, (low, _) in zip(place, stride, tap, dilation, padding, strict=True)
        )
        if all(0 <= i < n for i, n in zip(where, space, strict=True)):
            yield where


def output(space, *, kernel, stride, padding, dilation):
    return tuple(
        (n + low + high - d * (k - 1) - 1) // s + 1
        for n, k, s, (low, high), d in zip(space, kernel, stride, padding, dilation, strict=True)
    )


def loop_max(x, **how):
    out = output(x.shape[2:], **how)
    values = np.empty(x.shape[:2] + out, x.dtype)
    indices = np.empty(values.shape, np.int64)
    for row in np.ndindex(*x.shape[:2]):
        for place in np.ndindex(*out):
            best = None
            for where in windows(x.shape[2:], place, **how):
                value = x[row + where]
                if best is None or value > x[row + best] or np.isnan(value):
                    best = where
            values[row + place] = x[row + best]
            indices[row + place] = np.ravel_multi_index(best, x.shape[2:])
    return values, indices


def loop_sum(x, **how):
    out = output(x.shape[2:], **how)
    total = np.zeros(x.shape[:2] + out, x.dtype)
    for row in np.ndindex(*x.shape[:2]):
        for place in np.ndindex(*out):
            total[row + place] = sum(x[row + w] for w in windows(x.shape[2:], place, **how))
    return total


@st.composite
def cases(draw):
    """Small poolings; padding below the kernel, so that every window holds a real element."""
    dims = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    space = [least + draw(st.integers(0, 4)) for least in reach]
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 2)), *space)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    how = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return rng, shape, how


@given(cases(), st.sampled_from(["ties", "nan", "lowest", "integers"]))
def test_max_pool_equals_the_loops(case, content):
    """A17: values and positions, with ties, NaN, and windows of minus infinity or the least."""
    rng, shape, how = case
    x = rng.integers(-2, 3, shape).astype(np.float64)
    if content == "nan":
        x[rng.random(shape) < 0.2] = np.nan
    if content == "lowest":
        x[rng.random(shape) < 0.8] = -np.inf
    if content == "integers":
        x = np.where(rng.random(shape) < 0.5, np.iinfo(np.int32).min, x).astype(np.int32)
    values, indices = max_pool(x, **how)
    expected_values, expected_indices = loop_max(x, **how)
    assert values.dtype == x.dtype
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(indices, expected_indices)


@given(cases())
def test_max_pool_grad_adds_at_the_maxima(case):
    """A17: the gradient reaches exactly the positions that won, once for each window."""
    rng, shape, how = case
    x = rng.standard_normal(shape)
    values, indices = max_pool(x, **how)
    grad_out = rng.standard_normal(values.shape)
    expected = np.zeros(shape)
    for place in np.ndindex(*values.shape):
        where = np.unravel_index(indices[place], shape[2:])
        expected[place[:2] + tuple(where)] += grad_out[place]
    np.testing.assert_allclose(max_pool_grad(grad_out, indices, x_shape=shape), expected)


def test_kernel_of_more_than_255_taps():
    """Tap numbers do not overflow."""
    x = np.zeros((1, 1, 18, 18))
    x[0, 0, 17, 16] = 1
    how = {"kernel": (17, 17), "stride": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1)}
    values, indices = max_pool(x, **how)
    np.testing.assert_array_equal(indices, loop_max(x, **how)[1])
    assert values[0, 0].tolist() == [[0, 0], [1, 1]]


@given(cases())
def test_window_sum_equals_the_loops(case):
    """The sum of every window, and its gradient by the definition of an adjoint."""
    rng, shape, how = case
    x = rng.standard_normal(shape)
    total = window_sum(x, **how)
    np.testing.assert_allclose(total, loop_sum(x, **how), rtol=1e-12, atol=1e-12)
    grad_out = rng.standard_normal(total.shape)
    grad_x = window_sum_grad(grad_out, x_shape=shape, **how)
    assert grad_x.shape == shape
    np.testing.assert_allclose(np.sum(grad_x * x), np.sum(grad_out * total), rtol=1e-10, atol=1e-10)


def test_inputs_are_left_alone():
    """A window of one element must not hand out, or write into, the input itself."""
    x = np.arange(4.0).reshape(1, 1, 4)
    how = {"kernel": (1,), "stride": (1,), "padding": ((0, 0),), "dilation": (1,)}
    for result in (window_sum(x, **how), max_pool(x, **how)[0]):
        assert not np.shares_memory(result, x)
    grad_x = window_sum_grad(x, x_shape=x.shape, **how)
    assert not np.shares_memory(grad_x, x)
