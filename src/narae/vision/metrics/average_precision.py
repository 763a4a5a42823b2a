"""From detections in order of their scores to precision, recall and average precision."""

from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, explain

Floats = npt.NDArray[np.float64]

COCO_POINTS = 101  # recalls 0, 0.01, … 1


def precision_and_recall(right: Any, objects: int) -> tuple[Floats, Floats]:
    """Precision and recall after each detection.

    Args:
        right: (n,), whether each detection found an object, by descending score.
        objects: how many there are to find.

    Returns: (n,) each; right ones so far over detections so far, and over objects.

    >>> precision, recall = precision_and_recall([True, False, True], objects=4)
    >>> precision.round(2).tolist(), recall.tolist()
    ([1.0, 0.5, 0.67], [0.25, 0.25, 0.5])
    """
    found = np.cumsum(np.asarray(right, np.float64))
    return found / np.arange(1, len(found) + 1), found / objects


def best_precision(precision: Floats) -> Floats:
    """The largest precision at this recall or a larger one: a curve that only falls."""
    return np.maximum.accumulate(precision[::-1])[::-1]


def precision_at(recalls: Floats, precision: Floats, recall: Floats) -> Floats:
    """The best precision that still reaches each recall; 0 where none does.

    Args:
        recalls: (points,), the recalls asked for.
        precision: (n,), after each detection.
        recall: (n,), likewise.
    """
    place = np.searchsorted(recall, recalls, side="left")
    reached = place < len(recall)
    result = np.zeros(len(recalls))
    result[reached] = best_precision(precision)[place[reached]]
    return result


def average_precision(precision: Any, recall: Any, points: int | None = None) -> float:
    """The mean of the best precision over all recalls.

    PASCAL VOC up to 2009 took 11 recalls, 0, 0.1, … 1; since 2010 the whole area under the curve;
    COCO takes 101. Everingham et al. 2010, "The PASCAL VOC Challenge", section 4.2.

    Args:
        precision: (n,), after each detection.
        recall: (n,), likewise.
        points: how many recalls, evenly spaced from 0 to 1; None for the area.

    Raises:
        ConfigError: fewer than two points.

    >>> precision, recall = precision_and_recall([True, False, True], objects=4)
    >>> round(average_precision(precision, recall), 4)
    0.4167
    >>> round(average_precision(precision, recall, points=11), 4)
    0.4545
    """
    precision, recall = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    if points is None:
        steps = np.diff(recall, prepend=0.0)
        return float((steps * best_precision(precision)).sum())
    if points < 2:
        given = f"points is {points}"
        raise ConfigError(explain("average_precision", given, "there are at least two recalls"))
    # Quotients, as recalls are: 3 / 10 equals the recall of 3 objects in 10, 3 * 0.1 does not.
    recalls = np.arange(points) / (points - 1)
    return float(precision_at(recalls, precision, recall).mean())
