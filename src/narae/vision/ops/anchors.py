"""Anchors: boxes of several sizes and shapes around every place of a feature map.

Ren et al. 2015, "Faster R-CNN", section 3.1.1: for each of them a network says whether an object is
there and how its box differs from the anchor.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.tensors import Tensor, cat, from_numpy

_Numbers = Sequence[float] | Sequence[Sequence[float]]


class AnchorGenerator(Module):
    """Anchors for the feature maps of a backbone.

    Args:
        sizes: for each map the sizes of its anchors, in pixels: roots of their areas.
        aspect_ratios: for each map the quotients of height and width.

    >>> generator = AnchorGenerator(sizes=((32,),), aspect_ratios=((0.5, 1.0, 2.0),))
    >>> generator.num_anchors_per_location()
    [3]
    >>> generator.cell_anchors[0]
    tensor([[-23., -11.,  23.,  11.],
            [-16., -16.,  16.,  16.],
            [-11., -23.,  11.,  23.]])
    """

    def __init__(
        self,
        sizes: _Numbers = ((128, 256, 512),),
        aspect_ratios: _Numbers = ((0.5, 1.0, 2.0),),
    ) -> None:
        super().__init__()
        self.sizes = _one_a_map(sizes)
        self.aspect_ratios = _one_a_map(aspect_ratios, len(self.sizes))
        if len(self.sizes) != len(self.aspect_ratios):
            given = f"sizes for {len(self.sizes)} maps, ratios for {len(self.aspect_ratios)}"
            raise ConfigError(explain("AnchorGenerator", given, "each map has sizes and ratios"))
        pairs = zip(self.sizes, self.aspect_ratios, strict=True)
        self._cells = [_cell_anchors(*pair) for pair in pairs]
        self._made: dict[Any, list[Tensor]] = {}

    @property
    def cell_anchors(self) -> list[Tensor]:
        """For each map its anchors around (0, 0): (anchors, 4)."""
        return [from_numpy(cell) for cell in self._cells]

    def num_anchors_per_location(self) -> list[int]:
        """How many anchors stand at each place of each map."""
        return [len(cell) for cell in self._cells]

    def grid_anchors(
        self, grid_sizes: Sequence[Sequence[int]], strides: Sequence[Sequence[int]]
    ) -> list[Tensor]:
        """All anchors of each map.

        Args:
            grid_sizes: (height, width) of each map.
            strides: (down, across): image pixels between neighbouring places of each map.

        Returns: for each map (height * width * anchors, 4), rows of the map first, the anchors of
            one place together.

        Raises:
            ConfigError: another number of maps than of sizes.
        """
        if not len(grid_sizes) == len(strides) == len(self._cells):
            given = f"{len(grid_sizes)} feature maps, sizes for {len(self._cells)}"
            rule = "each feature map needs its sizes and aspect ratios"
            raise ConfigError(explain("AnchorGenerator", given, rule))
        maps = zip(grid_sizes, strides, self._cells, strict=True)
        return [from_numpy(_grid(size, stride, cell)) for size, stride, cell in maps]

    def of_sizes(self, image_size: Sequence[int], grid_sizes: Sequence[Sequence[int]]) -> Tensor:
        """All anchors of an image: (anchors of all maps, 4).

        Args:
            image_size: (height, width) of the batch of images, padding included.
            grid_sizes: (height, width) of each map.
        """
        height, width = image_size
        key = (height, width, tuple([tuple(size) for size in grid_sizes]))
        if key not in self._made:
            strides = [(height // size[0], width // size[1]) for size in grid_sizes]
            self._made = {key: self.grid_anchors(grid_sizes, strides)}
        return cat(self._made[key])

    def forward(self, image_list: Any, feature_maps: Sequence[Tensor]) -> list[Tensor]:
        """The anchors of each image.

        Args:
            image_list: has `tensors` (batch, channels, height, width) and `image_sizes`.
            feature_maps: (batch, channels, height, width) each.

        Returns: for each image (anchors of all maps, 4).
        """
        sizes = [tuple(x.shape[-2:]) for x in feature_maps]
        anchors = self.of_sizes(image_list.tensors.shape[-2:], sizes).to(feature_maps[0].dtype)
        return [anchors for _ in image_list.image_sizes]


def _one_a_map(numbers: Any, maps: int | None = None) -> tuple[tuple[float, ...], ...]:
    """`(32, 64)` means one size for each map; `((32, 64),)` two for the only one."""
    if not isinstance(numbers[0], list | tuple):
        numbers = [(x,) for x in numbers] if maps is None else [numbers] * maps
    return tuple([tuple(of_map) for of_map in numbers])


def _cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Any:
    """Anchors around (0, 0) with rounded sides, all sizes of one ratio together: (anchors, 4)."""
    heights = np.sqrt(np.asarray(ratios, np.float32))[:, None]  # (ratios, 1)
    scale = np.asarray(sizes, np.float32)[None]  # (1, sizes)
    width, height = (1 / heights * scale).ravel(), (heights * scale).ravel()
    return np.round(np.stack([-width, -height, width, height], axis=1) / 2)


def _grid(size: Sequence[int], stride: Sequence[int], cell: Any) -> Any:
    """The anchors of one place, moved to all places: (height * width * anchors, 4)."""
    down = np.arange(size[0], dtype=np.float32) * stride[0]
    across = np.arange(size[1], dtype=np.float32) * stride[1]
    y, x = np.meshgrid(down, across, indexing="ij")
    shifts = np.stack([x, y, x, y], axis=2).reshape(-1, 1, 4)  # (height * width, 1, 4)
    return (shifts + cell).reshape(-1, 4)
