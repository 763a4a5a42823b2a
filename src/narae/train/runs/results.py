"""What a run leaves when it has ended: summary.txt, a picture, result.json."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from narae.data import DataLoader
from narae.io import atomic_write
from narae.tensors import no_grad

from ..answers import answers_of
from ..averages import Numbers
from ..callbacks.checkpoints import Checkpoints
from ..checkpoint_folder import BEST
from ..example import examples_of
from ..figures import is_picture, line_figure, overview_figure, training_figure
from ..metrics import Counts, confusion_matrix
from ..monitor import best_by
from ..progress import format_metric, format_seconds
from ..recipe import Recipe
from ..trainer import Trainer
from .folder import SUMMARY, RunFolder
from .result_file import RESULT, Best, Result, write_result
from .saved import load_weights

_MOST_CONFUSIONS = 3
_MOST_EXAMPLES = 5


def write_results(folder: RunFolder, recipe: Recipe, trainer: Trainer, seconds: float) -> None:
    """Write the summary, a picture of the run, and how it ended."""
    classes = trainer.data.classes
    answers = answers_of(trainer, trainer.data.test) if classes else None
    counts = None
    if answers is not None:
        counts = confusion_matrix(answers.targets, answers.said, len(classes))
    test = _tested(folder, trainer) if trainer.data.validates_apart else {}
    with atomic_write(folder.path / SUMMARY, "w") as file:
        file.write(_summary(recipe, trainer, seconds, counts, test) + "\n")
    path = folder.path / f"{recipe.name}.png"
    title = _title(recipe, trainer, seconds)
    if answers is not None and counts is not None:
        shown = answers.examples()
        training_figure(folder.history(), counts, classes, path, title=title, examples=shown)
    elif folder.plan().about["input_shape"] == [1] and not classes:
        _draw_line(folder, trainer, path, title)
    else:
        _draw_overview(folder, recipe, trainer, path, title)
    write_result(_result(trainer, "finished", seconds, test=test), folder.path / RESULT)


def _tested(folder: RunFolder, trainer: Trainer) -> Numbers:
    """The numbers of the best epoch on the test data, which had no part in the choice."""
    if not folder.best.is_file():
        return trainer.validate(trainer.data.test)
    last = copy.deepcopy(trainer.judged.state_dict())
    trainer.judged.load_state_dict(load_weights(folder.best)[0])
    try:
        return trainer.validate(trainer.data.test)
    finally:
        trainer.judged.load_state_dict(last)


def write_failure(folder: RunFolder, trainer: Trainer, seconds: float, error: Exception) -> None:
    """Write that a run failed, and why; on a full disk, nothing."""
    words = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        write_result(_result(trainer, "failed", seconds, words), folder.path / RESULT)


def _result(
    trainer: Trainer, status: str, seconds: float, error: str = "", test: Numbers | None = None
) -> Result:
    numbers = {name: float(value) for name, value in trainer.numbers.items()}
    best = _best_of(trainer)
    epochs, updates = trainer.epoch, trainer.updates
    return Result(status, epochs, updates, best, numbers, seconds, error, test or {})


def keeper_of(trainer: Trainer) -> Checkpoints | None:
    """Who saves a run."""
    return next((x for x in trainer.callbacks if isinstance(x, Checkpoints)), None)


def _best_of(trainer: Trainer) -> Best | None:
    """The best epoch of a run, if it is kept."""
    keeper = keeper_of(trainer)
    if keeper is None or not keeper.best_epoch:
        return None
    name = keeper.monitor or best_by(trainer.numbers)
    return Best(name, keeper.best_epoch, float(keeper.best_value))


def _summary(
    recipe: Recipe, trainer: Trainer, seconds: float, counts: Counts | None, test: Numbers
) -> str:
    """The summary: a few aligned lines."""
    changed = ", ".join(f"{key} {value}" for key, value in recipe.chosen_settings().items())
    lines = {
        "recipe": recipe.name,
        "epochs": _epochs(trainer, seconds),
        "settings": changed or "those of the recipe",
        "training": _words(_part(trainer, "train_")),
        "validated" if test else "test": _words(_part(trainer, "val_")),
    }
    if counts is not None:
        lines["mistakes"] = mistakes_text(counts, trainer.data.classes)
    best = _best_of(trainer)
    if best is not None:
        value = format_metric(best.name, best.value)
        lines["best"] = f"epoch {best.epoch}, {best.name} {value} (checkpoints/{BEST})"
    if test:
        lines["test"] = _words(test) + " (of the best epoch)"
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _epochs(trainer: Trainer, seconds: float) -> str:
    early = trainer.epoch < trainer.epochs
    count = f"{trainer.epoch} of {trainer.epochs}" if early else str(trainer.epoch)
    reason = f"; {trainer.stop}" if early and trainer.stop else ""
    return f"{count}, {format_seconds(seconds)}{reason}"


def _part(trainer: Trainer, part: str) -> Numbers:
    """The numbers of the last epoch whose names begin with a word, without that word."""
    found = {name: x for name, x in trainer.numbers.items() if name.startswith(part)}
    return {name.removeprefix(part): x for name, x in found.items()}


def _words(numbers: Numbers) -> str:
    return ", ".join(f"{name} {format_metric(name, value)}" for name, value in numbers.items())


def mistakes_text(confusion: Counts, classes: Sequence[str]) -> str:
    """How many, and which pairs of classes were confused most.

    Args:
        confusion: counts[true class, predicted class].
        classes: their names.

    >>> mistakes_text(np.array([[8, 0], [2, 9]]), ["cat", "dog"])
    '2 of 19: dog taken for cat 2 ×'
    """
    counts, samples = confusion.copy(), int(confusion.sum())
    np.fill_diagonal(counts, 0)
    total = int(counts.sum())
    if not total:
        return f"0 of {samples:,}"
    order = np.argsort(-counts, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    words = [
        f"{classes[true]} taken for {classes[taken]} {counts[true, taken]} ×"
        for true, taken in pairs
        if counts[true, taken]
    ]
    return f"{total:,} of {samples:,}: {', '.join(words)}" + (
        ", …" if counts[tuple(zip(*pairs, strict=True))].sum() < total else ""
    )


def _draw_overview(
    folder: RunFolder, recipe: Recipe, trainer: Trainer, path: Path, title: str
) -> None:
    """Curves, and what the recipe shows of the model's work."""
    measure = _measure(recipe.settings.monitor or best_by(trainer.numbers), trainer.numbers)
    shown = examples_of(recipe.part("examples"), trainer.judged, trainer.data.test, _MOST_EXAMPLES)
    pictures = [(x.title, np.asarray(x.picture)) for x in shown if is_picture(x.picture)]
    overview_figure(folder.history(), path, title, measure, pictures)


