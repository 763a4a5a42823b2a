"""A picture of lines, with logarithmic axes if wanted."""

import io
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narae.base.errors import require
from narae.io.atomic import atomic_write

_COLORS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#6b7280")
_STYLES = ("-", "--", ":")
_GRID = "#e5e7eb"


def draw_lines(
    path: str | os.PathLike[str],
    lines: Mapping[str, tuple[Any, Any]],
    title: str,
    across: str,
    upwards: str,
    log: bool = False,
    log_across: bool = False,
) -> None:
    """Draw (x, y) of each name.

    Args:
        path: a PNG, PDF or SVG file to write.
        lines: (points,) and (points,), by name.
        title, across, upwards: words above, under and beside.
        log, log_across: whether the upright axis, and the other, is logarithmic; 2, 4, 8 and so on
            are marked across.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figures = require("matplotlib.figure", "train", "drawing figures")
    figure = figures.Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    looks = itertools.cycle(itertools.product(_STYLES, _COLORS))
    for (name, (x, y)), (style, color) in zip(lines.items(), looks, strict=False):
        axes.plot(x, y, style, color=color, linewidth=1.6, label=name)
    axes.set(title=title, xlabel=across, ylabel=upwards, yscale="log" if log else "linear")
    if log_across:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    save(figure, path)


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, as a whole or not at all."""
    data = io.BytesIO()
    figure.savefig(data, dpi=130, format=Path(path).suffix.lstrip(".").lower() or "png")
    with atomic_write(path) as file:
        file.write(data.getvalue())
