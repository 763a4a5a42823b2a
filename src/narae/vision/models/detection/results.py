"""From scores of many boxes to the few that are worth saying."""

from dataclasses import dataclass

import numpy as np

from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.vision.ops.boxes import clip_boxes_to_image
from narae.vision.ops.nms import batched_nms

_CANDIDATES = 1000


@dataclass(frozen=True)
class Limits:
    """Which boxes are worth saying.

    Attributes:
        score: those with a higher score.
        nms: of two boxes of a class with a larger IoU, the less certain one is left out.
        detections: at most so many an image.
    """

    score: float = 0.05
    nms: float = 0.5
    detections: int = 100


def detections(
    boxes: Tensor, scores: Tensor, size: tuple[int, int], limits: Limits
) -> dict[str, Tensor]:
    """The boxes of one image that are worth saying, the most certain first.

    Args:
        boxes: (n, classes, 4), a box for each class.
        scores: (n, classes), without the background.
        size: height and width of the image.
        limits: what is worth it.

    Returns:
        "boxes" (k, 4), "labels" (k,) from 1 on, "scores" (k,).

    >>> import narae
    >>> boxes = narae.tensor([[[0.0, 0, 10, 10]], [[1.0, 0, 10, 10]]])
    >>> detections(boxes, narae.tensor([[0.9], [0.8]]), (20, 20), Limits())["scores"]
    tensor([0.9000])
    """
    values = np.asarray(scores)
    places, classes = np.nonzero(values > limits.score)
    certain = values[places, classes]
    order = np.argsort(-certain, kind="stable")[:_CANDIDATES]
    places, classes, certain = places[order], classes[order], certain[order]
    chosen = clip_boxes_to_image(from_numpy(np.asarray(boxes)[places, classes]), size)
    sides = np.asarray(chosen[:, 2:] - chosen[:, :2])
    wide = (sides > 0).all(axis=1)
    found, labels, sure = chosen[wide], from_numpy(classes[wide] + 1), from_numpy(certain[wide])
    stay = batched_nms(found, sure, labels, limits.nms)[: limits.detections]
    return {"boxes": found[stay], "labels": labels[stay], "scores": sure[stay]}
