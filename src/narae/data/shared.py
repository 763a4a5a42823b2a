"""How a batch travels from one process to another: arrays in shared memory, the rest pickled.

The sender takes a batch apart with pickle, whose protocol 5 hands out the memory of arrays instead
of copying it into the pickle. That memory is copied, once, into a block which both processes see;
the receiver copies it out, so a block serves again and again.

A block's name is known to both before it exists, so whoever is left can remove what the other one
left behind. The receiver takes a name away as soon as it has seen the block: from then on the
system frees the memory when both have ended, however they end.
"""

import pickle
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Any, NamedTuple

import numpy as np

_INLINE = 1 << 16  # less than this goes through the pipe, which is faster
_ALIGNMENT = 64
_SPARE = 1.25  # blocks are made larger than needed, since batches differ in size


class Parcel(NamedTuple):
    """What the pipe carries.

    Attributes:
        pickled: all but the arrays.
        sizes: of the arrays, in bytes.
        inline: the arrays, if they are small.
        generation: which block of the slot holds them, if not.
    """

    pickled: bytes
    sizes: tuple[int, ...]
    inline: bytes | None
    generation: int


def block_name(prefix: str, slot: int, generation: int) -> str:
    """The name of a block: each slot has one at a time, numbered anew whenever it has to grow."""
    return f"{prefix}_{slot}_{generation}"


class Sender:
    """Puts batches into slots; the receiver says which of them are free."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._blocks: dict[int, tuple[int, SharedMemory]] = {}

    def pack(self, value: Any, slot: int) -> Parcel:
        """Take a value apart, and put its arrays into the block of a slot."""
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts = [buffer.raw() for buffer in buffers]
        sizes = tuple(part.nbytes for part in parts)
        if sum(sizes) < _INLINE:
            return Parcel(pickled, sizes, b"".join(parts), 0)
        generation, block = self._block(slot, sum(map(_aligned, sizes)))
        offset = 0
        memory: Any = block.buf
        for part in parts:
            memory[offset : offset + part.nbytes] = part
            offset += _aligned(part.nbytes)
        return Parcel(pickled, sizes, None, generation)

    def _block(self, slot: int, size: int) -> tuple[int, SharedMemory]:
        generation, block = self._blocks.get(slot, (0, None))
        if block is None or block.size < size:
            if block is not None:
                block.close()
            generation += 1
            name = block_name(self._prefix, slot, generation)
            block = SharedMemory(name, create=True, size=int(size * _SPARE))
            self._blocks[slot] = generation, block
        return generation, block

    def close(self) -> None:
        """Let go of all blocks."""
        for _, block in self._blocks.values():
            block.close()

    def remove(self) -> None:
        """Remove the names that nobody received; nobody will."""
        for _, block in list(self._blocks.values()):
            with suppress(OSError):
                block.unlink()


class Receiver:
    """Takes batches out of slots, and removes the blocks."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._blocks: dict[int, tuple[int, SharedMemory]] = {}

    def unpack(self, parcel: Parcel, slot: int) -> Any:
        """The value of a parcel; the slot is free again."""
        if parcel.inline is not None:
            source: Any = memoryview(parcel.inline)
            places = _places(parcel.sizes, lambda size: size)
        else:
            source = self._block(slot, parcel.generation).buf
            places = _places(parcel.sizes, _aligned)
        arrays = [np.frombuffer(source, np.uint8, size, start).copy() for start, size in places]
        return pickle.loads(parcel.pickled, buffers=arrays)

    def _block(self, slot: int, generation: int) -> SharedMemory:
        known, block = self._blocks.get(slot, (0, None))
        if block is None or known != generation:
            if block is not None:
                block.close()
            block = SharedMemory(block_name(self._prefix, slot, generation))
            block.unlink()  # both sides hold it by now; nobody else needs its name
            self._blocks[slot] = generation, block
        return block

    def close(self, slots: int) -> None:
        """Let go of all blocks, and of those that were made but never received."""
        for _, block in self._blocks.values():
            block.close()
        for slot in range(slots):
            generation = self._blocks.get(slot, (0, None))[0]
            with suppress(FileNotFoundError):
                left = SharedMemory(block_name(self._prefix, slot, generation + 1))
                left.close()
                left.unlink()
        self._blocks.clear()


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _places(sizes: tuple[int, ...], step: Any) -> list[tuple[int, int]]:
    places, start = [], 0
    for size in sizes:
        places.append((start, size))
        start += step(size)
    return places
