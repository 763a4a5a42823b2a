"""Nests as tasks: into how many pieces they are cut, and which parts of buffers a piece touches."""

import math
from collections.abc import Sequence
from dataclasses import replace

from ..kernel import Machine
from ..loops.counts import moved_bytes, worked_flops
from ..loops.kernels import nest_kernel
from ..loops.nest import Apply, Index, Load, Lookup, Nest, Random, Reduce, Store
from ..loops.shape import normalised
from .buffers import Access, Buffer, Step, Task
from .in_place import in_place

# A piece should take about this long, in nanoseconds; more pieces than this do not help.
PIECE_TIME = 15_000
MOST_PIECES = 64
# Indices of a flat nest of any length that make a piece.
FLAT_PIECE = 8192


def nest_task(nest: Nest, buffers: Sequence[Buffer], machine: Machine, late: bool) -> Task:
    """A task that runs a nest on buffers, one for each slot."""
    accesses, replaces = _accesses(nest, buffers), in_place(nest, buffers)
    outer = nest.sizes[0] if nest.outer else 1
    nanoseconds = _nanoseconds(nest)

    def make(pieces: int) -> list[Step]:
        if late and _is_flat(nest):
            return [_flat_step(nest, buffers, accesses, machine)]
        count = pieces or pieces_for(outer, nanoseconds)
        piece = -(-outer // count)
        kernel = nest_kernel(replace(nest, piece=piece), machine)
        even = outer % count == 0 and kernel.in_order
        return [Step(kernel, tuple(buffers), accesses, -(-outer // piece), even, replaces)]

    return Task(make, outer, accesses, late, about="nest", nanoseconds=nanoseconds)


def pieces_for(outer: int, nanoseconds: float) -> int:
    """How many pieces to cut: equal ones if the size allows it."""
    wanted = min(outer, MOST_PIECES, max(1, int(nanoseconds / PIECE_TIME)))
    best = max(n for n in range(1, wanted + 1) if outer % n == 0)
    return best if best * 3 >= wanted else wanted


def _nanoseconds(nest: Nest) -> float:
    """About how long one thread takes."""
    points = math.prod(nest.sizes)
    per_point = sum(_COST.get(getattr(node, "operation", ""), 0.08) for node in nest.nodes)
    return points * (per_point + 0.2 * len(nest.stores))


_COST = dict.fromkeys(("exp", "log", "tanh", "erf", "sigmoid", "pow", "sin", "cos"), 1.0)


def _is_flat(nest: Nest) -> bool:
    """One loop, in which everything is next to each other or does not move."""
    items = [*nest.nodes, *nest.stores]
    if len(nest.sizes) != 1 or nest.outer != 1:
        return False
    if any(isinstance(x, (Index, Lookup, Random, Reduce)) for x in items):
        return False
    return all(set(x.strides) <= {0, 1} for x in items if isinstance(x, (Load, Store)))


def _flat_step(
    nest: Nest, buffers: Sequence[Buffer], accesses: tuple[Access, ...], machine: Machine
) -> Step:
    """A kernel that reads its length when it runs, so that one serves parameters of any size."""
    (length,) = nest.sizes
    flat = replace(nest, sizes=(0,), piece=FLAT_PIECE, length_slot=len(buffers))
    pieces = -(-length // FLAT_PIECE)
    counted = normalised(nest)  # the kernel itself knows no length
    flops, moved = worked_flops(counted), moved_bytes(counted)
    kernel = replace(nest_kernel(flat, machine), pieces=pieces, flops=flops, bytes=moved)
    return Step(kernel, (*buffers, length), accesses, pieces)


def _accesses(nest: Nest, buffers: Sequence[Buffer]) -> tuple[Access, ...]:
    found: dict[tuple[int, bool], bool] = {}
    for item in (*nest.nodes, *nest.stores):
        if not isinstance(item, (Load, Lookup, Random, Store)):
            continue
        writes = isinstance(item, Store)
        parted = (
            isinstance(item, (Load, Store))
            and nest.outer > 0
            and is_parted(buffers[item.slot].size, nest.sizes, item.strides, item.offset)
        )
        key = item.slot, writes
        found[key] = found.get(key, True) and parted
    return tuple(Access(buffers[slot], writes, parted) for (slot, writes), parted in found.items())


def is_parted(size: int, sizes: Sequence[int], strides: Sequence[int], offset: int) -> bool:
    """Whether index i of the first dimension touches the i-th of equal parts of a buffer only."""
    part = strides[0]
    if part <= 0 or part * sizes[0] != size:
        return False
    low = offset + sum((n - 1) * s for n, s in zip(sizes[1:], strides[1:], strict=True) if s < 0)
    high = offset + sum((n - 1) * s for n, s in zip(sizes[1:], strides[1:], strict=True) if s > 0)
    return low >= 0 and high < part


__all__ = ["Apply", "is_parted", "nest_task", "pieces_for"]
