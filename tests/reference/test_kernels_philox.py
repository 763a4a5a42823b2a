"""Philox4x32-10: the published known answers, and what the stream promises."""

import numpy as np
import pytest

from narae.reference import philox as philox_module
from narae.reference.philox import philox, random_bits, uniform_from_bits

# Random123 1.14, tests/kat_vectors: counter, key, output (Salmon et al. 2011).
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_known_answers(counter, key, output):
    """The three vectors that the authors publish."""
    column = np.array(words(counter), np.uint32)[:, None]
    assert philox(column, tuple(words(key)))[:, 0].tolist() == words(output)


def test_rows_are_independent():
    """A column of counters gives what each counter gives alone."""
    counter = np.random.default_rng(0).integers(0, 2**32, (4, 5), np.uint32)
    together = philox(counter, (1, 2))
    for n in range(5):
        assert np.array_equal(philox(counter[:, n : n + 1], (1, 2))[:, 0], together[:, n])


def test_random_bits_walk_the_counter():
    """Word i is lane i mod 4 at counter i div 4, with the key's low half first."""
    key = 0x299F31D0_A4093822
    bits = random_bits(np.uint64(key), shape=(3, 7))
    assert bits.dtype == np.uint32
    for i, word in enumerate(bits.reshape(-1).tolist()):
        counter = np.array([[i // 4], [0], [0], [0]], np.uint32)
        assert word == philox(counter, (0xA4093822, 0x299F31D0))[i % 4, 0]


def test_a_word_depends_on_key_and_position_only(monkeypatch):
    """Not on the shape, the total count, or the pieces in which it was computed."""
    whole = random_bits(7, shape=(1000,))
    assert np.array_equal(random_bits(7, shape=(10, 5)).reshape(-1), whole[:50])
    assert np.array_equal(random_bits(np.array(7, np.uint64), shape=(1000,)), whole)
    monkeypatch.setattr(philox_module, "PIECE_COUNTERS", 3)
    assert np.array_equal(random_bits(7, shape=(1000,)), whole)
    assert not np.array_equal(random_bits(8, shape=(1000,)), whole)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (5,)])
def test_shapes(shape):
    """Any shape, 0-d and empty ones included."""
    assert random_bits(1, shape=shape).shape == shape


def test_uniform_is_exact():
    """float32 keeps the upper 24 bits, so one is never reached."""
    bits = np.array([0, 255, 256, 2**31, 2**32 - 1], np.uint32)
    single = uniform_from_bits(bits, np.float32)
    assert single.dtype == np.float32
    assert single.tolist() == [0, 0, 2.0**-24, 0.5, 1 - 2.0**-24]
    double = uniform_from_bits(bits, np.float64)
    assert double.tolist() == [0, 255 * 2.0**-32, 2.0**-24, 0.5, 1 - 2.0**-32]
    with pytest.raises(TypeError, match="int64"):
        uniform_from_bits(bits, np.int64)


def test_uniform_is_uniform():
    """A hundred thousand draws pass a chi-squared test with 99 degrees of freedom."""
    draws = uniform_from_bits(random_bits(123, shape=(100_000,)), np.float32)
    counts = np.histogram(draws, 100, (0, 1))[0]
    assert 60 < np.sum((counts - 1000) ** 2 / 1000) < 148.2  # p = 0.001 on either side
