"""What a run leaves when it has ended: summary.txt, a picture, result.json."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.data import DataLoader
from narae.io import atomic_write
from narae.tensors import Tensor, no_grad

from ..callbacks.checkpoints import BEST, Checkpoints, best_by
from ..figures import line_figure, training_figure, worst_mistakes
from ..metrics import confusion_matrix
from ..progress import format_metric, format_seconds
from ..recipe import Recipe
from ..trainer import Trainer
from .folder import SUMMARY, RunFolder
from .result_file import RESULT, Best, Result, write_result

Array = npt.NDArray[Any]
_MOST_CONFUSIONS = 3


def write_results(folder: RunFolder, recipe: Recipe, trainer: Trainer, seconds: float) -> None:
    """Write the summary, the picture where the data can be drawn, and how the run ended."""
    found = class_scores_of(trainer)
    with atomic_write(folder.path / SUMMARY, "w") as file:
        file.write(summary_text(recipe, trainer, seconds, found) + "\n")
    path = folder.path / f"{recipe.name}.png"
    title = _title(recipe, trainer, seconds)
    if found is not None:
        _draw_classification(folder, trainer, found, path, title)
    elif folder.plan().about["input_shape"] == [1] and not trainer.data.classes:
        _draw_line(folder, trainer, path, title)
    write_result(_result(trainer, "finished", seconds), folder.path / RESULT)


def write_failure(folder: RunFolder, trainer: Trainer, seconds: float, error: Exception) -> None:
    """Write that a run failed, and why; on a full disk, nothing."""
    words = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        write_result(_result(trainer, "failed", seconds, words), folder.path / RESULT)


def _result(trainer: Trainer, status: str, seconds: float, error: str = "") -> Result:
    numbers = {name: float(value) for name, value in trainer.numbers.items()}
    best = best_of(trainer)
    return Result(status, trainer.epoch, trainer.updates, best, numbers, seconds, error)


def best_of(trainer: Trainer) -> Best | None:
    """The best epoch of a run, if it is kept."""
    keeper = next((x for x in trainer.callbacks if isinstance(x, Checkpoints)), None)
    if keeper is None or not keeper.best_epoch:
        return None
    name = keeper.monitor or best_by(trainer.numbers)
    return Best(name, keeper.best_epoch, float(keeper.best_value))


def class_scores_of(trainer: Trainer) -> tuple[Array, Array] | None:
    """Scores (items, classes) and labels (items,) of all test batches.

    None for a model that does not give each item one of the data's classes.
    """
    if not trainer.data.classes:
        return None
    trainer.judged.eval()
    pairs = []
    with no_grad():
        for batch in trainer.data.test:
            out, target = trainer.forward(trainer.judged, tuple(batch))
            if not _is_classification(out, target, len(trainer.data.classes)):
                return None
            pairs.append((np.asarray(out), np.asarray(target)))
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


def _is_classification(out: Any, target: Any, classes: int) -> bool:
    if not (isinstance(out, Tensor) and isinstance(target, Tensor)):
        return False
    labels = target.ndim == 1 and not target.dtype.is_floating_point
    return labels and tuple(out.shape) == (*target.shape, classes)


def summary_text(
    recipe: Recipe, trainer: Trainer, seconds: float, found: tuple[Array, Array] | None
) -> str:
    """The summary: a few aligned lines."""
    changed = ", ".join(f"{key} {value}" for key, value in recipe.chosen_settings().items())
    lines = {
        "recipe": recipe.name,
        "epochs": _epochs(trainer, seconds),
        "settings": changed or "those of the recipe",
        "training": _numbers(trainer, "train_"),
        "test": _numbers(trainer, "val_"),
    }
    if found is not None:
        lines["mistakes"] = mistakes_text(*found, trainer.data.classes)
    best = best_of(trainer)
    if best is not None:
        value = format_metric(best.name, best.value)
        lines["best"] = f"epoch {best.epoch}, {best.name} {value} (checkpoints/{BEST})"
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _epochs(trainer: Trainer, seconds: float) -> str:
    early = trainer.epoch < trainer.epochs
    count = f"{trainer.epoch} of {trainer.epochs}" if early else str(trainer.epoch)
    reason = f"; {trainer.stop}" if early and trainer.stop else ""
    return f"{count}, {format_seconds(seconds)}{reason}"


def _numbers(trainer: Trainer, part: str) -> str:
    latest = {
        name.removeprefix(part): value
        for name, value in trainer.numbers.items()
        if name.startswith(part)
    }
    return ", ".join(f"{name} {format_metric(name, value)}" for name, value in latest.items())


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


def _draw_classification(
    folder: RunFolder, trainer: Trainer, found: tuple[Array, Array], path: Path, title: str
) -> None:
    outputs, targets = found
    classes = trainer.data.classes
    counts = confusion_matrix(targets, outputs.argmax(axis=1), len(classes))
    images = inputs_of(trainer.data.test)
    examples = None
    if images is not None and images.ndim in (3, 4):
        examples = worst_mistakes(images, targets, softmax(outputs))
    training_figure(folder.history(), counts, classes, path, title=title, examples=examples)


def _draw_line(folder: RunFolder, trainer: Trainer, path: Path, title: str) -> None:
    loader = DataLoader(trainer.data.train.dataset, 256)
    batches = list(loader)
    with no_grad():
        outputs = np.concatenate([np.asarray(trainer.judged(x)) for x, _ in batches])
    targets = np.concatenate([np.asarray(y) for _, y in batches])
    x = np.concatenate([np.asarray(x) for x, _ in batches])
    line_figure(x, targets, outputs, folder.history()["train_loss"], path, title=title)


def inputs_of(batches: Any) -> Array | None:
    """The first tensor of each batch, together; None where their items differ in shape."""
    found = [next((x for x in batch if isinstance(x, Tensor)), None) for batch in batches]
    shapes = {None if x is None else tuple(x.shape[1:]) for x in found}
    if len(shapes) != 1 or None in shapes:
        return None
    return np.concatenate([np.asarray(x) for x in found])


def softmax(outputs: Array) -> Array:
    """Probabilities of classes from scores, (items, classes).

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _title(recipe: Recipe, trainer: Trainer, seconds: float) -> str:
    words = [recipe.name]
    if "val_accuracy" in trainer.numbers:
        words.append(f"{trainer.numbers['val_accuracy']:.2%} on test data")
    words.append(f"{trainer.epoch} epoch{'s' * (trainer.epoch != 1)}")
    return " · ".join([*words, format_seconds(seconds)])
