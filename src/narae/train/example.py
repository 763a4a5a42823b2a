"""What a recipe shows of a model's work in the report of a run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from narae.tensors import no_grad


@dataclass(frozen=True)
class Example:
    """A picture, a text, or both: what a recipe's `examples(model, batch)` returns a list of.

    Attributes:
        title: a few words.
        picture: numbers to draw, (height, width), or with 1 or 3 channels before; boxes and masks
            are drawn into it by the recipe. None: no picture.
        text: lines to show as they are, such as a sentence and its translation.
    """

    title: str
    picture: Any = None
    text: str = ""


def examples_of(
    show: Callable[[Any, Any], Iterable[Any]] | None, model: Any, batches: Iterable[Any], most: int
) -> list[Example]:
    """What a recipe shows of a model's work on the first batch; nothing if it shows none.

    Args:
        show: the recipe's `examples`.
        model: in evaluation mode for the time of it.
        batches: of the test data.
        most: how many examples are taken.
    """
    if show is None:
        return []
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            found = list(show(model, tuple(next(iter(batches)))))
    finally:
        model.train(was_training)
    return [each for each in found if isinstance(each, Example)][:most]
