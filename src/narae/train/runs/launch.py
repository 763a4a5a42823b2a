"""Starting a run of a recipe, or going on with one, until it has left its results."""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import NaraeError, explain, require
from narae.io.atomic import remove_leftovers
from narae.tensors import Tensor

from ..building import build
from ..callback import Callback
from ..callbacks.checkpoints import Checkpoints
from ..callbacks.epoch_log import EpochLog
from ..callbacks.learning_rate import LearningRate
from ..callbacks.progress import Progress
from ..callbacks.timing import Timing
from ..data import samples_of
from ..log_file import is_disk_full
from ..loggers import check_loggers, loggers_of
from ..recipe import Recipe
from ..resume import random_streams, restore_random_streams
from ..signals import stop_on_signals
from ..trainer import Trainer
from .folder import TIMING, RunFolder, plain
from .lock import run_lock
from .places import RUNS
from .result_file import RESULT
from .results import keeper_of, write_failure, write_results
from .run_file import PLAN

logger = logging.getLogger("narae.train")


def start(
    recipe: Recipe,
    out: Path | None = None,
    data_dir: Path | None = None,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    command: Sequence[str] = (),
    weights: str | None = None,
    ignore_mismatched: bool = False,
) -> tuple[RunFolder, Trainer]:
    """Train a recipe with its settings in a new folder.

    Args:
        recipe: what to train.
        out: the folder; "runs/<recipe>", with a number where that exists, if None.
        data_dir: a folder to look for data in first.
        quiet: show nothing while training.
        tell: called with lines for the user.
        command: the words of the command line, to be kept.
        weights, ignore_mismatched: what the model begins with, as for `build`.

    Raises:
        MissingExtraError: if a library that the run will need is not installed.
    """
    _check_libraries(recipe)
    trainer = build(recipe, data_dir, (), weights, ignore_mismatched)
    about = {**_about(trainer), "id": secrets.token_hex(8)}
    if weights is not None:
        about |= {"weights": weights, "ignore_mismatched": ignore_mismatched}
    with _disk_errors(out):
        folder = RunFolder.create(recipe, out, about, data_dir, command)
    with _disk_errors(folder.path), run_lock(folder.path):
        _take_part(trainer, folder, recipe, quiet)
        _run(trainer, folder, recipe, tell)
    return folder, trainer


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data_dir: Path | None = None,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    checkpoint: Path | None = None,
) -> Trainer:
    """Go on with a run from its newest checkpoint.

    Args:
        folder: of the run.
        recipe: its recipe with the settings to go on with: `folder.recipe()`.
        data_dir, quiet, tell: as for `start`.
        checkpoint: an older one to go back to; what came after it is undone.

    Raises:
        ConfigError: if another process is at work in the folder.
        DataError: if no checkpoint is whole and fits.
    """
    _check_libraries(recipe)
    with _disk_errors(folder.path), run_lock(folder.path):
        remove_leftovers(folder.path)
        trainer = build(recipe, data_dir, (), *_first_weights(folder))
        keeper = _take_part(trainer, folder, recipe, quiet)
        if not keeper.resume(trainer, checkpoint):  # killed before the first one
            logger.warning("%s holds no checkpoint: the run begins at its beginning", folder.path)
            folder.metrics.unlink(missing_ok=True)
        folder.change_settings(recipe, trainer.epoch)
        (folder.path / RESULT).unlink(missing_ok=True)
        _run(trainer, folder, recipe, tell)
    return trainer


def _first_weights(folder: RunFolder) -> tuple[str | None, bool]:
    """What the model of a run began with, for one that was killed before its first checkpoint."""
    if folder.checkpoints.steps():
        return None, False
    about = folder.plan().about
    return about.get("weights"), bool(about.get("ignore_mismatched"))


def _take_part(trainer: Trainer, folder: RunFolder, recipe: Recipe, quiet: bool) -> Checkpoints:
    """Add what belongs to the folder and the screen, and say what checkpoints shall say."""
    trainer.about = {
        "run": folder.plan().about.get("id"),
        "recipe": recipe.name,
        "sha256": recipe.sha256,
        "settings": plain(recipe.all_settings()),
    }
    settings = recipe.settings
    keeper = Checkpoints(folder.checkpoints, settings.monitor, settings.save_steps, settings.keep)
    own: Sequence[Callback] = (
        LearningRate(),
        Timing(folder.path / TIMING),
        *loggers_of(settings.log, folder.path),
        EpochLog(recipe.name),
        Progress(quiet, samples_of(trainer.data.train)),
        keeper,
    )
    trainer.add_callbacks(own)
    return keeper


