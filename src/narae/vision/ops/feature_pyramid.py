"""A feature pyramid: maps of all sizes, each with the meaning of the deepest.

Lin et al. 2017, "Feature Pyramid Networks for Object Detection", section 3.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import narae.nn.functional as F
from narae.base.errors import ConfigError, ShapeError, explain
from narae.nn import Conv2d, Module, ModuleList, Sequential, init
from narae.tensors import Tensor

Norm = Callable[[int], Module]


class ExtraFPNBlock(Module):
    """What makes further maps out of a pyramid.

    Its `forward(results, x, names)` takes the maps of the pyramid, those of the backbone, and their
    names, and returns all maps and all names.
    """


class FeaturePyramidNetwork(Module):
    """Adds to each map of a backbone the next deeper one, enlarged.

    Args:
        in_channels_list: channels of each map, from the largest map to the smallest.
        out_channels: channels of all results.
        extra_blocks: makes further maps.
        norm_layer: makes a normalization behind each convolution.

    >>> import narae
    >>> pyramid = FeaturePyramidNetwork([10, 20], 5)
    >>> maps = pyramid({"0": narae.rand(1, 10, 8, 8), "1": narae.rand(1, 20, 4, 4)})
    >>> [(name, tuple(x.shape)) for name, x in maps.items()]
    [('0', (1, 5, 8, 8)), ('1', (1, 5, 4, 4))]
    """

    _version = 2  # before, the convolutions stood in no Sequential

    def __init__(
        self,
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self.inner_blocks, self.layer_blocks = ModuleList(), ModuleList()
        for channels in in_channels_list:
            if channels < 1:
                given = f"a map of {channels} channels"
                raise ConfigError(explain("FeaturePyramidNetwork", given, "each map has channels"))
            self.inner_blocks.append(_convolution(channels, out_channels, 1, norm_layer))
            self.layer_blocks.append(_convolution(out_channels, out_channels, 3, norm_layer))
        for layer in self.modules():
            if isinstance(layer, Conv2d):
                init.kaiming_uniform_(layer.weight, a=1)
                if layer.bias is not None:
                    init.zeros_(layer.bias)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            given = f"extra_blocks is a {type(extra_blocks).__name__}"
            raise ConfigError(explain("FeaturePyramidNetwork", given, "it is an ExtraFPNBlock"))
        self.extra_blocks = extra_blocks

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        if metadata.get("version", 1) >= 2:
            return
        for blocks in ("inner_blocks", "layer_blocks"):
            for number in range(len(self.inner_blocks)):
                start = f"{prefix}{blocks}.{number}."
                for name in ("weight", "bias"):
                    if start + name in state_dict:
                        state_dict[f"{start}0.{name}"] = state_dict.pop(start + name)

    def forward(self, x: dict[str, Tensor]) -> "OrderedDict[str, Tensor]":
        """The maps of the pyramid under the names of those given, the largest first.

        Args:
            x: (batch, channels of the map, height, width) each, the largest first.

        Raises:
            ShapeError: another number of maps than the pyramid was built for.
        """
        names, maps = list(x), list(x.values())
        if len(maps) != len(self.inner_blocks):
            given = f"{len(maps)} maps for a pyramid of {len(self.inner_blocks)}"
            raise ShapeError(explain("FeaturePyramidNetwork", given, "each map has its block"))
        inner = self.inner_blocks[-1](maps[-1])  # (batch, out_channels, height, width)
        results = [self.layer_blocks[-1](inner)]
        for number in range(len(maps) - 2, -1, -1):
            lateral = self.inner_blocks[number](maps[number])
            inner = lateral + F.interpolate(inner, size=lateral.shape[-2:], mode="nearest")
            results.insert(0, self.layer_blocks[number](inner))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def _convolution(before: int, after: int, size: int, norm_layer: Norm | None) -> Sequential:
    conv = Conv2d(before, after, size, padding=size // 2, bias=norm_layer is None)
    return Sequential(conv) if norm_layer is None else Sequential(conv, norm_layer(after))


class LastLevelMaxPool(ExtraFPNBlock):
    """One more map: every second pixel of the smallest; its name is "pool".

    >>> import narae
    >>> maps, names = LastLevelMaxPool()([narae.zeros(1, 2, 4, 4)], [], ["0"])
    >>> names, tuple(maps[1].shape)
    (['0', 'pool'], (1, 2, 2, 2))
    """

    def forward(
        self, results: list[Tensor], x: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        """Maps and names with the one more."""
        smaller = F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0)
        return [*results, smaller], [*names, "pool"]
