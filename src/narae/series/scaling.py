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

    Raises:
        DataError: if a number is infinite or NaN, or a deviation is not above 0.
        ShapeError: if they are not one of each for each column.

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

    def __post_init__(self) -> None:
        shapes = np.shape(self.mean), np.shape(self.std)
        if shapes[0] != shapes[1] or len(shapes[0]) != 1:
            given = f"mean is {shapes[0]}, std is {shapes[1]}"
            raise ShapeError(explain("Scaling", given, "both are (columns,)"))
        if not (np.isfinite([self.mean, self.std]).all() and np.all(np.asarray(self.std) > 0)):
            given = f"mean is {self.mean}, std is {self.std}"
            raise DataError(explain("Scaling", given, "they are finite, each std is above 0"))

    @classmethod
    def fit(cls, training: Floats, log: bool = False) -> "Scaling":
        """Take the means and deviations of the training part; missing values are passed over.

        Args:
            training: (time, columns): rows to learn from, and no others.
            log: whether to take logarithms first.

        Raises:
            DataError: if there are no rows, a column is constant, has no value, or has one that is
                infinite or has no logarithm.
            ShapeError: if the rows are not (time, columns).
        """
        training = np.asarray(training, np.float64)
        _check_training(training)
        values = _logarithms(training) if log else training
        if not len(values) or np.isnan(values).all(axis=0).any():
            raise DataError(explain("Scaling", "a column has no values", "there are some to fit"))
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        flat = std <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        if flat.any():
            place = int(flat.argmax())
            given = f"column {place} is constant ({np.nanmin(training[:, place])})"
            rule = "a deviation to divide by must be above 0"
            raise DataError(explain("Scaling", given, rule, "leave the column out"))
        return cls(mean, std, log)

    def apply(self, values: Floats) -> Floats:
        """Scale values, (..., columns).

        Raises:
            DataError: if one has no logarithm.
            ShapeError: for another number of columns.
        """
        values = np.asarray(values, np.float64)
        if values.shape[-1:] != np.shape(self.mean):
            given = f"values are {values.shape}"
            raise ShapeError(explain("Scaling", given, f"they have {len(self.mean)} columns"))
        return ((_logarithms(values) if self.log else values) - self.mean) / self.std

    def undo(self, scaled: Floats) -> Floats:
        """Back to the units of the series, (..., columns); fewer columns are the first ones.

        Raises:
            ShapeError: for more columns than were fitted.
        """
        columns = scaled.shape[-1]
        if columns > len(self.mean):
            given = f"values are {scaled.shape}"
            raise ShapeError(explain("Scaling", given, f"they have {len(self.mean)} columns"))
        values = scaled * self.std[:columns] + self.mean[:columns]
        return np.exp(values) if self.log else values


def _check_training(values: Floats) -> None:
    if values.ndim != 2:
        given = f"values are {values.shape}"
        raise ShapeError(explain("Scaling", given, "they are (time, columns)", "x[:, None]?"))
    if np.isinf(values).any():
        place = int(np.isinf(values).any(axis=0).argmax())
        given = f"column {place} has an infinite value"
        raise DataError(explain("Scaling", given, "values are finite, or NaN where missing"))


def _logarithms(values: Floats) -> Floats:
    if (values <= 0).any():
        given = f"a value is {np.nanmin(values)}"
        raise DataError(explain("Scaling", given, "logarithms need positive values", "log=False"))
    return np.log(values)
