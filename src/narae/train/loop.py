"""The training loop: epochs, steps, validation. Everything else about a run is elsewhere."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from narae.base.errors import DataError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.compilation import compile as compile_step
from narae.train.metrics import Average
from narae.train.progress import EpochProgress

Array = npt.NDArray[Any]
Numbers = dict[str, float]
History = dict[str, list[float]]
LossFunction = Callable[[Tensor, Tensor], Tensor]
MetricsFunction = Callable[[Tensor, Tensor], Mapping[str, Tensor]]


class Batches(Protocol):
    """What a `DataLoader` is: batches of (x, target), and how many samples they come from."""

    dataset: Any

    def __iter__(self) -> Any:
        """Each batch."""
        ...


class Trainer:
    """A model with all it takes to train it.

    Args:
        model: the network.
        loss: loss(out, target), a mean over the batch.
        optimizer: updates the model's parameters.
        schedule: changes the learning rate after each step; None leaves it.
        metrics: metrics(out, target), means over the batch by name.
        compiled: make each step one program.
    """

    def __init__(
        self,
        model: Any,
        loss: LossFunction,
        optimizer: Any,
        schedule: Any = None,
        metrics: MetricsFunction = lambda out, target: {},
        compiled: bool = True,
    ) -> None:
        self.model, self.loss, self.metrics = model, loss, metrics
        self.optimizer, self.schedule = optimizer, schedule
        prepare = compile_step if compiled else _as_it_is
        self.train_step: Callable[..., Mapping[str, Tensor]] = prepare(self._train_step)
        self.test_step: Callable[..., Mapping[str, Tensor]] = prepare(self._test_step)

    def _train_step(self, x: Tensor, target: Tensor) -> dict[str, Tensor]:
        out = self.model(x)
        loss = self.loss(out, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self._numbers(out, target, loss)

    def _test_step(self, x: Tensor, target: Tensor) -> dict[str, Tensor]:
        out = self.model(x)
        return self._numbers(out, target, self.loss(out, target))

    def _numbers(self, out: Tensor, target: Tensor, loss: Tensor) -> dict[str, Tensor]:
        found = {"loss": loss.detach()}
        with no_grad():
            found.update(self.metrics(out, target))
        return found

    def train_epoch(self, batches: Batches, show: EpochProgress) -> Numbers:
        """One pass over the training data; returns the means of loss and metrics."""
        self.model.train()
        averages = _Averages()
        for x, target in batches:
            averages.update(self.train_step(x, target), len(x))
            if self.schedule is not None:
                self.schedule.step()
            show.advance(len(x), **averages.values())
        _check_finite(averages.values()["loss"])
        return averages.values()

    def test(self, batches: Batches) -> Numbers:
        """The means of loss and metrics over other data, which teaches the model nothing."""
        self.model.eval()
        averages = _Averages()
        with no_grad():
            for x, target in batches:
                averages.update(self.test_step(x, target), len(x))
        return averages.values()


def fit(
    trainer: Trainer,
    train: Batches,
    test: Batches,
    epochs: int,
    show: EpochProgress,
    history: History,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train until `epochs` are in the history, which also tells where to go on.

    Args:
        trainer: what to train.
        train, test: loaders of (x, target) batches.
        epochs: how many epochs the history shall have.
        show: what the user sees meanwhile.
        history: one number an epoch under "train_loss", "test_loss" and so on; filled here.
        after_epoch: called with the number of each finished epoch, from 1.
    """
    for epoch in range(len(history.get("train_loss", ())) + 1, epochs + 1):
        show.start_epoch(epoch)
        learned = trainer.train_epoch(train, show)
        judged = {f"val_{name}": value for name, value in trainer.test(test).items()}
        show.end_epoch(**learned, **judged)
        for name, value in {**{f"train_{k}": v for k, v in learned.items()}, **judged}.items():
            history.setdefault(name, []).append(value)
        after_epoch(epoch)


def predict(model: Any, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Array, Array]:
    """The model's outputs and the targets, each of all batches together."""
    model.eval()
    with no_grad():
        pairs = [(np.asarray(model(x)), np.asarray(target)) for x, target in batches]
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


class _Averages:
    """A running average for each name."""

    def __init__(self) -> None:
        self._averages: dict[str, Average] = {}

    def update(self, numbers: Mapping[str, Tensor], count: int) -> None:
        for name, value in numbers.items():
            self._averages.setdefault(name, Average()).update(value.item(), count)

    def values(self) -> Numbers:
        return {name: average.value for name, average in self._averages.items()}


def _as_it_is(step: Any) -> Any:
    return step


def _check_finite(loss: float) -> None:
    if not np.isfinite(loss):
        rule = "training goes on only with finite numbers"
        fix = "lower the learning rate (--lr), or scale the inputs"
        raise DataError(explain("train", f"the loss became {loss}", rule, fix))