def _run(trainer: Trainer, folder: RunFolder, recipe: Recipe, tell: Callable[[str], None]) -> None:
    tell(_introduction(recipe, trainer))
    begin = time.perf_counter()
    try:
        with _disk_errors(folder.path):
            with stop_on_signals(trainer):
                trainer.fit()
            _check_saved(trainer, folder)
            if trainer.finished:
                write_results(folder, recipe, trainer, time.perf_counter() - begin)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped at once; {_way_on(folder.path)}") from None
    except Exception as error:
        write_failure(folder, trainer, time.perf_counter() - begin, error)
        raise


def _check_saved(trainer: Trainer, folder: RunFolder) -> None:
    """The end of a run is an error if its last checkpoint is not on the disk."""
    keeper = keeper_of(trainer)
    if keeper is not None and keeper.failure:
        rule, fix = "the run ends with a checkpoint", f"make room, then {_way_on(folder.path)}"
        raise NaraeError(explain("train", keeper.failure, rule, fix))


def _way_on(path: Path) -> str:
    return f"go on with: narae train --resume {path}"


@contextmanager
def _disk_errors(path: Path | None) -> Iterator[None]:
    """Say in words that a disk is full."""
    try:
        yield
    except OSError as error:
        if isinstance(error, NaraeError) or not is_disk_full(error):
            raise
        given = f"there is no space in {path or RUNS} ({error.strerror})"
        fix = f"make room, then {_way_on(path)}" if path and (path / PLAN).exists() else "make room"
        raise NaraeError(explain("train", given, "a run writes to its folder", fix)) from error


def _about(trainer: Trainer) -> dict[str, Any]:
    before = random_streams()
    batch = next(iter(trainer.data.test))
    restore_random_streams(before)  # so that a look at the data changes nothing
    first = batch[0] if isinstance(batch, (list, tuple)) else batch
    return {
        "classes": [str(name) for name in trainer.data.classes],
        "input_shape": list(np.shape(first)[1:]) if isinstance(first, Tensor) else [],
        "parameters": parameter_count(trainer.model),
    }


def _check_libraries(recipe: Recipe) -> None:
    """Ask for what the run needs at its end now, before hours of training."""
    check_loggers(recipe.settings.log)
    require("matplotlib", "train", "drawing the picture of a run")


def _introduction(recipe: Recipe, trainer: Trainer) -> str:
    how = "one program" if recipe.settings.compile else "eager"
    batches = len(trainer.data.train)
    return (
        f"{recipe.name}: {recipe.card.summary}\n"
        f"  {type(trainer.model).__name__} with {parameter_count(trainer.model):,} parameters, "
        f"{type(trainer.optimizer).__name__}, each step {how}\n"
        f"  {_data_words(trainer)}{_count(trainer.epochs, 'epoch')} of "
        f"{_count(batches, 'batch', 'batches')}{_size_words(trainer)}"
        f"{_place_words(trainer)}"
    )


def _place_words(trainer: Trainer) -> str:
    """Where a run goes on."""
    if trainer.epoch >= trainer.epochs:
        return f"\n  all are done; --epochs {2 * trainer.epoch} would go on"
    if not trainer.updates:
        return ""
    inside = f", batch {trainer.batches + 1:,}" if trainer.batches else ""
    return f"\n  goes on after update {trainer.updates:,}, in epoch {trainer.epoch + 1}{inside}"


def _data_words(trainer: Trainer) -> str:
    data = trainer.data
    loaders = {"samples to learn from": data.train, "to test on": data.test}
    if data.validates_apart:
        loaders["to validate on"] = data.validation
    sets: dict[str, Any] = {use: getattr(x, "dataset", None) for use, x in loaders.items()}
    if not all(hasattr(x, "__len__") for x in sets.values()):
        return ""
    return ", ".join(f"{len(x):,} {use}" for use, x in sets.items()) + "; "


def _size_words(trainer: Trainer) -> str:
    size = getattr(trainer.data.train, "batch_size", None)
    return "" if size is None else f" of {size:,}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def parameter_count(model: Any) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
