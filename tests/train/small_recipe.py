"""A recipe that trains in a moment, for tests of what is around a run."""

from __future__ import annotations

import pathlib

SIDES = '''
"""Which side of a line a point is on.

task:   classify points
expect: val_accuracy 0.9
"""

import narae.nn as nn
import narae.nn.functional as F
from narae import rand
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Data, Settings

SETTINGS = Settings(epochs=3)


def data(folder, batch_size: int = 16):
    x = rand(64, 2)
    y = (x.sum(dim=1) > 1).long()
    train = DataLoader(TensorDataset(x[:44], y[:44]), batch_size, shuffle=True)
    return Data(train, DataLoader(TensorDataset(x[44:], y[44:]), 20), ("below", "above"))


def model(widths: tuple[int, ...] = (8,), dropout: float = 0.1):
    sizes = (2, *widths)
    layers = [
        layer
        for inputs, outputs in zip(sizes, sizes[1:])
        for layer in (nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout))
    ]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 2))


def loss(out, target):
    return F.cross_entropy(out, target)


def optimizer(model, lr: float = 0.5, momentum: float = 0.9):
    return SGD(model.parameters(), lr=lr, momentum=momentum)


def metrics(out, target):
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
'''.lstrip()


def write_sides(folder: pathlib.Path, more: str = "") -> pathlib.Path:
    """The recipe as a file."""
    path = folder / "sides.py"
    path.write_text(SIDES + more, "utf-8")
    return path