def _measure(monitor: str, numbers: Mapping[str, float]) -> str:
    """What is drawn beside the loss: what says which epoch is best, or else the first there is.

    >>> _measure("val_loss", {"train_loss": 0.5, "val_loss": 0.6, "val_bleu": 38.0})
    'bleu'
    """
    names = [monitor, *(name for name in numbers if name.startswith("val_"))]
    others = [name for name in names if not name.endswith("_loss")]
    return others[0].removeprefix("val_").removeprefix("train_") if others else ""


def _draw_line(folder: RunFolder, trainer: Trainer, path: Path, title: str) -> None:
    loader = DataLoader(trainer.data.train.dataset, 256)
    batches = list(loader)
    with no_grad():
        outputs = np.concatenate([np.asarray(trainer.judged(x)) for x, _ in batches])
    targets = np.concatenate([np.asarray(y) for _, y in batches])
    x = np.concatenate([np.asarray(x) for x, _ in batches])
    line_figure(x, targets, outputs, folder.history()["train_loss"], path, title=title)


def _title(recipe: Recipe, trainer: Trainer, seconds: float) -> str:
    words = [recipe.name]
    if "val_accuracy" in trainer.numbers:
        part = "validation" if trainer.data.validates_apart else "test"
        words.append(f"{trainer.numbers['val_accuracy']:.2%} on {part} data")
    words.append(f"{trainer.epoch} epoch{'s' * (trainer.epoch != 1)}")
    return " · ".join([*words, format_seconds(seconds)])
