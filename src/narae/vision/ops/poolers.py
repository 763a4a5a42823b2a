"""RoI align over a feature pyramid: each box from the map that fits its size."""

import math
from collections.abc import Sequence

import numpy as np

from narae.base.errors import ConfigError, DataError, explain
from narae.nn import Module
from narae.nn.sizes import repeated
from narae.tensors import Tensor, cat, from_numpy, is_tracing, where

from .boxes import box_area
from .regions import as_rois
from .roi_align import roi_align


class MultiScaleRoIAlign(Module):
    """`roi_align` on that map of a pyramid on which a box is about as large as on any other.

    A box of area `canonical_scale ** 2` belongs to the level `canonical_level`, one of twice the
    side to the next. Lin et al. 2017, "Feature Pyramid Networks", equation 1.

    Args:
        featmap_names: the maps to use, from the largest to the smallest.
        output_size: bins: (rows, columns), or one number for both.
        sampling_ratio: samples a bin along each side; not positive: by the size of the box.
        canonical_scale: the side of a box of level `canonical_level`, in pixels.
        canonical_level: its level: the map is 2 ** level times smaller than the image.

    >>> import narae
    >>> pool = MultiScaleRoIAlign(["0", "1"], 3, 2)
    >>> maps = {"0": narae.rand(1, 5, 16, 16), "1": narae.rand(1, 5, 8, 8)}
    >>> tuple(pool(maps, [narae.tensor([[0.0, 0.0, 20.0, 30.0]])], [(64, 64)]).shape)
    (1, 5, 3, 3)
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = list(featmap_names)
        self.output_size = repeated(output_size, 2, "output_size")
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self,
        x: dict[str, Tensor],
        boxes: Sequence[Tensor],
        image_shapes: Sequence[Sequence[int]],
    ) -> Tensor:
        """The boxes' parts of the maps.

        Args:
            x: maps (batch, channels, height, width) by name, the largest first.
            boxes: (n, 4) an image, in pixels of the image.
            image_shapes: (height, width) of each image.

        Returns: (boxes of all images, channels, rows, columns).

        Raises:
            ConfigError: none of the maps has a name asked for.
            DataError: there are no images.
        """
        maps = [x[name] for name in x if name in self.featmap_names]
        self._check(x, maps, image_shapes)
        rois = as_rois(boxes, maps[0].shape[0], "MultiScaleRoIAlign")  # (k, 5)
        image = [max([shape[axis] for shape in image_shapes]) for axis in (0, 1)]
        scales = [_scale(one, image) for one in maps]
        if len(maps) == 1:
            return self._align(maps[0], rois, scales[0])
        levels = self._levels(rois, scales)
        if is_tracing():
            return self._masked(maps, rois, scales, levels)
        return self._sorted(maps, rois, scales, levels)

    def _check(
        self, x: dict[str, Tensor], maps: list[Tensor], shapes: Sequence[Sequence[int]]
    ) -> None:
        if not maps:
            given = f"there are maps {sorted(x)}"
            rule = f"at least one of {self.featmap_names} is among them"
            raise ConfigError(explain("MultiScaleRoIAlign", given, rule))
        if not shapes:
            raise DataError(explain("MultiScaleRoIAlign", "no images", "there is at least one"))

    def _align(self, x: Tensor, rois: Tensor, scale: float) -> Tensor:
        return roi_align(x, rois, self.output_size, scale, self.sampling_ratio)

    def _levels(self, rois: Tensor, scales: list[float]) -> Tensor:
        """The place in `maps` of each box's map: (k, 5) -> (k,) int64."""
        least, most = int(-math.log2(scales[0])), int(-math.log2(scales[-1]))
        sides = box_area(rois[:, 1:]).sqrt()  # (k,)
        levels = self.canonical_level + (sides / self.canonical_scale).log2() + 1e-6
        return levels.floor().clamp(least, most).long() - least

    def _sorted(
        self, maps: list[Tensor], rois: Tensor, scales: list[float], levels: Tensor
    ) -> Tensor:
        """Each map pools its own boxes; then all go back to their places."""
        places = [where(levels.eq(level))[0] for level in range(len(maps))]
        parts = zip(maps, places, scales, strict=True)
        pooled = [self._align(one, rois[place], scale) for one, place, scale in parts]
        back = np.argsort(cat(places).numpy(), kind="stable")
        return cat(pooled)[from_numpy(back)]  # (k, channels, rows, columns)

    def _masked(
        self, maps: list[Tensor], rois: Tensor, scales: list[float], levels: Tensor
    ) -> Tensor:
        """In a compiled step, where counts are fixed, each map pools all boxes."""
        out = self._align(maps[0], rois, scales[0])
        for level in range(1, len(maps)):
            pooled = self._align(maps[level], rois, scales[level])
            out = where(levels.eq(level)[:, None, None, None], pooled, out)
        return out

    def extra_repr(self) -> str:
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}"
        )


def _scale(x: Tensor, image: Sequence[int]) -> float:
    """Feature pixels per image pixel, which is a power of two: maps are padded."""
    return float(2.0 ** round(math.log2(x.shape[-2] / image[0])))
