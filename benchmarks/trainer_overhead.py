"""What the Trainer adds to a bare compiled loop: the same model, batches and numbers, in turn.

    python benchmarks/trainer_overhead.py [--rounds 6] [--steps 200] [--write]

Both sides train the notes' MNIST network on digits of scikit-learn that are scaled to 28 x 28
pixels, through a DataLoader, with Adam; loss and accuracy of every step are read as numbers. The
bare side is the loop of a tutorial around one compiled step; the Trainer has the callbacks of
`narae train`: progress (quiet), a schedule, and a log. They take turns of one epoch; the
ratio is that of the medians of all turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from results import write_table

import narae
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim.lr_scheduler import StepLR
from narae.train import Data, Trainer, load_recipe
from narae.train.callbacks import JSONLines, Progress, Schedule

TARGET = 1.03


def batches(steps: int, size: int, side: int) -> DataLoader:
    """A loader of `steps` batches of digits, enlarged to side x side pixels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    times = -(-side // 8)
    images = np.kron(digits.images / 16, np.ones((times, times)))[:, :side, :side]
    chosen = np.random.default_rng(0).integers(0, len(images), steps * size)
    x = narae.tensor(images[chosen, None].astype(np.float32))
    y = narae.tensor(digits.target[chosen].astype(np.int64))
    return DataLoader(TensorDataset(x, y), size, shuffle=True)


def accuracy(out: Any, target: Any) -> dict[str, Any]:
    """The share of right answers."""
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}


def bare(model: Any, loader: DataLoader) -> Callable[[], float]:
    """One pass of a loop as in a tutorial, around one compiled step."""
    optimizer = narae.optim.Adam(model.parameters(), lr=1e-3)
    schedule = StepLR(optimizer, 1000)

    @narae.compile
    def step(x: Any, y: Any) -> dict[str, Any]:
        out = model(x)
        loss = F.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach(), **accuracy(out, y)}

    def one_pass() -> float:
        model.train()
        totals = {"loss": 0.0, "accuracy": 0.0}
        for x, y in loader:
            for name, value in step(x, y).items():
                totals[name] += value.item() * len(x)
            schedule.step()
        return totals["loss"]

    return one_pass


def with_trainer(model: Any, loader: DataLoader, folder: Path) -> Callable[[], float]:
    """One epoch of the Trainer, with what `narae train` adds; validation is left out of both."""
    optimizer = narae.optim.Adam(model.parameters(), lr=1e-3)
    callbacks = (
        Schedule(StepLR(optimizer, 1000)),
        JSONLines(folder / "metrics.jsonl"),
        Progress(quiet=True),
    )
    trainer = Trainer(
        Data(loader, loader),
        model,
        F.cross_entropy,
        optimizer,
        metrics=accuracy,
        callbacks=callbacks,
        validate_every=1_000_000,
        epochs=0,
    )

    def one_pass() -> float:
        trainer.epochs = trainer.epoch + 1_000_000_000  # no validation after the last epoch
        trainer.tell("on_fit_start")
        trainer._train_epoch()
        trainer.numbers = {f"train_{k}": v for k, v in trainer.averages.values().items()}
        trainer.averages, trainer.epoch = type(trainer.averages)(), trainer.epoch + 1
        trainer.tell("on_epoch_end")
        trainer.tell("on_fit_end")
        return trainer.numbers["train_loss"]

    return one_pass


def small_model() -> Any:
    """A network whose step takes a third of a millisecond: here overhead shows."""
    nn = narae.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


WORKLOADS: dict[str, tuple[Callable[[], Any], int, int]] = {
    "the notes' MNIST CNN, batch 128": (lambda: load_recipe("mnist-cnn").model(), 128, 28),
    "MLP 64-64-10, batch 32": (small_model, 32, 8),
}


def measure(
    make: Callable[[], Any], size: int, side: int, rounds: int, steps: int, folder: Path
) -> tuple[float, float]:
    """Median milliseconds of a step of both sides, in turn."""
    loaders = [batches(steps, size, side) for _ in range(2)]
    sides = [bare(make(), loaders[0]), with_trainer(make(), loaders[1], folder)]
    times: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for place in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            sides[place]()
            if number:  # the first pass compiles
                times[place].append(1e3 * (time.perf_counter() - start) / steps)
    plain, trained = map(statistics.median, times)
    return plain, trained


def main() -> None:
    """Measure, print, and write the table if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=6, help="turns of each side")
    parser.add_argument("--steps", type=int, default=200, help="steps of a turn, which is an epoch")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    options = parser.parse_args()
    lines = [
        "`python benchmarks/trainer_overhead.py --write`",
        "",
        "| step | bare loop ms | Trainer ms | ratio | target |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, size, side) in WORKLOADS.items():
            plain, trained = measure(make, size, side, options.rounds, options.steps, Path(folder))
            target = f"≤ {TARGET}" if "CNN" in name else "reported"
            ratio = trained / plain
            missed = " **missed**" if "CNN" in name and ratio > TARGET else ""
            row = f"| {name} | {plain:.3g} | {trained:.3g} | {ratio:.3f}{missed} | {target} |"
            print(row, flush=True)
            lines.append(row)
    if options.write:
        write_table("trainer_overhead", lines, "What the Trainer adds to a bare loop")


if __name__ == "__main__":
    main()
