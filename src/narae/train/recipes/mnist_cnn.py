"""MNIST, 28 x 28 pixels: two convolution blocks and one linear layer, as in many a course.

task:   classify pictures
data:   MNIST, 60,000 to learn from and 10,000 to test on
expect: val_accuracy 0.985
time:   6 min
"""

from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import Adam, Optimizer
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.vision.datasets import MNIST
from narae.vision.transforms import PILToTensor, ToTensor

SETTINGS = Settings(epochs=15, seed=777)
INPUT_SHAPE = (1, 28, 28)


def data(folder: Path | None, batch_size: int = 128, workers: int = 0, raw: bool = False) -> Data:
    transform = as_they_are if raw else ToTensor()  # values from 0 to 255, or from 0 to 1
    train, test = (MNIST(folder, part, transform, download=True) for part in (True, False))
    loader = DataLoader(train, batch_size, shuffle=True, num_workers=workers)
    return Data(loader, DataLoader(test, 256), classes=tuple("0123456789"))


def as_they_are(image: object) -> Tensor:
    return PILToTensor()(image).float()


def model() -> nn.Module:
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
    return F.cross_entropy(out, target)


def optimizer(model: nn.Module, lr: float = 1e-3) -> Optimizer:
    return Adam(model.parameters(), lr=lr)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
