"""A series: values in time, by column, with what is known about those that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DataError, explain

from .dates import FORM, parse_date

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Missing:
    """How many values were missing, and what was done about them.

    Attributes:
        rows: how many rows there were.
        counts: missing values by column; columns without any are not in it.
        treatment: "raise", "drop", "forward", "interpolate" or "mask".
        left_out: rows that are not in the series.

    >>> print(Missing(100, {"pm2.5": 7}, "forward", 2))
    100 rows, missing: 7 of pm2.5 (forward; 2 rows left out)
    """

    rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    treatment: str = "raise"
    left_out: int = 0

    def __str__(self) -> str:
        if not self.counts:
            return f"{self.rows:,} rows, nothing missing"
        counts = ", ".join(f"{count:,} of {name}" for name, count in self.counts.items())
        left = f"; {self.left_out:,} rows left out" if self.left_out else ""
        return f"{self.rows:,} rows, missing: {counts} ({self.treatment}{left})"


@dataclass(frozen=True)
class Series:
    """Values in the order of time.

    Attributes:
        values: (time, columns), float64; NaN where a value is missing.
        names: of the columns.
        dates: (time,), datetime64[s], each later than the one before; None where rows are numbered.
        breaks: (time,), True at rows that do not follow on the row before, as rows between them
            were left out; no window goes over such a place.
        missing: what was missing in the file.

    Raises:
        DataError: if it is empty, a name comes twice, or the sizes do not fit together.

    Example:
        >>> series = Series(np.arange(6.0).reshape(3, 2), ("a", "b"))
        >>> len(series), series.column("b").tolist()
        (3, [1.0, 3.0, 5.0])
    """

    values: Floats
    names: tuple[str, ...]
    dates: Array | None = None
    breaks: Array | None = None
    missing: Missing = Missing(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, np.float64))
        shape = self.values.shape
        if len(shape) != 2 or shape[1] != len(self.names):
            given = f"values are {shape} for {len(self.names)} names"
            raise DataError(explain("Series", given, "values are (time, columns)"))
        if not self.values.size:
            given = f"there are no {'rows' if self.names else 'columns'}"
            raise DataError(explain("Series", given, "a series has at least one"))
        if len(set(self.names)) < len(self.names):
            raise DataError(explain("Series", f"names are {self.names}", "each comes once"))
        for name in ("dates", "breaks"):
            found = getattr(self, name)
            if found is not None and found.shape != shape[:1]:
                given = f"{name} are {found.shape} for {shape[0]} rows"
                raise DataError(explain("Series", given, "there is one for each row"))

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> Floats:
        """The values of a column, (time,).

        Raises:
            ConfigError: if there is no such column.
        """
        return self.values[:, self._place(name)]

    def _place(self, name: str) -> int:
        if name not in self.names:
            given, rule = f"there is no column {name!r}", f"columns are {', '.join(self.names)}"
            raise ConfigError(explain("Series", given, rule))
        return self.names.index(name)

    def select(self, *names: str) -> "Series":
        """The same series with these columns alone, in this order."""
        places = [self._place(name) for name in names]
        return Series(self.values[:, places], names, self.dates, self.breaks, self.missing)

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """True where there is a value, (time, columns)."""
        return ~np.isnan(self.values)

    def row_of(self, date: str) -> int:
        """The first row at this date or later: where to cut a series in time.

        Args:
            date: ISO 8601, such as "2014", "2014-01-31" or "2014-01-31T12:00".

        Raises:
            ConfigError: if it is no date, rows have none, or all are earlier, or all are later.
        """
        if self.dates is None:
            given = f"row_of({date!r}) of a series without dates"
            raise ConfigError(explain("Series", given, "rows are numbered", "name a row instead"))
        try:
            sought, _ = parse_date(date)
        except ValueError as error:
            rule = f"it has the form {FORM}"
            raise ConfigError(explain("Series", f"the date is {date!r}", rule)) from error
        place = int(np.searchsorted(self.dates, sought))
        if not 0 < place < len(self):
            given, rule = f"{date} is not inside", f"dates are {self.dates[0]} to {self.dates[-1]}"
            raise ConfigError(explain("Series", given, rule))
        return place
