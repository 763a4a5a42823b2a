"""Fashion-MNIST, clothing of 28 x 28 pixels: a convolutional network with batch norm.

task:   classify pictures
data:   Fashion-MNIST, 60,000 to learn from and 10,000 to test on
expect: 0.88 to 0.93, as published for two convolutions (README of Fashion-MNIST); not measured
time:   not measured
"""

from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets import FashionMNIST
from narae.vision.transforms import Compose, Normalize, ToTensor

SETTINGS = Settings(epochs=5)


def data(folder: Path | None, batch_size: int = 128, workers: int = 0) -> Data:
    # The mean and standard deviation of all training pixels.
    transform = Compose([ToTensor(), Normalize((0.2860,), (0.3530,))])
    train, test = (FashionMNIST(folder, part, transform, download=True) for part in (True, False))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers)
    return Data(loader, DataLoader(test, 256), FashionMNIST.classes)


def model() -> nn.Module:
    layers: list[nn.Module] = []  # (batch, 1, 28, 28)
    for before, after in ((1, 16), (16, 32)):
        conv = nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]  # half as high and wide
    return nn.Sequential(
        *layers,  # (batch, 32, 7, 7)
        nn.Flatten(),  # (batch, 1568)
        nn.Linear(7 * 7 * 32, 128),  # (batch, 128)
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(128, 10),  # (batch, 10)
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 3e-3, weight_decay: float = 1e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
