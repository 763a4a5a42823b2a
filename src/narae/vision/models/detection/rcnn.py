"""R-CNN: each region is cut out, warped to one size, and goes through the convolutions alone.

Source: R. Girshick, J. Donahue, T. Darrell, J. Malik, "Rich feature hierarchies for accurate object
detection and semantic segmentation", CVPR 2014. In place of the paper's support vector machines and
ridge regressions, trained one after the other, the head here is Fast R-CNN's: a softmax and
corrections, trained at once (that paper's table 8 finds softmax no worse).
"""

from collections.abc import Sequence
from typing import Any

from narae.tensors import Tensor
from narae.tensors.joining import stack
from narae.vision.ops import roi_align

from .regions import Proposer, RegionDetector, proposed
from .selective_search import SelectiveSearch


class RCNN(RegionDetector):
    """One pass of the convolutions for each region.

    Args:
        backbone: the convolutions.
        num_classes: with the background, which is label 0.
        proposer: gives regions (n, 4) of an image, the same number for each.
        crop: height and width of a warped region, in pixels.
        context: how much of its surroundings a region is cut out with, as a share of its side.
        options: further ones of `RegionDetector`.

    >>> import narae
    >>> from narae.vision.models.detection import SmallBackbone
    >>> model = RCNN(SmallBackbone((4, 4), (0, 0)), 3, SelectiveSearch(most=6), crop=16).eval()
    >>> sorted(model(narae.zeros(1, 3, 32, 32))[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        proposer: Proposer | None = None,
        crop: int = 32,
        context: float = 0.16,
        **options: Any,
    ) -> None:
        side = -(-crop // backbone.stride)  # of the feature map: each stage rounds up
        super().__init__(backbone, backbone.out_channels * side**2, num_classes, **options)
        self.proposer, self.crop, self.context = proposer or SelectiveSearch(), crop, context

    def propose(self, images: Tensor, features: Tensor) -> list[Tensor]:
        return proposed(self.proposer, images)

    def look(self, images: Tensor) -> Tensor:
        return images

    def describe(self, seen: Tensor, regions: Sequence[Tensor]) -> Tensor:
        wide = [self._with_context(boxes) for boxes in regions]
        crops = roi_align(seen, wide, self.crop, sampling_ratio=2, aligned=True)
        return self.programs(self.backbone, crops).flatten(1)  # (regions, features)

    def _with_context(self, boxes: Tensor) -> Tensor:
        x1, y1, x2, y2 = boxes.unbind(1)
        more_x, more_y = (x2 - x1) * self.context / 2, (y2 - y1) * self.context / 2
        return stack([x1 - more_x, y1 - more_y, x2 + more_x, y2 + more_y], dim=1)
