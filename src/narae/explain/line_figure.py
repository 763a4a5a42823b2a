"""A picture of lines, one axis logarithmic if wanted."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narae.base.errors import require
from narae.io.atomic import atomic_write

_COLORS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#6b7280")
_GRID = "#e5e7eb"


def draw_lines(
    path: str | os.PathLike[str],
    lines: Mapping[str, tuple[Any, Any]],
    title: str,
    across: str,
    upwards: str,
    log: bool = False,
) -> None:
    """Draw (x, y) of each name.

    Args:
        path: a PNG, PDF or SVG file to write.
        lines: (points,) and (points,), by name.
        title, across, upwards: words above, under and beside.
        log: whether the upright axis is logarithmic.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figures = require("matplotlib.figure", "train", "drawing figures")
    figure = figures.Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, (x, y)), color in zip(lines.items(), _COLORS * 9, strict=False):
        axes.plot(x, y, color=color, linewidth=1.6, label=name)
    axes.set(title=title, xlabel=across, ylabel=upwards, yscale="log" if log else "linear")
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
