"""Residual networks for pictures of 32 x 32 pixels, and their plain twins without skips.

Six n + 2 layers: a 3 x 3 convolution, three stages of n blocks with 16, 32 and 64 channels, an
average over the pixels, one linear layer. A skip has no weights (option A of the paper): where the
picture shrinks it takes every second pixel and fills up channels with zeros. So a net and its
plain twin have the same parameters, and what differs between them is the skip alone.

State-dict keys are those of the checkpoints of github.com/akamaster/pytorch_resnet_cifar10.

Source: He et al., Deep residual learning for image recognition (2015), section 4.2.
"""

from functools import partial
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor

from .registry import register_model, with_weights

__all__ = [
    "CifarResNet",
    "plain20",
    "plain32",
    "plain44",
    "plain56",
    "plain110",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
]

_SHORTCUTS = ("A", "B", None)
_CIFAR = (3, 32, 32)


def _conv(before: int, after: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)


class PaddedSkip(nn.Module):
    """Option A: every second pixel, and channels of zeros on both sides.

    Args:
        before, after: channels.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.padding = (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Shrink.

        Args:
            x: (batch, before, height, width)
        """
        x = x[:, :, ::2, ::2]  # (batch, before, height/2, width/2)
        return F.pad(x, (0, 0, 0, 0, self.padding, self.padding))  # (batch, after, …)

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


def _shortcut(before: int, after: int, stride: int, option: str | None) -> nn.Module:
    if option == "B" and (stride != 1 or before != after):
        return nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))
    if option == "A" and stride != 1:
        return PaddedSkip(before, after)
    return nn.Sequential()  # what comes in goes out


class CifarBlock(nn.Module):
    """Two 3 x 3 convolutions, with a skip around them or without.

    Args:
        before, after: channels.
        stride: of the first convolution.
        shortcut: "A", without weights; "B", with a 1 x 1 convolution; None, no skip at all.
    """

    def __init__(self, before: int, after: int, stride: int, shortcut: str | None) -> None:
        super().__init__()
        self.conv1 = _conv(before, after, 3, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _conv(after, after, 3, 1)
        self.bn2 = nn.BatchNorm2d(after)
        self.skips = shortcut is not None
        self.shortcut = _shortcut(before, after, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))  # (batch, after, height/stride, width/stride)
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x) if self.skips else out)


class CifarResNet(nn.Module):
    """A net of 6 n + 2 layers for small pictures.

    Args:
        depth: 6 n + 2, such as 20 or 56.
        num_classes: how many numbers come out.
        shortcut: "A" (a skip without weights), "B" (a 1 x 1 convolution where sizes change), or
            None for the plain net.

    Raises:
        ConfigError: for another depth or shortcut.

    >>> import narae
    >>> CifarResNet(8)(narae.zeros(2, 3, 32, 32)).shape
    narae.Size([2, 10])
    """

    def __init__(self, depth: int, num_classes: int = 10, shortcut: str | None = "A") -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            fix = f"take {max(8, depth // 6 * 6 + 2)}"
            rule = "three stages of n blocks of two layers, and two more, are 6 n + 2"
            raise ConfigError(explain("CifarResNet", f"depth={depth}", rule, fix))
        if shortcut not in _SHORTCUTS:
            raise ConfigError(
                explain("CifarResNet", f"shortcut={shortcut!r}", 'it is "A", "B" or None')
            )
        blocks = depth // 6
        self.conv1 = _conv(3, 16, 3, 1)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1, shortcut)
        self.layer2 = _stage(16, 32, blocks, 2, shortcut)
        self.layer3 = _stage(32, 64, blocks, 2, shortcut)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width)
        """
        x = F.relu(self.bn1(self.conv1(x)))  # (batch, 16, height, width)
        x = self.layer1(x)
        x = self.layer2(x)  # (batch, 32, height/2, width/2)
        x = self.layer3(x)  # (batch, 64, height/4, width/4)
        return self.linear(x.mean((2, 3)))  # (batch, num_classes)


def _stage(
    before: int, after: int, blocks: int, stride: int, shortcut: str | None
) -> nn.Sequential:
    first = CifarBlock(before, after, stride, shortcut)
    rest = [CifarBlock(after, after, 1, shortcut) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _net(depth: int, weights: Any, **kwargs: Any) -> CifarResNet:
    return with_weights(partial(CifarResNet, depth), weights, **kwargs)


@register_model(picture=_CIFAR)
def resnet20(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-20 for 32 x 32: 269,722 parameters."""
    return _net(20, weights, **kwargs)


@register_model(picture=_CIFAR)
def resnet32(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-32 for 32 x 32: 464,154 parameters."""
    return _net(32, weights, **kwargs)


@register_model(picture=_CIFAR)
def resnet44(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-44 for 32 x 32: 658,586 parameters."""
    return _net(44, weights, **kwargs)


@register_model(picture=_CIFAR)
def resnet56(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-56 for 32 x 32: 853,018 parameters."""
    return _net(56, weights, **kwargs)


@register_model(picture=_CIFAR)
def resnet110(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-110 for 32 x 32: 1,727,962 parameters."""
    return _net(110, weights, **kwargs)


@register_model(picture=_CIFAR)
def plain20(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-20 without its skips."""
    return _net(20, weights, shortcut=None, **kwargs)


@register_model(picture=_CIFAR)
def plain32(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-32 without its skips."""
    return _net(32, weights, shortcut=None, **kwargs)


@register_model(picture=_CIFAR)
def plain44(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-44 without its skips."""
    return _net(44, weights, shortcut=None, **kwargs)


@register_model(picture=_CIFAR)
def plain56(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-56 without its skips."""
    return _net(56, weights, shortcut=None, **kwargs)


@register_model(picture=_CIFAR)
def plain110(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> CifarResNet:
    """ResNet-110 without its skips."""
    return _net(110, weights, shortcut=None, **kwargs)
