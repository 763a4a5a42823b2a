"""Airline passengers: the next 12 months from the last 24, by an LSTM.

task:   forecast a series
data:   144 months; futures of the last 24 are to be judged by
expect: val_mae 20 (16 to 24 by seed); as a year ago: 51, AR(24) of the logarithms: 13
time:   10 s
"""

from pathlib import Path

import numpy as np

import narae.nn as nn
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.series import Forecaster, Scaling, airline_passengers, baseline_errors, body_of, windows
from narae.tensors import Tensor
from narae.train import Data, Settings

SETTINGS = Settings(epochs=480, clip=1.0)
PAST, AHEAD, TRAINING = 24, 12, 120  # months
# Of the logarithms of the training months: `Scaling.fit(values[:TRAINING], log=True)`.
SCALING = Scaling(np.array([5.4304]), np.array([0.3901]), log=True)


def data(folder: Path | None, batch_size: int = 16, validation: bool = False) -> Data:
    series = airline_passengers(folder, download=True)
    # To choose settings, judge by the last two years of the training months in place of the test.
    cut, end = (TRAINING - 24, TRAINING) if validation else (TRAINING, len(series))
    train = windows(series, PAST, AHEAD, end=cut).dataset()
    test = windows(series, PAST, AHEAD, begin=cut, end=end).dataset()
    return Data(DataLoader(train, batch_size, shuffle=True, drop_last=True), DataLoader(test, 64))


def model(body: str = "lstm", width: int = 32, layers: int = 1, dropout: float = 0.0) -> nn.Module:
    net = body_of(body, 1, width, layers, dropout)
    return Forecaster(net, AHEAD, SCALING, season=12, relative=True)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return (out.log() - target.log()).abs().mean()  # by what share it is off


def optimizer(model: nn.Module, lr: float = 3e-3, weight_decay: float = 1e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"mae": (out - target).abs().mean()}  # thousands of passengers


def evaluate(model: nn.Module, batches: DataLoader) -> dict[str, float]:
    return baseline_errors(batches, season=12)
