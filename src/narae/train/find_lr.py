"""The learning rate range test: which rates a model learns fast at, in one short sweep.

Source: L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017
(arXiv:1506.01186), section 3.3.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DataError, explain, require
from narae.io import atomic_write

from .building import build
from .recipe import Recipe
from .resume import random_streams, restore_random_streams
from .trainer import Trainer

_DIVERGED = 4.0  # times the lowest loss
_BLOCKS = "▁▂▃▄▅▆▇█"
_FEWEST = 10


@dataclass(frozen=True)
class RateSweep:
    """What came of raising the learning rate from update to update.

    Attributes:
        rates, losses: of each update.
        smoothed: a mean of each loss and its neighbours on both sides, so that it does not lag.
        diverged: whether the sweep ended early, since the loss had grown beyond use.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss fell fastest, by the logarithm of the rate."""
        slopes = np.gradient(np.asarray(self.smoothed), np.log(self.rates))
        end = self._lowest_place + 1  # behind the lowest loss lies the way to divergence
        # At the first rates nothing is learned: what falls there is chance.
        begin = min(len(self.rates) // 10, end - 1)
        return self.rates[begin + int(np.argmin(slopes[begin:end]))]

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss was lowest; as a setting it is mostly too high."""
        return self.rates[self._lowest_place]

    @property
    def _lowest_place(self) -> int:
        return int(np.argmin(self.smoothed))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {"steepest": self.steepest, "lowest": self.lowest, "diverged": self.diverged}
        return {**found, "rates": self.rates, "losses": self.losses, "smoothed": self.smoothed}

    def __str__(self) -> str:
        low, high = self.rates[0], self.rates[-1]
        ends = f"{low:.1e} {_sparkline(self.smoothed)} {high:.1e}"
        early = ", where the loss had grown beyond use" if self.diverged else ""
        return (
            f"loss      {ends}\n"
            f"updates   {len(self.rates)}, up to a rate of {high:.2g}{early}\n"
            f"lowest    {self.lowest:.2g}\n"
            f"steepest  {self.steepest:.2g}"
        )

    def draw(self, path: Path, title: str = "") -> None:
        """Write a picture: loss by learning rate.

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        figures = require("matplotlib.figure", "train", "drawing figures")
        figure = figures.Figure(figsize=(8, 4.6), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        axes.plot(self.rates, self.losses, ".", color="#9ca3af", ms=4, label="loss of a batch")
        axes.plot(self.rates, self.smoothed, color="#2563eb", lw=2, label="smoothed")
        for name, rate, colour in (
            ("steepest", self.steepest, "#ea580c"),
            ("lowest", self.lowest, "#0d9488"),
        ):
            axes.axvline(rate, color=colour, ls="--", lw=1.5, label=f"{name} {rate:.2g}")
        low = min(min(self.smoothed), float(np.quantile(self.losses, 0.02)))
        high = max(self.smoothed[0], float(np.median(self.smoothed)))
        axes.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low))
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.set_title(title, loc="left", fontweight="bold", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e5e7eb")
        axes.legend(frameon=False)
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=130)


def find_lr(
    recipe: Recipe,
    data_dir: Path | None = None,
    lowest: float = 1e-7,
    highest: float = 10.0,
    updates: int = 100,
    smoothing: float = 0.9,
) -> RateSweep:
    """Train a fresh model while the learning rate grows, and watch its loss.

    The rate of update i is lowest (highest / lowest)^(i / (updates - 1)); groups of parameters
    keep their ratio to the largest rate. The recipe's schedule takes no part. It ends early once
    the smoothed loss is four times its lowest. No run, no file and no random stream is touched.

    Args:
        recipe: with its settings.
        data_dir: a folder to look for data in first.
        lowest, highest: rates of the first and the last update.
        updates: how many; the training data begins again where it ends.
        smoothing: how much a loss still counts in the mean of its neighbour.

    Raises:
        ConfigError: for rates or counts that make no sense.
        DataError: if the loss is no number within the first updates.
    """
    _check(lowest, highest, updates, smoothing)
    before = random_streams()
    try:
        with closing(build(without_schedule(recipe), data_dir)) as trainer:
            return _sweep(trainer, np.geomspace(lowest, highest, updates).tolist(), smoothing)
    finally:
        restore_random_streams(before)


def _sweep(trainer: Trainer, rates: list[float], smoothing: float) -> RateSweep:
    groups = trainer.optimizer.param_groups
    own = [float(group["lr"]) for group in groups]
    largest = max(own) or 1.0
    losses: list[float] = []
    total = weight = 0.0
    lowest = math.inf
    trainer.tell("on_fit_start")
    trainer.model.train()
    steps = _updates(trainer)
    for rate in rates:
        for group, usual in zip(groups, own, strict=True):
            group["lr"] = rate * (usual / largest if any(own) else 1.0)
        loss = next(steps)
        if not math.isfinite(loss):
            break
        losses.append(loss)
        total, weight = smoothing * total + loss, smoothing * weight + 1.0
        lowest = min(lowest, total / weight)
        if len(losses) >= _FEWEST and total / weight > _DIVERGED * abs(lowest):
            break
    if len(losses) < _FEWEST:
        given = f"the loss was no number after {len(losses)} updates"
        fix = "begin lower (--lowest), or scale the inputs"
        raise DataError(explain("find lr", given, "a slope needs some numbers", fix))
    smoothed = two_sided_mean(losses, smoothing)
    return RateSweep(rates[: len(losses)], losses, smoothed, len(losses) < len(rates))


def running_mean(values: Sequence[float], smoothing: float) -> list[float]:
    """A mean in which a value counts `smoothing` times what the next one does.

    >>> running_mean([1.0, 4.0], 0.5)
    [1.0, 3.0]
    """
    total = weight = 0.0
    means = []
    for value in values:
        total, weight = smoothing * total + value, smoothing * weight + 1.0
        means.append(total / weight)
    return means


def two_sided_mean(losses: Sequence[float], smoothing: float) -> list[float]:
    """The running mean of the running mean, back from the end; losses that explode are cut.

    >>> two_sided_mean([2.0, 2.0, 2.0], 0.9)
    [2.0, 2.0, 2.0]
    """
    first = float(np.median(losses[:_FEWEST]))
    cut = [min(loss, first + abs(first)) for loss in losses]
    back = running_mean(running_mean(cut, smoothing)[::-1], smoothing)
    return back[::-1]


def _updates(trainer: Trainer) -> Iterator[float]:
    """Update without end; the mean loss of each update's batches."""
    losses: list[float] = []
    for _ in itertools.count():
        for batch in trainer.data.train:
            update = len(losses) == trainer.accumulate - 1
            losses.append(trainer.train_step(update, *batch)["loss"].item())
            if update:
                yield sum(losses) / len(losses)
                losses = []


