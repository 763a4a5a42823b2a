"""Boxes as corrections of other boxes, which is what a network predicts.

Girshick et al. 2014, "Rich feature hierarchies" (R-CNN), equations 1 to 4 and 6 to 9: the shift of
the centre in widths and heights of the reference, and the logarithm of the change in size.
"""

import math
from collections.abc import Sequence

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor, cat, stack

from .boxes import check_boxes


class BoxCoder:
    """Encodes boxes relative to anchors or proposals, and back.

    Args:
        weights: factors of the four codes (x, y, width, height), which bring their spread near 1.
        bbox_xform_clip: the largest logarithm of a growth in size that is decoded.

    >>> import narae
    >>> coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    >>> proposal = narae.tensor([[0.0, 0.0, 10.0, 20.0]])
    >>> code = coder.encode_single(narae.tensor([[1.0, 0.0, 11.0, 20.0]]), proposal)
    >>> code
    tensor([[0.1000, 0.0000, 0.0000, 0.0000]])
    >>> coder.decode_single(code, proposal)
    tensor([[ 1.,  0., 11., 20.]])
    """

    def __init__(
        self,
        weights: Sequence[float],
        bbox_xform_clip: float = math.log(1000.0 / 16),
    ) -> None:
        self.weights = tuple(weights)
        self.bbox_xform_clip = bbox_xform_clip

    def encode(
        self, reference_boxes: Sequence[Tensor], proposals: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The codes of each image's boxes.

        Args:
            reference_boxes: (n, 4) an image, where the boxes shall be.
            proposals: (n, 4) an image, where they are.

        Returns: (n, 4) an image.
        """
        counts = [len(boxes) for boxes in reference_boxes]
        codes = self.encode_single(cat(tuple(reference_boxes)), cat(tuple(proposals)))
        return tuple(codes.split(counts))

    def encode_single(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """The codes (n, 4) that turn `proposals` (n, 4) into `reference_boxes` (n, 4)."""
        check_boxes(reference_boxes, "BoxCoder.encode")
        check_boxes(proposals, "BoxCoder.encode")
        width, height, x, y = _centred(proposals)
        new_width, new_height, new_x, new_y = _centred(reference_boxes)
        by_x, by_y, by_width, by_height = self.weights
        codes = (
            by_x * (new_x - x) / width,
            by_y * (new_y - y) / height,
            by_width * (new_width / width).log(),
            by_height * (new_height / height).log(),
        )
        return stack(codes, dim=1)  # (n, 4)

    def decode(self, rel_codes: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """The boxes that codes stand for.

        Args:
            rel_codes: (n of all images, 4 * classes), or with more sizes before the last.
            boxes: (n, 4) an image: what the codes are relative to.

        Returns: (n of all images, classes, 4).
        """
        together = cat(tuple(boxes))  # (n, 4)
        if len(together):
            rel_codes = rel_codes.reshape(len(together), -1)
        decoded = self.decode_single(rel_codes, together)
        return decoded.reshape(len(together), -1, 4) if len(together) else decoded

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """The boxes (n, 4 * classes) of codes (n, 4 * classes) relative to boxes (n, 4).

        Raises:
            ShapeError: not four codes for each class.
        """
        if rel_codes.ndim != 2 or rel_codes.shape[1] % 4 or len(rel_codes) != len(boxes):
            given = f"codes are {tuple(rel_codes.shape)}, boxes are {tuple(boxes.shape)}"
            rule = "codes are (n, 4 * classes) and boxes (n, 4)"
            raise ShapeError(explain("BoxCoder.decode", given, rule))
        width, height, x, y = [side[:, None] for side in _centred(boxes.to(rel_codes.dtype))]
        by_x, by_y, by_width, by_height = self.weights
        growth_x = (rel_codes[:, 2::4] / by_width).clamp(max=self.bbox_xform_clip)
        growth_y = (rel_codes[:, 3::4] / by_height).clamp(max=self.bbox_xform_clip)
        x = rel_codes[:, 0::4] / by_x * width + x  # (n, classes)
        y = rel_codes[:, 1::4] / by_y * height + y
        half_width = 0.5 * (growth_x.exp() * width)
        half_height = 0.5 * (growth_y.exp() * height)
        corners = (x - half_width, y - half_height, x + half_width, y + half_height)
        return stack(corners, dim=2).flatten(1)  # (n, 4 * classes)


def _centred(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Width, height and centre of corners (n, 4): (n,) each."""
    width = boxes[:, 2] - boxes[:, 0]
    height = boxes[:, 3] - boxes[:, 1]
    return width, height, boxes[:, 0] + 0.5 * width, boxes[:, 1] + 0.5 * height
