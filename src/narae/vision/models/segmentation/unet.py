"""U-Net: a path down that sees more and more, a path up that knows where.

    down   two 3 x 3 convolutions, then half the size and twice the channels
    up     twice the size and half the channels, beside what the way down knew at that size

Source: Ronneberger et al., U-Net: Convolutional networks for biomedical image segmentation (2015),
figure 1. Here convolutions are padded, so that sizes stay, and batch normalization follows them.
"""

from collections.abc import Sequence
from itertools import pairwise

import narae.nn as nn
from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.joining import cat

from ..registry import register_model

__all__ = ["UNet", "unet"]


def double_conv(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with normalization and ReLU; the size stays."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Scores of each pixel, at the size of the image.

    Args:
        num_classes: how many scores a pixel gets.
        in_channels: of the image.
        widths: channels at each size, from the full one to the smallest.
        dropout: share of the channels of the smallest map that are left out in training.

    Raises:
        ConfigError: if there are less than two widths.

    >>> import narae
    >>> UNet(2, widths=(4, 8, 16))(narae.zeros(1, 3, 21, 30)).shape
    narae.Size([1, 2, 21, 30])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            rule = "there are at least two sizes, so that one is half the other"
            raise ConfigError(explain("UNet", f"widths are {tuple(widths)}", rule))
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(
            double_conv(before, after) for before, after in [(in_channels, widths[0]), *steps]
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout2d(dropout)
        back = [(deep, high) for high, deep in reversed(steps)]
        self.grow = nn.ModuleList(nn.ConvTranspose2d(deep, high, 2, 2) for deep, high in back)
        self.up = nn.ModuleList(double_conv(2 * high, high) for _, high in back)
        self.score = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (batch, classes, height, width).

        Args:
            x: (batch, channels, height, width); any size that can be halved for each width.

        Raises:
            ShapeError: if the image is smaller than one pixel of the smallest map.
        """
        self._check_size(x)
        skips = []
        for place, block in enumerate(self.down):
            x = block(x if place == 0 else self.pool(x))  # half as high and wide, rounded down
            skips.append(x)
        x = self.dropout(skips.pop())
        for grow, block in zip(self.grow, self.up, strict=True):
            skip = skips.pop()
            x = cat([skip, _fitted(grow(x), skip)], dim=1)  # (batch, 2 * channels, …)
            x = block(x)
        return self.score(x)

    def _check_size(self, x: Tensor) -> None:
        least = 2 ** (len(self.down) - 1)
        if min(x.shape[-2:]) < least:
            given = f"the image is {tuple(x.shape[-2:])}"
            rule = f"with {len(self.down)} sizes it has at least {least} rows and columns"
            raise ShapeError(explain("UNet", given, rule))


def _fitted(x: Tensor, skip: Tensor) -> Tensor:
    """One row or column more where halving an odd size lost it."""
    missing = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
    if missing == (0, 0):
        return x
    return nn.functional.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")


@register_model()
def unet(
    *,
    num_classes: int = 2,
    in_channels: int = 3,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    dropout: float = 0.0,
) -> UNet:
    """U-Net with the paper's five widths: 31,037,698 parameters for two classes."""
    return UNet(num_classes, in_channels, widths, dropout)
