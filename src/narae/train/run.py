"""One run of a recipe, from its data to the folder it leaves: checkpoints, history, picture."""

import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, FileFormatError, explain, require
from narae.data import DataLoader
from narae.io import append_record, load_checkpoint, save_checkpoint
from narae.tensors.random import manual_seed

from .loop import History, Trainer, fit
from .progress import EpochProgress
from .recipe import Data, Recipe, Settings
from .report import write_report

logger = logging.getLogger("narae.train")

_TEST_BATCH = 256
_MANY_EPOCHS, _SHOWN_OF_MANY = 50, 20
LAST, BEST, INTERRUPTED = "last", "best", "interrupted"
METRICS = "metrics.jsonl"


@dataclass
class Run:
    """A run: what it was made from, what came of it.

    Attributes:
        recipe, settings, data: what is trained, how, and on what.
        trainer: the model with its optimizer.
        train, test: loaders of batches.
        out: the folder for all files.
        history: one number an epoch by name, such as "val_accuracy".
        best_epoch: the epoch, from 1, of the checkpoint with the highest accuracy on the test data
            (without accuracies: the lowest loss); 0 before the first.
        seconds: how long training took.
        interrupted: whether the user stopped it.
    """

    recipe: Recipe
    settings: Settings
    data: Data
    trainer: Trainer
    train: DataLoader
    test: DataLoader
    out: Path
    compiled: bool = True
    history: History = field(default_factory=dict)
    best_epoch: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def epochs_done(self) -> int:
        """How many epochs are finished."""
        return len(self.history.get("train_loss", ()))

    @property
    def every(self) -> int:
        """In a run of many short epochs only every so many are shown and saved."""
        epochs = self.settings.epochs
        return 1 if epochs <= _MANY_EPOCHS else epochs // _SHOWN_OF_MANY

    def score(self, epoch: int) -> float:
        """How good an epoch was: its accuracy on the test data, or minus its loss."""
        if "val_accuracy" in self.history:
            return self.history["val_accuracy"][epoch - 1]
        return -self.history["val_loss"][epoch - 1]

    def save(self, name: str) -> Path:
        """Write a checkpoint of this moment."""
        latest = {key: values[-1] for key, values in self.history.items()}
        meta = {
            "recipe": self.recipe.name,
            "epoch": self.epochs_done,
            "settings": asdict(self.settings),
            "best_epoch": self.best_epoch,
            "latest": latest,
            "history": self.history,
            "seconds": round(self.seconds, 3),
            "classes": list(self.data.classes),
            "input_shape": list(np.shape(self.data.test[0][0])),
        }
        path = save_checkpoint(self.out / name, self.trainer.model, self.trainer.optimizer, meta)
        logger.debug("saved %s", path)
        return path

    def restore(self, checkpoint: Path) -> None:
        """Go back to the moment of a checkpoint; an epoch that was not finished begins again."""
        trainer = self.trainer
        meta = load_checkpoint(checkpoint, trainer.model, trainer.optimizer, restore_random=True)
        self.history.clear()
        self.history.update({name: list(values) for name, values in meta["history"].items()})
        self.best_epoch, self.seconds = int(meta["best_epoch"]), float(meta["seconds"])

    def resume(self, checkpoint: Path) -> None:
        """Restore, but let this run's settings decide the learning rate from there on."""
        optimizer, schedule = self.trainer.optimizer, self.trainer.schedule
        done = load_checkpoint(checkpoint)["epoch"]
        if schedule is not None:
            with warnings.catch_warnings(action="ignore"):  # no step of the optimizer comes before
                for _ in range(done * len(self.train)):
                    schedule.step()
        own = [{**group} for group in optimizer.param_groups]
        self.restore(checkpoint)
        for group, options in zip(optimizer.param_groups, own, strict=True):
            group.update({name: value for name, value in options.items() if name != "params"})


def checkpoint_plan(checkpoint: Path) -> tuple[str, Settings]:
    """The recipe and the settings of the run that wrote a checkpoint.

    Raises:
        FileFormatError: if the file is damaged, or no run wrote it.
        MissingDataError: if there is no such file.
    """
    meta = load_checkpoint(checkpoint)
    try:
        return str(meta["recipe"]), Settings(**meta["settings"])
    except (KeyError, TypeError) as error:
        given, rule = f"{checkpoint} names no recipe", "only a run can be gone on with"
        fix = "name a last.safetensors that `narae train` wrote"
        raise FileFormatError(explain("resume", given, rule, fix)) from error


