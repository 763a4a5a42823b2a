"""Errors of forecasts and intervals around them."""

from __future__ import annotations

import numpy as np
import pytest

from narae.errors import ConfigError, DataError, MissingDataError, ShapeError
from narae.series import (
    Autoregression,
    conformal_interval,
    coverage_of,
    mae,
    mape,
    mase,
    pollution,
    residual_interval,
    rmse,
    smape,
    windows,
)


def test_errors_are_scikit_learns():
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    target, forecast = rng.normal(5, 1, 100), rng.normal(5, 1, 100)
    assert mae(target, forecast) == pytest.approx(theirs.mean_absolute_error(target, forecast))
    square = theirs.mean_squared_error(target, forecast)
    assert rmse(target, forecast) == pytest.approx(square**0.5)
    share = theirs.mean_absolute_percentage_error(target, forecast)
    assert mape(target, forecast) == pytest.approx(share)


def test_errors_by_hand():
    # |4 - 2| / (4 + 2) · 2 = 2/3, |8 - 8| = 0; their mean is 1/3
    assert smape([2.0, 8.0], [4.0, 8.0]) == pytest.approx(1 / 3)
    assert smape([1.0], [-1.0]) == 2
    # the training part moves by 2, 4 and 6, on average by 4; the forecast is off by 1 and 3
    assert mase([10.0, 10.0], [11.0, 13.0], [0.0, 2.0, 6.0, 12.0]) == 0.5
    # from a season of 2 before: 6 and 10, on average 8
    assert mase([10.0, 10.0], [11.0, 13.0], [0.0, 2.0, 6.0, 12.0], season=2) == 0.25


def test_the_scale_passes_over_missing_values():
    # without the third value the moves are 2 and 3
    assert mase([10.0], [15.0], [0.0, 2.0, np.nan, 4.0, 7.0]) == 2
    with pytest.raises(DataError, match="or missing"):
        mase([1.0], [1.0], [1.0, np.nan, 1.0])


def test_what_has_no_error():
    with pytest.raises(ShapeError, match=r"target is \(2,\), forecast is \(3,\)"):
        mae(np.zeros(2), np.zeros(3))
    with pytest.raises(ShapeError, match="some values"):
        rmse(np.zeros(0), np.zeros(0))
    with pytest.raises(DataError, match="NaN or infinite"):
        mae([np.nan], [1.0])
    with pytest.raises(DataError, match=r"a target is 0.*mae, or mase"):
        mape([0.0], [1.0])
    with pytest.raises(DataError, match="the same in each season"):
        mase([1.0], [1.0], [1.0, 2.0, 1.0, 2.0], season=2)
    with pytest.raises(DataError, match="longer than a season"):
        mase([1.0], [1.0], [1.0, 2.0], season=2)
    with pytest.raises(ConfigError, match="season is 0"):
        mase([1.0], [1.0], [1.0, 2.0], season=0)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_hold_the_share_that_they_promise(coverage):
    """Errors grow with the step and lean to one side; 2,000 new ones are drawn 30 times."""
    rng = np.random.default_rng(0)
    kinds = {"residual": residual_interval, "conformal": conformal_interval}
    shares: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(30):
        draw = lambda count: rng.gamma(2.0, [[[1.0], [3.0]]], (count, 2, 1)) - 1  # noqa: E731
        residuals, forecast = draw(200), rng.normal(size=(2000, 2, 1))
        target = forecast + draw(2000)
        for name, interval in kinds.items():
            shares[name].append(coverage_of(target, interval(forecast, residuals, coverage)))
    assert np.mean(shares["residual"]) == pytest.approx(coverage, abs=0.012)
    # theorem 2.2: at least the coverage, at most 1 / (n + 1) more
    assert coverage - 0.006 < np.mean(shares["conformal"]) < coverage + 1 / 201 + 0.006


def test_conformal_widths_are_the_ranks_of_the_theorem():
    residuals = np.arange(1.0, 10.0).reshape(9, 1, 1) * [[[1.0], [-2.0]]]  # (9, 2, 1)
    low, high = conformal_interval(np.zeros((2, 1)), residuals, 0.9)  # the 9th of 9
    assert high.ravel().tolist() == [9, 18]
    assert low.ravel().tolist() == [-9, -18]


def test_intervals_that_cannot_be_drawn():
    forecast = np.zeros((4, 2, 1))
    with pytest.raises(DataError, match=r"8 residuals for a coverage of 0.9; 9 are needed"):
        conformal_interval(forecast, np.zeros((8, 2, 1)), 0.9)
    with pytest.raises(ConfigError, match="coverage is 90"):
        residual_interval(forecast, np.zeros((8, 2, 1)), 90)
    with pytest.raises(DataError, match="no residuals"):
        residual_interval(forecast, np.zeros((0, 2, 1)))
    with pytest.raises(ShapeError, match=r"residuals are \(8, 3, 1\)"):
        residual_interval(forecast, np.zeros((8, 3, 1)))


def test_coverage_that_cannot_be_told():
    low, high = np.zeros(2), np.ones(2)
    assert coverage_of(np.array([0.0, 1.0]), (low, high)) == 1  # ends are inside
    with pytest.raises(DataError, match="a target or an end of an interval is NaN"):
        coverage_of(np.array([0.5, np.nan]), (low, high))
    with pytest.raises(ShapeError, match=r"\(2, 1\), \(2,\), \(2,\); one shape"):
        coverage_of(np.zeros((2, 1)), (low, high))  # broadcasting would make 4 of 2
    with pytest.raises(ShapeError, match="some values"):
        coverage_of(np.zeros(0), (np.zeros(0), np.ones(0)))


def test_intervals_hold_their_share_of_a_year_that_came_later():
    """AR(48) of fine dust: learned before 2013, errors of 2013, and 2014 is judged."""
    try:
        series = pollution(missing="mask").select("pm2.5")
    except MissingDataError:
        pytest.skip("the real series are not on this machine")
    begin, end = series.row_of("2013"), series.row_of("2014")
    model = Autoregression.fit(series.values[:begin, 0], order=48, ahead=24)
    known = windows(series, 48, 24, begin=begin, end=end, stride=6)
    test = windows(series, 48, 24, begin=end, stride=6)
    residuals = known.future - model.forecast(known.past, 24)
    forecast = model.forecast(test.past, 24)
    for coverage in (0.5, 0.8, 0.9):
        for interval in (residual_interval, conformal_interval):
            share = coverage_of(test.future, interval(forecast, residuals, coverage))
            assert share == pytest.approx(coverage, abs=0.03)  # measured: 0.51, 0.81, 0.91