def without_schedule(recipe: Recipe) -> Recipe:
    """The same recipe, whose learning rate nobody moves."""
    module = ModuleType(recipe.module.__name__)
    vars(module).update({k: x for k, x in vars(recipe.module).items() if k != "schedule"})
    values = {k: x for k, x in recipe.values.items() if k.partition(".")[0] != "schedule"}
    return replace(recipe, module=module, values=values)


def _check(lowest: float, highest: float, updates: int, smoothing: float) -> None:
    if not 0 < lowest < highest < math.inf:
        given, rule = f"rates go from {lowest} to {highest}", "they grow, from above 0"
        raise ConfigError(explain("find lr", given, rule))
    if updates < _FEWEST:
        rule = f"a slope needs at least {_FEWEST}"
        raise ConfigError(explain("find lr", f"updates is {updates}", rule))
    if not 0 <= smoothing < 1:
        rule = "it lies in [0, 1)"
        raise ConfigError(explain("find lr", f"smoothing is {smoothing}", rule))


def _sparkline(values: list[float], width: int = 50) -> str:
    """A curve in one line of text; what is above its beginning is cut."""
    parts = np.array_split(np.asarray(values), min(width, len(values)))
    means = np.array([part.mean() for part in parts])
    low, high = means.min(), max(means[0], float(np.median(means)))
    shares = np.clip((means - low) / ((high - low) or 1.0), 0, 1)
    return "".join(_BLOCKS[round(share * (len(_BLOCKS) - 1))] for share in shares)
