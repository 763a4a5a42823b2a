"""Blocks of memory that programs take turns to work in."""

from collections import Counter

import numpy as np

ALIGNMENT = 64


class Block:
    """Some memory, of a size in bytes, that begins at an address which is well aligned."""

    __slots__ = ("_memory", "address", "size")

    def __init__(self, size: int) -> None:
        self._memory = np.empty(size + ALIGNMENT, np.uint8)
        self.address = -(-self._memory.ctypes.data // ALIGNMENT) * ALIGNMENT
        self.size = size


class Pool:
    """Blocks in which nobody works at the moment.

    What a program computes on the way is needed only while it runs, so programs that run one after
    the other (training and validation, batches of several lengths) need no more memory than the
    largest of them. Those that run at once, in several threads, get a block each.

    All methods may be called by any thread, and by the garbage collector at any moment: each looks
    at the list once, and a block that is lost in a race is freed, as nobody holds it.
    """

    def __init__(self) -> None:
        self._free: list[Block] = []
        self._sizes: Counter[int] = Counter()  # of all programs that are there

    def take(self, size: int) -> Block:
        """A block of at least this size that nobody else has.

        Raises:
            MemoryError: if there is no room.
        """
        while True:
            try:
                block = self._free.pop()
            except IndexError:
                return Block(size)
            if block.size >= size:
                return block
            # Too small, so it goes: the larger one serves those that it served, too.

    def give(self, block: Block) -> None:
        """Give back what was taken."""
        self._free.append(block)

    def enter(self, size: int) -> None:
        """A program is there that will take blocks of a size."""
        self._sizes[size] += 1

    def leave(self, size: int) -> None:
        """It is gone; so are blocks larger than any other one needs."""
        self._sizes[size] -= 1
        self._sizes += Counter()  # without those that are none
        largest = max(self._sizes, default=0)
        self._free = [block for block in self._free if block.size <= largest]


POOL = Pool()
