"""Stages of a row: what must wait for a reduction, and what is kept for later instead of redone.

The level of a node is how many reductions in a chain it waits for. A row runs once for each
level: in softmax, `amax` is taken in pass 0, `exp` and its sum in pass 1, the quotient is stored
in pass 2. What a later pass needs again is computed again if it is cheap, and otherwise kept in
scratch memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

from narae.base.dtypes import NumpyDType

from .nest import Apply, Lookup, NestNode, Random, Reduce
from .shape import Loops, dependence, references
from .types import UINT32, computing_bytes
from .values import cost

CHEAP = 6  # simple instructions that are rather done twice than written and read
SCRATCH_BYTES = 65536


def dtype_of(node: NestNode) -> NumpyDType:
    """The dtype of a node's value."""
    return UINT32 if isinstance(node, Random) else node.dtype


@dataclass(frozen=True)
class Stages:
    """What is computed in which pass over a row.

    Attributes:
        depends: the dimensions that each node changes along.
        live: the nodes that a store needs.
        levels: of each node.
        passes: how many passes over the row there are (at least one).
        element: whether a node has a value for every element of a row.
        reduces: for each pass, the reductions made in it.
        stores: for each pass, the stores made in it for every element.
        needed: for each pass, the nodes of elements computed in it, in order.
        restored: for each pass, those of them that are read from scratch memory instead.
        kept: the nodes of elements written to scratch memory when they are computed first.
    """

    depends: list[frozenset[int]]
    live: frozenset[int]
    levels: list[int]
    passes: int
    element: list[bool]
    reduces: list[list[int]]
    stores: list[list[int]]
    needed: list[list[int]]
    restored: list[frozenset[int]]
    kept: frozenset[int]


def node_cost(node: NestNode) -> int:
    """About how many simple instructions a node takes by itself."""
    if isinstance(node, Apply):
        return cost(node.operation, node.dtype)
    return 12 if isinstance(node, Random | Lookup) else 1


def live_nodes(loops: Loops) -> frozenset[int]:
    """The nodes that a store needs, directly or not."""
    live = {store.node for store in loops.stores}
    for index in range(len(loops.nodes) - 1, -1, -1):
        if index in live:
            live.update(references(loops.nodes[index]))
    return frozenset(live)


def _levels(loops: Loops) -> list[int]:
    levels: list[int] = []
    for node in loops.nodes:
        before = max((levels[index] for index in references(node)), default=0)
        levels.append(before + isinstance(node, Reduce))
    return levels


def staged(loops: Loops, held: bool, row_elements: int) -> Stages:
    """Divide a nest into passes.

    Args:
        held: whether a whole row stays in registers, so that nothing is ever read twice
        row_elements: how many elements are in work between two reductions
    """
    depends, live, levels = dependence(loops), live_nodes(loops), _levels(loops)
    row = frozenset(loops.row)
    element = [bool(dims & row) for dims in depends]
    reduces = [
        index
        for index, node in enumerate(loops.nodes)
        if isinstance(node, Reduce) and index in live
    ]
    ends = [k for k, store in enumerate(loops.stores) if any(store.strides[loops.outer :])]
    last = max(
        [levels[index] - 1 for index in reduces] + [levels[loops.stores[k].node] for k in ends],
        default=0,
    )
    by_pass = [[index for index in reduces if levels[index] == k + 1] for k in range(last + 1)]
    # A store may overwrite what a later pass would read: all of them come last.
    stores = [ends if k == last else [] for k in range(last + 1)]
    roots = [
        [loops.nodes[index].argument for index in by_pass[k]]  # type: ignore[union-attr]
        + [loops.stores[index].node for index in stores[k]]
        for k in range(last + 1)
    ]
    plan = _Plan(loops, levels, element, roots)
    kept = frozenset[int]() if held else plan.kept(row_elements)
    needed, restored = plan.needed(kept)
    return Stages(depends, live, levels, last + 1, element, by_pass, stores, needed, restored, kept)


@dataclass
class _Plan:
    loops: Loops
    levels: list[int]
    element: list[bool]
    roots: list[list[int]]

    def _closure(self, roots: list[int], stop: Callable[[int], bool]) -> set[int]:
        found: set[int] = set()
        waiting = [index for index in roots if self.element[index]]
        while waiting:
            index = waiting.pop()
            if index in found:
                continue
            found.add(index)
            if not stop(index):
                waiting += [x for x in references(self.loops.nodes[index]) if self.element[x]]
        return found

    def needed(self, kept: frozenset[int]) -> tuple[list[list[int]], list[frozenset[int]]]:
        """Nodes of every pass, and those of them that are restored."""
        needed, restored = [], []
        done: set[int] = set()
        for roots in self.roots:
            ready = kept & done
            found = self._closure(roots, lambda index, ready=ready: index in ready)  # type: ignore[misc]
            needed.append(sorted(found))
            restored.append(frozenset(found & ready))
            done |= found
        return needed, restored

    def kept(self, row_elements: int) -> frozenset[int]:
        """Dear nodes that a later pass needs; none if they do not fit."""
        dear = self._dear()
        kept: set[int] = set()
        done: set[int] = set()
        for roots in self.roots:
            ready = done & dear
            found = self._closure(roots, lambda index, ready=ready: index in ready)  # type: ignore[misc]
            kept |= found & ready
            done |= found
        nodes = self.loops.nodes
        size = sum(computing_bytes(dtype_of(nodes[index])) for index in kept) * row_elements
        return frozenset(kept) if size <= SCRATCH_BYTES else frozenset()

    def _dear(self) -> frozenset[int]:
        total: list[int] = []
        for index, node in enumerate(self.loops.nodes):
            inner = sum(total[x] for x in references(node)) if self.element[index] else 0
            total.append(node_cost(node) + inner if self.element[index] else 0)
        return frozenset(index for index, x in enumerate(total) if x > CHEAP)
