"""The Mersenne Twister as PyTorch keeps it: raw 32- and 64-bit draws, and a state of 5056 bytes.

Source: Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
pseudorandom number generator" (ACM TOMACS, 1998), seeded by `init_genrand` of 2002. NumPy's bit
generator draws the same words; this file adds PyTorch's seeds, position and byte layout.
"""

from typing import Any, Self, SupportsIndex, SupportsInt

import numpy as np
import numpy.typing as npt

from ..base.errors import DataError, explain

DEFAULT_SEED = 67280421310721
_WORDS = 624

# PyTorch's `CPUGeneratorImplState`; no kernel fills its float32 normal any more.
_LAYOUT = np.dtype(
    [
        ("seed", np.uint64),
        ("left", np.int32),
        ("seeded", np.int32),
        ("next", np.uint64),
        ("words", np.uint64, (_WORDS,)),
        ("normal_x", np.float64),
        ("normal_y", np.float64),
        ("normal_rho", np.float64),
        ("has_normal", np.int32),
        ("float_normal", np.float32),
        ("has_float_normal", np.bool_),
    ],
    align=True,
)


def seed_bits(seed: SupportsInt | SupportsIndex) -> int:
    """Return a seed as PyTorch stores it: 64 bits, negative numbers as their two's complement.

    Raises:
        DataError: outside [-2**63, 2**64).

    >>> seed_bits(-1) == 2**64 - 1
    True
    """
    number = int(seed)
    if not -(2**63) <= number < 2**64:
        rule = "a seed has 64 bits, so it lies in [-2**63, 2**64)"
        raise DataError(explain("manual_seed", f"seed is {number}", rule, "use a smaller one"))
    return number % 2**64


class Engine:
    """A source of random words with PyTorch's state.

    Args:
        seed: any integer in [-2**63, 2**64).

    Attributes:
        next_normal: the sine sample of the last Box–Muller pair, until it is used.

    >>> Engine(5489).random32(2).tolist()
    [3499211612, 581869302]
    """

    def __init__(self, seed: SupportsInt | SupportsIndex = DEFAULT_SEED) -> None:
        self._bits = np.random.MT19937(0)
        self.reseed(seed)

    @property
    def seed(self) -> int:
        """The 64-bit number that started this stream."""
        return self._seed

    def reseed(self, seed: SupportsInt | SupportsIndex) -> None:
        """Start the stream of a seed; only its lower 32 bits choose the words."""
        self._seed = seed_bits(seed)
        self._set_words(_first_words(self._seed % 2**32), _WORDS)
        self._untouched = True  # PyTorch writes position 0 before the first draw, 624 later on
        self.next_normal: float | None = None
        self._next_float_normal: float | None = None

    def random32(self, n: int) -> npt.NDArray[np.uint32]:
        """Return the next `n` words, each uniform on [0, 2**32)."""
        self._untouched = self._untouched and n == 0
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(n)
        return raw.astype(np.uint32)

    def random64(self, n: int) -> npt.NDArray[np.uint64]:
        """Return `n` numbers of two words each, the first word on top."""
        self._untouched = self._untouched and n == 0
        words: npt.NDArray[np.uint64] = self._bits.random_raw(2 * n)
        return (words[0::2] << np.uint64(32)) | words[1::2]

    def get_state(self) -> npt.NDArray[np.uint8]:
        """Return the 5056 bytes that `torch.get_rng_state()` returns at the same point.

        >>> Engine(1).get_state().shape
        (5056,)
        """
        inner = self._bits.state["state"]
        # From raw zeros, so that the padding between fields is zero too.
        record = np.zeros(_LAYOUT.itemsize, np.uint8).view(_LAYOUT)
        record["seed"], record["seeded"], record["words"] = self._seed, 1, inner["key"]
        record["next"] = 0 if self._untouched else inner["pos"]
        record["left"] = _WORDS + 1 - inner["pos"]
        if self.next_normal is not None:
            record["has_normal"], record["normal_y"] = 1, self.next_normal
        if self._next_float_normal is not None:
            record["has_float_normal"], record["float_normal"] = True, self._next_float_normal
        return record.view(np.uint8)

    def set_state(self, state: npt.ArrayLike) -> None:
        """Continue from a state made by `get_state()` or `torch.get_rng_state()`.

        Args:
            state: (5056,) bytes.

        Raises:
            DataError: another length, or bytes that are no such state; nothing changes then.
        """
        record = _parse_state(np.asarray(state))
        position = _WORDS + 1 - int(record["left"])
        self._set_words(record["words"].astype(np.uint32), position)
        self._seed = int(record["seed"])
        self._untouched = int(record["next"]) == 0
        self.next_normal = float(record["normal_y"]) if record["has_normal"] else None
        has_float = bool(record["has_float_normal"])
        self._next_float_normal = float(record["float_normal"]) if has_float else None

    def clone(self) -> Self:
        """Return an independent generator that continues from the same point."""
        twin = type(self)(0)
        twin.set_state(self.get_state())
        return twin

    def __copy__(self) -> Self:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.get_state())

    def _set_words(self, key: npt.NDArray[np.uint32], position: int) -> None:
        self._bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}


def _first_words(seed: int) -> npt.NDArray[np.uint32]:
    """The state that `init_genrand` makes of 32 bits."""
    words = [seed]
    for i in range(1, _WORDS):
        last = words[-1]
        words.append((1812433253 * (last ^ (last >> 30)) + i) % 2**32)
    return np.array(words, np.uint32)


def _restore(kind: type[Engine], state: npt.NDArray[np.uint8]) -> Engine:
    engine = kind(0)
    engine.set_state(state)
    return engine


def _parse_state(state: npt.NDArray[Any]) -> Any:
    """Read the fields of a state, or raise."""
    fix = "pass what get_state() returned"
    if state.dtype != np.uint8 or state.shape != (_LAYOUT.itemsize,):
        given = f"the state is {state.dtype} of shape {state.shape}"
        rule = f"a state is uint8 of shape ({_LAYOUT.itemsize},)"
        raise DataError(explain("set_state", given, rule, fix))
    record = np.ascontiguousarray(state).view(_LAYOUT)[0]
    left, position = int(record["left"]), int(record["next"])
    untouched = left == 1 and position == 0
    consistent = 1 <= left <= _WORDS and position + left == _WORDS + 1
    if not record["seeded"] or not (untouched or consistent):
        given = f"seeded is {int(record['seeded'])}, left is {left}, next is {position}"
        rule = f"a seeded state has left + next = {_WORDS + 1}"
        raise DataError(explain("set_state", given, rule, fix))
    return record
