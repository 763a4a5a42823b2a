"""Running a model on one picture in evaluation mode, and seeing what its layers give."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import narae.nn as nn
from narae.base.errors import ConfigError, ShapeError, explain, require
from narae.tensors import Tensor

Array = npt.NDArray[Any]


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """The model as it is used; each module is put back into its mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def one_picture(image: Any, what: str) -> Tensor:
    """A picture as a batch of one: (1, channels, height, width).

    Raises:
        ShapeError: for several pictures, or none.
    """
    x = image.detach() if isinstance(image, Tensor) else image
    if not isinstance(x, Tensor) or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[0] != 1):
        given = f"image is {tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__}"
        rule = "it is one picture as the model takes it: a tensor (channels, height, width)"
        raise ShapeError(explain(what, given, rule, "transform(picture), or images[0]"))
    return x if x.ndim == 4 else x.reshape(1, *x.shape)


@dataclass
class Seen:
    """What a layer gave: its path in the model, and its result."""

    path: str
    value: Tensor


@contextmanager
def watched(model: nn.Module, layer: str | nn.Module | None, what: str) -> Iterator[list[Seen]]:
    """While it lasts, note feature maps in the order in which layers finish.

    Args:
        model: whose layers are watched.
        layer: only this one, by its path or itself; None for all whose result is (1, channels,
            height, width) with more than one pixel.
        what: who asks, for messages.
    """
    paths = {module: path for path, module in model.named_modules() if path}
    chosen = list(paths) if layer is None else [_found(model, layer, paths, what)]
    seen: list[Seen] = []

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, out: Any) -> None:
            is_map = isinstance(out, Tensor) and out.ndim == 4
            if is_map and (layer is not None or out.shape[-1] * out.shape[-2] > 1):
                seen.append(Seen(path, out))

        return hook

    handles = [module.register_forward_hook(note(paths[module])) for module in chosen]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _found(
    model: nn.Module, layer: str | nn.Module, paths: dict[nn.Module, str], what: str
) -> nn.Module:
    if isinstance(layer, nn.Module):
        if layer not in paths:
            given = f"layer is {type(layer).__name__}, which is not part of the model"
            raise ConfigError(explain(what, given, "it is a layer of the model, or its path"))
        return layer
    by_path = {path: module for module, path in paths.items()}
    if layer not in by_path:
        close = difflib.get_close_matches(layer, by_path, n=3)
        fix = f"did you mean {' or '.join(close)}?" if close else "see model.named_modules()"
        given = f"the model has no layer {layer!r}"
        raise ConfigError(explain(what, given, "layers are named by their paths", fix))
    return by_path[layer]


def last_of(seen: list[Seen], layer: Any, what: str) -> Seen:
    """The last feature maps that were noted.

    Raises:
        ShapeError: if there are none.
    """
    if seen:
        return seen[-1]
    given = "no layer gives feature maps" if layer is None else f"{layer} gives no feature maps"
    rule = "feature maps are (batch, channels, height, width)"
    raise ShapeError(explain(what, given, rule, "name a convolution: layer='features.0'"))


# --- pictures -----------------------------------------------------------------------------------


def as_pixels(x: Tensor) -> Array:
    """A normalized picture (1, channels, height, width) in colours from 0 to 1 to look at."""
    array = x.detach().numpy()[0].astype(np.float64)  # (channels, height, width)
    low, high = array.min(), array.max()
    array = (array - low) / (high - low if high > low else 1.0)
    planes = array if array.shape[0] == 3 else np.repeat(array[:1], 3, axis=0)
    return planes.transpose(1, 2, 0)  # (height, width, 3)


def coloured(values: Array) -> Array:
    """Values from 0 to 1 in colours from dark blue to red: (height, width, 3)."""
    maps: Any = require("matplotlib", "train", "colours of a heat map").colormaps
    return np.asarray(maps["turbo"](values))[..., :3]


def picture_of(pixels: Array) -> Any:
    """Colours from 0 to 1, (height, width, 3), as a Pillow image."""
    images: Any = require("PIL.Image", "data", "a picture to look at")
    return images.fromarray(np.rint(255 * pixels).clip(0, 255).astype(np.uint8))
