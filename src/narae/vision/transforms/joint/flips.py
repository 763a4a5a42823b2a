"""The mirror image, left to right or upside down."""

from typing import Any

from narae.vision.transforms import draws
from narae.vision.transforms.functional import shaping

from .targets import Boxes, JointTransform, Size


class _RandomFlip(JointTransform):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = draws.check_probability(p, type(self).__name__)

    def draw(self, image: Any) -> Any:
        return True if draws.share() < self.p else None

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged, with a probability: x becomes width - x.

    Args:
        p: the probability.

    Raises:
        ConfigError: for p outside of 0 to 1.

    >>> import narae
    >>> sample = narae.zeros(3, 10, 20), {"boxes": narae.tensor([[1.0, 2.0, 5.0, 6.0]])}
    >>> RandomHorizontalFlip(p=1.0)(*sample)[1]["boxes"]
    tensor([[15.,  2., 19.,  6.]])
    """

    def on_image(self, image: Any, drawn: Any) -> Any:
        return shaping.hflip(image)

    def on_boxes(self, boxes: Boxes, drawn: Any, size: Size) -> Boxes:
        moved = boxes.copy()
        moved[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
        return moved


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged, with a probability: y becomes height - y.

    Args:
        p: the probability.

    Raises:
        ConfigError: for p outside of 0 to 1.
    """

    def on_image(self, image: Any, drawn: Any) -> Any:
        return shaping.vflip(image)

    def on_boxes(self, boxes: Boxes, drawn: Any, size: Size) -> Boxes:
        moved = boxes.copy()
        moved[:, [1, 3]] = size[0] - boxes[:, [3, 1]]
        return moved
