"""`narae summary MODEL`: layers, shapes, parameters, operations, memory."""

import importlib
import json
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

from .types import count, shape

_FORMS = "a recipe, a recipe.py, a checkpoint, the folder of a run, or package.module:Model"


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "summary",
        help="show the layers of a model",
        description="Show a model's layers, shapes, parameters, FLOPs and memory.",
    )
    parser.add_argument("model", help=_FORMS)
    parser.add_argument(
        "--input",
        type=shape,
        action="append",
        metavar="SIZES",
        help="shape of one sample, such as 1,28,28 (default: that of the recipe's data); once "
        "for each input",
    )
    parser.add_argument(
        "--batch-size", type=count, default=1, metavar="N", help="samples in the batch (default: 1)"
    )
    parser.add_argument(
        "--dtype", default="float32", help="of the input, such as int64 (default: float32)"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Trace the model and print its table."""
    from narae.train.summary import summarize

    model, sample = _found(options)
    shapes = options.input or [sample()]
    dtype = _dtype(options.dtype)
    inputs = [_zeros((options.batch_size, *sizes), dtype) for sizes in shapes]
    found = summarize(model, *inputs)
    print(json.dumps(found.as_dict(), indent=2) if options.json else found)
    return 0


def _found(options: Any) -> tuple[Any, Any]:
    """The model, and a function that says the shape of one sample."""
    from narae.train.recipe import load_recipe
    from narae.train.runs.saved import load_run

    name = options.model
    if ":" in name and not Path(name).exists():
        return _imported(name), _no_sample
    if name.endswith(".safetensors") or Path(name).is_dir():
        saved = load_run(Path(name))
        return saved.model, lambda: saved.input_shape or _no_sample()
    recipe = load_recipe(name)
    return recipe.model(), lambda: recipe.sample_shape(options.data_dir) or _no_sample()


def _imported(name: str) -> Any:
    package, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(package), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        given = f"{name} makes no model ({error})"
        rule = "it names a class or a function that needs no arguments"
        raise ConfigError(explain("summary", given, rule, "package.module:Model")) from error


def _no_sample() -> Any:
    given, rule = "no input shape is given", "shapes are known once an input is"
    raise ConfigError(explain("summary", given, rule, "--input 3,224,224"))


def _dtype(name: str) -> Any:
    from narae.base.dtypes import DTYPES

    if name not in DTYPES:
        rule = f"it is one of {', '.join(DTYPES)}"
        raise ConfigError(explain("summary", f"--dtype is {name}", rule))
    return DTYPES[name]


def _zeros(sizes: tuple[int, ...], dtype: Any) -> Any:
    from narae.tensors.creation import zeros

    return zeros(sizes, dtype=dtype)
