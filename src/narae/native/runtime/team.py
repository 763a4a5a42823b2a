"""The thread team: threads that wait, between programs and between the phases of one, for pieces.

The threads are Python's, and each spends its life in one native call without the interpreter's
lock. There is one team in a process. A second Python thread that runs a program meanwhile, does so
alone. After a fork the child has no team, and makes one when it needs it.
"""

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from narae.base.errors import ConfigError, explain

from . import team_code as layout
from .code import load_functions
from .code_facts import llvm_facts
from .machine import available_cores

# How long a thread spins before it sleeps. To wake it takes 20 to 45 µs (2 cores of a virtual
# machine) and the one who wakes it 9 µs. Longer spinning takes the processor from other programs,
# but between two small steps Python needs about 50 µs, and the threads should still be awake then.
_SPIN_SECONDS = 150e-6

Address = int
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Natives(NamedTuple):
    """The native functions (`team_code`)."""

    run: Callable[[Address, Address, int, int], None]
    run_alone: Callable[[Address, int, int, Address], None]
    call: Callable[[Address, Address, int, Address], None]
    worker: Callable[[Address, int], None]
    stop: Callable[[Address], None]
    spin: Callable[[int], None]
    prepare: Callable[[Address], None]


@lru_cache(maxsize=1)
def natives() -> Natives:
    """The native functions, callable; each gives the interpreter's lock away while it runs."""
    text = layout.team_text(processor=llvm_facts().processor)
    addresses = load_functions(text, layout.FUNCTIONS)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    signatures = (
        (pointer, pointer, number, number),
        (pointer, number, number, pointer),
        (pointer, pointer, number, pointer),
        (pointer, number),
        (pointer,),
        (number,),
        (pointer,),
    )
    found = zip(layout.FUNCTIONS, signatures, strict=True)
    return Natives(*(ctypes.CFUNCTYPE(None, *kinds)(addresses[name]) for name, kinds in found))


@lru_cache(maxsize=1)
def _spins() -> int:
    """How many pauses last for `_SPIN_SECONDS`."""
    spin, count = natives().spin, 500
    times = []
    for _ in range(5):
        start = time.perf_counter()
        spin(count)
        times.append(time.perf_counter() - start)
    return max(100, int(count * _SPIN_SECONDS / max(min(times), 1e-9)))


class Scratch:
    """Memory of one thread that grows: 64-byte aligned."""

    def __init__(self) -> None:
        self.size = 0
        self.address = 0
        self._memory: Bytes | None = None

    def grow(self, size: int) -> Address:
        """At least `size` bytes."""
        if size > self.size:
            self._memory, self.address = aligned(size)
            self.size = size
        return self.address


def aligned(size: int, alignment: int = 4096) -> tuple[Bytes, Address]:
    """Bytes of zeros, as an array that keeps them alive, and the address of the first one."""
    memory = np.zeros(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size], memory.ctypes.data + start


