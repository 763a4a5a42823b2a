"""`ctc_loss`: connectionist temporal classification."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import BoundsError, ConfigError, DTypeError, ShapeError, explain
from narae.tensors import Tensor, where
from narae.tensors.autocast import in_float32
from narae.tensors.creation import constant
from narae.tensors.eager import apply
from narae.tensors.modes import modes
from narae.tensors.operands import numbers

from .loss_checks import check_floating, chosen_reduction
from .module import Module

MANY = 2**62  # no bound


def _lengths(what: str, lengths: Any, batch: int) -> Any:
    """Lengths as an int64 tensor (batch,); they may be given as numbers in a tuple."""
    if not isinstance(lengths, Tensor):
        given = [lengths] if isinstance(lengths, int) else list(lengths)
        lengths = constant(np.asarray(given, np.int64))
    if lengths._value.dtype.kind not in "iu":
        raise DTypeError(f"[ctc_loss] {what} must be integers, not {lengths.dtype}")
    lengths = lengths.reshape(-1).long()
    if lengths.shape[0] != batch:
        raise ShapeError(
            explain(
                "ctc_loss",
                f"{what} has {lengths.shape[0]} elements, the batch {batch}",
                f"{what} must be of size batch_size",
            )
        )
    return lengths


def _check_range(what: str, lengths: Any, largest: int) -> None:
    found = numbers(lengths)
    if found is None or found.size == 0:
        return
    if found.min() < 0:
        raise ConfigError(f"[ctc_loss] {what} must be non-negative, but is {found.tolist()}")
    if found.max() > largest:
        raise ShapeError(
            f"[ctc_loss] Expected {what} to have value at most {largest}, but got value "
            f"{int(found.max())}"
        )


def _longest(target_lengths: Any, otherwise: int) -> int:
    """The longest target; while tracing, as long as it could be."""
    found = numbers(target_lengths)
    if found is None:
        return otherwise
    return int(found.max()) if found.size else 0


def _labels(targets: Any, target_lengths: Any, batch: int, blank: int) -> Any:
    """Labels as (batch, longest), filled up with blanks."""
    width = targets.shape[1] if targets.ndim == 2 else targets.shape[0]
    longest = _longest(target_lengths, width)
    place = constant(np.arange(longest))
    if targets.ndim == 2:
        if targets.shape[0] != batch:
            raise ShapeError(
                f"[ctc_loss] Expected targets to have batch size {batch}, but got "
                f"{tuple(targets.shape)}"
            )
        _check_range("target_lengths", target_lengths, width)
        labels = targets[:, :longest]
    else:
        total = numbers(target_lengths)
        if total is not None and total.sum() > width:
            raise ShapeError(
                explain(
                    "ctc_loss",
                    f"targets has {width} labels, target_lengths add up to {int(total.sum())}",
                    "one-dimensional targets hold all labels one after the other",
                )
            )
        starts = target_lengths.cumsum(0) - target_lengths
        flat = (starts.unsqueeze(1) + place).clamp(max=max(width - 1, 0))
        if longest == 0 or width == 0:
            return constant(np.zeros((batch, 0), np.int64))
        labels = apply(p.take, targets.long(), flat, dim=0)
    used = place < target_lengths.unsqueeze(1)
    return where(used, labels.long(), blank)


def _check_labels(labels: Any, classes: int) -> None:
    found = numbers(labels)
    if found is not None and found.size and not 0 <= found.min() <= found.max() < classes:
        wrong = found.max() if found.max() >= classes else found.min()
        raise BoundsError(
            f"[ctc_loss] a target is {int(wrong)}; labels are between 0 and {classes - 1}"
        )


def _sum_of_probabilities(x: Any, input_lengths: Any) -> Any:
    """The probabilities of all classes, added over classes and steps: (batch,)."""
    time = constant(np.arange(x.shape[0])).reshape(-1, 1)
    total = x.exp().sum(2)  # (time, batch)
    return where(time < input_lengths, total, 0.0).sum(0)


def _losses(
    x: Any, labels: Any, input_lengths: Any, target_lengths: Any, blank: int, safe: bool
) -> Any:
    """The loss of each sequence.

    As in PyTorch its gradient is that of -log p after log_softmax: exp(x) is added to the
    derivative, which changes nothing for a softmax, whose probabilities add up to a constant.
    """
    how = {"blank": blank, "zero_infinity": safe}
    loss = apply(p.ctc_loss, x, labels, input_lengths, target_lengths, **how)
    impossible = loss == float("inf")
    if modes.grad and x.requires_grad:
        total = _sum_of_probabilities(x, input_lengths)
        known = loss.detach()
        # The second factor is 1, or NaN for an infinite loss, whose gradients are NaN.
        nothing = (total - total.detach()) * (1 if safe else 1 + (known - known))
        loss = where(impossible, loss, loss + nothing)
    return where(impossible, 0.0, loss) if safe else loss


@in_float32
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of labels whose places in the sequence are not known.

    A path names one class for every step; without repetitions and blanks it is a labelling. The
    loss adds the probabilities of all paths of the labelling, by the forward recursion.

    Source: Graves, Fernández, Gomez and Schmidhuber, Connectionist Temporal Classification (2006),
    equations 6 to 8.

    Args:
        log_probs: (time, batch, classes), or without batch: what log_softmax gives
        targets: (batch, longest target), or all labels one after the other; none is the blank
        input_lengths: the number of steps of each sequence, a tensor or a tuple
        target_lengths: the number of labels of each sequence
        blank: the class that stands for no label
        reduction: "none", "sum" or "mean", which divides each loss by the length of its target
        zero_infinity: 0 for targets that no path of this length collapses to

    Returns:
        a scalar; (batch,) for "none"

    >>> import narae
    >>> half = narae.full((2, 1, 2), 0.5).log()
    >>> loss = narae.nn.functional.ctc_loss(half, narae.tensor([[1]]), (2,), (1,))
    >>> round(loss.exp().item(), 4)  # three of four paths: 11, 01, 10
    1.3333
    """
    reduction = chosen_reduction(reduction)
    x, target = log_probs, targets
    if not isinstance(x, Tensor) or not isinstance(target, Tensor):
        raise TypeError("ctc_loss(): log_probs and targets must be tensors")
    check_floating("ctc_loss", x)
    if x.ndim not in (2, 3) or target.ndim not in (1, 2):
        raise ShapeError(
            explain(
                "ctc_loss",
                f"log_probs is {tuple(x.shape)}, targets is {tuple(target.shape)}",
                "log_probs is (time, batch, classes), targets (batch, length) or (all labels,)",
            )
        )
    single = x.ndim == 2
    if single:
        x = x.unsqueeze(1)
    time, batch, classes = x.shape
    if not 0 <= blank < classes:
        raise ConfigError(f"[ctc_loss] blank must be in label range, 0 to {classes - 1}: {blank}")
    steps = _lengths("input_lengths", input_lengths, batch)
    counts = _lengths("target_lengths", target_lengths, batch)
    _check_range("input_lengths", steps, time)
    _check_range("target_lengths", counts, MANY)
    labels = _labels(target, counts, batch, blank)
    _check_labels(labels, classes)
    loss = _losses(x, labels, steps, counts, blank, zero_infinity)
    if reduction == "mean":
        return (loss / counts.clamp(min=1).to(loss.dtype)).mean()
    if reduction == "sum":
        return loss.sum()
    return loss.squeeze(0) if single else loss


class CTCLoss(Module):
    """-log of the probability of labels whose places are not known. See `functional.ctc_loss`.

    Args:
        blank: the class that stands for no label
        reduction: "none", "sum" or "mean", which divides each loss by the length of its target
        zero_infinity: 0 for targets that no path of this length collapses to

    >>> import narae
    >>> scores = narae.zeros(3, 2, 5).log_softmax(2)
    >>> labels, lengths = narae.tensor([[1, 2], [3, 0]]), narae.tensor([2, 1])
    >>> narae.nn.CTCLoss(reduction="none")(scores, labels, narae.tensor([3, 3]), lengths).shape
    narae.Size([2])
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )


__all__ = ["CTCLoss", "ctc_loss"]
