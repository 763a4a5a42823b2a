"""Pictures of forecasts, with how sure they are."""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from narae.base.errors import ConfigError, ShapeError, explain, require
from narae.io.atomic import atomic_write

from .intervals import Interval
from .table import Array, Floats

_INK, _LINE, _GRID = "#1f2937", "#2563eb", "#e5e7eb"
_OTHERS = ("#ea580c", "#059669", "#9333ea", "#6b7280")


def draw_forecast(
    path: str | os.PathLike[str],
    history: Floats,
    forecast: Floats,
    *,
    target: Floats | None = None,
    interval: Interval | None = None,
    others: Mapping[str, Floats] | None = None,
    dates: Array | None = None,
    title: str = "",
    unit: str = "",
    label: str = "forecast",
) -> None:
    """Draw what was, what was told, and what came.

    Args:
        path: a PNG, PDF or SVG file to write.
        history: (time,).
        forecast: (steps,), right after the history.
        target: (steps,), what came.
        interval: (low, high), each (steps,).
        others: more forecasts, (steps,), by name.
        dates: (time + steps,); by default rows are numbered.
        title, unit, label: words to show: above, beside the values, and for the forecast.

    Raises:
        ConfigError: if there are no pictures of this kind.
        MissingExtraError: if matplotlib is not installed.
        ShapeError: if sizes do not fit together.
    """
    lines = {"forecast": forecast, **(others or {})}
    lines |= {} if target is None else {"target": target}
    lines |= {} if interval is None else {"low": interval[0], "high": interval[1]}
    at = np.arange(len(history) + len(forecast)) if dates is None else dates
    _check(lines, len(forecast), len(history), len(at))
    figures = require("matplotlib.figure", "train", "drawing forecasts")
    figure = figures.Figure(figsize=(9, 3.8), layout="constrained")
    form, known = _form(path), figure.canvas.get_supported_filetypes()
    if form not in known:
        rule = f"it ends in one of {', '.join(known)}"
        raise ConfigError(explain("draw_forecast", f"the picture is {path}", rule))
    axes = figure.add_subplot()
    past, future = at[: len(history)], at[len(history) :]
    axes.plot(past, history, color=_INK, linewidth=1.2, label="history")
    if interval is not None:
        low, high = interval
        axes.fill_between(future, low, high, color=_LINE, alpha=0.18, linewidth=0, label="interval")
    if target is not None:
        axes.plot(future, target, color=_INK, linewidth=1.2, linestyle=":", label="what came")
    for (name, values), color in zip((others or {}).items(), _OTHERS * 9, strict=False):
        axes.plot(future, values, color=color, linewidth=1.1, linestyle="--", label=name)
    axes.plot(future, forecast, color=_LINE, linewidth=1.8, label=label)
    axes.set(title=title, ylabel=unit)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, fontsize="small", loc="upper left")
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.2 * (top - bottom))  # a place for the legend
    data = io.BytesIO()
    figure.savefig(data, dpi=130, format=form)
    with atomic_write(path) as file:
        file.write(data.getvalue())


def _form(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lstrip(".").lower() or "png"


def _check(lines: Mapping[str, Floats], steps: int, before: int, dates: int) -> None:
    for name, values in lines.items():
        if np.shape(values) != (steps,):
            given = f"{name} is {np.shape(values)}"
            raise ShapeError(explain("draw_forecast", given, f"it is ({steps},) as the forecast"))
    if dates != before + steps:
        given = f"{dates} dates for {before} + {steps} values"
        raise ShapeError(explain("draw_forecast", given, "there is one for each value"))
