"""Special functions against 40-digit arithmetic, in units in the last place."""

import numpy as np
import pytest

from narae.reference import special

mp = pytest.importorskip("mpmath")
COUNT = 150


def normal(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def quantile(p):
    start = float(special.ndtri(np.array(float(p))))
    return mp.findroot(lambda z: mp.log(normal(z) / p), start, tol=1e-60)


def inverse_erf(y):
    start = float(special.erfinv(np.array(float(y))))
    below = lambda x: mp.erf(x) / y - 1  # noqa: E731
    above = lambda x: mp.log(mp.erfc(abs(x)) / (1 - abs(y)))  # noqa: E731
    return mp.findroot(below if abs(y) < 0.5 else above, start, tol=1e-60)


def log_gamma(x):
    return mp.log(abs(mp.gamma(x)))


# function, truth, range, allowed error in float64 units in the last place
ROWS = [
    ("erf", mp.erf, (-7, 7), 2),
    ("erf", mp.erf, (-1e-8, 1e-8), 2),
    ("erfc", mp.erfc, (-7, 26), 3),
    ("erfinv", inverse_erf, (-1, 1), 5),
    ("erfinv", inverse_erf, (0.9999, 1), 5),
    ("ndtr", normal, (-37, 8), 4),
    ("ndtr", normal, (-2, 2), 6),
    ("ndtri", quantile, (0, 1), 5),
    ("ndtri", quantile, (0, 1e-9), 5),
    ("log_ndtr", lambda x: mp.log(normal(x)), (-100, 8), 4),
    ("lgamma", log_gamma, (0, 0.9), 3),
    ("lgamma", log_gamma, (0.9, 1.2316), 3),
    ("lgamma", log_gamma, (1.2316, 2), 3),
    ("lgamma", log_gamma, (2, 8), 3),
    ("lgamma", log_gamma, (8, 1e4), 3),
    ("digamma", mp.digamma, (0, 1), 4),
    ("digamma", mp.digamma, (1.4616, 1.4617), 4),
    ("digamma", mp.digamma, (1, 10), 4),
    ("digamma", mp.digamma, (10, 1e4), 3),
    ("trigamma", lambda x: mp.polygamma(1, x), (0, 20), 4),
    ("trigamma", lambda x: mp.polygamma(1, x), (-20, 0), 8),
    ("i0", lambda x: mp.besseli(0, x), (-712, 712), 4),
    ("i0", lambda x: mp.besseli(0, x), (-9, 9), 4),
    ("i1", lambda x: mp.besseli(1, x), (-9, 9), 5),
    ("i0e", lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), (-30, 30), 4),
    ("i1e", lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), (-30, 30), 4),
]


def units_apart(got, truth, x, dtype):
    """Largest distance in spacings of `dtype` at the true value."""
    with mp.workdps(40):
        distances = []
        for value, place in zip(got.tolist(), x.tolist(), strict=True):
            right = truth(mp.mpf(place))
            spacing = float(np.spacing(dtype(abs(float(right)))))
            distances.append(float(abs(value - right) / spacing))
    return max(distances)


@pytest.mark.parametrize(("name", "truth", "ends", "allowed"), ROWS)
def test_float64(name, truth, ends, allowed):
    """Within the stated number of units in the last place."""
    x = np.random.default_rng(0).uniform(*ends, COUNT)
    got = getattr(special, name)(x)
    assert got.dtype == np.float64
    assert units_apart(got, truth, x, np.float64) <= allowed


@pytest.mark.parametrize(("name", "truth", "ends", "allowed"), ROWS)
def test_float32_is_rounded_once(name, truth, ends, allowed):
    """Hardly more than half a unit: the nearest float32 number, save for near ties."""
    # Kept where float32 results are neither infinite nor subnormal.
    limits = {"i0": (-80, 80), "ndtr": (-12, 8), "erfc": (-7, 9)}
    low, high = limits.get(name, (-np.inf, np.inf))
    x = np.random.default_rng(1).uniform(max(low, ends[0]), min(high, ends[1]), 60)
    x = x.astype(np.float32)
    x = x[(x > ends[0]) & (x < ends[1])]  # rounding may reach a pole
    assert x.size > 10
    got = getattr(special, name)(x)
    assert got.dtype == np.float32
    assert units_apart(got, truth, x, np.float32) <= 0.54


