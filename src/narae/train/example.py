"""What a recipe shows of a model's work in the report of a run."""

from dataclasses import dataclass
from typing import Any


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
