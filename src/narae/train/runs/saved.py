"""A run that was saved: its recipe, its model with the best weights, and what is known of it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain
from narae.io import load
from narae.io.weights import read_weights
from narae.nn.weights import load_state

from ..building import build
from ..recipe import Recipe, load_recipe
from ..trainer import Trainer
from .folder import History, RunFolder
from .places import RUNS
from .run_file import PLAN, Plan


@dataclass(frozen=True)
class SavedRun:
    """What the folder of a run holds.

    Attributes:
        folder: of the run; None for weights that no run of Narae's left.
        path: the file of the weights.
        plan: what was asked for.
        recipe: with the run's settings.
        model: with the saved weights, in evaluation mode.
        epoch: at whose end they were saved.
    """

    folder: RunFolder | None
    path: Path | str
    plan: Plan
    recipe: Recipe
    model: Any
    epoch: int

    @property
    def classes(self) -> list[str]:
        """The name of each class; empty if there are none."""
        return list(self.plan.about.get("classes", ()))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.plan.about.get("input_shape", ()))

    @property
    def data_dir(self) -> Path | None:
        """Where the run looked for its data first, if that is still there."""
        return None if self.folder is None else self.folder.data_dir

    @property
    def history(self) -> History:
        """The numbers of its epochs."""
        return {} if self.folder is None else self.folder.history()

    @property
    def title(self) -> str:
        """The recipe, the epoch and the file, in a few words."""
        if self.folder is None:
            return f"{self.recipe.name} ({self.path})"
        return f"{self.recipe.name}, epoch {self.epoch} ({self.path})"

    def trainer(self, data_dir: Path | None = None) -> Trainer:
        """A trainer of the recipe that judges the saved weights.

        Args:
            data_dir: a folder to look for data in first; that of the run if None.
        """
        made = build(self.recipe, data_dir or self.data_dir)
        made.model.load_state_dict(self.model.state_dict())
        return made


def load_run(path: Path | None = None, recipe: str | None = None) -> SavedRun:
    """Load the model of a run.

    Args:
        path: the folder of a run, whose best weights are taken, or one of its checkpoints; the
            newest run of the folder "runs" if None.
        recipe: the file of a recipe of your own, if it is not where it was.

    Raises:
        ConfigError: if the recipe is not the run's.
        FileFormatError: if a file is damaged, or no run wrote it.
        MissingDataError: if there is none.
    """
    folder, file = find_run(path)
    chosen = folder.recipe(recipe)
    weights, epoch = load_weights(file)
    model = chosen.model()
    model.load_state_dict(weights)
    return SavedRun(folder, file, folder.plan(), chosen, model.eval(), epoch)


def run_of_weights(
    weights: str,
    recipe: str | None,
    ignore_mismatched: bool = False,
    data_dir: Path | None = None,
) -> SavedRun:
    """The model of a recipe with weights from elsewhere.

    Args:
        weights: a path, or a Hugging Face repository, as `read_weights` takes it.
        recipe: a name, or a file of your own.
        ignore_mismatched: leave out weights of other shapes.
        data_dir: a folder to look for the data in, which tells the names of the classes.

    Raises:
        ConfigError: without a recipe.
        DataError: if they are the weights of another model.
    """
    if recipe is None:
        rule = "weights alone do not say which model they are of"
        raise ConfigError(explain("weights", "there is no recipe", rule, "--recipe NAME"))
    chosen = load_recipe(recipe)
    model = chosen.model()
    read = read_weights(weights)
    load_state(model, read.state, read.source, ignore_mismatched)
    about: dict[str, Any] = {}
    with contextlib.suppress(MissingDataError):  # a recipe may answer without its data
        about["input_shape"] = chosen.sample_shape(data_dir)
        about["classes"] = [str(name) for name in chosen.data(data_dir).classes]
    plan = Plan(chosen.name, chosen.path, chosen.sha256, {}, {}, about)
    return SavedRun(None, weights, plan, chosen, model.eval(), 0)


def load_weights(file: Path) -> tuple[dict[str, Any], int]:
    """The state dict of the model in a checkpoint, and the epoch that it is of.

    Raises:
        FileFormatError: if the file is damaged, or no run wrote it.
    """
    state = load(file)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        given = f"{file} holds no model of a run"
        raise FileFormatError(explain("run", given, "`narae train` writes such files"))
    return state["judged"] if "judged" in state else state["model"], int(state.get("epoch", 0))


def find_run(path: Path | None = None) -> tuple[RunFolder, Path]:
    """The folder and the weights that a path, or nothing at all, stands for.

    Raises:
        MissingDataError: if there is none.
    """
    path = _newest() if path is None else path
    if path.is_dir():
        folder = RunFolder(path)
        if folder.best.is_file():
            return folder, folder.best
        if folder.checkpoints.steps():
            return folder, folder.checkpoints.file(folder.checkpoints.steps()[-1])
        given, rule = f"{path} holds no checkpoint", "a run leaves some in its folder"
        raise MissingDataError(explain("run", given, rule, "train first: narae train"))
    if path.is_file():
        return RunFolder(path.parent.parent), path
    given, rule = f"{path} does not exist", "the folder of a run, or its checkpoint, was expected"
    raise MissingDataError(explain("run", given, rule, "check the path"))


def _newest() -> Path:
    found = [path.parent for path in RUNS.glob(f"*/{PLAN}") if any(path.parent.glob("*/*"))]
    if not found:
        given, rule = f"there is no run in {RUNS}/", "a trained model is needed"
        raise MissingDataError(explain("run", given, rule, "train first: narae train"))
    return max(found, key=lambda path: (path / PLAN).stat().st_mtime)
