"""The adding task: two of many numbers are marked; say their sum.

task:   predict the sum
data:   made up: numbers from 0 to 1 and two marks; 4,096 to learn from and 512 to test on
expect: val_accuracy 100 %
time:   20 s
"""

from pathlib import Path

import numpy as np

import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.nn import Linear, Module
from narae.optim import Adam, Optimizer
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.text.models.forget_bias import set_forget_bias
from narae.text.models.recurrent import layer_of
from narae.train import Data, Settings

SETTINGS = Settings(epochs=20, clip=1.0)
NEAR = 0.1  # an answer as near as this counts as right


def data(folder: Path | None, gap: int = 20, batch_size: int = 32) -> Data:
    train, test = sequences(0, 4096, gap), sequences(1, 512, gap)
    return Data(DataLoader(train, batch_size, shuffle=True, drop_last=True), DataLoader(test, 256))


def sequences(seed: int, count: int, gap: int) -> TensorDataset:
    """The first number is marked, and the one `gap` steps later, which is the last."""
    random = np.random.default_rng(seed)
    numbers, marks = random.random((count, gap + 1)), np.zeros((count, gap + 1))
    marks[:, [0, -1]] = 1
    inputs = np.stack([numbers, marks], 2).astype(np.float32)  # (count, time, 2)
    sums = (numbers * marks).sum(1).astype(np.float32)  # (count,)
    return TensorDataset(from_numpy(inputs), from_numpy(sums))


class Adder(Module):
    """Recurrent layer, then a number from its last state."""

    def __init__(self, kind: str, hidden: int, forget_bias: float) -> None:
        super().__init__()
        self.recurrent = layer_of("adding-task", kind)(2, hidden, batch_first=True)
        self.head = Linear(hidden, 1)
        if kind != "rnn":
            set_forget_bias(self.recurrent, forget_bias)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.recurrent(x)  # (batch, time, hidden)
        return self.head(out[:, -1]).squeeze(1)  # (batch,)


def model(kind: str = "lstm", hidden: int = 64, forget_bias: float = 3.0) -> Module:
    return Adder(kind, hidden, forget_bias)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(out, target)


def optimizer(model: Module, lr: float = 2e-3) -> Optimizer:
    return Adam(model.parameters(), lr=lr)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": ((out - target).abs() < NEAR).float().mean()}
