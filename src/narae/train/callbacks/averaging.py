"""Means of the parameters over a training: exponential ones, and those of whole epochs."""

import math
from copy import deepcopy
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.nn.averaging import AveragedModel, update_bn
from narae.tensors import no_grad
from narae.tensors.creation import zeros

from ..averages import prefixed
from ..callback import Callback
from ..step import Forward, Step
from ..trainer import Trainer


class EMA(Callback):
    """Keeps an exponential moving mean of the parameters: mean ← d · mean + (1 - d) · parameter.

    It is part of the step's program. Validation, the best checkpoint and results are of the mean.
    Buffers, such as the statistics of batch normalization, are taken over as they are.

    At update n (from 1 on) d is min(decay, n / (n + 9)), so that a short run does not remember how
    it began; without `warmup` it is `decay` from the second update on, as in `AveragedModel`.

    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the warm-up is
    that of TensorFlow's ExponentialMovingAverage.

    Args:
        model: the model that is trained.
        decay: how much of the mean stays, in (0, 1).
        warmup: begin with less.

    Attributes:
        model: the mean, a model like the trained one.

    Raises:
        ConfigError: for another decay.

    >>> from narae import nn
    >>> EMA(nn.Linear(1, 1), decay=0.99).model
    Linear(in_features=1, out_features=1, bias=True)
    """

    order = 50

    def __init__(self, model: Any, decay: float = 0.999, warmup: bool = True) -> None:
        if not 0 < decay < 1:
            given, rule = f"decay is {decay}", "it lies between 0 and 1"
            raise ConfigError(explain("EMA", given, rule))
        self.model = deepcopy(model).eval()
        self.decay, self.warmup = float(decay), warmup
        self._updates = zeros(())

    def on_fit_start(self, trainer: Trainer) -> None:
        """Let validation look at the mean."""
        trainer.judged = self.model

    def on_update(self, step: Step) -> None:
        """Take the new parameters into the mean."""
        with no_grad():
            decay = self._next_decay()
            pairs = zip(self.model.parameters(), step.model.parameters(), strict=True)
            for mean, parameter in pairs:
                mean.lerp_(parameter, (1 - decay).to(mean.dtype))
            for mine, theirs in zip(self.model.buffers(), step.model.buffers(), strict=True):
                mine.copy_(theirs)

    def _next_decay(self) -> Any:
        self._updates.add_(1)
        count = self._updates
        if self.warmup:
            return (count / (count + 9)).clamp(max=self.decay)
        return self.decay * (count > 1).to(count.dtype)

    def state_dict(self) -> dict[str, Any]:
        """The mean."""
        return {"model": self.model.state_dict(), "updates": self._updates.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self.model.load_state_dict(state["model"])
        with no_grad():
            self._updates.copy_(state["updates"])


class SWA(Callback):
    """Takes the mean of the parameters at the ends of the last epochs, each with equal weight.

    After the last epoch the statistics of batch normalization are computed anew for the mean, by a
    pass over the training data, and the epoch's validation is repeated with it: the last epoch's
    numbers, the results and, if it is better, the best checkpoint are of the mean. A run that is
    stopped before has no mean.

    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson 2018, "Averaging Weights Leads to Wider Optima
    and Better Generalization", algorithm 1. It wants a learning rate that stays high: give an
    `narae.optim.swa_utils.SWALR` as scheduler, to a run without a schedule of its own.

    Args:
        model: the model that is trained.
        start: the share of the epochs after which it begins, in [0, 1).
        scheduler: stepped at the end of each of those epochs.

    Raises:
        ConfigError: for another start.

    >>> from narae import nn
    >>> SWA(nn.Linear(1, 1), start=0.75).start
    0.75
    """

    order = 51

    def __init__(self, model: Any, start: float = 0.75, scheduler: Any = None) -> None:
        if not 0 <= start < 1:
            given, rule = f"start is {start}", "it is a share of the epochs, in [0, 1)"
            raise ConfigError(explain("SWA", given, rule))
        self.start, self.scheduler = float(start), scheduler
        self.averaged = AveragedModel(model)

    def on_fit_start(self, trainer: Trainer) -> None:
        """A run that was finished is judged by the mean."""
        if trainer.epoch >= trainer.epochs and self.averaged.n_averaged.item():
            trainer.judged = self.averaged.module

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Take the epoch's parameters into the mean; after the last, judge it."""
        if trainer.epoch <= math.floor(self.start * trainer.epochs):
            return
        self.averaged.update_parameters(trainer.model)
        if self.scheduler is not None:
            self.scheduler.step()
        if trainer.epoch == trainer.epochs:
            self._judge(trainer)

    def _judge(self, trainer: Trainer) -> None:
        mean = self.averaged.module
        batches = ([batch] for batch in trainer.data.train)
        with no_grad():
            update_bn(batches, _OfBatches(mean, trainer.forward))  # type: ignore[call-arg,type-var]
        trainer.judged = mean
        trainer.numbers |= prefixed("val_", trainer.validate())

    def state_dict(self) -> dict[str, Any]:
        """The mean, and how many epochs it is of."""
        own = {} if self.scheduler is None else self.scheduler.state_dict()
        return {"averaged": self.averaged.state_dict(), "scheduler": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self.averaged.load_state_dict(state["averaged"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])


class _OfBatches(Module):
    """A model that takes whole batches, targets included."""

    def __init__(self, model: Any, forward: Forward) -> None:
        super().__init__()
        self.inner, self._forward_batch = model, forward

    def forward(self, batch: Any) -> Any:
        return self._forward_batch(self.inner, batch)[0]
