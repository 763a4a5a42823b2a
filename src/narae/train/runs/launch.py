"""Starting a run of a recipe, or going on with one, until it has left its results."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import require

from ..building import build
from ..callback import Callback
from ..callbacks.checkpoints import Checkpoints
from ..callbacks.json_lines import JSONLines
from ..callbacks.progress import Progress
from ..recipe import Recipe
from ..trainer import Trainer
from .folder import RunFolder
from .results import write_results

logger = logging.getLogger("narae.train")


def start(
    recipe: Recipe,
    out: Path | None = None,
    data_dir: Path | None = None,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[RunFolder, Trainer]:
    """Train a recipe with its settings in a new folder.

    Args:
        recipe: what to train.
        out: the folder; "runs/<recipe>", with a number where that exists, if None.
        data_dir: a folder to look for data in first.
        quiet: show nothing while training.
        tell: called with lines for the user.

    Raises:
        MissingExtraError: if a library that the run will need is not installed.
    """
    _check_libraries()
    trainer = build(recipe, data_dir)
    folder = RunFolder.create(recipe, out, _about(trainer))
    _take_part(trainer, folder, recipe, quiet)
    _run(trainer, folder, recipe, tell)
    return folder, trainer


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data_dir: Path | None = None,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Trainer:
    """Go on with a run from its newest checkpoint.

    Args:
        folder: of the run.
        recipe: its recipe with the settings to go on with: `folder.plan().load()`.
        data_dir, quiet, tell: as for `start`.
    """
    _check_libraries()
    trainer = build(recipe, data_dir)
    _take_part(trainer, folder, recipe, quiet)
    trainer.load_state_dict(folder.checkpoints.newest())
    _run(trainer, folder, recipe, tell)
    return trainer


def _take_part(trainer: Trainer, folder: RunFolder, recipe: Recipe, quiet: bool) -> None:
    """Add what belongs to the folder and the screen."""
    settings = recipe.settings
    own: Sequence[Callback] = (
        JSONLines(folder.metrics),
        Progress(quiet, _samples(trainer)),
        Checkpoints(folder.checkpoints, settings.monitor, settings.save_steps, settings.keep),
    )
    trainer.add_callbacks(own)


def _run(
    trainer: Trainer, folder: RunFolder, recipe: Recipe, tell: Callable[[str], None]
) -> None:
    tell(_introduction(recipe, trainer))
    begin = time.perf_counter()
    try:
        trainer.fit()
    finally:
        for callback in trainer.callbacks:
            if isinstance(callback, Progress):
                callback.close()
    if not trainer.stop and trainer.epoch:
        write_results(folder, recipe, trainer, time.perf_counter() - begin)


def _about(trainer: Trainer) -> dict[str, Any]:
    batch = next(iter(trainer.data.test))
    first = batch[0] if isinstance(batch, (list, tuple)) else batch
    return {
        "classes": list(trainer.data.classes),
        "input_shape": list(np.shape(first)[1:]),
        "parameters": parameter_count(trainer.model),
    }


def _check_libraries() -> None:
    """Ask for what the run needs at its end now, before hours of training."""
    require("safetensors", "train", "saving checkpoints")
    require("matplotlib", "train", "drawing the picture of a run")


def _samples(trainer: Trainer) -> int:
    dataset = getattr(trainer.data.train, "dataset", None)
    return len(dataset) if dataset is not None and hasattr(dataset, "__len__") else 0


def _introduction(recipe: Recipe, trainer: Trainer) -> str:
    how = "one program" if recipe.settings.compile else "eager"
    batches = len(trainer.data.train)
    return (
        f"{recipe.name}: {recipe.card.summary}\n"
        f"  {type(trainer.model).__name__} with {parameter_count(trainer.model):,} parameters, "
        f"{type(trainer.optimizer).__name__}, each step {how}\n"
        f"  {_count(trainer.epochs, 'epoch')} of {_count(batches, 'batch', 'batches')}"
        f"{_data_words(trainer)}"
    )


def _data_words(trainer: Trainer) -> str:
    sets: list[Any] = [getattr(x, "dataset", None) for x in (trainer.data.train, trainer.data.test)]
    if not all(hasattr(x, "__len__") for x in sets):
        return ""
    train, test = map(len, sets)
    return f"; {train:,} samples to learn from, {test:,} to test on"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def parameter_count(model: Any) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
