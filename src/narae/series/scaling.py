"""Scaling by numbers that the training part alone decides."""

from dataclasses import dataclass

import numpy as np

from narae.base.errors import DataError, ShapeError, explain

from .table import Floats


@dataclass(frozen=True)
class Scaling:
    """Columns with mean 0 and standard deviation 1, or their logarithms.

    z = (x - mean) / std, or z = (log x - mean) / std.

    Attributes:
        mean, std: (columns,).
        log: whether logarithms are taken first: what grows by shares then grows by steps.

    Example:
        >>> values = np.array([[1.0], [3.0], [100.0]])
        >>> scaling = Scaling.fit(values[:2])  # the third row is the future
        >>> scaling.apply(values).ravel().tolist()
        [-1.0, 1.0, 98.0]
        >>> scaling.undo(np.array([[0.0]])).tolist()
        [[2.0]]
    """

    mean: Floats
    std: Floats
    log: bool = False

    @classmethod
    def fit(cls, training: Floats, log: bool = False) -> "Scaling":
        """Take the means and deviations of the training part; missing values are passed over.

        Args:
            training: (time, columns): rows to learn from, and no others.
            log: whether to take logarithms first.

        Raises:
            DataError: if there are no rows, a column is constant, has no value, or has one that
                has no logarithm.
        """
        _check_columns(training)
        values = _logarithms(training) if log else np.asarray(training, np.float64)
        if not len(values) or np.isnan(values).all(axis=0).any():
            raise DataError(explain("Scaling", "a column has no values", "there are some to fit"))
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        flat = std <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        if flat.any():
            place = int(flat.argmax())
            given = f"column {place} is constant ({training[0, place]})"
            rule = "a deviation to divide by must be above 0"
            raise DataError(explain("Scaling", given, rule, "leave the column out"))
        return cls(mean, std, log)

    def apply(self, values: Floats) -> Floats:
        """Scale values, (..., columns)."""
        values = _logarithms(values) if self.log else values
        return (values - self.mean) / self.std

    def undo(self, scaled: Floats) -> Floats:
        """Back to the units of the series, (..., columns); fewer columns are the first ones."""
        columns = scaled.shape[-1]
        values = scaled * self.std[:columns] + self.mean[:columns]
        return np.exp(values) if self.log else values


def _check_columns(values: Floats) -> None:
    if np.ndim(values) != 2:
        given = f"values are {np.shape(values)}"
        raise ShapeError(explain("Scaling", given, "they are (time, columns)", "x[:, None]?"))


def _logarithms(values: Floats) -> Floats:
    if (values <= 0).any():
        given = f"a value is {np.nanmin(values)}"
        raise DataError(explain("Scaling", given, "logarithms need positive values", "log=False"))
    return np.log(values)
