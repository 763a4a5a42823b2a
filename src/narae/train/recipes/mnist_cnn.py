"""MNIST, 28 x 28 pixels: two convolution blocks and one linear layer, as in many a course."""

from collections.abc import Mapping
from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.optim import Adam, Optimizer
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets import MNIST
from narae.vision.transforms import ToTensor

SETTINGS = Settings(epochs=15, lr=1e-3, batch_size=128, seed=777)
INPUT_SHAPE = (1, 28, 28)


def data(data_dir: Path | None) -> Data:
    """60,000 digits to learn from and 10,000 to test on; found, or downloaded once."""
    train = MNIST(data_dir, train=True, transform=ToTensor(), download=True)
    test = MNIST(data_dir, train=False, transform=ToTensor(), download=True)
    return Data(train, test, tuple("0123456789"))


def model() -> nn.Module:
    """Two blocks of convolution and pooling; the linear layer begins with Xavier's weights."""
    linear = nn.Linear(7 * 7 * 64, 10)
    nn.init.xavier_uniform_(linear.weight)
    return nn.Sequential(  # (batch, 1, 28, 28)
        nn.Conv2d(1, 32, kernel_size=3, padding=1),  # (batch, 32, 28, 28)
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2, stride=2),  # (batch, 32, 14, 14)
        nn.Conv2d(32, 64, kernel_size=3, padding=1),  # (batch, 64, 14, 14)
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2, stride=2),  # (batch, 64, 7, 7)
        nn.Flatten(),  # (batch, 3136)
        linear,  # (batch, 10)
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the scores."""
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float) -> Optimizer:
    """Adam, as it is."""
    return Adam(model.parameters(), lr=lr)


def metrics(out: Tensor, target: Tensor) -> Mapping[str, Tensor]:
    """The share of right answers."""
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