class Team:
    """A number of threads, of which the one that calls `run` is the first.

    Attributes:
        size: how many threads.
        lock: held while the team is in use. An interrupt right after a thread took it may leave it
            taken; that thread can then still take it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.RLock()
        self._run = natives().run
        self._memory, self._address = aligned(layout.SEAT + size * layout.SEAT_BYTES)
        self._scratch = [Scratch() for _ in range(size)]
        shares = min(size, layout.MAX_SHARES)
        self._put(layout.SIZE, size)
        self._put(layout.SHARES, shares)
        self._put(layout.SPINS, _spins())
        for number in range(size):
            seat = layout.SEAT + number * layout.SEAT_BYTES
            self._put(seat + layout.SEAT_SHARE, number * shares // size)
            natives().prepare(self._address + seat)
        self._spreads = self._list_processors()
        self._threads: list[threading.Thread] = []
        try:
            self._threads.extend(map(self._start, range(1, size)))
        except RuntimeError:
            self.close()
            raise

    def _put(self, offset: int, value: int) -> None:
        self._memory[offset : offset + 8].view(np.int64)[0] = value

    def _start(self, number: int) -> threading.Thread:
        thread = threading.Thread(
            target=natives().worker,
            args=(self._address, number),
            name=f"narae-{number}",
            daemon=True,
        )
        thread.start()
        if self._spreads:
            seat = layout.SEAT + number * layout.SEAT_BYTES
            self._put(seat + layout.SEAT_THREAD, thread.native_id or 0)
        return thread

    def _list_processors(self) -> bool:
        """List those it may run on; False if there are too few to keep threads apart."""
        if sys.platform != "linux":
            return False
        allowed = os.sched_getaffinity(0)
        if self.size > len(allowed) or max(allowed) >= layout.PROCESSORS_LISTED:
            return False
        listed = self._memory[layout.PROCESSORS :][: layout.PROCESSORS_LISTED // 8]
        for processor in allowed:
            listed[processor // 8] |= 1 << processor % 8
        return True

    def run(self, phases: Address, first: int, last: int, scratch: int) -> None:
        """Run phases of a table; the caller holds the lock.

        Args:
            phases: where the table's phases are.
            first, last: which of them: first … last - 1.
            scratch: bytes that its kernels need for each thread.
        """
        if scratch > self._scratch[0].size:
            self._grow(scratch)
        self._run(self._address, phases, first, last)

    def _grow(self, size: int) -> None:
        for number, scratch in enumerate(self._scratch):
            offset = layout.SEAT + number * layout.SEAT_BYTES + layout.SEAT_SCRATCH
            self._put(offset, scratch.grow(size))

    def close(self) -> None:
        """End the workers, after a run that may be under way."""
        with self.lock:
            natives().stop(self._address)
            for thread in self._threads:
                thread.join()
            self._threads = []


# --- the one team of the process ------------------------------------------------------------

_lock = threading.Lock()  # held while a team is made or replaced
_team: Team | None = None
_threads = 0  # 0: not chosen
_is_possible = True  # whether threads could be started


def set_threads(count: int) -> None:
    """Choose how many threads run programs, the calling one included.

    Raises:
        ConfigError: if it is not at least 1.
    """
    global _threads, _is_possible
    if count < 1:
        given, fix = f"{count} threads were asked for", "use 1 or more"
        raise ConfigError(explain("set_threads", given, "somebody has to do the work", fix))
    _threads, _is_possible = count, True
    _drop_team()


def get_threads() -> int:
    """How many threads run programs: those chosen, otherwise as many as there are processors."""
    return _threads or available_cores()


def current_team() -> Team | None:
    """The team, made if there is none; None if programs are run by one thread."""
    team = _team
    if team is not None:
        return team
    size = get_threads()
    return _make_team(size) if size > 1 and _is_possible else None


def _make_team(size: int) -> Team | None:
    global _team, _is_possible
    with _lock:
        if _team is None:
            try:
                _team = Team(size)
            except RuntimeError:  # the system has no more threads, or Python is ending
                _is_possible = False
        return _team


def _drop_team() -> None:
    global _team
    with _lock:
        team, _team = _team, None
    if team is not None:
        team.close()


def _end() -> None:
    """Python is ending: no thread may be in the way, and none is made any more."""
    global _is_possible
    _is_possible = False
    _drop_team()


def _rest_before_fork() -> None:
    """End idle workers: a fork beside running threads is what Python 3.12 and newer warn of."""
    team = _team
    if team is not None and team.lock.acquire(blocking=False):
        try:
            _drop_team()
        finally:
            team.lock.release()


def _forget_in_child() -> None:
    """The workers did not come along, and a lock may be held by a thread that did not either."""
    global _team, _lock
    _team, _lock = None, threading.Lock()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_rest_before_fork, after_in_child=_forget_in_child)
