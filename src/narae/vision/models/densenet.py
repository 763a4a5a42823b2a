"""DenseNet: each layer sees the results of all layers before it in its block, side by side.

    x_l = H_l([x_0, x_1, ..., x_(l-1)])

where H is normalization, ReLU, 1 x 1 convolution, normalization, ReLU, 3 x 3 convolution.

Source: Huang et al., Densely connected convolutional networks (2016), equation 2 and table 1.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.tensors import Tensor, cat, flatten
from narae.tensors.checkpoint import checkpoint

from .registry import register_model, with_weights

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]

# Layers of published weights are called norm.1 where they are norm1 now.
_OLD_NAME = re.compile(r"^(norm|relu|conv)\.([12])\.")


class DenseLayer(nn.Module):
    """H of one layer.

    Args:
        num_input_features: channels of everything before.
        growth_rate: channels that come out.
        bn_size: the 1 x 1 convolution has `bn_size * growth_rate` channels.
        drop_rate: the share of values that are dropped in training.
        memory_efficient: compute the first half again in the backward pass.
    """

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        width = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(num_input_features, width, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def _bottleneck(self, *before: Tensor) -> Tensor:
        side_by_side = cat(before, 1)  # (batch, num_input_features, height, width)
        return self.conv1(self.relu1(self.norm1(side_by_side)))

    def forward(self, before: Sequence[Tensor]) -> Tensor:
        """What this layer adds: (batch, growth_rate, height, width).

        Args:
            before: all results before, each (batch, its channels, height, width)
        """
        again = self.memory_efficient and any(x.requires_grad for x in before)
        if again:
            out = checkpoint(self._bottleneck, *before, use_reentrant=False)
        else:
            out = self._bottleneck(*before)
        out = self.conv2(self.relu2(self.norm2(out)))
        if self.drop_rate > 0:
            out = F.dropout(out, p=self.drop_rate, training=self.training)
        return out

    def _prepare_loading(self, state_dict: Any, prefix: str, metadata: dict[str, Any]) -> None:
        """Rename what published weights call norm.1, conv.2 and so on."""
        for key in [key for key in state_dict if key.startswith(prefix)]:
            name = _OLD_NAME.sub(r"\1\2.", key[len(prefix) :])
            if prefix + name != key:
                state_dict[prefix + name] = state_dict.pop(key)


class DenseBlock(nn.ModuleDict):
    """Layers that each see all results before.

    Args:
        num_layers: how many.
        num_input_features: channels before; each layer adds `growth_rate`.
        bn_size, growth_rate, drop_rate, memory_efficient: of the layers.
    """

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            channels = num_input_features + i * growth_rate
            layer = DenseLayer(channels, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        results = [x]
        for layer in self.values():
            results.append(layer(results))
        return cat(results, 1)  # (batch, num_input_features + num_layers * growth_rate, …)


def _transition(before: int, after: int) -> nn.Sequential:
    """Half the channels, half the height and width."""
    layers = {
        "norm": nn.BatchNorm2d(before),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(before, after, kernel_size=1, bias=False),
        "pool": nn.AvgPool2d(kernel_size=2, stride=2),
    }
    return nn.Sequential(OrderedDict(layers))


class DenseNet(nn.Module):
    """DenseNet-BC: a stem, four dense blocks with transitions between them, one linear layer.

    Args:
        growth_rate: channels that each layer adds ("k" in the paper).
        block_config: how many layers each of the four blocks has.
        num_init_features: channels of the stem.
        bn_size: a layer's 1 x 1 convolution has `bn_size * growth_rate` channels.
        drop_rate: the share of a layer's values that are dropped in training.
        num_classes: how many numbers come out.
        memory_efficient: keep less for the backward pass, and compute it again.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        channels = num_init_features
        layers: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False),
            "norm0": nn.BatchNorm2d(channels),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        }
        shape = (bn_size, growth_rate, drop_rate, memory_efficient)
        for number, count in enumerate(block_config, 1):
            layers[f"denseblock{number}"] = DenseBlock(count, channels, *shape)
            channels += count * growth_rate
            if number < len(block_config):
                layers[f"transition{number}"] = _transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(OrderedDict(layers))
        self.classifier = nn.Linear(channels, num_classes)
        _first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 3, height, width), at least 29 pixels high and wide
        """
        x = F.relu(self.features(x))  # (batch, channels, height/32, width/32)
        x = flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)  # (batch, channels)
        return self.classifier(x)  # (batch, num_classes)


def _first_weights(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def _densenet(
    growth: int, layers: Sequence[int], first: int, weights: Any, **kwargs: Any
) -> DenseNet:
    return with_weights(partial(DenseNet, growth, layers, first), weights, **kwargs)


@register_model()
def densenet121(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-121: 7,978,856 parameters."""
    return _densenet(32, (6, 12, 24, 16), 64, weights, **kwargs)


@register_model()
def densenet161(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-161: 28,681,000 parameters."""
    return _densenet(48, (6, 12, 36, 24), 96, weights, **kwargs)


@register_model()
def densenet169(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-169: 14,149,480 parameters."""
    return _densenet(32, (6, 12, 32, 32), 64, weights, **kwargs)


@register_model()
def densenet201(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-201: 20,013,928 parameters."""
    return _densenet(32, (6, 12, 48, 32), 64, weights, **kwargs)
