"""Feature maps: what each channel of a layer makes of a picture."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import narae.nn as nn
from narae.tensors import Tensor, no_grad

from .watching import coloured, in_evaluation, last_of, one_picture, picture_of, watched

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FeatureMaps:
    """What a layer made of a picture.

    Attributes:
        values: (channels, height, width).
        layer: the path of the layer.
    """

    values: Array
    layer: str

    def picture(self, most: int = 64, tile: int = 64) -> Any:
        """A Pillow image: channels side by side, each from its darkest to its brightest.

        Args:
            most: no more channels than this.
            tile: height and width of each, in pixels, at least.
        """
        shown = self.values[:most].astype(np.float64)
        low = shown.min(axis=(1, 2), keepdims=True)
        spread = shown.max(axis=(1, 2), keepdims=True) - low
        shown = (shown - low) / np.where(spread > 0, spread, 1.0)
        times = max(1, math.ceil(tile / max(shown.shape[1:])))
        shown = shown.repeat(times, axis=1).repeat(times, axis=2)  # (channels, tile, tile)
        return picture_of(_side_by_side([coloured(each) for each in shown]))

    def save(self, path: str | Path) -> None:
        """Write the picture to a file."""
        self.picture().save(path)

    def _repr_png_(self) -> Any:
        return self.picture()._repr_png_()


def _side_by_side(tiles: list[Array], gap: int = 2) -> Array:
    """Tiles (height, width, 3) in rows on white."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    height, width, _ = tiles[0].shape
    down, across = height + gap, width + gap
    paper = np.ones((rows * down + gap, columns * across + gap, 3))
    for place, tile in enumerate(tiles):
        top, left = gap + place // columns * down, gap + place % columns * across
        paper[top : top + height, left : left + width] = tile
    return paper


def feature_maps(
    model: nn.Module, image: Tensor, layer: str | nn.Module | None = None
) -> FeatureMaps:
    """What a layer makes of a picture.

    Args:
        model: what takes the picture; it is looked at in evaluation mode and left as it was.
        image: as the model takes it, (channels, height, width) or a batch of one.
        layer: a layer, or its path such as "layer1.0"; the first with feature maps, by default.

    Raises:
        ConfigError: if there is no such layer.
        ShapeError: if the picture is none, or if the layer gives no feature maps.

    >>> import narae
    >>> from narae.vision.models import resnet20
    >>> feature_maps(resnet20(), narae.rand(3, 32, 32), "layer2").values.shape
    (32, 16, 16)
    """
    x = one_picture(image, "feature_maps")
    with in_evaluation(model), no_grad(), watched(model, layer, "feature_maps") as seen:
        model(x)
    last = last_of(seen, layer, "feature_maps")
    found = seen[0] if layer is None else last
    return FeatureMaps(found.value.numpy()[0], found.path)
