"""Classes of pixels as colours over a picture, with a legend; for people to look at."""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, ShapeError, explain
from narae.io import atomic_write
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat

from .colours import Colour
from .drawing import draw_segmentation_masks
from .metrics.segmentation import pixel_scores
from .picture_files import on_white, open_picture
from .transforms.functional.converting import pil_to_tensor, to_pil_image, to_tensor
from .transforms.functional.images import pillow
from .transforms.functional.shaping import resize

Array = npt.NDArray[Any]

_GOLDEN = 0.618034  # neighbours on the wheel of hues are far apart in the list
_DISTINCT: tuple[Colour, ...] = (
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
    (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212),
    (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200), (128, 0, 0),
    (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128),
)  # fmt: skip
_ROW, _SQUARE, _GAP = 14, 10, 4  # pixels of a legend's line
_LEAST_SHARE = 0.005  # what the text of an answer leaves out


def class_colours(count: int) -> list[Colour]:
    """Colours that are easy to tell apart, one a class.

    Source of the first twenty: S. Trubetskoy, "List of 20 simple, distinct colors", 2017; more are
    hues from all around the wheel.

    >>> class_colours(2)
    [(230, 25, 75), (60, 180, 75)]
    """
    hues = [place * _GOLDEN % 1 for place in range(count - len(_DISTINCT))]
    return [*_DISTINCT[:count], *(_bytes_of(colorsys.hsv_to_rgb(hue, 0.7, 0.8)) for hue in hues)]


def _bytes_of(colour: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def overlay(image: Tensor, labels: Any, colours: Sequence[Colour], alpha: float = 0.6) -> Tensor:
    """A picture with each pixel's class laid over it; pixels of no class stay as they are.

    Args:
        image: (3, height, width), uint8 or floats 0..1.
        labels: (height, width), integers; a number without a colour is no class.
        colours: one a class.
        alpha: how dense they are.

    Returns:
        (3, height, width), the dtype of `image`.

    Raises:
        ShapeError: if the sizes differ.

    >>> import narae
    >>> picture = overlay(narae.zeros(3, 1, 2), np.array([[0, 255]]), [(255, 0, 0)], alpha=1.0)
    >>> picture[0]
    tensor([[1., 0.]])
    """
    numbers = np.asarray(labels)
    if numbers.shape != tuple(image.shape[1:]):
        given = f"labels are {numbers.shape}, the image is {tuple(image.shape)}"
        raise ShapeError(explain("overlay", given, "each pixel has one class"))
    there = [label for label in range(len(colours)) if (numbers == label).any()]
    if not there:
        return image
    masks = from_numpy(np.stack([numbers == label for label in there]))
    drawn = draw_segmentation_masks(image, masks, alpha, [colours[label] for label in there])
    return from_numpy(np.where((numbers < len(colours)) & (numbers >= 0), drawn, image))


def compare_classes(
    images: Tensor, truth: Tensor, said: Tensor, colours: Sequence[Colour]
) -> list[Tensor]:
    """For each picture: itself, its true classes, and below them the predicted ones.

    Args:
        images: (batch, 3, height, width), floats; values outside of 0..1 are cut.
        truth, said: (batch, height, width), classes.
        colours: one a class.

    Returns:
        Pictures (3, 3 height, width).
    """
    made = []
    for image, true, answer in zip(images.detach().clamp(0, 1), truth, said, strict=True):
        shown = [image, overlay(image, true, colours), overlay(image, answer, colours)]
        made.append(cat(shown, dim=1))
    return made


def with_legend(image: Any, labels: Any, classes: Sequence[str], colours: Sequence[Colour]) -> Any:
    """A Pillow image with the names of the classes that occur at its right side.

    Args:
        image: a Pillow image.
        labels: the classes of its pixels.
        classes, colours: one a class.
    """
    there = [label for label in range(len(classes)) if (np.asarray(labels) == label).any()]
    font = pillow("ImageFont").load_default()
    wide = max((int(font.getlength(classes[label])) for label in there), default=0)
    width = image.width + (_SQUARE + 3 * _GAP + wide if there else 0)
    height = max(image.height, _GAP + _ROW * len(there))
    page = pillow().new("RGB", (width, height), "white")
    page.paste(image, (0, 0))
    draw, left = pillow("ImageDraw").Draw(page), image.width + _GAP
    for row, label in enumerate(there):
        top = _GAP + _ROW * row
        draw.rectangle((left, top, left + _SQUARE, top + _SQUARE), fill=colours[label])
        draw.text((left + _SQUARE + _GAP, top - 1), classes[label], fill="black", font=font)
    return page


# ----------------------------------------------------------------------------- answers about a file
@dataclass(frozen=True)
class PixelAnswer:
    """What a model says of a picture's pixels.

    Attributes:
        shares: the share of the pixels that each class has, the largest first.
        drawn: the file with the picture, its classes over it, and a legend.
    """

    shares: dict[str, float]
    drawn: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"shares": self.shares, "drawn": str(self.drawn)}

    def __str__(self) -> str:
        words = [f"{name} {x:.0%}" for name, x in self.shares.items() if x >= _LEAST_SHARE]
        return f"{', '.join(words)}\n  drawn to {self.drawn}"


def answer_pixels(
    model: Callable[[Tensor], Any],
    source: Path,
    size: Sequence[int],
    classes: Sequence[str],
    folder: Path | None = None,
) -> PixelAnswer:
    """Classify the pixels of a picture file, and draw what came out: for a recipe's `predict`.

    Args:
        model: (1, 3, height, width) to scores (1, classes, height, width), or a dict with "out".
        source: the file.
        size: (height, width) of the pictures that the model was trained on; this one is stretched
            to it, and its classes back to its own size.
        classes: their names.
        folder: where the drawing goes, as NAME-classes.png; by default the current folder.

    Raises:
        ConfigError: if the model has another number of classes.
        FileFormatError: if the file is no picture.
        MissingDataError: if there is no such file.
    """
    image = on_white(open_picture(source)).convert("RGB")
    with no_grad():
        small = to_tensor(resize(image, list(size)))  # (3, height, width)
        scores = np.asarray(pixel_scores(model(small[None])))[0]  # (classes, height, width)
    if len(scores) != len(classes):
        given = f"the model has {len(scores)} classes, there are {len(classes)} names"
        raise ConfigError(explain("predict", given, "each class has a name"))
    labels = _as_large(scores.argmax(axis=0), image.size)
    colours = class_colours(len(classes))
    drawn = to_pil_image(overlay(pil_to_tensor(image), labels, colours))
    path = (folder or Path()) / f"{source.stem}-classes.png"
    with atomic_write(path, "wb") as file:
        with_legend(drawn, labels, classes, colours).save(file, format="PNG")
    counts = np.bincount(labels.ravel(), minlength=len(classes)) / labels.size
    order = [place for place in np.argsort(-counts, kind="stable") if counts[place]]
    return PixelAnswer({classes[place]: float(counts[place]) for place in order}, path)


def _as_large(labels: Array, size: tuple[int, int]) -> Array:
    """Classes for each pixel of a picture of (width, height): those of the nearest place."""
    image = pillow().fromarray(labels.astype(np.int32))
    return np.asarray(image.resize(size, pillow().Resampling.NEAREST))
