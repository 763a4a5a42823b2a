"""Grad-CAM: where a classifier looks when it says a class.

    alpha_k = mean over pixels (i, j) of  d score / d A_k[i, j]
    heat    = relu(sum over k of alpha_k A_k)

where A_k are the feature maps of a layer, the last one by default, and score is the class's logit.

Source: Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based
localization (2016), equations 1 and 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import narae.nn as nn
from narae.base.errors import BoundsError, ShapeError, explain
from narae.nn import functional as F
from narae.tensors import Tensor, enable_grad
from narae.tensors.backward import grad

from .watching import (
    as_pixels,
    coloured,
    in_evaluation,
    last_of,
    one_picture,
    picture_of,
    watched,
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class HeatMap:
    """Where a model looked.

    Attributes:
        values: (height, width) of the picture, from 0 to 1.
        raw: (height, width) of the layer's feature maps, as computed.
        target: the class that was asked about.
        score: its logit.
        layer: the path of the layer.
        image: the picture, (1, channels, height, width).
    """

    values: Array
    raw: Array
    target: int
    score: float
    layer: str
    image: Tensor

    def picture(self, strength: float = 0.5, on: Any = None) -> Any:
        """A Pillow image: the heat, in colours, over the picture in grey.

        Args:
            strength: of the colours, 0 to 1.
            on: pixels to lay it on, (height, width, 3) from 0 to 1, in place of the picture.
        """
        below = as_pixels(self.image).mean(axis=2, keepdims=True) if on is None else np.asarray(on)
        return picture_of((1 - strength) * below + strength * coloured(self.values))

    def save(self, path: str | Path) -> None:
        """Write the picture to a file."""
        self.picture().save(path)

    def _repr_png_(self) -> Any:
        return self.picture()._repr_png_()


def grad_cam(
    model: nn.Module,
    image: Tensor,
    target: int | None = None,
    layer: str | nn.Module | None = None,
) -> HeatMap:
    """Which parts of a picture speak for a class.

    Args:
        model: a classifier: (1, channels, height, width) to (1, classes). It is looked at in
            evaluation mode; its gradients and its mode stay as they are.
        image: as the model takes it, (channels, height, width) or a batch of one.
        target: the class; the one that the model says, by default.
        layer: a layer with feature maps, or its path such as "layer4"; the last, by default.

    Raises:
        BoundsError: if there is no such class.
        ConfigError: if there is no such layer.
        ShapeError: if the picture is none, or if the layer gives no feature maps.

    >>> import narae
    >>> from narae.vision.models import resnet20
    >>> heat = grad_cam(resnet20(), narae.rand(3, 32, 32), target=3)
    >>> heat.values.shape, heat.raw.shape, heat.layer
    ((32, 32), (8, 8), 'layer3')
    """
    x = one_picture(image, "grad_cam").clone().requires_grad_()  # frozen models need it
    with in_evaluation(model), enable_grad(), watched(model, layer, "grad_cam") as seen:
        logits = model(x)
        maps = last_of(seen, layer, "grad_cam")
        target = _checked_target(logits, target)
        slopes: Any = grad(logits[0, target], [maps.value])[0]
    activations = maps.value.detach()  # (1, channels, height, width)
    weights = slopes.mean((2, 3), keepdim=True)  # (1, channels, 1, 1)
    heat = F.relu((weights * activations).sum(1, keepdim=True))  # (1, 1, height, width)
    large = F.interpolate(heat, size=tuple(x.shape[-2:]), mode="bilinear", align_corners=False)
    values, raw = large.numpy()[0, 0], heat.numpy()[0, 0]
    values = values / values.max() if values.max() > 0 else values
    score = logits[0, target].item()
    return HeatMap(values, raw, target, score, maps.path, x.detach())


def _checked_target(logits: Any, target: int | None) -> int:
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        rule = "a classifier gives (1, classes)"
        raise ShapeError(explain("grad_cam", f"the model gives {shape}", rule))
    if target is None:
        return int(logits[0].argmax().item())
    if not 0 <= target < logits.shape[1]:
        rule = f"classes are 0 to {logits.shape[1] - 1}"
        raise BoundsError(explain("grad_cam", f"target={target}", rule))
    return target
