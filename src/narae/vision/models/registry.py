"""The models by name, as in torchvision: `list_models()` and `get_model("resnet18")`."""

import difflib
import fnmatch
import importlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from types import ModuleType
from typing import Any, TypeVar

import narae.nn as nn
from narae.base.errors import ConfigError, explain

Model = TypeVar("Model", bound=nn.Module)
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

Shape = tuple[int, int, int]

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_PICTURES: dict[str, Shape] = {}
_IMAGENET = (3, 224, 224)


def register_model(
    name: str | None = None, picture: Shape = _IMAGENET
) -> Callable[[Builder], Builder]:
    """Let `get_model` know a function that builds a model.

    Args:
        name: what it is called; without one, the function's own name.
        picture: (channels, height, width) of the pictures that it is made for.

    Raises:
        ConfigError: if the name is taken.
    """

    def register(builder: Builder) -> Builder:
        key = builder.__name__ if name is None else name
        if key in _BUILDERS:
            given = f"a second model called {key!r}"
            raise ConfigError(explain("register_model", given, "a name stands for one model"))
        _BUILDERS[key], _PICTURES[key] = builder, picture
        return builder

    return register


def with_weights(make: Callable[..., Model], weights: Any, **config: Any) -> Model:
    """Build a model and give it its weights, if there are any to give.

    Args:
        make: what builds it.
        weights: None, a path, a state dict, or a Hugging Face repository "owner/name".
        config: what `make` takes; and `ignore_mismatched=True` to leave out weights that do not
            fit, such as those of a head for other classes.
    """
    ignore_mismatched = config.pop("ignore_mismatched", False)
    if weights is None:
        return make(**config)
    from .weights import load_weights

    # What is left out keeps its first weights; if all are loaded, none need be drawn.
    with nullcontext() if ignore_mismatched else nn.init.undrawn():
        model = make(**config)
    load_weights(model, weights, ignore_mismatched=ignore_mismatched)
    return model


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of the models, sorted.

    Args:
        module: only those of one module, such as `narae.vision.models.detection`.
        include: patterns such as "resnet*"; a name fits one of them.
        exclude: patterns of names to leave out.

    >>> list_models(include="resnet*")
    ['resnet101', 'resnet110', 'resnet152', 'resnet18', 'resnet20', 'resnet32', ...]
    """
    _import_all()
    names = [name for name, builder in _BUILDERS.items() if _is_of(builder, module)]
    if include:
        names = [name for name in names if _fits(name, include)]
    return sorted(name for name in names if not (exclude and _fits(name, exclude)))


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model.

    Raises:
        ConfigError: for an unknown name, with those that look like it.

    >>> get_model_builder("resnet18").__name__
    'resnet18'
    """
    _import_all()
    found = _BUILDERS.get(name.lower())
    if found is None:
        close = difflib.get_close_matches(name.lower(), _BUILDERS, n=3, cutoff=0.5)
        fix = f"did you mean {' or '.join(close)}?" if close else "list_models() has them all"
        raise ConfigError(explain("get_model", f"{name!r}", "it must be the name of a model", fix))
    return found


def picture_shape(name: str) -> Shape:
    """(channels, height, width) of the pictures that a model is made for.

    >>> picture_shape("resnet20")
    (3, 32, 32)
    """
    get_model_builder(name)
    return _PICTURES[name.lower()]


def get_model(name: str, **config: Any) -> nn.Module:
    """Build a model by its name.

    Args:
        name: one of `list_models()`.
        config: what its function takes, such as `num_classes` and `weights`.

    >>> import narae
    >>> get_model("lenet5", num_classes=3)(narae.zeros(2, 1, 32, 32)).shape
    narae.Size([2, 3])
    """
    return get_model_builder(name)(**config)


def _is_of(builder: Callable[..., nn.Module], module: ModuleType | None) -> bool:
    return module is None or f"{builder.__module__}.".startswith(f"{module.__name__}.")


def _fits(name: str, patterns: Iterable[str] | str) -> bool:
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)


def _import_all() -> None:
    """Models register when their file is read."""
    package = __name__.rpartition(".")[0]
    for part in ("", ".segmentation", ".detection"):
        try:
            importlib.import_module(f"{package}{part}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}{part}":
                raise
