"""Runs side by side in a table: how far they are, how good, how much they overfit."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain

from ..monitor import best_by, is_better, is_small_better
from ..progress import format_metric, format_seconds
from .folder import History, RunFolder
from .places import RUNS
from .result_file import Best
from .run_file import PLAN

_DEEPEST = 3  # folders below the one that is asked for
_COLUMNS = ("run", "status", "epochs", "best", "gap", "time", "started")


@dataclass(frozen=True)
class RunRow:
    """What a table says of a run.

    Attributes:
        path: its folder.
        status: "running", "stopped", "finished", "failed", or "damaged".
        recipe: its name.
        epochs, of: how many are done, and how many were asked for.
        numbers: the last of each name.
        best: the best epoch so far; None if there is none.
        gap: how much worse the number that decides is on the test data than on the training data,
            as it was while training, in the last epoch: the generalization gap. NaN: not known.
        seconds: how long it took, if it has ended.
        settings, chosen: all settings, and those that are not the recipe's own.
        started: when.
        note: why it failed, or what is damaged.
    """

    path: Path
    status: str
    recipe: str = ""
    epochs: int = 0
    of: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    best: Best | None = None
    gap: float = math.nan
    seconds: float = math.nan
    settings: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in which what is not known is null."""
        best = None if self.best is None else vars(self.best)
        found = {**vars(self), "path": str(self.path), "best": best, "numbers": {}}
        found["numbers"] = {name: known(x) for name, x in self.numbers.items()}
        return found | {"gap": known(self.gap), "seconds": known(self.seconds)}


def find_runs(places: Iterable[Path]) -> list[Path]:
    """The folders of runs that are, or lie in, the places; a name may stand for runs/<name>.

    Raises:
        MissingDataError: for a place that is not there.
    """
    found: dict[Path, None] = {}
    for place in places:
        here = place if place.exists() else RUNS / place
        if not here.is_dir():
            raise MissingDataError(_nowhere(place))
        depths = ("*/" * depth + PLAN for depth in range(_DEEPEST + 1))
        files = sorted(file for pattern in depths for file in here.glob(pattern))
        found |= dict.fromkeys(file.parent for file in files)
    return list(found)


def row_of(path: Path) -> RunRow:
    """What the folder of a run says; a damaged one is a row as well."""
    try:
        return _row(RunFolder(path))
    except (FileFormatError, MissingDataError) as error:
        return RunRow(path, "damaged", note=str(error))


def _row(folder: RunFolder) -> RunRow:
    plan, result, history = folder.plan(), folder.result(), folder.history()
    epochs = len(next(iter(history.values()), []))
    asked = plan.settings.get("epochs", 0)
    numbers = {name: values[-1] for name, values in history.items()}
    best = best_epoch(history, str(plan.settings.get("monitor", "")))
    return RunRow(
        path=folder.path,
        status=folder.status,
        recipe=plan.recipe,
        epochs=epochs,
        of=asked if isinstance(asked, int) else 0,
        numbers=numbers,
        best=best,
        gap=math.nan if best is None else gap_of(best.name, numbers),
        seconds=math.nan if result is None else result.seconds,
        settings=plan.settings,
        chosen=plan.chosen,
        started=plan.started,
        note="" if result is None else result.error,
    )


def best_epoch(history: History, monitor: str = "") -> Best | None:
    """The best epoch by a number, the first of equal ones; None if there is no such number."""
    name = monitor or best_by(dict.fromkeys(history, 0.0))
    best: Best | None = None
    for epoch, value in enumerate(history.get(name, []), 1):
        if not math.isnan(value) and (best is None or is_better(name, value, best.value)):
            best = Best(name, epoch, value)
    return best


def gap_of(name: str, numbers: Mapping[str, float]) -> float:
    """How much worse a number is on the test data than on the training data.

    >>> gap_of("val_accuracy", {"train_accuracy": 1.0, "val_accuracy": 0.75})
    0.25
    >>> gap_of("val_loss", {"train_loss": 0.25, "val_loss": 1.0})
    0.75
    """
    test = numbers.get(name, math.nan)
    train = numbers.get(f"train_{name.removeprefix('val_')}", math.nan)
    return test - train if is_small_better(name) else train - test


