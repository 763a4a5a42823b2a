"""CIFAR-10, colour pictures of 32 x 32 pixels: three blocks of convolution, random crops and flips.

task:   classify pictures
data:   CIFAR-10, or a folder or .zip file (`--data-dir`) with folders train and test of classes
expect: val_accuracy 0.74 with 20,000 of the pictures as JPEG, 5,000 to test on; all: not measured
time:   7 min with those
"""

from pathlib import Path

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
    plain = Compose([ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))])
    changed = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), plain])
    train, test = cifar10_or_folders(folder, changed, plain)
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers)
    return Data(loader, DataLoader(test, 256), train.classes)


def model() -> nn.Module:
    layers: list[nn.Module] = []  # (batch, 3, 32, 32)
    for before, after in ((3, 32), (32, 64), (64, 128)):
        conv = nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]  # half as high and wide
    layers += [nn.Flatten(), nn.Dropout(0.2)]  # (batch, 128, 4, 4), then (batch, 2048)
    return nn.Sequential(*layers, nn.Linear(4 * 4 * 128, 10))  # (batch, 10)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 4e-3, weight_decay: float = 5e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
