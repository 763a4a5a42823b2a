"""Pictures of tables of numbers: the darker a cell, the larger its number."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from narae.base.errors import require

from .line_figure import save

_MOST_LABELS = 40  # more words along an axis run into each other
_SHORT = 2  # letters of words that need not stand upright
_COLUMNS = 4  # tables beside each other


@dataclass(frozen=True)
class Heat:
    """What is drawn.

    Attributes:
        tables: (rows, columns) by name, which stands above each if there are several.
        title: above all of them.
        across, down: what columns and rows are.
        rows, columns: their words; numbers if left out, or if there are too many to read.
        scale: the numbers of the first and the last color; the least and the largest if None.
        colors: of matplotlib's color maps.
    """

    tables: Mapping[str, npt.NDArray[Any]]
    title: str
    across: str
    down: str
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    scale: tuple[float, float] | None = None
    colors: str = "Oranges"


def draw_heat(path: str | os.PathLike[str], heat: Heat) -> None:
    """Draw tables side by side, with one scale of colors.

    Args:
        path: a PNG, PDF or SVG file to write.
        heat: what is drawn.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figures = require("matplotlib.figure", "train", "drawing figures")
    across = min(len(heat.tables), _COLUMNS)
    down = -(-len(heat.tables) // _COLUMNS)
    size = (8.0, 4.2) if len(heat.tables) == 1 else (2.9 * across + 0.8, 2.9 * down + 0.6)
    figure = figures.Figure(figsize=size, layout="constrained")
    places = figure.subplots(down, across, squeeze=False).ravel().tolist()
    used, unused = places[: len(heat.tables)], places[len(heat.tables) :]
    for axes in unused:
        axes.remove()
    for number, (axes, name) in enumerate(zip(used, heat.tables, strict=True)):
        image = _draw(axes, heat, name, first=number % across == 0)
    figure.colorbar(image, ax=used, shrink=0.9).ax.tick_params(labelsize="small")
    figure.suptitle(heat.title, fontsize="medium")
    figure.supxlabel(heat.across, fontsize="small")
    figure.supylabel(heat.down, fontsize="small")
    save(figure, path)


def _draw(axes: Any, heat: Heat, name: str, first: bool) -> Any:
    """One table; the words of the rows stand beside the first of each line."""
    numbers = heat.tables.values()
    least, most = heat.scale or (min(x.min() for x in numbers), max(x.max() for x in numbers))
    looks = {"aspect": "auto", "cmap": heat.colors, "interpolation": "nearest"}
    image = axes.imshow(heat.tables[name], vmin=least, vmax=most, **looks)
    axes.set_title(name if len(heat.tables) > 1 else "", fontsize="small")
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize="small")
    long = any(len(word) > _SHORT for word in heat.columns)
    _label(axes.xaxis, heat.columns, rotation=90 if long else 0)
    _label(axes.yaxis, heat.rows if first else ["" for _ in heat.rows])
    return image


def _label(axis: Any, words: Sequence[str], **options: Any) -> None:
    """Words at every cell, with dollar signs as they are."""
    if 0 < len(words) <= _MOST_LABELS:
        plain = [word.replace("$", r"\$") for word in words]
        axis.set_ticks(range(len(words)), plain, fontsize="small", **options)
