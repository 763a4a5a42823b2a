"""Classes for a model and its data, and the files of a run: the best checkpoint is kept.

Run `python examples/scratch/02_classes_and_files.py`; `--open` shows the report in the browser.
"""

from __future__ import annotations

import calendar
import glob
import os
import pathlib
import pickle
import random
import shutil
import sys
import tempfile
import time
import webbrowser

import common
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, Dataset
from narae.optim import SGD

EPOCHS = 30


class NoisyLine(Dataset):
    """Points near y = 2x + 1. `__init__` is the constructor (생성자): it runs when one is made."""

    def __init__(self, count: int, seed: int) -> None:
        rng = random.Random(seed)
        self.x = [rng.uniform(-1, 1) for _ in range(count)]
        self.y = [2 * x + 1 + rng.gauss(0, 0.3) for x in self.x]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[narae.Tensor, narae.Tensor]:
        return narae.tensor([self.x[index]]), narae.tensor([self.y[index]])

    def __str__(self) -> str:
        return f"{len(self)} noisy points near y = 2x + 1"


class Line(nn.Module):
    """A straight line; what is assigned to `self` in the constructor belongs to the object."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x: narae.Tensor) -> narae.Tensor:  # (batch, 1) -> (batch, 1)
        return self.linear(x)


def train(folder: pathlib.Path) -> list[float]:
    """Fit the line; a checkpoint after every epoch, and a copy of the best one.

    Returns:
        The validation loss after each epoch.
    """
    narae.manual_seed(0)
    model, losses = Line(), []
    loader = DataLoader(NoisyLine(40, seed=1), batch_size=4, shuffle=True)
    held_out = next(iter(DataLoader(NoisyLine(40, seed=2), batch_size=40)))
    optimizer = SGD(model.parameters(), lr=0.6)  # too large on purpose: the loss jumps about
    (folder / "best").mkdir()
    for epoch in range(EPOCHS):
        for x, y in loader:
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
        with narae.no_grad():
            losses.append(F.mse_loss(model(held_out[0]), held_out[1]).item())
        checkpoint = folder / f"epoch{epoch:02d}.safetensors"
        narae.save(model.state_dict(), checkpoint)
        if losses[-1] == min(losses):
            shutil.copy(checkpoint, folder / "best" / "model.safetensors")
    with open(folder / "history.pickle", "wb") as file:
        pickle.dump(losses, file)
    return losses


def draw(losses: list[float]) -> object:
    """The loss of each epoch, the best one marked."""
    figure, axes = common.new_figure(width=7.5, height=3.0)
    best = int(np.argmin(losses))
    axes.plot(range(EPOCHS), losses, marker="o", ms=4)
    axes.plot(best, losses[best], "o", ms=10, color=common.ORANGE, label=f"kept: epoch {best}")
    axes.set(xlabel="epoch", ylabel="validation loss", title="A learning rate that is too large")
    axes.set_ylim(0, None)
    axes.legend()
    return figure


def write_report(path: pathlib.Path, picture: pathlib.Path) -> None:
    """A web page that shows the figure."""
    title = f"A run of {calendar.day_name[time.localtime().tm_wday]}"
    page = f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
    path.write_text(f'{page}<img src="{picture.name}" alt="validation loss">\n', encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    look = {"action": "store_true", "help": "open the report in the browser"}
    chosen = common.options(__doc__, argv, open=look)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    common.say(
        f"""Python {python}. A class (클래스) holds data and what can be done with it. `print` asks
        an object's `__str__` for its text:"""
    )
    narae.manual_seed(0)
    for something in (NoisyLine(40, seed=1), Line(), narae.tensor([1.0, 2.5])):
        print("   " + str(something).replace("\n", "\n   "))
    print()
    with tempfile.TemporaryDirectory() as name:
        folder, start = pathlib.Path(name), time.perf_counter()
        losses = train(folder)
        seconds = time.perf_counter() - start
        checkpoints = sorted(glob.glob(os.path.join(name, "epoch*.safetensors")))
        best = Line()
        best.load_state_dict(narae.load(folder / "best" / "model.safetensors"))
        with open(folder / "history.pickle", "rb") as file:
            assert pickle.load(file) == losses
    common.say(
        f"""{len(checkpoints)} checkpoints were written in {seconds:.1f} s. The last loss is
        {losses[-1]:.3f}, the best one {min(losses):.3f} of epoch {int(np.argmin(losses))}:
        shutil.copy put that file into the folder "best". Loaded again, it is the line
        y = {best.linear.weight.item():.2f} x + {best.linear.bias.item():.2f}."""
    )
    caption = """Validation loss after each epoch. With this learning rate it jumps; the checkpoint
        of the best epoch is copied into a folder of its own."""
    picture = common.save(draw(losses), chosen.out, "best-checkpoint", caption)
    report = chosen.out / "report.html"
    write_report(report, picture)
    if chosen.open:
        webbrowser.open(report.resolve().as_uri())


if __name__ == "__main__":
    main()
