"""What a saved model says about pictures in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain, require
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import stack

from .report import softmax
from .saved import SavedRun

Array = npt.NDArray[Any]
_BRIGHT = 0.5


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


def predict_pictures(run: SavedRun, paths: Sequence[Path]) -> list[Prediction]:
    """Classify picture files.

    A recipe may say how a picture becomes an input by a function `picture(image)` of a Pillow
    image; without one it is scaled to the size that the model was trained on.

    Raises:
        DataError: if the model does not classify pictures.
        FileFormatError: if a file is no picture.
        MissingDataError: if there is no such file.
    """
    shape = tuple(run.meta.get("input_shape", ()))
    if not run.classes or len(shape) != 3:
        given = f"{run.recipe.name} takes inputs of shape {shape}"
        rule = "pictures are (channels, height, width), and their answer is a class"
        raise DataError(explain("predict", given, rule))
    convert = getattr(run.recipe.module, "picture", None)
    images = [open_picture(path) for path in paths]
    inputs = [convert(image) if convert else picture_input(image, shape) for image in images]
    with no_grad():
        scores = np.asarray(run.model(stack(inputs)), np.float64)  # (pictures, classes)
    return [
        Prediction(path, _ranked(shares, run.classes))
        for path, shares in zip(paths, softmax(scores), strict=True)
    ]


def open_picture(path: Path) -> Any:
    """Open a picture file with Pillow, upright.

    Raises:
        FileFormatError, MissingDataError: as `predict_pictures`.
    """
    images: Any = require("PIL.Image", "data", "reading pictures")
    turn: Any = require("PIL.ImageOps", "data", "reading pictures")
    if not path.is_file():
        given, rule = f"there is no file {path}", "a picture was expected there"
        raise MissingDataError(explain("predict", given, rule, "check the path"))
    try:
        with images.open(path) as file:
            return turn.exif_transpose(file).copy()
    except (OSError, ValueError, SyntaxError) as error:
        given = f"{path} cannot be read ({error})"
        rule = "a picture is a PNG, JPEG or another file that Pillow reads"
        raise FileFormatError(explain("predict", given, rule)) from error


def picture_input(image: Any, shape: Sequence[int]) -> Tensor:
    """A Pillow image as a model's input: numbers from 0 to 1, (channels, height, width).

    Grey models are trained on bright strokes on black; a picture with a bright border is turned
    into that. What is transparent counts as white paper.
    """
    ops: Any = require("PIL.ImageOps", "data", "reading pictures")
    channels, height, width = shape
    plain = _on_white(image).convert("L" if channels == 1 else "RGB")
    if channels == 1 and _border_brightness(plain) > _BRIGHT:
        plain = ops.invert(plain)
    fitted = ops.pad(plain, (width, height)) if channels == 1 else ops.fit(plain, (width, height))
    pixels = np.asarray(fitted, np.float32) / 255  # (height, width) or (height, width, 3)
    planes = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return from_numpy(np.ascontiguousarray(planes))


def _on_white(image: Any) -> Any:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    images: Any = require("PIL.Image", "data", "reading pictures")
    paper = images.new("RGBA", image.size, "white")
    return images.alpha_composite(paper, image.convert("RGBA"))


def _border_brightness(image: Any) -> float:
    pixels = np.asarray(image, np.float64) / 255
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return float(np.median(np.concatenate(border)))


def _ranked(shares: Array, classes: Sequence[str]) -> list[tuple[str, float]]:
    order = np.argsort(-shares, kind="stable")
    return [(classes[i], float(shares[i])) for i in order]
