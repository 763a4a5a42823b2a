"""LeNet-5: two convolutions with pooling, then three linear layers, for handwritten digits.

The form in use today: every map of the second convolution sees all of the first, pooling is a plain
average, and the last layer is linear.

Source: LeCun et al., Gradient-based learning applied to document recognition (1998), figure 2.
"""

from typing import Any

import narae.nn as nn
from narae.tensors import Tensor, flatten

from .registry import register_model, with_weights

__all__ = ["LeNet5", "lenet5"]


class LeNet5(nn.Module):
    """LeNet-5.

    Args:
        num_classes: how many numbers come out.
        padding: pixels around the picture: 0 for 32 x 32, as in the paper, 2 for MNIST's 28 x 28.
    """

    def __init__(self, num_classes: int = 10, padding: int = 0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=padding),  # C1: (batch, 6, 28, 28)
            nn.Tanh(),
            nn.AvgPool2d(2),  # S2: (batch, 6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5),  # C3: (batch, 16, 10, 10)
            nn.Tanh(),
            nn.AvgPool2d(2),  # S4: (batch, 16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),  # C5
            nn.Tanh(),
            nn.Linear(120, 84),  # F6
            nn.Tanh(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (batch, 1, 32, 32), or (batch, 1, 28, 28) with padding 2
        """
        x = flatten(self.features(x), 1)  # (batch, 400)
        return self.classifier(x)  # (batch, num_classes)


@register_model(picture=(1, 32, 32))
def lenet5(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> LeNet5:
    """LeNet-5: 61,706 parameters."""
    return with_weights(LeNet5, weights, **kwargs)
