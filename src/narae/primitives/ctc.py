"""Connectionist temporal classification: the probability of a labelling without alignment."""

from functools import lru_cache
from typing import Any

import numpy as np

from narae.base.dtypes import INT64
from narae.ir import Program, trace

from .composite import Composite
from .control import scan
from .elementwise import (
    add,
    and_,
    detach,
    eq,
    exp,
    log,
    lt,
    maximum,
    mul,
    ne,
    neg,
    shift_right,
    sub,
    where,
)
from .generators import full, iota
from .indexing import gather
from .movement import concat, expand, narrow, pad, reshape
from .record import shape_of

NEVER = float("-inf")  # the logarithm of a probability of 0


def _log_sum(parts: list[Any], safe: bool) -> Any:
    """log(sum of exp(part)), and its gradient 0 (safe) or NaN where all parts are impossible."""
    largest = parts[0]
    for part in parts[1:]:
        largest = maximum(largest, part)
    shift = detach(where(eq(largest, NEVER), 0.0, largest))
    total = exp(sub(parts[0], shift))
    for part in parts[1:]:
        total = add(total, exp(sub(part, shift)))
    if not safe:
        return add(log(total), shift)
    nothing = eq(total, 0)
    return where(nothing, NEVER, add(log(where(nothing, 1.0, total)), shift))


def _shifted(alpha: Any, places: int) -> Any:
    """alpha[s - places]; impossible before the start."""
    states = shape_of(alpha)[1]
    kept = narrow(alpha, 1, 0, max(states - places, 0))
    return pad(kept, low=(0, min(places, states)), high=(0, 0), value=NEVER)


def _step(skips: Any, alpha: Any, emission: Any, alive: Any) -> tuple[Any]:
    """Graves et al., equation 6: stay, come from the state before, or skip a blank."""
    skipped = where(skips, _shifted(alpha, 2), NEVER)
    new = add(_log_sum([alpha, _shifted(alpha, 1), skipped], safe=True), emission)
    return (where(alive, new, alpha),)


@lru_cache(maxsize=256)
def _body(batch: int, states: int, dtype: Any) -> Program:
    bools, one = np.dtype(np.bool_), ((batch, states), dtype)
    metas = [((batch, states), bools), one, one, ((batch, 1), bools)]
    return trace(_step, metas, "ctc_step")


def _interleaved(labels: Any, blank: int) -> Any:
    """(batch, labels) -> (batch, 2 * labels + 1): a blank before, between and after them.

    >>> _interleaved(np.array([[5, 7]]), 0)
    array([[0, 5, 0, 7, 0]])
    """
    batch, count = shape_of(labels)
    column = full(shape=(batch, count, 1), value=blank, dtype=labels.dtype)
    pairs = concat(column, reshape(labels, shape=(batch, count, 1)), dim=2)
    last = full(shape=(batch, 1), value=blank, dtype=labels.dtype)
    return concat(reshape(pairs, shape=(batch, 2 * count)), last, dim=1)


def _may_skip(states: Any) -> Any:
    """Where the label differs from the one before: the blank between them may be left out.

    >>> _may_skip(np.array([[0, 5, 0, 5, 0, 7, 0]]))
    array([[False, False, False, False, False,  True, False]])
    """
    count = shape_of(states)[1]
    before = pad(
        narrow(states, 1, 0, max(count - 2, 0)), low=(0, min(2, count)), high=(0, 0), value=-1
    )
    place = iota(size=count, dtype=INT64)
    odd = eq(sub(place, mul(2, shift_right(place, 1))), 1)
    return and_(and_(ne(states, before), odd), lt(1, place))


def _ctc(
    log_probs: Any,
    labels: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    zero_infinity: bool,
) -> Any:
    time, batch, _ = shape_of(log_probs)
    states = _interleaved(labels, blank)  # (batch, states)
    count = shape_of(states)[1]
    index = expand(reshape(states, shape=(1, batch, count)), shape=(time, batch, count))
    emissions = gather(log_probs, index, dim=2)  # (time, batch, states)
    clock = reshape(iota(size=time, dtype=INT64), shape=(time, 1, 1))
    alive = lt(clock, reshape(input_lengths, shape=(1, batch, 1)))
    # Before the first step all is still before the first state: the same step enters it.
    start = pad(
        full(shape=(batch, 1), value=0, dtype=log_probs.dtype),
        low=(0, 0),
        high=(0, count - 1),
        value=NEVER,
    )
    (alpha,) = scan(
        _may_skip(states),
        start,
        emissions,
        alive,
        body=_body(batch, count, np.dtype(log_probs.dtype)),
        constants=1,
        carries=1,
        length=time,
        reverse=False,
    )
    return neg(_ends(alpha, target_lengths, zero_infinity))


def _ends(alpha: Any, target_lengths: Any, safe: bool) -> Any:
    """Equation 8: a labelling ends in its last label or in the blank after it."""
    batch, _ = shape_of(alpha)
    last = reshape(mul(target_lengths, 2), shape=(batch, 1))
    empty = eq(last, 0)
    blank_end = gather(alpha, last, dim=1)
    label_end = gather(alpha, where(empty, 0, sub(last, 1)), dim=1)
    label_end = where(empty, NEVER, label_end)
    return reshape(_log_sum([blank_end, label_end], safe), shape=(batch,))


# Graves, Fernández, Gomez and Schmidhuber 2006, Connectionist Temporal Classification.
ctc_loss: Composite = Composite(
    "ctc_loss",
    "log_probs labels input_lengths target_lengths",
    "-log of the sum, over all paths that collapse to the labels, of the product of their "
    "probabilities; log_probs is (time, batch, classes)",
    _ctc,
    by_decomposition=True,
    grad_name="CtcLossBackward0",
)
