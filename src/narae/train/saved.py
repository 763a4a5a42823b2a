"""A run that was saved: its recipe, its model with the saved weights, and what is known of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, MissingDataError, explain
from narae.io import load_checkpoint

from .recipe import Recipe, Settings, load_recipe
from .run import checkpoint_plan

_NAMES = ("best.safetensors", "last.safetensors", "interrupted.safetensors")
_RUNS = Path("runs")


@dataclass(frozen=True)
class SavedRun:
    """What a checkpoint of `narae train` holds.

    Attributes:
        path: the checkpoint.
        recipe, settings: what was trained, and how.
        model: with the saved weights, in evaluation mode.
        meta: epoch, history, the names of the classes, the shape of one sample.
    """

    path: Path
    recipe: Recipe
    settings: Settings
    model: Any
    meta: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """The name of each class; empty for a regression."""
        return list(self.meta.get("classes", ()))

    @property
    def title(self) -> str:
        """The recipe, the epoch and the file, in a few words."""
        return f"{self.recipe.name}, epoch {self.meta['epoch']} ({self.path})"


def load_run(path: Path | None = None, recipe: str | None = None) -> SavedRun:
    """Load a checkpoint that a run wrote.

    Args:
        path: a checkpoint, or the folder of a run, whose best one is taken; the newest run of the
            folder "runs" if None.
        recipe: the file of a recipe of your own, which a checkpoint knows by its name only.

    Raises:
        ConfigError: if the recipe is not the checkpoint's.
        FileFormatError: if the file is damaged, or no run wrote it.
        MissingDataError: if there is none.
    """
    found = find_checkpoint(path)
    name, settings = checkpoint_plan(found)
    chosen = load_recipe(recipe or name)
    if chosen.name != name:
        given, rule = f"{found} is from a run of {name}", f"the recipe given is {chosen.name}"
        raise ConfigError(explain("checkpoint", given, rule, "name the recipe it was trained by"))
    model = chosen.model()
    meta = load_checkpoint(found, model)
    return SavedRun(found, chosen, settings, model.eval(), meta)


def find_checkpoint(path: Path | None = None) -> Path:
    """The checkpoint that a path, a run's folder, or nothing at all stands for.

    Raises:
        MissingDataError: if there is none.
    """
    if path is None:
        return _newest()
    if path.is_dir():
        return _best_in(path)
    if path.is_file():
        return path
    given, rule = f"{path} does not exist", "a checkpoint or the folder of a run was expected"
    raise MissingDataError(explain("checkpoint", given, rule, "check the path"))


def _best_in(folder: Path) -> Path:
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    given, rule = f"{folder} holds no checkpoint", f"a run leaves {_NAMES[0]} in its folder"
    raise MissingDataError(explain("checkpoint", given, rule, "train first: narae train"))


def _newest() -> Path:
    found = [_best_in(path.parent) for path in _RUNS.glob("*/*.safetensors")]
    if not found:
        given, rule = f"there is no run in {_RUNS}/", "a trained model is needed"
        raise MissingDataError(explain("checkpoint", given, rule, "train first: narae train"))
    return max(found, key=lambda path: path.stat().st_mtime)
