"""The epoch: one counter that moves whenever something changes that a compiled step relied on.

Writing a module's attribute, switching train and eval, registering a parameter or changing a
parameter group bumps it; a compiled step that sees another number traces itself again.
"""

_counter = [0]


def current() -> int:
    """The number of changes so far."""
    return _counter[0]


def bump() -> None:
    """Note that something changed."""
    _counter[0] += 1
