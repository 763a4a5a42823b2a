"""Backbones that give a detector its feature maps: a residual network and a pyramid."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.tensors import Tensor
from narae.vision.ops.feature_pyramid import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
)
from narae.vision.ops.frozen_batch_norm import FrozenBatchNorm2d

from ..intermediate import IntermediateLayerGetter
from ..registry import get_model_builder
from ..resnet import ResNet

Norm = Callable[[int], Module]


class BackboneWithFPN(Module):
    """Some layers of a model, and a feature pyramid on their results.

    Args:
        backbone: a model whose children follow each other.
        return_layers: names of its layers, and those of their results.
        in_channels_list: channels of each result.
        out_channels: channels of the pyramid.
        extra_blocks: makes further maps; by default one more, every second pixel of the last.
        norm_layer: makes a normalization behind each convolution of the pyramid.
    """

    def __init__(
        self,
        backbone: Module,
        return_layers: Mapping[str, str],
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        extra_blocks = extra_blocks or LastLevelMaxPool()
        self.body = IntermediateLayerGetter(backbone, return_layers)
        self.fpn = FeaturePyramidNetwork(in_channels_list, out_channels, extra_blocks, norm_layer)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> "OrderedDict[str, Tensor]":
        """Images (batch, 3, height, width) to maps by name."""
        maps: OrderedDict[str, Tensor] = self.fpn(self.body(x))
        return maps


def resnet_fpn_backbone(
    *,
    backbone_name: str,
    weights: Any = None,
    norm_layer: Norm = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> BackboneWithFPN:
    """A residual network with a feature pyramid of 256 channels.

    Args:
        backbone_name: such as "resnet50".
        weights: of the residual network: a path, a state dict, a Hugging Face repository, or None.
        norm_layer: of the residual network.
        trainable_layers: how many of conv1, layer1, … layer4 train, from the last; 0 to 5.
        returned_layers: which of layer1 to layer4 go into the pyramid; by default all.
        extra_blocks: makes further maps.

    Raises:
        ConfigError: layers that there are not.

    >>> import narae
    >>> backbone = resnet_fpn_backbone(backbone_name="resnet18", trainable_layers=5)
    >>> [(name, *x.shape[1:]) for name, x in backbone(narae.rand(1, 3, 32, 32)).items()]
    [('0', 256, 8, 8), ('1', 256, 4, 4), ('2', 256, 2, 2), ('3', 256, 1, 1), ('pool', 256, 1, 1)]
    """
    layers = _checked(trainable_layers, returned_layers)
    model = get_model_builder(backbone_name)(weights=weights, norm_layer=norm_layer)
    if not isinstance(model, ResNet):
        given = f"backbone_name is {backbone_name!r}"
        raise ConfigError(explain("resnet_fpn_backbone", given, "it is a residual network"))
    return resnet_fpn_extractor(model, trainable_layers, layers, extra_blocks)


def resnet_fpn_extractor(
    backbone: ResNet,
    trainable_layers: int,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Norm | None = None,
) -> BackboneWithFPN:
    """The same for a residual network that exists; layers that do not train are frozen in it."""
    layers = _checked(trainable_layers, returned_layers)
    trained = ("layer4", "layer3", "layer2", "layer1", "conv1")[:trainable_layers]
    trained += ("bn1",) if trainable_layers == 5 else ()
    for name, parameter in backbone.named_parameters():
        if not name.startswith(trained):
            parameter.requires_grad_(False)
    names = {f"layer{layer}": str(place) for place, layer in enumerate(layers)}
    first = backbone.inplanes // 8
    channels = [first * 2 ** (layer - 1) for layer in layers]
    return BackboneWithFPN(backbone, names, channels, 256, extra_blocks, norm_layer)


def _checked(trainable_layers: int, returned_layers: Sequence[int] | None) -> list[int]:
    if not 0 <= trainable_layers <= 5:
        given = f"trainable_layers is {trainable_layers}"
        raise ConfigError(explain("resnet_fpn_backbone", given, "it is 0 to 5"))
    layers = list(returned_layers or (1, 2, 3, 4))
    if min(layers) < 1 or max(layers) > 4:
        given = f"returned_layers are {layers}"
        raise ConfigError(explain("resnet_fpn_backbone", given, "each is 1 to 4"))
    return layers


def trainable_or_all(is_trained: bool, wanted: int | None, most: int = 5, default: int = 3) -> int:
    """How many layers of a backbone train: all of one that was not trained before.

    Warns:
        UserWarning: a wish for fewer layers that has no effect.
    """
    if is_trained:
        return default if wanted is None else wanted
    if wanted is not None:
        warnings.warn(
            "Changing trainable_backbone_layers has no effect if neither weights nor "
            f"weights_backbone are given; all {most} layers train",
            stacklevel=3,
        )
    return most