@pytest.mark.parametrize("order", [2, 3, 6])
def test_polygamma(order):
    """Higher derivatives, on both sides of zero; close to a root below zero absolutely."""
    x = np.random.default_rng(order).uniform(0, 25, COUNT)
    assert (
        units_apart(special.polygamma(order, x), lambda v: mp.polygamma(order, v), x, np.float64)
        < 6
    )
    x = np.random.default_rng(order).uniform(-8, 0, COUNT)
    truth = np.array([float(mp.polygamma(order, v)) for v in x.tolist()])
    np.testing.assert_allclose(special.polygamma(order, x), truth, rtol=1e-11, atol=1e-11)


def test_below_zero():
    """lgamma and digamma by reflection, to an absolute error near their roots."""
    x = np.random.default_rng(2).uniform(-15, 0, COUNT)
    lgamma = [float(log_gamma(mp.mpf(v))) for v in x.tolist()]
    digamma = [float(mp.digamma(v)) for v in x.tolist()]
    np.testing.assert_allclose(special.lgamma(x), lgamma, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(special.digamma(x), digamma, rtol=1e-13, atol=1e-13)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("erf", [0.0, INF, -INF, NAN], [0, 1, -1, NAN]),
        ("erfc", [0.0, INF, -INF, NAN, 30, -30], [1, 0, 2, NAN, 0, 2]),
        ("erfinv", [0.0, 1, -1, 1.5, -1.5, NAN], [0, INF, -INF, NAN, NAN, NAN]),
        ("ndtr", [0.0, INF, -INF, NAN], [0.5, 1, 0, NAN]),
        ("ndtri", [0.5, 1, 0, 1.5, -1, NAN], [0, INF, -INF, NAN, NAN, NAN]),
        ("log_ndtr", [INF, -INF, NAN], [0, -INF, NAN]),
        ("lgamma", [1, 2, 0, -1, -7, INF, -INF, NAN], [0, 0, INF, INF, INF, INF, INF, NAN]),
        ("digamma", [0.0, -0.0, -1, INF, -INF, NAN], [-INF, INF, NAN, INF, NAN, NAN]),
        ("trigamma", [0.0, -2, INF, NAN], [INF, INF, 0, NAN]),
        ("i0", [0.0, INF, -INF, NAN], [1, INF, INF, NAN]),
        ("i1", [0.0, INF, -INF, NAN], [0, INF, -INF, NAN]),
        ("i0e", [0.0, INF, NAN], [1, 0, NAN]),
        ("i1e", [0.0, -INF, NAN], [0, 0, NAN]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alone", [True, False])
def test_special_values(name, x, expected, dtype, alone):
    """Zeros, poles, infinities and NaN, in one array and one by one; no warnings."""
    function = getattr(special, name)
    with np.errstate(all="raise"):
        if alone:
            got = np.array([function(np.array(value, dtype)) for value in x])
        else:
            got = function(np.array(x, dtype))
    np.testing.assert_array_equal(got, np.array(expected, dtype))


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (9000,), (3, 4)])
@pytest.mark.parametrize("name", ["erf", "lgamma", "i0"])
def test_shapes_and_layouts(name, shape):
    """Any shape, longer than one piece, or a transposed view."""
    function = getattr(special, name)
    x = np.random.default_rng(0).standard_normal(shape)
    out = function(x)
    assert type(out) is np.ndarray
    assert out.shape == shape
    np.testing.assert_array_equal(function(x.T), out.T)
    for place in list(np.ndindex(*shape))[::1000]:
        assert out[place] == function(x[place])


def test_negative_order():
    """The order counts derivatives."""
    with pytest.raises(ValueError, match="order is -1"):
        special.polygamma(-1, np.ones(2))
