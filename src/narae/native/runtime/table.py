"""A program as a table of kernel calls, which native code works off.

A table has phases, one after the other. A phase has chains that are independent of each other. A
chain has kernels with the same number of pieces: whoever claims a piece runs all kernels of the
chain on it, one after the other, while its data is still in the cache.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from ..kernel import Kernel
from . import team_code as layout
from .code import Code
from .team import Scratch, current_team, natives

# A thread that sleeps takes so long to wake that less work than this is done alone; and to hand
# over a phase costs as much as a small one takes.
_SHORT_RUN = 15e-6  # seconds
_SHORT_PHASE = 1.5e-6
# What a core does at the very least, to estimate how long a kernel takes.
_FLOPS_PER_SECOND, _BYTES_PER_SECOND = 20e9, 10e9


@dataclass(frozen=True)
class Entry:
    """A kernel, and the first of the slots that its arguments are in."""

    kernel: Kernel
    slots: int


@dataclass(frozen=True)
class Chain:
    """Kernels with `pieces` pieces each, run on a piece one after the other."""

    entries: tuple[Entry, ...]
    pieces: int


Phase = Sequence[Chain]


class Table:
    """A program that is ready to run.

    Args:
        code: the kernels.
        phases: what is run, in this order.
        slot_count: how many slots there are.

    Attributes:
        slots: uint64 (slot_count,): the arguments of all kernels, to be written before a run.
        status: int32 (16,): words that kernels may set; they start at 0.
        scratch: bytes of scratch memory that a thread needs.

    Raises:
        ValueError: if a chain has another number of pieces than one of its kernels, or an entry
            begins outside the slots.
    """

    def __init__(self, code: Code, phases: Sequence[Phase], slot_count: int) -> None:
        self.slots: np.ndarray[Any, np.dtype[np.uint64]] = np.zeros(slot_count, np.uint64)
        self.status: np.ndarray[Any, np.dtype[np.int32]] = np.zeros(16, np.int32)
        self._phases = [tuple(chain for chain in phase if chain.pieces) for phase in phases]
        entries = list(_entries(self._phases))
        _check(phases, slot_count)
        self.scratch = max((entry.kernel.scratch for entry in entries), default=0)
        seconds = [sum(map(_seconds, phase)) for phase in self._phases]
        self._seconds_before = [0.0, *accumulate(seconds)]
        self._entry_rows = self._entry_table(code, entries)
        self._task_rows = self._task_table()
        self._phase_rows = self._phase_table(seconds)
        self._address = self._phase_rows.ctypes.data
        self._shared_before = [0, *accumulate(int(not row[2]) for row in self._phase_rows)]
        self._run_alone = natives().run_alone

    @property
    def status_address(self) -> int:
        """Where the status words are."""
        return self.status.ctypes.data

    # --- making the tables of addresses -----------------------------------------------------

    def _entry_table(self, code: Code, entries: Sequence[Entry]) -> np.ndarray[Any, Any]:
        base = self.slots.ctypes.data
        rows = [(code.address(e.kernel.name), base + 8 * e.slots) for e in entries]
        return np.array(rows, np.int64).reshape(-1, 2)

    def _task_table(self) -> np.ndarray[Any, Any]:
        at, blocks = self._entry_rows.ctypes.data, []
        for phase in self._phases:
            for chain in phase:
                block = np.empty((chain.pieces, 3), np.int64)
                block[:] = at, len(chain.entries), 0
                block[:, 2] = np.arange(chain.pieces)
                blocks.append(block)
                at += layout.ENTRY_BYTES * len(chain.entries)
        return np.concatenate([np.empty((0, 3), np.int64), *blocks])

    def _phase_table(self, seconds: Sequence[float]) -> np.ndarray[Any, Any]:
        at, rows = self._task_rows.ctypes.data, []
        for phase, estimate in zip(self._phases, seconds, strict=True):
            count = sum(chain.pieces for chain in phase)
            rows.append((at, count, int(count <= 1 or estimate < _SHORT_PHASE)))
            at += layout.TASK_BYTES * count
        return np.array(rows, np.int64).reshape(-1, 3)

    # --- running ----------------------------------------------------------------------------

    def run(self, first: int, last: int) -> None:
        """Run phases first … last - 1, without the interpreter's lock, until they are done."""
        self._check_range(first, last)
        if self._is_shared(first, last):
            team = current_team()
            if team is not None and team.lock.acquire(blocking=False):
                try:
                    team.run(self._address, first, last, self.scratch)
                finally:
                    team.lock.release()
                return
        self._run_alone(self._address, first, last, _own_scratch(self.scratch))

    def _check_range(self, first: int, last: int) -> None:
        if not 0 <= first <= last <= len(self._phases):
            raise ValueError(f"phases {first} … {last - 1} of {len(self._phases)}")

    def _is_shared(self, first: int, last: int) -> bool:
        if self._shared_before[first] == self._shared_before[last]:
            return False
        return self._seconds_before[last] - self._seconds_before[first] >= _SHORT_RUN

    def run_timed(self, first: int, last: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Run phases in this thread alone and measure: seconds of each entry, in their order."""
        self._check_range(first, last)
        phases, scratch = self._phases[first:last], _own_scratch(self.scratch)
        row = sum(1 for _ in _entries(self._phases[:first]))
        seconds: list[float] = []
        for chain in (chain for phase in phases for chain in phase):
            rows = self._entry_rows[row : row + len(chain.entries)].tolist()
            seconds += _timed(rows, chain.pieces, scratch)
            row += len(rows)
        return np.array(seconds)


def _check(phases: Iterable[Phase], slot_count: int) -> None:
    for chain in (chain for phase in phases for chain in phase):
        for entry in chain.entries:
            name, pieces = entry.kernel.name, entry.kernel.pieces
            if pieces != chain.pieces:
                raise ValueError(f"{name} has {pieces} pieces, its chain {chain.pieces}")
            if not 0 <= entry.slots <= slot_count:
                raise ValueError(f"{name}: slot {entry.slots} of {slot_count}")


def _entries(phases: Iterable[Phase]) -> Iterable[Entry]:
    return (entry for phase in phases for chain in phase for entry in chain.entries)


def _seconds(chain: Chain) -> float:
    """How long a chain takes in one thread, from what its kernels say; a second if they do not."""
    seconds = 0.0
    for entry in chain.entries:
        flops, moved = entry.kernel.flops, entry.kernel.bytes
        if not flops and not moved:
            return 1.0
        seconds += max(flops / _FLOPS_PER_SECOND, moved / _BYTES_PER_SECOND)
    return seconds


def _timed(rows: Sequence[tuple[int, int]], pieces: int, scratch: int) -> list[float]:
    call, clock = natives().call, time.perf_counter
    seconds = [0.0] * len(rows)
    for piece in range(pieces):
        for number, (function, args) in enumerate(rows):
            start = clock()
            call(function, args, piece, scratch)
            seconds[number] += clock() - start
    return seconds


_local = threading.local()


def _own_scratch(size: int) -> int:
    """Scratch memory of the calling thread, for what it runs without the team."""
    if not size:
        return 0
    scratch: Scratch | None = getattr(_local, "scratch", None)
    if scratch is None:
        scratch = _local.scratch = Scratch()
    return scratch.grow(size)
