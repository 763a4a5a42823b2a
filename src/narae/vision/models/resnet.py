"""Residual networks: each block adds what it learned to what it was given.

    out = relu(F(x) + x)

With ResNeXt (the 3 x 3 convolutions of a block in groups) and wide residual networks (more
channels inside a block). Names and state-dict keys are torchvision's, so its weights load.

Sources: He et al., Deep residual learning for image recognition (2015), table 1; Xie et al.,
Aggregated residual transformations for deep neural networks (2016); Zagoruyko and Komodakis, Wide
residual networks (2016). As in torchvision, the stride of a bottleneck stands at its 3 x 3
convolution ("ResNet v1.5").
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import narae.nn as nn
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor, flatten

from .registry import register_model, with_weights

Norm = Callable[[int], nn.Module]

__all__ = [
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A convolution of 3 x 3 with padding, without bias: a normalization follows."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of 1 x 1 without bias: each pixel's channels are mixed."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a skip around them.

    Args:
        inplanes, planes: channels before and after.
        stride: of the first convolution.
        downsample: what makes the input fit the result; None where it fits.
        groups, base_width, dilation: as `Bottleneck` takes them; here 1, 64 and 1 only.
        norm_layer: makes a normalization of as many channels as it is told.

    Raises:
        ConfigError: for groups, a width or a dilation that only a bottleneck can have.
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if (groups, base_width, dilation) != (1, 64, 1):
            given = f"groups={groups}, base_width={base_width}, dilation={dilation}"
            rule = "a BasicBlock has one group, width 64 and no dilation"
            raise ConfigError(explain("BasicBlock", given, rule, "use a net of Bottleneck blocks"))
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))  # (batch, planes, height/stride, width/stride)
        out = self.bn2(self.conv2(out))
        return self.relu(out + skip)


class Bottleneck(nn.Module):
    """1 x 1 to few channels, 3 x 3 among the few, 1 x 1 to four times as many; a skip around them.

    Args:
        inplanes: channels before; after it are `4 * planes`.
        planes: channels of the 3 x 3 convolution, where base_width is 64 and groups is 1.
        stride, dilation, groups: of the 3 x 3 convolution.
        downsample: what makes the input fit the result; None where it fits.
        base_width: the 3 x 3 convolution has `planes * base_width / 64` channels in each group.
        norm_layer: makes a normalization of as many channels as it is told.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))  # (batch, width, height, width)
        out = self.relu(self.bn2(self.conv2(out)))  # … / stride
        out = self.bn3(self.conv3(out))  # (batch, 4 * planes, …)
        return self.relu(out + skip)


class ResNet(nn.Module):
    """A stem, four stages of blocks, an average over the pixels, and a linear layer.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: how many blocks each of the four stages has.
        num_classes: how many numbers come out.
        zero_init_residual: begin with blocks that add nothing.
        groups, width_per_group: of the blocks' 3 x 3 convolutions.
        replace_stride_with_dilation: for each of the last three stages, whether it keeps the size
            of its input and looks wider instead.
        norm_layer: makes a normalization of as many channels as it is told; `BatchNorm2d`.

    Raises:
        ConfigError: if replace_stride_with_dilation has not three elements.

    >>> import narae
    >>> ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)(narae.zeros(2, 3, 32, 32)).shape
    narae.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilate = _three(replace_stride_with_dilation)
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes, self.dilation = 64, 1
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        _first_weights(self, zero_init_residual)

    def _make_layer(
        self,
        block: type[BasicBlock | Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """One stage: the first block may change size and channels, the others keep them."""
        dilation = self.dilation  # the first block still has that of the stage before
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        before, after = self.inplanes, planes * block.expansion
        downsample = None
        if stride != 1 or before != after:
            downsample = nn.Sequential(conv1x1(before, after, stride), self._norm_layer(after))
        shape = (self.groups, self.base_width)
        stage = [block(before, planes, stride, downsample, *shape, dilation, self._norm_layer)]
        self.inplanes = after
        for _ in range(1, blocks):
            stage.append(block(after, planes, 1, None, *shape, self.dilation, self._norm_layer))
        return nn.Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width)
        """
        x = self.relu(self.bn1(self.conv1(x)))  # (batch, 64, height/2, width/2)
        x = self.maxpool(x)  # (batch, 64, height/4, width/4)
        x = self.layer1(x)
        x = self.layer2(x)  # … /8
        x = self.layer3(x)  # … /16
        x = self.layer4(x)  # (batch, channels, height/32, width/32)
        x = flatten(self.avgpool(x), 1)  # (batch, channels)
        return self.fc(x)  # (batch, num_classes)


def _three(dilate: Sequence[bool] | None) -> Sequence[bool]:
    if dilate is None:
        return False, False, False
    if len(dilate) != 3:
        given = f"replace_stride_with_dilation={dilate}"
        raise ConfigError(explain("ResNet", given, "it has three elements, or is None"))
    return dilate


def _first_weights(model: nn.Module, zero_init_residual: bool) -> None:
    """He et al., Delving deep into rectifiers (2015), for the convolutions."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, BasicBlock | Bottleneck):
                last: Any = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                nn.init.zeros_(last.weight)


def _resnet(
    block: type[BasicBlock | Bottleneck], layers: Sequence[int], weights: Any, **kwargs: Any
) -> ResNet:
    return with_weights(partial(ResNet, block, layers), weights, **kwargs)


@register_model()
def resnet18(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-18: 11,689,512 parameters."""
    return _resnet(BasicBlock, [2, 2, 2, 2], weights, **kwargs)


@register_model()
def resnet34(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-34: 21,797,672 parameters."""
    return _resnet(BasicBlock, [3, 4, 6, 3], weights, **kwargs)


@register_model()
def resnet50(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50, of bottlenecks: 25,557,032 parameters."""
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, **kwargs)


@register_model()
def resnet101(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-101: 44,549,160 parameters."""
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, **kwargs)


@register_model()
def resnet152(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-152: 60,192,808 parameters."""
    return _resnet(Bottleneck, [3, 8, 36, 3], weights, **kwargs)


@register_model()
def resnext50_32x4d(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-50, 32 groups of 4 channels: 25,028,904 parameters."""
    wide: dict[str, Any] = {"groups": 32, "width_per_group": 4, **kwargs}
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, **wide)


@register_model()
def resnext101_32x8d(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-101, 32 groups of 8 channels: 88,791,336 parameters."""
    wide: dict[str, Any] = {"groups": 32, "width_per_group": 8, **kwargs}
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, **wide)


@register_model()
def resnext101_64x4d(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-101, 64 groups of 4 channels: 83,455,272 parameters."""
    wide: dict[str, Any] = {"groups": 64, "width_per_group": 4, **kwargs}
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, **wide)


@register_model()
def wide_resnet50_2(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Wide ResNet-50-2, bottlenecks twice as wide: 68,883,240 parameters."""
    wide: dict[str, Any] = {"width_per_group": 128, **kwargs}
    return _resnet(Bottleneck, [3, 4, 6, 3], weights, **wide)


@register_model()
def wide_resnet101_2(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Wide ResNet-101-2: 126,886,696 parameters."""
    wide: dict[str, Any] = {"width_per_group": 128, **kwargs}
    return _resnet(Bottleneck, [3, 4, 23, 3], weights, **wide)
