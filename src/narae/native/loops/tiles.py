"""Transposes: squares of elements, read along one dimension and stored along another.

A nest that stores along dimension V and loads along T would walk memory with large strides in
one of them. Instead T becomes a row that is gone through `lanes` places at a time: such a square
is read as vectors along T, turned in registers, and goes on as vectors along V.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..emit import I1, Function, Type, Val
from .memory import Point, read
from .nest import Load, Reduce
from .shape import Loops
from .stages import live_nodes

TILE_PRICE = 8.0  # of a vector that is turned in registers


def tile_dims(loops: Loops, vector: int) -> list[int]:
    """Dimensions along which loads are contiguous that are scattered along the vectors."""
    if loops.length_slot is not None or any(isinstance(x, Reduce) for x in loops.nodes):
        return []
    if loops.row or any(store.strides[vector] != 1 for store in loops.stores):
        return []
    dims = {
        dim
        for load in _loads(loops)
        if load.strides[vector] not in (0, 1)
        for dim, stride in enumerate(load.strides)
        if stride == 1 and loops.sizes[dim] >= 4
    }
    return sorted(dims)


def _loads(loops: Loops) -> list[Load]:
    nodes = [loops.nodes[index] for index in sorted(live_nodes(loops))]
    return [node for node in nodes if isinstance(node, Load)]


def is_tiled(load: Load, vector: int, tile: int) -> bool:
    """Whether a load is read along the other dimension and turned."""
    return tile >= 0 and load.strides[tile] == 1 and load.strides[vector] not in (0, 1)


def as_row(loops: Loops, vector: int, lanes: int) -> Loops:
    """Make the last outer dimension a row; pieces are cut elsewhere if it was cut.

    The number of pieces stays, which index is in which piece may change.
    """
    loops = replace(loops, outer=loops.outer - 1)
    if loops.cut != loops.outer:
        return loops
    others = [dim for dim in range(loops.outer) if dim != vector]
    cut = max(others, key=lambda dim: loops.sizes[dim], default=vector)
    if loops.sizes[cut] < loops.pieces:
        cut = max(cut, vector, key=lambda dim: loops.sizes[dim])
    piece = -(-loops.sizes[cut] // loops.pieces)
    if cut == vector:
        piece = -(-piece // lanes) * lanes
    return replace(loops, cut=cut, piece=piece, in_order=False)


def read_tile(
    f: Function,
    starts: Sequence[Val],
    kind: Type,
    lanes: int,
    count: int,
) -> list[Val]:
    """Vectors across, from the addresses of vectors along.

    Before: starts[j] is the address of row j of a square. After: value k has element k of every
    row.

    Args:
        starts: at most `lanes` addresses
        count: how many elements of each row there are
    """
    mask = f.vector([lane < count for lane in range(lanes)], I1) if count < lanes else None
    point = Point((), 0, mask, count if count < lanes else None)
    rows = [read(f, start, kind, 1, point, lanes) for start in starts]
    rows += [Val("zeroinitializer", kind.of(lanes))] * (lanes - len(rows))
    return turned(f, rows)[:count]


def turned(f: Function, rows: list[Val]) -> list[Val]:
    """A square of as many vectors as they have lanes, rows and columns exchanged."""
    lanes, size = len(rows), 1
    while size < lanes:
        first = [lane if not lane & size else lane - size + lanes for lane in range(lanes)]
        second = [lane + size if not lane & size else lane + lanes for lane in range(lanes)]
        out = list(rows)
        for k in range(lanes):
            if not k & size:
                out[k] = f.shuffle(rows[k], rows[k + size], first)
                out[k + size] = f.shuffle(rows[k], rows[k + size], second)
        rows, size = out, 2 * size
    return rows
