"""Another size: stretched or padded."""

from typing import Any

import numpy as np

from narae.vision.transforms import crops
from narae.vision.transforms.functional import images as pictures
from narae.vision.transforms.functional import shaping

from .targets import Boxes, JointTransform, Size, size_of

# What a stretched mask takes: whole values of pixels, of the same ones for Pillow and tensors.
NEAREST = pictures.InterpolationMode.NEAREST_EXACT


def stretched(boxes: Boxes, before: Size, after: Size) -> Boxes:
    """Boxes (n, 4) of an image of (height, width) `before`, in one of size `after`."""
    down, across = after[0] / before[0], after[1] / before[1]
    return boxes * np.array([across, down, across, down], np.float32)


class Resize(JointTransform):
    """Image, boxes and masks in another size; masks keep their values (nearest pixel).

    Args:
        size: (height, width), or one number for the shorter side; the other one follows.
        interpolation: of the image.
        max_size: the longer side is at most so long; only with one number as size.
        antialias: whether a tensor that shrinks is averaged over the pixels it had.

    >>> import narae
    >>> sample = narae.zeros(3, 10, 20), {"boxes": narae.tensor([[2.0, 4.0, 6.0, 8.0]])}
    >>> image, target = Resize((5, 40))(*sample)
    >>> image.shape, target["boxes"]
    (narae.Size([3, 5, 40]), tensor([[ 4.,  2., 12.,  4.]]))
    """

    def __init__(
        self,
        size: pictures.Size,
        interpolation: Any = pictures.InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.alone = crops.Resize(size, interpolation, max_size, antialias)

    def draw(self, image: Any) -> Any:
        return shaping.resized_size(size_of(image), self.alone.size, self.alone.max_size)

    def on_image(self, image: Any, drawn: Size) -> Any:
        alone = self.alone
        return shaping.resize(image, drawn, alone.interpolation, antialias=alone.antialias)

    def on_mask(self, mask: Any, drawn: Size) -> Any:
        return shaping.resize(mask, drawn, NEAREST)

    def on_boxes(self, boxes: Boxes, drawn: Size, size: Size) -> Boxes:
        return stretched(boxes, size, drawn)

    def extra_repr(self) -> str:
        return self.alone.extra_repr()


class Pad(JointTransform):
    """More on the sides; boxes move by what is added at the left and at the top.

    Args:
        padding: as `transforms.Pad` takes it.
        fill: what the image gets there.
        padding_mode: as `transforms.Pad` takes it; boxes of mirrored things are not made.
        mask_fill: what masks get there, such as an ignored class.
    """

    def __init__(
        self,
        padding: pictures.Size,
        fill: pictures.Fill = 0,
        padding_mode: str = "constant",
        mask_fill: int = 0,
    ) -> None:
        super().__init__()
        self.alone, self.mask_fill = crops.Pad(padding, fill, padding_mode), mask_fill

    def draw(self, image: Any) -> Any:
        return shaping.sides_of(self.alone.padding)

    def on_image(self, image: Any, drawn: Any) -> Any:
        return self.alone(image)

    def on_mask(self, mask: Any, drawn: Any) -> Any:
        return shaping.pad(mask, drawn, self.mask_fill, self.alone.padding_mode)

    def on_boxes(self, boxes: Boxes, drawn: Any, size: Size) -> Boxes:
        left, top, _, _ = drawn
        return boxes + np.array([left, top, left, top], np.float32)

    def extra_repr(self) -> str:
        return self.alone.extra_repr()
