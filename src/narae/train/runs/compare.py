"""Two or more runs against each other: settings that differ, and the final numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..progress import format_metric, format_seconds
from .table import RunRow, known, word_of

_NONE = "–"


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The settings that are not the same everywhere, with their values; None where there is none.

    >>> differing([{"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 0}])
    {'lr': [0.1, 0.2]}
    """
    names = dict.fromkeys(name for one in settings for name in one)
    columns = {name: [one.get(name) for one in settings] for name in names}
    return {name: found for name, found in columns.items() if any(x != found[0] for x in found)}


def comparison(rows: Sequence[RunRow]) -> dict[str, Any]:
    """What differs, for JSON: settings, numbers and the rest, each a list in the order of runs."""
    names = dict.fromkeys(name for row in rows for name in row.numbers)
    return {
        "runs": [str(row.path) for row in rows],
        "settings": differing([{"recipe": row.recipe, **row.settings} for row in rows]),
        "numbers": {name: [known(row.numbers.get(name)) for row in rows] for name in names},
        "best": [None if row.best is None else vars(row.best) for row in rows],
        "gap": [known(row.gap) for row in rows],
        "seconds": [known(row.seconds) for row in rows],
    }


def comparison_table(rows: Sequence[RunRow]) -> list[list[str]]:
    """Cells of the comparison: a column for each run, its head first."""
    found = comparison(rows)
    names = [row.path.name for row in rows]
    if len(set(names)) < len(names):
        names = [str(row.path) for row in rows]
    table = [["", *names]]
    table.append(["status", *(f"{row.status}, {row.epochs}/{row.of} epochs" for row in rows)])
    for name, values in found["settings"].items():
        table.append([name, *(_NONE if x is None else word_of(x) for x in values)])
    for name, values in found["numbers"].items():
        table.append([name, *(_number(name, x) for x in values)])
    table.append(["best", *(_best(row) for row in rows)])
    table.append(["gap", *(_gap(row) for row in rows)])
    times = (row.seconds for row in rows)
    table.append(["time", *(_NONE if math.isnan(x) else format_seconds(x) for x in times)])
    return table


def _best(row: RunRow) -> str:
    best = row.best
    if best is None:
        return _NONE
    return f"{best.name} {_number(best.name, best.value)} (epoch {best.epoch})"


def _gap(row: RunRow) -> str:
    return _NONE if row.best is None else _number(row.best.name, row.gap)


def _number(name: str, value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else format_metric(name, value)
