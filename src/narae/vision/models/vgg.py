"""VGG: nothing but convolutions of 3 x 3, in five stages, and three linear layers.

Two of 3 x 3 see as much as one of 5 x 5, with fewer weights and a nonlinearity between them.

Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition
(2014), table 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import narae.nn as nn
from narae.tensors import Tensor, flatten

from .registry import register_model, with_weights

__all__ = [
    "VGG",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

_CHANNELS = (64, 128, 256, 512, 512)

# How many convolutions each stage has, by the columns of table 1.
CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),  # A
    13: (2, 2, 2, 2, 2),  # B
    16: (2, 2, 3, 3, 3),  # D
    19: (2, 2, 4, 4, 4),  # E
}


def make_layers(convolutions: Sequence[int], batch_norm: bool = False) -> nn.Sequential:
    """The stages: convolutions that keep the size, then a pooling that halves it.

    Args:
        convolutions: how many each of the five stages has.
        batch_norm: normalize after each.
    """
    layers: list[nn.Module] = []
    before = 3
    for after, count in zip(_CHANNELS, convolutions, strict=True):
        for _ in range(count):
            norm = [nn.BatchNorm2d(after)] if batch_norm else []
            layers += [nn.Conv2d(before, after, kernel_size=3, padding=1), *norm, nn.ReLU()]
            before = after
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """Stages of convolutions, then three linear layers.

    Args:
        features: the stages: (batch, 3, height, width) to (batch, 512, height/32, width/32).
        num_classes: how many numbers come out.
        init_weights: begin as torchvision does; otherwise each layer as by itself.
        dropout: the share of values that the last two linear layers do not see in training.
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            _first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width), at least 32 pixels high and wide
        """
        x = self.features(x)  # (batch, 512, height/32, width/32)
        x = flatten(self.avgpool(x), 1)  # (batch, 512 * 7 * 7)
        return self.classifier(x)  # (batch, num_classes)


def _first_weights(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)


def _vgg(layers: int, batch_norm: bool, weights: Any, **kwargs: Any) -> VGG:
    if weights is not None:
        kwargs["init_weights"] = False
    features = make_layers(CONVOLUTIONS[layers], batch_norm)
    return with_weights(partial(VGG, features), weights, **kwargs)


@register_model()
def vgg11(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11: 132,863,336 parameters."""
    return _vgg(11, False, weights, **kwargs)


@register_model()
def vgg11_bn(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11 with batch normalization: 132,868,840 parameters."""
    return _vgg(11, True, weights, **kwargs)


@register_model()
def vgg13(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13: 133,047,848 parameters."""
    return _vgg(13, False, weights, **kwargs)


@register_model()
def vgg13_bn(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13 with batch normalization: 133,053,736 parameters."""
    return _vgg(13, True, weights, **kwargs)


@register_model()
def vgg16(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16: 138,357,544 parameters."""
    return _vgg(16, False, weights, **kwargs)


@register_model()
def vgg16_bn(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16 with batch normalization: 138,365,992 parameters."""
    return _vgg(16, True, weights, **kwargs)


@register_model()
def vgg19(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19: 143,667,240 parameters."""
    return _vgg(19, False, weights, **kwargs)


@register_model()
def vgg19_bn(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19 with batch normalization: 143,678,248 parameters."""
    return _vgg(19, True, weights, **kwargs)
