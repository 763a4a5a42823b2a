"""A classifier as a fully convolutional network: linear layers become convolutions.

A linear layer that looks at a whole feature map (channels, k, k) is a k x k convolution at the only
place it fits; one that looks at single numbers is a 1 x 1 convolution. Given a larger picture, the
same weights give a map of answers, at the cost of little more than one.

Source: Long et al., Fully convolutional networks for semantic segmentation (2015), section 3.1.
"""

from collections.abc import Iterable
from typing import Any

import narae.nn as nn
from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor, no_grad


def linear_to_conv(linear: nn.Linear, size: tuple[int, int] = (1, 1)) -> nn.Conv2d:
    """The convolution that computes what a linear layer does, at each place.

    Args:
        linear: looks at a feature map (channels, *size), flattened.
        size: (height, width) of that map.

    Raises:
        ShapeError: if its inputs are no such map.

    >>> import narae
    >>> linear = nn.Linear(8, 3)
    >>> x = narae.randn(1, 2, 2, 2)
    >>> narae.allclose(linear_to_conv(linear, (2, 2))(x).flatten(), linear(x.flatten()))
    True
    """
    height, width = size
    channels, rest = divmod(linear.in_features, max(height * width, 1))
    if rest or min(size) < 1:
        given = f"the layer has {linear.in_features} inputs, the map is {height} x {width}"
        raise ShapeError(explain("linear_to_conv", given, "inputs are channels of whole maps"))
    bias, dtype = linear.bias is not None, linear.weight.dtype
    conv = nn.Conv2d(channels, linear.out_features, size, bias=bias, dtype=dtype)
    with no_grad():
        conv.weight.copy_(linear.weight.reshape(conv.weight.shape))
        if conv.bias is not None and linear.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv


class FullyConvolutional(nn.Module):
    """A classifier that answers at every place of a larger picture.

    Args:
        features: the convolutions of a classifier, such as `alexnet().features`.
        classifier: its linear layers, such as `alexnet().classifier`; weights are copied.
        size: (height, width) of the feature map that the first linear layer looks at.

    Raises:
        ConfigError: for a layer that looks at all places at once, or without any linear layer.
        ShapeError: if the first linear layer does not fit the map.

    >>> import narae
    >>> features, head = nn.Conv2d(1, 2, 3), nn.Linear(2 * 4 * 4, 5)  # for pictures of 6 x 6
    >>> whole = FullyConvolutional(features, [nn.Flatten(), head], size=(4, 4))
    >>> x = narae.randn(1, 1, 8, 9)
    >>> whole(x).shape
    narae.Size([1, 5, 3, 4])
    >>> answer = head(features(x[:, :, 2:8, 3:9]).flatten(1))
    >>> narae.allclose(whole(x)[:, :, 2, 3], answer, atol=1e-6)
    True
    """

    def __init__(
        self, features: nn.Module, classifier: Iterable[nn.Module], size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Sequential(*_as_convolutions(classifier, size))

    def forward(self, x: Tensor) -> Tensor:
        """Scores at each place, (batch, classes, rows, columns).

        Args:
            x: (batch, channels, height, width), at least of the size that the classifier takes.
        """
        return self.classifier(self.features(x))


def _as_convolutions(classifier: Iterable[nn.Module], size: tuple[int, int]) -> list[nn.Module]:
    made: list[nn.Module] = []
    seen: Any = None
    for layer in classifier:
        if isinstance(layer, nn.Linear):
            seen = size if seen is None else (1, 1)
            made.append(linear_to_conv(layer, seen))
        elif isinstance(layer, nn.ReLU | nn.Tanh | nn.Sigmoid | nn.Identity | nn.Dropout):
            made.append(layer)
        elif not isinstance(layer, nn.Flatten):
            rule = "between linear layers stand activations and dropout, number by number"
            raise ConfigError(explain("FullyConvolutional", f"the layer {layer}", rule))
    if seen is None:
        rule = "a classifier has at least one"
        raise ConfigError(explain("FullyConvolutional", "there is no linear layer", rule))
    return made
