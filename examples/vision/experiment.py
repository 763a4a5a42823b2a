"""What the experiments with pictures share: data, a training loop, a table, a figure.

Each program trains several networks on the same pictures. With `--small` they are the digits that
come with scikit-learn, so that it ends in seconds; otherwise MNIST or CIFAR-10 from `--data-dir`,
the folder NARAE_DATA, the cache, or the network.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.optim.lr_scheduler import OneCycleLR
from narae.vision.datasets import MNIST
from narae.vision.datasets.cifar_pictures import cifar10_or_folders
from narae.vision.digits import split_digits


@dataclass(frozen=True)
class Task:
    """Pictures (items, channels, height, width) and labels (items,), to learn from and to judge."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.images.shape[1:]

    def headline(self, epochs: int) -> str:
        items, tests = len(self.labels), len(self.test_labels)
        return f"{self.name}: {items:,} to learn from, {tests:,} to judge, {epochs} epochs\n"


def digits(items: int, channels: int = 1, times: int = 1) -> Task:
    """scikit-learn's digits, 8 x 8 pixels, each `times` as large, grey or grey in colours."""
    images, labels, test_images, test_labels = split_digits()

    def grown(x: np.ndarray) -> np.ndarray:
        x = x.repeat(times, axis=2).repeat(times, axis=3).repeat(channels, axis=1)
        return np.ascontiguousarray(x, np.float32)

    return Task(
        "scikit-learn's digits", grown(images[:items]), labels[:items], grown(test_images[:300]),
        test_labels[:300],
    )  # fmt: skip


def mnist(items: int, folder: Path | None) -> Task:
    """The first pictures of MNIST, and its first 2,000 test pictures."""
    arrays = []
    for train, count in ((True, items), (False, 2000)):
        part = MNIST(folder, train=train, download=True)
        arrays.append(np.asarray(part.data)[:count, None].astype(np.float32) / 255)
        arrays.append(np.asarray(part.targets)[:count])
    return Task("MNIST", *arrays)


def cifar(items: int, folder: Path | None) -> Task:
    """Pictures of CIFAR-10, in random order: of the binary files, or of a folder or .zip file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="CIFAR10. .* holds a subset")
        parts = cifar10_or_folders(folder, np.asarray, np.asarray)
    arrays = []
    for part, count in zip(parts, (items, 2000), strict=True):
        order = np.random.default_rng(0).permutation(len(part))[:count]
        pairs = [part[index] for index in order]
        pixels = np.stack([picture for picture, _ in pairs]).astype(np.float32) / 255
        arrays.append((np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) - 0.45) / 0.25)
        arrays.append(np.array([label for _, label in pairs]))
    return Task("CIFAR-10", *arrays)


@dataclass
class Result:
    """What came of a training, epoch by epoch and at its end."""

    losses: list[float]
    errors: list[float]
    test_accuracy: float
    seconds: float
    parameters: int


def train(
    model: nn.Module, task: Task, epochs: int, lr: float = 0.1, batch: int = 50, seed: int = 0
) -> Result:
    """SGD with momentum and one cycle of the learning rate; each step is one program.

    Errors of an epoch are those of the batches as they were learned from.
    """
    begin = time.perf_counter()
    narae.manual_seed(seed)
    images, labels = narae.from_numpy(task.images), narae.from_numpy(task.labels)
    loader = DataLoader(TensorDataset(images, labels), batch, shuffle=True, drop_last=True)
    optimizer = SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    schedule = OneCycleLR(optimizer, lr, total_steps=epochs * len(loader))

    def step(x: narae.Tensor, target: narae.Tensor) -> tuple[narae.Tensor, narae.Tensor]:
        out = model(x)
        loss = F.cross_entropy(out, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, (out.argmax(1) != target).float().mean()

    compiled = narae.compile(step)
    losses, errors = [], []
    model.train()
    for _ in range(epochs):
        found = []
        for x, target in loader:
            found.append([number.item() for number in compiled(x, target)])
            schedule.step()
        loss, error = np.mean(found, axis=0)
        losses.append(float(loss))
        errors.append(float(error))
    parameters = sum(x.numel() for x in model.parameters())
    accuracy = accuracy_of(model, task.test_images, task.test_labels)
    return Result(losses, errors, accuracy, time.perf_counter() - begin, parameters)


def accuracy_of(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of right answers, in evaluation mode."""
    model.eval()
    with narae.no_grad():
        parts = np.array_split(images, max(1, len(images) // 250))
        found = [model(narae.from_numpy(part)).argmax(1).numpy() for part in parts]
    return float((np.concatenate(found) == labels).mean())


# --- on the screen ------------------------------------------------------------------------------


def arguments(title: str, argv: Sequence[str] | None, epochs: int, items: int):
    """What all programs understand."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--small", action="store_true", help="scikit-learn's digits, in seconds")
    parser.add_argument("--data-dir", type=Path, help="where to look for pictures first")
    parser.add_argument("--epochs", type=int, help=f"passes over the pictures ({epochs})")
    parser.add_argument("--items", type=int, help=f"pictures to learn from ({items})")
    parser.add_argument("--figure", help="a file to draw to, such as figure.png")
    chosen = parser.parse_args(argv)
    chosen.epochs = chosen.epochs or (6 if chosen.small else epochs)
    chosen.items = chosen.items or (400 if chosen.small else items)
    return chosen


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns in line: names to the left, numbers to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def figure(columns: int = 1, width: float = 5.0, height: float = 3.6):
    """A figure to draw on, without a screen: (figure, list of axes)."""
    from matplotlib.figure import Figure

    drawn = Figure((width * columns, height), layout="constrained")
    return drawn, list(drawn.subplots(1, columns, squeeze=False)[0])


def epochs_below(place) -> None:
    """Name the axis, and count in whole epochs."""
    place.set_xlabel("epoch")
    place.xaxis.get_major_locator().set_params(integer=True)


def save(drawn, path: str) -> None:
    drawn.savefig(path, dpi=130)
    print(f"\ndrawn to {path}")
