"""Connectionist temporal classification in NumPy: one short loop over time in each direction."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

Array = Any
NEVER = -np.inf


class _Paths:
    """States of all sequences, blanks and labels in turn: see `primitives/ctc.py`."""

    def __init__(
        self, x: Array, labels: Array, input_lengths: Array, counts: Array, blank: int
    ) -> None:
        (time, batch, _), width = x.shape, 2 * labels.shape[1] + 1
        self.states = np.full((batch, width), blank)
        self.states[:, 1::2] = labels
        # Sums of many logarithms are large, and their differences matter: float64.
        emissions = x[:, np.arange(batch)[:, None], self.states]  # (time, batch, states)
        self.emissions = emissions.astype(np.float64)
        self.alive = np.arange(time)[:, None] < input_lengths  # (time, batch)
        self.last = counts * 2
        self.skips = np.zeros((batch, width), bool)
        self.skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
        self.place = np.arange(width + 1)

    def forward(self) -> Array:
        """alpha at each step, and before the first, (time + 1, batch, states)."""
        start = np.full(self.states.shape, NEVER, self.emissions.dtype)
        start[:, 0] = 0
        return _run(start, self.skips, self.emissions, self.alive)

    def backward(self) -> Array:
        """beta at each step, (time, batch, states)."""
        time, batch, width = self.emissions.shape
        last = self.last[:, None]
        wide = np.full((time, batch, width + 1), NEVER, self.emissions.dtype)
        wide[..., :-1] = np.where(self.place[:-1] <= last, self.emissions, NEVER)
        start = np.where(self.place == last + 1, 0.0, NEVER).astype(wide.dtype)
        skips = self.place == last - 1
        skips[:, : max(width - 2, 0)] |= self.skips[:, 2:]
        turned = _run(start[:, ::-1], skips[:, ::-1], wide[::-1, :, ::-1], self.alive[::-1])
        return turned[:0:-1, :, :0:-1]

    def log_probability(self, alpha: Array) -> Array:
        """Of the labels: of all paths that end in the last label or in the blank after it."""
        rows = np.arange(len(alpha))
        label = np.where(self.last > 0, alpha[rows, np.maximum(self.last - 1, 0)], NEVER)
        return np.logaddexp(alpha[rows, self.last], label)


def _run(start: Array, skips: Array, emissions: Array, alive: Array) -> Array:
    """The recursion, whose result at each step stands behind the one before."""
    time, batch, width = emissions.shape
    # Two impossible states before the first spare the loop its special cases.
    table = np.full((time + 1, batch, width + 2), NEVER, emissions.dtype)
    table[0, :, 2:] = start
    barred = np.where(skips, 0.0, NEVER).astype(emissions.dtype)
    lowest = np.finfo(emissions.dtype).min
    for step in range(time):
        before, after = table[step], table[step + 1, :, 2:]
        stay, move, skip = before[:, 2:], before[:, 1:-1], before[:, :-2] + barred
        largest = np.maximum(np.maximum(stay, move), skip)
        np.maximum(largest, lowest, out=largest)  # finite, so that differences are numbers
        total = np.exp(stay - largest)
        total += np.exp(move - largest)
        total += np.exp(skip - largest)
        np.log(total, out=total)
        total += largest
        total += emissions[step]
        going = alive[step]
        after[...] = total if going.all() else np.where(going[:, None], total, stay)
    return table[..., 2:]


@np.errstate(all="ignore")
def ctc_loss(
    log_probs: Array,
    labels: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int,
    zero_infinity: bool,
) -> Array:
    """-log of the probability of each labelling.

    Args:
        log_probs: (time, batch, classes)
        labels: (batch, longest), filled up with anything that is a class
    """
    paths = _Paths(log_probs, labels, input_lengths, target_lengths, blank)
    return (-paths.log_probability(paths.forward()[-1])).astype(log_probs.dtype)


@np.errstate(all="ignore")
def ctc_loss_grad(
    grad: Array,
    log_probs: Array,
    labels: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int,
    zero_infinity: bool,
) -> Array:
    """-grad times the probability of each class at each step, given the labels."""
    paths = _Paths(log_probs, labels, input_lengths, target_lengths, blank)
    alpha = paths.forward()
    total = paths.log_probability(alpha[-1])[:, None]
    counted = paths.alive[..., None] & (paths.emissions != NEVER)
    if zero_infinity:
        counted &= total != NEVER
    share = np.exp(alpha[1:] + paths.backward() - paths.emissions - total)
    share *= -grad[:, None]
    share[~counted] = 0
    time, batch, classes = log_probs.shape
    grad_x = np.zeros(log_probs.shape, log_probs.dtype)
    rows = np.arange(time * batch).reshape(time, batch, 1) * classes
    np.add.at(
        grad_x.reshape(-1),
        (rows + paths.states).reshape(-1),
        share.reshape(-1).astype(grad_x.dtype),
    )
    return grad_x


LOWERINGS: dict[Any, Callable[..., Any]] = {p.ctc_loss: ctc_loss, p.ctc_loss_grad: ctc_loss_grad}
