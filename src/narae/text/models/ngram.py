"""n-gram language models: a token depends on the n - 1 tokens before it, by counts alone.

The probability of a text is a product of conditional ones,
P(x_1, …, x_T) = ∏_t P(x_t | x_1, …, x_(t-1)), and an n-gram model (a Markov chain of order n - 1)
forgets all but the last n - 1 conditions.

Source: S. Chen, J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling",
Computer Speech & Language 13(4), 1999.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, DataError, explain
from narae.tensors.random import Generator, rand
from narae.text.ids import as_ids

from .ngram_counts import Counts, Gram
from .smoothing import AddK, Smoothing

Probabilities = npt.NDArray[np.float64]


class NGram:
    """An n-gram model of token ids.

    Args:
        order: n: each token depends on the n - 1 before it.
        vocab_size: ids are 0 to vocab_size - 1.
        smoothing: how counts become probabilities; `AddK(0)`, relative frequencies, unless given.
        bos_id: stands n - 1 times before each sequence, so that its first tokens depend on being
            first; without it they depend on what there is before them.

    Raises:
        ConfigError: if a number is out of range.

    Example:
        >>> model = NGram(order=2, vocab_size=3).fit([[0, 1, 0, 2, 0, 1]])
        >>> model.probability(1, context=[0])
        0.6666666666666666
        >>> round(model.perplexity([[0, 1, 0]]), 6)
        1.44225
    """

    def __init__(
        self,
        order: int,
        vocab_size: int,
        smoothing: Smoothing | None = None,
        bos_id: int | None = None,
    ) -> None:
        if order < 1 or vocab_size < 1:
            given = f"order is {order}, vocab_size is {vocab_size}"
            raise ConfigError(explain("NGram", given, "both are at least 1"))
        self.order, self.vocab_size = order, vocab_size
        self.smoothing = AddK(0) if smoothing is None else smoothing
        self.smoothing.check(order)
        self.bos_id = bos_id if bos_id is None else self._checked([bos_id])[0]
        self.counts: Counts | None = None

    def fit(self, sequences: Iterable[Sequence[int]]) -> "NGram":
        """Count the n-grams of sequences of ids (time,), of all orders up to n.

        Raises:
            BoundsError: if there is no such id.
            DataError: if there is no token, or a sequence is no row of integers.
        """
        counts = Counts(self.order, self.vocab_size, len(self._before()))
        for ids in sequences:
            counts.add([*self._before(), *self._checked(ids)])
        if not counts.closed().after(()).total:
            raise DataError(explain("NGram", "there are no tokens", "a model is fitted to some"))
        self.counts = counts
        return self

    def probability(self, token: int, context: Sequence[int] = ()) -> float:
        """P(token | context), of which the last n - 1 ids count.

        Raises:
            BoundsError: if there is no such id.
            DataError: if the model is not fitted, or the context was never seen and the smoothing
                says nothing of it.
        """
        token, *before = self._checked([token, *self._checked(context)])
        return self._probability(token, self._gram(before))

    def distribution(self, context: Sequence[int] = ()) -> Probabilities:
        """P(· | context) of every token, (vocab_size,)."""
        gram = self._gram(self._checked(context))
        return np.array([self._probability(token, gram) for token in range(self.vocab_size)])

    def log_probability(self, ids: Sequence[int]) -> float:
        """log P(x_1, …, x_T) of a sequence (time,), in nats: the sum of the conditional ones."""
        return sum(self._log_probabilities(ids))

    def cross_entropy(self, sequences: Iterable[Sequence[int]]) -> float:
        """-log P of a token, in nats, a mean over all tokens of the sequences.

        Raises:
            DataError: if there is no token.
        """
        logs = [log for ids in sequences for log in self._log_probabilities(ids)]
        if not logs:
            raise DataError(explain("NGram", "there are no tokens", "a mean needs at least one"))
        return -math.fsum(logs) / len(logs)

    def perplexity(self, sequences: Iterable[Sequence[int]]) -> float:
        """exp of the cross-entropy: among how many tokens the model hesitates, as it were."""
        return math.exp(self.cross_entropy(sequences))

    def transitions(self) -> Probabilities:
        """The Markov chain of a bigram model: row i is P(· | i), (vocab_size, vocab_size).

        Raises:
            ConfigError: if the order is not 2.
        """
        if self.order != 2:
            given = f"the order is {self.order}"
            raise ConfigError(explain("NGram.transitions", given, "a chain of single tokens has 2"))
        return np.stack([self.distribution([token]) for token in range(self.vocab_size)])

    def sample(
        self,
        length: int,
        prompt: Sequence[int] = (),
        eos_id: int | None = None,
        generator: Generator | None = None,
    ) -> list[int]:
        """Draw tokens one after another, each from the distribution that those before it give.

        Args:
            length: how many at most.
            prompt: ids that stand before them.
            eos_id: ends the sequence early.
            generator: source of random numbers.

        Returns:
            The new ids, with `eos_id` last where it came.

        Raises:
            ConfigError: if the length is negative.
        """
        if length < 0:
            raise ConfigError(explain("NGram.sample", f"length is {length}", "it is at least 0"))
        ids = [*self._before(), *self._checked(prompt)]
        begin = len(ids)
        while len(ids) < begin + length and not (len(ids) > begin and ids[-1] == eos_id):
            cumulative = np.cumsum(self.distribution(self._gram(ids)))  # (vocab_size,)
            drawn = rand(1, generator=generator).item() * cumulative[-1]
            ids.append(int(np.searchsorted(cumulative, drawn, side="right")))
        return ids[begin:]

    def __repr__(self) -> str:
        return f"NGram(order={self.order}, vocab_size={self.vocab_size}, {self.smoothing})"

    def _log_probabilities(self, ids: Sequence[int]) -> list[float]:
        whole, begin = [*self._before(), *self._checked(ids)], len(self._before())
        logs = []
        for place in range(begin, len(whole)):
            first = max(0, place - self.order + 1)
            found = self._probability(whole[place], tuple(whole[first:place]))
            if not found:  # the product is 0, even if the next context was never seen
                return [-math.inf]
            logs.append(math.log(found))
        return logs

    def _probability(self, token: int, gram: Gram) -> float:
        if self.counts is None:
            given = "the model is not fitted"
            raise DataError(explain("NGram", given, "it knows what it has counted", "call fit()"))
        return self.smoothing.probability(self.counts, token, gram)

    def _gram(self, context: list[int]) -> Gram:
        return tuple(context[max(0, len(context) - self.order + 1) :])

    def _before(self) -> list[int]:
        return [] if self.bos_id is None else [self.bos_id] * (self.order - 1)

    def _checked(self, ids: Sequence[int]) -> list[int]:
        found: list[int] = as_ids("NGram", ids).tolist()
        for number in set(found):
            if not 0 <= number < self.vocab_size:
                rule = f"ids are 0 to {self.vocab_size - 1}"
                raise BoundsError(explain("NGram", f"there is no id {number}", rule))
        return found
