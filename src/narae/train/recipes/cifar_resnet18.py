"""CIFAR-10, colour pictures of 32 x 32 pixels: ResNet-18 with a stem for small pictures.

task:   classify pictures
data:   CIFAR-10, or a folder or .zip file (`--data-dir`) with folders train and test of classes
expect: val_accuracy 0.76 with 20,000 of the pictures as JPEG, 5,000 to test on; all: not measured
time:   27 min with those
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
from narae.vision.models import resnet18
from narae.vision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

SETTINGS = Settings(epochs=6)  # of 4 min and a half; more of them bring more


def data(folder: Path | None, batch_size: int = 128, workers: int = 0) -> Data:
    # Means and standard deviations of all training pixels, by channel.
    plain: list[Any] = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    changed = [RandomCrop(32, padding=4), RandomHorizontalFlip(), *plain]
    train, test = cifar10_or_folders(folder, Compose(changed), Compose(plain))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers, drop_last=True)
    return Data(loader, DataLoader(test, 250), train.classes)


def model(classes: int = 10) -> nn.Module:
    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)  # in place of 7 x 7 by 2
    net.maxpool = nn.Identity()  # type: ignore[assignment]  # 32 x 32 are small as they are
    return net  # (batch, 3, 32, 32) -> (batch, classes)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 0.1, weight_decay: float = 5e-4) -> Optimizer:
    return SGD(model.parameters(), lr, momentum=0.9, weight_decay=weight_decay, nesterov=True)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
