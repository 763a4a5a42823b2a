"""Differentiate programs: a program in, the program of its gradients out."""

from collections.abc import Callable, Sequence
from typing import Any

from narae.base.dtypes import is_floating
from narae.ir import Node, Program, Value, bind, trace
from narae.ir.rewrite import dead_code
from narae.primitives import add
from narae.primitives.generators import zeros
from narae.primitives.record import shape_of

from .rules import collect, operand_grads, unbroadcast


def vjp_program(program: Program, needs: Sequence[bool]) -> Program:
    """The program (inputs…, gradients of outputs…) -> gradients of the needed inputs.

    before: f(x, y): v = mul(x, y); return v                  needs (True, False)
    after:  f_vjp(x, y, g): v = mul(x, y); w = mul(g, y); return w
    """

    def run(*values: Any) -> tuple[Any, ...]:
        inputs = values[: len(program.inputs)]
        tape = _Tape(program, inputs, needs)
        return tape.backward(values[len(program.inputs) :])

    metas = [*program.inputs, *program.outputs]
    return dead_code(trace(run, metas, program.name + "_vjp"))


class _Tape:
    """The forward values of a program, and its backward pass."""

    def __init__(self, program: Program, inputs: Sequence[Any], needs: Sequence[bool]) -> None:
        self.program, self.needs = program, needs
        self.known = dict(zip(map(id, program.inputs), inputs, strict=True))
        self.active = {id(value) for value, need in zip(program.inputs, needs, strict=True) if need}
        for node in program.nodes:
            self._forward(node)

    def _forward(self, node: Node) -> None:
        result = bind(node.operation, *self._values(node.operands), **node.attrs)
        results = (result,) if node.operation.outputs == 1 else result
        self.known.update(zip(map(id, node.outputs), results, strict=True))
        operation: Any = node.operation
        if operation.differentiable and any(self._is_active(x) for x in node.operands):
            self.active.update(id(y) for y in node.outputs if is_floating(y.dtype))

    def outputs(self) -> list[Any]:
        """The program's own outputs."""
        return self._values(self.program.outputs)

    def _values(self, operands: Sequence[Any]) -> list[Any]:
        return [self.known[id(x)] if isinstance(x, Value) else x for x in operands]

    def _is_active(self, operand: Any) -> bool:
        return id(operand) in self.active

    def backward(self, grad_outputs: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients of the needed inputs."""
        grads: dict[int, Any] = {}
        for value, grad in zip(self.program.outputs, grad_outputs, strict=True):
            self._send(grads, value, grad)
        for node in reversed(self.program.nodes):
            self._backward_node(node, grads)
        return tuple(
            grads[id(value)] if id(value) in grads else zeros(value.shape, value.dtype)
            for value, needed in zip(self.program.inputs, self.needs, strict=True)
            if needed
        )

    def _backward_node(self, node: Node, grads: dict[int, Any]) -> None:
        received = [grads.pop(id(value), None) for value in node.outputs]
        if all(grad is None for grad in received):
            return
        operands = self._values(node.operands)
        saved = collect(node.operation, operands, self._values(node.outputs), node.attrs)
        needs = [self._is_active(x) for x in node.operands]
        found = operand_grads(node.operation, needs, received, saved, node.attrs)
        for operand, grad in zip(node.operands, found, strict=True):
            if grad is not None:
                self._send(grads, operand, unbroadcast(node.operation, grad, shape_of(operand)))

    def _send(self, grads: dict[int, Any], operand: Any, grad: Any) -> None:
        if not self._is_active(operand):
            return
        known = grads.get(id(operand))
        grads[id(operand)] = grad if known is None else add(known, grad)


def vjp_split(
    program: Program, needs: Sequence[bool], again: Callable[[Node], bool] | None = None
) -> tuple[Program, Program]:
    """A forward program that also returns what backward reads, and the backward program.

    before: f(x): v = exp(x); return v
    after:  forward(x): v = exp(x); return v, v
            backward(v, g): w = mul(g, v); return w

    Args:
        again: the nodes that backward runs once more, sooner than being handed their results.

    Returns:
        forward: inputs -> outputs…, residuals…
        backward: residuals…, gradients of outputs… -> gradients of the needed inputs
    """
    count = len(program.inputs)

    def run(*values: Any) -> tuple[Any, ...]:
        tape = _Tape(program, values[:count], needs)
        return (*tape.outputs(), *tape.backward(values[count:]))

    whole = dead_code(trace(run, [*program.inputs, *program.outputs], program.name))
    outputs, grads = _cut(whole.outputs, len(program.outputs))
    given = whole.inputs[count:]
    dependent = _dependent_nodes(whole, given)
    early = [node for node in whole.nodes if id(node) not in dependent]
    if again is not None:
        dependent |= _read_again(
            early, [node for node in whole.nodes if id(node) in dependent], again
        )
    late = [node for node in whole.nodes if id(node) in dependent]
    residuals = _values_crossing([*(node.operands for node in late), grads], late, given)
    backward = Program([*residuals, *given], late, grads, program.name + "_backward")
    forward = Program(whole.inputs[:count], early, [*outputs, *residuals], program.name)
    return dead_code(forward), backward


def _read_again(
    early: Sequence[Node], late: Sequence[Node], again: Callable[[Node], bool]
) -> set[int]:
    """Ids of the early nodes that are run again because a late one reads them."""
    read = {id(x) for node in late for x in node.operands}
    found: set[int] = set()
    for node in reversed(early):
        if again(node) and any(id(y) in read for y in node.outputs):
            found.add(id(node))
            read.update(id(x) for x in node.operands)
    return found


def _cut(items: Sequence[Any], place: int) -> tuple[Sequence[Any], Sequence[Any]]:
    return items[:place], items[place:]


def _dependent_nodes(program: Program, roots: Sequence[Value]) -> set[int]:
    """Ids of the nodes that are computed from some of the roots."""
    reached = {id(value) for value in roots}
    nodes: set[int] = set()
    for node in program.nodes:
        if any(id(x) in reached for x in node.operands):
            nodes.add(id(node))
            reached.update(id(y) for y in node.outputs)
    return nodes


def _values_crossing(
    readers: Sequence[Sequence[Any]], late: Sequence[Node], given: Sequence[Value]
) -> list[Value]:
    """Inputs and early results that the readers need; each once, in order."""
    made_late = {id(y) for node in late for y in node.outputs}
    made_late |= {id(value) for value in given}
    crossing: dict[int, Value] = {}
    for operands in readers:
        for x in operands:
            if isinstance(x, Value) and id(x) not in made_late:
                crossing.setdefault(id(x), x)
    return list(crossing.values())