def run_recipe(
    recipe: Recipe,
    settings: Settings | None = None,
    data_dir: Path | None = None,
    out: Path | None = None,
    compiled: bool = True,
    resume: Path | None = None,
    quiet: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train a recipe and write everything about the run into a folder.

    Args:
        recipe: what to train.
        settings: instead of the recipe's defaults.
        data_dir: a folder to look for data in first.
        out: the folder to write to; "runs/<recipe>", with a number where that exists.
        compiled: make each step one program.
        resume: a checkpoint to go on from.
        quiet: show nothing while training.
        tell: called with lines for the user.

    Raises:
        MissingExtraError: if a library that the run will need is not installed.
    """
    _check_libraries()
    settings = settings or recipe.settings
    manual_seed(settings.seed)  # before the data, which may be drawn or split at random
    run = _prepare(recipe, settings, recipe.data(data_dir), _out_path(recipe, out), compiled)
    if resume is not None:
        _check_same_recipe(recipe, resume)
        run.resume(resume)
    _make_folder(run.out)
    (run.out / METRICS).unlink(missing_ok=True)
    for epoch in range(1, run.epochs_done + 1):
        _record_epoch(run, epoch)
    tell(_introduction(run))
    _train(run, quiet)
    if run.epochs_done:
        write_report(run)
    return run


def _prepare(recipe: Recipe, settings: Settings, data: Data, out: Path, compiled: bool) -> Run:
    train = DataLoader(data.train, settings.batch_size, shuffle=True)
    test = DataLoader(data.test, max(_TEST_BATCH, settings.batch_size))
    model = recipe.model()
    optimizer = recipe.optimizer(model, settings.lr)
    schedule = recipe.schedule(optimizer, settings.epochs * len(train))
    trainer = Trainer(model, recipe.loss, optimizer, schedule, recipe.metrics, compiled)
    return Run(recipe, settings, data, trainer, train, test, out, compiled)


def _train(run: Run, quiet: bool) -> None:
    """Train, with a checkpoint after each epoch, and one more if the user stops the run."""
    saved = False
    start = time.perf_counter() - run.seconds

    def after_epoch(epoch: int) -> None:
        nonlocal saved
        _log_epoch(_record_epoch(run, epoch))
        if epoch % run.every and epoch != run.settings.epochs:
            return
        run.seconds = time.perf_counter() - start
        if not run.best_epoch or run.score(epoch) > run.score(run.best_epoch):
            run.best_epoch = epoch
            run.save(BEST)
        run.save(LAST)
        saved = True

    trainer, epochs = run.trainer, run.settings.epochs
    show = EpochProgress(epochs, len(run.data.train), quiet=quiet, every=run.every)
    try:
        with show:
            fit(trainer, run.train, run.test, epochs, show, run.history, after_epoch)
    except KeyboardInterrupt:
        run.seconds = time.perf_counter() - start
        run.interrupted = True
        run.save(INTERRUPTED)
        logger.warning("stopped in epoch %d", run.epochs_done + 1)
        if saved:  # what is reported shall be the state that the run can go on from exactly
            run.restore(run.out / f"{LAST}.safetensors")


def _record_epoch(run: Run, epoch: int) -> dict[str, Any]:
    """Append the numbers of an epoch to the run's metrics.jsonl."""
    numbers = {name: values[epoch - 1] for name, values in run.history.items()}
    record = {"recipe": run.recipe.name, "epoch": epoch, **numbers}
    append_record(run.out / METRICS, record)
    return record


def _log_epoch(record: dict[str, Any]) -> None:
    words = [f"{name}={value:.6g}" for name, value in record.items() if isinstance(value, float)]
    logger.info("epoch %d: %s", record["epoch"], " ".join(words), extra=record)


def _check_same_recipe(recipe: Recipe, checkpoint: Path) -> None:
    name, _ = checkpoint_plan(checkpoint)
    if name != recipe.name:
        given, rule = f"{checkpoint} is from a run of {name}", f"this is a run of {recipe.name}"
        raise ConfigError(explain("resume", given, rule, f"narae train {name} --resume ..."))


def _check_libraries() -> None:
    """Ask for what the run needs at its end now, before hours of training."""
    require("safetensors", "train", "saving checkpoints")
    require("matplotlib", "train", "drawing the picture of a run")


def _out_path(recipe: Recipe, out: Path | None) -> Path:
    if out is not None:
        return out
    numbers = ("", *(f"-{count}" for count in range(2, 1_000_000)))
    places = (Path("runs") / f"{recipe.name}{number}" for number in numbers)
    return next(place for place in places if not place.exists())


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        given, rule = f"{out} cannot be made a folder ({error.strerror})", "--out names a folder"
        raise ConfigError(explain("train", given, rule, "choose another place")) from error
    if not os.access(out, os.W_OK):
        given = f"{out} cannot be written to"
        raise ConfigError(explain("train", given, "--out names a folder", "choose another place"))


def _introduction(run: Run) -> str:
    settings, trainer = run.settings, run.trainer
    parameters = parameter_count(trainer.model)
    steps = math.ceil(len(run.data.train) / settings.batch_size)
    how = "one program" if run.compiled else "eager"
    return (
        f"{run.recipe.name}: {run.recipe.summary}\n"
        f"  {type(trainer.model).__name__} with {parameters:,} parameters, "
        f"{type(trainer.optimizer).__name__}, each step {how}\n"
        f"  {len(run.data.train):,} samples to learn from, {len(run.data.test):,} to test on; "
        f"{_count(settings.epochs, 'epoch')} of {_count(steps, 'batch', 'batches')} of "
        f"{settings.batch_size}"
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def parameter_count(model: Any) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
