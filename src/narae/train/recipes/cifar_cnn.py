"""CIFAR-10, colour pictures of 32 x 32 pixels: three blocks of convolution, random crops and flips.

task:   classify pictures
data:   CIFAR-10, or a folder or .zip file (`--data-dir`) with folders train and test of classes
expect: val_accuracy 0.85
time:   10 min
"""

from pathlib import Path
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets.cifar_pictures import cifar10_or_folders
from narae.vision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

SETTINGS = Settings(epochs=12)


def data(folder: Path | None, batch_size: int = 128, workers: int = 0) -> Data:
    # Means and standard deviations of all training pixels, by channel.
    plain: list[Any] = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    changed: list[Any] = [RandomCrop(32, padding=4), RandomHorizontalFlip(), *plain]
    train, test = cifar10_or_folders(folder, Compose(changed), Compose(plain))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers)
    return Data(loader, DataLoader(test, 256), train.classes)


def block(before: int, after: int) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]  # half as high and wide


def model() -> nn.Module:
    return nn.Sequential(  # (batch, 3, 32, 32)
        *block(3, 32),  # (batch, 32, 16, 16)
        *block(32, 64),  # (batch, 64, 8, 8)
        *block(64, 128),  # (batch, 128, 4, 4)
        nn.Flatten(),  # (batch, 2048)
        nn.Dropout(0.2),
        nn.Linear(4 * 4 * 128, 10),  # (batch, 10)
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 4e-3, weight_decay: float = 5e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
