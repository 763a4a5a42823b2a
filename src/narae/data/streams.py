"""Random numbers inside a data set: a stream for each sample, whoever fetches it, and when.

What `dataset[i]` draws (a crop, a flip, noise) is a function of the seed of the pass through the
data and of i. So it does not depend on how many workers fetch, or of which kind; two workers never
draw the same; each pass draws anew. The streams of the program outside stay untouched.

* `narae.rand` and its relatives draw from a Philox stream, whose key is the sample's.
* `numpy.random` and `random` have one stream for a whole process. A process worker, and a loader
  without workers, seed them for each sample. Thread workers cannot: they warn.
"""

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import explain
from narae.tensors.devices import CPU
from narae.tensors.mt19937 import MT19937
from narae.tensors.random import Generator, use_generator

from .global_streams import Kept, marks, seed_globals


def hashed(seed: int, key: str) -> int:
    """64 bits that belong to a seed and a key, without visible pattern.

    >>> hashed(1, "2") == hashed(1, "2") != hashed(2, "1")
    True
    """
    digest = blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


# --- one stream -----------------------------------------------------------------------------


class PhiloxEngine(MT19937):
    """All distributions, from the words of a Philox stream: fast to start, 2^64 of them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bits: Any = np.random.Philox(key=seed)
        self.next_normal = self._next_float_normal = None

    def random32(self, n: int) -> npt.NDArray[np.uint32]:
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(n)
        return raw.astype(np.uint32)

    def random64(self, n: int) -> npt.NDArray[np.uint64]:
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(n)
        return raw


class SampleGenerator(Generator):
    """The generator of one sample; nothing is set up before the first draw.

    `manual_seed` starts PyTorch's stream of that seed, as for any generator.
    """

    def __init__(self, seed: int) -> None:
        self.device, self._seed = CPU, seed
        self._engine: MT19937 | None = None

    @property
    def engine(self) -> MT19937:
        """What draws."""
        if self._engine is None:
            self._engine = PhiloxEngine(self._seed)
        return self._engine

    @engine.setter
    def engine(self, engine: MT19937) -> None:
        self._engine = engine

    def manual_seed(self, seed: int) -> Generator:
        self._engine = MT19937(int(seed))
        return self

    def seed(self) -> int:
        self._with_state()
        return super().seed()

    def get_state(self) -> Any:
        self._with_state()
        return super().get_state()

    def set_state(self, new_state: Any) -> Generator:
        self._with_state()
        return super().set_state(new_state)

    def host_state(self) -> MT19937:
        self._with_state()
        return super().host_state()

    def _with_state(self) -> None:
        """Go on with an engine whose state PyTorch can read."""
        if self._engine is None or isinstance(self._engine, PhiloxEngine):
            self._engine = MT19937(self._seed)


# --- for a fetcher --------------------------------------------------------------------------


class SampleStreams:
    """The streams of one pass, for one fetcher.

    Args:
        seed: of the pass.
        place: "here" (no worker), "process" or "thread".
    """

    def __init__(self, seed: int, place: str) -> None:
        self.seed, self.place = seed, place
        self.repeats: list[int] | None = None
        self.seeds_globals = False
        self._watched = self._learning = self._drew = False
        self._after_seeding: Any = None

    @contextmanager
    def batch(self, repeats: list[int] | None = None) -> Iterator[None]:
        """Samples are begun inside; afterwards all streams are what they were.

        Args:
            repeats: for each place in the batch, how often its sample came before in this pass.
        """
        self.repeats = repeats
        before, _active.streams = _active.streams, self
        generator = use_generator(None)
        kept = Kept() if self.place == "here" else None
        try:
            yield
        finally:
            if kept is not None:
                kept.restore()
            use_generator(generator)
            _active.streams = before

    def begin(self, key: str, seeds_globals: bool = False) -> None:
        """Whatever is drawn from now on in this thread belongs to a sample."""
        seed = hashed(self.seed, key)
        use_generator(SampleGenerator(seed))
        if (seeds_globals or self.seeds_globals) and self.place != "thread":
            self._look()
            seed_globals(seed)
            self._after_seeding = marks() if self._learning else None

    def samples(self, dataset: Any, fetch: Callable[[], Any]) -> Any:
        """What `fetch` returns, each sample with a stream of its own.

        To seed the streams of the process takes longer than to fetch a simple sample. So the first
        batch shows whether a data set draws from them, and they are seeded on if it does. Should a
        later batch be the first to draw, that one is fetched again.
        """
        if self.place == "thread":
            return self._watch(dataset, fetch)
        kind = type(dataset)
        if kind not in _draws:
            return self._learn(kind, fetch)
        self.seeds_globals = _draws[kind]
        if self.seeds_globals:
            return fetch()
        before = marks()
        samples = fetch()
        if marks() == before:
            return samples
        self.seeds_globals = _draws[kind] = True
        return fetch()

    def _learn(self, kind: type, fetch: Callable[[], Any]) -> Any:
        """Fetch a first batch, and find out whether its samples draw from the process's streams."""
        self.seeds_globals = self._learning = True
        self._drew, self._after_seeding = False, None
        try:
            samples = fetch()
            self._look()
        finally:
            self._learning = False
        _draws[kind] = self._drew
        return samples

    def _look(self) -> None:
        """Note whether something was drawn since the streams were seeded."""
        if self._after_seeding is not None and marks() != self._after_seeding:
            self._drew = True

    def _watch(self, dataset: Any, fetch: Callable[[], Any]) -> Any:
        """Warn if the first batch of a thread worker draws from a stream of the process."""
        if self._watched:
            return fetch()
        self._watched = True
        before, ended = marks(), Kept.ended
        samples = fetch()
        after = marks()
        if Kept.begun == ended:  # no loader without workers moved them for a moment
            for name in [name for name in after if after[name] != before[name]]:
                _warn_of_shared(dataset, name)
        return samples


# Whether data sets of a class draw from the streams of the process, as far as was seen.
_draws: "weakref.WeakKeyDictionary[type, bool]" = weakref.WeakKeyDictionary()


class _Active(threading.local):
    streams: SampleStreams | None = None


_active = _Active()


def begin_sample(key: Any, place: int = 0) -> None:
    """A sample is about to be fetched; outside of a loader nothing happens.

    Args:
        key: what the sample is asked for by.
        place: where in the batch it comes.
    """
    streams = _active.streams
    if streams is None:
        return
    repeat = streams.repeats[place] if streams.repeats else 0
    streams.begin(f"{key!r} again {repeat}" if repeat else repr(key))


def _warn_of_shared(dataset: Any, name: str) -> None:
    """Warn at the line where the data set defines how a sample is fetched."""
    message = explain(
        "DataLoader",
        f"{type(dataset).__name__} draws from `{name}` in a thread worker",
        "that is one stream for all threads, so what a sample draws depends on timing",
        "draw with narae.rand and its relatives, or use processes: multiprocessing_context='fork'",
    )
    method = getattr(type(dataset), "__getitem__", None) or getattr(type(dataset), "__iter__", None)
    code = getattr(method, "__code__", _warn_of_shared.__code__)
    warnings.warn_explicit(message, UserWarning, code.co_filename, code.co_firstlineno)
