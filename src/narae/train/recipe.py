"""A recipe: one short Python file that says what to train, on what, and how.

It defines plain functions. What the trainer passes stands first and has no default; every other
parameter has a default and is a *setting*, to be changed by `--set name=value`.

    SETTINGS                          Settings(epochs=...): how to train, whatever the recipe
    data(folder, ...)                 Data(train, test, classes, ...): loaders of batches
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
    predict(model, source)            what `narae predict` says of a file, in place of a class
    examples(model, batch)            what the report of a run shows of a batch
    INPUT_SHAPE                       shape of one input, for `narae summary` without the data

`narae.train.recipes` holds those that come along; a path to a file of your own works as well.
"""

import difflib
import hashlib
import importlib
import inspect
import random
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np

from narae.base.errors import ConfigError, MissingDataError, explain
from narae.tensors import Tensor
from narae.tensors.random import manual_seed

from .card import Card, read_card
from .data import Data
from .parsing import can_be_set, parse_value
from .settings import SETTING_NAMES, Settings

_PACKAGE = "narae.train.recipes"
_BUILT_IN = Path(__file__).parent / "recipes"
_NEEDED = ("data", "model", "loss", "optimizer")
# How many arguments the trainer passes to each function.
_PASSED = {"data": 1, "model": 0, "loss": 2, "optimizer": 1, "schedule": 2, "metrics": 2}
_PASSED |= {"forward": 2, "count": 1, "evaluate": 2, "callbacks": 1, "picture": 1}
_PASSED |= {"predict": 2, "examples": 2}
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
        values: settings of its functions that were chosen, such as "optimizer.lr".
        source: the file's text, as it was when it was run.
    """

    name: str
    path: Path
    module: ModuleType
    settings: Settings
    values: Mapping[str, Any] = field(default_factory=dict)
    source: bytes = field(default=b"", repr=False)

    @property
    def sha256(self) -> str:
        """What tells its text from any other."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def comes_along(self) -> bool:
        """Whether it is one of Narae's, not a file of the user's own."""
        return self.module.__name__ == f"{_PACKAGE}.{self.path.stem}"

    @property
    def card(self) -> Card:
        """What it says about itself."""
        return read_card(self.path, self.source or None)

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
        for key, value in values.items():
            if key in SETTING_NAMES:
                common[key] = parse_value(value, self.kind_of(key), key)
                continue
            for name in self.find_setting(key):
                own[name] = parse_value(value, self.kind_of(name), key)
        return replace(self, settings=self.settings.changed(**common), values=own)

    def kind_of(self, key: str) -> Any:
        """The annotation of a setting, such as int.

        Raises:
            ConfigError: if there is no such setting.
        """
        if key in SETTING_NAMES:
            return {each.name: each.type for each in fields(Settings)}[key]
        return self.options[self.find_setting(key)[0]].annotation

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

    @property
    def as_written(self) -> "Recipe":
        """The recipe with the settings of its own file, and none that were chosen."""
        return replace(self, settings=getattr(self.module, "SETTINGS", Settings()), values={})

    def all_settings(self) -> dict[str, Any]:
        """Every setting with its value, defaults too."""
        own = {name: option.default for name, option in self.options.items()}
        return {**asdict(self.settings), **own, **self.values}

    def chosen_settings(self) -> dict[str, Any]:
        """The settings whose values are others than the recipe's own."""
        before = self.as_written.all_settings()
        return {key: x for key, x in self.all_settings().items() if x != before[key]}

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
        """The shape of one input: what the recipe says, or that of its first test sample.

        It is empty where inputs are no single tensors.
        """
        said = getattr(self.module, "INPUT_SHAPE", None)
        if said is not None:
            return tuple(said)
        batch = next(iter(self.data(folder).test))
        first = batch[0] if isinstance(batch, list | tuple) else batch
        return tuple(first.shape[1:]) if isinstance(first, Tensor) else ()

    def seed(self) -> None:
        """Put random streams to their beginning; data and weights are drawn from them in order.

        Those of NumPy and Python too: what a recipe splits by them must be the same in a process
        that goes on with the run.
        """
        manual_seed(self.settings.seed)
        random.seed(self.settings.seed)
        np.random.seed(self.settings.seed % 2**32)  # noqa: NPY002


def recipe_names() -> dict[str, Card]:
    """The recipes that come along, by name, without running them.

    >>> [name for name in recipe_names() if name.startswith("digits")]
    ['digits-cnn']
    """
    files = sorted(_BUILT_IN.glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): read_card(file) for file in files}


def load_recipe(name: str, sha256: str | None = None) -> Recipe:
    """Load a recipe by its name, or from a file of your own.

    Args:
        name: as `narae recipes` lists it, or a path that ends in .py.
        sha256: what the text must have; another file is not run.

    Raises:
        ConfigError: if there is no such recipe, it lacks a part, or it is another text.
        MissingDataError: if there is no such file.
    """
    own = name.endswith(".py")
    name = name if own else name.replace("_", "-")
    path = Path(name) if own else _BUILT_IN / f"{name.replace('-', '_')}.py"
    if not own and name not in recipe_names():
        raise ConfigError(_no_recipe(name))
    source = _text_of(path)
    if sha256 is not None and hashlib.sha256(source).hexdigest() != sha256:
        given, rule = f"{path} was changed since the run", "the recipe has the run's text"
        raise ConfigError(explain("recipe", given, rule))
    if own:
        module = _run_text(path, source)
    else:
        module = importlib.import_module(f"{_PACKAGE}.{path.stem}")
    _check_parts(name, module)
    settings = getattr(module, "SETTINGS", Settings())
    return Recipe(path.stem if own else name, path, module, settings, source=source)


def _no_recipe(name: str) -> str:
    known = recipe_names()
    close = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
    rule = "a recipe is one that `narae recipes` lists, or a file ending in .py"
    return explain("recipe", f"there is no recipe {name!r}", rule, fix)


def _text_of(path: Path) -> bytes:
    if not path.is_file():
        given = f"there is no file {path}"
        raise MissingDataError(explain("recipe", given, "a recipe was expected there"))
    return path.read_bytes()


def _run_text(path: Path, source: bytes) -> ModuleType:
    """The module of exactly this text; what lies beside the file can be imported by it."""
    read_card(path, source)  # says where it is not Python
    module = ModuleType(f"recipe_{path.stem}")
    module.__file__ = str(path)
    beside = str(path.resolve().parent)
    if beside not in sys.path:
        sys.path.append(beside)  # last, so that it hides no library
    sys.modules[module.__name__] = module  # dataclasses look for theirs there
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def _options_of(function: Any) -> dict[str, Option]:
    if function is None:
        return {}
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {
        each.name: Option(_annotation(each), each.default)
        for each in parameters
        if each.default is not each.empty and can_be_set(_annotation(each))
    }


def _annotation(parameter: inspect.Parameter) -> Any:
    """The annotation, with None among its values if that is the default; or the default's type."""
    annotation, none = parameter.annotation, parameter.default is None
    if annotation is parameter.empty:
        return Any if none else type(parameter.default)
    known = annotation is Any or types.NoneType in (annotation, *get_args(annotation))
    return annotation | None if none and not known else annotation


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
