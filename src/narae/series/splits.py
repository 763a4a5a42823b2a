"""Walk forward: learn from the past, be judged by what comes next, and go on."""

from collections.abc import Iterator

from narae.base.errors import ConfigError, DataError, explain


def walk_forward(
    length: int, folds: int = 5, test_size: int = 0, gap: int = 0, max_train_size: int = 0
) -> Iterator[tuple[range, range]]:
    """Rows to learn from and rows to be judged by, fold by fold; the latter are always later.

    The same as scikit-learn's `TimeSeriesSplit`, without its arrays.

    Args:
        length: rows of the series.
        folds: how many.
        test_size: rows in each test; by default length // (folds + 1).
        gap: rows between both that neither has, such as windows that look ahead would share.
        max_train_size: the most rows to learn from, the latest; 0 for all.

    Raises:
        ConfigError: for sizes that make no sense.
        DataError: if the series is too short.

    Example:
        >>> [(len(train), test) for train, test in walk_forward(8, folds=3)]
        [(2, range(2, 4)), (4, range(4, 6)), (6, range(6, 8))]
    """
    if folds < 1 or min(test_size, gap, max_train_size) < 0:
        given = f"folds={folds}, test_size={test_size}, gap={gap}, max_train_size={max_train_size}"
        raise ConfigError(explain("walk_forward", given, "folds are at least 1, sizes at least 0"))
    size = test_size or length // (folds + 1)
    if size < 1 or length - folds * size - gap < 1:
        given = f"{length} rows for {folds} tests of {size} rows after a gap of {gap}"
        rule = "the first fold has a row to learn from"
        raise DataError(explain("walk_forward", given, rule, "fewer folds or smaller tests"))
    return _folds(length, folds, size, gap, max_train_size)


def _folds(
    length: int, folds: int, size: int, gap: int, most: int
) -> Iterator[tuple[range, range]]:
    for begin in range(length - folds * size, length, size):
        end = begin - gap
        yield range(max(0, end - most) if most else 0, end), range(begin, begin + size)
