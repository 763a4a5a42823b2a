"""How sure a forecast is: intervals from the errors on data that was not learned from."""

import math

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain

from .table import Floats

Interval = tuple[Floats, Floats]


def residual_interval(forecast: Floats, residuals: Floats, coverage: float = 0.9) -> Interval:
    """The forecast plus quantiles of earlier errors, for each step; it may lean to one side.

    Args:
        forecast: (..., steps, targets).
        residuals: target - forecast, (windows, steps, targets), of rows not learned from.
        coverage: the share of targets that shall lie inside.

    Returns:
        (low, high), of the forecast's shape.

    Raises:
        ConfigError: if the coverage is not between 0 and 1.
        DataError, ShapeError: if residuals are missing or do not fit.

    Example:
        >>> low, high = residual_interval(np.zeros((1, 1)), np.arange(11.0).reshape(11, 1, 1), 0.8)
        >>> round(low.item(), 6), round(high.item(), 6)
        (1.0, 9.0)
    """
    _check(forecast, residuals, coverage)
    tail = (1 - coverage) / 2
    low, high = np.quantile(residuals, [tail, 1 - tail], axis=0)  # each (steps, targets)
    return forecast + low, forecast + high


def conformal_interval(forecast: Floats, residuals: Floats, coverage: float = 0.9) -> Interval:
    """The forecast ± the ⌈(n + 1) coverage⌉-th smallest of n earlier errors, for each step.

    If the errors to come are exchangeable with those, at least this share of targets lies inside,
    whatever their distribution (split conformal prediction; Lei et al., "Distribution-Free
    Predictive Inference for Regression", JASA 2018, theorem 2.2). Those of a series seldom are
    exactly: measure with `coverage_of`.

    Args:
        forecast: (..., steps, targets).
        residuals: target - forecast, (windows, steps, targets), of rows not learned from.
        coverage: the share of targets that shall lie inside.

    Returns:
        (low, high), of the forecast's shape.

    Raises:
        ConfigError: if the coverage is not between 0 and 1.
        DataError, ShapeError: if residuals are too few or do not fit.

    Example:
        >>> low, high = conformal_interval(np.zeros((1, 1)), np.arange(9.0).reshape(9, 1, 1), 0.8)
        >>> low.item(), high.item()
        (-7.0, 7.0)
    """
    _check(forecast, residuals, coverage)
    count = len(residuals)
    place = math.ceil(round((count + 1) * coverage, 9))  # 0.9 · 10 is 9, not a little more
    if place > count:
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        given, rule = f"{count} residuals for a coverage of {coverage}", f"{needed} are needed"
        raise DataError(explain("conformal_interval", given, rule))
    width = np.sort(np.abs(residuals), axis=0)[place - 1]  # (steps, targets)
    return forecast - width, forecast + width


def coverage_of(target: Floats, interval: Interval) -> float:
    """The share of targets that lie inside.

    Raises:
        DataError: if a target or an end is NaN: it lies neither inside nor outside.
        ShapeError: if the shapes are not the same, or there are no targets.

    >>> coverage_of(np.array([1.0, 5.0]), (np.zeros(2), np.full(2, 2.0)))
    0.5
    """
    low, high = interval
    shapes = np.shape(target), np.shape(low), np.shape(high)
    if len(set(shapes)) > 1 or not np.size(target):
        given = f"target, low and high are {', '.join(map(str, shapes))}"
        raise ShapeError(explain("coverage_of", given, "one shape, and some values"))
    if np.isnan([target, low, high]).any():
        given = "a target or an end of an interval is NaN"
        raise DataError(explain("coverage_of", given, "there are none", "leave such places out"))
    return float(((low <= target) & (target <= high)).mean())


def _check(forecast: Floats, residuals: Floats, coverage: float) -> None:
    if not 0 < coverage < 1:
        given = f"coverage is {coverage}"
        raise ConfigError(explain("interval", given, "it lies between 0 and 1"))
    if not len(residuals) or not np.isfinite(residuals).all():
        given = "no residuals" if not len(residuals) else "a residual is NaN or infinite"
        raise DataError(explain("interval", given, "there are errors to learn from"))
    if np.ndim(residuals) != 3 or np.shape(residuals)[1:] != np.shape(forecast)[-2:]:
        given = f"residuals are {np.shape(residuals)}, the forecast is {np.shape(forecast)}"
        rule = "residuals are (windows, steps, targets) of the forecast's steps and targets"
        raise ShapeError(explain("interval", given, rule))
