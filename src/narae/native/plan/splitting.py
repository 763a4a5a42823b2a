"""Rewriting nests: fewer loops where strides allow it, and long reductions cut in two.

A sum over a million rows has no independent dimension, so nothing could share the work. Cut in two,
parts of the rows are summed side by side, and then the partial sums are:

before: y[c] = sum over n of x[n, c]
after:  t[p, c] = sum over n in part p of x[n, c];  y[c] = sum over p of t[p, c]

The number of parts depends on sizes alone, so the bits do not depend on the number of threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from narae.base.dtypes import NumpyDType

from ..loops.nest import Apply, Index, Load, Lookup, Nest, Random, Reduce, Store, Strides

Strided = (Load, Index, Lookup)


def coalesced(nest: Nest) -> Nest:
    """Neighbouring loops as one, among the outer ones and within the row, where all strides fit."""
    groups: list[list[int]] = []
    for place in range(len(nest.sizes)):
        if nest.sizes[place] == 1:
            continue
        if groups and _fits(nest, groups[-1][-1], place):
            groups[-1].append(place)
        else:
            groups.append([place])
    kept = [group[-1] for group in groups]
    sizes = [_product(nest.sizes[place] for place in group) for group in groups]
    outer = sum(1 for place in kept if place < nest.outer)

    def pick(strides: Strides) -> Strides:
        return tuple(strides[place] for place in kept)

    return replace(_restrided(nest, pick), sizes=tuple(sizes), outer=outer)


def _fits(nest: Nest, one: int, other: int) -> bool:
    if (one < nest.outer) != (other < nest.outer):
        return False
    size = nest.sizes[other]
    return all(s[one] == s[other] * size for s in _all_strides(nest))


def _all_strides(nest: Nest) -> list[Strides]:
    return [x.strides for x in (*nest.nodes, *nest.stores) if isinstance(x, (*Strided, Store))]


def _restrided(nest: Nest, change: Callable[[Strides], Strides]) -> Nest:
    def apply(item: Any) -> Any:
        if isinstance(item, (*Strided, Store)):
            return replace(item, strides=change(item.strides))
        return item

    return replace(nest, nodes=tuple(map(apply, nest.nodes)), stores=tuple(map(apply, nest.stores)))


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


# --- two nests of one -------------------------------------------------------------------------


def can_split(nest: Nest) -> bool:
    """Whether its reductions can be done in parts: none of them waits for another."""
    reduced = [n for n, node in enumerate(nest.nodes) if isinstance(node, Reduce)]
    if not reduced or any(nest.nodes[n].operation.startswith("arg") for n in reduced):  # type: ignore[union-attr]
        return False
    after = _after_reductions(nest)
    full = _full_nodes(nest)
    return not any(n in after and n in full for n in range(len(nest.nodes)))


def split(
    nest: Nest, dim: int, parts: int, slot_for: Callable[[NumpyDType, int], int]
) -> tuple[Nest, Nest]:
    """Reduce `parts` equal parts of a row dimension side by side, then their results.

    `slot_for` gives the slot of a new buffer, in both nests, of that many elements.
    """
    after = _after_reductions(nest)
    kept = nest.sizes[: nest.outer]
    count = _product(kept)
    dense = _dense(kept)
    first_stores = [store for store in nest.stores if store.node not in after]
    second: list[Any] = []
    numbers: dict[int, int] = {}

    def second_number(old: int) -> int:
        if old not in numbers:
            numbers[old] = _copy_node(old)
        return numbers[old]

    def _copy_node(old: int) -> int:
        node = nest.nodes[old]
        if isinstance(node, Reduce):
            slot = slot_for(node.dtype, parts * count)
            inner = (0,) * (len(nest.sizes) - nest.outer + 1)
            first_stores.append(Store(slot, old, node.dtype, (count, *dense, *inner[1:])))
            second.append(Load(slot, node.dtype, (*dense, count)))
            second.append(Reduce(node.operation, len(second) - 1, node.dtype))
            return len(second) - 1
        if isinstance(node, Apply):
            arguments = tuple(second_number(x) for x in node.arguments)
            second.append(replace(node, arguments=arguments))
        elif isinstance(node, Lookup):
            indices = tuple((second_number(n), s, size) for n, s, size in node.indices)
            second.append(replace(node, strides=_cut(node.strides), indices=indices))
        elif isinstance(node, Random):
            second.append(replace(node, counter=second_number(node.counter)))
        elif isinstance(node, (Load, Index)):
            second.append(replace(node, strides=_cut(node.strides)))
        else:
            second.append(node)
        return len(second) - 1

    def _cut(strides: Strides) -> Strides:
        return (*strides[: nest.outer], 0)

    second_stores = [
        replace(store, node=second_number(store.node), strides=_cut(store.strides))
        for store in nest.stores
        if store.node in after
    ]
    first = _with_parts(nest, dim, parts, first_stores)
    last = Nest((*kept, parts), nest.outer, tuple(second), tuple(second_stores), 1)
    return first, last


def _with_parts(nest: Nest, dim: int, parts: int, stores: Sequence[Store]) -> Nest:
    """The first nest: parts are a new outermost dimension. New stores have its stride already."""
    size = nest.sizes[dim] // parts

    def extend(strides: Strides) -> Strides:
        if len(strides) > len(nest.sizes):
            return strides
        return (strides[dim] * size, *strides)

    sizes = (parts, *nest.sizes[:dim], size, *nest.sizes[dim + 1 :])
    wider = replace(nest, sizes=sizes, outer=nest.outer + 1, stores=tuple(stores))
    return _restrided(without_dead_nodes(wider), extend)


def _dense(sizes: Sequence[int]) -> list[int]:
    strides, stride = [], 1
    for size in reversed(sizes):
        strides.append(stride)
        stride *= size
    return strides[::-1]


def arguments_of(node: Any) -> tuple[int, ...]:
    """The nodes that a node reads."""
    if isinstance(node, Apply):
        return node.arguments
    if isinstance(node, Reduce):
        return (node.argument,)
    if isinstance(node, Lookup):
        return tuple(number for number, _, _ in node.indices)
    return (node.counter,) if isinstance(node, Random) else ()


def _after_reductions(nest: Nest) -> set[int]:
    """Reductions, and nodes that depend on one."""
    found: set[int] = set()
    for number, node in enumerate(nest.nodes):
        if isinstance(node, Reduce) or any(n in found for n in arguments_of(node)):
            found.add(number)
    return found


def _full_nodes(nest: Nest) -> set[int]:
    """Nodes with a value for every element of a row."""
    found: set[int] = set()
    for number, node in enumerate(nest.nodes):
        if isinstance(node, Reduce):
            continue
        strides = node.strides[nest.outer :] if isinstance(node, Strided) else ()
        if any(strides) or any(n in found for n in arguments_of(node)):
            found.add(number)
    return found


def without_dead_nodes(nest: Nest) -> Nest:
    """Only the nodes that the stores need, renumbered."""
    needed: set[int] = set()
    waiting = [store.node for store in nest.stores]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += arguments_of(nest.nodes[number])
    numbers = {old: new for new, old in enumerate(sorted(needed))}
    nodes = tuple(_renumbered(nest.nodes[old], numbers) for old in sorted(needed))
    stores = tuple(replace(store, node=numbers[store.node]) for store in nest.stores)
    return replace(nest, nodes=nodes, stores=stores)


def _renumbered(node: Any, numbers: dict[int, int]) -> Any:
    if isinstance(node, Apply):
        return replace(node, arguments=tuple(numbers[n] for n in node.arguments))
    if isinstance(node, Reduce):
        return replace(node, argument=numbers[node.argument])
    if isinstance(node, Lookup):
        indices = tuple((numbers[n], stride, size) for n, stride, size in node.indices)
        return replace(node, indices=indices)
    if isinstance(node, Random):
        return replace(node, counter=numbers[node.counter])
    return node
