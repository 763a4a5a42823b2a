"""What a model says of each sample, and what it got most wrong, in one pass over the data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narae.tensors import Tensor, no_grad

from .data import first_tensor
from .figures import Examples, is_picture
from .metrics import softmax

if TYPE_CHECKING:
    from .trainer import Trainer

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Mistake:
    """A sample that a model was wrong about.

    Attributes:
        place: its number among the samples, from 0.
        target, said: what was right, and what the model said: classes, or numbers.
        weight: how much it counts: the probability of the wrong class, or the size of the error.
        input: the sample's part of the batch's first tensor; None where that has other rows.
    """

    place: int
    target: int | float
    said: int | float
    weight: float
    input: Array | None


@dataclass(frozen=True)
class Answers:
    """What a model says of some samples: of each one class, or one number.

    Attributes:
        targets, said: what was right, and what the model said, (items,) both.
        worst: what it got most wrong, the worst first: wrong classes that it was surest of, or
            numbers that are furthest off.
    """

    targets: Array
    said: Array
    worst: list[Mistake]

    def examples(self) -> Examples | None:
        """The worst ones for a figure; None where they are no pictures of one size."""
        images = [each.input for each in self.worst if is_picture(each.input)]
        shapes = {np.shape(image) for image in images}
        if len(images) < len(self.worst) or len(shapes) != 1:
            return None
        columns = zip(*((x.target, x.said, x.weight) for x in self.worst), strict=True)
        return Examples(np.stack(images), *map(np.array, columns))


def answers_of(trainer: "Trainer", batches: Iterable[Any], worst: int = 24) -> Answers | None:
    """Ask the model that is judged about all samples of some batches, each once.

    Answers are classes where the data has classes, otherwise numbers. Of the inputs only those of
    the worst answers are kept, so that the data may be larger than memory, and in another order
    or drawn anew in each pass.

    Args:
        trainer: with the model, and how it sees a batch.
        batches: such as its test data.
        worst: how many of the worst answers to keep.

    Returns:
        None for a model that does not give each sample one of the data's classes, or one number.
    """
    classes = len(trainer.data.classes)
    trainer.judged.eval()
    targets: list[Array] = []
    said: list[Array] = []
    mistakes: list[Mistake] = []
    count = 0
    with no_grad():
        for batch in batches:
            out, target = trainer.forward(trainer.judged, tuple(batch))
            if not _is_one_answer(out, target, classes):
                return None
            asked, answered, weights = _weighed(np.asarray(out), np.asarray(target), classes)
            mistakes += _mistakes(batch, count, asked, answered, weights, worst)
            mistakes = sorted(mistakes, key=lambda each: -each.weight)[:worst]
            count += len(asked)
            targets.append(asked)
            said.append(answered)
    return Answers(np.concatenate(targets), np.concatenate(said), mistakes)


def _is_one_answer(out: Any, target: Any, classes: int) -> bool:
    """Whether each sample has one class with scores for all, or one number with another."""
    if not (isinstance(out, Tensor) and isinstance(target, Tensor) and target.ndim):
        return False
    if classes:
        labels = target.ndim == 1 and not target.dtype.is_floating_point
        return labels and tuple(out.shape) == (*target.shape, classes)
    return out.numel() == target.numel() == len(target)


def _weighed(out: Array, target: Array, classes: int) -> tuple[Array, Array, Array]:
    """Targets, answers and how wrong each is, (items,); what is right weighs -1."""
    if classes:
        shares = softmax(out.astype(np.float64))  # (items, classes)
        said = shares.argmax(axis=1)
        sure = np.nan_to_num(shares.max(axis=1))
        return target, said, np.where(said == target, -1.0, sure)
    target, said = (x.ravel().astype(np.float64) for x in (target, out))
    errors = np.abs(said - target)
    return target, said, np.where(np.isfinite(errors), errors, np.inf)


def _mistakes(
    batch: Any, first: int, targets: Array, said: Array, weights: Array, worst: int
) -> Iterator[Mistake]:
    """The worst answers of one batch.

    Args:
        batch: as it came.
        first: how many samples were before it.
        targets, said, weights: (items,), as `_weighed` gives them.
        worst: how many there are at most.
    """
    inputs = first_tensor(batch)
    rows = np.asarray(inputs) if inputs is not None and inputs.ndim else np.empty(0)
    for i in np.argsort(-weights, kind="stable")[:worst]:
        if weights[i] < 0:
            return
        # A copy: a view would keep the whole batch.
        sample = np.array(rows[i]) if len(rows) == len(targets) else None
        yield Mistake(first + int(i), targets[i].item(), said[i].item(), float(weights[i]), sample)
