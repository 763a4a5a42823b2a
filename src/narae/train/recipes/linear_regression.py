"""A straight line through three points: y = 2x."""

from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import TensorDataset
from narae.optim import SGD, Optimizer
from narae.tensors import Tensor
from narae.tensors.creation import tensor
from narae.train import Data, Settings

SETTINGS = Settings(epochs=2000, lr=0.01, batch_size=3, seed=100)


def data(data_dir: Path | None) -> Data:
    """Three points, which are both what is learned and what is tested."""
    x = tensor([[1.0], [2.0], [3.0]])  # (points, 1)
    y = tensor([[2.0], [4.0], [6.0]])  # (points, 1)
    points = TensorDataset(x, y)
    return Data(train=points, test=points)


def model() -> nn.Module:
    """A slope and an intercept."""
    return nn.Linear(1, 1)


def loss(out: Tensor, target: Tensor) -> Tensor:
    """The mean of the squared errors."""
    return F.mse_loss(out, target)


def optimizer(model: nn.Module, lr: float) -> Optimizer:
    """Gradient descent on all points at once."""
    return SGD(model.parameters(), lr=lr)
