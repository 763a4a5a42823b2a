"""What a report is made of: read from a run's folder, and computed with its best model."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import FileFormatError, NaraeError
from narae.io import read_records
from narae.tensors import Tensor
from narae.train.answers import Answers, Mistake, answers_of
from narae.train.data import items_of
from narae.train.example import Example, examples_of
from narae.train.metrics import confusion_matrix
from narae.train.recipe import Recipe
from narae.train.resume import random_streams, restore_random_streams
from narae.train.runs.folder import TIMING, History, RunFolder
from narae.train.runs.result_file import Best
from narae.train.runs.run_file import Plan
from narae.train.runs.saved import SavedRun, find_run, load_run
from narae.train.runs.table import best_epoch
from narae.train.trainer import Trainer

from .layers import LayerStatistics, layer_statistics

_MOST_SCATTERED, _MOST_NUMBERS = 600, 10
_LAYER_SAMPLES = 64
_MOST_EXAMPLES = 12
_LARGEST = 1e15  # seconds, samples, epochs: what is more is damage


@dataclass
class Facts:
    """Everything that the page says.

    Attributes:
        folder, plan: the run and what was asked for.
        history: the numbers of all epochs.
        timing: the seconds of each epoch by what they went to.
        recipe: with the run's settings; None if its file is not there.
        own: the recipe's own settings, where the run's differ.
        epoch: of the model that is judged; None without one.
        best: whether that model is the best one.
        numbers: loss and metrics of that model on the test data.
        samples: how many samples of the test data it was judged on.
        confusion: counts[true class, predicted class]; None if it does not classify.
        classes: their names.
        pairs: true and predicted numbers of a regression, some of them.
        mistakes: what it got most wrong.
        layers: statistics of each layer.
        examples: what the recipe shows of its work.
        notes: why something is missing.
    """

    folder: RunFolder
    plan: Plan
    history: History
    timing: list[dict[str, Any]] = field(default_factory=list)
    recipe: Recipe | None = None
    own: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    best: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    confusion: npt.NDArray[np.int64] | None = None
    classes: list[str] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    layers: list[LayerStatistics] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def best_epoch(self) -> Best | None:
        """The best epoch by the number that the run went by; None if there is none."""
        return best_epoch(self.history, str(self.plan.settings.get("monitor", "")))


def gather(
    path: Path | None = None, recipe: str | None = None, data_dir: Path | None = None
) -> Facts:
    """Read a run and judge its model; what cannot be done is noted, and the rest is there.

    Args:
        path: the folder of a run, or one of its checkpoints; the newest run if None.
        recipe: the file of a recipe of your own, if it is not where it was.
        data_dir: a folder to look for data in first.

    Raises:
        NaraeError: if there is no such run, or its `run.json` is damaged.
    """
    folder = RunFolder(path) if path is not None and path.is_dir() else find_run(path)[0]
    plan = folder.plan()
    facts = Facts(folder, plan, folder.history())
    try:
        facts.timing = _timing(folder)
    except FileFormatError as error:
        facts.notes.append(f"Without the time: {error}")
    facts.classes = [str(name) for name in plan.about.get("classes", ())]
    streams = random_streams()
    try:
        _look(facts, path or folder.path, recipe, data_dir)
    finally:
        restore_random_streams(streams)
    return facts


def _look(facts: Facts, path: Path, recipe: str | None, data_dir: Path | None) -> None:
    try:
        facts.recipe = facts.folder.recipe(recipe)
        facts.own = facts.recipe.as_written.all_settings()
        run = load_run(path, recipe)
    except NaraeError as error:
        if recipe is not None:
            raise
        facts.notes.append(f"Without the model: {error}")
        return
    facts.epoch, facts.best = run.epoch, run.path == facts.folder.best
    try:
        _judge(facts, run, data_dir)
    except NaraeError as error:
        facts.notes.append(f"Without the data: {error}")


def _timing(folder: RunFolder) -> list[dict[str, Any]]:
    """A record for each epoch; lines of an epoch that was gone on with are added up."""
    path = folder.path / TIMING
    found: dict[int, dict[str, Any]] = {}
    for record in read_records(path) if path.exists() else ():
        numbers = {key: x for key, x in record.items() if isinstance(x, (int, float))}
        if all(0 <= x < _LARGEST for x in numbers.values()) and "epoch" in numbers:
            epoch = found.setdefault(int(numbers.pop("epoch")), {})
            for key, x in numbers.items():
                epoch[key] = epoch.get(key, 0) + x
    return [{**found[epoch], "epoch": epoch} for epoch in sorted(found)]


# --------------------------------------------------------------------------------- with the model
def _judge(facts: Facts, run: SavedRun, data_dir: Path | None) -> None:
    trainer = run.trainer(data_dir)
    facts.classes = [str(name) for name in trainer.data.classes]
    facts.numbers = trainer.validate(trainer.data.test)
    answers = answers_of(trainer, trainer.data.test)
    if answers is None:
        facts.samples = sum(map(items_of, trainer.data.test))
    else:
        facts.samples = len(answers.said)
        _compare(facts, answers)
    facts.layers = _layers(trainer)
    show = run.recipe.part("examples")
    facts.examples = examples_of(show, trainer.model, trainer.data.test, _MOST_EXAMPLES)


def _compare(facts: Facts, answers: Answers) -> None:
    true, said = answers.targets, answers.said
    if facts.classes:
        facts.confusion = confusion_matrix(true, said, len(facts.classes))
        facts.mistakes = answers.worst
        return
    every = math.ceil(len(true) / _MOST_SCATTERED)
    facts.pairs = list(zip(true[::every].tolist(), said[::every].tolist(), strict=True))
    facts.mistakes = answers.worst[:_MOST_NUMBERS]


def _layers(trainer: Trainer) -> list[LayerStatistics]:
    batch = tuple(next(iter(trainer.data.test)))
    if all(isinstance(x, Tensor) and len(x.shape) for x in batch):
        batch = tuple(x[:_LAYER_SAMPLES] for x in batch)
    trainer.model.eval()

    def loss() -> Tensor:
        found: Tensor = trainer.loss(*trainer.forward(trainer.model, batch))
        return found

    return layer_statistics(trainer.model, loss)
