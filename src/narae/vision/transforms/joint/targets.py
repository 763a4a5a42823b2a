"""What happens to boxes and masks when an image is moved, cut or stretched."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, ShapeError, explain
from narae.tensors.creation import from_numpy, zeros
from narae.vision.transforms.containers import Transform
from narae.vision.transforms.functional.images import get_dimensions, is_pillow_image

Boxes = npt.NDArray[np.float32]
Size = tuple[int, int]

_OF_EACH_BOX = ("labels", "masks", "difficult", "iscrowd", "area", "scores")


class JointTransform(Transform):
    """A transform of `(image, target)`: draw once, then move image, boxes and masks alike.

    A subclass says what is drawn (`draw`, None: leave the sample as it is), and what that does to
    the image and to boxes; masks are moved as the image is unless `on_mask` says otherwise.

    Attributes:
        least_visible: boxes of which a smaller share stays in the image are dropped.
    """

    least_visible = 0.0

    @abstractmethod
    def draw(self, image: Any) -> Any:
        """What is chosen for this sample, None to leave it as it is."""

    @abstractmethod
    def on_image(self, image: Any, drawn: Any) -> Any:
        """The image moved."""

    @abstractmethod
    def on_boxes(self, boxes: Boxes, drawn: Any, size: Size) -> Boxes:
        """Boxes (n, 4) of an image of `size` (height, width), moved; some may lie outside."""

    def on_mask(self, mask: Any, drawn: Any) -> Any:
        """A mask (..., height, width) moved."""
        return self.on_image(mask, drawn)

    def forward(self, image: Any, target: Any = None) -> tuple[Any, Any]:
        drawn = self.draw(image)
        if drawn is None:
            return image, target
        before = size_of(image)
        moved = self.on_image(image, drawn)
        if target is None:
            return moved, None
        if not isinstance(target, Mapping):
            return moved, self._masked(target, before, drawn)
        found = dict(target)
        for name in ("mask", "masks"):
            if found.get(name) is not None:
                found[name] = self._masked(found[name], before, drawn)
        if "boxes" in found:
            boxes = boxes_of(found)
            placed = self.on_boxes(boxes, drawn, before)
            found = kept(found, boxes, placed, size_of(moved), self.least_visible)
        return moved, found

    def _masked(self, mask: Any, size: Size, drawn: Any) -> Any:
        if size_of(mask) != size:
            given = f"the mask is {size_of(mask)}, the image is {size} (height, width)"
            raise ShapeError(explain(type(self).__name__, given, "both have one size"))
        if is_pillow_image(mask):
            return self.on_mask(mask, drawn)
        if mask.ndim > 2 and not len(mask):  # no box has a mask: only the size changes
            return self.on_mask(zeros((1, *size), dtype=mask.dtype), drawn)[:0]
        if mask.ndim > 2:
            return self.on_mask(mask, drawn)
        return self.on_mask(mask[None], drawn)[0]  # (1, height, width) and back


def size_of(image: Any) -> Size:
    """Height and width."""
    _, height, width = get_dimensions(image)
    return height, width


def boxes_of(target: Mapping[str, Any]) -> Boxes:
    """The boxes of a target as an array (n, 4).

    Raises:
        ShapeError: if they are something else.
        DataError: if a number is not finite.
    """
    boxes = np.asarray(target["boxes"], np.float32)
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        given = f"boxes are {boxes.shape}"
        raise ShapeError(explain("transforms", given, "boxes are (n, 4): x1, y1, x2, y2"))
    if not np.isfinite(boxes).all():
        first = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        given = f"box {first} is {boxes[first].tolist()}"
        raise DataError(explain("transforms", given, "corners are finite numbers"))
    return boxes


def clipped(boxes: Boxes, size: Size) -> Boxes:
    """Boxes (n, 4) cut at the borders of an image of `size` (height, width).

    >>> clipped(np.array([[-5, 2, 30, 8]], np.float32), (10, 20)).tolist()
    [[0.0, 2.0, 20.0, 8.0]]
    """
    height, width = size
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limits)


def areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Width times height of each box, 0 where a side is negative."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def kept(
    target: dict[str, Any], before: Boxes, after: Boxes, size: Size, least_visible: float
) -> dict[str, Any]:
    """The target with moved boxes, cut at the borders; without those that are out of sight.

    Args:
        target: with an entry for each box in "labels", "masks" and the like.
        before, after: boxes (n, 4), and where they are now.
        size: height and width of the image now.
        least_visible: the share of a box that must be inside.

    Raises:
        ShapeError: if an entry has not one value a box.
    """
    inside = clipped(after, size)
    seen, whole = areas(inside), np.maximum(areas(after), 1e-12)
    stay = (seen > 0) & (seen >= least_visible * whole)
    found = dict(target)
    for name in _OF_EACH_BOX:
        if target.get(name) is not None:
            values = np.asarray(target[name])
            if len(values) != len(stay):
                given = f"{name} has {len(values)} entries, there are {len(stay)} boxes"
                raise ShapeError(explain("transforms", given, "each box has an entry"))
            values = values[stay]
            if name == "area":  # that of its mask: it changes as that of its box does
                values = values * (seen / np.maximum(areas(before), 1e-12))[stay]
            found[name] = from_numpy(
                np.ascontiguousarray(values.astype(np.asarray(target[name]).dtype))
            )
    found["boxes"] = from_numpy(inside[stay])
    return found