def sorted_rows(rows: Sequence[RunRow], key: str) -> list[RunRow]:
    """Rows in the order of a column, a number or a setting; good ones first, unknown ones last.

    Raises:
        ConfigError: if no row has such a thing.
    """
    values = [_value(row, key) for row in rows]
    if all(value is None for value in values):
        known = dict.fromkeys(
            [*_COLUMNS, *(x for row in rows for x in (*row.numbers, *_bare(row)))]
        )
        close = difflib.get_close_matches(key, known, n=1)
        fix = f"did you mean {close[0]}?" if close else ""
        rule = f"rows have {', '.join(known)}"
        raise ConfigError(explain("runs", f"there is no {key!r} to sort by", rule, fix))
    with_value = [(x, row) for x, row in zip(values, rows, strict=True) if x is not None]
    texts = any(isinstance(value, str) for value, _ in with_value)
    ordered = sorted(with_value, key=lambda pair: str(pair[0]) if texts else pair[0])
    return [row for _, row in ordered] + [
        row for x, row in zip(values, rows, strict=True) if x is None
    ]


def _value(row: RunRow, key: str) -> Any:
    """What a row is sorted by: small first."""
    if key in ("run", "status", "started"):
        return str(row.path if key == "run" else getattr(row, key))
    if key == "best":
        return None if row.best is None else _good_first(row.best.name, row.best.value)
    if key in row.numbers:
        return known(_good_first(key, row.numbers[key]))
    plain = {"epochs": row.epochs, "gap": known(row.gap), "time": known(row.seconds)}
    return plain[key] if key in plain else _bare(row).get(key)


def _bare(row: RunRow) -> dict[str, Any]:
    """Settings by their full names and by the short ones."""
    return {**{key.partition(".")[2]: x for key, x in row.settings.items()}, **row.settings}


def _good_first(name: str, value: float) -> float:
    return value if is_small_better(name) else -value


def known(value: float | None) -> float | None:
    """A number as JSON has it: what is none is null."""
    return value if value is not None and math.isfinite(value) else None


def table_of(rows: Sequence[RunRow], base: Path | None = None) -> list[list[str]]:
    """Cells of the table, its head first.

    Args:
        rows: in their order.
        base: the folder that names are told from.
    """
    head = ["run", "status", "epochs", "best", "gap", "time", "settings"]
    return [head, *(_cells(row, base) for row in rows)]


def _cells(row: RunRow, base: Path | None) -> list[str]:
    within = base is not None and row.path != base and row.path.is_relative_to(base)
    name = str(row.path.relative_to(base) if within and base else row.path)
    best, gap = "", ""
    if row.best is not None:
        best = f"{row.best.name} {format_metric(row.best.name, row.best.value)}"
        best += f" (epoch {row.best.epoch})"
        gap = "" if math.isnan(row.gap) else format_metric(row.best.name, row.gap)
    time = "" if math.isnan(row.seconds) else format_seconds(row.seconds)
    return [
        name,
        row.status,
        f"{row.epochs}/{row.of}",
        best,
        gap,
        time,
        row.note or words_of(row.chosen),
    ]


def words_of(settings: Mapping[str, Any]) -> str:
    """Settings in a few words, by their short names.

    >>> words_of({"epochs": 3, "optimizer.lr": 0.1, "model.widths": [8, 4]})
    'epochs 3, lr 0.1, widths 8,4'
    """
    words = (f"{key.rpartition('.')[2]} {word_of(value)}" for key, value in settings.items())
    return ", ".join(words)


def word_of(value: Any) -> str:
    """A setting's value as `--set` takes it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ",".join(map(word_of, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def aligned(table: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """Lines of a table, its columns under each other.

    Args:
        table: rows of cells, the head first.
        width: cut lines there; 0: as long as they are.
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return [x if not width or len(x) <= width else x[: width - 1] + "…" for x in lines]


def _nowhere(place: Path) -> str:
    names = [path.parent.name for path in RUNS.glob(f"*/{PLAN}")]
    close = difflib.get_close_matches(str(place), names, n=1)
    fix = f"did you mean {close[0]}?" if close else "`narae runs` lists them"
    rule = "the folder of a run, or of runs, was expected"
    return explain("runs", f"{place} does not exist", rule, fix)
