"""How good predictions are: accuracy, confusion, precision and recall, running averages."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, DataError, DTypeError, ShapeError, explain, require

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def accuracy(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """The share of predictions that are right: sum(target == prediction) / items.

    Args:
        targets: true classes, (items,), integers.
        predictions: predicted classes, (items,), integers.

    Raises:
        DTypeError: if a class is not an integer.
        DataError: if there is no item.
        ShapeError: if the two are not vectors of one length.

    Example:
        >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1])
        0.75
    """
    true, predicted = _class_vectors("accuracy", targets, predictions)
    if not len(true):
        raise DataError(explain("accuracy", "there are no items", "a share needs at least one"))
    return float(np.mean(true == predicted))


def confusion_matrix(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, num_classes: int
) -> Counts:
    """Count each pair of classes: out[t, p] items of true class t were predicted as p.

    Args:
        targets: true classes, (items,), integers in 0 to num_classes - 1.
        predictions: predicted classes, (items,), likewise.
        num_classes: how many classes there are.

    Returns:
        (num_classes, num_classes), int64; rows are true classes.

    Raises:
        BoundsError: if a class lies outside its range.
        DTypeError: if a class is not an integer.
        ShapeError: if the two are not vectors of one length.

    Example:
        >>> confusion_matrix([0, 1, 1], [0, 1, 0], num_classes=2)
        array([[1, 0],
               [1, 1]])
    """
    true, predicted = _class_vectors("confusion_matrix", targets, predictions)
    _check_range("confusion_matrix", "targets", true, num_classes)
    _check_range("confusion_matrix", "predictions", predicted, num_classes)
    pairs = true * num_classes + predicted  # (items,)
    counts = np.bincount(pairs, minlength=num_classes**2).astype(np.int64)
    return counts.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, (classes,); a score without any item to judge by is 0.

    Attributes:
        precision: of the items predicted as this class, the share that are.
        recall: of the items of this class, the share that were found.
        f1: harmonic mean, 2 precision recall / (precision + recall).
        support: how many items the class has.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Counts


def class_scores(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, num_classes: int
) -> ClassScores:
    """Precision, recall and F1 of each class, computed by scikit-learn.

    Args:
        targets: true classes, (items,), integers in 0 to num_classes - 1.
        predictions: predicted classes, (items,), likewise.
        num_classes: how many classes there are.

    Raises:
        BoundsError, DTypeError, ShapeError: as `confusion_matrix`.
        DataError: if there is no item.
        MissingExtraError: if scikit-learn is not installed.

    Example:
        >>> class_scores([0, 1, 1], [0, 1, 0], num_classes=2).recall.tolist()
        [1.0, 0.5]
    """
    true, predicted = _class_vectors("class_scores", targets, predictions)
    _check_range("class_scores", "targets", true, num_classes)
    _check_range("class_scores", "predictions", predicted, num_classes)
    if not len(true):
        raise DataError(explain("class_scores", "there are no items", "scores need at least one"))
    metrics: Any = require("sklearn.metrics", "sklearn", "precision and recall")
    scores = metrics.precision_recall_fscore_support(
        true, predicted, labels=np.arange(num_classes), zero_division=0.0
    )
    return ClassScores(*scores)


class Average:
    """A running average in which every batch counts by its size: sum(value n) / sum(n).

    Example:
        >>> loss = Average()
        >>> loss.update(1.0, count=30)
        >>> loss.update(4.0, count=10)
        >>> loss.value
        1.75
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as at the start of an epoch."""
        self.total = 0.0
        self.count = 0

    def update(self, value: float, count: int = 1) -> None:
        """Add a batch whose mean is `value` over `count` items."""
        if count < 0:
            given = f"count is {count}"
            raise DataError(explain("Average.update", given, "a batch has zero or more items"))
        if count:  # an empty batch has no mean: its NaN must not spoil the others
            self.total += float(value) * count
            self.count += count

    @property
    def value(self) -> float:
        """The average so far; NaN before the first item."""
        return self.total / self.count if self.count else float("nan")

    def __repr__(self) -> str:
        return f"Average({self.value:.6g} over {self.count})"


def _class_vectors(
    what: str, targets: npt.ArrayLike, predictions: npt.ArrayLike
) -> tuple[Counts, Counts]:
    true, predicted = np.asarray(targets), np.asarray(predictions)
    if true.ndim != 1 or true.shape != predicted.shape:
        given = f"targets are {true.shape}, predictions are {predicted.shape}"
        fix = "predictions are class numbers: take argmax over the class dimension first"
        raise ShapeError(explain(what, given, "both must be vectors of one length", fix))
    for name, array in (("targets", true), ("predictions", predicted)):
        if array.size and array.dtype.kind not in "iub":
            given, rule = f"{name} are {array.dtype}", "classes are whole numbers"
            raise DTypeError(explain(what, given, rule, "use an integer dtype such as int64"))
    return true.astype(np.int64), predicted.astype(np.int64)


def _check_range(what: str, name: str, classes: Counts, num_classes: int) -> None:
    wrong = classes[(classes < 0) | (classes >= num_classes)]
    if len(wrong):
        given = f"{name} hold the class {wrong[0]}"
        rule = f"with num_classes={num_classes} classes lie in 0 to {num_classes - 1}"
        raise BoundsError(explain(what, given, rule, "check the labels or raise num_classes"))
