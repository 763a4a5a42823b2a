"""Windows: a piece of the past, and the future that follows on it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DataError, ShapeError, explain
from narae.data import TensorDataset
from narae.tensors.creation import from_numpy

from .table import Floats, Series


@dataclass(frozen=True)
class Windows:
    """What is known, and what is to be told from it.

    Attributes:
        past: (windows, past, columns).
        future: (windows, ahead, targets).
        rows: the row of the series that is the first of each future, (windows,).
        left_out: windows that would hold missing or infinite values, or a break.
    """

    past: Floats
    future: Floats
    rows: npt.NDArray[np.int64]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def dataset(self) -> TensorDataset:
        """Pairs (past, future) as float32, to be loaded in batches."""
        arrays = (np.asarray(each, np.float32) for each in (self.past, self.future))
        return TensorDataset(*map(from_numpy, arrays))


def windows(
    series: Series | Floats,
    past: int,
    ahead: int = 1,
    *,
    begin: int = 0,
    end: int | None = None,
    stride: int = 1,
    targets: int | None = None,
) -> Windows:
    """All windows whose future lies in rows begin to end.

    The past of a test window may reach back into the training part, as it would in use; its
    future never does. So `end=cut` for training and `begin=cut` for testing share no target.

    Args:
        series: (time,), (time, columns), or a `Series`; windows with NaN or infinite values, or
            over a break, are left out and counted.
        past: rows to look back.
        ahead: rows to look ahead.
        begin, end: rows that futures are from; by default from the first to the last.
        stride: rows from window to window.
        targets: how many of the first columns are to be told; by default all.

    Raises:
        ConfigError: for sizes below 1, a place outside the series, or more targets than columns.
        ShapeError: if the series is neither (time,) nor (time, columns).
        DataError: if the series is too short for a window, or each would hold missing values.

    Example:
        >>> found = windows(np.arange(6.0), past=3, ahead=2)
        >>> found.past[..., 0].tolist(), found.future[..., 0].tolist()
        ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0, 4.0], [4.0, 5.0]])
    """
    values = series.values if isinstance(series, Series) else np.asarray(series, np.float64)
    values = values[:, None] if values.ndim == 1 else values  # (time, columns)
    end, targets = _default(end, len(values)), _default(targets, values.shape[-1])
    _check_columns(values.shape, targets)
    _check(len(values), past, ahead, begin, end, stride)
    rows = np.arange(max(begin, past), end - ahead + 1, stride)
    whole: npt.NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    breaks = series.breaks if isinstance(series, Series) else None
    kept = rows[_unbroken(rows, past, ahead, whole, breaks)]
    if not len(kept):
        given = f"all {len(rows)} windows hold missing values or go over a break"
        fix = 'shorter windows, or missing="forward"'
        raise DataError(explain("windows", given, "at least one is whole", fix))
    steps = np.arange(-past, ahead)
    found = values[kept[:, None] + steps]  # (windows, past + ahead, columns)
    future = found[:, past:, :targets]
    return Windows(found[:, :past], future, kept, len(rows) - len(kept))


def _default(number: int | None, otherwise: int) -> int:
    return otherwise if number is None else number


def _check_columns(shape: tuple[int, ...], targets: int) -> None:
    if len(shape) != 2:
        given = f"the series is {shape}"
        raise ShapeError(explain("windows", given, "it is (time,) or (time, columns)"))
    if not 1 <= targets <= shape[1]:
        given, rule = f"targets is {targets}", f"it is 1 to {shape[1]}, the number of columns"
        raise ConfigError(explain("windows", given, rule))


def _check(length: int, past: int, ahead: int, begin: int, end: int, stride: int) -> None:
    for name, number in (("past", past), ("ahead", ahead), ("stride", stride)):
        if number < 1:
            raise ConfigError(explain("windows", f"{name} is {number}", "it is at least 1"))
    if not 0 <= begin <= end <= length:
        given, rule = f"rows {begin} to {end}", f"they lie in a series of {length} rows"
        raise ConfigError(explain("windows", given, rule))
    if max(begin, past) + ahead > end:
        given = f"{past} rows of past and {ahead} ahead, futures in rows {begin} to {end}"
        rule = f"a window fits into the series of {length} rows"
        raise DataError(explain("windows", given, rule, "shorter windows or more data"))


def _unbroken(
    rows: npt.NDArray[np.int64],
    past: int,
    ahead: int,
    whole: npt.NDArray[np.bool_],
    breaks: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.bool_]:
    """Whether each window has all its values, and no break after its first row."""
    first, last = rows - past, rows + ahead
    absent = np.concatenate([[0], np.cumsum(~whole)])  # (time + 1,): missing before each row
    good: npt.NDArray[np.bool_] = absent[last] == absent[first]
    if breaks is not None:
        broken = np.concatenate([[0], np.cumsum(breaks)])
        good &= broken[last] == broken[first + 1]
    return good
