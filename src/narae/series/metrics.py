"""How far forecasts are off.

Source: R. J. Hyndman, A. B. Koehler, "Another look at measures of forecast accuracy",
International Journal of Forecasting 22, 2006.
"""

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain

from .table import Floats


def _errors(target: Floats, forecast: Floats) -> Floats:
    target, forecast = np.asarray(target, np.float64), np.asarray(forecast, np.float64)
    if target.shape != forecast.shape or not target.size:
        given = f"target is {target.shape}, forecast is {forecast.shape}"
        raise ShapeError(explain("metrics", given, "both have the same shape and some values"))
    errors = forecast - target
    if not np.isfinite(errors).all():
        given = "a target or forecast is NaN or infinite"
        raise DataError(explain("metrics", given, "errors are finite", "leave such places out"))
    return errors


def mae(target: Floats, forecast: Floats) -> float:
    """The mean absolute error, in units of the series.

    >>> mae([1.0, 2.0], [2.0, 5.0])
    2.0
    """
    return float(np.abs(_errors(target, forecast)).mean())


def rmse(target: Floats, forecast: Floats) -> float:
    """The root of the mean squared error, in units of the series.

    >>> rmse([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    return float(np.sqrt(np.square(_errors(target, forecast)).mean()))


def mape(target: Floats, forecast: Floats) -> float:
    """The mean absolute error as a share of the target: |e| / |y|; 0.1 is 10 %.

    Raises:
        DataError: if a target is 0.

    >>> mape([10.0, 20.0], [11.0, 22.0])
    0.1
    """
    errors = _errors(target, forecast)
    if not np.all(target):
        given, rule = "a target is 0", "a share of 0 has no meaning"
        raise DataError(explain("mape", given, rule, "mae, or mase"))
    return float(np.abs(errors / target).mean())


def smape(target: Floats, forecast: Floats) -> float:
    """The symmetric share, 2 |e| / (|y| + |forecast|), from 0 to 2; 0 where both are 0.

    Several definitions go by this name; this is the one of the M4 competition (S. Makridakis,
    E. Spiliotis, V. Assimakopoulos, International Journal of Forecasting 36, 2020).

    >>> smape([1.0, 0.0], [3.0, 0.0])
    0.5
    """
    errors = np.abs(_errors(target, forecast))
    sums = np.abs(target) + np.abs(forecast)
    shares = np.divide(2 * errors, sums, out=np.zeros_like(errors), where=sums > 0)
    return float(shares.mean())


def mase(target: Floats, forecast: Floats, training: Floats, season: int = 1) -> float:
    """The mean absolute error over that of the (seasonal) naive forecast on the training part.

    Below 1 is better than what "as a season ago" was on the training part (scaled errors of the
    source; with a season as in the M4 competition). Missing values of the training part are
    passed over.

    Args:
        target, forecast: of any shape, the same one.
        training: (time,).
        season: rows in a season; 1 for "as the last value".

    Raises:
        ConfigError: for a season below 1.
        DataError: if the training part is no longer than a season, or constant from one to the
            next.

    >>> mase([5.0], [7.0], [1.0, 2.0, 3.0])
    2.0
    """
    training = np.asarray(training, np.float64)
    if season < 1:
        raise ConfigError(explain("mase", f"season is {season}", "it is at least 1"))
    if training.ndim != 1 or len(training) <= season:
        given = f"training is {training.shape} for a season of {season}"
        raise DataError(explain("mase", given, "it is (time,), longer than a season"))
    moves = np.abs(training[season:] - training[:-season])
    known = moves[~np.isnan(moves)]
    scale = float(known.sum()) / max(1, len(known))
    if not 0 < scale < np.inf:
        given = "the training part is the same in each season, infinite, or missing"
        raise DataError(explain("mase", given, "there is an error to divide by", "mae"))
    return mae(target, forecast) / scale
