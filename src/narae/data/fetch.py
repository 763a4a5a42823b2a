"""From indices to a batch: fetch the samples, then collate them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any, Protocol

from narae.tensors.random import use_generator

from .collate import default_collate, default_convert
from .combined import sample_at, samples_of
from .quiet import draws_nothing
from .sampler import BatchSampler, Sampler
from .streams import SampleGenerator, SampleStreams, hashed
from .workers import Initialize, Reply, Request, WorkerInfo

Collate = Callable[[Any], Any]


class Exhausted(Exception):
    """A stream has no more samples."""


class Fetcher(Protocol):
    """Turns requests into batches."""

    def requests(self) -> Iterator[Request]:
        """What to fetch, batch by batch."""
        ...

    def begin(self, seed: int, place: str, worker: int) -> None:
        """A pass begins; random numbers belong to its seed."""
        ...

    def fetch(self, request: Request) -> Any:
        """The batch of one request."""
        ...


class IndexFetcher:
    """Batches of samples that have an index."""

    def __init__(
        self, dataset: Any, indices: Iterable[Any], batched: bool, collate: Collate
    ) -> None:
        self.dataset, self._indices = dataset, indices
        self.batched, self.collate = batched, collate
        self._plain = batched and collate is default_collate
        self._own_collate = collate not in (default_collate, default_convert)
        self._quiet = draws_nothing(dataset) and not self._own_collate
        self._streams = SampleStreams(0, "here")

    def __getstate__(self) -> dict[str, Any]:
        """A worker in another process gets its indices one by one."""
        return self.__dict__ | {"_indices": ()}

    def requests(self) -> Iterator[Request]:
        """The indices of each batch."""
        seen = None if _comes_once(self._indices) else defaultdict[Any, int](int)
        for number, indices in enumerate(self._indices):
            repeats = None
            if seen is not None:
                repeats = [_noted(seen, index) for index in indices] if self.batched else None
                repeats = repeats or [_noted(seen, indices)]
            yield Request(number, indices, repeats if repeats and any(repeats) else None)

    def begin(self, seed: int, place: str, worker: int) -> None:
        self._streams = SampleStreams(seed, place)

    def fetch(self, request: Request) -> Any:
        """The samples at the indices, together if the data set can do that."""
        if self._plain and hasattr(self.dataset, "get_batch"):
            batch = self.dataset.get_batch(request.indices)
            if batch is not None:
                return batch
        if self._quiet:
            return self._fetched(request)
        with self._streams.batch(request.repeats):
            return self._fetched(request)

    def _fetched(self, request: Request) -> Any:
        streams, indices = self._streams, request.indices
        take: Any = samples_of if self.batched else sample_at
        fetch = partial(take, self.dataset, indices)
        samples = fetch() if self._quiet else streams.samples(self.dataset, fetch)
        if not self._quiet:
            streams.begin(f"collate {request.number}", self._own_collate)
        return self._collated(samples, indices) if self.batched else self.collate(samples)

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
        self.begin(0, "here", 0)

    def requests(self) -> Iterator[Request]:
        """The same request again and again: the next batch."""
        return (Request(number, None) for number in count())

    def begin(self, seed: int, place: str, worker: int) -> None:
        self._streams = SampleStreams(hashed(seed, f"worker {worker}"), place)
        self._samples: Iterator[Any] | None = None
        self._place = 0

    def fetch(self, request: Request) -> Any:
        """The next batch.

        Raises:
            Exhausted: when there is none.
        """
        wanted = self.batch_size or 1
        with self._streams.batch():
            samples = self._next(wanted)
            if len(samples) < wanted and (self.drop_last or not samples):
                raise Exhausted
            if request.skip:
                return None
            self._streams.begin(f"collate {self._place}", True)
            return self.collate(samples[0] if self.batch_size is None else samples)

    def _next(self, wanted: int) -> list[Any]:
        """So many samples, or what is left."""
        if self._samples is None:
            self._streams.begin("start", True)
            self._samples = iter(self.dataset)
        samples: list[Any] = []
        while len(samples) < wanted:
            self._streams.begin(f"{self._place}", True)
            try:
                samples.append(next(self._samples))
            except StopIteration:
                break
            except Exception as error:
                name = type(self.dataset).__name__
                error.add_note(f"while fetching sample {self._place} of the stream {name}")
                raise
            self._place += 1
        return samples


def _comes_once(indices: Any) -> bool:
    """Whether no index can come twice in a pass."""
    sampler = indices.sampler if type(indices) is BatchSampler else indices
    return isinstance(sampler, Sampler) and sampler.distinct


def _noted(seen: dict[Any, int], index: Any) -> int:
    """How often an index came before."""
    key = index if isinstance(index, (int, str, tuple)) else repr(index)
    seen[key] += 1
    return seen[key] - 1


def answer(
    fetcher: Fetcher, request: Request, info: WorkerInfo, initialize: Initialize | None
) -> tuple[Reply, Initialize | None]:
    """What a worker replies to a request; and what is left to initialize."""
    try:
        if initialize is not None:
            before = use_generator(SampleGenerator(info.seed))
            try:
                initialize(info.id)
            finally:
                use_generator(before)
        return Reply(fetcher.fetch(request)), None
    except Exhausted:
        return Reply(exhausted=True), None
    except Exception as error:
        error.add_note(f"in worker {info.id} of a DataLoader")
        return Reply(error=error), None


class Here:
    """Iterate over batches that are fetched when they are asked for, without workers."""

    def __init__(self, fetcher: Fetcher, requests: Iterator[Request]) -> None:
        self._fetcher, self._requests = fetcher, requests
        self.answered = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for request in self._requests:
            self.answered += 1
            try:
                batch = self._fetcher.fetch(request)
            except Exhausted:
                break
            if not request.skip:
                return batch
        raise StopIteration
