"""What all programs of this folder share: a little data, a deep network, runs, and a table.

Each program has a list of variants, of which the first is the network as it is. For each seed all
variants get the same 300 pictures and the same initial weights; all of the other pictures, which no
run ever saw, judge them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Callback, Data, Trainer
from narae.vision.datasets import MNIST
from narae.vision.digits import load_digits

ITEMS, BATCH, WIDTH, LAYERS = 300, 100, 100, 7


@dataclass(frozen=True)
class Task:
    """What to learn, and for how long.

    Attributes:
        images, labels: all there is, (items, 1, height, width) in 0 to 1 and (items,).
        test_images, test_labels: what judges; None: what was not drawn to learn from.
        items: how many samples to learn from.
        epochs, seeds: of each run, and how many runs.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray | None
    test_labels: np.ndarray | None
    epochs: int
    seeds: int
    items: int = ITEMS


def digits(epochs: int = 20, seeds: int = 1) -> Task:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn."""
    return Task("scikit-learn's digits", *load_digits(), None, None, epochs, seeds)


def mnist(epochs: int = 200, seeds: int = 5) -> Task:
    """MNIST from the folder NARAE_DATA, the cache, or the network."""
    parts = (MNIST(train=train, download=True) for train in (True, False))
    arrays = (
        (np.asarray(part.data)[:, None].astype(np.float32) / 255, np.asarray(part.targets))
        for part in parts
    )
    return Task("MNIST", *next(arrays), *next(arrays), epochs, seeds)


Split = tuple[narae.Tensor, narae.Tensor, narae.Tensor, narae.Tensor]


def split(task: Task, seed: int) -> Split:
    """Images and labels to learn from, drawn with the seed, and those that judge."""
    order = np.random.default_rng(seed).permutation(len(task.images))
    own, rest = order[: task.items], order[task.items :]
    images, labels = task.images[own], task.labels[own]
    if task.test_images is None:
        return tuple(map(narae.from_numpy, (images, labels, task.images[rest], task.labels[rest])))
    return tuple(map(narae.from_numpy, (images, labels, task.test_images, task.test_labels)))


def deep_network(pixels: int, dropout: float = 0.0, norm: bool = False, std: float = 0.0):
    """Seven linear layers, 100 wide: far too many weights for 300 pictures.

    Args:
        pixels: of a picture.
        dropout: after each activation.
        norm: batch normalization before each activation.
        std: of the initial weights; 0 for He's.
    """
    layers: list[nn.Module] = [nn.Flatten()]  # (batch, pixels)
    for number in range(LAYERS - 1):
        layers.append(_linear(WIDTH if number else pixels, WIDTH, std))  # (batch, 100)
        layers += [nn.BatchNorm1d(WIDTH)] if norm else []
        layers.append(nn.ReLU())
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, _linear(WIDTH, 10, std))  # (batch, 10)


def _linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    if std:
        nn.init.normal_(layer.weight, std=std)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True)
class Variant:
    """A way of training.

    Attributes:
        name: in the table.
        callbacks: made anew for each run, from the model.
        network: keywords of `deep_network`.
        loader: from images and labels to batches; the pictures as they are, in random order.
        held_out: samples of the 300 that the validation of each epoch takes, to stop by.
    """

    name: str
    callbacks: Callable[[nn.Module], Sequence[Callback]] = lambda model: ()
    network: dict[str, float] = field(default_factory=dict)
    loader: Callable[[narae.Tensor, narae.Tensor], DataLoader] | None = None
    held_out: int = 0


@dataclass(frozen=True)
class Scores:
    """What came of a run: shares of right answers, losses, and more numbers by name."""

    train: float
    test: float
    train_loss: float
    test_loss: float
    more: dict[str, float]

    @property
    def gap(self) -> float:
        """How much better it does on what it has seen."""
        return self.train - self.test


More = Callable[[Trainer, narae.Tensor, narae.Tensor], dict[str, float]]


def shuffled(images: narae.Tensor, labels: narae.Tensor) -> DataLoader:
    """Batches in random order."""
    return DataLoader(TensorDataset(images, labels), min(BATCH, len(images)), shuffle=True)


def trainer_of(variant: Variant, task: Task, parts: Split, seed: int) -> Trainer:
    """A run that is ready to begin; its validation is on what was held out, or else on a batch."""
    images, labels, _, _ = parts
    narae.manual_seed(seed)
    model = deep_network(images[0].numel(), **variant.network)
    kept = len(images) - variant.held_out
    train = (variant.loader or shuffled)(images[:kept], labels[:kept])
    judge = (images[kept:], labels[kept:]) if variant.held_out else (images, labels)
    return Trainer(
        Data(train, DataLoader(TensorDataset(*judge), ITEMS)),
        model,
        F.cross_entropy,
        SGD(model.parameters(), lr=0.01, momentum=0.9),
        callbacks=variant.callbacks(model),
        epochs=task.epochs,
        validate_every=1 if variant.held_out else task.epochs,
    )


def scores_of(trainer: Trainer, parts: Split, more: More | None = None) -> Scores:
    """Judge a model as it is used: without dropout, noise, or mixed pictures."""
    model, (images, labels, test_images, test_labels) = trainer.judged, parts
    model.eval()
    with narae.no_grad():
        out, test_out = model(images), model(test_images)
        both = ((out, labels), (test_out, test_labels))
        right = [(x.argmax(dim=1) == y).float().mean().item() for x, y in both]
        losses = [F.cross_entropy(x, y).item() for x, y in both]
        return Scores(*right, *losses, more(trainer, test_out, test_labels) if more else {})


Results = dict[str, list[Scores]]


def compare(variants: Sequence[Variant], task: Task, more: More | None = None) -> Results:
    """Train each variant with each seed."""
    found: Results = {variant.name: [] for variant in variants}
    for seed in range(task.seeds):
        parts = split(task, seed)
        for variant in variants:
            trainer = trainer_of(variant, task, parts, seed)
            trainer.fit()
            learned = (part[: task.items - variant.held_out] for part in parts[:2])
            found[variant.name].append(scores_of(trainer, (*learned, *parts[2:]), more))
    return found


# --- on the screen ------------------------------------------------------------------------------


def table(results: Results) -> str:
    """Means over the seeds, ± the standard deviation; changes are taken seed by seed."""
    first, *_ = results
    names = list(results[first][0].more)
    head = ["", "train %", "test %", "change", "gap", "test loss", *names]
    rows = [head]
    for name, scores in results.items():
        changes = [100 * (x.test - y.test) for x, y in zip(scores, results[first], strict=True)]
        rows.append(
            [
                name,
                _spread([100 * x.train for x in scores], 1),
                _spread([100 * x.test for x in scores], 1),
                "" if name == first else _spread(changes, 1, sign=True),
                _spread([100 * x.gap for x in scores], 1),
                _spread([x.test_loss for x in scores], 2),
                *(_spread_of_any([x.more[more] for x in scores]) for more in names),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    _, *numbers = (x.rjust(width) for x, width in zip(row, widths, strict=True))
    return "  ".join([row[0].ljust(widths[0]), *numbers]).rstrip()


def _spread(values: Sequence[float], places: int, sign: bool = False) -> str:
    mean = f"{np.mean(values):{'+' if sign else ''}.{places}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{places}f}"


def _spread_of_any(values: Sequence[float]) -> str:
    return _spread(values, 0 if np.mean(values) >= 10 else 3)


def arguments(title: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """What all programs understand."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--small", action="store_true", help="scikit-learn's digits, one seed")
    parser.add_argument("--seeds", type=int, help="runs of each variant")
    parser.add_argument("--epochs", type=int, help="passes over the samples in a run")
    parser.add_argument("--figure", help="a file to draw to, where the program draws")
    return parser.parse_args(argv)


def task_of(chosen: argparse.Namespace) -> Task:
    """The task that the arguments name."""
    given = {"epochs": chosen.epochs, "seeds": chosen.seeds}
    make = digits if chosen.small else mnist
    return make(**{name: value for name, value in given.items() if value})


def headline(task: Task, seconds: float = 0.0) -> str:
    """What was learned, and for how long."""
    words = f"{task.name}: {task.items} samples to learn from, {LAYERS} layers, "
    words += f"{task.epochs} epochs, {task.seeds} seed{'s' * (task.seeds > 1)}"
    return words + (f", {seconds:.0f} s\n" if seconds else "\n")


def main(
    title: str,
    variants: Sequence[Variant],
    argv: Sequence[str] | None = None,
    more: More | None = None,
) -> Results:
    """Train all variants as the command line says, and print the table."""
    task = task_of(arguments(title, argv))
    begin = time.perf_counter()
    results = compare(variants, task, more)
    seconds = time.perf_counter() - begin
    print(headline(task, seconds))
    print(table(results))
    return results
