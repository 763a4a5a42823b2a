"""MobileNetV2: blocks that widen, filter each channel by itself, and narrow again.

A convolution of each channel by itself, with one of 1 x 1 that mixes channels, does the work of a
full one with an eighth of the products.

Source: Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks (2018), table 2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor, flatten

from .registry import register_model, with_weights

__all__ = ["MobileNetV2", "mobilenet_v2"]

# t: how much a block widens; c: channels after; n: blocks; s: stride of the first.
_SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

Norm = Callable[[int], nn.Module]


def _rounded(channels: float, divisor: int) -> int:
    """The nearest multiple of `divisor`, not more than a tenth below."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def _conv(
    before: int, after: int, size: int, norm: Norm, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, normalization, a ReLU that ends at 6."""
    padding = (size - 1) // 2
    conv = nn.Conv2d(before, after, size, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, norm(after), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, filter each channel by 3 x 3, narrow by 1 x 1; a skip where sizes agree.

    Args:
        inp, oup: channels before and after.
        stride: 1 or 2.
        expand_ratio: how much wider it is inside.
        norm_layer: makes a normalization of as many channels as it is told.

    Raises:
        ConfigError: for another stride.
    """

    def __init__(
        self, inp: int, oup: int, stride: int, expand_ratio: int, norm_layer: Norm | None = None
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ConfigError(explain("InvertedResidual", f"stride={stride}", "it is 1 or 2"))
        norm = norm_layer or nn.BatchNorm2d
        wide = round(inp * expand_ratio)
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup
        widen = [_conv(inp, wide, 1, norm)] if expand_ratio != 1 else []
        filtered = _conv(wide, wide, 3, norm, stride, groups=wide)
        narrow = nn.Conv2d(wide, oup, 1, bias=False)
        self.conv = nn.Sequential(*widen, filtered, narrow, norm(oup))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A stem, seventeen inverted residual blocks, an average over the pixels, one linear layer.

    Args:
        num_classes: how many numbers come out.
        width_mult: a factor for the channels of all layers.
        inverted_residual_setting: rows of (t, c, n, s), as in table 2.
        round_nearest: numbers of channels are multiples of this.
        block: makes a block, as `InvertedResidual` does.
        norm_layer: makes a normalization of as many channels as it is told.
        dropout: before the last layer.

    Raises:
        ConfigError: for rows that have not four numbers.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        norm, make = norm_layer or nn.BatchNorm2d, block or InvertedResidual
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(row) != 4 for row in setting):
            given = f"inverted_residual_setting={setting}"
            raise ConfigError(explain("MobileNetV2", given, "it has rows of four numbers"))
        before = _rounded(32 * width_mult, round_nearest)
        self.last_channel = _rounded(1280 * max(1.0, width_mult), round_nearest)
        layers: list[nn.Module] = [_conv(3, before, 3, norm, stride=2)]
        for ratio, channels, count, first_stride in setting:
            after = _rounded(channels * width_mult, round_nearest)
            for i in range(count):
                stride = 1 if i else first_stride
                layers.append(make(before, after, stride, expand_ratio=ratio, norm_layer=norm))
                before = after
        layers.append(_conv(before, self.last_channel, 1, norm))
        self.features = nn.Sequential(*layers)
        head = nn.Linear(self.last_channel, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), head)
        _first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width)
        """
        x = self.features(x)  # (batch, last_channel, height/32, width/32)
        x = flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)  # (batch, last_channel)
        return self.classifier(x)  # (batch, num_classes)


def _first_weights(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)


@register_model()
def mobilenet_v2(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> MobileNetV2:
    """MobileNetV2: 3,504,872 parameters."""
    return with_weights(MobileNetV2, weights, **kwargs)
