"""Shuffles: the two forms of Fisher and Yates's algorithm behind `randperm`.

Each step depends on the one before, so these are plain loops (about 0.1 µs a step).

Source: Fisher and Yates, "Statistical Tables" (1938); Knuth, TAOCP 2, 3.4.2, algorithm P.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

_CHUNK = 2**20  # steps whose random numbers are drawn together: bounds the memory


def shuffle_forward(n: int, draws: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Swap each place i with a place from i to n - 1, chosen by `draws[i] % (n - i)`.

    Args:
        draws: (n - 1,) random words (none for an empty order).

    >>> shuffle_forward(3, np.array([1, 0], np.uint32)).tolist()
    [1, 0, 2]
    """
    places = np.arange(len(draws))
    partners = draws.astype(np.int64) % (n - places) + places
    order = list(range(n))
    for i, j in enumerate(partners.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)


def shuffle_inside_out(
    n: int, draw: Callable[[int], npt.NDArray[np.uint64]]
) -> npt.NDArray[np.int64]:
    """Put each number i at a place from 0 to i, chosen by a 64-bit word, and move what was there.

    Args:
        draw: returns the next k words.

    >>> shuffle_inside_out(3, lambda k: np.array([0, 0, 1], np.uint64)).tolist()
    [1, 2, 0]
    """
    order = np.empty(n, np.int64)
    slots = memoryview(order.data)
    for start in range(0, n, _CHUNK):
        steps = np.arange(start, min(start + _CHUNK, n), dtype=np.uint64)
        partners = (draw(len(steps)) % (steps + np.uint64(1))).tolist()
        for i, j in enumerate(partners, start):
            slots[i] = slots[j] if i != j else i
            slots[j] = i
    return order
