"""Beam search: several best beginnings are kept at each step, not one.

    score(tokens) = log p(tokens) / length ** length_penalty

Source: Graves, Sequence transduction with recurrent neural networks (2012); dividing by the
length: Wu et al., Google's neural machine translation system (2016), section 7, simplified.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, explain

from .stepping import Ids, Logits, State, Stepper, first_tokens, log_softmax

Scores = npt.NDArray[np.float64]


class Hypothesis(NamedTuple):
    """A text that was found.

    Attributes:
        tokens: its ids, without the one that ended it.
        score: log probability / length ** length_penalty; the end counts as a token.
    """

    tokens: list[int]
    score: float


def beam_search(
    model: Any,
    state: State,
    tokens: Any,
    eos_id: int,
    max_tokens: int,
    beams: int = 4,
    length_penalty: float = 1.0,
    early_stopping: bool = False,
) -> list[list[Hypothesis]]:
    """The best continuations of each row of a state.

    Args:
        model: with `start` and `step`, or its Stepper
        state: of `start`
        tokens: what is read first, one for all rows, such as bos, or one of each (batch,)
        eos_id: the token that ends a text
        max_tokens: how long a text may become, its end counted
        beams: how many beginnings are kept of each row
        length_penalty: 0 compares log probabilities; the larger, the longer are the texts
        early_stopping: stop with the first `beams` ended texts; otherwise only when no beginning
            can become a better one

    Returns:
        for each row up to `beams` texts, the best first; those that did not end in time are cut

    Raises:
        BoundsError: if the model has too few positions.
        ConfigError: if `beams` or `max_tokens` is less than 1, or the penalty is no number.
    """
    _check(beams, max_tokens, length_penalty)
    stepper, batch = Stepper.of(model), state[0].shape[0]
    stepper.check_room(stepper.used(state) + 1, max_tokens)
    first = first_tokens(tokens, batch)
    rules = _Rules(eos_id, max_tokens, beams, length_penalty, early_stopping)
    searches = [_Search(rules) for _ in range(batch)]
    rows, read = np.repeat(np.arange(batch), beams), np.repeat(first, beams)
    for length in range(1, max_tokens + 1):
        logits, state = stepper.step(read, state, rows)
        logs = log_softmax(logits).reshape(batch, beams, -1)  # (batch, beams, vocabulary)
        for search, log in zip(searches, logs, strict=True):
            search.advance(log, length)
        if all(search.done for search in searches):
            break
        starts = np.arange(batch)[:, None] * beams
        rows = (starts + np.stack([search.parents for search in searches])).reshape(-1)
        read = np.concatenate([search.last_tokens for search in searches])
    return [search.best() for search in searches]


def _check(beams: int, max_tokens: int, length_penalty: float) -> None:
    if min(beams, max_tokens) < 1:
        given = f"beams is {beams}, max_tokens is {max_tokens}"
        raise ConfigError(explain("beam_search", given, "both are at least 1"))
    if not math.isfinite(length_penalty):
        given = f"length_penalty is {length_penalty}"
        raise ConfigError(explain("beam_search", given, "it is a finite number"))


@dataclass(frozen=True)
class _Rules:
    eos_id: int
    max_tokens: int
    beams: int
    length_penalty: float
    early_stopping: bool

    def score(self, total: float, length: int) -> float:
        return float(total / length**self.length_penalty)


@dataclass
class _Search:
    """The search of one row.

    Attributes:
        texts: the beginnings that are kept, `beams` of them.
        totals: their log probabilities; all but the first are -inf before the first step, since
            they would be the same text.
        parents: which beginning of the step before each goes on from.
    """

    rules: _Rules
    texts: list[list[int]] = field(default_factory=list)
    totals: Scores = field(default_factory=lambda: np.zeros(0))
    parents: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    ended: list[Hypothesis] = field(default_factory=list)
    done: bool = False

    def __post_init__(self) -> None:
        beams = self.rules.beams
        self.texts = [[] for _ in range(beams)]
        self.totals = np.full(beams, -np.inf)
        self.totals[0] = 0.0
        self.parents = np.arange(beams)

    @property
    def last_tokens(self) -> Ids:
        """What each beginning ends with."""
        return np.array([text[-1] if text else 0 for text in self.texts], dtype=np.int64)

    def advance(self, logs: Logits, length: int) -> None:
        """Read the log probabilities (beams, vocabulary) of the token at a length."""
        if self.done:
            return
        beams, rules = self.rules.beams, self.rules
        totals = self.totals[:, None] + logs
        live: list[tuple[int, int, float]] = []
        for rank, (parent, token) in enumerate(_best_places(totals, 2 * beams)):
            total = float(totals[parent, token])
            if token == rules.eos_id:
                if rank < beams:
                    self._end(self.texts[parent], total, length)
            elif len(live) < beams:
                live.append((parent, token, total))
        self._keep(live)
        if length == rules.max_tokens:
            self._cut_off(length)
        self.done = self._finished(length)

    def _keep(self, live: list[tuple[int, int, float]]) -> None:
        live += [(0, 0, -np.inf)] * (self.rules.beams - len(live))  # a vocabulary smaller than that
        self.texts = [[*self.texts[parent], token] for parent, token, _ in live]
        self.totals = np.array([total for _, _, total in live])
        self.parents = np.array([parent for parent, _, _ in live], dtype=np.int64)

    def _end(self, text: list[int], total: float, length: int) -> None:
        if total > -np.inf:
            self.ended.append(Hypothesis(list(text), self.rules.score(total, length)))
            self.ended.sort(key=lambda each: -each.score)
            del self.ended[self.rules.beams :]

    def _cut_off(self, length: int) -> None:
        for text, total in zip(self.texts, self.totals, strict=True):
            self._end(text, float(total), length)

    def _finished(self, length: int) -> bool:
        rules = self.rules
        if length == rules.max_tokens or self.totals.max() == -np.inf:
            return True
        if len(self.ended) < rules.beams:
            return False
        # Log probabilities only fall; what a beginning can still reach is at the length that
        # divides it by most.
        longest = rules.max_tokens if rules.length_penalty > 0 else length + 1
        hope = rules.score(float(self.totals.max()), longest)
        return rules.early_stopping or self.ended[-1].score >= hope

    def best(self) -> list[Hypothesis]:
        """The texts that were found, the best first."""
        return self.ended


def _best_places(totals: Scores, count: int) -> list[tuple[int, int]]:
    """(row, column) of the largest numbers, falling."""
    flat = totals.reshape(-1)
    count = min(count, flat.size)
    places = np.argpartition(-flat, count - 1)[:count]
    ranked = places[np.argsort(-flat[places], kind="stable")]
    return [(int(place) // totals.shape[1], int(place) % totals.shape[1]) for place in ranked]
