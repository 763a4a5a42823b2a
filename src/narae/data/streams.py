"""Random numbers inside a data set: a stream for each sample, whoever fetches it, and when.

What `dataset[i]` draws (a crop, a flip, noise) is a function of the seed of the pass through the
data and of i. So it does not depend on how many workers fetch, or of which kind; two workers never
draw the same; each pass draws anew. The streams of the program outside stay untouched.

* `narae.rand` and its relatives draw from a Philox stream, whose key is the sample's.
* `numpy.random` and `random` have one stream for a whole process. A process worker, and a loader
  without workers, seed them for each sample. Thread workers cannot: they warn.
"""

# ruff: noqa: NPY002 - the global streams of NumPy are what this file is about

import ctypes
import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import explain
from narae.tensors.devices import CPU
from narae.tensors.mt19937 import MT19937
from narae.tensors.random import Generator, use_generator

Words = npt.NDArray[np.uint32]
_POSITION = 624  # of the word that holds it, in a Mersenne Twister


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


# --- the streams that a process has once ----------------------------------------------------


def numpy_words() -> Words | None:
    """The state of NumPy's global stream as it lies in memory: 624 words and the position.

    Reading it through `numpy.random.get_state` takes a hundred times as long. None if the stream is
    no Mersenne Twister, which is checked against that function.
    """
    bits: Any = np.random.mtrand._rand._bit_generator
    if not isinstance(bits, np.random.MT19937):
        return None
    known = _known_words.get(id(bits))
    if known is not None and known[0] is bits:
        return known[1]
    memory: Any = (ctypes.c_uint32 * (_POSITION + 1)).from_address(bits.ctypes.state_address)
    words: Words = np.frombuffer(memory, np.uint32)
    state = bits.state["state"]
    if words[_POSITION] != state["pos"] or not np.array_equal(words[:_POSITION], state["key"]):
        return None
    _known_words[id(bits)] = bits, words
    return words


_known_words: dict[int, tuple[Any, Words]] = {}


def _save_numpy() -> tuple[Words, float | None] | None:
    """NumPy's stream, and the second normal number of a pair if it waits to be used."""
    words = numpy_words()
    if words is None:
        return None
    kept = words.copy()
    normal = np.random.standard_normal()
    waiting = normal if words[_POSITION] == kept[_POSITION] else None
    return kept, waiting


def _restore_numpy(saved: tuple[Words, float | None] | None) -> None:
    words = numpy_words()
    if saved is None or words is None:
        return
    np.random.seed(0)  # forgets a normal number that waits
    words[:] = saved[0]
    if saved[1] is not None:
        kind, key, position, *_ = np.random.get_state()
        np.random.set_state((kind, key, position, 1, saved[1]))  # type: ignore[arg-type]


@contextmanager
def global_streams_kept() -> Iterator[None]:
    """Put `numpy.random` and `random` back at the end to where they are now.

    >>> np.random.seed(0)
    >>> with global_streams_kept():
    ...     _ = np.random.rand(3), random.random()
    >>> round(np.random.rand(), 4)
    0.5488
    """
    kept_numpy, kept = _save_numpy(), random.getstate()
    try:
        yield
    finally:
        random.setstate(kept)
        _restore_numpy(kept_numpy)


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
        self._watched = 0

    @contextmanager
    def batch(self, repeats: list[int] | None = None) -> Iterator[None]:
        """Samples are begun inside; afterwards all streams are what they were.

        Args:
            repeats: for each place in the batch, how often its sample came before in this pass.
        """
        self.repeats = repeats
        before, _active.streams = _active.streams, self
        generator = use_generator(None)
        try:
            if self.place == "here":
                with global_streams_kept():
                    yield
            else:
                yield
        finally:
            use_generator(generator)
            _active.streams = before

    def begin(self, key: str) -> None:
        """Whatever is drawn from now on in this thread belongs to a sample."""
        seed = hashed(self.seed, key)
        use_generator(SampleGenerator(seed))
        if self.place != "thread":
            random.seed(seed)
            if numpy_words() is not None:
                np.random.seed(seed % 2**32)

    @contextmanager
    def watched(self, dataset: Any) -> Iterator[None]:
        """Warn if the first sample of a thread worker draws from a stream of the whole process."""
        if self.place != "thread" or self._watched:
            yield
            return
        self._watched += 1
        before = _global_marks()
        yield
        moved = [name for name, mark in _global_marks().items() if mark != before[name]]
        for name in moved:
            _warn_of_shared(dataset, name)


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


def _global_marks() -> dict[str, Any]:
    words = numpy_words()
    return {
        "numpy.random": None if words is None else words[[0, 1, _POSITION]].tolist(),
        "random": hash(random.getstate()),
    }


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
