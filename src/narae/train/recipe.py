"""A recipe: one short Python file that says what to train, on what, and how.

It defines, in plain functions:

    SETTINGS                    Settings(epochs, lr, batch_size): the defaults
    data(data_dir)              Data(train, test, classes): what to learn from and to be judged by
    model()                     the network
    loss(out, target)           one number to make small
    optimizer(model, lr)        who updates the parameters
    schedule(optimizer, steps)  optional: how the learning rate changes, called after each step
    metrics(out, target)        optional: numbers to show, such as {"accuracy": ...}
    INPUT_SHAPE                 optional: shape of one input, for `narae summary` without the data
    picture(image)              optional: a Pillow image as an input, for `narae predict`

`narae.train.recipes` holds those that come along; a path to a file of your own works as well.
"""

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DataError, MissingDataError, explain
from narae.tensors import Tensor

_BUILT_IN = Path(__file__).parent / "recipes"
_NEEDED = ("SETTINGS", "data", "model", "loss", "optimizer")


@dataclass(frozen=True)
class Settings:
    """The numbers of a run that the command line may change.

    Attributes:
        epochs: passes over the training data.
        lr: learning rate.
        batch_size: samples a step.
        seed: of every random number in the run.
    """

    epochs: int
    lr: float
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                given = f"{name} is {getattr(self, name)}"
                raise ConfigError(explain("settings", given, "it is at least 1"))
        if not 0 < self.lr < float("inf"):
            raise ConfigError(explain("settings", f"lr is {self.lr}", "it is a positive number"))

    def changed(self, **values: Any) -> "Settings":
        """The same settings with other values where one is given (not None)."""
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, **given)


@dataclass(frozen=True)
class Data:
    """What a run learns from and is judged by.

    Attributes:
        train, test: data sets of (x, target) samples.
        classes: the name of each class; empty for a regression.
    """

    train: Any
    test: Any
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            if not len(getattr(self, name)):
                rule = "a run needs samples to learn from and to be judged by"
                raise DataError(explain("recipe", f"the {name} data is empty", rule))


@dataclass(frozen=True)
class Recipe:
    """A recipe's file, read.

    Attributes:
        name: as on the command line.
        summary: the first line of the file.
        module: what the file defines.
    """

    name: str
    summary: str
    module: ModuleType

    @property
    def settings(self) -> Settings:
        """The defaults."""
        return self.module.SETTINGS

    def data(self, data_dir: Path | None) -> Data:
        """What to learn from."""
        return self.module.data(data_dir)

    def model(self) -> Any:
        """A new network."""
        return self.module.model()

    def sample_shape(self, data_dir: Path | None) -> tuple[int, ...]:
        """The shape of one input: what the recipe says, or that of its first test sample."""
        said = getattr(self.module, "INPUT_SHAPE", None)
        return tuple(said) if said is not None else np.shape(self.data(data_dir).test[0][0])

    def loss(self, out: Tensor, target: Tensor) -> Tensor:
        """The number to make small."""
        return self.module.loss(out, target)

    def metrics(self, out: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """Numbers to show; none unless the recipe defines some."""
        function = getattr(self.module, "metrics", None)
        return {} if function is None else function(out, target)

    def optimizer(self, model: Any, lr: float) -> Any:
        """A new optimizer."""
        return self.module.optimizer(model, lr)

    def schedule(self, optimizer: Any, steps: int) -> Any:
        """A new schedule over all steps of the run; None unless the recipe defines one."""
        function = getattr(self.module, "schedule", None)
        return None if function is None else function(optimizer, steps)


def recipe_names() -> dict[str, str]:
    """The recipes that come along: their names and first lines, without running them.

    >>> list(recipe_names())
    ['cifar-cnn', 'digits-cnn', 'fashion-cnn', 'linear-regression', 'mnist-cnn', 'mnist-mlp']
    """
    files = sorted(_BUILT_IN.glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): _first_line(file.read_text("utf-8")) for file in files}


def load_recipe(name: str) -> Recipe:
    """Load a recipe by its name, or from a file of your own.

    Raises:
        ConfigError: if there is no such recipe, or it lacks a part.
        MissingDataError: if there is no such file.
    """
    known = recipe_names()
    if name in known:
        module = importlib.import_module(f"narae.train.recipes.{name.replace('-', '_')}")
    elif name.endswith(".py"):
        module = _load_file(Path(name))
    else:
        close = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
        rule = "a recipe is one that `narae recipes` lists, or a file ending in .py"
        raise ConfigError(explain("recipe", f"there is no recipe {name!r}", rule, fix))
    _check_parts(name, module)
    return Recipe(Path(name).stem if name.endswith(".py") else name, _summary(module), module)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        given = f"there is no file {path}"
        raise MissingDataError(explain("recipe", given, "a recipe was expected there"))
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(explain("recipe", f"{path} is no Python file", "a recipe is one"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check_parts(name: str, module: ModuleType) -> None:
    missing = [part for part in _NEEDED if not hasattr(module, part)]
    if missing:
        given = f"{name} does not define {', '.join(missing)}"
        fix = "see narae/train/recipes/digits_cnn.py for a whole one"
        raise ConfigError(explain("recipe", given, f"a recipe has {', '.join(_NEEDED)}", fix))
    if not isinstance(module.SETTINGS, Settings):
        given = f"SETTINGS of {name} is a {type(module.SETTINGS).__name__}"
        rule = "it is narae.train.Settings(epochs, lr, batch_size)"
        raise ConfigError(explain("recipe", given, rule))


def _summary(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().partition("\n")[0]


def _first_line(source: str) -> str:
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
