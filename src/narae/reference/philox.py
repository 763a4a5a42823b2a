"""Counter-based random numbers: Philox4x32-10.

A random word is a function of a key and a counter, and of nothing else: there is no state to
carry along. So any part of an array can be drawn alone, on any number of threads, by any
executor, and the bits are the same.

Source: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011),
section 3.3 and table 2.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]

ROUNDS = 10
MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)  # golden ratio; square root of 3, less 1
KEY_OFFSETS = np.arange(ROUNDS, dtype=np.uint64)[:, None, None] * KEY_STEPS[:, None]
LOW_WORD = np.uint64(0xFFFFFFFF)
WORD_BITS = np.uint64(32)

# Counters worked off at once: few enough that all rounds run inside the fast caches.
PIECE_COUNTERS = 8192


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Ten rounds of Philox on every row of counters.

    A round multiplies two of the words by constants, and mixes the high and low halves of the
    products with the other two words and the key; the key then grows by a constant.

    Args:
        counter: (4, n), 32-bit words
        key: two 32-bit words

    Returns:
        (4, n), uint32

    >>> words = philox(np.zeros((4, 1), np.uint32), (0, 0))[:, 0]
    >>> [hex(word) for word in words.tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    # 64-bit arrays hold the full products of two 32-bit words.
    even, odd = counter[0::2].astype(np.uint64), counter[1::2].astype(np.uint64)
    product = np.empty_like(even)
    crossed = product[::-1]  # each word is mixed with the product of the other one
    # (rounds, 2, 1): the key of every round
    for round_key in (np.array(key, np.uint64)[:, None] + KEY_OFFSETS) & LOW_WORD:
        np.multiply(even, MULTIPLIERS, out=product)
        np.right_shift(crossed, WORD_BITS, out=even)
        even ^= odd
        even ^= round_key
        np.bitwise_and(crossed, LOW_WORD, out=odd)
    out = np.empty(counter.shape, np.uint32)
    out[0::2], out[1::2] = even, odd
    return out


def random_bits(key: int | np.integer[Any] | Array, *, shape: tuple[int, ...]) -> Array:
    """Uniform 32-bit words; the word at flat position i depends on the key and i alone.

    Word i is lane i mod 4 of Philox at counter (i div 4, 0); the key's low 32 bits come first.

    Args:
        key: one 64-bit key
        shape: shape of the result

    Returns:
        uint32

    >>> [hex(word) for word in random_bits(0, shape=(2,)).tolist()]
    ['0x6627e8d5', '0xe169c58d']
    """
    number = int(key) & 0xFFFFFFFFFFFFFFFF
    words = (number & 0xFFFFFFFF, number >> 32)
    count = prod(shape)
    blocks = -(-count // 4)
    bits = np.empty((blocks, 4), np.uint32)
    for start in range(0, blocks, PIECE_COUNTERS):
        stop = min(start + PIECE_COUNTERS, blocks)
        counter = np.zeros((4, stop - start), np.uint64)
        block = np.arange(start, stop, dtype=np.uint64)
        counter[0], counter[1] = block & LOW_WORD, block >> WORD_BITS
        bits[start:stop] = philox(counter, words).T
    return bits.reshape(-1)[:count].reshape(shape)


def uniform_from_bits(bits: Array, dtype: DTypeLike) -> Array:
    """Numbers in [0, 1) from random words: 24 bits for float32, all 32 for float64.

    Args:
        bits: uint32
        dtype: float32 or float64

    Raises:
        TypeError: if the type is neither.

    >>> uniform_from_bits(np.array([0, 2**31, 2**32 - 1], np.uint32), np.float32)
    array([0.        , 0.5       , 0.99999994], dtype=float32)
    """
    if np.dtype(dtype) == np.float32:
        return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    if np.dtype(dtype) == np.float64:
        return bits.astype(np.float64) * 2.0**-32
    raise TypeError(f"[uniform_from_bits] {np.dtype(dtype)} is not float32 or float64")
