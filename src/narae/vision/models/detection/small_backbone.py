"""The convolutions that all detectors of the lineage share: a small residual network."""

from collections.abc import Sequence

from narae import nn
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor
from narae.vision.models.resnet import BasicBlock


def conv_norm_relu(before: int, after: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, batch normalization and ReLU."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class SmallBackbone(nn.Module):
    """Stages of a convolution with stride 2 and some residual blocks each.

    Args:
        channels: of each stage; each halves height and width.
        blocks: residual blocks of each stage.
        in_channels: of the image.

    Attributes:
        stride: pixels of the image for a step on the feature map.
        out_channels: of the feature map.

    Raises:
        ConfigError: if there are not as many numbers of blocks as of channels.

    >>> import narae
    >>> backbone = SmallBackbone(channels=(8, 16), blocks=(0, 1))
    >>> backbone(narae.zeros(2, 3, 32, 48)).shape, backbone.stride
    (narae.Size([2, 16, 8, 12]), 4)
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (0, 1, 1),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(channels) != len(blocks) or not channels:
            given = f"channels are {tuple(channels)}, blocks {tuple(blocks)}"
            raise ConfigError(explain("SmallBackbone", given, "each stage has a number of both"))
        layers: list[nn.Module] = []
        before = in_channels
        for after, count in zip(channels, blocks, strict=True):
            layers.append(conv_norm_relu(before, after, stride=2))
            layers += [BasicBlock(after, after) for _ in range(count)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.stride, self.out_channels = 2 ** len(channels), channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)  # (batch, out_channels, height / stride, width / stride)
