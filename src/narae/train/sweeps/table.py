"""The trials of a sweep, the best first."""

import math
from collections.abc import Sequence

from ..monitor import is_small_better
from ..progress import format_metric, format_seconds
from ..runs.table import RunRow, word_of


def ranked(rows: Sequence[RunRow]) -> list[RunRow]:
    """Rows of trials, the best first; those without a result last."""
    return sorted(rows, key=_goodness)


def _goodness(row: RunRow) -> float:
    if row.best is None or row.status == "failed":
        return math.inf
    return row.best.value if is_small_better(row.best.name) else -row.best.value


def ranking_table(rows: Sequence[RunRow], varied: Sequence[str]) -> list[list[str]]:
    """Cells of the ranked table, its head first.

    Args:
        rows: of the trials.
        varied: the settings that are not the same in all.
    """
    order = ranked(rows)
    name = next((row.best.name for row in order if row.best is not None), "result")
    head = ["rank", "trial", name, "epoch", "gap", "time", *varied]
    return [head, *(_cells(place, row, varied) for place, row in enumerate(order, 1))]


def _cells(place: int, row: RunRow, varied: Sequence[str]) -> list[str]:
    settings = [word_of(_setting(row, key)) for key in varied]
    time = "" if math.isnan(row.seconds) else format_seconds(row.seconds)
    if row.best is None or row.status == "failed":
        return ["", row.path.name, row.status, "", "", time, *settings]
    value = format_metric(row.best.name, row.best.value)
    gap = "" if math.isnan(row.gap) else format_metric(row.best.name, row.gap)
    value += "" if row.status == "finished" else f" ({row.status})"
    return [str(place), row.path.name, value, str(row.best.epoch), gap, time, *settings]


def _setting(row: RunRow, key: str) -> object:
    """A setting by its full name or its short one."""
    names = (name for name in row.settings if key in (name, name.partition(".")[2]))
    return row.settings[next(names)] if row.settings else ""
