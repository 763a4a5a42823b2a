"""How good predictions are: what is counted here, and what scikit-learn computes.

A recipe's `evaluate(model, batches)` uses them for numbers that are no means over batches:

    def evaluate(model, batches):
        outputs, targets = collect(model, batches)
        return {"f1": macro_f1(targets, outputs.argmax(axis=1)), "auc": roc_auc(targets, outputs)}
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, DataError, DTypeError, ShapeError, explain, require
from narae.tensors import no_grad

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


def macro_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """The mean of the F1 of all classes that occur: each class counts the same.

    Args:
        targets: true classes, (items,), integers.
        predictions: predicted classes, (items,), likewise.

    Raises:
        DTypeError, ShapeError, DataError: as `accuracy`.
        MissingExtraError: if scikit-learn is not installed.

    Example:
        >>> round(macro_f1([0, 0, 1, 1], [0, 0, 0, 1]), 4)
        0.7333
    """
    true, predicted = _class_vectors("macro_f1", targets, predictions)
    _check_some("macro_f1", true)
    return float(_sklearn().f1_score(true, predicted, average="macro", zero_division=0.0))


def roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """How often an item of a class has a higher score than one that is not of it.

    With more than two classes: the mean over each class against the others.

    Args:
        targets: true classes, (items,), integers from 0; of two classes, 1 is the positive one.
        scores: (items, classes), such as a model's outputs, or (items,) for the positive class.

    Raises:
        DataError: if there is no item, or only one class.
        ShapeError: if the sizes do not fit.
        MissingExtraError: if scikit-learn is not installed.

    Example:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    true, shares = _scored("roc_auc", targets, scores)
    columns = _one_against_others("roc_auc", true, shares)
    return float(np.mean([_sklearn().roc_auc_score(*each) for each in columns]))


def average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """The area under precision by recall; with more than two classes, the mean over them.

    Args:
        targets, scores: as for `roc_auc`.

    Raises:
        DataError, ShapeError, MissingExtraError: as `roc_auc`.

    Example:
        >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333
    """
    true, shares = _scored("average_precision", targets, scores)
    columns = _one_against_others("average_precision", true, shares)
    return float(np.mean([_sklearn().average_precision_score(*each) for each in columns]))


def top_k_accuracy(targets: npt.ArrayLike, scores: npt.ArrayLike, k: int = 5) -> float:
    """The share of items whose true class is among the k highest scores.

    Args:
        targets: true classes, (items,), integers from 0.
        scores: (items, classes).
        k: how many count.

    Raises:
        BoundsError, DataError, ShapeError: if targets and scores do not fit.

    Example:
        >>> top_k_accuracy([0, 1], [[0.1, 0.3, 0.6], [0.2, 0.5, 0.3]], k=2)
        0.5
    """
    true, shares = _scored("top_k_accuracy", targets, scores)
    if shares.ndim != 2:
        given, rule = f"scores are {shares.shape}", "they are (items, classes)"
        raise ShapeError(explain("top_k_accuracy", given, rule))
    own = np.take_along_axis(shares, true[:, None], axis=1)  # (items, 1)
    before = np.arange(shares.shape[1]) < true[:, None]  # (items, classes)
    ahead = (shares > own) | ((shares == own) & before)  # of equal ones the first, as in argmax
    return float(np.mean(ahead.sum(axis=1) < k))


def calibration_error(
    targets: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 15
) -> float:
    """The expected calibration error: sum over bins of (items / all) |accuracy - confidence|.

    An item's confidence is its highest probability; bins divide (0, 1] evenly.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv:1706.04599),
    equation 3.

    Args:
        targets: true classes, (items,), integers from 0.
        probabilities: (items, classes), each row summing to 1.
        bins: how many.

    Raises:
        BoundsError, DataError, ShapeError: if targets and probabilities do not fit.

    Example:
        >>> round(calibration_error([0, 1], [[0.9, 0.1], [0.8, 0.2]]), 4)
        0.45
    """
    true, shares = _scored("calibration_error", targets, probabilities)
    if shares.ndim != 2 or bins < 1 or np.any(shares < 0) or np.any(shares > 1 + 1e-6):
        given = f"probabilities are {shares.shape}, bins is {bins}"
        rule = "they are (items, classes) in [0, 1], and there is at least one bin"
        raise ShapeError(explain("calibration_error", given, rule, "apply softmax first"))
    right, sure = shares.argmax(axis=1) == true, shares.max(axis=1)
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(true))


def softmax(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities of classes: exp(x) / sum over classes of exp(x), by rows.

    Args:
        scores: (items, classes).

    Example:
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
        array([[0.5, 0.5],
               [1. , 0. ]])
    """
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def collect(model: Any, batches: Iterable[Any]) -> tuple[Floats, npt.NDArray[Any]]:
    """A model's outputs and the targets of all batches, whose last entry is the target.

    Args:
        model: called with all other entries of a batch.
        batches: such as a `DataLoader`.

    Returns:
        Outputs and targets as NumPy has them, (items, ...) both.

    Raises:
        DataError: if there is no batch.
    """
    with no_grad():
        pairs = [(np.asarray(model(*batch[:-1])), np.asarray(batch[-1])) for batch in batches]
    if not pairs:
        raise DataError(explain("collect", "there is no batch", "numbers need some"))
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


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


def _sklearn() -> Any:
    return require("sklearn.metrics", "sklearn", "this number")


def _check_some(what: str, items: npt.NDArray[Any]) -> None:
    if not len(items):
        raise DataError(explain(what, "there are no items", "a number needs at least one"))


def _scored(what: str, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Counts, Floats]:
    """Classes, and scores that fit them."""
    shares = np.asarray(scores, np.float64)
    if shares.ndim not in (1, 2) or np.shape(targets) != shares.shape[:1]:
        given = f"targets are {np.shape(targets)}, scores are {shares.shape}"
        raise ShapeError(explain(what, given, "they are (items,) and (items, classes)"))
    true, _ = _class_vectors(what, targets, targets)
    _check_some(what, true)
    _check_range(what, "targets", true, 2 if shares.ndim == 1 else shares.shape[1])
    if not np.isfinite(shares).all():
        raise DataError(explain(what, "a score is NaN or infinite", "scores are numbers"))
    return true, shares


def _one_against_others(what: str, true: Counts, shares: Floats) -> list[tuple[Any, Floats]]:
    """For each class that occurs, who is of it, and the scores for it; two classes are one pair."""
    there = np.unique(true)
    if len(there) < 2:
        given, rule = f"all items are of class {there[0]}", "it compares items of different classes"
        raise DataError(explain(what, given, rule))
    if shares.ndim == 1:
        return [(true == 1, shares)]
    if shares.shape[1] == 2:
        return [(true == 1, shares[:, 1] - shares[:, 0])]
    return [(true == label, shares[:, label]) for label in there]
