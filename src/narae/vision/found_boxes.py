"""Boxes that a detector found, drawn with names and scores; for people to look at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.io import atomic_write
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat

from .drawing import draw_bounding_boxes
from .overlays import class_colours
from .picture_files import on_white, open_picture
from .transforms.functional.converting import pil_to_tensor, to_pil_image, to_tensor
from .transforms.functional.shaping import resize

Boxes = Mapping[str, Any]

_LINE = 200  # pixels of an image for each pixel of a line's width


def draw_boxes(image: Tensor, found: Boxes, classes: Sequence[str], least: float = 0.0) -> Tensor:
    """A picture with boxes, each in the colour of its class, with name and score.

    Args:
        image: (3, height, width), uint8 or floats 0..1.
        found: "boxes" (n, 4), "labels" (n,) from 1 on, and for answers "scores" (n,).
        classes: names; the label of the first is 1.
        least: boxes with a lower score are left out.

    Raises:
        ConfigError: for a label without a name.

    >>> import narae
    >>> found = {"boxes": narae.tensor([[2.0, 2.0, 28.0, 20.0]]), "labels": narae.tensor([1])}
    >>> draw_boxes(narae.zeros(3, 32, 32), found, ["cell"]).shape
    narae.Size([3, 32, 32])
    """
    labels = np.asarray(found["labels"]).astype(int)
    scores = np.asarray(found["scores"]) if "scores" in found else None
    stay = np.flatnonzero(scores >= least) if scores is not None else np.arange(len(labels))
    _check_labels(labels[stay], classes)
    if not len(stay):
        return image
    colours = class_colours(len(classes))
    names = [classes[labels[k] - 1] + _score(scores, k) for k in stay]
    boxes = from_numpy(np.asarray(found["boxes"], np.float32)[stay])
    boxes_in = [colours[labels[k] - 1] for k in stay]
    return draw_bounding_boxes(
        image,
        boxes,
        labels=names,
        colors=boxes_in,
        width=max(1, round(max(image.shape[1:]) / _LINE)),
        label_colors="white",
        label_background_colors=boxes_in,
        fill_labels=True,
    )


def _score(scores: Any, place: Any) -> str:
    return "" if scores is None else f" {scores[place]:.0%}"


def _check_labels(labels: Any, classes: Sequence[str]) -> None:
    if len(labels) and not 1 <= labels.min() <= labels.max() <= len(classes):
        given = f"a box has the label {labels.max()}, there are {len(classes)} names"
        raise ConfigError(explain("draw_boxes", given, "labels are 1 to the number of classes"))


def compare_boxes(
    images: Tensor,
    truth: Sequence[Boxes],
    said: Sequence[Boxes],
    classes: Sequence[str],
    least: float = 0.3,
) -> list[Tensor]:
    """For each picture: itself with its true boxes, and below it with those that were found.

    Args:
        images: (batch, 3, height, width), floats; values outside of 0..1 are cut.
        truth, said: "boxes", "labels" and for answers "scores" of each picture.
        classes: names; the label of the first is 1.
        least: found boxes with a lower score are left out.

    Returns:
        Pictures (3, 2 height, width).
    """
    made = []
    for image, true, answer in zip(images.detach().clamp(0, 1), truth, said, strict=True):
        both = [draw_boxes(image, true, classes), draw_boxes(image, answer, classes, least)]
        made.append(cat(both, dim=1))
    return made


# ----------------------------------------------------------------------------- answers about a file
@dataclass(frozen=True)
class BoxAnswer:
    """What a detector finds in a picture.

    Attributes:
        found: for each box its class, score and corners x1, y1, x2, y2 in pixels of the file.
        drawn: the file with the picture and its boxes.
    """

    found: list[tuple[str, float, list[float]]]
    drawn: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [{"class": name, "score": score, "box": box} for name, score, box in self.found]
        return {"found": rows, "drawn": str(self.drawn)}

    def __str__(self) -> str:
        counts = Counter(name for name, _, _ in self.found)
        words = ", ".join(f"{count} × {name}" for name, count in counts.most_common())
        return f"{words or 'nothing'}\n  drawn to {self.drawn}"


def answer_boxes(
    model: Any,
    source: Path,
    size: Sequence[int],
    classes: Sequence[str],
    least: float = 0.3,
    folder: Path | None = None,
) -> BoxAnswer:
    """Find things in a picture file, and draw them: for a recipe's `predict`.

    Args:
        model: a detector in eval mode.
        source: the file.
        size: (height, width) of the pictures that the model was trained on; this one is stretched
            to it, and boxes back to its own size.
        classes: names; the label of the first is 1.
        least: boxes with a lower score are left out.
        folder: where the drawing goes, as NAME-boxes.png; by default the current folder.

    Raises:
        ConfigError: if the model has more classes than there are names.
        FileFormatError: if the file is no picture.
        MissingDataError: if there is no such file.
    """
    image = on_white(open_picture(source)).convert("RGB")
    small = to_tensor(resize(image, list(size)))  # (3, height, width)
    (answer,) = model(small[None])
    down, across = image.size[1] / size[0], image.size[0] / size[1]
    stretch = np.array([across, down, across, down], np.float32)
    boxes = np.asarray(answer["boxes"], np.float32) * stretch
    answer = {**answer, "boxes": from_numpy(boxes)}
    path = (folder or Path()) / f"{source.stem}-boxes.png"
    drawn = to_pil_image(draw_boxes(pil_to_tensor(image), answer, classes, least))
    with atomic_write(path, "wb") as file:
        drawn.save(file, format="PNG")
    rows = zip(answer["labels"].tolist(), answer["scores"].tolist(), boxes.tolist(), strict=True)
    found = [
        (classes[label - 1], float(score), [round(x, 1) for x in box])
        for label, score, box in rows
        if score >= least
    ]
    return BoxAnswer(found, path)
