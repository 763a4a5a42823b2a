"""The naive sequence model: a network with a fixed number of inputs, and sequences that have none.

The task: did an odd number of 1s come by? An MLP and a CNN with a fixed last layer are made for
12 steps. Another length is an error for both; cut or filled up to 12 steps, the answer is a guess
where the sequence is longer. A recurrent network has the same weights at each step, so any length
will do.

Run `python examples/sequences/naive_sequence_model.py`.
"""

from __future__ import annotations

import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.errors import ShapeError
from narae.optim import Adam

LENGTH, LENGTHS = 12, (4, 12, 24, 48)


class Recurrent(nn.Module):
    """The last output of an LSTM, whatever the length."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.lstm, self.read = nn.LSTM(1, width, batch_first=True), nn.Linear(width, 2)

    def forward(self, x: narae.Tensor) -> narae.Tensor:
        return self.read(self.lstm(x[..., None])[0][:, -1])  # (batch, 2)


class Convolutional(nn.Module):
    """Convolutions take any length; the layer behind them does not."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, width, 3, padding=1)
        self.head = nn.Sequential(nn.Flatten(), mlp(inputs=width * LENGTH))

    def forward(self, x: narae.Tensor) -> narae.Tensor:
        return self.head(self.conv(x[:, None]).relu())


def mlp(inputs: int = LENGTH, width: int = 128) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )


MODELS = {"MLP": mlp, "CNN": Convolutional, "LSTM": Recurrent}


def parity(items: int, length: int, rng: np.random.Generator) -> tuple[narae.Tensor, narae.Tensor]:
    """Bits (items, length) and whether the number of 1s is odd, (items,)."""
    bits = rng.integers(0, 2, (items, length))
    return narae.from_numpy(bits.astype(np.float32)), narae.from_numpy(bits.sum(axis=1) % 2)


def learn(model: nn.Module, steps: int, rng: np.random.Generator) -> nn.Module:
    """The recurrent network learns from short sequences first: it may, as it takes any length."""
    optimizer = Adam(model.parameters(), lr=5e-3)

    def step(x: narae.Tensor, y: narae.Tensor) -> narae.Tensor:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    compiled = narae.compile(step)
    lengths = (3, 6, LENGTH) if isinstance(model, Recurrent) else (LENGTH,)
    for number in range(steps):
        compiled(*parity(128, lengths[number * len(lengths) // steps], rng))
    return model


def share_right(model: nn.Module, x: narae.Tensor, y: narae.Tensor) -> float:
    with narae.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def fitted(x: narae.Tensor) -> narae.Tensor:
    """The last 12 steps, or zeros before the first."""
    return F.pad(x, (LENGTH - x.shape[1], 0))  # a negative number cuts


def main(steps: int = 2400) -> dict[str, dict[int, tuple[float, bool]]]:
    """For each model and length: the share that it gets right, and whether it takes the length."""
    found: dict[str, dict[int, tuple[float, bool]]] = {}
    print("right answers      " + "".join(f"{length:>4} steps" for length in LENGTHS))
    for name, make in MODELS.items():
        narae.manual_seed(0)
        rng = np.random.default_rng(0)
        model, row = learn(make(), steps, rng), {}
        for length in LENGTHS:
            x, y = parity(2000, length, rng)
            try:
                row[length] = share_right(model, x, y), True
            except ShapeError as error:
                if length == LENGTHS[0]:
                    said = error
                row[length] = share_right(model, fitted(x), y), False
        found[name] = row
        cells = (f"{x:9.0%}{' ' if takes else '*'}" for x, takes in row.values())
        print(f"{name:18}" + "".join(cells).rstrip())
        if not all(takes for _, takes in row.values()):
            print(f"  {said}")
    print("* an error; so it was given the last 12 steps, or zeros before the first")
    return found


if __name__ == "__main__":
    main()
