"""Spatial pyramid pooling: maps, or parts of them, of any size become vectors of one length.

He et al. 2014, "Spatial Pyramid Pooling in Deep Convolutional Networks", section 2.2.
"""

from collections.abc import Sequence

import narae.nn.functional as F
from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.tensors import Tensor, cat

from .regions import Regions
from .roi_pool import roi_pool


class SpatialPyramidPool(Module):
    """The largest values over grids of several sizes, one after the other.

    Args:
        levels: bins along each side of each grid, such as (1, 2, 4).

    >>> import narae
    >>> pool = SpatialPyramidPool((1, 2))
    >>> tuple(pool(narae.rand(2, 8, 13, 9)).shape)
    (2, 40)
    >>> pool.features(8)
    40
    """

    def __init__(self, levels: Sequence[int] = (1, 2, 4)) -> None:
        super().__init__()
        self.levels = tuple(levels)
        if not self.levels or min(self.levels) < 1:
            rule = "it names the bins of at least one grid, such as (1, 2, 4)"
            raise ConfigError(explain("SpatialPyramidPool", f"levels is {levels}", rule))

    def features(self, channels: int) -> int:
        """How long the vectors are for a number of channels."""
        return channels * sum([level * level for level in self.levels])

    def forward(self, x: Tensor) -> Tensor:
        """Whole maps (batch, channels, height, width) to vectors (batch, features)."""
        parts = [F.adaptive_max_pool2d(x, level).flatten(1) for level in self.levels]
        return cat(parts, dim=1)  # (batch, channels * bins)

    def of_boxes(self, x: Tensor, boxes: Regions, spatial_scale: float) -> Tensor:
        """Boxes of maps to vectors: one pass of the convolutions serves all boxes of an image.

        Args:
            x: features (batch, channels, height, width).
            boxes: (k, 5) or one (n, 4) an image, as `roi_pool` takes them.
            spatial_scale: feature pixels per unit of the boxes.

        Returns: (k, features).
        """
        pooled = [roi_pool(x, boxes, level, spatial_scale) for level in self.levels]
        return cat([part.flatten(1) for part in pooled], dim=1)  # (k, channels * bins)

    def extra_repr(self) -> str:
        return f"levels={self.levels}"
