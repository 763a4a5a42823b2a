"""Buffers that take over the memory of others within one phase.

A kernel may write a result where it reads an operand, if both have the same elements at the same
places and nothing else needs the operand any more.

A chain is run piece by piece. Where piece p of all its kernels touches the p-th of equal parts of
a buffer and nothing else, the buffer is dead for that piece after the last kernel that reads it. So
a later kernel of the chain may write its own p-th part there, if both parts are the same bytes.

    before: product -> a, exp a -> b, sum b -> c, div b c -> d     a, b and d in memory of their own
    after:  product -> a, exp a -> a, sum a -> c, div a c -> a     which stays in the nearest cache
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .buffers import Buffer
from .scheduling import ChainOf, Scheduled

Lifetimes = Mapping[Buffer, tuple[int, int]]


@dataclass
class _Use:
    """The steps of the only chain of a phase that touches a buffer: the first, the last.

    Attributes:
        parted: whether piece p touches the p-th of equal parts only.
        replaces: the buffers whose elements the first of these steps reads at the same places.
    """

    chain: int
    first: int
    last: int
    parted: bool = True
    replaces: list[Buffer] = field(default_factory=list)


def takeovers(scheduled: Scheduled, lifetimes: Lifetimes) -> dict[Buffer, Buffer]:
    """Buffers that take over memory, and the buffer that had it first."""
    owners: dict[Buffer, Buffer] = {}
    for phase in scheduled.phases:
        uses = _uses(phase.chains)
        ending: dict[int, list[Buffer]] = {}  # by size
        for buffer in uses:
            if lifetimes[buffer][1] == phase.number:
                ending.setdefault(buffer.bytes, []).append(buffer)
        starting = [b for b in uses if lifetimes[b][0] == phase.number]
        for buffer in sorted(starting, key=lambda b: uses[b].first):
            equal = ending.get(buffer.bytes, [])
            free = [b for b in equal if _may_follow(b, uses[b], uses[buffer])]
            if free:
                before = max(free, key=lambda b: uses[b].last)
                equal.remove(before)
                owners[buffer] = owners.get(before, before)
    return owners


def _may_follow(old: Buffer, its: _Use, use: _Use) -> bool:
    """Whether a buffer of the same size may be where an old one was, from its first step on."""
    if its.chain != use.chain:
        return False
    parted = its.parted and use.parted
    if old in use.replaces and its.last == use.first:
        return parted or its.first == its.last
    return parted and its.last < use.first


def _uses(chains: Iterable[ChainOf]) -> dict[Buffer, _Use]:
    """How the buffers of a phase that one chain alone touches are used."""
    found: dict[Buffer, _Use] = {}
    others: set[Buffer] = set()
    for number, chain in enumerate(chains):
        for place, step in enumerate(chain.steps):
            for access in step.accesses:
                buffer = access.buffer.whole or access.buffer
                if buffer not in found:
                    replaces = [old for old, new in step.replaces if new is buffer]
                    found[buffer] = _Use(number, place, place, replaces=replaces)
                use = found[buffer]
                use.last = place
                use.parted &= chain.even and access.parted and access.buffer is buffer
                if use.chain != number:
                    others.add(buffer)
    return {b: u for b, u in found.items() if b not in others and b.kind == "arena" and b.size}
