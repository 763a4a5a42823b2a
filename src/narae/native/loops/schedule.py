"""Choices for a nest: which dimension goes through vectors, and how much is done at a time."""

from dataclasses import dataclass

from ..kernel import Machine
from .nest import Load, Lookup, Number, Reduce, Store
from .shape import Loops, dependence, merged, reordered, strided
from .stages import Stages, dtype_of, live_nodes, node_cost, staged
from .tiles import TILE_PRICE, as_row, is_tiled, tile_dims
from .types import computing_bytes

HELD_POINTS = 16  # vectors of a row that may stay in registers
HELD_WORK = 500  # simple instructions that are written one after the other


@dataclass(frozen=True)
class Schedule:
    """How a nest runs.

    Attributes:
        vector: the dimension that goes through vectors, the last of the outer ones or of the row;
            -1: none.
        lanes: elements in a vector; 0: scalars.
        vectors: vectors in work at a time.
        rows: places of the row in work at a time, where lanes are rows.
        held: a whole row is in registers at once.
        tile: the dimension that squares are read along, -1: none.
    """

    vector: int
    lanes: int
    vectors: int
    rows: int
    held: bool
    tile: int = -1


def scheduled(loops: Loops, machine: Machine) -> tuple[Loops, Schedule, Stages]:
    """Order the loops and choose."""
    vector, tile = _best_vector(loops, machine)
    loops, vector = _arranged(loops, vector, tile)
    lanes = _lanes(loops, machine, vector)
    if tile >= 0:
        return _tiled(as_row(loops, vector, lanes), vector, lanes)
    in_row = vector >= loops.outer
    work = _work(loops)
    held, vectors = _held(loops, machine, vector, lanes, work)
    rows = 1
    if not held:
        vectors = _at_most(loops, vector, lanes, 4 if work <= 24 else 2)
        if not in_row:
            rows = min(max(1, 4 // vectors), loops.sizes[-1] or 1)
    schedule = Schedule(vector, lanes, vectors, rows, held)
    _, elements = scratch_layout(loops, schedule)
    return loops, schedule, staged(loops, held, elements)


def _tiled(loops: Loops, vector: int, lanes: int) -> tuple[Loops, Schedule, Stages]:
    tile = len(loops.sizes) - 1
    schedule = Schedule(vector, lanes, 1, lanes, held=False, tile=tile)
    return loops, schedule, staged(loops, held=False, row_elements=0)


def scratch_layout(loops: Loops, schedule: Schedule) -> tuple[list[int], int]:
    """Strides of a kept value in scratch memory, and how many elements there are of it."""
    step = schedule.vectors * max(1, schedule.lanes)
    strides, elements = [0] * len(loops.sizes), 1
    if 0 <= schedule.vector < loops.outer:
        strides[schedule.vector], elements = 1, step
    elif loops.length_slot is not None:
        return strides, 1 << 62
    for dim in reversed(loops.row):
        strides[dim] = elements
        size = loops.sizes[dim]
        elements *= -(-size // step) * step if dim == schedule.vector else size
    return strides, elements


def _work(loops: Loops) -> int:
    """Instructions for one element, about."""
    row, depends = frozenset(loops.row), dependence(loops)
    changing = [index for index in live_nodes(loops) if depends[index] & row or not row]
    return sum(node_cost(loops.nodes[index]) for index in changing if depends[index])


def _at_most(loops: Loops, vector: int, lanes: int, count: int) -> int:
    """Not more vectors than there are."""
    if vector < 0:
        return 1
    if loops.length_slot is not None:
        return count
    return max(1, min(count, -(-loops.sizes[vector] // max(1, lanes))))


def _held(loops: Loops, machine: Machine, vector: int, lanes: int, work: int) -> tuple[bool, int]:
    """Whether a row stays in registers, and then how many vectors are in work."""
    work = max(1, work)
    places = loops.row_size
    if loops.length_slot is not None and loops.outer == 0:
        return False, 1
    if vector >= loops.outer:
        size = loops.sizes[vector]
        places = -(-size // lanes) * (places // size if size else 0)
    most = HELD_POINTS * machine.registers // 32
    if places > most or (loops.row and places * work > HELD_WORK):
        return False, 1
    if vector >= loops.outer:
        return True, max(1, -(-loops.sizes[vector] // lanes))
    wanted = 4 if work * max(1, places) <= 32 else 2 if work * max(1, places) <= 100 else 1
    return True, _at_most(loops, vector, lanes, wanted)


# --- the vector dimension -------------------------------------------------------------------


def element_bytes(loops: Loops) -> int:
    """The width that decides how many elements are in a vector: 4 before 8 before 2 before 1."""
    nodes = [loops.nodes[index] for index in live_nodes(loops)]
    widths = {computing_bytes(dtype_of(x)) for x in nodes if not isinstance(x, Number)}
    widths |= {computing_bytes(store.dtype) for store in loops.stores}
    return next((width for width in (4, 8, 2) if width in widths), 1)


def _lanes(loops: Loops, machine: Machine, vector: int) -> int:
    """Lanes of a vector; fewer for a short dimension."""
    if vector < 0:
        return 0
    full = machine.lanes(element_bytes(loops))
    if loops.length_slot is not None:
        return full
    size = max(2, loops.sizes[vector])
    return min(full, 1 << (size - 1).bit_length())


def _best_vector(loops: Loops, machine: Machine) -> tuple[int, int]:
    """The dimension that goes through vectors, and the one that squares are read along."""
    if loops.length_slot is not None:
        return 0, -1
    candidates = list(range(len(loops.sizes)))
    if _by_place(loops):  # the place in the row must grow along the vectors
        candidates = [dim for dim in candidates if dim < loops.outer or dim == candidates[-1]]
    pairs = [(dim, tile) for dim in candidates for tile in [-1, *tile_dims(loops, dim)]]
    return min(pairs, key=lambda pair: _price(loops, machine, *pair), default=(-1, -1))


def _by_place(loops: Loops) -> bool:
    return any(isinstance(x, Reduce) and x.operation.startswith("arg") for x in loops.nodes)


def _price(loops: Loops, machine: Machine, dim: int, tile: int) -> float:
    """Instructions for one element, about, with a dimension in vectors."""
    lanes, size = _lanes(loops, machine, dim), max(1, loops.sizes[dim])
    size = min(size, loops.piece) if dim == loops.cut else size
    used = size / (-(-size // lanes) * lanes)
    depends, live = dependence(loops), live_nodes(loops)
    price = 0.0
    for index in live:
        node = loops.nodes[index]
        if isinstance(node, Load):
            turned = is_tiled(node, dim, tile)
            price += TILE_PRICE if turned else _access_price(node.strides[dim], lanes)
        elif isinstance(node, Lookup):
            looked_up = any(dim in depends[x] for x, _, _ in node.indices)
            price += lanes if looked_up else 2 + _access_price(node.strides[dim], lanes)
        elif isinstance(node, Reduce):
            price += 6.0 * lanes / loops.row_size if dim >= loops.outer and loops.row_size else 1
        elif dim in depends[index]:
            price += 0.5 * node_cost(node)
    price += sum(_access_price(store.strides[dim], lanes) for store in loops.stores)
    return price / (used * lanes)


def _access_price(stride: int, lanes: int) -> float:
    if stride == 0:
        return 0.1
    return 1.0 if stride == 1 else 1.5 * lanes


# --- the order of loops ---------------------------------------------------------------------


def _arranged(loops: Loops, vector: int, tile: int) -> tuple[Loops, int]:
    """The vector dimension last in its group, the others by falling strides; the tile after it."""
    if vector < 0:
        return loops, vector
    outer = [dim for dim in _by_strides(loops, range(loops.outer)) if dim != tile]
    row = list(loops.row) if _by_place(loops) else _by_strides(loops, loops.row)
    order = [dim for dim in outer if dim != vector] + [vector] * (vector < loops.outer)
    if tile >= 0:
        return reordered(loops, [*order, tile]), len(order) - 1
    order += [dim for dim in row if dim != vector] + [vector] * (vector >= loops.outer)
    loops = merged(reordered(loops, order))
    return loops, (loops.outer if vector in outer else len(loops.sizes)) - 1


def _by_strides(loops: Loops, dims: range) -> list[int]:
    def reach(dim: int) -> int:
        return sum(_bytes(item) * abs(item.strides[dim]) for item in strided(loops))

    return sorted(dims, key=reach, reverse=True)


def _bytes(item: object) -> int:
    return item.dtype.itemsize if isinstance(item, Load | Store) else 0
