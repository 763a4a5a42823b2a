"""The copy task: repeat symbols after a gap in which nothing happens.

task:   say again what was said before the gap
data:   made up: symbols, a gap, a sign to begin; 2,048 to learn from and 512 to test on
expect: val_accuracy 99 %
time:   20 s
"""

from pathlib import Path

import numpy as np

import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.nn import Module
from narae.optim import Adam, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.text.models.forget_bias import set_forget_bias
from narae.text.models.recurrent_tagger import RecurrentTagger
from narae.train import Data, Settings

SETTINGS = Settings(epochs=20, clip=1.0)
SYMBOLS, BLANK, GO = 8, 8, 9  # the symbols are 0 to 7


def data(folder: Path | None, gap: int = 20, copies: int = 3, batch_size: int = 32) -> Data:
    train, test = sequences(0, 2048, gap, copies), sequences(1, 512, gap, copies)
    return Data(DataLoader(train, batch_size, shuffle=True, drop_last=True), DataLoader(test, 256))


def sequences(seed: int, count: int, gap: int, copies: int) -> TensorDataset:
    said = np.random.default_rng(seed).integers(0, SYMBOLS, (count, copies))  # (count, copies)
    inputs = np.full((count, gap + 2 * copies), BLANK)
    inputs[:, :copies] = said
    inputs[:, -copies] = GO  # the first answer is due at this step
    return TensorDataset(from_numpy(inputs), from_numpy(said))


def model(kind: str = "lstm", hidden: int = 64, forget_bias: float = 3.0) -> Module:
    net = RecurrentTagger(SYMBOLS + 2, SYMBOLS, 16, hidden, 1, kind, bidirectional=False)
    with no_grad():
        net.embedding.weight[BLANK] = 0.0  # nothing happens; random numbers would fill the state
    if kind != "rnn":
        set_forget_bias(net.recurrent.ahead[0], forget_bias)
    return net


def forward(model: Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    inputs, said = batch
    return model(inputs)[:, -said.shape[1] :], said  # (batch, copies, symbols)


def loss(out: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), target.flatten())


def optimizer(model: Module, lr: float = 5e-3) -> Optimizer:
    return Adam(model.parameters(), lr=lr)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    highest = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, highest, steps, pct_start=0.1, cycle_momentum=False)


def metrics(out: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (out.argmax(-1) == target).float().mean()}
