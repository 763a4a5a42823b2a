"""Fine dust in Beijing: the next 24 hours from two days of dust and weather, by a GRU.

task:   forecast a series
data:   pm2.5 and weather of 43,824 hours; the last year is to be judged by
expect: val_mae 43.7; the last value: 49.9, as a day ago: 67.6, AR(48): 47.8
time:   20 s
"""

from pathlib import Path

import numpy as np

import narae.nn as nn
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.series import Forecaster, Scaling, baseline_errors, body_of, pollution, windows
from narae.tensors import Tensor
from narae.train import Data, Settings

SETTINGS = Settings(epochs=6, clip=1.0)
PAST, AHEAD = 48, 24  # hours
COLUMNS = ("pm2.5", "DEWP", "TEMP", "PRES", "Iws")
# Of the hours before 2014: `Scaling.fit(values[:cut])`.
SCALING = Scaling(
    np.array([98.84, 1.76, 12.14, 1016.4, 24.96]), np.array([91.66, 14.5, 12.31, 10.38, 51.3])
)


def data(
    folder: Path | None, batch_size: int = 64, stride: int = 3, validation: bool = False
) -> Data:
    # Windows with a missing hour are left out, not filled: nothing made up is learned or judged.
    series = pollution(folder, missing="mask", download=True).select(*COLUMNS)
    cut, end = series.row_of("2014-01-01"), len(series)
    if validation:  # to choose settings: judge by the last year before the test
        cut, end = series.row_of("2013-01-01"), cut
    train = windows(series, PAST, AHEAD, end=cut, stride=stride, targets=1).dataset()
    test = windows(series, PAST, AHEAD, begin=cut, end=end, stride=stride, targets=1).dataset()
    return Data(DataLoader(train, batch_size, shuffle=True, drop_last=True), DataLoader(test, 256))


def model(body: str = "gru", width: int = 64, layers: int = 1, dropout: float = 0.0) -> nn.Module:
    return Forecaster(body_of(body, len(COLUMNS), width, layers, dropout), AHEAD, SCALING)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return (out - target).abs().mean() / float(SCALING.std[0])


def optimizer(model: nn.Module, lr: float = 5e-3, weight_decay: float = 1e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"mae": (out - target).abs().mean()}  # µg/m³


def evaluate(model: nn.Module, batches: DataLoader) -> dict[str, float]:
    return baseline_errors(batches, season=24)
