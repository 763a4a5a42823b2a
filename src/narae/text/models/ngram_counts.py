"""How often each token follows each context."""

from collections import Counter
from dataclasses import dataclass, field

Gram = tuple[int, ...]


@dataclass
class Followers:
    """What follows one context.

    Attributes:
        counts: how often each token does.
        total: how often any does.
    """

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0


NOTHING = Followers()


class Counts:
    """Counts of all n-grams up to an order.

    Args:
        order: the longest.
        vocab_size: how many tokens there are.
        skipped: how many ids of each sequence only stand before others.

    Attributes:
        order, vocab_size: as given.

    >>> counts = Counts(order=2, vocab_size=3)
    >>> counts.add([0, 1, 0, 2])
    >>> counts.closed().after((0,)).counts
    Counter({1: 1, 2: 1})
    """

    def __init__(self, order: int, vocab_size: int, skipped: int = 0) -> None:
        self.order, self.vocab_size, self._skipped = order, vocab_size, skipped
        self._grams: Counter[Gram] = Counter()
        self._raw: dict[Gram, Followers] = {}
        self._continuations: dict[Gram, Followers] = {}

    def add(self, ids: list[int]) -> None:
        """Count a sequence: every token after the skipped ones, with each of its contexts."""
        for length in range(1, self.order + 1):
            first = max(0, self._skipped - length + 1)
            columns = (ids[first + place :] for place in range(length))
            self._grams.update(zip(*columns, strict=False))

    def closed(self) -> "Counts":
        """The same counts, by contexts, once all sequences are counted."""
        for gram, count in self._grams.items():
            _note(self._raw, gram, count)
            if len(gram) > 1:  # one more token stands before gram[1:]
                _note(self._continuations, gram[1:], 1)
        self._grams.clear()
        return self

    def after(self, context: Gram) -> Followers:
        """What follows a context, and how often."""
        return self._raw.get(context, NOTHING)

    def continuations(self, context: Gram) -> Followers:
        """For each token: before how many different tokens context and token stand together."""
        return self._continuations.get(context, NOTHING)


def _note(table: dict[Gram, Followers], gram: Gram, count: int) -> None:
    followers = table.setdefault(gram[:-1], Followers())
    followers.counts[gram[-1]] += count
    followers.total += count
