"""Which detection of an image found which object, after the rules of COCO and of PASCAL VOC.

Both go through the detections of a class from the highest score down, and an object is found once.
They differ in what a detection may choose from: in COCO, from the objects that are left; in VOC it
has its best object whether that is left or not.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def overlaps(found: Floats, true: Floats, crowd: Flags | None = None) -> Floats:
    """IoU of all pairs; with a crowd, the share of the detection that lies within it.

    Args:
        found: (n, 4) as corners.
        true: (m, 4) as corners.
        crowd: (m,), whether a box stands for many objects.

    Returns: (n, m), 0 for pairs that do not meet.

    >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
    [[0.333]]
    """
    low = np.maximum(found[:, None, :2], true[None, :, :2])  # (n, m, 2)
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])  # (n, m, 2)
    both = np.clip(high - low, 0, None).prod(axis=2)  # (n, m)
    of_found, of_true = areas(found)[:, None], areas(true)[None]
    whole = of_found + of_true - both
    if crowd is not None:
        whole = np.where(crowd, of_found, whole)
    return np.divide(both, whole, out=np.zeros_like(both), where=both > 0)


def areas(boxes: Floats) -> Floats:
    """Areas (n,) of boxes (n, 4)."""
    sides: Floats = boxes[:, 2:] - boxes[:, :2]
    return sides.prod(axis=1)


def match_as_coco(
    iou: Floats, thresholds: Floats, ignored: Flags, crowd: Flags
) -> tuple[Flags, Flags]:
    """Whether each detection found an object, and whether that object does not count.

    A detection takes, of the objects that are left, the one it overlaps most, if that is at least
    the threshold; one that counts before any that does not. A crowd can be found many times. Of
    equal overlaps the last one is taken, as pycocotools does.

    Args:
        iou: (detections, objects), detections by descending score.
        thresholds: (thresholds,).
        ignored: (areas, objects), which objects do not count for objects of a size.
        crowd: (objects,).

    Returns: found, without count: (areas, thresholds, detections) each.
    """
    shape = (len(ignored), len(thresholds), len(iou))
    found, idle = np.zeros(shape, bool), np.zeros(shape, bool)
    if iou.size == 0:
        return found, idle
    left = np.ones((*shape[:2], iou.shape[1]), bool)  # (areas, thresholds, objects)
    enough = np.minimum(thresholds, 1 - 1e-10)[:, None]
    not_counting = np.broadcast_to(ignored[:, None], left.shape)
    for d, row in enumerate(iou):
        open_to = (left | crowd) & (row >= enough)
        counting = open_to & ~not_counting
        some = counting.any(axis=2)  # (areas, thresholds)
        # Objects that count come first; the others only where there is none.
        choice = np.where(np.where(some[..., None], counting, open_to), row, -1.0)
        best = _last_largest(choice)[..., None]  # (areas, thresholds, 1)
        found[..., d] = open_to.any(axis=2)
        idle[..., d] = found[..., d] & ~some
        stays = np.take_along_axis(left, best, axis=2) & ~found[..., d, None]
        np.put_along_axis(left, best, stays, axis=2)
    return found, idle


def _last_largest(x: Floats) -> Any:
    """The place of the largest value along the last axis; of equal ones the last."""
    return x.shape[-1] - 1 - x[..., ::-1].argmax(axis=-1)


def match_as_voc(iou: Floats, threshold: float, difficult: Flags) -> tuple[Flags, Flags]:
    """Whether each detection found an object, and whether it does not count.

    A detection's object is the one it overlaps most; it is right if that is at least the threshold
    and no better detection had it. What finds a difficult object does not count.

    Args:
        iou: (detections, objects), detections by descending score.
        threshold: the least overlap.
        difficult: (objects,).

    Returns: found, without count: (detections,) each.

    >>> iou = np.array([[0.9, 0.6], [0.8, 0.7], [0.1, 0.6]])
    >>> match_as_voc(iou, 0.5, np.array([False, False]))[0].tolist()
    [True, False, True]
    """
    count = len(iou)
    found, idle = np.zeros(count, bool), np.zeros(count, bool)
    if iou.size == 0:
        return found, idle
    taken = np.zeros(iou.shape[1], bool)
    for d, best in enumerate(iou.argmax(axis=1)):
        if iou[d, best] < threshold:
            continue
        idle[d] = difficult[best]
        found[d] = not difficult[best] and not taken[best]
        taken[best] = True
    return found, idle
