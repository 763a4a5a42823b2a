"""How good a detector is on all batches of a loader."""

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import no_grad
from narae.vision.datasets.detection import unpad_boxes

from .detection import DetectionScores


def detection_scores(model: Any, batches: Iterable[Any], classes: Sequence[str]) -> DetectionScores:
    """The scores of a detector on all batches that `PadBoxes` made; for a recipe's `evaluate`.

    Args:
        model: a detector in eval mode: images to a list of "boxes", "labels", "scores".
        batches: images, boxes, labels, and whether a box is difficult.
        classes: names; the label of the first is 1.
    """
    scores = DetectionScores(class_names=["background", *classes])
    with no_grad():
        for images, *targets in batches:
            scores.update(model(images), unpad_boxes(*targets))
    return scores


def main_numbers(scores: DetectionScores) -> dict[str, float]:
    """The numbers to follow in a training: "ap50" and "ap", and "ap50_NAME" of few classes.

    "ap50" is the mean over classes of the average precision at an IoU of 0.5 (mAP@0.5), "ap" the
    mean over IoUs from 0.5 to 0.95 as well (COCO's mAP).
    """
    result = scores.result()
    table = result["classes"]
    each = {f"ap50_{name}": row["AP50"] for name, row in table.items()} if len(table) < 5 else {}
    return {"ap50": result["AP50"], "ap": result["AP"], **each}
