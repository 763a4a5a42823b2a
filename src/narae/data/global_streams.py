"""The streams of `numpy.random` and `random`, of which a process has one each."""

# ruff: noqa: NPY002 - the global stream of NumPy is what this file is about

import ctypes
import random
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
_POSITION = 624  # of the word that holds it, in a Mersenne Twister
_known_words: dict[int, tuple[Any, Words]] = {}


def numpy_words() -> Words | None:
    """The state of NumPy's stream as it lies in memory: 624 words and the position among them.

    Reading it through `numpy.random.get_state` takes a hundred times as long. None if the stream is
    no Mersenne Twister laid out so, which is checked against that function.
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


def seed_globals(seed: int) -> None:
    """Start both streams anew.

    Args:
        seed: 64 bits; NumPy takes 32 of them.
    """
    random.seed(seed)
    if numpy_words() is not None:
        np.random.seed(seed % 2**32)


def marks() -> dict[str, Any]:
    """Something that differs after a draw, for each stream."""
    words = numpy_words()
    return {
        "numpy.random": None if words is None else words[[0, 1, _POSITION]].tolist(),
        "random": random.getstate(),
    }


class Kept:
    """Where both streams are, to be put back.

    >>> np.random.seed(0)
    >>> kept = Kept()
    >>> _ = np.random.standard_normal(), random.random()
    >>> kept.restore()
    >>> round(np.random.rand(), 4)
    0.5488
    """

    # How often streams were kept and put back: threads that watch them must not wonder.
    begun = ended = 0

    def __init__(self) -> None:
        Kept.begun += 1
        words = numpy_words()
        self._words = None if words is None else words.copy()
        self._waiting = None if words is None else _waiting_normal(words)
        self._random = random.getstate()

    def restore(self) -> None:
        """Put them back."""
        random.setstate(self._random)
        words = numpy_words()
        if words is not None and self._words is not None:
            np.random.seed(0)  # forgets a normal number that waits
            words[:] = self._words
            if self._waiting is not None:
                kind, key, position, *_ = np.random.get_state()
                np.random.set_state((kind, key, position, 1, self._waiting))  # type: ignore[arg-type]
        Kept.ended += 1


def _waiting_normal(words: Words) -> float | None:
    """The second of a pair of normal numbers, if it waits in NumPy to be used; it waits no more."""
    before = words.copy()
    normal = np.random.standard_normal()
    if words[_POSITION] == before[_POSITION]:
        return normal
    np.random.standard_normal()  # the second of this pair
    words[:] = before
    return None
