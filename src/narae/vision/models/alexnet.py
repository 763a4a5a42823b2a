"""AlexNet: the network that made convolutions the way to see, in two forms.

`alexnet` is torchvision's, the form for one machine (Krizhevsky, One weird trick for parallelizing
convolutional neural networks, 2014). `alexnet_2012` is that of the paper: its kernels were spread
over two GPUs that met in the third convolution and in the linear layers only, which is a
convolution in two groups; and it normalizes neighbouring channels.

Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
networks (2012), section 3.
"""

from typing import Any

import narae.nn as nn
from narae.tensors import Tensor, flatten

from .registry import register_model, with_weights

__all__ = ["AlexNet", "AlexNet2012", "alexnet", "alexnet_2012"]


def _overlapping_pool() -> nn.MaxPool2d:
    """Windows of 3 every 2 pixels: neighbours share a row (section 3.4)."""
    return nn.MaxPool2d(kernel_size=3, stride=2)


def _classifier(num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(p=dropout),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(),
        nn.Dropout(p=dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, num_classes),
    )


class AlexNet(nn.Module):
    """Five convolutions, three overlapping poolings, three linear layers with dropout.

    Args:
        num_classes: how many numbers come out.
        dropout: the share of values that the first two linear layers do not see in training.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(),
            _overlapping_pool(),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(),
            _overlapping_pool(),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(),
            _overlapping_pool(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = _classifier(num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width), at least 63 pixels high and wide
        """
        x = self.features(x)  # (batch, 256, 6, 6) for 224 x 224
        x = flatten(self.avgpool(x), 1)  # (batch, 9216)
        return self.classifier(x)  # (batch, num_classes)


class HalvesNorm(nn.Module):
    """Local response normalization of each half of the channels by itself, as on two GPUs.

    The constants are those of section 3.3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize.

        Args:
            x: (batch, channels, height, width)
        """
        batch, channels, height, width = x.shape
        halves = x.reshape(2 * batch, channels // 2, height, width)
        return self.norm(halves).reshape(batch, channels, height, width)


class AlexNet2012(nn.Module):
    """AlexNet as in the paper: the second, fourth and fifth convolution in two groups.

    Args:
        num_classes: how many numbers come out.
        dropout: the share of values that the first two linear layers do not see in training.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, kernel_size=11, stride=4),
            nn.ReLU(),
            HalvesNorm(),
            _overlapping_pool(),
            nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
            nn.ReLU(),
            HalvesNorm(),
            _overlapping_pool(),
            nn.Conv2d(256, 384, kernel_size=3, padding=1),  # here each GPU sees both halves
            nn.ReLU(),
            nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
            nn.ReLU(),
            _overlapping_pool(),
        )
        self.classifier = _classifier(num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, 227, 227)
        """
        x = flatten(self.features(x), 1)  # (batch, 256 * 6 * 6)
        return self.classifier(x)  # (batch, num_classes)


@register_model()
def alexnet(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """AlexNet: 61,100,840 parameters."""
    return with_weights(AlexNet, weights, **kwargs)


@register_model(picture=(3, 227, 227))
def alexnet_2012(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> AlexNet2012:
    """AlexNet in two groups, as in the paper: 60,965,224 parameters."""
    return with_weights(AlexNet2012, weights, **kwargs)
