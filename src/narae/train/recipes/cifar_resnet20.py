"""CIFAR-10, colour pictures of 32 x 32 pixels: a residual network of 20 layers, as in its paper.

task:   classify pictures
data:   CIFAR-10, or a folder or .zip file (`--data-dir`) with folders train and test of classes
expect: val_accuracy 0.83 on 20,000 pictures as JPEG, 5,000 to test on; all: not measured
time:   18 min with those
"""

from pathlib import Path
from typing import Any

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import SGD, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets.cifar_pictures import cifar10_or_folders
from narae.vision.models import resnet20
from narae.vision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

SETTINGS = Settings(epochs=24)


def data(folder: Path | None, batch_size: int = 128, workers: int = 0) -> Data:
    # Means and standard deviations of all training pixels, by channel.
    plain: list[Any] = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    changed = [RandomCrop(32, padding=4), RandomHorizontalFlip(), *plain]
    train, test = cifar10_or_folders(folder, Compose(changed), Compose(plain))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers, drop_last=True)
    return Data(loader, DataLoader(test, 250), train.classes)


def model(classes: int = 10) -> nn.Module:
    return resnet20(num_classes=classes)  # (batch, 3, 32, 32) -> (batch, classes)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 0.2, weight_decay: float = 5e-4) -> Optimizer:
    return SGD(model.parameters(), lr, momentum=0.9, weight_decay=weight_decay, nesterov=True)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
