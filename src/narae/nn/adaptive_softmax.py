"""Adaptive softmax: few scores for frequent classes, cheap clusters for rare ones."""

from collections import namedtuple
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from narae.base.errors import BoundsError, ConfigError, ShapeError
from narae.tensors import Tensor, cat

from .activation import log_softmax
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module

_Output = namedtuple("_Output", ("output", "loss"))
_Output.__name__ = _Output.__qualname__ = "_ASMoutput"


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of targets among very many classes, sorted by frequency, and their loss.

    The head scores the frequent classes and one entry for each cluster of rarer ones; only rows
    whose target is in a cluster compute its scores, from fewer features. Which rows these are
    depends on the data, so `forward` is eager only; `log_prob` can be compiled.

    Source: Grave, Joulin, Cissé, Grangier and Jégou, Efficient softmax approximation for GPUs
    (2017), section 4.

    Args:
        in_features: of the input
        n_classes: how many there are
        cutoffs: the numbers of the first class of each cluster
        div_value: by what factor the features shrink from cluster to cluster
        head_bias: whether the head has a bias

    >>> import narae
    >>> layer = narae.nn.AdaptiveLogSoftmaxWithLoss(16, 100, cutoffs=[10, 50])
    >>> layer.log_prob(narae.zeros(2, 16)).shape
    narae.Size([2, 100])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        bounds = list(cutoffs)
        _check_cutoffs(bounds, n_classes)
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*bounds, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = bounds[0], len(bounds)
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for number, (low, high) in enumerate(pairwise(self.cutoffs)):
            hidden = int(in_features // (div_value ** (number + 1)))
            down = Linear(in_features, hidden, bias=False, **place)
            self.tail.append(Sequential(down, Linear(hidden, high - low, bias=False, **place)))

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for down, up in self.tail:
            down.reset_parameters()
            up.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> Any:
        """The log-probability of each target, and the mean of their negatives.

        Args:
            input_: (batch, in_features), or (in_features,)
            target_: (batch,), or ()
        """
        _check_batch(input_, target_)
        x, target = input_, target_
        if target.ndim == 0:
            x, target = x.unsqueeze(0), target.unsqueeze(0)
        bounds = [0, *self.cutoffs]
        entries, output = target, x.new_zeros(target.shape[0])
        used = 0
        for number, (low, high) in enumerate(pairwise(bounds)):
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().reshape(-1)
            used += rows.shape[0]
            if number == 0 or rows.shape[0] == 0:
                continue
            scores = log_softmax(self.tail[number - 1](x[rows]), dim=1)
            found = scores.gather(1, (target[rows] - low).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, found)
            entries = entries.masked_fill(inside, self.shortlist_size + number - 1)
        self._check_used(used, target)
        head = log_softmax(self.head(x), dim=1)
        output = output + head.gather(1, entries.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _Output(output if target_.ndim else output.squeeze(0), loss)

    def _check_used(self, used: int, target: Any) -> None:
        if used != target.shape[0]:
            raise BoundsError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: (batch, in_features) -> (batch, n_classes)."""
        return self._all(input, self.head(input))

    def _all(self, x: Any, head_output: Any) -> Any:
        head = log_softmax(head_output, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for number, cluster in enumerate(self.tail):
            inside = log_softmax(cluster(x), dim=1)
            parts.append(inside + head[:, self.shortlist_size + number].unsqueeze(1))
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row; clusters are scored only where they win."""
        scores = self.head(input)
        output = scores.argmax(1)
        rows = (output >= self.shortlist_size).nonzero().reshape(-1)
        if rows.shape[0] == 0:
            return output
        best = self._all(input[rows], scores[rows]).argmax(1)
        return output.index_copy(0, rows, best)


def _check_cutoffs(cutoffs: list[int], n_classes: int) -> None:
    if not cutoffs:
        raise ConfigError("cutoffs should be a sequence of length larger than 0")
    rising = all(low < high for low, high in pairwise(cutoffs))
    if not rising or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1 or any(c % 1 for c in cutoffs):
        raise ConfigError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
            f"order, where each value is between 1 and n_classes-1: {cutoffs}, {n_classes=}"
        )


def _check_batch(x: Any, target: Any) -> None:
    if target.ndim > 1:
        raise ShapeError("0D or 1D target tensor expected, multi-target not supported")
    if x.ndim != target.ndim + 1:
        raise ShapeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with size {list(x.shape)}"
        )
    if target.ndim == 1 and x.shape[0] != target.shape[0]:
        raise ShapeError(
            "Input and target should have the same size in the batch dimension, not "
            f"{x.shape[0]} and {target.shape[0]}"
        )


__all__ = ["AdaptiveLogSoftmaxWithLoss"]
