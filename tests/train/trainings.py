"""Trainings of 60 updates that tests stop, kill and go on with; small, with all that draws."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD, AdamW
from narae.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from narae.train import Callback, Data, Trainer
from narae.train.callbacks.averaging import EMA
from narae.train.callbacks.checkpoints import Checkpoints
from narae.train.callbacks.clip import ClipGradients
from narae.train.callbacks.early_stopping import EarlyStopping
from narae.train.callbacks.json_lines import JSONLines
from narae.train.callbacks.mixup import Mixup
from narae.train.callbacks.schedule import Schedule
from narae.train.checkpoint_folder import CheckpointFolder

SAMPLES, BATCH, EPOCHS = 92, 8, 5  # 12 batches an epoch, the last one smaller


class Noisy(TensorDataset):
    """Samples with noise of all three random streams."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        noise = narae.randn(6) + float(np.random.rand()) + random.random()  # noqa: NPY002
        return x + 0.1 * noise, y


def seed():
    narae.manual_seed(1)
    random.seed(2)
    np.random.seed(3)  # noqa: NPY002


class Pretends(Callback):
    """Says how good each epoch is, so that tests know which one is the best."""

    order = 30

    def __init__(self, *values, name="val_accuracy"):
        self.values, self.name = values, name

    def on_epoch_end(self, trainer):
        trainer.numbers[self.name] = self.values[trainer.epoch - 1]


class Draws(Callback):
    """Draws from all streams after each update, as a training of somebody's own may."""

    order = 20

    def on_step_end(self, trainer):
        self.drawn = float(np.random.rand()) + random.random() + narae.rand(()).item()  # noqa: NPY002

    def on_epoch_end(self, trainer):
        trainer.numbers["drawn"] = self.drawn


def points(count):
    x = narae.rand(count, 6)  # (count, 6)
    return x, (x.sum(dim=1) > 3).long()


def accuracy(out, target):
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}


def with_workers(folder, **options):
    """Two worker processes, noise for each sample."""
    seed()
    own = narae.Generator().manual_seed(4)
    train = DataLoader(
        Noisy(*points(SAMPLES)), BATCH, shuffle=True, num_workers=2,
        multiprocessing_context="fork", generator=own,
    )  # fmt: skip
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    callbacks = [Schedule(StepLR(optimizer, 2, 0.5), "epoch")]
    return made(folder, train, model, optimizer, callbacks, **options)


def compiled(folder, **options):
    """Dropout, batch norm, mixup, AdamW, one cycle."""
    seed()
    train = DataLoader(TensorDataset(*points(SAMPLES)), BATCH, shuffle=True)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
    )
    optimizer = AdamW(model.parameters(), lr=1e-2)
    epochs = options.get("epochs", EPOCHS)
    schedule = OneCycleLR(optimizer, options.pop("lr", 1e-2), total_steps=epochs * len(train))
    return made(
        folder, train, model, optimizer, [Schedule(schedule), Mixup(0.4), Draws()], **options
    )


def accumulating(folder, **options):
    """Three batches an update, a mean of the weights, clipping, a plateau, early stopping."""
    seed()
    train = DataLoader(TensorDataset(*points(SAMPLES)), BATCH, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = AdamW(model.parameters(), lr=2e-2)
    plateau = ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    callbacks = [
        Schedule(plateau, "epoch", "val_loss"),
        ClipGradients(0.1),
        EMA(model, 0.9),
        EarlyStopping(patience=100),
    ]
    options = {"accumulate": 3, "epochs": 15, **options}
    return made(folder, train, model, optimizer, callbacks, **options)


TRAININGS = {"workers": with_workers, "compiled": compiled, "accumulating": accumulating}


def made(folder, train, model, optimizer, callbacks, *, save_steps=2, keep=2, **options):
    """A trainer and its checkpoints."""
    test = DataLoader(TensorDataset(*points(40)), 16)
    keeper = Checkpoints(CheckpointFolder(folder / "checkpoints"), "", save_steps, keep)
    callbacks = [*callbacks, JSONLines(folder / "metrics.jsonl"), keeper]
    options = {"epochs": EPOCHS, "metrics": accuracy, "callbacks": callbacks, **options}
    return Trainer(Data(train, test), model, F.cross_entropy, optimizer, **options), keeper


def keeper_of(trainer):
    return next(x for x in trainer.callbacks if isinstance(x, Checkpoints))


# --- in processes -------------------------------------------------------------------------------


def train_on(make, folder: Path, before=lambda trainer: None, **options) -> None:
    """Begin or go on, until the end."""
    trainer, keeper = make(folder, **options)
    before(trainer)
    keeper.resume(trainer)
    trainer.fit()


def in_fork(work, seconds: float | None = None) -> int:
    """Let a forked process do some work, and kill it after some seconds; how it ended.

    The workers of a process that was killed have to end too.
    """
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setpgid(0, 0)
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    done, status = ended(pid, seconds)
    if not done:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    wait_for_group(pid)
    return os.waitstatus_to_exitcode(status)


def ended(pid: int, seconds: float | None) -> tuple[int, int]:
    """What `waitpid` says of a process after some seconds at most; (0, 0) if it still runs."""
    if seconds is None:
        return os.waitpid(pid, 0)
    done, status, end = 0, 0, time.monotonic() + seconds
    while not done and time.monotonic() < end:
        time.sleep(0.002)
        done, status = os.waitpid(pid, os.WNOHANG)
    return done, status


def wait_for_group(pid: int) -> None:
    """Workers end when they see that their program is gone: on a busy machine, some time later."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise AssertionError("workers outlive the process that they belong to")


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its path in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leaves(value, path=""):
    """What a nested structure holds, with its places; tensors as lists."""
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from leaves(each, f"{path}/{place}")
    else:
        yield path, value.tolist() if hasattr(value, "tolist") else value
