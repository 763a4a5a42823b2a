"""Which results a nest could write where it reads an operand.

y[i, j] = exp(x[i, j])     in place: an element is read by the iteration that writes it
y[j, i] = exp(x[i, j])     not in place
"""

from collections.abc import Sequence

from ..loops.nest import Load, Lookup, Nest, Random, Store
from .buffers import Buffer, Pair


def in_place(nest: Nest, buffers: Sequence[Buffer]) -> tuple[Pair, ...]:
    """Pairs of a buffer that is read and one that is written: the same elements, same places."""
    pairs: list[Pair] = []
    for store in nest.stores:
        moves = all(step or size < 2 for step, size in zip(store.strides, nest.sizes, strict=True))
        new = buffers[store.slot]
        if new.kind == "arena" and moves and _is_only_use(nest, store):
            pairs += [(old, new) for old in _read_there(nest, store, buffers)]
    return tuple(pairs)


def _is_only_use(nest: Nest, store: Store) -> bool:
    slots = [getattr(item, "slot", None) for item in (*nest.nodes, *nest.stores)]
    return slots.count(store.slot) == 1


def _read_there(nest: Nest, store: Store, buffers: Sequence[Buffer]) -> list[Buffer]:
    """The buffers that are read at the places of a store, and at no others."""
    there, elsewhere = set[int](), set[int]()
    for node in nest.nodes:
        if isinstance(node, Load) and _place(node) == _place(store):
            there.add(node.slot)
        elif isinstance(node, Load | Lookup | Random):
            elsewhere.add(node.slot)
    found = [buffers[slot] for slot in sorted(there - elsewhere)]
    return [
        old for old in found if old.kind == "arena" and not any(b.whole is old for b in buffers)
    ]


def _place(item: Load | Store) -> tuple[int, tuple[int, ...], int]:
    return item.offset, item.strides, item.dtype.itemsize
