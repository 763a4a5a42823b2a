"""AR(τ), Markov models, latent autoregression and the baselines."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
from narae.errors import ConfigError, DataError, ShapeError
from narae.series import (
    Autoregression,
    LinearRecurrence,
    Naive,
    SeasonalNaive,
    baseline_errors,
    latent_autoregression,
    order_curve,
    sunspots,
    windows,
)


def simulated(weights, constant: float = 0.0, length: int = 4000, seed: int = 0) -> np.ndarray:
    """x_t = constant + Σ weights · (the last values, the earliest first) + noise."""
    rng, order = np.random.default_rng(seed), len(weights)
    x = np.zeros(length + 100)
    for t in range(order, len(x)):
        x[t] = constant + x[t - order : t] @ np.asarray(weights) + rng.normal()
    return x[100:]


def test_least_squares_is_scikit_learns():
    """B5: AR(τ) on sine/stock; validation curve over τ"""
    linear = pytest.importorskip("sklearn.linear_model")
    values = simulated([0.2, -0.4, 0.6], constant=2.0, length=500)
    both = np.lib.stride_tricks.sliding_window_view(values, 6)
    theirs = linear.LinearRegression().fit(both[:, :4], both[:, 4:])
    ours = Autoregression.fit(values, order=4, ahead=2)
    np.testing.assert_allclose(ours.weights, theirs.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.constant, theirs.intercept_, rtol=1e-8)


def test_it_finds_the_weights_of_a_simulated_series():
    """B5: AR(τ) on sine/stock; validation curve over τ"""
    model = Autoregression.fit(simulated([-0.5, 1.2], constant=3.0, length=20_000), order=2)
    np.testing.assert_allclose(model.weights, [[-0.5, 1.2]], atol=0.02)
    assert model.constant.item() == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("ahead", [1, 3])
def test_gradient_descent_ends_at_least_squares(ahead):
    """H2: GD equals least squares"""
    values = simulated([0.3, -0.2, 0.5], constant=10.0, length=400)
    exact = Autoregression.fit(values, 3, ahead)
    narae.manual_seed(0)
    descended = Autoregression.descend(values, 3, ahead, steps=400)
    np.testing.assert_allclose(descended.weights, exact.weights, atol=1e-6)
    np.testing.assert_allclose(descended.constant, exact.constant, atol=1e-4)
    early = Autoregression.descend(values, 3, ahead, steps=1)
    assert np.abs(early.weights - exact.weights).max() > 1e-3


def test_the_curve_turns_at_the_order_that_made_the_series():
    """B5: AR(τ) on sine/stock; validation curve over τ"""
    values = simulated([0.5, 0.0, 0.0, -0.4, 0.3], length=1200)
    curve = order_curve(values, range(1, 41), cut=240)
    training = [errors[0] for errors in curve.values()]
    assert (np.diff(training) <= 1e-12).all()  # on what was learned, more never hurts
    best = min(curve, key=lambda order: curve[order][1])
    assert 5 <= best <= 12
    assert curve[40][1] > 1.08 * curve[best][1]
    assert curve[1][1] > 1.2 * curve[best][1]


def test_the_curve_does_not_see_what_comes_behind_the_cut():
    values = simulated([0.5], length=200)
    changed = values.copy()
    changed[100:] *= 50
    for before, after in zip(
        order_curve(values, (1, 3), 100).values(), order_curve(changed, (1, 3), 100).values(),
        strict=True,
    ):  # fmt: skip
        assert before[0] == after[0]
        assert before[1] != after[1]


def test_all_orders_are_judged_by_the_same_rows():
    """A gap takes more windows from a long memory; each order passes over those of the longest."""
    linear = pytest.importorskip("sklearn.linear_model")
    values = simulated([0.6], length=300)
    values[[40, 120, 200, 280]] = np.nan
    curve = order_curve(values, (2, 9), cut=150)
    both = np.lib.stride_tricks.sliding_window_view(values, 10)
    rows = np.arange(9, 300)
    whole = np.isfinite(both).all(axis=1)
    parts = both[whole & (rows < 150)], both[whole & (rows >= 150)]
    for order, errors in curve.items():
        model = linear.LinearRegression().fit(parts[0][:, 9 - order : 9], parts[0][:, 9])
        for part, error in zip(parts, errors, strict=True):
            expected = np.square(model.predict(part[:, 9 - order : 9]) - part[:, 9]).mean()
            assert error == pytest.approx(expected, rel=1e-8)


def test_markov_is_order_one():
    """B6: = AR(1) special case"""
    values = simulated([0.8], constant=1.0)
    model = Autoregression.fit(values, order=1)
    # the last value alone decides
    past = np.random.default_rng(1).normal(size=(5, 9, 1))
    other = past.copy()
    other[:, :-1] = 100
    assert np.array_equal(model.forecast(past, 4), model.forecast(other, 4))
    # its weight is the covariance with the value before, over the variance
    x, y = values[:-1], values[1:]
    weight = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    assert model.weights.item() == pytest.approx(weight, rel=1e-9)
    # h steps ahead: mean + weight^h (x - mean)
    mean = model.constant.item() / (1 - weight)
    steps = np.arange(1, 5)
    expected = mean + weight**steps * (past[:, -1] - mean)  # (5, 4)
    np.testing.assert_allclose(model.forecast(past, 4)[..., 0], expected, rtol=1e-9)


def test_many_steps_directly_and_from_its_own():
    values = np.sin(0.2 * np.arange(300.0))
    for model in (Autoregression.fit(values, 2), Autoregression.fit(values, 4, ahead=7)):
        told = model.forecast(values[None, :100, None], steps=50)
        np.testing.assert_allclose(told[0, :, 0], values[100:150], atol=1e-8)


def test_an_rnn_is_a_latent_autoregression():
    """B7: RNN reduces to it"""
    narae.manual_seed(0)
    rnn, head, x = nn.RNN(2, 6, batch_first=True), nn.Linear(6, 1), narae.randn(3, 11, 2)
    w_x, w_h = rnn.weight_ih_l0, rnn.weight_hh_l0
    bias = rnn.bias_ih_l0 + rnn.bias_hh_l0
    told = latent_autoregression(
        x, narae.zeros(3, 6), lambda x, h: (x @ w_x.T + h @ w_h.T + bias).tanh(), head
    )
    np.testing.assert_allclose(told.detach(), head(rnn(x)[0]).detach(), atol=1e-6)


def test_an_rnn_can_be_an_ar_model():
    """B7: RNN reduces to it"""
    values = sunspots().values[:200, 0] - 30  # some are negative
    model = Autoregression.fit(values, order=9)
    network = LinearRecurrence(model, lift=100.0)
    told = network(narae.tensor(values, dtype=narae.float32)[None, :, None])
    both = np.lib.stride_tricks.sliding_window_view(values, 9)
    expected = model.forecast(both[..., None])[:, 0, 0]  # after the 9th value, the 10th, ...
    np.testing.assert_allclose(told.detach()[0, 8:, 0], expected, atol=2e-3)
    assert expected.std() > 10


def test_baselines():
    past = np.arange(20.0).reshape(2, 5, 2)
    assert Naive().forecast(past, 3)[0].tolist() == [[8, 9]] * 3
    assert SeasonalNaive(2).forecast(past, 3)[1].tolist() == [[16, 17], [18, 19], [16, 17]]
    with pytest.raises(DataError, match="5 rows of past, a season has 6"):
        SeasonalNaive(6).forecast(past)
    with pytest.raises(ConfigError, match="season is 0"):
        SeasonalNaive(0)
    with pytest.raises(ConfigError, match="0 steps"):
        Naive().forecast(past, 0)
    with pytest.raises(ShapeError, match=r"the past is \(4,\); it is"):
        Naive().forecast(np.zeros(4))
    with pytest.raises(DataError, match="no batches"):
        baseline_errors([], 12)


def test_errors_of_baselines_over_batches():
    """Two batches of unlike sizes, two columns of which one is told."""
    values = np.random.default_rng(0).normal(size=(40, 2))
    found = windows(values, 6, 3, targets=1)
    batches = [(found.past[a:b], found.future[a:b]) for a, b in ((0, 20), (20, len(found)))]
    errors = baseline_errors(batches, season=4)
    naive = np.abs(found.future[..., 0] - found.past[:, -1:, 0]).mean()
    seasonal = np.abs(found.future[..., 0] - found.past[:, 2:5, 0]).mean()
    assert errors["naive_mae"] == pytest.approx(naive)
    assert errors["seasonal_mae"] == pytest.approx(seasonal)


def test_what_ar_models_refuse():
    with pytest.raises(DataError, match="fits into the series of 3 rows"):
        Autoregression.fit(np.arange(3.0), 3)
    with pytest.raises(ShapeError, match=r"values are \(3, 1\)"):
        Autoregression.fit(np.zeros((3, 1)), 1)
    with pytest.raises(DataError, match="values are constant"):
        Autoregression.descend(np.ones(9), 1)
    model = Autoregression.fit(simulated([0.5], length=50), 4)
    with pytest.raises(ShapeError, match=r"\(2, 3, 1\); it is .* at least 4 rows"):
        model.forecast(np.zeros((2, 3, 1)))
    with pytest.raises(ConfigError, match="0 steps; at least 1"):
        model.forecast(np.zeros((1, 4, 1)), 0)
    with pytest.raises(DataError, match=r"5 windows for 5 weights and a constant.*smaller order"):
        Autoregression.fit(np.arange(10.0) ** 2, 5)
    for orders in ((), (0, 3)):
        with pytest.raises(ConfigError, match="some to try, each at least 1"):
            order_curve(np.zeros(9), orders, 5)
    with pytest.raises(ConfigError, match="it tells 2 steps"):
        LinearRecurrence(Autoregression.fit(np.arange(9.0), 1, 2))
