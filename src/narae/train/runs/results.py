"""What a run leaves to look at when it has ended: summary.txt and a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.data import DataLoader
from narae.io import atomic_write
from narae.tensors import Tensor, no_grad

from ..callbacks.checkpoints import Checkpoints
from ..figures import line_figure, training_figure, worst_mistakes
from ..metrics import confusion_matrix
from ..progress import format_metric, format_seconds
from ..recipe import Recipe
from ..trainer import Trainer
from .folder import SUMMARY, RunFolder

Array = npt.NDArray[Any]
_MOST_CONFUSIONS = 3


def write_results(folder: RunFolder, recipe: Recipe, trainer: Trainer, seconds: float) -> None:
    """Write the summary and, where the data can be drawn, the picture of a run."""
    classes = trainer.data.classes
    found = outputs_and_targets(trainer) if classes else None
    with atomic_write(folder.path / SUMMARY, "w") as file:
        file.write(summary_text(recipe, trainer, seconds, found) + "\n")
    path = folder.path / f"{recipe.name}.png"
    title = _title(recipe, trainer, seconds)
    if found is not None:
        _draw_classification(folder, trainer, found, path, title)
    elif folder.plan().about["input_shape"] == [1]:
        _draw_line(folder, trainer, path, title)


def outputs_and_targets(trainer: Trainer) -> tuple[Array, Array]:
    """The model's outputs and the targets of all test batches."""
    trainer.judged.eval()
    pairs = []
    with no_grad():
        for batch in trainer.data.test:
            out, target = trainer.forward(trainer.judged, tuple(batch))
            pairs.append((np.asarray(out), np.asarray(target)))
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


def summary_text(
    recipe: Recipe, trainer: Trainer, seconds: float, found: tuple[Array, Array] | None
) -> str:
    """The summary: a few aligned lines."""
    changed = ", ".join(f"{key} {value}" for key, value in recipe.values.items())
    lines = {
        "recipe": recipe.name,
        "epochs": f"{trainer.epoch}, {format_seconds(seconds)}",
        "settings": changed or "those of the recipe",
        "training": _numbers(trainer, "train_"),
        "test": _numbers(trainer, "val_"),
    }
    if found is not None:
        lines["mistakes"] = mistakes_text(*found, trainer.data.classes)
    best = next((x for x in trainer.callbacks if isinstance(x, Checkpoints)), None)
    if best is not None and best.best_epoch:
        lines["best"] = f"epoch {best.best_epoch} (checkpoints/best.safetensors)"
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


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
    examples = worst_mistakes(images, targets, softmax(outputs)) if images.ndim >= 3 else None
    training_figure(folder.history(), counts, classes, path, title=title, examples=examples)


def _draw_line(folder: RunFolder, trainer: Trainer, path: Path, title: str) -> None:
    loader = DataLoader(trainer.data.train.dataset, 256)
    batches = list(loader)
    with no_grad():
        outputs = np.concatenate([np.asarray(trainer.judged(x)) for x, _ in batches])
    targets = np.concatenate([np.asarray(y) for _, y in batches])
    x = np.concatenate([np.asarray(x) for x, _ in batches])
    line_figure(x, targets, outputs, folder.history()["train_loss"], path, title=title)


def inputs_of(batches: Any) -> Array:
    """The first tensor of each batch, together."""
    first = (next(x for x in batch if isinstance(x, Tensor)) for batch in batches)
    return np.concatenate([np.asarray(x) for x in first])


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
