"""Whether two programs are the same, so that one does not have to be compiled again."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.ir import Node, Program, Value


def form(program: Program) -> Any:
    """What a program computes, as something to compare; names of values do not matter.

    >>> from narae import ir, primitives
    >>> first = ir.trace(lambda x: primitives.mul(x, 2.0), [((3,), "float32")])
    >>> second = ir.trace(lambda y: primitives.mul(y, 2.0), [((3,), "float32")])
    >>> third = ir.trace(lambda y: primitives.mul(y, 2), [((3,), "float32")])
    >>> form(first) == form(second), form(first) == form(third)
    (True, False)
    """
    numbers: dict[int, int] = {}
    inputs = tuple(_define(value, numbers) for value in program.inputs)
    nodes = tuple(_node(node, numbers) for node in program.nodes)
    return inputs, nodes, _items(program.outputs, numbers)


def _define(value: Value, numbers: dict[int, int]) -> Any:
    numbers[id(value)] = len(numbers)
    return value.shape, value.dtype


def _node(node: Node, numbers: dict[int, int]) -> Any:
    operands = _items(node.operands, numbers)
    attrs = tuple((key, _item(value, numbers)) for key, value in node.attrs.items())
    outputs = tuple(_define(value, numbers) for value in node.outputs)
    return _Same(node.operation), operands, attrs, outputs


def _items(items: Sequence[Any], numbers: dict[int, int]) -> Any:
    return tuple(_item(item, numbers) for item in items)


def _item(item: Any, numbers: dict[int, int]) -> Any:
    if isinstance(item, Value):
        return "value", numbers[id(item)]
    if isinstance(item, (np.ndarray, np.generic)):
        contents = hashlib.sha256(np.ascontiguousarray(item).tobytes()).digest()
        return type(item), item.dtype, item.shape, contents
    if isinstance(item, (bool, int, float, str, type(None))):
        return type(item), repr(item)  # -0.0 is not 0.0, and nan is nan
    if isinstance(item, np.dtype):
        return item
    if isinstance(item, Program):
        return form(item)
    if isinstance(item, (tuple, list)):
        return type(item), _items(item, numbers)
    if isinstance(item, dict):
        return tuple((key, _item(value, numbers)) for key, value in item.items())
    return _Same(item)


class _Same:
    """Something that is only equal to itself, kept alive so that its address is not used again."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.item is self.item

    __hash__ = None  # type: ignore[assignment]
