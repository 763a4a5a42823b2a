"""The recipes and programs for series: nothing of the future is learned from, figures are kept."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import sys

import numpy as np
import pytest

from narae.errors import MissingDataError
from narae.series import (
    Autoregression,
    Naive,
    Scaling,
    SeasonalNaive,
    airline_passengers,
    forecast_direct,
    mae,
    minimum_temperatures,
    pollution,
    sunspots,
    windows,
)
from narae.train import build, load_recipe
from narae.train.recipes import forecast_airline, forecast_pollution

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "sequences"


@pytest.fixture(autouse=True)
def real_series():
    try:
        airline_passengers()
    except MissingDataError:
        pytest.skip("the real series are not on this machine")


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_the_known_series_have_their_published_lengths():
    sizes = {read: len(read()) for read in (airline_passengers, minimum_temperatures, sunspots)}
    assert list(sizes.values()) == [144, 3650, 2820]
    assert airline_passengers().values[[0, -1], 0].tolist() == [112, 432]


def test_scaling_in_the_recipes_is_that_of_the_training_part():
    fitted = Scaling.fit(airline_passengers().values[: forecast_airline.TRAINING], log=True)
    _are_close(fitted, forecast_airline.SCALING, 5e-5)
    series = pollution(missing="mask").select(*forecast_pollution.COLUMNS)
    fitted = Scaling.fit(series.values[: series.row_of("2014-01-01")])
    _are_close(fitted, forecast_pollution.SCALING, 6e-3)


def _are_close(fitted, written, atol: float) -> None:
    np.testing.assert_allclose(written.mean, fitted.mean, atol=atol)
    np.testing.assert_allclose(written.std, fitted.std, atol=atol)
    assert written.log == fitted.log


def test_changing_the_future_changes_nothing_that_is_learned(monkeypatch):
    """B22: a time-series example

    The loss has gradients of the errors' signs, so a change has to turn them: the future, which
    grows, becomes less than what a network without learning tells.
    """

    def learned() -> tuple[list[np.ndarray], float]:
        trainer = build(load_recipe("forecast-airline").changed({"epochs": 2}), None)
        numbers = trainer.fit()
        return [x.numpy().copy() for x in trainer.model.state_dict().values()], numbers["val_mae"]

    weights, error = learned()
    series = airline_passengers()
    values = series.values.copy()
    values[forecast_airline.TRAINING :] /= 3
    changed = dataclasses.replace(series, values=values)
    monkeypatch.setattr(forecast_airline, "airline_passengers", lambda *_, **__: changed)
    others, other_error = learned()
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))
    assert other_error > 1.5 * error


def test_pollution_judges_only_hours_that_were_measured():
    data = forecast_pollution.data(None, stride=24)
    series = pollution(missing="mask").select(*forecast_pollution.COLUMNS)
    cut = series.row_of("2014-01-01")
    expected = windows(series, 48, 24, begin=cut, stride=24, targets=1)
    assert expected.left_out > 50
    batches = [[np.asarray(x) for x in batch] for batch in data.test]
    past, future = (np.concatenate(x) for x in zip(*batches, strict=True))
    assert np.array_equal(past, expected.past.astype(np.float32))
    assert np.array_equal(future, expected.future.astype(np.float32))
    assert np.isfinite(past).all()


@pytest.mark.parametrize("module", [forecast_airline, forecast_pollution])
def test_settings_are_chosen_without_the_test_part(module, monkeypatch):
    """With `validation` no month of the test is learned from or judged by."""
    seen = {}
    monkeypatch.setattr(module, "windows", _recording(module.windows, seen))
    for validation in (False, True):
        data = module.data(None, validation=validation)
        seen[validation] = [seen.pop("train"), seen.pop("test")]
        assert [len(loader.dataset) for loader in (data.train, data.test)] == [
            len(found) for found in seen[validation]
        ]
    first_tested = seen[False][1].rows.min()
    last_learned = max(found.rows.max() for found in seen[True]) + module.AHEAD - 1
    assert last_learned < first_tested
    assert seen[True][0].rows.max() + module.AHEAD <= seen[True][1].rows.min()


def _recording(windows, seen):
    def recorded(*args, **options):
        found = windows(*args, **options)
        seen["test" if "begin" in options else "train"] = found
        return found

    return recorded


def test_the_baselines_of_the_page():
    """B22: a time-series example; each row of the tables in the page but those of networks."""
    text = (EXAMPLES.parent.parent / "docs" / "series.md").read_text(encoding="utf8")
    found = {tuple(row[:2]): float(row[2]) for row in _rows(text) if "(" not in row[2]}
    expected = _airline_baselines() | _pollution_baselines()
    assert set(expected) == set(found)
    for name, error in expected.items():
        assert found[name] == pytest.approx(error, abs=0.051), name


def _rows(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in rows if row[0] in ("airline", "pollution")]


def _airline_baselines() -> dict[tuple[str, str], float]:
    values = airline_passengers().values
    test = windows(values, 24, 12, begin=120)
    logs = np.log(values[:120, 0])
    told = {"the last value": Naive(), "as a year ago": SeasonalNaive(12)}
    errors = {name: mae(test.future, x.forecast(test.past, 12)) for name, x in told.items()}
    growth = test.past[:, -1:] / test.past[:, -13:-12]
    grown = growth * SeasonalNaive(12).forecast(test.past, 12)
    errors["as a year ago, times the growth since"] = mae(test.future, grown)
    for order, ahead in ((1, 1), (24, 1), (24, 12)):
        model = Autoregression.fit(logs, order, ahead)
        forecast = np.exp(model.forecast(np.log(test.past), 12))
        how = "direct" if ahead > 1 else "recursive"
        errors[f"AR({order}) of logarithms, {how}"] = mae(test.future, forecast)
    return {("airline", name): error for name, error in errors.items()}


def _pollution_baselines() -> dict[tuple[str, str], float]:
    series = pollution(missing="mask").select("pm2.5")
    cut = series.row_of("2014")
    test = windows(series, 48, 24, begin=cut, stride=3)
    told = {"the last value": Naive(), "as a day ago": SeasonalNaive(24)}
    told["AR(1), recursive"] = Autoregression.fit(series.values[:cut, 0], 1)
    told["AR(48), direct"] = Autoregression.fit(series.values[:cut, 0], 48, 24)
    errors = {name: mae(test.future, x.forecast(test.past, 24)) for name, x in told.items()}
    return {("pollution", name): error for name, error in errors.items()}


@pytest.mark.slow
def test_the_airline_recipe_beats_both_naive_forecasts():
    """B22: a time-series example"""
    trainer = build(load_recipe("forecast-airline"), None)
    numbers = trainer.fit()
    found = windows(airline_passengers(), 24, 12, begin=120)
    error = mae(found.future, forecast_direct(trainer.model, found.past))
    assert numbers["val_mae"] == pytest.approx(error, rel=1e-4)
    naive = mae(found.future, SeasonalNaive(12).forecast(found.past, 12))
    assert numbers["val_seasonal_mae"] == pytest.approx(naive)
    assert error < 30  # measured: 16.4 to 24.4 with six seeds
    assert naive > 50


@pytest.mark.slow
def test_the_pollution_recipe_beats_both_naive_forecasts():
    """B22: a time-series example"""
    numbers = build(load_recipe("forecast-pollution").changed({"epochs": 2}), None).fit()
    assert numbers["val_mae"] < 0.96 * numbers["val_naive_mae"]  # measured: 45.6 to 49.9
    assert numbers["val_naive_mae"] < numbers["val_seasonal_mae"]


# --- programs -----------------------------------------------------------------------------------


def test_the_order_curve_of_sunspots(program, tmp_path, capsys):
    """B5: AR(τ) on sine/stock; validation curve over τ"""
    curve = program("ar_order").main(["--figure", str(tmp_path / "curve.png")])
    best = min(curve, key=lambda order: curve[order][1])
    assert 3 <= best <= 48
    assert curve[1][1] > 1.1 * curve[best][1]
    assert curve[300][1] > 1.3 * curve[best][1]
    assert (tmp_path / "curve.png").stat().st_size > 5000
    assert "AR(1): mean absolute error" in capsys.readouterr().out


@pytest.mark.slow
def test_fixed_heads_fail_on_variable_length(program, capsys):
    """B4: demo that fixed-size MLP/CNN head fails on variable length"""
    found = program("naive_sequence_model").main(steps=1500)
    for name in ("MLP", "CNN"):
        takes = {length: whether for length, (_, whether) in found[name].items()}
        assert takes == {4: False, 12: True, 24: False, 48: False}
        assert abs(found[name][48][0] - 0.5) < 0.06
    assert found["MLP"][12][0] > 0.9
    assert all(takes and right > 0.9 for right, takes in found["LSTM"].values())
    assert "shapes cannot be multiplied" in capsys.readouterr().out


@pytest.mark.slow
def test_the_table_of_forecasts(program, tmp_path, capsys):
    """B22: a time-series example"""
    results = program("forecasting").main(
        ["--epochs", "15", "--figure", str(tmp_path / "forecast.png")]
    )
    errors = {name: row["MAE"] for name, row in results.items()}
    assert errors["lstm, direct"] < errors["AR(24), recursive"] < errors["seasonal naive"]
    assert errors["seasonal naive"] < errors["naive"] < errors["AR(1), Markov"]
    assert (tmp_path / "forecast.png").stat().st_size > 5000
    assert "inside %" in capsys.readouterr().out
