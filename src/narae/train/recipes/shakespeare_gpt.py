"""Tiny Shakespeare: a small GPT that writes plays, character by character.

task:   predict the next character
data:   Tiny Shakespeare, 1,003,854 characters to learn from and 111,540 to test on
expect: val_loss 1.53 (nats per character)
time:   22 min
"""

from pathlib import Path

import narae.nn.functional as F
from narae.data import DataLoader, RandomSampler
from narae.nn import Module
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.text import NO_SPECIALS, Characters, Windows
from narae.text.datasets import TinyShakespeare
from narae.text.models.gpt import GPT
from narae.train import Data, Settings

SETTINGS = Settings(epochs=13, clip=1.0)
CHARACTERS, LENGTH = 65, 128


def data(folder: Path | None, batch_size: int = 16, updates: int = 250) -> Data:
    train, test = (TinyShakespeare(folder, part, True).text for part in ("train", "validation"))
    tokenizer = Characters.fit(train + test, specials=NO_SPECIALS)
    windows = Windows(tokenizer.encode(train), LENGTH)
    any_place = RandomSampler(windows, replacement=True, num_samples=batch_size * updates)
    in_order = Windows(tokenizer.encode(test), LENGTH, stride=LENGTH)
    loader = DataLoader(windows, batch_size, sampler=any_place)  # an epoch is 250 updates
    return Data(loader, DataLoader(in_order, 64), tokenizer=tokenizer)


def model(width: int = 256, layers: int = 4, heads: int = 4, dropout: float = 0.1) -> Module:
    return GPT(CHARACTERS, width, layers, heads, LENGTH, dropout, positions="rotary")


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), target.flatten())  # (batch * time, characters)


def optimizer(model: Module, lr: float = 1.5e-3, weight_decay: float = 0.1) -> Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    highest = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, highest, steps, pct_start=0.05, cycle_momentum=False)
