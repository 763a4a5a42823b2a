"""CIFAR-10, colour pictures of 32 x 32 pixels: three blocks of convolution, random crops and flips.

All 50,000 pictures of the official files are used, or the part of them that is there. A folder or a
.zip file of pictures works too: `--data-dir pictures.zip` with the folders `train` and `test` (or a
folder with these two), each with one folder a class.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.cifar_classes import CIFAR10_CLASSES
from narae.vision.datasets import CIFAR10, ImageFolder
from narae.vision.places import place_of
from narae.vision.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    ToTensor,
)

SETTINGS = Settings(epochs=12, lr=4e-3, batch_size=128, seed=0)


def data(data_dir: Path | None) -> Data:
    """Pictures to learn from, changed a little each time, and pictures to test on."""
    # Means and standard deviations of all training pixels, by channel.
    plain: list[Any] = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    changed: list[Any] = [RandomCrop(32, padding=4), RandomHorizontalFlip(), *plain]
    folder = folder_of_pictures(data_dir)
    if folder is not None:
        train = ImageFolder(folder / "train", Compose(changed))
        test = ImageFolder(folder / "test", Compose(plain))
        return Data(train, test, train.classes)
    train_set = CIFAR10(data_dir, train=True, transform=Compose(changed), download=True)
    test_set = CIFAR10(data_dir, train=False, transform=Compose(plain), download=True)
    return Data(train_set, test_set, CIFAR10_CLASSES)


def folder_of_pictures(data_dir: Path | None) -> Path | None:
    """Where the folders `train` and `test` are: in `data_dir`, or in a folder of a .zip file."""
    if data_dir is None:
        return None
    inside = place_of(data_dir).folders() if data_dir.suffix == ".zip" else []
    for folder in (data_dir, *(data_dir / name for name in inside)):
        if all(place_of(folder / part).is_folder() for part in ("train", "test")):
            return folder
    return None


def block(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Convolution, normalization, ReLU and pooling, which halves height and width."""
    return [
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


def model() -> nn.Module:
    """Three blocks of convolution, and one linear layer."""
    return nn.Sequential(  # (batch, 3, 32, 32)
        *block(3, 32),  # (batch, 32, 16, 16)
        *block(32, 64),  # (batch, 64, 8, 8)
        *block(64, 128),  # (batch, 128, 4, 4)
        nn.Flatten(),  # (batch, 2048)
        nn.Dropout(0.2),
        nn.Linear(4 * 4 * 128, 10),  # (batch, 10)
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the scores."""
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float) -> Optimizer:
    """Adam with weight decay."""
    return AdamW(model.parameters(), lr=lr, weight_decay=5e-2)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Up to the learning rate and down to almost zero."""
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> Mapping[str, Tensor]:
    """The share of right answers."""
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
