"""A recipe: one short Python file that says what to train, on what, and how.

It defines plain functions. What the trainer passes stands first and has no default; every other
parameter has a default and is a *setting*, to be changed by `--set name=value`.

    SETTINGS                          Settings(epochs=...): how to train, whatever the recipe
    data(folder, ...)                 Data(train, test, classes): loaders of batches
    model(...)                        the network
    loss(out, target)                 one number to make small, a mean over the batch
    optimizer(model, ...)             who updates the parameters

and, where it is needed,

    schedule(optimizer, steps, ...)   how the learning rate changes; stepped after each update
    metrics(out, target)              numbers to show, such as {"accuracy": ...}: means of a batch
    forward(model, batch)             (out, target); without it: model(*batch[:-1]), batch[-1]
    count(target)                     how many items a mean is over; without it: the batch's size
    evaluate(model, batches)          numbers that are no means, at each validation
    callbacks(model, ...)             who else takes part
    picture(image)                    a Pillow image as an input, for `narae predict`
    INPUT_SHAPE                       shape of one input, for `narae summary` without the data

`narae.train.recipes` holds those that come along; a path to a file of your own works as well.
"""

import difflib
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, MissingDataError, explain
from narae.tensors.random import manual_seed

from .card import Card, read_card
from .data import Data
from .parsing import parse_value
from .settings import SETTING_NAMES, Settings

_BUILT_IN = Path(__file__).parent / "recipes"
_NEEDED = ("data", "model", "loss", "optimizer")
# How many arguments the trainer passes to each function.
_PASSED = {"data": 1, "model": 0, "loss": 2, "optimizer": 1, "schedule": 2, "metrics": 2}
_PASSED |= {"forward": 2, "count": 1, "evaluate": 2, "callbacks": 1, "picture": 1}
_FIRST = Path(__file__).parent / "recipes" / "digits_cnn.py"


@dataclass(frozen=True)
class Option:
    """A parameter of a recipe's function that can be set."""

    annotation: Any
    default: Any


@dataclass(frozen=True)
class Recipe:
    """A recipe's file, read, with the settings that were chosen.

    Attributes:
        name: as on the command line.
        path: its file.
        module: what the file defines.
        settings: how to train.
        values: settings of its functions that differ from the defaults, such as "optimizer.lr".
    """

    name: str
    path: Path
    module: ModuleType
    settings: Settings
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def card(self) -> Card:
        """What it says about itself."""
        return read_card(self.path)

    # --- settings -----------------------------------------------------------------------------

    @property
    def options(self) -> dict[str, Option]:
        """What can be set in its functions, by names such as "optimizer.lr"."""
        return {
            f"{part}.{name}": option
            for part in _PASSED
            for name, option in _options_of(getattr(self.module, part, None)).items()
        }

    def changed(self, values: Mapping[str, Any]) -> "Recipe":
        """The same recipe with other settings; each is given as a value, or as its text.

        Raises:
            ConfigError: for a setting that it does not have, or a value that does not fit.
        """
        own, common = dict(self.values), {}
        kinds = {each.name: each.type for each in fields(Settings)}
        options = self.options
        for key, value in values.items():
            if key in SETTING_NAMES:
                common[key] = parse_value(value, kinds[key], key)
                continue
            for name in self.find_setting(key):
                own[name] = parse_value(value, options[name].annotation, key)
        return replace(self, settings=self.settings.changed(**common), values=own)

    def find_setting(self, key: str) -> list[str]:
        """The functions' settings that a name stands for: "lr" is "optimizer.lr".

        Raises:
            ConfigError: if there is none; it names the nearest.
        """
        names = list(self.options)
        found = [name for name in names if key in (name, name.partition(".")[2])]
        if found:
            return found
        known = {*SETTING_NAMES, *names, *(name.partition(".")[2] for name in names)}
        close = difflib.get_close_matches(key, sorted(known), n=1)
        bare = ", ".join(dict.fromkeys(name.partition(".")[2] for name in names))
        rule = f"{self.name} has {bare}; every recipe has {', '.join(SETTING_NAMES)}"
        fix = f"did you mean {close[0]}?" if close else ""
        raise ConfigError(explain("settings", f"there is no setting {key!r}", rule, fix))

    def all_settings(self) -> dict[str, Any]:
        """Every setting with its value, defaults too."""
        own = {name: option.default for name, option in self.options.items()}
        return {**asdict(self.settings), **own, **self.values}

    # --- its parts ----------------------------------------------------------------------------

    def part(self, name: str) -> Callable[..., Any] | None:
        """One of its functions with the settings that were chosen; None if it has no such one."""
        function = getattr(self.module, name, None)
        if function is None:
            return None
        chosen = {
            key.partition(".")[2]: value
            for key, value in self.values.items()
            if key.partition(".")[0] == name
        }
        return partial(function, **chosen) if chosen else function

    def _needed(self, name: str) -> Callable[..., Any]:
        found = self.part(name)
        assert found is not None, "checked when the recipe was loaded"
        return found

    def data(self, folder: Path | None) -> Data:
        """What to learn from."""
        made = self._needed("data")(folder)
        if not isinstance(made, Data):
            given = f"data() of {self.name} gave a {type(made).__name__}"
            raise ConfigError(explain("recipe", given, "it returns narae.train.Data(train, test)"))
        return made

    def model(self) -> Any:
        """A new network."""
        return self._needed("model")()

    def sample_shape(self, folder: Path | None) -> tuple[int, ...]:
        """The shape of one input: what the recipe says, or that of its first test sample."""
        said = getattr(self.module, "INPUT_SHAPE", None)
        if said is not None:
            return tuple(said)
        return tuple(np.shape(next(iter(self.data(folder).test))[0])[1:])

    def seed(self) -> None:
        """Put the random stream to its beginning; data and weights are drawn from it in order."""
        manual_seed(self.settings.seed)


