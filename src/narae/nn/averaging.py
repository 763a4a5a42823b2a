"""Models whose parameters are means over a training; `narae.optim.swa_utils` offers them."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from typing import Any

from narae.base import dtypes
from narae.base.errors import ConfigError
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import tensor

from .module import Module
from .normalization import _BatchNorm

Average = Callable[[Tensor, Tensor, Tensor | int], Tensor]
MultiAverage = Callable[[list[Tensor], list[Tensor], Tensor | int], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The rule of an exponential moving average of one parameter: mean ← d·mean + (1 − d)·p.

    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging", with weights
    that fall exponentially.

    Args:
        decay: d, how much of the mean stays at each step; in [0, 1].

    >>> get_ema_avg_fn(0.75)(4.0, 8.0, 1)
    5.0
    """
    _check_decay(decay)

    def average(mean: Tensor, param: Tensor, count: Tensor | int) -> Tensor:
        with no_grad():
            return decay * mean + (1 - decay) * param

    return average


def get_swa_avg_fn() -> Average:
    """The rule of an equally weighted mean of one parameter: mean ← mean + (p − mean) / (n + 1).

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
    algorithm 1.

    >>> get_swa_avg_fn()(4.0, 8.0, 3)
    5.0
    """

    def average(mean: Tensor, param: Tensor, count: Tensor | int) -> Tensor:
        with no_grad():
            return mean + (param - mean) / (count + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """The rule of `get_ema_avg_fn` for lists of parameters, in place."""
    return _for_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """The rule of `get_swa_avg_fn` for lists of parameters, in place."""
    return _for_lists(get_swa_avg_fn())


def _for_lists(rule: Average) -> MultiAverage:
    def average(means: list[Tensor], params: list[Tensor], count: Tensor | int) -> None:
        with no_grad():
            for mean, param in zip(means, params, strict=True):
                mean.copy_(rule(mean, param, count))

    return average


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ConfigError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


class AveragedModel(Module):
    """A copy of a model whose parameters are means of those the model had at each update.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
    algorithm 1; with `get_ema_avg_fn` an exponential moving average. The statistics of batch
    normalization belong to no mean: compute them with `update_bn`, or average them as well.

    Args:
        model: what is copied; its later values come by `update_parameters(model)`.
        device: where the copy lives.
        avg_fn: the new mean from (mean, parameter, number of updates so far); equally weighted
            unless given.
        multi_avg_fn: the same for lists of equal dtype, in place.
        use_buffers: average the buffers too; otherwise the latest are taken over.

    >>> import narae
    >>> layer = narae.nn.Linear(1, 1)
    >>> mean = AveragedModel(layer)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = narae.nn.init.constant_(layer.weight, value)
    ...     mean.update_parameters(layer)
    >>> mean.module.weight.item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ConfigError(
                "Only one of avg_fn and multi_avg_fn should be provided: both say how to average"
            )
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model with the mean parameters gives."""
        return self.module(*args, **kwargs)

    @no_grad
    def update_parameters(self, model: Module) -> None:
        """Take the parameters of the model into the mean."""
        pairs = list(zip(self._averaged(self.module), self._averaged(model), strict=True))
        if self.n_averaged.item() == 0:
            for mean, param in pairs:
                mean.copy_(param.detach())
        else:
            self._average(pairs)
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.copy_(theirs)
        self.n_averaged.add_(1)  # `+=` would set an attribute, and compiled steps be traced again

    def _averaged(self, model: Module) -> Iterator[Tensor]:
        return chain(model.parameters(), model.buffers() if self.use_buffers else ())

    def _average(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        rule = self.multi_avg_fn or _for_lists(self.avg_fn or get_swa_avg_fn())
        by_dtype = defaultdict(list)
        for mean, param in pairs:
            by_dtype[mean.dtype].append((mean.detach(), param.detach()))
        for group in by_dtype.values():
            means, params = zip(*group, strict=True)
            rule(list(means), list(params), self.n_averaged)


@no_grad
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of batch normalization anew, by one pass over data.

    Each batch counts equally. Needed after averaging, since the mean model never saw any data.

    Args:
        loader: batches, or tuples and lists that begin with them.
        model: whose statistics to compute; its mode is put back at the end.
        device: where batches are taken to.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)
