"""Handwritten digits of 8 x 8 pixels, a small convolutional network; nothing to download."""

from collections.abc import Mapping
from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import TensorDataset
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.train import Data, Settings
from narae.vision.digits import DIGITS_CLASSES, split_digits

SETTINGS = Settings(epochs=15, lr=5e-3, batch_size=32, seed=0)
INPUT_SHAPE = (1, 8, 8)


def data(data_dir: Path | None) -> Data:
    """1,437 digits to learn from and 360 to test on, from scikit-learn."""
    images, labels, test_images, test_labels = split_digits()
    train = TensorDataset(from_numpy(images), from_numpy(labels))
    test = TensorDataset(from_numpy(test_images), from_numpy(test_labels))
    return Data(train, test, DIGITS_CLASSES)


def model() -> nn.Module:
    """Two convolutions, each followed by pooling, and one linear layer."""
    return nn.Sequential(  # (batch, 1, 8, 8)
        nn.Conv2d(1, 32, kernel_size=3, padding=1),  # (batch, 32, 8, 8)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (batch, 32, 4, 4)
        nn.Conv2d(32, 64, kernel_size=3, padding=1),  # (batch, 64, 4, 4)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (batch, 64, 2, 2)
        nn.Flatten(),  # (batch, 256)
        nn.Linear(256, 10),  # (batch, 10)
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
