"""What the programs of this folder share: their options, their data and the look of their figures.

Nothing about deep learning is hidden here.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import textwrap
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy loads: for small matrices one is fastest

import matplotlib as mpl  # noqa: E402
import matplotlib.ticker  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from PIL import Image  # noqa: E402

BLUE, ORANGE, GREEN, PURPLE, RED = "#2563eb", "#ea580c", "#059669", "#7c3aed", "#dc2626"
INK, GREY, PALE = "#1f2937", "#9ca3af", "#e5e7eb"

mpl.rcParams.update(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": GREY,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelsize": 9,
        "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, PURPLE, RED]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "grid.color": PALE,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "lines.linewidth": 2,
        "xtick.color": INK,
        "xtick.labelsize": 8.5,
        "ytick.color": INK,
        "ytick.labelsize": 8.5,
    }
)


# ------------------------------------------------------------------------------------ the story
def options(text: str, argv: list[str] | None = None, **more: dict[str, Any]) -> Any:
    """Read the command line.

    Args:
        text: what `--help` shows: the docstring of the program.
        argv: the words of the command line; None for the real one.
        more: further options by name, each with the arguments of `add_argument`.
    """
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=text, formatter_class=style)
    folder = {"type": pathlib.Path, "metavar": "DIR"}
    parser.add_argument("--out", default="scratch-figures", help="where figures go", **folder)
    for name, arguments in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **arguments)
    chosen = parser.parse_args(argv)
    chosen.out.mkdir(parents=True, exist_ok=True)
    return chosen


MNIST = {
    "mnist": {"action": "store_true", "help": "learn from MNIST instead of the small digits"},
    "data_dir": {"type": pathlib.Path, "metavar": "DIR", "help": "where MNIST lies; means --mnist"},
    "full": {"action": "store_true", "help": "all of MNIST; means --mnist, and takes longer"},
}


def say(text: str) -> None:
    """Print a paragraph, wrapped."""
    print(textwrap.fill(" ".join(text.split()), 88), end="\n\n")


def table(head: list[str], rows: list[list[Any]]) -> None:
    """Print rows in columns, words to the left, numbers to the right; the head may be empty."""
    cells = [[_cell(value) for value in row] for row in (head, *rows) if row]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_left = [isinstance(value, str) for value in rows[0]]
    for row in cells:
        parts = zip(row, widths, to_left, strict=True)
        line = [text.ljust(width) if left else text.rjust(width) for text, width, left in parts]
        print("   " + "   ".join(line).rstrip())
    print()


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ----------------------------------------------------------------------------------- the figures
def new_figure(
    rows: int = 1, columns: int = 1, width: float = 9.0, height: float = 3.6, **more: Any
) -> tuple[Figure, Any]:
    """A figure and its axes: one, or an array of them."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **more)


def save(figure: Figure, folder: pathlib.Path, name: str, caption: str) -> pathlib.Path:
    """Write a figure with its caption below, as a PNG with few colours, and say so."""
    caption = " ".join(caption.split())
    letters = int(14.5 * figure.get_figwidth())
    lines = textwrap.fill(caption, letters)
    figure.supxlabel(lines, x=0.012, ha="left", fontsize=9, color="#4b5563", linespacing=1.35)
    figure.set_dpi(110)
    figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    path = folder / f"{name}.png"
    pixels.quantize(160, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"Figure: {path}")
    print(textwrap.indent(textwrap.fill(caption, 84), "    "), end="\n\n")
    return path


def plain_log(side: Any) -> None:
    """Numbers such as 2, 5, 10 along a logarithmic side (`axes.xaxis` or `axes.yaxis`)."""
    side.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    side.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    side.set_minor_locator(mpl.ticker.NullLocator())


def picture(axes: Any, image: Any, title: str = "", **more: Any) -> None:
    """Show a small image without grid and ticks."""
    axes.imshow(image, **{"cmap": "gray_r", **more})
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.set_title(title)


# -------------------------------------------------------------------------------------- the data
def load_images(chosen: Any, train: int, test: int) -> tuple[np.ndarray, ...]:
    """Handwritten digits: training images and labels, test images and labels.

    The small ones, 1,437 and 360 of 8 × 8 pixels, come with scikit-learn; MNIST's, 28 × 28, are
    looked for in `--data-dir`, in the folder NARAE_DATA and in the cache, and else downloaded.

    Args:
        chosen: the options, with those of `MNIST`.
        train, test: how many at most, the first ones; with `--full` all.

    Returns:
        Images (items, 1, height, width), float32 in 0 to 1; labels (items,), int64.
    """
    if chosen.full or chosen.mnist or chosen.data_dir:
        from narae.vision.datasets import MNIST

        parts = [MNIST(chosen.data_dir, train=part, download=True) for part in (True, False)]
    else:
        from narae.vision.datasets import Digits

        parts = [Digits(train=part) for part in (True, False)]
    arrays = []
    for part, count in zip(parts, (train, test), strict=True):
        kept = slice(None) if chosen.full else slice(count)
        arrays.append(part.data.numpy()[kept, None].astype(np.float32) / 255)
        arrays.append(part.targets.numpy()[kept])
    return tuple(arrays)
