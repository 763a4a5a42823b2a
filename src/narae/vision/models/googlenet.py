"""GoogLeNet: blocks that look at a picture in four ways at once and put the results side by side.

Convolutions of 1 x 1 before the larger ones make the channels few, so that 22 layers have a tenth
of AlexNet's weights. Two auxiliary classifiers half-way help the gradient in training.

As in torchvision, batch normalization follows each convolution, and the branch that the paper
gives 5 x 5 has 3 x 3: so the published weights were trained.

Source: Szegedy et al., Going deeper with convolutions (2014), table 1 and figure 2.
"""

from typing import Any, NamedTuple

import narae.nn as nn
import narae.nn.functional as F
from narae.tensors import Tensor, cat, flatten

from .registry import register_model, with_weights

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]


class GoogLeNetOutputs(NamedTuple):
    """What comes out in training: the logits, and those of the two auxiliary classifiers."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """Convolution, normalization, ReLU.

    Args:
        in_channels, out_channels: before and after.
        kwargs: what else `nn.Conv2d` takes.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches over the same input, side by side in the result (figure 2b).

    Args:
        in_channels: before.
        ch1x1: channels of the branch of 1 x 1.
        ch3x3red, ch3x3: of the second branch: of 1 x 1, which makes them few, then of 3 x 3.
        ch5x5red, ch5x5: of the third branch, in the same way.
        pool_proj: of the branch that pools, then mixes by 1 x 1.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return cat([branch(x) for branch in branches], 1)  # (batch, sum of channels, …)


class InceptionAux(nn.Module):
    """An auxiliary classifier on 4 x 4 averages.

    Args:
        in_channels: before.
        num_classes: how many numbers come out.
        dropout: before the last layer.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, (4, 4))  # (batch, channels, 4, 4)
        x = flatten(self.conv(x), 1)  # (batch, 2048)
        x = self.dropout(F.relu(self.fc1(x)))  # (batch, 1024)
        return self.fc2(x)  # (batch, num_classes)


class GoogLeNet(nn.Module):
    """Three convolutions, nine Inception blocks, an average over the pixels, one linear layer.

    Args:
        num_classes: how many numbers come out.
        aux_logits: whether there are auxiliary classifiers; they answer in training only.
        transform_input: turn an input that was normalized by ImageNet's means and deviations into
            one by 0.5 and 0.5, which the published weights expect.
        init_weights: begin with normal numbers of deviation 0.01; otherwise as each layer does.
        dropout, dropout_aux: before the last layer of the net and of its auxiliary classifiers.
    """

    aux1: InceptionAux | None
    aux2: InceptionAux | None

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self._add_blocks()
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            _first_weights(self)

    def _add_blocks(self) -> None:
        """The rows of table 1."""
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)

    def forward(self, x: Tensor) -> Any:
        """Logits; in training, with auxiliary classifiers, `GoogLeNetOutputs`.

        Args:
            x: (batch, 3, height, width)
        """
        auxiliary = self.training and self.aux_logits
        if self.transform_input:
            x = _as_halves(x)
        x = self.maxpool1(self.conv1(x))  # (batch, 64, height/4, width/4)
        x = self.maxpool2(self.conv3(self.conv2(x)))  # (batch, 192, height/8, width/8)
        x = self.inception3b(self.inception3a(x))  # (batch, 480, …)
        x = self.inception4a(self.maxpool3(x))  # (batch, 512, height/16, width/16)
        aux1 = self.aux1(x) if auxiliary and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (batch, 528, …)
        aux2 = self.aux2(x) if auxiliary and self.aux2 is not None else None
        x = self.maxpool4(self.inception4e(x))  # (batch, 832, height/32, width/32)
        x = self.inception5b(self.inception5a(x))  # (batch, 1024, …)
        x = self.dropout(flatten(self.avgpool(x), 1))  # (batch, 1024)
        logits = self.fc(x)  # (batch, num_classes)
        return GoogLeNetOutputs(logits, aux2, aux1) if auxiliary else logits


def _as_halves(x: Tensor) -> Tensor:
    """From (pixel - mean) / deviation, of ImageNet, to (pixel - 0.5) / 0.5, channel by channel."""
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [
        x[:, i : i + 1] * (deviations[i] / 0.5) + (means[i] - 0.5) / 0.5  # (batch, 1, …)
        for i in range(3)
    ]
    return cat(channels, 1)


def _first_weights(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)


@register_model()
def googlenet(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> GoogLeNet:
    """GoogLeNet: 13,004,888 parameters; 6,624,904 without the auxiliary classifiers.

    With weights, as in torchvision: `transform_input` is True unless it is said, the weights hold
    the auxiliary classifiers, and these are kept only with `aux_logits=True`.
    """
    if weights is None:
        return with_weights(GoogLeNet, None, **kwargs)
    keep = kwargs.pop("aux_logits", False)
    config: dict[str, Any] = {"transform_input": True, **kwargs}
    model = with_weights(GoogLeNet, weights, **config, aux_logits=True, init_weights=False)
    if not keep:
        model.aux_logits, model.aux1, model.aux2 = False, None, None
    return model
