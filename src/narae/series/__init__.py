"""Series in time: reading, windows, models that tell what comes next, and how far they are off.

from narae.series import airline_passengers, windows, SeasonalNaive, mae
"""

from .autoregression import Autoregression, order_curve
from .baselines import Naive, SeasonalNaive, baseline_errors
from .csv_file import read_series
from .forecasting import forecast_direct, forecast_recursive
from .gaps import break_at_gaps, treat_missing
from .intervals import conformal_interval, coverage_of, residual_interval
from .latent import LinearRecurrence, latent_autoregression
from .metrics import mae, mape, mase, rmse, smape
from .networks import CausalTransformer, Forecaster, Recurrent, body_of
from .plots import draw_forecast
from .scaling import Scaling
from .sources import airline_passengers, minimum_temperatures, pollution, sunspots
from .splits import walk_forward
from .table import Missing, Series
from .tcn import CausalConv1d, TemporalConvNet
from .windows import Windows, windows

__all__ = [
    "Autoregression",
    "CausalConv1d",
    "CausalTransformer",
    "Forecaster",
    "LinearRecurrence",
    "Missing",
    "Naive",
    "Recurrent",
    "Scaling",
    "SeasonalNaive",
    "Series",
    "TemporalConvNet",
    "Windows",
    "airline_passengers",
    "baseline_errors",
    "body_of",
    "break_at_gaps",
    "conformal_interval",
    "coverage_of",
    "draw_forecast",
    "forecast_direct",
    "forecast_recursive",
    "latent_autoregression",
    "mae",
    "mape",
    "mase",
    "minimum_temperatures",
    "order_curve",
    "pollution",
    "read_series",
    "residual_interval",
    "rmse",
    "smape",
    "sunspots",
    "treat_missing",
    "walk_forward",
    "windows",
]
