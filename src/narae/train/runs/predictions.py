"""What a saved model says about files: which class a picture is of, or what its recipe says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, MissingDataError, explain
from narae.tensors import no_grad
from narae.tensors.joining import stack
from narae.vision.picture_files import open_picture, picture_input

from ..metrics import softmax
from .saved import SavedRun

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture.

    Attributes:
        path: the file.
        ranked: (class, probability), the most probable first.
    """

    path: Path
    ranked: list[tuple[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"file": str(self.path), "class": self.ranked[0][0], "ranked": self.ranked}


@dataclass(frozen=True)
class Answer:
    """What a recipe's own function `predict` says about a file.

    Attributes:
        path: the file.
        said: what it gave; its text is shown.
    """

    path: Path
    said: Any

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = self.said.as_dict() if hasattr(self.said, "as_dict") else self.said
        return {"file": str(self.path), "said": said}


def predict_files(run: SavedRun, paths: Sequence[Path]) -> list[Prediction] | list[Answer]:
    """What a model says about files: by the recipe's `predict(model, path)`, or as pictures.

    Raises:
        DataError: if the model does not classify pictures, and its recipe has no such function.
        FileFormatError: if a file is no picture.
        MissingDataError: if there is no such file.
    """
    own = run.recipe.part("predict")
    if own is None:
        return _predict_pictures(run, paths)
    for path in paths:
        if not path.exists():
            given, rule = f"there is no file {path}", "a file was expected there"
            raise MissingDataError(explain("predict", given, rule, "check the path"))
    with no_grad():
        return [Answer(path, own(run.model, path)) for path in paths]


def _predict_pictures(run: SavedRun, paths: Sequence[Path]) -> list[Prediction]:
    """Classify picture files.

    A recipe may say how a picture becomes an input by a function `picture(image)` of a Pillow
    image; without one it is scaled to the size that the model was trained on.

    Raises:
        DataError: if the model does not classify pictures.
        FileFormatError: if a file is no picture.
        MissingDataError: if there is no such file.
    """
    shape = run.input_shape
    if not run.classes or len(shape) != 3:
        given = f"{run.recipe.name} takes inputs of shape {shape}"
        rule = "pictures are (channels, height, width), and their answer is a class"
        raise DataError(explain("predict", given, rule))
    convert = run.recipe.part("picture")
    images = [open_picture(path) for path in paths]
    inputs = [convert(image) if convert else picture_input(image, shape) for image in images]
    with no_grad():
        scores = np.asarray(run.model(stack(inputs)), np.float64)  # (pictures, classes)
    return [
        Prediction(path, _ranked(shares, run.classes))
        for path, shares in zip(paths, softmax(scores), strict=True)
    ]


def _ranked(shares: Array, classes: Sequence[str]) -> list[tuple[str, float]]:
    order = np.argsort(-shares, kind="stable")
    return [(classes[i], float(shares[i])) for i in order]
