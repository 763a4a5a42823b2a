"""Which leaves received gradients, and when: a number for each arrival, counted up for all.

An optimizer compares the numbers of its parameters with the count at its last step, and so knows
without a search whether they took part in `backward()` at all.
"""

import weakref

from .tensor import Tensor

_count = [0]
_first: dict[int, tuple[weakref.ref[Tensor], int]] = {}


def note(leaf: Tensor) -> None:
    """A leaf received a gradient."""
    _count[0] += 1
    if "_grad_number" not in leaf.__dict__:
        _note_first(leaf, _count[0])
    leaf.__dict__["_grad_number"] = _count[0]


def _note_first(leaf: Tensor, number: int) -> None:
    key = id(leaf)
    if key not in _first:
        _first[key] = (weakref.ref(leaf, lambda _: _first.pop(key, None)), number)


def count() -> int:
    """How many gradients arrived so far, in all leaves together."""
    return _count[0]


def number_of(leaf: Tensor) -> int:
    """The number of the last gradient that a leaf received; 0 if none did."""
    return leaf.__dict__.get("_grad_number", 0)  # type: ignore[no-any-return]


def first_received_after(number: int) -> list[tuple[Tensor, int]]:
    """Living leaves whose first gradient came later than that, with the number of the first."""
    found = []
    for reference, first in list(_first.values()):
        leaf = reference()
        if leaf is not None and first > number:
            found.append((leaf, first))
    return found
