"""A nest in the order in which its loops will run: no sizes of one, neighbours merged.

Before: sizes (8, 1, 32, 32, 64), outer 5, every access contiguous.
After:  sizes (524288,), outer 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from .nest import Apply, Index, Load, Lookup, Nest, NestNode, Random, Reduce, Store, Strides


@dataclass(frozen=True)
class Loops:
    """The loops of a nest.

    Attributes:
        sizes, outer, nodes, stores, length_slot: as a nest has them, in the order of running.
        place: strides of the place in the row, in the row-major order of the nest's own.
        cut: the dimension that is cut into pieces, or -1.
        piece, pieces: how many of its indices make a piece, and how many pieces there are.
        in_order: whether the cut dimension is the nest's first.
    """

    sizes: tuple[int, ...]
    outer: int
    nodes: tuple[NestNode, ...]
    stores: tuple[Store, ...]
    length_slot: int | None
    place: Strides
    cut: int
    piece: int
    pieces: int
    in_order: bool = True

    @property
    def row(self) -> range:
        """The dimensions of the row."""
        return range(self.outer, len(self.sizes))

    @property
    def row_size(self) -> int:
        """How many elements a row has."""
        return prod(self.sizes[self.outer :])


Strided = Load | Index | Lookup | Store


def strided(loops: Loops) -> list[Strided]:
    """Everything that has strides."""
    nodes: list[Strided] = [x for x in loops.nodes if isinstance(x, Load | Index | Lookup)]
    return nodes + list(loops.stores)


def references(node: NestNode) -> tuple[int, ...]:
    """The nodes that a node is made of."""
    if isinstance(node, Apply):
        return node.arguments
    if isinstance(node, Reduce):
        return (node.argument,)
    if isinstance(node, Lookup):
        return tuple(index for index, _, _ in node.indices)
    return (node.counter,) if isinstance(node, Random) else ()


def normalised(nest: Nest) -> Loops:
    """The loops of a nest, as few as possible, in the order that the nest has them."""
    loops = _as_given(nest)
    if not any(isinstance(node, Reduce) for node in loops.nodes) and loops.row_size:
        loops = replace(loops, outer=len(loops.sizes), place=(0,) * len(loops.sizes))
    return merged(_without_ones(loops))


def _as_given(nest: Nest) -> Loops:
    sizes, row = nest.sizes, nest.sizes[nest.outer :]
    place = (0,) * nest.outer + tuple(prod(row[k + 1 :]) for k in range(len(row)))
    cut, piece, pieces = -1, 0, 1
    if nest.length_slot is not None and nest.outer:
        cut, piece, pieces = 0, nest.piece, 0
    elif nest.outer and sizes[0] > nest.piece:
        cut, piece, pieces = 0, nest.piece, -(-sizes[0] // nest.piece)
    return Loops(
        sizes, nest.outer, nest.nodes, nest.stores, nest.length_slot, place, cut, piece, pieces
    )


def _mapped(loops: Loops, change: Callable[[Strides], Strides]) -> Loops:
    """The same, with all strides changed."""
    nodes = tuple(
        replace(node, strides=change(node.strides))
        if isinstance(node, Load | Index | Lookup)
        else node
        for node in loops.nodes
    )
    stores = tuple(replace(store, strides=change(store.strides)) for store in loops.stores)
    return replace(loops, nodes=nodes, stores=stores, place=change(loops.place))


def reordered(loops: Loops, order: Sequence[int]) -> Loops:
    """The same loops in another order, or some of them (the others have size 1)."""
    out = _mapped(loops, lambda strides: tuple(strides[dim] for dim in order))
    return replace(
        out,
        sizes=tuple(loops.sizes[dim] for dim in order),
        outer=sum(dim < loops.outer for dim in order),
        cut=order.index(loops.cut) if loops.cut in order else -1,
    )


def _without_ones(loops: Loops) -> Loops:
    if loops.length_slot is not None:
        return loops
    return reordered(loops, [dim for dim, size in enumerate(loops.sizes) if size != 1])


def merged(loops: Loops) -> Loops:
    """Two neighbours become one where every access goes through them evenly."""
    for dim in range(len(loops.sizes) - 2, -1, -1):
        if dim + 1 not in (loops.outer, loops.cut) and _even(loops, dim):
            loops = _joined(loops, dim)
    return loops


def _even(loops: Loops, dim: int) -> bool:
    size = loops.sizes[dim + 1]
    every = [item.strides for item in strided(loops)] + [loops.place]
    return all(strides[dim] == strides[dim + 1] * size for strides in every)


def _joined(loops: Loops, dim: int) -> Loops:
    inner = loops.sizes[dim + 1]
    out = _mapped(loops, lambda strides: strides[:dim] + strides[dim + 1 :])
    sizes = loops.sizes[:dim] + (loops.sizes[dim] * inner,) + loops.sizes[dim + 2 :]
    return replace(
        out,
        sizes=sizes,
        outer=loops.outer - (dim < loops.outer),
        cut=loops.cut - (loops.cut > dim),
        piece=loops.piece * (inner if loops.cut == dim else 1),
    )


def dependence(loops: Loops) -> list[frozenset[int]]:
    """The dimensions that the value of each node changes along."""
    out: list[frozenset[int]] = []
    for node in loops.nodes:
        own = node.strides if isinstance(node, Load | Index | Lookup) else ()
        dims = {dim for dim, stride in enumerate(own) if stride}
        dims.update(*(out[index] for index in references(node)))
        if isinstance(node, Reduce):
            dims -= set(loops.row)
        out.append(frozenset(dims))
    return out
