"""From counts to probabilities: how n-gram models share out what they have not seen.

Source: S. Chen, J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling",
Computer Speech & Language 13(4), 1999.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from narae.base.errors import ConfigError, DataError, explain

from .ngram_counts import Counts, Followers, Gram


class Smoothing(Protocol):
    """A rule that makes probabilities of counts."""

    def check(self, order: int) -> None:
        """Refuse settings that do not fit a model of this order."""

    def probability(self, counts: Counts, token: int, context: Gram) -> float:
        """P(token | context); over all tokens it adds up to 1."""
        ...


@dataclass(frozen=True)
class AddK:
    """(c(context, token) + k) / (c(context) + k V); k = 1 is Laplace's, 0 the relative frequency.

    Attributes:
        k: what is added to each count.

    Source: G. Lidstone, 1920 (Chen and Goodman, section 2.1).
    """

    k: float = 1.0

    def check(self, order: int) -> None:
        if not 0 <= self.k < math.inf:
            raise ConfigError(explain("AddK", f"k is {self.k}", "it is 0 or a positive number"))

    def probability(self, counts: Counts, token: int, context: Gram) -> float:
        followers = counts.after(context)
        below = followers.total + self.k * counts.vocab_size
        if not below:
            given = f"the context {context} was never seen"
            rule = "its relative frequencies are 0 / 0"
            fix = "smooth: AddK(1), Interpolated(…) or KneserNey()"
            raise DataError(explain("AddK", given, rule, fix))
        return (followers.counts[token] + self.k) / below


@dataclass(frozen=True)
class Interpolated:
    """A mixture of the relative frequencies of all orders and of the uniform distribution.

    With the weights w_0, …, w_n: P(token | context) = w_0 / V + sum_i w_i f_i(token | context).
    The weight of an order whose context was never seen goes to the next lower one.

    Attributes:
        weights: of the uniform distribution, of unigrams, and so on up to order n; they add up
            to 1.

    Source: F. Jelinek, R. Mercer, 1980 (Chen and Goodman, section 2.3).
    """

    weights: Sequence[float]

    def check(self, order: int) -> None:
        good = len(self.weights) == order + 1 and all(weight >= 0 for weight in self.weights)
        if not good or abs(sum(self.weights) - 1) > 1e-9:
            given = f"the weights are {tuple(self.weights)}"
            rule = f"order {order} has {order + 1} of them: not negative, 1 in all"
            raise ConfigError(explain("Interpolated", given, rule))

    def probability(self, counts: Counts, token: int, context: Gram) -> float:
        found, passed_on = 0.0, 0.0
        for order in range(len(self.weights) - 1, 0, -1):
            weight = self.weights[order] + passed_on
            known = order - 1 <= len(context)
            followers = counts.after(context[len(context) - order + 1 :]) if known else None
            if followers is None or not followers.total:
                passed_on = weight
                continue
            found += weight * followers.counts[token] / followers.total
            passed_on = 0.0
        return found + (self.weights[0] + passed_on) / counts.vocab_size


@dataclass(frozen=True)
class KneserNey:
    """Absolute discounting, interpolated with how many different contexts a token continues.

    For the highest order, with D the discount and N1+ the number of different tokens:
    P(w | c) = max(c(c, w) - D, 0) / c(c) + D N1+(c, ·) / c(c) P(w | c without its first token);
    lower orders count different tokens before the n-gram instead of occurrences. Contexts that
    were never seen leave all to the lower order; below the unigrams stands the uniform
    distribution.

    Attributes:
        discount: D, between 0 and 1.
        uniform: whether unigrams are discounted, too, in favour of the uniform distribution, so
            that a token that was never seen has a probability above 0.

    Source: R. Kneser, H. Ney, "Improved Backing-Off for M-gram Language Modeling", ICASSP 1995;
    Chen and Goodman, section 2.7 and equation 29.
    """

    discount: float = 0.75
    uniform: bool = True

    def check(self, order: int) -> None:
        if not 0 < self.discount < 1:
            given = f"the discount is {self.discount}"
            raise ConfigError(explain("KneserNey", given, "it lies between 0 and 1"))

    def probability(self, counts: Counts, token: int, context: Gram) -> float:
        longest = len(context) == counts.order - 1
        followers = counts.after(context) if longest else counts.continuations(context)
        if not context:
            return self._unigram(counts, followers, token)
        lower = self.probability(counts, token, context[1:])
        if not followers.total:
            return lower
        return self._discounted(followers, token, lower)

    def _discounted(self, followers: Followers, token: int, lower: float) -> float:
        kept = max(followers.counts[token] - self.discount, 0.0)
        freed = self.discount * len(followers.counts)
        return (kept + freed * lower) / followers.total

    def _unigram(self, counts: Counts, followers: Followers, token: int) -> float:
        if not followers.total:  # one sequence of one token: nothing stands before anything
            followers = counts.after(())
        if self.uniform:
            return self._discounted(followers, token, 1 / counts.vocab_size)
        return followers.counts[token] / followers.total
