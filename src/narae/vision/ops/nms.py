"""Non-maximum suppression: of boxes that overlap much, keep the one with the highest score.

How many boxes remain depends on the values, so this is no part of a compiled step; it runs on
NumPy, between compiled modules.
"""

from typing import Any

import numpy as np

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor, from_numpy

from .boxes import check_boxes

_BLOCK = 64  # boxes whose overlaps with all that follow are computed at once
_FEW = 1 / 16  # of n² pairs: so many are compared one by one in less time than all in blocks


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The places of the boxes that remain, by descending score.

    From the highest score down, a box is kept unless its IoU with one kept before is above the
    threshold.

    Args:
        boxes: (n, 4) as corners.
        scores: (n,).
        iou_threshold: a greater overlap than this suppresses.

    Returns: (k,) int64.

    Raises:
        ShapeError: boxes are not (n, 4), or there is not one score a box.

    >>> import narae
    >>> boxes = narae.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [20.0, 20, 30, 30]])
    >>> nms(boxes, narae.tensor([0.8, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    _check(boxes, scores, "nms")
    return from_numpy(_keep(_values(boxes), _values(scores), iou_threshold))


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class: boxes of different classes do not suppress each other.

    Args:
        boxes: (n, 4) as corners.
        scores: (n,).
        idxs: (n,), the class of each box (or the pyramid level, or the image).
        iou_threshold: a greater overlap than this suppresses.

    Returns: (k,) int64, by descending score over all classes.

    >>> import narae
    >>> boxes = narae.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9]])
    >>> batched_nms(boxes, narae.tensor([0.8, 0.9]), narae.tensor([1, 2]), 0.5)
    tensor([1, 0])
    """
    _check(boxes, scores, "batched_nms")
    if tuple(idxs.shape) != tuple(scores.shape):
        given = f"idxs are {tuple(idxs.shape)}, scores are {tuple(scores.shape)}"
        raise ShapeError(explain("batched_nms", given, "there is one class for each box"))
    corners, values, classes = _values(boxes), _values(scores), _values(idxs)
    kept: list[Any] = [np.zeros(0, np.int64)]
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        kept.append(members[_keep(corners[members], values[members], iou_threshold)])
    places = np.sort(np.concatenate(kept))
    return from_numpy(places[_descending(values[places])])


def _check(boxes: Tensor, scores: Tensor, where_from: str) -> None:
    check_boxes(boxes, where_from)
    if boxes.ndim != 2 or tuple(scores.shape) != (boxes.shape[0],):
        given = f"boxes are {tuple(boxes.shape)}, scores are {tuple(scores.shape)}"
        rule = "boxes are (n, 4) and scores (n,)"
        raise ShapeError(explain(where_from, given, rule))


def _values(x: Tensor) -> Any:
    """As NumPy array; 16-bit numbers as float32."""
    x = x.detach()
    small = x.dtype.is_floating_point and x.dtype.itemsize < 4
    return (x.float() if small else x).numpy()


def _descending(scores: Any) -> Any:
    """The order from the highest score; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def _keep(boxes: Any, scores: Any, threshold: float) -> Any:
    """Places kept, by descending score: (n, 4), (n,) -> (k,)."""
    order = _descending(scores)
    columns = np.ascontiguousarray(boxes[order].T)  # (4, n)
    limit = _just_below(threshold, columns.dtype)
    pairs = _pairs_beside(columns) if threshold >= 0 else None
    stay = _stay_in_blocks(columns, limit) if pairs is None else _stay(columns, limit, *pairs)
    return order[stay]


def _pairs_beside(columns: Any) -> tuple[Any, Any] | None:
    """All pairs of boxes (4, n) that meet; None if too many do along x."""
    by_left = np.argsort(columns[0], kind="stable")
    x1, x2 = columns[0, by_left], columns[2, by_left]
    places = np.arange(len(x1))
    counts = np.maximum(np.searchsorted(x1, x2) - places - 1, 0)  # later ones that begin inside
    if counts.sum() > _FEW * len(x1) ** 2:
        return None
    first = np.repeat(places, counts)
    begins = np.cumsum(counts) - counts
    second = np.arange(len(first)) - begins[first] + first + 1
    y1, y2 = columns[1, by_left], columns[3, by_left]
    meet = (y1[first] < y2[second]) & (y1[second] < y2[first])
    return by_left[first[meet]], by_left[second[meet]]


def _stay(columns: Any, limit: Any, first: Any, second: Any) -> Any:
    """Which boxes (4, n), by descending score, stay, if at most the given pairs overlap."""
    hidden = _overlaps(columns[:, first], columns[:, second]) > limit
    first, second = first[hidden], second[hidden]
    better, worse = np.minimum(first, second), np.maximum(first, second)
    in_order = np.argsort(better, kind="stable")
    stay = [True] * columns.shape[1]
    for one, other in zip(better[in_order].tolist(), worse[in_order].tolist(), strict=True):
        if stay[one]:
            stay[other] = False
    return np.flatnonzero(stay)


def _stay_in_blocks(columns: Any, limit: Any) -> Any:
    """The same where any two may overlap.

    Overlaps are computed for a block of boxes against all later ones still standing, so that each
    box costs one row of booleans in place of a dozen calls.
    """
    places, stay = np.arange(columns.shape[1]), []
    while len(places):
        block = min(_BLOCK, len(places))
        hidden = _overlaps(columns[:, :block, None], columns[:, None]) > limit  # (block, n)
        gone = np.zeros(len(places), bool)
        for i in range(block):
            if not gone[i]:
                stay.append(places[i])
                gone[i + 1 :] |= hidden[i, i + 1 :]
        left = np.flatnonzero(~gone[block:]) + block
        places, columns = places[left], columns[:, left]
    return np.array(stay, np.int64)


def _just_below(threshold: float, dtype: Any) -> Any:
    """The largest number of a dtype that is not above the threshold.

    0.3 is rounded up in float32: an IoU of exactly that value is above 0.3 and must suppress.
    """
    if dtype.kind != "f":
        return threshold
    rounded = dtype.type(threshold)
    return rounded if float(rounded) <= threshold else np.nextafter(rounded, dtype.type(-1))


def _overlaps(boxes1: Any, boxes2: Any) -> Any:
    """IoU of boxes (4, …) and (4, …); nan, which suppresses nothing, without area."""
    x1, y1, x2, y2 = boxes1
    widths = np.minimum(x2, boxes2[2])
    widths -= np.maximum(x1, boxes2[0])
    heights = np.minimum(y2, boxes2[3])
    heights -= np.maximum(y1, boxes2[1])
    np.maximum(widths, 0, out=widths)
    np.maximum(heights, 0, out=heights)
    intersection = np.multiply(widths, heights, out=widths)
    union = (x2 - x1) * (y2 - y1) + (boxes2[2] - boxes2[0]) * (boxes2[3] - boxes2[1])
    union -= intersection
    with np.errstate(invalid="ignore", divide="ignore"):
        return intersection / union
