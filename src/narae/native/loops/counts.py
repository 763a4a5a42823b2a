"""What a nest does, for reports: a few words, floating-point operations, bytes moved."""

from math import prod

from narae.base.dtypes import is_floating

from .nest import Apply, Load, Reduce
from .shape import Loops, dependence
from .stages import live_nodes


def described(loops: Loops) -> str:
    """A few words."""
    live = live_nodes(loops)
    names = [
        node.operation
        for index, node in enumerate(loops.nodes)
        if isinstance(node, Apply | Reduce) and index in live
    ]
    shown = " ".join(names[:6]) + (" …" if len(names) > 6 else "")
    size = "any length" if loops.length_slot is not None else "×".join(map(str, loops.sizes))
    return f"{shown or 'copy'} ({size or '1'})"


def worked_flops(loops: Loops) -> int:
    """One for each element of each floating-point node."""
    depends, row = dependence(loops), prod(loops.sizes[loops.outer :])
    flops = 0
    for index in live_nodes(loops):
        node = loops.nodes[index]
        if isinstance(node, Apply | Reduce) and is_floating(node.dtype):
            count = prod(loops.sizes[dim] for dim in depends[index])
            flops += count * (row if isinstance(node, Reduce) else 1)
    return flops


def moved_bytes(loops: Loops) -> int:
    """Every element read or written, once."""
    live = live_nodes(loops)
    items = [loops.nodes[index] for index in sorted(live)]
    loads = [(item.dtype, item.strides) for item in items if isinstance(item, Load)]
    stores = [(store.dtype, store.strides) for store in loops.stores]
    return sum(
        dtype.itemsize * prod(size for size, s in zip(loops.sizes, strides, strict=True) if s)
        for dtype, strides in loads + stores
    )
