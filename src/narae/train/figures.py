"""Pictures of a training run: curves, confusion matrix, worst mistakes; the line of a regression.

Only matplotlib's objects are used, never its `pyplot` state, so figures can be drawn from any
thread, in a notebook, and without a screen.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, ShapeError, explain, require
from narae.io.atomic import atomic_write

Array = npt.NDArray[Any]
History = Mapping[str, Sequence[float]]

TRAIN_COLOUR = "#2563eb"
VALIDATION_COLOUR = "#ea580c"
_INK = "#1f2937"
_FAINT = "#9ca3af"
_GRID = "#e5e7eb"
_PARTS = {"train": ("training", TRAIN_COLOUR), "val": ("validation", VALIDATION_COLOUR)}
_MOST_NUMBERED_CLASSES = 20
_MOST_NAMED_CLASSES = 26
_LONGEST_NAME = 14
_MOST_MARKED_EPOCHS = 30
_MOST_EXAMPLES = 10
_LARGEST_SIDE = 4096  # of a picture; what is larger is a table of numbers
_LOG_FROM_RATIO = 50.0
_ABBREVIATIONS = {"iou": "IoU", "ap": "AP", "ap50": "AP50", "bleu": "BLEU", "mae": "MAE"}
_EAST_ASIAN_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "NanumGothic",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
)
_DPI = 130
_WIDTH = 12.0  # of a figure, in inches
_MOST_COLUMNS, _FEWEST_COLUMNS = 5, 2  # of pictures; wide ones stand in few


@dataclass(frozen=True)
class Examples:
    """Some predictions to show.

    Attributes:
        images: (items, channels, height, width) with 1 or 3 channels, or (items, height, width).
        targets: true classes, (items,).
        predictions: predicted classes, (items,).
        confidences: probability given to the prediction, (items,), in 0 to 1.
    """

    images: Array
    targets: Array
    predictions: Array
    confidences: Array


def is_picture(sample: Any) -> TypeGuard[Array]:
    """Whether an input can be drawn: (height, width), or with 1 or 3 channels before them.

    >>> is_picture(np.zeros((3, 8, 8))), is_picture(np.zeros((8, 1)))
    (True, False)
    """
    shape = np.shape(sample)
    small = max(shape[-2:], default=0) <= _LARGEST_SIDE and min(shape[-2:], default=0) > 1
    return small and (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3)))


def training_figure(
    history: History,
    confusion: npt.ArrayLike,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    title: str = "",
    examples: Examples | None = None,
) -> None:
    """Write a PNG with loss and accuracy curves, the confusion matrix and, if given, examples.

    Args:
        history: one number an epoch under each of "train_loss", "val_loss", "train_accuracy" and
            "val_accuracy"; a missing key leaves its curve out.
        confusion: (classes, classes), rows are true classes, as `confusion_matrix` gives it.
        class_names: one name for each class.
        path: the PNG to write; it appears whole or not at all.
        title: a line above the figure.
        examples: predictions to show below; at most ten.

    Raises:
        DataError: if `history` holds no epoch.
        MissingExtraError: if matplotlib is not installed.
        ShapeError: if the sizes do not fit.
    """
    counts = np.asarray(confusion)
    _check_confusion(counts, class_names)
    _check_history(history)
    shown = examples if examples is not None and len(examples.images) else None
    figure = _new_figure(12.0, 8.8 if shown else 6.9, title)
    upper, lower = _split(figure, shown is not None)
    grid = upper.add_gridspec(2, 2, width_ratios=(1.0, 1.18))
    _draw_curves(upper.add_subplot(grid[0, 0]), history, "loss")
    _draw_curves(upper.add_subplot(grid[1, 0]), history, "accuracy")
    _draw_confusion(upper.add_subplot(grid[:, 1]), counts, class_names)
    if shown is not None:
        _draw_examples(lower, shown, class_names)
    _save(figure, path)


def overview_figure(
    history: History,
    path: str | os.PathLike[str],
    title: str = "",
    measure: str = "",
    pictures: Sequence[tuple[str, Array]] = (),
) -> None:
    """Write a PNG with curves of the loss and of one measure, and pictures of the model's work.

    Args:
        history: one number an epoch under "train_loss", "val_loss" and the like; NaN: none.
        path: the PNG to write; it appears whole or not at all.
        title: a line above the figure.
        measure: what is drawn beside the loss, such as "mean_iou"; "": the loss alone.
        pictures: what is written above each, and the picture: (height, width), or with 1 or 3
            channels before them.

    Raises:
        DataError: if `history` holds no epoch.
        MissingExtraError: if matplotlib is not installed.
    """
    _check_history(history)
    columns = _columns_of_pictures([picture for _, picture in pictures])
    rows = -(-len(pictures) // columns)
    heights = [3.6, rows * (_WIDTH / columns / _aspect([x for _, x in pictures]) + 0.3)]
    figure = _new_figure(_WIDTH, sum(heights), title)
    upper, lower = figure, None
    if pictures:
        upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    kinds = ["loss", measure] if measure else ["loss"]
    for axes, kind in zip(upper.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        _draw_curves(axes, history, kind)
    if lower is not None:
        _draw_pictures(lower.subplots(rows, columns, squeeze=False).ravel(), pictures)
    _save(figure, path)


def line_figure(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    predicted: npt.ArrayLike,
    losses: Sequence[float],
    path: str | os.PathLike[str],
    title: str = "",
    x_label: str = "x",
    y_label: str = "y",
) -> None:
    """Write a PNG of a regression: the fitted line (or predicted against true) and its loss.

    Args:
        x: inputs, (items,) or (items, features).
        y: true values, (items,) or (items, 1).
        predicted: the model's values, like `y`.
        losses: one number an epoch.
        path: the PNG to write; it appears whole or not at all.
        title: a line above the figure.
        x_label, y_label: what the axes show.

    Raises:
        DataError: if `losses` is empty.
        MissingExtraError: if matplotlib is not installed.
        ShapeError: if the sizes do not fit.
    """
    inputs, true, fitted = (_columns("line_figure", values) for values in (x, y, predicted))
    if true.shape != fitted.shape or len(inputs) != len(true) or true.shape[1] != 1:
        given = f"x is {inputs.shape}, y is {true.shape}, predicted is {fitted.shape}"
        rule = "x is (items, features), y and predicted are (items,) or (items, 1)"
        raise ShapeError(explain("line_figure", given, rule))
    _check_history({"losses": losses})
    figure = _new_figure(11.0, 4.6, title)
    left, right = figure.subplots(1, 2)
    if inputs.shape[1] == 1:
        _draw_fit(left, inputs[:, 0], true[:, 0], fitted[:, 0], x_label, y_label)
    else:
        _draw_predicted_against_true(left, true[:, 0], fitted[:, 0], y_label)
    _draw_curves(right, {"train_loss": losses}, "loss")
    _save(figure, path)


def _columns(what: str, values: npt.ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        return array[:, None]
    if array.ndim != 2:
        rule = "values are (items,) or (items, features)"
        raise ShapeError(explain(what, f"an array is {array.shape}", rule))
    return array


def _check_confusion(counts: Array, class_names: Sequence[str]) -> None:
    if counts.ndim != 2 or counts.shape != (len(class_names),) * 2:
        given = f"confusion is {counts.shape}, there are {len(class_names)} class names"
        rule = "it is (classes, classes)"
        raise ShapeError(explain("training_figure", given, rule, "name every class once"))


def _check_history(history: History) -> None:
    if not any(len(values) for values in history.values()):
        rule = "a curve needs at least one epoch"
        raise DataError(explain("figure", f"the history {dict(history)!r} is empty", rule))


def _new_figure(width: float, height: float, title: str) -> Any:
    purpose = "drawing figures"
    figures = require("matplotlib.figure", "train", purpose)
    backend = require("matplotlib.backends.backend_agg", "train", purpose)
    figure = figures.Figure(figsize=(width, height), layout="constrained", facecolor="white")
    backend.FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.02, hspace=0.02)
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", color=_INK, parse_math=False)
    return figure


def _split(figure: Any, with_examples: bool) -> tuple[Any, Any]:
    if not with_examples:
        return figure, None
    upper, lower = figure.subfigures(2, 1, height_ratios=(3.7, 1.0))
    return upper, lower


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    _choose_fonts(figure)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def _choose_fonts(figure: Any) -> None:
    """Let names in Korean, Chinese or Japanese fall back on a font that has their letters."""
    manager = require("matplotlib.font_manager", "train", "drawing figures").fontManager
    text = require("matplotlib.text", "train", "drawing figures")
    installed = set(manager.get_font_names())
    families = ["DejaVu Sans", *(name for name in _EAST_ASIAN_FONTS if name in installed)]
    for label in figure.findobj(text.Text):
        label.set_fontfamily(families)
    for axes in figure.findobj(lambda artist: hasattr(artist, "tick_params")):
        axes.tick_params(labelfontfamily=families)


def _plain_axes(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=_INK)
    axes.tick_params(which="both", colors=_INK, labelsize=9, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)


def _draw_curves(axes: Any, history: History, kind: str) -> None:
    """The training and validation curve of one kind, such as "loss" or "accuracy"."""
    _plain_axes(axes, _words(kind))
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    curves = {part: _recorded(history.get(f"{part}_{kind}", ())) for part in _PARTS}
    for part, (epochs, values) in curves.items():
        if len(values):
            _draw_curve(axes, epochs, values, kind, *_PARTS[part])
    together = np.concatenate([values for _, values in curves.values()])
    if not len(together):
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=_FAINT)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    _scale_epochs(axes, max(int(epochs.max(initial=1)) for epochs, _ in curves.values()))
    _scale_values(axes, together, kind)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK, loc="best")


def _words(kind: str) -> str:
    """The name of a measure as it is written."""
    words = [_ABBREVIATIONS.get(word, word) for word in kind.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _recorded(numbers: Sequence[float]) -> tuple[Array, Array]:
    """The epochs that have a number, from 1 on, and their numbers: (epochs,) each."""
    values = np.asarray(numbers, dtype=np.float64)
    places = np.flatnonzero(~np.isnan(values))
    return places + 1, values[places]


def _draw_curve(
    axes: Any, epochs: Array, values: Array, kind: str, label: str, colour: str
) -> None:
    last = f"{values[-1]:.2%}" if kind.endswith("accuracy") else f"{values[-1]:.4g}"
    marker = "o" if len(values) <= _MOST_MARKED_EPOCHS else ""
    axes.plot(
        epochs, values, color=colour, lw=2, marker=marker, ms=4, label=f"{label} (last {last})"
    )


def _scale_epochs(axes: Any, longest: int) -> None:
    ticker = require("matplotlib.ticker", "train", "drawing figures")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1, nbins=8))
    margin = 0.5 if longest == 1 else 0.03 * (longest - 1)
    axes.set_xlim(1 - margin, longest + margin)
    axes.set_xlabel("epoch", fontsize=9, color=_INK)


def _scale_values(axes: Any, values: Array, kind: str) -> None:
    """Percent for accuracies; logarithmic for a loss that falls by orders of magnitude."""
    if kind.endswith("accuracy"):
        ticker = require("matplotlib.ticker", "train", "drawing figures")
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
        return
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > _LOG_FROM_RATIO:
        axes.set_yscale("log")
    elif len(finite) and finite.min() >= 0:
        axes.set_ylim(0, 1.06 * finite.max() or 1.0)


def _draw_confusion(axes: Any, counts: Array, class_names: Sequence[str]) -> None:
    """Right answers in blue, mistakes in orange: so that rare mistakes are seen at all."""
    total, right = int(counts.sum()), int(np.trace(counts))
    share = f"{right:,} of {total:,} right ({right / total:.2%})" if total else "no items"
    _plain_axes(axes, f"Confusion matrix: {share}")
    axes.imshow(_confusion_colours(counts), aspect="equal")
    axes.set_xlabel("predicted", fontsize=10, color=_INK)
    axes.set_ylabel("true", fontsize=10, color=_INK)
    axes.spines["bottom"].set_visible(False)
    _name_classes(axes, class_names)
    if len(class_names) <= _MOST_NUMBERED_CLASSES:
        _separate_cells(axes, len(class_names))
        _number_cells(axes, counts)


def _confusion_colours(counts: Array) -> Array:
    """A picture (classes, classes, 3): the diagonal by recall, mistakes by their number."""
    diagonal = np.eye(len(counts), dtype=bool)  # (classes, classes)
    recall = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mistakes = np.where(diagonal, 0, counts)
    # The square root lifts single mistakes off the white without drowning the frequent ones.
    # Measured against a tenth of a class, a few mistakes of a good model stay pale.
    strongest = max(mistakes.max(initial=0), 0.1 * counts.sum(axis=1).max(initial=0), 1)
    share = np.sqrt(mistakes / strongest)
    strength = np.where(diagonal, 0.9 * recall, 0.75 * share)[..., None]  # (classes, classes, 1)
    full = np.where(diagonal[..., None], _rgb(TRAIN_COLOUR), _rgb(VALIDATION_COLOUR))
    empty = np.where(diagonal[..., None], _rgb("#eff6ff"), _rgb("#fafafa"))
    return empty + strength * (full - empty)


def _rgb(colour: str) -> Array:
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def _name_classes(axes: Any, class_names: Sequence[str]) -> None:
    every = math.ceil(len(class_names) / _MOST_NAMED_CLASSES)
    places = range(0, len(class_names), every)
    names = [_shorten(class_names[place]) for place in places]
    axes.set_yticks(places, names, parse_math=False)
    if max(map(len, names)) <= 3:
        axes.set_xticks(places, names, parse_math=False)
    else:
        slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, names, parse_math=False, **slant)


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _separate_cells(axes: Any, classes: int) -> None:
    edges = np.arange(classes + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", lw=1.5)
    axes.tick_params(which="minor", length=0)


def _number_cells(axes: Any, counts: Array) -> None:
    size = 11 if len(counts) <= 10 else 7.5
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue  # white space says zero, and the mistakes stand out
        diagonal = row == column
        white = diagonal and count > 0.55 * counts[row].sum()
        axes.text(
            column,
            row,
            f"{count:,}" if len(counts) <= 10 else f"{count}",
            ha="center",
            va="center",
            fontsize=size if count < 10_000 else 0.75 * size,
            fontweight="bold" if diagonal else "normal",
            color="white" if white else _INK,
        )


def _draw_examples(figure: Any, shown: Examples, class_names: Sequence[str]) -> None:
    figure.suptitle(
        "Examples: true → predicted",
        x=0.012,
        ha="left",
        fontsize=11.5,
        fontweight="bold",
        color=_INK,
    )
    columns = figure.subplots(1, _MOST_EXAMPLES)
    for axes in columns:
        axes.set_axis_off()
    for index, axes in zip(range(len(shown.images)), columns, strict=False):
        target, predicted = int(shown.targets[index]), int(shown.predictions[index])
        _draw_image(axes, np.asarray(shown.images[index]))
        axes.set_title(
            f"{_shorten(class_names[target])} → {_shorten(class_names[predicted])}\n"
            f"{shown.confidences[index]:.0%} sure",
            loc="center",  # whatever style is set
            fontsize=9,
            color=TRAIN_COLOUR if target == predicted else VALIDATION_COLOUR,
            parse_math=False,
        )


def _draw_image(axes: Any, image: Array) -> None:
    if image.ndim == 3:
        image = image.transpose(1, 2, 0)  # (channels, height, width) -> (height, width, channels)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]  # (height, width)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        rule = "an image is (height, width) or (channels, height, width) with 1 or 3 channels"
        raise ShapeError(explain("training_figure", f"an example is {image.shape}", rule))
    low, high = float(image.min()), float(image.max())
    spread = (image - low) / (high - low) if high > low else np.zeros(image.shape)
    axes.imshow(spread, cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")


def _aspect(pictures: Sequence[Array]) -> float:
    """Width by height of the widest picture."""
    return max((x.shape[-1] / x.shape[-2] for x in pictures), default=1.0)


def _columns_of_pictures(pictures: Sequence[Array]) -> int:
    most = _FEWEST_COLUMNS if _aspect(pictures) > 2 else _MOST_COLUMNS
    return min(most, len(pictures)) or 1


def _draw_pictures(places: Array, pictures: Sequence[tuple[str, Array]]) -> None:
    for axes in places:
        axes.set_axis_off()
    for axes, (title, picture) in zip(places, pictures, strict=False):
        _draw_image(axes, np.asarray(picture))
        axes.set_title(title, loc="left", fontsize=9, color=_INK, parse_math=False)


def _draw_fit(axes: Any, x: Array, y: Array, fitted: Array, x_label: str, y_label: str) -> None:
    order = np.argsort(x, kind="stable")
    _plain_axes(axes, "Fit")
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.scatter(x, y, s=28, color=VALIDATION_COLOUR, alpha=_alpha(len(x)), label="data", zorder=3)
    axes.plot(x[order], fitted[order], color=TRAIN_COLOUR, lw=2, label="model")
    axes.set_xlabel(x_label, fontsize=10, color=_INK)
    axes.set_ylabel(y_label, fontsize=10, color=_INK)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK)


def _draw_predicted_against_true(axes: Any, y: Array, fitted: Array, y_label: str) -> None:
    _plain_axes(axes, "Predicted against true")
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    finite = np.concatenate([y, fitted])
    finite = finite[np.isfinite(finite)]
    if len(finite):
        ends = [finite.min(), finite.max()]
        axes.plot(ends, ends, color=_FAINT, lw=1.5, ls="--", label="predicted = true")
    axes.scatter(y, fitted, s=28, color=TRAIN_COLOUR, alpha=_alpha(len(y)), label="data", zorder=3)
    axes.set_xlabel(f"true {y_label}", fontsize=10, color=_INK)
    axes.set_ylabel(f"predicted {y_label}", fontsize=10, color=_INK)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK)


def _alpha(points: int) -> float:
    """Many points become transparent, so that their density is seen."""
    return 0.9 if points <= 200 else max(0.15, 0.9 * math.sqrt(200 / points))
