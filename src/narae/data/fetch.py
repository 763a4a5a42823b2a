"""From indices to a batch: fetch the samples, then collate them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Any, Protocol

from .collate import default_collate
from .combined import sample_at, samples_of

Collate = Callable[[Any], Any]


class Exhausted(Exception):
    """A stream has no more samples."""


class Fetcher(Protocol):
    """Turns requests into batches."""

    def requests(self) -> Iterator[Any]:
        """What to fetch, batch by batch."""
        ...

    def fetch(self, request: Any) -> Any:
        """The batch of one request."""
        ...


class IndexFetcher:
    """Batches of samples that have an index."""

    def __init__(
        self, dataset: Any, indices: Iterable[Any], batched: bool, collate: Collate
    ) -> None:
        self.dataset, self.indices = dataset, indices
        self.batched, self.collate = batched, collate
        plain = batched and collate is default_collate
        self._get_batch = getattr(dataset, "get_batch", None) if plain else None

    def requests(self) -> Iterator[Any]:
        """The indices of each batch."""
        return iter(self.indices)

    def fetch(self, request: Any) -> Any:
        """The samples at the indices, together if the data set can do that."""
        if not self.batched:
            return self.collate(sample_at(self.dataset, request))
        if self._get_batch is not None:
            batch = self._get_batch(request)
            if batch is not None:
                return batch
        return self._collated(samples_of(self.dataset, request), request)

    def _collated(self, samples: list[Any], indices: list[Any]) -> Any:
        try:
            return self.collate(samples)
        except Exception as error:
            shown = ", ".join(map(str, indices[:12])) + (", …" if len(indices) > 12 else "")
            error.add_note(f"the batch holds the samples {shown} of {type(self.dataset).__name__}")
            raise


class StreamFetcher:
    """Batches of samples that come one after another."""

    def __init__(
        self, dataset: Any, batch_size: int | None, drop_last: bool, collate: Collate
    ) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.drop_last, self.collate = drop_last, collate
        self._samples: Iterator[Any] | None = None

    def requests(self) -> Iterator[Any]:
        """The same request again and again: the next batch."""
        return repeat(None)

    def fetch(self, request: Any) -> Any:
        """The next batch.

        Raises:
            Exhausted: when there is none.
        """
        if self._samples is None:
            self._samples = iter(self.dataset)
        samples = list(islice(self._samples, self.batch_size or 1))
        if len(samples) < (self.batch_size or 1) and (self.drop_last or not samples):
            raise Exhausted
        return self.collate(samples[0] if self.batch_size is None else samples)


def batches(fetcher: Fetcher) -> Iterator[Any]:
    """Every batch, fetched when it is asked for."""
    for request in fetcher.requests():
        try:
            batch = fetcher.fetch(request)
        except Exhausted:
            return
        yield batch
