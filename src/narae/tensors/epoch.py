"""The epoch: what moves whenever something changes that a compiled step relied on.

* `counter` moves when a module's attribute is written, a parameter is registered, or a parameter
  group changes: what was traced before does not hold any more.
* `flags` is a fingerprint of which modules train and which evaluate. Switching a module changes it,
  and switching it back gives the old one again, so that what was traced then holds again.
"""

import random
import weakref
from itertools import count
from typing import Any

from .locks import new_lock

counter = [0]
flags = [0]

_next = count(1).__next__
_draw = random.Random(100).getrandbits  # a stream of its own: nobody else's is touched
_tokens: dict[int, tuple[Any, int]] = {}
_lock = new_lock()


def current() -> int:
    """The number of changes so far."""
    return counter[0]


def bump() -> None:
    """Note that something changed."""
    counter[0] = _next()


def flip(module: Any) -> None:
    """Note that a module was switched between training and evaluation.

    Every module has a random number of 128 bits; the fingerprint is the exclusive or of those of
    the modules that were switched an odd number of times.
    """
    with _lock:
        flags[0] ^= _token(module)


def _token(module: Any) -> int:
    key = id(module)
    known = _tokens.get(key)
    if known is None or known[0]() is not module:
        known = weakref.ref(module, lambda _: _tokens.pop(key, None)), _draw(128)
        _tokens[key] = known
    return known[1]
