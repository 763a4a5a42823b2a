"""Nodes that have no machine code run on NumPy, on arrays that share the program's buffers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae.ir import bind
from narae.ir.program import Node

from .buffers import Access, Buffer, Ref, Step, Task
from .layout import common_loops

Array = np.ndarray[Any, Any]
# From a buffer to its memory, as a one-dimensional array.
Memory = Callable[[Buffer], Array]


def host_task(node: Node, operands: Sequence[Any], results: Sequence[Ref]) -> Task:
    """Apply a node's operation to arrays when the program runs."""
    reads = [Access(x.buffer, False, False) for x in operands if isinstance(x, Ref)]
    writes = [Access(x.buffer, True, False) for x in results]
    shapes = [value.shape for value in node.outputs]

    def run(memory: Memory) -> None:
        arrays = [_array(x, memory) if isinstance(x, Ref) else x for x in operands]
        found = bind(node.operation, *arrays, **node.attrs)
        items = (found,) if node.operation.outputs == 1 else found
        for ref, item, shape in zip(results, items, shapes, strict=True):
            if 0 not in shape:
                np.copyto(_array(ref, memory), item)

    return Task(_no_steps, 1, (*reads, *writes), host=run, about=f"NumPy: {node.operation.name}")


def _no_steps(_: int) -> list[Step]:
    return []


def _array(ref: Ref, memory: Memory) -> Array:
    """The value as an array: a view of its buffer where strides can say it, else a copy."""
    flat, layout = memory(ref.buffer), ref.layout
    loops = common_loops([layout])
    assert loops is not None
    size = flat.itemsize
    strides = [size * stride for stride in loops.strides[0]]
    start = flat[layout.offset :] if layout.offset < flat.size else flat
    view = np.lib.stride_tricks.as_strided(start, loops.sizes, strides)
    if loops.sizes == layout.shape:
        return view
    return view.reshape(layout.shape)
