"""Fully convolutional networks of the paper's three kinds, on a backbone that is quick to train.

    FCN-32s   scores at 1/32 of the size, upsampled 32 times
    FCN-16s   … upsampled twice, plus scores at 1/16; upsampled 16 times
    FCN-8s    … upsampled twice, plus scores at 1/8; upsampled 8 times

Source: Long et al., Fully convolutional networks for semantic segmentation (2015), section 4.2 and
figure 3. The paper's backbone is VGG-16; here it is a narrow residual network.
"""

from collections.abc import Sequence

import narae.nn as nn
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor

from ..registry import register_model
from ..resnet import BasicBlock, conv1x1, conv3x3
from .bilinear import bilinear_upsampling

__all__ = ["NarrowBackbone", "SmallFCN", "fcn8s", "fcn16s", "fcn32s"]

_STRIDES = (8, 16, 32)


class NarrowBackbone(nn.Module):
    """Five stages, each half as high and wide as the one before; residual blocks from the third on.

    Args:
        widths: channels of the five stages.
        blocks: how many residual blocks the third, fourth and fifth stage have.

    Raises:
        ConfigError: for another number of stages.

    >>> import narae
    >>> [x.shape[2] for x in NarrowBackbone((4, 4, 4, 4, 4))(narae.zeros(1, 3, 45, 45))]
    [23, 12, 6, 3, 2]
    """

    def __init__(
        self, widths: Sequence[int] = (24, 48, 96, 128, 160), blocks: Sequence[int] = (3, 2, 2)
    ) -> None:
        super().__init__()
        if len(widths) != 5 or len(blocks) != 3:
            given = f"widths are {tuple(widths)}, blocks {tuple(blocks)}"
            rule = "there are five stages, of which three have blocks"
            raise ConfigError(explain("NarrowBackbone", given, rule))
        self.widths = tuple(widths)
        stages = [_plain_stage(3, widths[0]), _plain_stage(widths[0], widths[1])]
        for before, after, count in zip(widths[1:], widths[2:], blocks, strict=False):
            stages.append(_residual_stage(before, after, count))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """The results of all stages, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, rounded up.

        Args:
            x: (batch, 3, height, width)
        """
        out = []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out


def _plain_stage(before: int, after: int) -> nn.Module:
    return nn.Sequential(conv3x3(before, after, stride=2), nn.BatchNorm2d(after), nn.ReLU())


def _residual_stage(before: int, after: int, blocks: int) -> nn.Module:
    downsample = nn.Sequential(conv1x1(before, after, stride=2), nn.BatchNorm2d(after))
    stage = [BasicBlock(before, after, 2, downsample)]
    return nn.Sequential(*stage, *(BasicBlock(after, after) for _ in range(1, blocks)))


class SmallFCN(nn.Module):
    """Scores of each class at the strides 32, 16 and 8, upsampled and added up; then to full size.

    Args:
        num_classes: how many scores a pixel gets.
        stride: 32, 16 or 8: where the last skip is added.
        backbone: gives five feature maps, each half the size of the one before.
        dropout: share of the channels of the feature maps that are left out in training.

    Raises:
        ConfigError: for another stride.

    >>> import narae
    >>> SmallFCN(11, stride=16)(narae.zeros(1, 3, 45, 60)).shape
    narae.Size([1, 11, 45, 60])
    """

    def __init__(
        self,
        num_classes: int,
        stride: int = 8,
        backbone: NarrowBackbone | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if stride not in _STRIDES:
            rule = "an FCN of the paper is FCN-32s, FCN-16s or FCN-8s"
            raise ConfigError(explain("SmallFCN", f"stride is {stride}", rule))
        self.backbone = NarrowBackbone() if backbone is None else backbone
        self.dropout = nn.Dropout2d(dropout)
        # From the deepest map to the last skip: FCN-8s has three scores.
        widths = [self.backbone.widths[place] for place in (4, 3, 2) if 2 ** (place + 1) >= stride]
        self.scores = nn.ModuleList([nn.Conv2d(width, num_classes, 1) for width in widths])
        self.ups = nn.ModuleList([bilinear_upsampling(num_classes, 2) for _ in widths[1:]])
        # The paper holds the last one fixed; the two before it learn.
        self.full = bilinear_upsampling(num_classes, stride, learned=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of each pixel, (batch, classes, height, width).

        Args:
            x: (batch, 3, height, width)
        """
        height, width = x.shape[2:]
        maps = self.backbone(x)[::-1]  # the smallest first
        out = self.scores[0](self.dropout(maps[0]))  # (batch, classes, height/32, width/32)
        for up, score, skip in zip(self.ups, self.scores[1:], maps[1:], strict=False):
            here = score(self.dropout(skip))  # (batch, classes, height/16 or /8, …)
            out = up(out)[:, :, : here.shape[2], : here.shape[3]] + here
        return self.full(out)[:, :, :height, :width]


@register_model()
def fcn32s(*, num_classes: int = 21, backbone: NarrowBackbone | None = None) -> SmallFCN:
    """Scores at 1/32 of the size alone."""
    return SmallFCN(num_classes, 32, backbone)


@register_model()
def fcn16s(*, num_classes: int = 21, backbone: NarrowBackbone | None = None) -> SmallFCN:
    """Scores at 1/32 and 1/16 of the size."""
    return SmallFCN(num_classes, 16, backbone)


@register_model()
def fcn8s(*, num_classes: int = 21, backbone: NarrowBackbone | None = None) -> SmallFCN:
    """Scores at 1/32, 1/16 and 1/8 of the size."""
    return SmallFCN(num_classes, 8, backbone)
