"""Forecasts without learning, which each model has to beat."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain

from .metrics import mae
from .table import Floats


@dataclass(frozen=True)
class SeasonalNaive:
    """What was a season ago, again and again.

    Attributes:
        season: rows in a season, such as 12 months or 24 hours.

    Example:
        >>> past = np.array([[1.0], [2.0], [3.0]])
        >>> SeasonalNaive(2).forecast(past, steps=3).ravel().tolist()
        [2.0, 3.0, 2.0]
    """

    season: int = 1

    def __post_init__(self) -> None:
        if self.season < 1:
            given = f"season is {self.season}"
            raise ConfigError(explain("SeasonalNaive", given, "it is at least 1"))

    def forecast(self, past: Floats, steps: int = 1) -> Floats:
        """Tell the next steps.

        Args:
            past: (..., time, columns), with a season at least.
            steps: how many.

        Returns:
            (..., steps, columns).

        Raises:
            ConfigError: if steps are below 1.
            DataError: if the past is shorter than a season.
            ShapeError: if it has no columns.
        """
        past = np.asarray(past, np.float64)
        if steps < 1:
            raise ConfigError(explain("SeasonalNaive", f"{steps} steps", "at least 1"))
        if past.ndim < 2:
            given = f"the past is {past.shape}"
            raise ShapeError(explain("SeasonalNaive", given, "it is (..., time, columns)"))
        if past.shape[-2] < self.season:
            given = f"{past.shape[-2]} rows of past, a season has {self.season}"
            raise DataError(explain("SeasonalNaive", given, "the past holds a season at least"))
        last = past[..., past.shape[-2] - self.season :, :]  # (..., season, columns)
        return last[..., np.arange(steps) % self.season, :]


class Naive(SeasonalNaive):
    """The last value, again and again."""

    def __init__(self) -> None:
        super().__init__(1)


def baseline_errors(batches: Iterable[Any], season: int) -> dict[str, float]:
    """Mean absolute errors of both forecasts on batches (past, future): what a model has to beat.

    Args:
        batches: pairs of tensors (batch, time, columns) and (batch, ahead, targets), as
            `Windows.dataset` gives.
        season: rows in a season.

    Returns:
        "naive_mae" and "seasonal_mae".

    Raises:
        DataError: if there are no batches, or the past is shorter than a season.
    """
    parts = tuple(zip(*batches, strict=True))
    if not parts:
        raise DataError(explain("baseline_errors", "no batches", "there is at least one"))
    pasts, futures = ([np.asarray(x, np.float64) for x in part] for part in parts)
    future = np.concatenate(futures)  # (windows, ahead, targets)
    past = np.concatenate(pasts)[..., : future.shape[2]]
    models = {"naive_mae": Naive(), "seasonal_mae": SeasonalNaive(season)}
    return {
        name: mae(future, model.forecast(past, future.shape[1])) for name, model in models.items()
    }
