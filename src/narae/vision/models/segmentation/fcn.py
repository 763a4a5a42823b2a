"""FCN on a ResNet, as torchvision builds it: its names, its state-dict keys, its logits.

The last two stages of the ResNet keep their size and are dilated instead, so that the feature map
is at 1/8 of the size; the head's scores are interpolated to full size.

Sources: Long et al., Fully convolutional networks for semantic segmentation (2015); Chen et al.,
Rethinking atrous convolution for semantic image segmentation (2017), for the dilated backbone.
"""

from collections import OrderedDict
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.tensors import Tensor

from ..intermediate import IntermediateLayerGetter
from ..registry import register_model, with_weights
from ..resnet import ResNet, resnet50, resnet101

__all__ = ["FCN", "FCNHead", "fcn_resnet50", "fcn_resnet101"]

_DILATED = (False, True, True)
_SHARE_OF_HEAD = 4  # the head has so many times fewer channels than the feature map


class FCNHead(nn.Sequential):
    """Scores of each place of a feature map.

    Args:
        in_channels: of the feature map.
        channels: how many scores a place gets.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        between = in_channels // _SHARE_OF_HEAD
        super().__init__(
            nn.Conv2d(in_channels, between, 3, padding=1, bias=False),
            nn.BatchNorm2d(between),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(between, channels, 1),
        )


class FCN(nn.Module):
    """A backbone, a head for its last feature map, and perhaps one for the map before.

    Args:
        backbone: gives feature maps by name: "out", and "aux" for the second head.
        classifier: makes scores of "out".
        aux_classifier: makes scores of "aux"; None: there is no second head.
    """

    def __init__(
        self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Scores of each pixel, "out" and "aux", (batch, classes, height, width).

        Args:
            x: (batch, 3, height, width)
        """
        size, maps = x.shape[2:], self.backbone(x)
        heads = {"out": self.classifier, "aux": self.aux_classifier}
        return OrderedDict(
            (name, F.interpolate(head(maps[name]), size=size, mode="bilinear"))
            for name, head in heads.items()
            if head is not None
        )


def _fcn_resnet(backbone: ResNet, num_classes: int, aux_loss: bool) -> FCN:
    wanted = {"layer4": "out", **({"layer3": "aux"} if aux_loss else {})}
    channels = backbone.fc.in_features
    aux = FCNHead(channels // 2, num_classes) if aux_loss else None
    return FCN(IntermediateLayerGetter(backbone, wanted), FCNHead(channels, num_classes), aux)


def _build(
    resnet: Any, weights: Any, num_classes: int, aux_loss: bool | None, backbone: Any, rest: Any
) -> FCN:
    aux = weights is not None if aux_loss is None else aux_loss

    def make() -> FCN:
        dilated = resnet(weights=backbone, replace_stride_with_dilation=_DILATED)
        return _fcn_resnet(dilated, num_classes, aux)

    return with_weights(make, weights, **rest)


@register_model()
def fcn_resnet50(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int = 21,
    aux_loss: bool | None = None,
    weights_backbone: Any = None,
    **kwargs: Any,
) -> FCN:
    """FCN on a dilated ResNet-50: 35,322,218 parameters with the second head.

    Args:
        weights: a path, a state dict or a Hugging Face repository.
        progress: as in torchvision; it changes nothing.
        num_classes: with the background.
        aux_loss: whether there is a second head; None: with `weights` only, as torchvision does.
        weights_backbone: weights of the ResNet-50 alone.
        kwargs: `ignore_mismatched=True` leaves out weights that do not fit.
    """
    return _build(resnet50, weights, num_classes, aux_loss, weights_backbone, kwargs)


@register_model()
def fcn_resnet101(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int = 21,
    aux_loss: bool | None = None,
    weights_backbone: Any = None,
    **kwargs: Any,
) -> FCN:
    """FCN on a dilated ResNet-101: 54,314,346 parameters with the second head.

    Args:
        weights, progress, num_classes, aux_loss, weights_backbone, kwargs: as `fcn_resnet50`.
    """
    return _build(resnet101, weights, num_classes, aux_loss, weights_backbone, kwargs)
