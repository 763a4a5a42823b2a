"""A compiled module: called eagerly, it is one node of the tape with two programs behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.autograd.vjp import vjp_program, vjp_split
from narae.base.dtypes import is_floating
from narae.base.errors import GraphError
from narae.ir import Executor, Program
from narae.primitives import call
from narae.tensors.eager import apply, edge_of, save_operand
from narae.tensors.executors import executor_named
from narae.tensors.modes import modes, no_grad
from narae.tensors.tensor import Tensor, wrap

from .plan import Plan
from .step import CompiledStep
from .trees import flatten, unflatten


class CompiledModule:
    """A module whose forward and backward run as compiled programs.

    Everything else (parameters, `state_dict`, `train`) is the module's own.
    """

    def __init__(self, module: Any, *, executor: str | None = None, verify: bool = True) -> None:
        self.__dict__["_module"] = module
        self.__dict__["_executor"] = executor
        forward = CompiledStep(module.__call__, executor=executor, verify=verify)
        self.__dict__["_forward"] = forward
        self.__dict__["_pairs"] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)

    def __repr__(self) -> str:
        return f"compiled {self._module!r}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's result; differentiable when gradients are recorded."""
        if modes.trace is not None:
            return self._module(*args, **kwargs)
        if not modes.grad:
            return self._forward(*args, **kwargs)
        arguments: list[Tensor] = []
        spec = flatten((args, kwargs), arguments, convert_arrays=True)
        with no_grad():
            plan = self._forward._plan(spec, arguments)
        return self._apply(plan, arguments)

    def _apply(self, plan: Plan, arguments: Sequence[Tensor]) -> Any:
        operands = _operands(plan, arguments)
        needs = tuple(x is not None and edge_of(x) is not None for x in operands)
        if not any(needs):
            return plan(arguments)[0]
        pair = self._pair(plan, needs)
        outputs = plan.run_with(pair.run_forward, arguments)
        count = len(plan.traced.program.outputs)
        result, _ = plan.commit(outputs[:count], arguments)
        leaves: list[Tensor] = []
        spec = flatten(result, leaves)
        _record(pair, operands, leaves, outputs[count:])
        return unflatten(spec, leaves)

    def _pair(self, plan: Plan, needs: tuple[bool, ...]) -> "_Pair":
        key = id(plan), needs
        if key not in self._pairs:
            program = plan.traced.program
            self._pairs[key] = _Pair(plan, program, needs, executor_named(self._executor))
        return self._pairs[key]  # type: ignore[no-any-return]


def _operands(plan: Plan, arguments: Sequence[Tensor]) -> list[Tensor | None]:
    """The tensors behind the inputs of the program; None for what the host provides."""
    found: list[Tensor | None] = []
    for kind, where in plan.traced.sources:
        found.append(None if kind == "host" else arguments[where] if kind == "argument" else where)
    return found


class _Pair:
    """Forward and backward programs for one set of operands that need gradients.

    It is the operation of the tape's node.
    """

    name = "compiled_module"
    grad_name = "CompiledModuleBackward"
    kind = "custom"
    grads = None
    joint_grad = None
    broadcasts = False
    differentiable = True

    def __init__(
        self, plan: Plan, program: Program, needs: tuple[bool, ...], executor: Executor
    ) -> None:
        self.plan, self.program, self.needs = plan, program, needs
        self.outputs = -1
        forward, backward = vjp_split(program, needs)
        self.run_forward = executor.compile(forward)
        self.run_backward = executor.compile(backward)

    def backward(
        self, grads: Sequence[Any], saved: Sequence[Any], node: TapeNode, values: Any
    ) -> Sequence[Any]:
        """Gradients of the operands: the backward program, or a `call` when it is recorded."""
        operands, residuals = saved[: len(self.needs)], saved[len(self.needs) :]
        filled = self._filled(grads, values.create_graph)
        if values.create_graph:
            if any(operand is None for operand in operands):
                raise GraphError(
                    "[compile] second derivatives through a compiled module that draws random "
                    "numbers are not supported. Fix: compute them with the module itself"
                )
            body = vjp_program(self.program, self.needs)
            found = apply(call, *operands, *filled, body=body)
        else:
            found = self.run_backward([*residuals, *filled])
        remaining = iter(found)
        return [next(remaining) if needed else None for needed in self.needs]

    def _filled(self, grads: Sequence[Any], as_tensors: bool) -> list[Any]:
        filled = []
        for place, value in enumerate(self.program.outputs):
            grad = grads[place] if place < len(grads) else None
            if grad is None:
                zeros = np.zeros(value.shape, value.dtype)
                grad = wrap(zeros) if as_tensors else zeros
            filled.append(grad)
        return filled


def _record(
    pair: _Pair,
    operands: Sequence[Tensor | None],
    results: Sequence[Tensor],
    residuals: Sequence[Any],
) -> None:
    parents = tuple(
        edge_of(x) if x is not None and needed else None
        for x, needed in zip(operands, pair.needs, strict=True)
    )
    shapes = [tuple(out._value.shape) for out in results]
    saved = [save_operand(x) for x in operands]
    node = TapeNode(pair, parents, [*saved, *residuals], {}, shapes)
    for place, out in enumerate(results):
        if is_floating(out._value.dtype):
            out._node, out._requires_grad = (node, place), True