def recipe_names() -> dict[str, Card]:
    """The recipes that come along, by name, without running them.

    >>> list(recipe_names())[:3]
    ['cifar-cnn', 'digits-cnn', 'fashion-cnn']
    """
    files = sorted(_BUILT_IN.glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): read_card(file) for file in files}


def load_recipe(name: str) -> Recipe:
    """Load a recipe by its name, or from a file of your own.

    Raises:
        ConfigError: if there is no such recipe, or it lacks a part.
        MissingDataError: if there is no such file.
    """
    path = _BUILT_IN / f"{name.replace('-', '_')}.py"
    if name.endswith(".py"):
        module, path = _load_file(Path(name)), Path(name)
    elif path.is_file() and not name.startswith("_"):
        module = importlib.import_module(f"narae.train.recipes.{path.stem}")
    else:
        known = recipe_names()
        close = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
        rule = "a recipe is one that `narae recipes` lists, or a file ending in .py"
        raise ConfigError(explain("recipe", f"there is no recipe {name!r}", rule, fix))
    _check_parts(name, module)
    settings = getattr(module, "SETTINGS", Settings())
    return Recipe(path.stem if name.endswith(".py") else name, path, module, settings)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        given = f"there is no file {path}"
        raise MissingDataError(explain("recipe", given, "a recipe was expected there"))
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(explain("recipe", f"{path} is no Python file", "a recipe is one"))
    read_card(path)  # says where it is not Python
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _options_of(function: Any) -> dict[str, Option]:
    if function is None:
        return {}
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {
        each.name: Option(_annotation(each), each.default)
        for each in parameters
        if each.default is not each.empty
    }


def _annotation(parameter: inspect.Parameter) -> Any:
    """The annotation; without one, the type of the default."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return Any if parameter.default is None else type(parameter.default)


def _check_parts(name: str, module: ModuleType) -> None:
    missing = [part for part in _NEEDED if not callable(getattr(module, part, None))]
    fix = f"see {_FIRST.name} among narae/train/recipes for a whole one"
    if missing:
        given = f"{name} does not define {', '.join(missing)}"
        raise ConfigError(explain("recipe", given, f"a recipe has {', '.join(_NEEDED)}", fix))
    if not isinstance(getattr(module, "SETTINGS", Settings()), Settings):
        given = f"SETTINGS of {name} is a {type(module.SETTINGS).__name__}"
        raise ConfigError(explain("recipe", given, "it is narae.train.Settings(...)", fix))
    for part, passed in _PASSED.items():
        _check_function(name, part, getattr(module, part, None), passed, fix)


def _check_function(name: str, part: str, function: Any, passed: int, fix: str) -> None:
    if function is None:
        return
    parameters = list(inspect.signature(function).parameters.values())
    needed = [each for each in parameters if each.default is each.empty]
    fits = len(needed) == passed and needed == parameters[:passed]
    if not fits or any(each.kind is each.VAR_KEYWORD for each in parameters):
        given = f"{part}{inspect.signature(function)} of {name}"
        rule = f"it takes {passed} arguments without a default, then settings with one"
        raise ConfigError(explain("recipe", given, rule, fix))
