"""The builder: records operations on `Value`s as the nodes of a new program."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from narae.base.dtypes import NumpyDType
from narae.base.errors import TraceError
from narae.base.places import user_line
from narae.base.shapes import Shape

from .dispatch import register_interpreter
from .program import Node, Operand, Program, Value
from .protocol import Operation


class Builder:
    """A program in the making."""

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self._names = 0
        self.closed = False

    def input(self, shape: Shape, dtype: NumpyDType, name: str = "") -> Value:
        """Add an input."""
        value = Value(tuple(shape), dtype, name or self._new_name(), self)
        self.inputs.append(value)
        return value

    def add(self, operation: Operation, operands: Sequence[Operand], attrs: dict[str, Any]) -> Any:
        """Add a node; its result is a `Value`, or a tuple of them."""
        for operand in operands:
            if isinstance(operand, Value) and operand.builder is not self:
                raise TraceError(_escape_message(operand))
        metas = operation.infer(operands, attrs)
        outputs = tuple(Value(shape, dtype, self._new_name(), self) for shape, dtype in metas)
        node = Node(operation, operands, attrs, outputs, user_line())
        for index, value in enumerate(outputs):
            value.node, value.index = node, index
        self.nodes.append(node)
        return outputs[0] if operation.outputs == 1 else outputs

    def finish(self, outputs: Sequence[Operand]) -> Program:
        """The program that computes `outputs`."""
        self.closed = True
        return Program(self.inputs, self.nodes, outputs, self.name)

    def _new_name(self) -> str:
        self._names += 1
        return f"v{self._names - 1}"


def _escape_message(value: Value) -> str:
    made = value.node.line if value.node is not None else "the program's inputs"
    return (
        f"[trace] at {user_line()} a value of another trace is used: {value!r}, made at {made}; "
        "a traced value lives only until its step ends. Fix: return it from the step"
    )


def _record(operation: Operation, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    builder = next(x.builder for x in reversed(operands) if isinstance(x, Value))
    active = current_builder()
    if active is not None:
        builder = active
    if builder.closed:
        value = next(x for x in operands if isinstance(x, Value))
        raise TraceError(_escape_message(value))
    return builder.add(operation, operands, attrs)


register_interpreter(Value, 1, _record)


class _Stack(threading.local):
    def __init__(self) -> None:
        self.builders: list[Builder] = []


_stack = _Stack()


def current_builder() -> Builder | None:
    """The builder that operations without operands are recorded in, if a trace is going on."""
    return _stack.builders[-1] if _stack.builders else None


@contextmanager
def building(builder: Builder) -> Iterator[Builder]:
    """Make `builder` the current one."""
    _stack.builders.append(builder)
    try:
        yield builder
    finally:
        _stack.builders.pop()


def trace(function: Callable[..., Any], metas: Sequence[Any], name: str = "program") -> Program:
    """Run a function of values once on symbolic inputs and keep what it did.

    Args:
        function: takes as many values as `metas`; returns a value or a tuple of values.
        metas: objects with `shape` and `dtype` (arrays, values) or (shape, dtype) pairs.
        name: printed in listings.
    """
    builder = Builder(name)
    with building(builder):
        inputs = [builder.input(*_meta(meta)) for meta in metas]
        result = function(*inputs)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return builder.finish(outputs)


def _meta(meta: Any) -> tuple[Shape, NumpyDType]:
    if isinstance(meta, tuple):
        return tuple(meta[0]), np.dtype(meta[1])
    return tuple(meta.shape), meta.dtype
