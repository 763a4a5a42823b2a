"""What to do about missing values: nothing silently."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DataError, explain

from .table import Floats, Missing, Series

TREATMENTS = ("raise", "drop", "forward", "interpolate", "mask")


def treat_missing(series: Series, treatment: str = "raise") -> Series:
    """A series whose missing values (NaN) were dealt with, and counted in `missing`.

    Args:
        series: with NaN where a value is missing.
        treatment: "raise" an error; "drop" rows; carry the last value "forward"; "interpolate"
            on a straight line between its neighbours in time, which looks into the future, so fill
            each part of the data by itself; "mask": leave NaN, and windows pass over it.

    Nothing is carried or drawn over a break. Rows at the beginning of a piece with nothing to carry
    forward are left out; with "interpolate", so are those at both ends.

    Raises:
        ConfigError: for another treatment.
        DataError: if a value is missing and the treatment is "raise", or nothing is left.

    Example:
        >>> values = np.array([[np.nan], [1.0], [np.nan], [3.0]])
        >>> filled = treat_missing(Series(values, ("x",)), "interpolate")
        >>> filled.values.ravel().tolist(), filled.missing.left_out
        ([1.0, 2.0, 3.0], 1)
    """
    check_treatment(treatment)
    absent = ~series.observed
    totals = absent.sum(axis=0)  # (columns,)
    counts = {name: int(n) for name, n in zip(series.names, totals, strict=True) if n}
    missing = Missing(len(series), counts, treatment)
    series = replace(series, missing=missing)
    if not counts or treatment == "mask":
        return series
    if treatment == "raise":
        first = int(absent.any(axis=1).argmax())
        given = f"{missing}: the first in row {first}"
        fix = f"missing= one of {', '.join(TREATMENTS[1:])}"
        raise DataError(explain("missing values", given, "every value is needed", fix))
    if treatment in _FILLS:
        series = replace(series, values=_filled(series, _FILLS[treatment]))
    return _without_missing(series)


def check_treatment(treatment: str) -> None:
    """Refuse the name of a treatment that there is not."""
    if treatment not in TREATMENTS:
        rule = f"it is one of {', '.join(TREATMENTS)}"
        raise ConfigError(explain("missing values", f"missing is {treatment!r}", rule))


def break_at_gaps(series: Series, longest: timedelta | np.timedelta64) -> Series:
    """A series with a break wherever rows lie further apart, as rows between them are not there.

    Args:
        series: with dates.
        longest: the longest step from a row to the next, such as `np.timedelta64(1, "h")`; for
            months, which are not of one length, 31 days.

    Raises:
        ConfigError: if rows have no dates, or the step is no time above 0.

    Example:
        >>> dates = np.array(["2020-01-01", "2020-01-02", "2020-01-05"], "M8[s]")
        >>> series = Series(np.ones((3, 1)), ("x",), dates)
        >>> break_at_gaps(series, timedelta(days=1)).breaks.tolist()
        [False, False, True]
    """
    if series.dates is None:
        given = "the series has no dates"
        raise ConfigError(explain("break_at_gaps", given, "they tell how far rows are apart"))
    step = np.timedelta64(longest)
    if np.datetime_data(step)[0] in ("Y", "M", "generic") or not step > np.timedelta64(0):
        given, rule = f"longest is {longest!r}", "it is above 0, in weeks, days, hours or smaller"
        raise ConfigError(explain("break_at_gaps", given, rule))
    far = np.diff(series.dates, prepend=series.dates[0]) > step
    return replace(series, breaks=far if series.breaks is None else far | series.breaks)


Fill = Callable[[Floats, npt.NDArray[np.int64]], Floats]


def _filled(series: Series, fill: Fill) -> Floats:
    """The values with each column filled, piece by piece between breaks."""
    at = np.arange(len(series)) if series.dates is None else series.dates.astype(np.int64)
    breaks = np.zeros(len(series), bool) if series.breaks is None else series.breaks
    starts = np.flatnonzero(breaks)
    pieces = zip(np.split(series.values, starts), np.split(at, starts), strict=True)
    filled = [np.stack([fill(column, when) for column in x.T], axis=1) for x, when in pieces]
    return np.concatenate(filled)


def _carried(column: Floats, _: npt.NDArray[np.int64]) -> Floats:
    """Each missing value becomes the last one before it."""
    places = np.where(np.isnan(column), 0, np.arange(len(column)))
    return column[np.maximum.accumulate(places)]


def _interpolated(column: Floats, at: npt.NDArray[np.int64]) -> Floats:
    """Missing values on straight lines between their neighbours; NaN at both ends stays."""
    known = ~np.isnan(column)
    if not known.any():
        return column
    return np.interp(at, at[known], column[known], left=np.nan, right=np.nan)


_FILLS: dict[str, Fill] = {"forward": _carried, "interpolate": _interpolated}


def _without_missing(series: Series) -> Series:
    """Only rows that are whole; a row that no longer follows on the one before is a break."""
    (kept,) = np.nonzero(series.observed.all(axis=1))
    if not len(kept):
        given = f"{series.missing}: no row is whole"
        raise DataError(explain("missing values", given, "some rows must remain"))
    breaks = np.diff(kept, prepend=kept[0] - 1) > 1  # (kept rows,)
    if series.breaks is not None:  # a break inside what was left out is one still
        passed = np.cumsum(series.breaks)[kept]
        breaks |= np.diff(passed, prepend=passed[0]) > 0
    dates = None if series.dates is None else series.dates[kept]
    missing = replace(series.missing, left_out=len(series) - len(kept))
    return Series(series.values[kept], series.names, dates, breaks, missing)
