"""The training loop: epochs, batches, steps. Whatever else a run does is a callback's."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from narae.base.dtypes import DTYPES
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.autocast import autocast
from narae.tensors.compilation import compile as compile_step

from .averages import Averages, Numbers, prefixed
from .callback import Callback, listeners_of
from .checks import at_least
from .data import Data, items_of
from .resume import group_options, logger, restore, state_of
from .step import Forward, Loss, Metrics, Step, inputs_then_target, no_metrics

Evaluate = Callable[[Any, Any], Numbers]
Count = Callable[[Any], Tensor]


class Trainer:
    """A model with all it takes to train it.

    The four parts of training are its first arguments: data, model, loss, optimizer. Each step is
    compiled into one program; validation has a program of its own.

    Args:
        data: loaders of batches to learn from and to be judged by.
        model: the network.
        loss: loss(out, target), a mean over the batch.
        optimizer: updates the model's parameters.
        metrics: metrics(out, target), means over the batch by name; part of the program.
        forward: forward(model, batch) -> (out, target); without it, the last entry of a batch is
            the target and all others are the model's inputs.
        count: count(target), how many items a mean is over (such as tokens without padding);
            without it, the size of the batch.
        evaluate: evaluate(model, batches), numbers that are no means; at each validation.
        callbacks: who else takes part.
        epochs: how many passes over the training data there are in all.
        validate_every: epochs from validation to validation; there is always one after the last.
        accumulate: batches whose gradients are added up before an update.
        precision: "float32", or "bfloat16" for `autocast`.
        compile: make each step one program.

    Attributes:
        epoch, updates, batches: finished epochs, updates of all epochs, batches of this epoch.
        numbers: results of the last epoch, such as "train_loss" and "val_accuracy".
        stop: why to stop after this step; empty to go on.
        interrupted: whether that came from outside, such as by Ctrl-C: the run can go on later.
        judged: the model that validation looks at.
        validated: whether the last epoch was followed by a validation.
        about: what a checkpoint tells of the run: recipe, its SHA-256, settings.
        begun: the settings of the optimizer's groups at the beginning.

    Raises:
        ConfigError: for another precision, negative `epochs`, or a count below 1.

    Example:
        >>> from narae import nn, optim
        >>> from narae.data import DataLoader, TensorDataset
        >>> from narae.tensors.creation import tensor
        >>> points = TensorDataset(tensor([[1.0], [2.0], [3.0]]), tensor([[2.0], [4.0], [6.0]]))
        >>> loader = DataLoader(points, batch_size=3)
        >>> model = nn.Linear(1, 1)
        >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = Trainer(Data(loader, loader), model, nn.MSELoss(), optimizer, epochs=200)
        >>> trainer.fit()["val_loss"] < 1e-3
        True
    """

    def __init__(
        self,
        data: Data,
        model: Any,
        loss: Loss,
        optimizer: Any,
        *,
        metrics: Metrics = no_metrics,
        forward: Forward = inputs_then_target,
        count: Count | None = None,
        evaluate: Evaluate | None = None,
        callbacks: Sequence[Callback] = (),
        epochs: int = 1,
        validate_every: int = 1,
        accumulate: int = 1,
        precision: str = "float32",
        compile: bool = True,
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            rule = "precision is float32 or bfloat16"
            raise ConfigError(explain("Trainer", f"precision is {precision!r}", rule))
        self.data, self.model, self.loss, self.optimizer = data, model, loss, optimizer
        self.metrics, self.forward, self.count, self.evaluate = metrics, forward, count, evaluate
        self.epochs = at_least("Trainer", "epochs", epochs, 0)
        self.validate_every = at_least("Trainer", "validate_every", validate_every)
        self.accumulate = at_least("Trainer", "accumulate", accumulate)
        self.precision = precision
        self.callbacks: list[Callback] = []
        self.add_callbacks(callbacks)
        prepare: Callable[[Any], Any] = compile_step if compile else lambda step: step
        self.train_step, self.test_step = prepare(self._train_step), prepare(self._test_step)
        self.epoch = self.updates = self.batches = 0
        self.averages, self.numbers = Averages(), Numbers()
        self.stop, self.interrupted, self.judged, self.validated = "", False, model, False
        self.about: dict[str, Any] = {}
        self.begun = group_options(optimizer)

    def add_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Let more callbacks take part, each in its order."""
        both = [*self.callbacks, *callbacks]
        self.callbacks = sorted(both, key=lambda callback: callback.order)
        self._listeners = listeners_of(self.callbacks)

    def tell(self, event: str, about: Any = None) -> None:
        """Let those who listen to an event know, in order."""
        for listener in self._listeners[event]:
            listener(self if about is None else about)

    # --- a step: all of it is traced, and becomes one program -------------------------------------

    def _train_step(self, update: bool, *batch: Any) -> dict[str, Tensor]:
        step = Step(self.model, self.loss, batch)
        self.tell("on_batch", step)
        self._forward(step)
        self.tell("on_loss", step)
        (step.loss / self.accumulate).backward()
        self.tell("on_backward", step)
        if update:
            self.tell("on_gradients", step)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.tell("on_update", step)
        return self._numbers_of(step)

    def _test_step(self, *batch: Any) -> dict[str, Tensor]:
        step = Step(self.judged, self.loss, batch)
        self._forward(step)
        return self._numbers_of(step)

    def _forward(self, step: Step) -> None:
        with autocast("cpu", dtype=DTYPES["bfloat16"], enabled=self.precision == "bfloat16"):
            step.out, step.target = self.forward(step.model, step.batch)
            step.loss = step.plain_loss = self.loss(step.out, step.target)

    def _numbers_of(self, step: Step) -> dict[str, Tensor]:
        with no_grad():
            found = {"loss": step.plain_loss.detach(), **self.metrics(step.out, step.target)}
            if self.count is not None:
                found["count"] = self.count(step.target)
        return {**found, **step.numbers}

    # --- the loop ---------------------------------------------------------------------------------

    def fit(self) -> Numbers:
        """Train until all epochs are done or someone says stop; the numbers of the last epoch."""
        try:
            return self._fit()
        finally:
            self.close()

    def close(self) -> None:
        """Close all callbacks; `fit` ends with it.

        Where one cannot be closed, the others are, and its error is raised then. It does not take
        the place of an error that is on its way: then a warning says it.
        """
        failures: list[Exception] = []
        for callback in self.callbacks:
            try:
                callback.close()
            except Exception as error:
                failures.append(error)
                logger.warning("%s could not be closed: %s", type(callback).__name__, error)
        if failures and sys.exception() is None:
            raise failures[0]

    def _fit(self) -> Numbers:
        self.tell("on_fit_start")
        while self.epoch < self.epochs and not self.stop:
            if not self._train_epoch():
                break  # in the middle of an epoch: state_dict says where
            self.numbers = prefixed("train_", self.averages.values())
            self.averages, self.epoch = Averages(), self.epoch + 1
            self.validated = self.epoch % self.validate_every == 0 or self.epoch == self.epochs
            if self.validated:
                self.numbers |= prefixed("val_", self.validate())
            self.tell("on_epoch_end")
        self.tell("on_fit_end")
        return self.numbers

    def _train_epoch(self) -> bool:
        """Go through the rest of the training data; False if it was stopped before the end."""
        self.model.train()
        if not self.batches:
            self.tell("on_epoch_start")
        whole = len(self.data.train)
        for batch in self.data.train:  # a run that goes on begins where it was
            self.batches += 1
            last = self.batches == whole
            update = last or self.batches % self.accumulate == 0
            self._add(self.averages, self.train_step(update, *batch), batch)
            if update:
                self.updates += 1
                self.tell("on_step_end")
                if self.stop and not last:
                    return False
        self.batches = 0
        return True

    def validate(self, batches: Any = None) -> Numbers:
        """The means of loss and metrics over data that teaches the model nothing.

        Args:
            batches: a loader; that of the validation data if None.
        """
        batches = self.data.validation if batches is None else batches
        self.judged.eval()
        averages = Averages()
        with no_grad():
            for batch in batches:
                self._add(averages, self.test_step(*batch), batch)
            further = self.evaluate(self.judged, batches) if self.evaluate else {}
        return {**averages.values(), **{name: float(x) for name, x in further.items()}}

    def _add(self, averages: Averages, numbers: dict[str, Tensor], batch: Any) -> None:
        count = numbers.pop("count", None)
        averages.update(numbers, items_of(batch) if count is None else int(count.item()))

    # --- going on later ---------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the run is at its end: all epochs are done, or a callback found it enough."""
        return self.epoch >= self.epochs or (bool(self.stop) and not self.interrupted)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run which goes on needs, between two updates."""
        return state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to the moment of a `state_dict`; `fit` then goes on from there.

        Raises:
            DataError: if it is the state of something else; nothing is changed then.
        """
        restore(self, state)
