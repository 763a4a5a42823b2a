"""A table as a data set: pandas' `DataFrame`, or anything that looks like one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.dtypes import DType, as_numpy, default_dtype
from narae.base.errors import BoundsError, DataError, DTypeError, explain
from narae.tensors.creation import from_numpy

from .dataset import TensorDataset

Array = npt.NDArray[Any]


class FrameDataset(TensorDataset):
    """The rows of a table as samples (x, y).

    Attributes:
        features: the names of the columns of x.
        target: the name of the column that y is; None if there is no y.
        classes: what each class number of y stands for; empty if y is numbers.
    """

    features: list[Any]
    target: Any
    classes: list[Any]


def from_dataframe(
    frame: Any,
    target: Any = None,
    features: Sequence[Any] | None = None,
    dtype: DType | None = None,
) -> FrameDataset:
    """Make a data set of the rows of a table.

    Args:
        frame: has `columns`, and gives each by `frame[name]`, as pandas' DataFrame does.
        target: the column to predict. Floating point numbers stay what they are; whole numbers
            become int64; texts and categories become class numbers in sorted order.
        features: the columns to predict from; all others if None.
        dtype: of x (and of a floating point target); float32 unless told otherwise.

    Returns:
        Samples (x, y), x (features,), or (x,) without a target.

    Raises:
        BoundsError: for a column that is not there.
        DataError: for a missing value; the message names column and row.
        DTypeError: for a column of x that is not numbers.

    >>> table = {"height": [1.6, 1.8], "name": ["Kim", "Lee"]}
    >>> class Table(dict):
    ...     columns = property(list)
    >>> data = from_dataframe(Table(table), target="name")
    >>> data[1], data.classes
    ((tensor([1.8000]), tensor(1)), ['Kim', 'Lee'])
    """
    columns = list(frame.columns)
    chosen = [name for name in columns if name != target] if features is None else list(features)
    for name in [*chosen, *([] if target is None else [target])]:
        _check_known(name, columns)
    if not chosen:
        rule = "a sample has at least one number to predict from"
        raise DataError(explain("from_dataframe", "there is no column of features", rule))
    wanted = default_dtype() if dtype is None else as_numpy(dtype)
    x = np.stack([_numbers(frame, name, wanted) for name in chosen], axis=1)  # (rows, features)
    tensors = [from_numpy(x)]
    classes: list[Any] = []
    if target is not None:
        y, classes = _target(frame, target, wanted)
        tensors.append(from_numpy(y))
    dataset = FrameDataset(*tensors)
    dataset.features, dataset.target, dataset.classes = chosen, target, classes
    return dataset


def _check_known(name: Any, columns: Sequence[Any]) -> None:
    if columns.count(name) != 1:
        given = f"{name!r} is the name of {columns.count(name)} columns"
        rule = f"the columns are {', '.join(map(repr, columns))}"
        raise BoundsError(explain("from_dataframe", given, rule, "check the name"))


def _numbers(frame: Any, name: Any, dtype: Any) -> Array:
    """A column of x."""
    values = _column(frame, name)
    if values.dtype.kind not in "biuf":
        given = f"the column {name!r} holds {values.dtype}, such as {values.flat[0]!r}"
        fix = "leave it out with features=[...], or turn it into numbers: pandas.get_dummies(frame)"
        raise DTypeError(explain("from_dataframe", given, "features are numbers", fix))
    return np.ascontiguousarray(values, dtype)


def _target(frame: Any, name: Any, dtype: Any) -> tuple[Array, list[Any]]:
    values = _column(frame, name)
    if values.dtype.kind in "biu":
        return values.astype(np.int64), []
    if values.dtype.kind == "f":
        return values.astype(dtype), []
    classes, numbers = np.unique(values.astype(str), return_inverse=True)
    return numbers.astype(np.int64), classes.tolist()


def _column(frame: Any, name: Any) -> Array:
    """A column without missing values, (rows,)."""
    column = frame[name]
    values = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    missing = _missing_in(values)
    if missing.any():
        given = f"the column {name!r} has no value in row {int(missing.argmax())}"
        given += f" and {int(missing.sum()) - 1} more" if missing.sum() > 1 else ""
        fix = "frame.dropna(), or frame.fillna(...) with a value that you chose"
        raise DataError(explain("from_dataframe", given, "every sample is whole", fix))
    return values.astype(np.float64) if _is_objects_of_numbers(values) else values


def _missing_in(values: Array) -> Array:
    if values.dtype.kind in "biuSU":
        return np.zeros(len(values), bool)
    if values.dtype.kind in "fmM":
        return np.isnan(values)
    return np.array([_is_missing(value) for value in values], bool)


def _is_missing(value: Any) -> bool:
    """None, pandas' NA and NaT, and NaN, which alone differs from itself."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _is_objects_of_numbers(values: Array) -> bool:
    """Whether an object array is one of numbers only, as pandas' nullable columns give."""
    kinds = (int, float, np.number, np.bool_)
    return values.dtype == object and all(isinstance(value, kinds) for value in values)
