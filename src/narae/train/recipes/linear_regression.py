"""A straight line through three points: y = 2x.

task:   regression
data:   three points
expect: val_loss 0.0001
time:   2 s
"""

from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD, Optimizer
from narae.tensors import Tensor
from narae.tensors.creation import tensor
from narae.train import Data, Settings

SETTINGS = Settings(epochs=2000, seed=100)


def data(folder: Path | None, batch_size: int = 3) -> Data:
    x = tensor([[1.0], [2.0], [3.0]])  # (points, 1)
    y = tensor([[2.0], [4.0], [6.0]])  # (points, 1)
    points = DataLoader(TensorDataset(x, y), batch_size)
    return Data(train=points, test=points)


def model() -> nn.Module:
    return nn.Linear(1, 1)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(out, target)


def optimizer(model: nn.Module, lr: float = 0.01) -> Optimizer:
    return SGD(model.parameters(), lr=lr)
