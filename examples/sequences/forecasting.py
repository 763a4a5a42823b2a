"""A year of airline passengers told in advance, by twelve models that walk forward in time.

Three times, each model learns from all months so far and tells each 12 months that lie in the two
years that follow. Scaling is fitted on the months learned from; the interval of a fold comes from
the errors of the fold before (split conformal, in shares), so nothing looks ahead.

"Seasonal, grown" is a rule without learning: the months of a year ago times the growth since. On a
series so short and regular networks find that, and little more; and epochs and sizes were chosen
with sight of these months, which flatters them. The recipe `forecast-airline` chooses them on
earlier months, and AR(24) is then ahead.

Run `python examples/sequences/forecasting.py`; `--figure FILE` draws the last fold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

import narae
from narae.data import DataLoader
from narae.optim import AdamW
from narae.optim.lr_scheduler import OneCycleLR
from narae.series import (
    Autoregression,
    Forecaster,
    Naive,
    Scaling,
    SeasonalNaive,
    airline_passengers,
    body_of,
    conformal_interval,
    coverage_of,
    draw_forecast,
    forecast_direct,
    forecast_recursive,
    mae,
    mase,
    rmse,
    smape,
    walk_forward,
    windows,
)
from narae.series.networks import KINDS

PAST, AHEAD, SEASON, COVERAGE, EPOCHS = 24, 12, 12, 0.8, 60
Array = np.ndarray
Model = Callable[[Array, Array], Array]  # (training months, pasts) -> forecasts


def autoregression(order: int, ahead: int) -> Model:
    """AR(τ) of the logarithms."""

    def tell(training: Array, past: Array) -> Array:
        model = Autoregression.fit(np.log(training[:, 0]), order, ahead)
        return np.exp(model.forecast(np.log(past), AHEAD))

    return tell


def grown(_: Array, past: Array) -> Array:
    """The months of a year ago, times the growth since: no learning, but what networks see."""
    growth = past[:, -1:] / past[:, -1 - SEASON : -SEASON]  # (windows, 1, 1)
    return growth * SeasonalNaive(SEASON).forecast(past, AHEAD)


def network(kind: str, ahead: int, epochs: int, seed: int) -> Model:
    """A network that tells `ahead` months at once, and more of them from what it told."""

    def tell(training: Array, past: Array) -> Array:
        narae.manual_seed(seed)
        body = body_of(kind, 1, width=32, layers=3 if kind == "tcn" else 1)
        scaling = Scaling.fit(training, log=True)
        model = Forecaster(body, ahead, scaling, season=SEASON, relative=True)
        learn(model, windows(training, PAST, ahead), epochs)
        if ahead == AHEAD:
            return forecast_direct(model, past)
        return forecast_recursive(model, past, AHEAD)

    return tell


def learn(model: Forecaster, pairs: object, epochs: int) -> None:
    """Make the mean share small by which forecasts are off."""
    loader = DataLoader(pairs.dataset(), 16, shuffle=True, drop_last=True)
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    schedule = OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(loader))

    def step(past: narae.Tensor, future: narae.Tensor) -> None:
        (model(past).log() - future.log()).abs().mean().backward()
        narae.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    compiled = narae.compile(step)
    for _ in range(epochs):
        for batch in loader:
            compiled(*batch)
            schedule.step()


def models_of(epochs: int, seed: int) -> dict[str, Model]:
    naive = {"naive": Naive(), "seasonal naive": SeasonalNaive(SEASON)}
    return {
        **{name: lambda _, past, x=x: x.forecast(past, AHEAD) for name, x in naive.items()},
        "seasonal, grown": grown,
        "AR(1), Markov": autoregression(1, 1),
        f"AR({PAST}), recursive": autoregression(PAST, 1),
        f"AR({PAST}), direct": autoregression(PAST, AHEAD),
        **{f"{kind}, direct": network(kind, AHEAD, epochs, seed) for kind in KINDS},
        "gru, recursive": network("gru", 1, epochs, seed),
    }


def walk(values: Array, model: Model) -> dict[str, object]:
    """Errors of all folds together, coverage of intervals, and what to draw of the last fold."""
    targets, told, scaled, covered, residuals = [], [], [], [], None
    for train, test in walk_forward(len(values), folds=3, test_size=24):
        training = values[: train.stop]
        found = windows(values[: test.stop], PAST, AHEAD, begin=test.start)
        forecast = model(training, found.past)
        logs, interval = np.log(forecast), None
        if residuals is not None:
            interval = conformal_interval(logs, residuals, COVERAGE)
            covered.append(coverage_of(np.log(found.future), interval))
        residuals = np.log(found.future) - logs
        scaled.append(mase(found.future, forecast, training[:, 0], SEASON))
        targets.append(found.future)
        told.append(forecast)
    both = np.concatenate(targets), np.concatenate(told)
    return {
        "MAE": mae(*both),
        "RMSE": rmse(*both),
        "sMAPE %": 100 * smape(*both),
        "MASE": np.mean(scaled),
        "inside %": 100 * np.mean(covered),
        "last": (forecast[0, :, 0], [np.exp(x[0, :, 0]) for x in interval]),
    }


def draw(path: str, series: object, results: dict[str, dict[str, object]], name: str) -> None:
    cut = len(series) - 24
    forecast, interval = results[name]["last"]
    draw_forecast(
        path,
        series.values[cut - 48 : cut, 0],
        forecast,
        target=series.values[cut : cut + AHEAD, 0],
        interval=tuple(interval),
        others={"seasonal naive": results["seasonal naive"]["last"][0]},
        dates=series.dates[cut - 48 : cut + AHEAD],
        title=f"12 months of passengers; the interval shall hold {COVERAGE:.0%}",
        unit="thousands",
        label=name,
    )


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, object]]:
    parser = argparse.ArgumentParser(description="models that forecast, side by side")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes of each network")
    parser.add_argument("--seed", type=int, default=0, help="of the networks' weights")
    parser.add_argument("--figure", help="a file to draw to")
    chosen = parser.parse_args(argv)
    series = airline_passengers(download=True)
    columns = ("MAE", "RMSE", "sMAPE %", "MASE", "inside %")
    print(f"{'':18}" + "".join(f"{column:>10}" for column in columns))
    results = {}
    for name, model in models_of(chosen.epochs, chosen.seed).items():
        results[name] = walk(series.values, model)
        numbers = (results[name][column] for column in columns)
        print(f"{name:18}" + "".join(f"{x:10.2f}" for x in numbers), flush=True)
    if chosen.figure:
        draw(chosen.figure, series, results, "lstm, direct")
    return results


if __name__ == "__main__":
    main()
