"""What a run leaves to look at: history.json, summary.txt and a picture."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narae.data import DataLoader
from narae.io import atomic_write

from .figures import line_figure, training_figure, worst_mistakes
from .loop import predict
from .metrics import confusion_matrix
from .progress import format_metric, format_seconds

if TYPE_CHECKING:
    from .run import Run

Array = npt.NDArray[Any]
HISTORY, SUMMARY = "history.json", "summary.txt"
_MOST_CONFUSIONS = 3


def picture_path(run: "Run") -> Path:
    """Where the picture of a run is."""
    return run.out / f"{run.recipe.name}.png"


def write_report(run: "Run") -> None:
    """Write the history, the summary and the picture of a run into its folder."""
    outputs, targets = predict(run.trainer.model, run.test)
    with atomic_write(run.out / HISTORY, "w") as file:
        json.dump(run.history, file, indent=2)
        file.write("\n")
    with atomic_write(run.out / SUMMARY, "w") as file:
        file.write(summary_text(run, outputs, targets) + "\n")
    if run.data.classes:
        _draw_classification(run, outputs, targets)
    else:
        _draw_regression(run)


def summary_text(run: "Run", outputs: Array, targets: Array) -> str:
    """The summary: a few aligned lines."""
    done, wanted = run.epochs_done, run.settings.epochs
    epochs = f"{done} of {wanted} (stopped)" if run.interrupted else f"{done}"
    lines = {
        "recipe": run.recipe.name,
        "epochs": f"{epochs}, {format_seconds(run.seconds)}",
        "settings": f"lr {run.settings.lr:g}, batch size {run.settings.batch_size}, "
        f"seed {run.settings.seed}",
        "training": _numbers(run, "train_"),
        "test": _numbers(run, "val_"),
    }
    if run.data.classes:
        lines["mistakes"] = mistakes_text(outputs, targets, run.data.classes)
    lines["best"] = f"epoch {run.best_epoch} (checkpoint best.safetensors)"
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _numbers(run: "Run", part: str) -> str:
    latest = {
        name.removeprefix(part): values[-1]
        for name, values in run.history.items()
        if name.startswith(part)
    }
    words = [f"{name} {format_metric(name, value)}" for name, value in sorted(latest.items())]
    return ", ".join(words)


def mistakes_text(outputs: Array, targets: Array, classes: Any) -> str:
    """How many, and which pairs of classes were confused most."""
    counts = confusion_matrix(targets, outputs.argmax(axis=1), len(classes))
    np.fill_diagonal(counts, 0)
    total = int(counts.sum())
    if not total:
        return f"0 of {len(targets):,}"
    order = np.argsort(-counts, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    words = [
        f"{classes[true]} taken for {classes[taken]} {counts[true, taken]} ×"
        for true, taken in pairs
        if counts[true, taken]
    ]
    return f"{total:,} of {len(targets):,}: {', '.join(words)}" + (
        ", …" if counts[tuple(zip(*pairs, strict=True))].sum() < total else ""
    )


def _draw_classification(run: "Run", outputs: Array, targets: Array) -> None:
    names = run.data.classes
    counts = confusion_matrix(targets, outputs.argmax(axis=1), len(names))
    images = np.concatenate([np.asarray(x) for x, _ in run.test])
    pictures = images.ndim >= 3
    examples = worst_mistakes(images, targets, softmax(outputs)) if pictures else None
    path = picture_path(run)
    training_figure(run.history, counts, names, path, title=_title(run), examples=examples)


def _draw_regression(run: "Run") -> None:
    loader = DataLoader(run.data.train, run.test.batch_size)
    outputs, targets = predict(run.trainer.model, loader)
    x = np.concatenate([np.asarray(x) for x, _ in loader])
    path = picture_path(run)
    line_figure(x, targets, outputs, run.history["train_loss"], path, title=_title(run))


def softmax(outputs: Array) -> Array:
    """Probabilities of classes from scores, (items, classes).

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _title(run: "Run") -> str:
    words = [
        run.recipe.name,
        f"{run.epochs_done} epoch{'s' * (run.epochs_done != 1)}",
        format_seconds(run.seconds),
    ]
    if "val_accuracy" in run.history:
        words.insert(1, f"{run.history['val_accuracy'][-1]:.2%} on test data")
    return " · ".join(words)
