"""Regions of interest as operations take them: boxes with the number of their image."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import BoundsError, ShapeError, explain
from narae.tensors import Tensor, cat, full_like, is_tracing

from .boxes import check_boxes

Regions = Tensor | Sequence[Tensor]


def as_rois(boxes: Regions, images: int, where_from: str) -> Tensor:
    """Regions as one tensor (k, 5): the image's place in the batch, then the corners.

    Args:
        boxes: such a tensor, or for each image of the batch its boxes (n, 4).
        images: how many images the batch has.
        where_from: the function's name, for messages.

    Raises:
        ShapeError: another shape, or not one tensor of boxes an image.
        BoundsError: an image's place outside the batch.

    >>> import narae
    >>> as_rois([narae.tensor([[1.0, 2.0, 3.0, 4.0]])], 1, "example")
    tensor([[0., 1., 2., 3., 4.]])
    """
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            rule = (
                "one tensor of regions is (k, 5): the image's place in the batch, then x1 y1 x2 y2"
            )
            fix = "give a list with a tensor (n, 4) for each image"
            raise ShapeError(explain(where_from, f"boxes are {tuple(boxes.shape)}", rule, fix))
        _check_places(boxes, images, where_from)
        return boxes
    if len(boxes) != images:
        given = f"there are {len(boxes)} tensors of boxes and {images} images"
        raise ShapeError(explain(where_from, given, "each image has its tensor of boxes (n, 4)"))
    for of_image in boxes:
        check_boxes(of_image, where_from)
    with_place = [
        cat((full_like(of_image[:, :1], place), of_image), dim=1)  # (n, 5)
        for place, of_image in enumerate(boxes)
    ]
    return cat(with_place, dim=0)  # (k, 5)


def _check_places(rois: Tensor, images: int, where_from: str) -> None:
    if is_tracing() or len(rois) == 0:
        return
    least, most = rois[:, 0].min().item(), rois[:, 0].max().item()
    if least < 0 or most >= images:
        given = f"the first column has {least:g} to {most:g}, the batch has {images} images"
        raise BoundsError(explain(where_from, given, "it is the place of the box's image: 0, 1, …"))


def as_array(x: Tensor, dtype: Any) -> Any:
    """The values of a tensor as a NumPy array; those of 16 bits by way of float32."""
    x = x.detach()
    return (x.float() if x.dtype.itemsize < 4 else x).numpy().astype(dtype, copy=False)
