"""Differentiate programs: a program in, the program of its gradients out."""

from collections.abc import Sequence
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
        self.active = {
            id(value) for value, need in zip(program.inputs, needs, strict=True) if need
        }
        for node in program.nodes:
            self._forward(node)

    def _forward(self, node: Node) -> None:
        result = bind(node.operation, *self._values(node.operands), **node.attrs)
        results = (result,) if node.operation.outputs == 1 else result
        self.known.update(zip(map(id, node.outputs), results, strict=True))
        operation: Any = node.operation
        if operation.differentiable and any(self._is_active(x) for x in node.operands):
            self.active.update(id(y) for y in node.outputs if is_floating(y.dtype))

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
            grads.get(id(value), None) if id(value) in grads else zeros(value.shape, value.dtype)
            for value, needed in zip(self.program.inputs, self.needs, strict=True)
            if needed
        )

    def _backward_node(self, node: Node, grads: dict[int, Any]) -> None:
        received = [grads.pop(id(value), None) for value in node.outputs]
        if all(grad is None for grad in received):
            return
        operands = self._values(node.operands)
        saved = collect(node.operation, operands, self._values(node.outputs))
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
