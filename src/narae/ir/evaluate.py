"""Run a program node by node on any kind of value: arrays compute it, values record it again."""

from collections.abc import Sequence
from typing import Any

from .dispatch import bind
from .program import Program, Value


def evaluate(program: Program, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of a program for given inputs; values are dropped after their last use."""
    known: dict[int, Any] = {}
    for parameter, argument in zip(program.inputs, arguments, strict=True):
        known[id(parameter)] = argument
    dying = program.last_uses()
    for position, node in enumerate(program.nodes):
        operands = [known[id(x)] if isinstance(x, Value) else x for x in node.operands]
        result = bind(node.operation, *operands, **node.attrs)
        results = (result,) if node.operation.outputs == 1 else result
        for value, computed in zip(node.outputs, results, strict=True):
            known[id(value)] = computed
        for value in dying.get(position, ()):
            known.pop(id(value), None)
    return tuple(known[id(x)] if isinstance(x, Value) else x for x in program.outputs)
