"""Fast R-CNN: the convolutions run once, regions are pooled from the map, and everything learns.

Source: R. Girshick, "Fast R-CNN", ICCV 2015.
"""

from collections.abc import Sequence
from typing import Any

from narae.tensors import Tensor
from narae.vision.ops import RoIPool

from .regions import Proposer, RegionDetector, proposed
from .selective_search import SelectiveSearch


class FastRCNN(RegionDetector):
    """One pass an image; one grid on each region; gradients flow into the convolutions.

    Args:
        backbone: the convolutions.
        num_classes: with the background, which is label 0.
        proposer: gives regions (n, 4) of an image, the same number for each.
        bins: along each side of a region.
        pool: pools regions from the map; `RoIPool` with `bins` unless given.
        options: further ones of `RegionDetector`.

    >>> import narae
    >>> from narae.vision.models.detection import SmallBackbone
    >>> model = FastRCNN(SmallBackbone((4, 4), (0, 0)), 3, SelectiveSearch(most=6))
    >>> targets = [{"boxes": narae.tensor([[2.0, 2.0, 12.0, 14.0]]), "labels": narae.tensor([1])}]
    >>> sorted(model(narae.zeros(1, 3, 32, 32), targets))
    ['box', 'class']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        proposer: Proposer | None = None,
        bins: int = 7,
        pool: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, backbone.out_channels * bins**2, num_classes, **options)
        self.proposer = proposer or SelectiveSearch()
        self.pool = RoIPool(bins, 1 / backbone.stride) if pool is None else pool

    def propose(self, images: Tensor, features: Tensor) -> list[Tensor]:
        return proposed(self.proposer, images)

    def look(self, images: Tensor) -> Tensor:
        return self.programs(self.backbone, images)  # (batch, channels, rows, columns)

    def describe(self, seen: Tensor, regions: Sequence[Tensor]) -> Tensor:
        return self.pool(seen, list(regions)).flatten(1)  # (regions, channels * bins * bins)
