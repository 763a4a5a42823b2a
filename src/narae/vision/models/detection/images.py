"""Images as a batch of one size."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.joining import stack


def as_batch(images: Any) -> Tensor:
    """Images of one size as a tensor (batch, 3, height, width); a list of them is stacked.

    Raises:
        ShapeError: if there is no image, or sizes differ.
    """
    if isinstance(images, Sequence):
        shapes = sorted({tuple(image.shape) for image in images})
        if len(shapes) != 1:
            given = f"images are {', '.join(map(str, shapes))}" if shapes else "there is no image"
            rule = "a batch has images of one size"
            raise ShapeError(explain("detection", given, rule, "resize them: joint.Resize((h, w))"))
        images = stack(list(images))
    if images.ndim != 4 or not len(images):
        given = f"images are {tuple(images.shape)}"
        raise ShapeError(explain("detection", given, "they are (batch, 3, height, width)"))
    return images
