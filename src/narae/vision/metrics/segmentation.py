"""How well pixels are classified: counts of true against predicted classes, and what follows.

    IoU_c  = n_cc / (t_c + p_c - n_cc)        t_c, p_c: pixels that are, and that are called, c
    Dice_c = 2 n_cc / (t_c + p_c)

Source: Long et al., Fully convolutional networks for semantic segmentation (2015), section 5.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, DTypeError, ShapeError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.compilation import compile as compile_function

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class SegmentationScores:
    """Counts that grow batch by batch; scores can be asked for at any time.

    A class that neither occurs nor is predicted has no score (NaN), and does not count in means.

    Args:
        num_classes: how many there are.
        ignore_index: pixels with this true class do not count.

    Attributes:
        confusion: how many pixels of true class i were called class j, (classes, classes).

    Raises:
        ConfigError: for less than one class.

    >>> scores = SegmentationScores(2, ignore_index=255)
    >>> scores.update(np.array([[0, 1, 1]]), np.array([[0, 0, 1]]))
    >>> scores.iou.tolist()
    [0.5, 0.5]
    >>> {name: round(value, 3) for name, value in scores.result().items()}
    {'mean_iou': 0.5, 'pixel_accuracy': 0.667, 'class_accuracy': 0.75, 'mean_dice': 0.667}
    """

    def __init__(self, num_classes: int, ignore_index: int | None = None) -> None:
        if num_classes < 1:
            given = f"num_classes is {num_classes}"
            raise ConfigError(explain("SegmentationScores", given, "there is at least one class"))
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.confusion: Counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, predictions: Any, targets: Any) -> None:
        """Add a batch.

        Args:
            predictions: classes, shaped as the targets; or scores with one dimension more, the
                classes after the first: (batch, classes, height, width).
            targets: true classes, integers: (batch, height, width), or of any shape.

        Raises:
            BoundsError: for a class that there is not; nothing is added.
            DTypeError, ShapeError: if they do not fit.
        """
        true, said = _array(targets), _array(predictions)
        if said.ndim == true.ndim + 1:
            self._check_scores(said)
            said = said.argmax(axis=1)
        if said.shape != true.shape:
            given = f"predictions are {np.shape(predictions)}, targets are {true.shape}"
            rule = "they are classes of one shape, or scores (batch, classes, height, width)"
            raise ShapeError(explain("SegmentationScores", given, rule))
        counted = (
            np.ones(true.shape, bool) if self.ignore_index is None else true != self.ignore_index
        )
        self._check_classes("targets", true, counted)
        self._check_classes("predictions", said, counted)
        pairs = true[counted].astype(np.int64) * self.num_classes + said[counted]
        counts = np.bincount(pairs, minlength=self.num_classes**2)
        self.confusion += counts.reshape(self.confusion.shape)

    def _check_scores(self, scores: Any) -> None:
        if scores.shape[1] != self.num_classes:
            given = f"predictions are {scores.shape}"
            rule = f"the second dimension has num_classes={self.num_classes} scores"
            raise ShapeError(explain("SegmentationScores", given, rule))

    def _check_classes(self, name: str, classes: Any, counted: Any) -> None:
        if classes.dtype.kind not in "iub":
            given, rule = f"{name} are {classes.dtype}", "classes are whole numbers"
            raise DTypeError(explain("SegmentationScores", given, rule))
        wrong = counted & ((classes < 0) | (classes >= self.num_classes))
        if wrong.any():
            given = f"{name} hold the class {classes[wrong][0]}"
            rule = f"classes are 0 to {self.num_classes - 1}"
            fix = "name the class of unlabelled pixels by ignore_index"
            raise BoundsError(explain("SegmentationScores", given, rule, fix))

    # --- what follows from the counts ---------------------------------------------------------

    @property
    def support(self) -> Counts:
        """Pixels of each class, (classes,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def iou(self) -> Floats:
        """Intersection over union of each class, (classes,): the index of Jaccard."""
        hits = self.confusion.diagonal()
        return _share(hits, self.support + self.confusion.sum(axis=0) - hits)

    @property
    def dice(self) -> Floats:
        """The coefficient of Dice of each class, (classes,): its F1."""
        return _share(2 * self.confusion.diagonal(), self.support + self.confusion.sum(axis=0))

    @property
    def class_accuracy(self) -> Floats:
        """The share of each class's pixels that were found, (classes,): its recall."""
        return _share(self.confusion.diagonal(), self.support)

    @property
    def pixel_accuracy(self) -> float:
        """The share of all pixels that got their class."""
        return float(_share(self.confusion.diagonal().sum(), self.confusion.sum()))

    @property
    def mean_iou(self) -> float:
        """The mean of the classes' IoU: mIoU."""
        return _mean(self.iou)

    def result(self) -> dict[str, float]:
        """The four numbers that stand for all."""
        return {
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "class_accuracy": _mean(self.class_accuracy),
            "mean_dice": _mean(self.dice),
        }

    def table(self, classes: Sequence[str] = ()) -> str:
        """A line a class: IoU, Dice, accuracy, and its share of all pixels.

        Raises:
            ConfigError: if not every class has a name.
        """
        names = list(classes) or [str(number) for number in range(self.num_classes)]
        if len(names) != self.num_classes:
            given = f"there are {len(names)} names and {self.num_classes} classes"
            raise ConfigError(explain("SegmentationScores", given, "each class has a name"))
        width = max(map(len, ["class", "mean", *names]))
        pixels = self.support / max(self.support.sum(), 1)
        rows = zip(names, self.iou, self.dice, self.class_accuracy, pixels, strict=True)
        means = ("mean", self.mean_iou, _mean(self.dice), _mean(self.class_accuracy))
        lines = [f"{'class':<{width}}    IoU   Dice  found  pixels"]
        lines += [f"{n:<{width}}  {i:5.3f}  {d:5.3f}  {a:5.3f}  {s:6.1%}" for n, i, d, a, s in rows]
        return "\n".join(
            [*lines, "{:<{}}  {:5.3f}  {:5.3f}  {:5.3f}".format(means[0], width, *means[1:])]
        )


def segmentation_scores(
    model: Callable[[Any], Any],
    batches: Iterable[Any],
    num_classes: int,
    ignore_index: int | None = None,
) -> SegmentationScores:
    """The scores of a model on all batches (images, masks); for a recipe's `evaluate`.

    Args:
        model: images (batch, channels, height, width) to scores (batch, classes, height, width), or
            to a dict that has them as "out", as FCN-ResNet does.
        batches: such as a `DataLoader`.
        num_classes, ignore_index: as `SegmentationScores` takes them.
    """
    scores = SegmentationScores(num_classes, ignore_index)
    answer = compile_function(lambda images: pixel_scores(model(images)).argmax(dim=1))
    with no_grad():
        for images, masks in batches:
            scores.update(answer(images), masks)
    return scores


def pixel_scores(out: Any) -> Tensor:
    """What a model gives, or "out" in it if it gives a dict: (batch, classes, height, width).

    >>> import narae
    >>> pixel_scores({"out": narae.ones(1, 2, 1, 1), "aux": narae.zeros(1, 2, 1, 1)}).shape
    narae.Size([1, 2, 1, 1])
    """
    scores: Tensor = out["out"] if isinstance(out, Mapping) else out
    return scores


def _array(x: Any) -> Any:
    return np.asarray(x.detach() if isinstance(x, Tensor) else x)


def _share(part: Any, whole: Any) -> Any:
    """part / whole, NaN where there is nothing."""
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: Floats) -> float:
    """The mean of those that are numbers; NaN if there is none."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
