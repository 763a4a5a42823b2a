"""Connectionist temporal classification: the probability of a labelling without alignment."""

from functools import lru_cache
from typing import Any, NamedTuple

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
    le,
    log,
    lt,
    maximum,
    mul,
    ne,
    neg,
    or_,
    shift_right,
    sub,
    where,
)
from .generators import full, iota, zeros
from .indexing import gather, scatter_add
from .movement import concat, expand, flip, narrow, pad, reshape
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


def _step(skips: Any, alpha: Any, emission: Any, alive: Any) -> tuple[Any, Any]:
    """Graves et al., equation 6: stay, come from the state before, or skip a blank."""
    skipped = where(skips, _shifted(alpha, 2), NEVER)
    new = add(_log_sum([alpha, _shifted(alpha, 1), skipped], safe=True), emission)
    new = where(alive, new, alpha)
    return new, new


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


class _Paths(NamedTuple):
    """The states of all sequences: blanks and labels in turn.

    Attributes:
        index: the class of each state at each step, (time, batch, states)
        emissions: their log-probabilities
        skips: (batch, states), which may be reached from two before
        alive: (time, batch, 1), whether the sequence still goes on
        last: (batch, 1), the blank after the last label
    """

    index: Any
    emissions: Any
    skips: Any
    alive: Any
    last: Any


def _paths(log_probs: Any, labels: Any, input_lengths: Any, counts: Any, blank: int) -> _Paths:
    time, batch, _ = shape_of(log_probs)
    states = _interleaved(labels, blank)  # (batch, states)
    count = shape_of(states)[1]
    index = expand(reshape(states, shape=(1, batch, count)), shape=(time, batch, count))
    clock = reshape(iota(size=time, dtype=INT64), shape=(time, 1, 1))
    alive = lt(clock, reshape(input_lengths, shape=(1, batch, 1)))
    last = reshape(mul(counts, 2), shape=(batch, 1))
    return _Paths(index, gather(log_probs, index, dim=2), _may_skip(states), alive, last)


def _run(start: Any, skips: Any, emissions: Any, alive: Any, reverse: bool) -> tuple[Any, Any]:
    """The recursion over all steps: its last result, and all of them."""
    time, batch, count = shape_of(emissions)
    return scan(  # type: ignore[no-any-return]
        skips,
        start,
        emissions,
        alive,
        body=_body(batch, count, np.dtype(emissions.dtype)),
        constants=1,
        carries=1,
        length=time,
        reverse=reverse,
    )


def _forward(paths: _Paths) -> tuple[Any, Any]:
    """alpha: the log-probability of all beginnings that end in a state, last and at each step.

    Before the first step all is still before the first state: the same step enters it.
    """
    _, batch, count = shape_of(paths.emissions)
    first = full(shape=(batch, 1), value=0, dtype=paths.emissions.dtype)
    start = pad(first, low=(0, 0), high=(0, count - 1), value=NEVER)
    return _run(start, paths.skips, paths.emissions, paths.alive, reverse=False)


def _backward(paths: _Paths) -> Any:
    """beta: the log-probability of all ends that begin in a state, at each step (equation 9).

    It is the same recursion in the other direction; it starts in one more state, behind the last
    blank, which that and the last label lead to.
    """
    _, batch, count = shape_of(paths.emissions)
    place = reshape(iota(size=count + 1, dtype=INT64), shape=(1, count + 1))
    wide = pad(paths.emissions, low=(0, 0, 0), high=(0, 0, 1), value=NEVER)
    wide = where(le(place, paths.last), wide, NEVER)
    zero = full(shape=(batch, count + 1), value=0, dtype=wide.dtype)
    start = where(eq(place, add(paths.last, 1)), zero, NEVER)
    later = narrow(paths.skips, 1, min(2, count), max(count - 2, 0))
    later = pad(later, low=(0, 0), high=(0, count + 1 - shape_of(later)[1]), value=False)
    skips = or_(later, eq(place, sub(paths.last, 1)))
    turned = flip(start, dim=(1,)), flip(skips, dim=(1,)), flip(wide, dim=(2,))
    _, beta = _run(*turned, paths.alive, reverse=True)
    return narrow(flip(beta, dim=(2,)), 2, 0, count)


def _ctc(
    log_probs: Any,
    labels: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    zero_infinity: bool,
) -> Any:
    paths = _paths(log_probs, labels, input_lengths, target_lengths, blank)
    return neg(_ends(_forward(paths)[0], paths.last, zero_infinity))


def _ctc_grad(
    grad: Any,
    log_probs: Any,
    labels: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    zero_infinity: bool,
) -> Any:
    """Minus the probability of each state given the labels, added up by class (equation 15)."""
    paths = _paths(log_probs, labels, input_lengths, target_lengths, blank)
    final, alpha = _forward(paths)
    total = reshape(_ends(final, paths.last, zero_infinity), shape=(1, shape_of(final)[0], 1))
    both = sub(sub(add(alpha, _backward(paths)), paths.emissions), total)
    counted = and_(paths.alive, ne(paths.emissions, NEVER))
    if zero_infinity:
        counted = and_(counted, ne(total, NEVER))
    share = where(counted, exp(where(counted, both, NEVER)), 0.0)
    felt = mul(share, reshape(neg(grad), shape=(1, shape_of(final)[0], 1)))
    empty = zeros(shape_of(log_probs), log_probs.dtype)
    return scatter_add(empty, paths.index, felt, dim=2)


def _ends(alpha: Any, last: Any, safe: bool) -> Any:
    """Equation 8: a labelling ends in its last label or in the blank after it."""
    batch, _ = shape_of(alpha)
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
    saves="log_probs labels input_lengths target_lengths",
    grads=(lambda grad, *saved, **how: ctc_loss_grad(grad, *saved, **how), None, None, None),
    grad_name="CtcLossBackward0",
)

ctc_loss_grad: Composite = Composite(
    "ctc_loss_grad",
    "grad_out log_probs labels input_lengths target_lengths",
    "-grad_out * the probability that a path of the labels is in a class at a step",
    _ctc_grad,
    by_decomposition=True,
    grad_name="CtcLossBackwardBackward0",
)
