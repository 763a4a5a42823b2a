"""A sweep in its folder: a run for each point, and what came of them."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

from ..monitor import is_small_better
from ..recipe import Recipe, load_recipe
from ..runs.folder import plain
from ..runs.places import free_folder, make_folder
from ..runs.table import RunRow, row_of
from .optuna_search import Trial, suggest
from .space import Point, Space, grid_points, parse_space, random_points
from .sweep_file import SWEEP, Request, read_sweep, write_sweep

_SWEEPS = Path("sweeps")


@dataclass
class Sweep:
    """A sweep that was begun.

    Attributes:
        path: its folder.
        request: what was asked for.
        recipe: with the settings of all trials.
        spaces: for each setting, what to try.
        points: those that are drawn so far; of a search by Optuna they become more.
    """

    path: Path
    request: Request
    recipe: Recipe
    spaces: dict[str, Space]
    points: list[Point]

    @property
    def count(self) -> int:
        """How many trials there will be."""
        return self.request.count if self.request.kind == "optuna" else len(self.points)

    def folder(self, number: int) -> Path:
        """The folder of a trial, counted from 0; its name counts from 1."""
        return self.path / f"trial-{number + 1:03d}"

    def settings(self, number: int) -> dict[str, Any]:
        """All that a trial sets: what all have in common, and its point."""
        return {**self.request.settings, **self.points[number]}

    def row(self, number: int) -> RunRow | None:
        """What is known of a trial; None before it begins."""
        folder = self.folder(number)
        return row_of(folder) if (folder / "run.json").exists() else None

    def ask(self) -> None:
        """Let Optuna choose one more point, by what is known of the others."""
        trials = [Trial(point, *self._outcome(number)) for number, point in enumerate(self.points)]
        point = suggest(self.spaces, trials, self.request.seed, self._small_is_better(trials))
        self.points.append(point)
        write_sweep(self.path, self.request, self.points)

    def _outcome(self, number: int) -> tuple[float, bool]:
        row = self.row(number)
        over = row is not None and row.status in ("finished", "failed")
        known = row is not None and row.status == "finished" and row.best is not None
        return (row.best.value if known else math.nan), over  # type: ignore[union-attr]

    def _small_is_better(self, trials: list[Trial]) -> bool:
        """By the number that the trials are judged by; before the first one, it does not matter."""
        rows = (self.row(number) for number in range(len(trials)))
        best = next((row.best for row in rows if row is not None and row.best is not None), None)
        name = self.recipe.settings.monitor or ("val_loss" if best is None else best.name)
        return is_small_better(name)


def begin_sweep(
    recipe: Recipe,
    kind: str,
    space: dict[str, str],
    *,
    count: int = 0,
    seed: int = 0,
    out: Path | None = None,
    data_dir: Path | None = None,
) -> Sweep:
    """Draw the points and make the folder; a folder that holds the same sweep is gone on with.

    Args:
        recipe: with the settings of all trials.
        kind: "grid", "random" or "optuna".
        space: for each setting, what to try, as on the command line.
        count: how many trials, where they are drawn.
        seed: of what is drawn.
        out: the folder; "sweeps/<recipe>", with a number where that exists, if None.
        data_dir: where to look for data first.

    Raises:
        ConfigError: for a setting that there is not, values that do not fit, or a folder that
            holds another sweep.
    """
    spaces = {key: parse_space(recipe, key, text) for key, text in space.items()}
    points = _points(kind, spaces, count, seed)
    request = Request(
        recipe=recipe.name if recipe.comes_along else str(recipe.path.resolve()),
        sha256=recipe.sha256,
        kind=kind,
        space=space,
        count=count if kind == "optuna" else len(points),
        seed=seed,
        settings=plain(recipe.chosen_settings()),
        data_dir=None if data_dir is None else str(data_dir.resolve()),
    )
    if out is not None and (out / SWEEP).exists():
        return _the_same(out, request)
    path = free_folder(_SWEEPS, recipe.name, "sweep") if out is None else out
    make_folder(path, "sweep")
    write_sweep(path, request, points)
    return Sweep(path, request, recipe, spaces, points)


def open_sweep(path: Path) -> Sweep:
    """A sweep that was begun before.

    Raises:
        ConfigError: if its recipe was changed since.
        FileFormatError: if its file is damaged.
        MissingDataError: if there is none.
    """
    request, points = read_sweep(path)
    recipe = load_recipe(request.recipe, request.sha256).changed(request.settings)
    spaces = {key: parse_space(recipe, key, text) for key, text in request.space.items()}
    for point in points:
        recipe.changed(point)
    return Sweep(path, request, recipe, spaces, points)


def _points(kind: str, spaces: dict[str, Space], count: int, seed: int) -> list[Point]:
    if not spaces:
        given, rule = "no setting is varied", "a sweep tries values of some"
        raise ConfigError(explain("sweep", given, rule, "--grid lr=1e-3,3e-3 width=16,32"))
    if kind == "grid":
        return grid_points(spaces)
    return random_points(spaces, count, seed) if kind == "random" else []


def _the_same(path: Path, request: Request) -> Sweep:
    before, _ = read_sweep(path)
    if before != request:
        given, rule = f"{path} holds another sweep", "each sweep has a folder of its own"
        fix = f"go on with that one (narae sweep --resume {path}), or choose another folder"
        raise ConfigError(explain("sweep", given, rule, fix))
    return open_sweep(path)
