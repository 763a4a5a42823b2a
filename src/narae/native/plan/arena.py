"""Memory for buffers: those that are never needed at the same time share it."""

import bisect
import ctypes
import mmap
import weakref
from collections.abc import Mapping
from typing import Protocol

from ..runtime.blocks import ALIGNMENT, POOL, Block, Pool
from .buffers import Buffer

Lifetimes = Mapping[Buffer, tuple[int, int]]
Owners = Mapping[Buffer, Buffer]  # whose memory a buffer takes over


class Arena(Protocol):
    """Memory for the buffers of a program, as long as it runs."""

    size: int

    def offset(self, buffer: Buffer) -> int:
        """How far from the beginning a buffer lies."""

    def take(self) -> int:
        """Take memory, unless that was done; the address of its beginning."""

    def give(self) -> None:
        """Give it back: what lies there is not needed any more."""


def packed_offsets(lifetimes: Lifetimes, owners: Owners) -> tuple[dict[Buffer, int], int]:
    """An offset for each buffer, the largest first, each in the lowest gap; and the size of all.

    Buffers overlap only if their lifetimes do not, or if one takes over the other's memory.
    """
    alive = _with_heirs(lifetimes, owners)
    placed: list[tuple[int, int, int, int]] = []  # start, end, first phase, last phase; in order
    offsets: dict[Buffer, int] = {}
    for buffer in sorted(alive, key=lambda b: -b.bytes):
        first, last = alive[buffer]
        size = -(-max(buffer.bytes, 1) // ALIGNMENT) * ALIGNMENT
        start = 0
        for low, high, begin, end in placed:
            if begin <= last and first <= end:
                if low - start >= size:
                    break
                start = max(start, high)
        offsets[buffer] = start
        bisect.insort(placed, (start, start + size, first, last))
    offsets |= {buffer: offsets[owner] for buffer, owner in owners.items()}
    return offsets, max((end for _, end, _, _ in placed), default=0)


def _with_heirs(lifetimes: Lifetimes, owners: Owners) -> dict[Buffer, tuple[int, int]]:
    """How long memory is needed, by the buffer that has it first."""
    found = {buffer: alive for buffer, alive in lifetimes.items() if buffer not in owners}
    for buffer, owner in owners.items():
        found[owner] = found[owner][0], max(found[owner][1], lifetimes[buffer][1])
    return found


class PackedArena:
    """One block for all buffers, which serves other programs while this one does not run."""

    def __init__(self, lifetimes: Lifetimes, owners: Owners, pool: Pool = POOL) -> None:
        self._offsets, self.size = packed_offsets(lifetimes, owners)
        self._pool = pool
        self._block: Block | None = None
        try:
            self.take()  # so that what has no room is refused before it runs
        except MemoryError:
            largest = max(lifetimes, key=lambda b: b.bytes)
            raise MemoryError(
                f"[compile] the program needs {self.size / 2**20:,.0f} MiB for its intermediates; "
                f"the largest is {largest.about or 'a buffer'} with "
                f"{largest.bytes / 2**20:,.0f} MiB. Fix: a smaller batch, or "
                "narae.utils.checkpoint"
            ) from None
        self.give()
        pool.enter(self.size)
        weakref.finalize(self, pool.leave, self.size).atexit = False

    def offset(self, buffer: Buffer) -> int:
        """How far from the block's beginning a buffer lies."""
        return self._offsets[buffer]

    def take(self) -> int:
        """Take a block, unless there is one already; its address."""
        if self._block is None:
            self._block = self._pool.take(self.size)
        return self._block.address

    def give(self) -> None:
        """Let other programs have the block."""
        block, self._block = self._block, None
        if block is not None:
            self._pool.give(block)


class GuardedArena:
    """Every buffer between two pages that must not be touched: for tests.

    The buffer ends where the page behind it begins, so that reading one element too far ends the
    process. None takes over another's memory.
    """

    def __init__(self, lifetimes: Lifetimes, _owners: Owners) -> None:
        self.size = sum(buffer.bytes for buffer in lifetimes)
        self._blocks: list[mmap.mmap] = []
        self._addresses = {buffer: self._guarded(buffer.bytes) for buffer in lifetimes}

    def _guarded(self, size: int) -> int:
        page = mmap.PAGESIZE
        inner = -(-max(size, 1) // page) * page
        block = mmap.mmap(-1, inner + 2 * page)
        self._blocks.append(block)
        start = ctypes.addressof(ctypes.c_char.from_buffer(block))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for place in (start, start + page + inner):
            if protect(ctypes.c_void_p(place), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        ctypes.memset(start + page, 0xFF, inner)  # NaN wherever nothing was written
        return start + page + inner - size

    def offset(self, buffer: Buffer) -> int:
        """Its address."""
        return self._addresses[buffer]

    def take(self) -> int:
        """There is no block, so offsets are addresses."""
        return 0

    def give(self) -> None:
        """The memory is its own."""
