"""Pictures in files, and how one becomes the input of a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import FileFormatError, MissingDataError, explain, require
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

_BRIGHT = 0.5


def open_picture(path: Path) -> Any:
    """Open a picture file with Pillow, upright.

    Raises:
        FileFormatError: if the file is no picture.
        MissingDataError: if there is no such file.
    """
    images: Any = require("PIL.Image", "data", "reading pictures")
    turn: Any = require("PIL.ImageOps", "data", "reading pictures")
    if not path.is_file():
        given, rule = f"there is no file {path}", "a picture was expected there"
        raise MissingDataError(explain("predict", given, rule, "check the path"))
    try:
        with images.open(path) as file:
            return turn.exif_transpose(file).copy()
    except (OSError, ValueError, SyntaxError, images.DecompressionBombError) as error:
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
    plain = on_white(image).convert("L" if channels == 1 else "RGB")
    if channels == 1 and _border_brightness(plain) > _BRIGHT:
        plain = ops.invert(plain)
    fitted = ops.pad(plain, (width, height)) if channels == 1 else ops.fit(plain, (width, height))
    pixels = np.asarray(fitted, np.float32) / 255  # (height, width) or (height, width, 3)
    planes = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return from_numpy(np.ascontiguousarray(planes))


def on_white(image: Any) -> Any:
    """A Pillow image on white paper, where it is transparent."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    images: Any = require("PIL.Image", "data", "reading pictures")
    paper = images.new("RGBA", image.size, "white")
    return images.alpha_composite(paper, image.convert("RGBA"))


def _border_brightness(image: Any) -> float:
    pixels = np.asarray(image, np.float64) / 255
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return float(np.median(np.concatenate(border)))
