"""Rewriting programs: rebuild them node by node, or drop what nothing reads."""

from collections.abc import Callable, Sequence
from typing import Any

from .builder import trace
from .dispatch import bind
from .program import Node, Program, Value

Rule = Callable[[Node, Sequence[Any]], Any]


def rebuild(program: Program, rule: Rule) -> Program:
    """A new program in which `rule(node, operands)` stands for each node.

    The rule returns what replaces the node's result, usually by calling primitives, or
    NotImplemented to keep the node as it is.
    """

    def body(*arguments: Any) -> tuple[Any, ...]:
        known: dict[int, Any] = dict(zip(map(id, program.inputs), arguments, strict=True))
        for node in program.nodes:
            operands = [known[id(x)] if isinstance(x, Value) else x for x in node.operands]
            result = rule(node, operands)
            if result is NotImplemented:
                result = bind(node.operation, *operands, **node.attrs)
            results = (result,) if node.operation.outputs == 1 else result
            known.update(zip(map(id, node.outputs), results, strict=True))
        return tuple(known[id(x)] if isinstance(x, Value) else x for x in program.outputs)

    return trace(body, program.inputs, program.name)


def dead_code(program: Program) -> Program:
    """Drop nodes whose results nothing reads.

    before: a = exp(x); b = sin(x); return b
    after:  b = sin(x); return b
    """
    needed = {id(value) for value in program.outputs if isinstance(value, Value)}
    kept: list[Node] = []
    for node in reversed(program.nodes):
        if any(id(value) in needed for value in node.outputs):
            kept.append(node)
            needed.update(id(x) for x in node.operands if isinstance(x, Value))
    return Program(program.inputs, kept[::-1], program.outputs, program.name)
