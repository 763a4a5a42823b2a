"""Targets of a batch in one form, whichever of the two they came in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from narae.base.errors import BoundsError, DataError, ShapeError, explain
from narae.tensors import Tensor, is_tracing
from narae.tensors.creation import from_numpy


def as_padded(targets: Any, images: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Boxes (batch, most, 4) and labels (batch, most), 0 where there is no object.

    Args:
        targets: a pair of such tensors, or a list of dicts "boxes", "labels".
        images: (batch, 3, height, width).
        num_classes: with the background.

    Raises:
        BoundsError: for a label that the model does not know.
        DataError: for boxes without an area, or labels below 1, in a list.
        ShapeError: if there are not as many targets as images.
    """
    if targets is None:
        given = "there are no targets"
        raise DataError(explain("detection", given, "a model in training mode learns from targets"))
    if isinstance(targets, Sequence) and all(isinstance(each, Mapping) for each in targets):
        targets = _padded(targets)
    boxes, labels = targets[:2]
    if len(boxes) != len(images) or len(labels) != len(images):
        given = f"there are {len(images)} images and targets of {len(boxes)}"
        raise ShapeError(explain("detection", given, "each image has targets"))
    if not is_tracing():
        _check_labels(labels, num_classes)
    return boxes, labels


def _check_labels(labels: Tensor, num_classes: int) -> None:
    largest = int(np.asarray(labels).max(initial=0))
    if largest >= num_classes:
        given = f"there is the label {largest}, the model has num_classes={num_classes}"
        rule = "labels are below it: 0 is the background, which is one of them"
        raise BoundsError(explain("detection", given, rule, f"num_classes={largest + 1}"))


def _padded(targets: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    most = max([1, *(len(target["labels"]) for target in targets)])
    boxes = np.zeros((len(targets), most, 4), np.float32)
    labels = np.zeros((len(targets), most), np.int64)
    for place, target in enumerate(targets):
        own, kinds = check_target(target, place)
        boxes[place, : len(kinds)], labels[place, : len(kinds)] = own, kinds
    return from_numpy(boxes), from_numpy(labels)


def check_target(target: Mapping[str, Any], place: int) -> tuple[Any, Any]:
    """Boxes (n, 4) and labels (n,) of an image, as arrays.

    Raises:
        DataError: for a box without an area, or a label below 1.
        ShapeError: if boxes and labels do not go together.
    """
    boxes = np.asarray(target["boxes"], np.float32).reshape(-1, 4)
    labels = np.asarray(target["labels"], np.int64).reshape(-1)
    if len(boxes) != len(labels):
        given = f"image {place} has {len(boxes)} boxes and {len(labels)} labels"
        raise ShapeError(explain("detection", given, "each box has a label"))
    thin = np.flatnonzero(~(boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if len(thin):
        given = f"box {thin[0]} of image {place} is {boxes[thin[0]].tolist()}"
        rule = "All bounding boxes should have positive height and width: x1 < x2 and y1 < y2"
        raise DataError(explain("detection", given, rule))
    if (labels < 1).any():
        given = f"image {place} has the label {labels.min()}"
        raise DataError(explain("detection", given, "labels begin at 1; 0 is the background"))
    return boxes, labels


def real_targets(boxes: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Boxes (n, 4) and labels (n,) of each image of a padded batch, without the padding.

    >>> import narae
    >>> real_targets(narae.zeros(1, 2, 4), narae.tensor([[3, 0]]))[0][1]
    tensor([3])
    """
    corners, kinds = np.asarray(boxes), np.asarray(labels)
    return [
        (from_numpy(own[row > 0]), from_numpy(row[row > 0]))
        for own, row in zip(corners, kinds, strict=True)
    ]
