"""CIFAR-10, colour pictures of 32 x 32 pixels: a small vision transformer, patches of 4 x 4.

task:   classify pictures
data:   CIFAR-10, or a folder or .zip file (`--data-dir`) with folders train and test of classes
expect: val_accuracy 0.65 with 20,000 of the pictures as JPEG, 5,000 to test on; all: not measured
time:   38 min with those
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
from narae.vision.models import VisionTransformer
from narae.vision.transforms import (
    Compose,
    Normalize,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    ToTensor,
)

SETTINGS = Settings(epochs=24)


def data(folder: Path | None, batch_size: int = 128, workers: int = 0) -> Data:
    # Means and standard deviations of all training pixels, by channel.
    plain: list[Any] = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    # A transformer knows nothing of neighbours: it needs more different pictures than a CNN.
    moved = [RandomCrop(32, padding=4), RandomHorizontalFlip(), RandAugment(2, 9)]
    changed = [*moved, *plain, RandomErasing(0.25)]
    train, test = cifar10_or_folders(folder, Compose(changed), Compose(plain))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers, drop_last=True)
    return Data(loader, DataLoader(test, 250), train.classes)


def model(classes: int = 10, layers: int = 6, width: int = 128, heads: int = 4) -> nn.Module:
    # 64 patches and a class token; the tokens of an MLP's middle are twice as wide.
    return VisionTransformer(32, 4, layers, heads, width, 2 * width, num_classes=classes)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target, label_smoothing=0.1)


def optimizer(model: nn.Module, lr: float = 1e-3, weight_decay: float = 0.05) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
