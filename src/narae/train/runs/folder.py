"""The folder of a run: what was asked for, its numbers, its checkpoints, how it ended."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain
from narae.io import atomic_write, read_records

from ..checkpoint_folder import BEST, CheckpointFolder
from ..environment import environment
from ..recipe import Recipe, load_recipe, recipe_names
from .lock import is_held
from .machine import git_state, machine
from .places import RUNS, free_folder, make_folder
from .result_file import RESULT, Result, read_result, timestamp
from .run_file import PLAN, Plan, read_plan, write_plan

METRICS, SUMMARY, RECIPE = "metrics.jsonl", "summary.txt", "recipe.py"
TIMING = "timing.jsonl"
History = dict[str, list[float]]
logger = logging.getLogger("narae.train")


class RunFolder:
    """A folder that a run writes to.

    Args:
        path: where it is.
        plan_file: the file in it that says what was asked for.
    """

    def __init__(self, path: Path, plan_file: str = PLAN) -> None:
        self.path, self._plan_file = path, plan_file
        self.checkpoints = CheckpointFolder(path / "checkpoints")

    @property
    def best(self) -> Path:
        """The best model's file."""
        return self.checkpoints.path / BEST

    @property
    def metrics(self) -> Path:
        """A line for each epoch."""
        return self.path / METRICS

    @classmethod
    def create(
        cls,
        recipe: Recipe,
        out: Path | None,
        about: Mapping[str, Any],
        data_dir: Path | None = None,
        command: Sequence[str] = (),
    ) -> "RunFolder":
        """Make the folder and say in it what is asked for, before the first step.

        Args:
            recipe: with its settings.
            out: where to; "runs/<recipe>", with a number where that exists, if None.
            about: what the data and the model are like, for whoever looks back.
            data_dir: where data is looked for first.
            command: the words of the command line.

        Raises:
            ConfigError: if it cannot be made, or holds a run already.
        """
        folder = cls(free_folder(RUNS, recipe.name) if out is None else _made(out))
        if not recipe.comes_along:
            with atomic_write(folder.path / RECIPE) as file:
                file.write(recipe.source)
        write_plan(_plan_of(recipe, about, data_dir, command), folder.path / PLAN)
        return folder

    def plan(self) -> Plan:
        """What was asked for.

        Raises:
            FileFormatError: if the file is damaged.
            MissingDataError: if this is no folder of a run.
        """
        return read_plan(self.path / self._plan_file)

    def recipe(self, name: str | None = None) -> Recipe:
        """The run's recipe with its settings.

        Only the text that the run had is run again, whatever `run.json` says: one that comes along,
        or the user's file with the recorded SHA-256. A file that is named is the user's choice.

        Args:
            name: a recipe to take instead, such as "runs/own/recipe.py".

        Raises:
            ConfigError: if the recipe is another one, or its file was changed.
            MissingDataError: if its file is gone.
        """
        plan = self.plan()
        found = self._named(plan, name) if name else self._recorded(plan)
        return found.changed(plan.settings)

    def change_settings(self, recipe: Recipe, epoch: int) -> None:
        """Say in `run.json` that the run goes on with other settings, if it does.

        Args:
            recipe: with the settings from now on.
            epoch: the epochs that were done before.
        """
        plan = self.plan()
        settings = plain(recipe.all_settings())
        new = {key: x for key, x in settings.items() if plan.settings.get(key) != x}
        if new:
            change = {"epoch": epoch, "settings": new, "at": timestamp()}
            chosen = plain(recipe.chosen_settings())
            changes = [*plan.changes, change]
            write_plan(
                replace(plan, settings=settings, chosen=chosen, changes=changes), self.path / PLAN
            )

    def _recorded(self, plan: Plan) -> Recipe:
        if plan.file is None:
            if plan.recipe not in recipe_names():
                given = f"{self.path} is a run of {plan.recipe!r}"
                rule = "without a file, it is a recipe that comes along"
                raise ConfigError(explain("run", given, rule, "name its file"))
            return _or_warned(load_recipe(plan.recipe), plan)
        copy = self.path / RECIPE
        way = f"name the file to use, such as the run's copy {copy}" if copy.is_file() else ""
        if plan.file.suffix != ".py" or not os.path.isfile(plan.file):
            given, rule = f"its recipe {plan.file} is not there", f"{self.path} is a run of it"
            raise MissingDataError(explain("run", given, rule, way or "name the recipe's file"))
        if hashlib.sha256(plan.file.read_bytes()).hexdigest() != plan.sha256:
            given, rule = f"{plan.file} was changed since", f"{self.path} is a run of what it was"
            raise ConfigError(explain("run", given, rule, way or "name the file to use"))
        return replace(load_recipe(str(plan.file), plan.sha256), name=plan.recipe)

    def _named(self, plan: Plan, name: str) -> Recipe:
        found = load_recipe(name)
        if found.sha256 == plan.sha256:
            return replace(found, name=plan.recipe)
        if found.name != plan.recipe:
            given, rule = f"{self.path} is from a run of {plan.recipe}", f"{name} is another"
            raise ConfigError(explain("run", given, rule, "name the recipe it was trained by"))
        return _or_warned(found, plan)

    @property
    def data_dir(self) -> Path | None:
        """Where its data was looked for first, if that is still there."""
        place = self.plan().options.get("data_dir")
        return Path(place) if isinstance(place, str) and os.path.exists(place) else None

    def result(self) -> Result | None:
        """How it ended; None if it did not.

        Raises:
            FileFormatError: if the file is damaged.
        """
        path = self.path / RESULT
        return read_result(path) if path.is_file() else None

    @property
    def status(self) -> str:
        """Whether it is "running", "finished", "failed", or was "stopped" in the middle.

        Raises:
            FileFormatError: if the file of its result is damaged.
        """
        if is_held(self.path):
            return "running"
        result = self.result()
        return "stopped" if result is None else result.status

    def history(self) -> History:
        """The numbers of all epochs, by name; NaN where an epoch has none.

        Raises:
            FileFormatError: if the file is damaged.
        """
        records = list(read_records(self.metrics)) if self.metrics.exists() else []
        names = dict.fromkeys(name for record in records for name in record)
        try:
            return {
                name: [float(record.get(name, "nan")) for record in records]
                for name in names
                if name != "epoch"
            }
        except (TypeError, ValueError, OverflowError) as error:
            given = f"{self.metrics} holds what is no number ({error})"
            rule = "each line is the numbers of an epoch"
            raise FileFormatError(explain("run", given, rule)) from error


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them."""
    return dict(json.loads(json.dumps(dict(settings), default=str)))


def _plan_of(
    recipe: Recipe, about: Mapping[str, Any], data_dir: Path | None, command: Sequence[str]
) -> Plan:
    own = None if recipe.comes_along else recipe.path.resolve()
    return Plan(
        recipe=recipe.name,
        file=own,
        sha256=recipe.sha256,
        settings=plain(recipe.all_settings()),
        chosen=plain(recipe.chosen_settings()),
        about=about,
        options={"data_dir": data_dir and str(data_dir.resolve())},
        command=list(command),
        started=timestamp(),
        environment=environment(),
        machine=machine(),
        git=git_state(own.parent if own else Path.cwd()),
    )


def _or_warned(recipe: Recipe, plan: Plan) -> Recipe:
    if recipe.sha256 != plan.sha256:
        logger.warning("the recipe %s is another text than the run's", recipe.name)
    return recipe


def _made(out: Path) -> Path:
    """The folder that the user named, unless a run is in it."""
    if (out / PLAN).exists():
        given, rule = f"{out} holds a run already", "each run has a folder of its own"
        fix = f"go on with it (narae train --resume {out}), or choose another folder"
        raise ConfigError(explain("train", given, rule, fix))
    make_folder(out)
    return out
