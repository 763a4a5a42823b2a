"""A random part of the sample; boxes are cut at its borders, and dropped where they are outside."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.vision.transforms import crops
from narae.vision.transforms.functional import images as pictures
from narae.vision.transforms.functional import shaping

from .sizes import NEAREST, stretched
from .targets import Boxes, JointTransform, Size, size_of

Part = tuple[int, int, int, int]  # top, left, height, width


class _RandomPart(JointTransform):
    def __init__(self, least_visible: float) -> None:
        super().__init__()
        if not 0 <= least_visible <= 1:
            given = f"least_visible is {least_visible}"
            raise ConfigError(explain(type(self).__name__, given, "it is a share, from 0 to 1"))
        self.least_visible = least_visible


class RandomCrop(_RandomPart):
    """A part of (height, width) at a random place; what is too small is padded first.

    Args:
        size: (height, width), or one number for both.
        pad_if_needed: pad samples that are too small at the right and at the bottom.
        fill: what the image gets where it is padded.
        mask_fill: what masks get there.
        least_visible: boxes of which a smaller share is inside are dropped.

    Raises:
        ShapeError: if an image is smaller than the part.

    >>> import narae
    >>> boxes = narae.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> image, target = RandomCrop(4)(narae.zeros(3, 8, 8), {"boxes": boxes})
    >>> target["boxes"]
    tensor([[0., 0., 4., 4.]])
    """

    def __init__(
        self,
        size: pictures.Size,
        pad_if_needed: bool = False,
        fill: pictures.Fill = 0,
        mask_fill: int = 0,
        least_visible: float = 0.0,
    ) -> None:
        super().__init__(least_visible)
        self.size = pictures.pair_of(size, "RandomCrop")
        self.pad_if_needed, self.fill, self.mask_fill = pad_if_needed, fill, mask_fill

    def draw(self, image: Any) -> Part:
        if self.pad_if_needed:
            image = self._padded(image, self.fill)
        return crops.RandomCrop.get_params(image, self.size)

    def on_image(self, image: Any, drawn: Part) -> Any:
        return shaping.crop(self._padded(image, self.fill), *drawn)

    def on_mask(self, mask: Any, drawn: Part) -> Any:
        return shaping.crop(self._padded(mask, self.mask_fill), *drawn)

    def on_boxes(self, boxes: Boxes, drawn: Part, size: Size) -> Boxes:
        return _moved(boxes, drawn)

    def _padded(self, image: Any, fill: pictures.Fill) -> Any:
        rows, columns = size_of(image)
        missing = max(self.size[0] - rows, 0), max(self.size[1] - columns, 0)
        if not self.pad_if_needed or not any(missing):
            return image
        return shaping.pad(image, (0, 0, missing[1], missing[0]), fill)

    def extra_repr(self) -> str:
        return f"size={self.size}, least_visible={self.least_visible}"


class RandomResizedCrop(_RandomPart):
    """A part of random size and shape, stretched to one size.

    Args:
        size: (height, width) of the result, or one number for both.
        scale: which share of the area the part has: (least, greatest).
        ratio: width / height of the part, in units of the image's own: (least, greatest).
        interpolation, antialias: how to resize the image.
        least_visible: boxes of which a smaller share is inside are dropped.
    """

    def __init__(
        self,
        size: pictures.Size,
        scale: Sequence[float] = (0.3, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = pictures.InterpolationMode.BILINEAR,
        antialias: bool | None = True,
        least_visible: float = 0.3,
    ) -> None:
        super().__init__(least_visible)
        self.alone = crops.RandomResizedCrop(size, scale, ratio, interpolation, antialias)

    def draw(self, image: Any) -> Part:
        rows, columns = size_of(image)
        ratio = [shape * columns / rows for shape in self.alone.ratio]
        return self.alone.get_params(image, self.alone.scale, ratio)

    def on_image(self, image: Any, drawn: Part) -> Any:
        alone = self.alone
        return shaping.resized_crop(
            image, *drawn, alone.size, alone.interpolation, antialias=alone.antialias
        )

    def on_mask(self, mask: Any, drawn: Part) -> Any:
        return shaping.resized_crop(mask, *drawn, self.alone.size, NEAREST)

    def on_boxes(self, boxes: Boxes, drawn: Part, size: Size) -> Boxes:
        return stretched(_moved(boxes, drawn), drawn[2:], self.alone.size)

    def extra_repr(self) -> str:
        return f"{self.alone.extra_repr()}, least_visible={self.least_visible}"


def _moved(boxes: Boxes, part: Part) -> Boxes:
    top, left, _, _ = part
    return boxes - np.array([left, top, left, top], np.float32)
