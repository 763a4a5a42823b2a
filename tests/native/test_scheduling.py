"""The order of tasks: which phase each goes to."""

import numpy as np
import pytest

from narae.native.plan.buffers import Access, Buffer, Step, Task
from narae.native.plan.scheduling import schedule

BYTE = np.dtype(np.uint8)


def buffer(name):
    return Buffer(BYTE, 64, about=name)


def task(name, reads, writes, pieces=1, prepares=False):
    """A task whose pieces read and write parts of buffers."""
    accesses = tuple(Access(b, b is writes, True) for b in (*reads, writes))

    def make(wished):
        return [Step(name, (), accesses, wished or pieces, True)]  # type: ignore[arg-type]

    return Task(make, pieces, accesses, prepares=prepares, nanoseconds=1e6)


def names(scheduled):
    """The kernels of each chain of each phase."""
    found = []
    for phase in scheduled.phases[: scheduled.late]:
        found.append([[step.kernel for step in chain.steps] for chain in phase.chains])
    return found


@pytest.mark.parametrize("pieces", [1, 4])
def test_preparing_waits_for_nobody(pieces):
    """`second` goes where others wait anyway; between phases if a chain needs what it makes."""
    x, y, ready, packed, out = map(buffer, ("x", "y", "ready", "packed", "out"))
    scheduled = schedule(
        [
            task("a", [], x),
            task("b", [x], y, pieces),
            task("first", [], ready, prepares=True),
            task("second", [ready], packed, prepares=True),
            task("main", [y, packed], out, pieces),
        ]
    )
    if pieces == 1:
        assert names(scheduled) == [[["a"], ["first"]], [["second"], ["b"]], [["main"]]]
    else:
        assert names(scheduled) == [[["a"], ["first"]], [["second"]], [["b", "main"]]]
    assert [phase.number for phase in scheduled.phases] == list(range(len(scheduled.phases)))
