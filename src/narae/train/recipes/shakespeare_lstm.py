"""Tiny Shakespeare: an LSTM that writes plays, character by character; its state goes on.

task:   predict the next character
data:   Tiny Shakespeare, 1,003,854 characters to learn from and 111,540 to test on
expect: val_loss 1.47 (nats per character)
time:   6 min, by the last four epochs
"""

from pathlib import Path

import narae.nn.functional as F
from narae.data import DataLoader
from narae.nn import Module
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.text import NO_SPECIALS, Characters, Streams
from narae.text.datasets import TinyShakespeare
from narae.text.models.recurrent import RecurrentLM
from narae.train import Data, Settings

SETTINGS = Settings(epochs=8, clip=1.0)
CHARACTERS = 65


# `batch_size` is a setting of both, data and model: the model carries a state for each row.
def data(folder: Path | None, batch_size: int = 32, time: int = 64) -> Data:
    train, test = (TinyShakespeare(folder, part, True).text for part in ("train", "validation"))
    tokenizer = Characters.fit(train + test, specials=NO_SPECIALS)
    streams = [Streams(tokenizer.encode(text), batch_size, time) for text in (train, test)]
    learnt, judged = (DataLoader(rows, batch_size=None) for rows in streams)
    return Data(train=learnt, test=judged, tokenizer=tokenizer)


def model(
    width: int = 256,
    layers: int = 2,
    kind: str = "lstm",
    dropout: float = 0.2,
    batch_size: int = 32,
) -> Module:
    return RecurrentLM(CHARACTERS, width, layers, kind, dropout, rows=batch_size)


def forward(model: Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    inputs, target, start = batch
    return model(inputs, start), target


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), target.flatten())  # (batch * time, characters)


def optimizer(model: Module, lr: float = 2e-3, weight_decay: float = 0.01) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    highest = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, highest, steps, pct_start=0.1, cycle_momentum=False)
