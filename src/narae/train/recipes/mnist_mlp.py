"""MNIST, 28 x 28 pixels, two hidden layers: quick without a compiler, about 98 %."""

from collections.abc import Mapping
from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets import MNIST
from narae.vision.transforms import Compose, Normalize, ToTensor

SETTINGS = Settings(epochs=5, lr=2e-3, batch_size=128, seed=0)


def data(data_dir: Path | None) -> Data:
    """60,000 digits to learn from and 10,000 to test on; found, or downloaded once."""
    # The mean and standard deviation of all training pixels.
    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    train = MNIST(data_dir, train=True, transform=transform, download=True)
    test = MNIST(data_dir, train=False, transform=transform, download=True)
    return Data(train, test, tuple("0123456789"))


def model() -> nn.Module:
    """Three linear layers with ReLU and dropout in between."""
    return nn.Sequential(  # (batch, 1, 28, 28)
        nn.Flatten(),  # (batch, 784)
        nn.Linear(784, 256),  # (batch, 256)
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, 128),  # (batch, 128)
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),  # (batch, 10)
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the scores."""
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float) -> Optimizer:
    """Adam with weight decay."""
    return AdamW(model.parameters(), lr=lr, weight_decay=1e-2)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Up to the learning rate and down to almost zero."""
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> Mapping[str, Tensor]:
    """The share of right answers."""
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
