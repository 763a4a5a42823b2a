"""The settings that a sweep tries: lists of values and ranges, and points drawn from them."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain

from ..parsing import parse_value
from ..recipe import Recipe

Point = dict[str, Any]
_DIGITS = 4  # of numbers that are drawn: enough, and easy to type again
_TRIES = 1000  # to draw a point that was not drawn before


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """Any of them."""
        return self.values[rng.integers(len(self.values))]


@dataclass(frozen=True)
class Range:
    """A number between two, both included.

    Attributes:
        low, high: the two.
        log: whether its logarithm is uniform, not the number itself.
        whole: whether it is a whole number.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> int | float:
        """Any number in it, of four digits."""
        half = 0.5 if self.whole else 0.0  # so that the ends are as likely as all others
        low, high = self.low - half, self.high + half
        if self.log:
            number = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            number = rng.uniform(low, high)
        return self.rounded(number)

    def rounded(self, number: float) -> int | float:
        """A number of the range that is short to write."""
        number = round(number) if self.whole else float(f"{number:.{_DIGITS}g}")
        return type(number)(min(max(number, self.low), self.high))


Space = Choice | Range


def parse_space(recipe: Recipe, key: str, text: str) -> Space:
    """What a text such as "1e-3,3e-3", "0..0.5" or "log:1e-4..1e-1" says of a setting.

    Values of a setting that is itself a list have semicolons between them: "64,32;128,64".

    Raises:
        ConfigError: if there is no such setting, or the text does not fit.
    """
    kind = recipe.kind_of(key)
    log = text.startswith("log:")
    if log or ".." in text:
        return _range(key, text.removeprefix("log:"), kind, log)
    words = text.split(";" if ";" in text else ",")
    values = tuple(parse_value(word.strip(), kind, key) for word in words)
    for value in values:  # also those rules that a type does not say
        recipe.changed({key: value})
    return Choice(tuple(dict.fromkeys(values)))


def _range(key: str, text: str, kind: Any, log: bool) -> Range:
    words = text.split("..")
    given = f"{key}={'log:' * log}{text}"
    if kind not in (int, float):
        rule = f"a range is of numbers, and {key} is not one"
        raise ConfigError(explain("sweep", given, rule, f"list its values: {key}=A,B"))
    if len(words) != 2 or not all(word.strip() for word in words):
        rule = "a range is LOW..HIGH or log:LOW..HIGH"
        raise ConfigError(explain("sweep", given, rule, f"{key}=log:1e-4..1e-1"))
    low, high = (parse_value(word.strip(), kind, key) for word in words)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(explain("sweep", given, "a range goes from a number to a larger one"))
    if log and low <= 0:
        rule = "logarithms are of positive numbers"
        raise ConfigError(explain("sweep", given, rule, "begin above 0, or leave log: out"))
    return Range(low, high, log, whole=kind is int)


def grid_points(spaces: Mapping[str, Space]) -> list[Point]:
    """All combinations of lists of values, the last setting changing fastest.

    Raises:
        ConfigError: for a range.

    >>> grid_points({"lr": Choice((0.1, 0.2)), "width": Choice((8,))})
    [{'lr': 0.1, 'width': 8}, {'lr': 0.2, 'width': 8}]
    """
    values = []
    for key, space in spaces.items():
        if isinstance(space, Range):
            given, rule = f"{key} has a range", "a grid is made of lists of values"
            raise ConfigError(explain("sweep", given, rule, f"--random 20 {key}=..., or a list"))
        values.append(space.values)
    return [dict(zip(spaces, point, strict=True)) for point in itertools.product(*values)]


def random_points(spaces: Mapping[str, Space], count: int, seed: int) -> list[Point]:
    """Different points, each setting drawn on its own; fewer where there are not so many."""
    rng = np.random.default_rng(seed)
    points: list[Point] = []
    for _ in range(count):
        drawn = ({key: space.draw(rng) for key, space in spaces.items()} for _ in range(_TRIES))
        point = next((each for each in drawn if each not in points), None)
        if point is None:
            break
        points.append(point)
    return points


def setting_words(point: Mapping[str, Any]) -> Sequence[str]:
    """A point as `--set` takes it.

    >>> setting_words({"lr": 0.001, "widths": (8, 4), "name": None})
    ['lr=0.001', 'widths=8,4', 'name=none']
    """
    return [f"{key}={_text(value)}" for key, value in point.items()]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return "none" if value is None else str(value)
