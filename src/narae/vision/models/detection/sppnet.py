"""SPPNet: the convolutions run once; each region is pooled from the feature map by a pyramid.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks for
Visual Recognition", ECCV 2014.
"""

from collections.abc import Sequence
from typing import Any

from narae.tensors import Tensor, no_grad
from narae.vision.ops import SpatialPyramidPool

from .regions import Proposer, RegionDetector, proposed
from .selective_search import SelectiveSearch


class SPPNet(RegionDetector):
    """One pass an image; grids of several sizes on each region.

    Args:
        backbone: the convolutions.
        num_classes: with the background, which is label 0.
        proposer: gives regions (n, 4) of an image, the same number for each.
        levels: bins along each side of each grid.
        fine_tune: let the convolutions learn too. The paper's do not ("for simplicity"): they come
            from another training, such as that of an `RCNN`, and stay as they are.
        options: further ones of `RegionDetector`.

    >>> import narae
    >>> from narae.vision.models.detection import SmallBackbone
    >>> model = SPPNet(SmallBackbone((4, 4), (0, 0)), 3, SelectiveSearch(most=6)).eval()
    >>> sorted(model(narae.zeros(1, 3, 32, 32))[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        proposer: Proposer | None = None,
        levels: Sequence[int] = (1, 2, 3, 6),
        fine_tune: bool = False,
        **options: Any,
    ) -> None:
        pool = SpatialPyramidPool(levels)
        super().__init__(backbone, pool.features(backbone.out_channels), num_classes, **options)
        self.proposer, self.pool = proposer or SelectiveSearch(), pool
        self.fine_tune = fine_tune

    def train(self, mode: bool = True) -> "SPPNet":
        """To training or eval mode; convolutions that do not learn stay in eval mode."""
        super().train(mode)
        if not self.fine_tune:
            self.backbone.eval()
        return self

    def propose(self, images: Tensor, features: Tensor) -> list[Tensor]:
        return proposed(self.proposer, images)

    def look(self, images: Tensor) -> Tensor:
        if self.fine_tune:
            return self.programs(self.backbone, images)  # (batch, channels, rows, columns)
        with no_grad():
            return self.programs(self.backbone, images)

    def describe(self, seen: Tensor, regions: Sequence[Tensor]) -> Tensor:
        return self.pool.of_boxes(seen, list(regions), 1 / self.backbone.stride)
