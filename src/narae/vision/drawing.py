"""Boxes with names, and masks, drawn into pictures.

Each takes a tensor and returns a new one of the same dtype, as in torchvision.utils.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DTypeError, NotSupportedError, ShapeError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy

from .colours import Colour, Colours, parse_colours
from .grids import make_grid, save_image
from .transforms.functional.converting import convert_image_dtype, pil_to_tensor, to_pil_image
from .transforms.functional.images import pillow

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]

Array = npt.NDArray[Any]

_FILL_ALPHA = 100  # of 255, as in torchvision
_MARGIN = 1  # pixels between a box and its name


# ------------------------------------------------------------------------------------------- boxes
@no_grad()
def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: Sequence[str | None] | None = None,
    colors: Colours = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Colours = None,
    label_background_colors: Colours = None,
    fill_labels: bool = False,
) -> Tensor:
    """Draw boxes, and names in their upper left corners.

    Args:
        image: (channels, height, width) of 1 or 3 channels, uint8 or floats 0..1.
        boxes: (boxes, 4): left, top, right and bottom in pixels.
        labels: a name a box.
        colors: one for all, or a list; names, codes or triples.
        fill: whether boxes are filled, lightly.
        width: of lines, in pixels.
        font, font_size: a TrueType file and the size in points; Pillow's own font otherwise.
        label_colors: of the names; by default those of the boxes.
        label_background_colors: behind the names, with `fill_labels`.
        fill_labels: whether names stand on a background.

    Returns:
        (3, height, width), the dtype of `image`.

    Raises:
        ConfigError: if colours are wrong or too few.
        DTypeError: if the image is no tensor, or of another dtype.
        ShapeError: if sizes do not fit, or a box has its right before its left.

    >>> import narae
    >>> box = narae.tensor([[1, 1, 3, 3]])
    >>> draw_bounding_boxes(narae.zeros(1, 5, 5), box, colors="red")[0].int()
    tensor([[0, 0, 0, 0, 0],
            [0, 1, 1, 1, 0],
            [0, 1, 0, 1, 0],
            [0, 1, 1, 1, 0],
            [0, 0, 0, 0, 0]], dtype=narae.int32)
    """
    _check_image(image, (1, 3), "draw_bounding_boxes")
    corners = _checked_boxes(boxes)  # (boxes, 4)
    if not len(corners):
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=3)
        return image
    names = _checked_labels(labels, len(corners))
    outlines = _colours(colors, len(corners))
    writing: list[Colour] = outlines
    if label_colors or fill_labels:
        writing = _colours(label_colors or "black", len(corners))
    paper = outlines
    if fill_labels and label_background_colors:
        paper = _colours(label_background_colors, len(corners))
    canvas = to_pil_image(convert_image_dtype(_coloured(image), np.uint8))
    draw = pillow("ImageDraw").Draw(canvas, "RGBA" if fill else None)
    letters = _font(font, font_size)
    for box, name, outline, ink, back in zip(
        corners.tolist(), names, outlines, writing, paper, strict=False
    ):
        inside = (*outline, _FILL_ALPHA) if fill else None
        draw.rectangle(box, width=width, outline=outline, fill=inside)
        if name is not None:
            place = (box[0] + width + _MARGIN, box[1] + width + _MARGIN)
            _write(draw, place, name, letters, ink, back if fill_labels else None)
    return convert_image_dtype(pil_to_tensor(canvas), image.dtype)


def _write(
    draw: Any, place: tuple[int, int], name: str, font: Any, ink: Colour, paper: Colour | None
) -> None:
    if paper is not None:
        left, top, right, bottom = draw.textbbox(place, name, font=font)
        around = (left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN)
        draw.rectangle(around, fill=paper)
    draw.text(place, name, fill=ink, font=font)


def _font(font: str | None, size: int | None) -> Any:
    if font is not None:
        return pillow("ImageFont").truetype(font=font, size=size or 10)
    if size is not None:
        rule = "Argument 'font_size' will be ignored since 'font' is not set."
        warnings.warn(rule, stacklevel=4)
    return pillow("ImageFont").load_default()


def _colours(colours: Colours, count: int) -> list[Colour]:
    return parse_colours(colours, count, "draw_bounding_boxes")


def _coloured(image: Tensor) -> Tensor:
    return image.detach().expand(3, *image.shape[1:]) if image.shape[0] == 1 else image.detach()


def _checked_boxes(boxes: Tensor) -> Array:
    corners = np.asarray(boxes)
    if corners.ndim == 2 and corners.shape[1] == 8:
        given, rule = f"boxes are {corners.shape}", "boxes stand upright"
        raise NotSupportedError(explain("draw_bounding_boxes", given, rule))
    if corners.size and (corners.ndim != 2 or corners.shape[1] != 4):
        given, rule = f"boxes are {corners.shape}", "they are (boxes, 4)"
        raise ShapeError(explain("draw_bounding_boxes", given, rule))
    corners = corners.reshape(-1, 4)
    wrong = (corners[:, 0] > corners[:, 2]) | (corners[:, 1] > corners[:, 3])
    if wrong.any():
        given = f"box {int(wrong.argmax())} is {corners[wrong.argmax()].tolist()}"
        rule = "Boxes need to be in (xmin, ymin, xmax, ymax) format"
        fix = "Use narae.vision.ops.box_convert to convert them"
        raise ShapeError(explain("draw_bounding_boxes", given, rule, fix))
    return corners.astype(np.int64)


def _checked_labels(labels: Sequence[str | None] | None, count: int) -> Sequence[str | None]:
    if labels is None:
        return [None] * count
    if len(labels) != count:
        given = f"Number of boxes ({count}) and labels ({len(labels)}) mismatch"
        raise ConfigError(explain("draw_bounding_boxes", given, "specify labels for each box"))
    return labels


# ------------------------------------------------------------------------------------------- masks
@no_grad()
def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colours = None
) -> Tensor:
    """Lay masks over a picture; where several overlap it becomes dark.

    Args:
        image: (3, height, width), uint8 or floats 0..1.
        masks: (masks, height, width) or (height, width), bool.
        alpha: how dense masks are: 0 leaves the picture, 1 hides it.
        colors: one for all, or a list; names, codes or triples.

    Returns:
        (3, height, width), the dtype of `image`.

    Raises:
        ConfigError: if colours are wrong or too few.
        DTypeError: if the image is no tensor, or a dtype is another.
        ShapeError: if sizes do not fit.

    >>> import narae
    >>> mask = narae.tensor([[True, False]])
    >>> draw_segmentation_masks(narae.zeros(3, 1, 2), mask, alpha=0.5, colors="red")[0]
    tensor([[0.5000, 0.0000]])
    """
    what = "draw_segmentation_masks"
    _check_image(image, (3,), what)
    planes = _checked_masks(image, masks)  # (masks, height, width)
    if not len(planes):
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=3)
        return image
    before = image.detach().numpy()
    drawn = before.copy()
    most = 1 if before.dtype == np.uint8 else 255  # floats are 0..1
    for plane, colour in zip(planes, parse_colours(colors, len(planes), what), strict=False):
        drawn[:, plane] = np.asarray([[part / most] for part in colour], before.dtype)
    drawn[:, planes.sum(axis=0) > 1] = 0
    kind = np.float32 if before.dtype == np.uint8 else before.dtype
    mixed = before * np.asarray(1 - alpha, kind) + drawn * np.asarray(alpha, kind)
    return from_numpy(mixed.astype(before.dtype))


def _checked_masks(image: Tensor, masks: Tensor) -> Array:
    what, planes = "draw_segmentation_masks", np.asarray(masks)
    planes = planes[None] if planes.ndim == 2 else planes
    if planes.ndim != 3:
        rule = "masks must be of shape (H, W) or (batch_size, H, W)"
        raise ShapeError(explain(what, f"masks are {tuple(masks.shape)}", rule))
    if planes.dtype != np.bool_:
        given, fix = f"masks are {planes.dtype}", "masks == label makes one"
        raise DTypeError(explain(what, given, "The masks must be of dtype bool", fix))
    if planes.shape[1:] != tuple(image.shape[1:]):
        given = f"the image is {tuple(image.shape)}, masks are {tuple(masks.shape)}"
        rule = "The image and the masks must have the same height and width"
        raise ShapeError(explain(what, given, rule))
    return planes


def _check_image(image: Any, channels: Sequence[int], what: str) -> None:
    if not isinstance(image, Tensor):
        raise DTypeError(explain(what, f"the image is {type(image).__name__}", "Tensor expected"))
    if not (image.detach().numpy().dtype == np.uint8 or image.is_floating_point()):
        given, rule = f"the image is {image.dtype}", "The image dtype must be uint8 or float"
        raise DTypeError(explain(what, given, rule))
    if image.ndim != 3:
        given = f"the image is {tuple(image.shape)}"
        raise ShapeError(explain(what, given, "Pass individual images, not batches"))
    if image.shape[0] not in channels:
        given = f"the image is {tuple(image.shape)}"
        rule = "Only grayscale and RGB images are supported"
        rule = "Pass an RGB image" if channels == (3,) else rule
        raise ShapeError(explain(what, given, rule))
