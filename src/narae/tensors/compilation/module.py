"""A compiled module: called eagerly, it is one node of the tape with two programs behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.autograd.vjp import vjp_program, vjp_split
from narae.base.dtypes import is_floating
from narae.base.errors import GraphError
from narae.ir import Program, Report
from narae.primitives import call
from narae.tensors.backward import Overwritten
from narae.tensors.eager import SavedOutput, apply, edge_of, save_operand
from narae.tensors.executors import compiled
from narae.tensors.modes import modes, no_grad
from narae.tensors.tensor import Tensor, wrap

from .explain import Explanation, Part, memory_of
from .plan import Plan
from .step import CompiledStep
from .tracer import tensor_of
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
            plan = self._forward._plan(spec, [_as_leaf(x) for x in arguments])
        return self._apply(plan, arguments)

    def _apply(self, plan: Plan, arguments: Sequence[Tensor]) -> Any:
        operands = _operands(plan, arguments)
        needs = tuple(x is not None and edge_of(x) is not None for x in operands)
        if not any(needs):
            with self._forward._lock:
                return plan(arguments)[0]
        with self._forward._lock:
            pair = self._pair(plan, needs)
            outputs = plan.run(pair.run_forward, arguments)
        count = len(plan.traced.program.outputs)
        result, _ = plan.results(outputs[:count])
        leaves: list[Tensor] = []
        spec = flatten(result, leaves)
        _record(pair, operands, leaves, outputs[count:])
        return unflatten(spec, leaves)

    def _pair(self, plan: Plan, needs: tuple[bool, ...]) -> "_Pair":
        pairs: dict[Any, _Pair] = self._pairs
        found = pairs.get((plan, needs))
        if found is None:
            found = next((old for old in pairs.values() if old.serves(plan, needs)), None)
            if found is None:
                found = _Pair(plan, needs, self._executor, self._forward._lock)
            living = [known for plans in self._forward._plans.values() for known in plans]
            for key in [key for key in pairs if key[0] not in living]:
                del pairs[key]
            pairs[plan, needs] = found
        return found

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """What the module was compiled to; arguments are traced for, as a call would, but not run.

        Programs for calls with gradients are shown once such a call was made.
        """
        with no_grad():
            report = self._forward.explain(*args, **kwargs)
        parts = [part for pair in dict.fromkeys(self._pairs.values()) for part in pair.parts()]
        return Explanation(report.name, report.plans, tuple(parts))


def _as_leaf(x: Tensor) -> Tensor:
    """What is traced in place of an argument: what came before it is no part of the program."""
    return x if x.is_leaf else x.detach().requires_grad_()


def _operands(plan: Plan, arguments: Sequence[Tensor]) -> list[Tensor | None]:
    """The tensors behind the inputs of the program; None for what the host provides."""
    return [tensor_of(source, arguments) for source in plan.traced.sources]


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
        self, plan: Plan, needs: tuple[bool, ...], executor: str | None, lock: Any
    ) -> None:
        self.plan, self.program, self.needs = plan, plan.traced.program, needs
        self.outputs = -1
        self._lock = lock
        forward, self.backward_program = vjp_split(self.program, needs)
        self.forward, self.places = _without_known(plan, forward)
        self.executor, self.run_forward = compiled(self.forward, plan.traced.updates, executor)
        _, self.run_backward = compiled(self.backward_program, (), executor)

    def serves(self, plan: Plan, needs: tuple[bool, ...]) -> bool:
        """Whether another plan needs the same two programs."""
        return needs == self.needs and plan.form == self.plan.form

    def parts(self) -> list[Part]:
        """The two programs, for reports."""
        both = {
            "forward": (self.forward, self.run_forward),
            "backward": (self.backward_program, self.run_backward),
        }
        return [
            Part(f"{self.plan.name}, {title}", program, self.executor, Report(*runner.report()),
                 memory_of(program))
            for title, (program, runner) in both.items()
        ]  # fmt: skip

    def backward(
        self, grads: Sequence[Any], saved: Sequence[Any], node: TapeNode, values: Any
    ) -> Sequence[Any]:
        """Gradients of the operands: the backward program, or a `call` when it is recorded."""
        operands = saved[: len(self.needs)]
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
            residuals = [_unchanged(saved[place]) for place in self.places]
            with self._lock:
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


def _without_known(plan: Plan, forward: Program) -> tuple[Program, list[int]]:
    """A forward program that does not hand out what the tape has anyway.

    before: forward(x, w): v = linear(x, w); u = exp(v); return u, x, w, u
    after:  forward(x, w): v = linear(x, w); u = exp(v); return u

    Returns:
        the program, and for each residual its place among operands, results, and other residuals.
    """
    written = {place for _, place in plan.traced.updates}
    outputs, results = len(plan.traced.program.outputs), len(plan.traced.result_needs_grad)
    places = {id(value): len(forward.inputs) + k for k, value in
              enumerate(forward.outputs[:results])}  # fmt: skip
    for place, value in enumerate(forward.inputs):
        if place not in written and plan.traced.sources[place][0] in ("argument", "state"):
            places[id(value)] = place
    others = [value for value in forward.outputs[outputs:] if id(value) not in places]
    first = len(forward.inputs) + results
    places.update((id(value), first + k) for k, value in enumerate(others))
    lean = Program(
        forward.inputs, forward.nodes, [*forward.outputs[:outputs], *others], forward.name
    )
    return lean, [places[id(value)] for value in forward.outputs[outputs:]]


def _unchanged(item: Any) -> Any:
    if type(item) is Overwritten:
        raise GraphError(item.message)
    return item


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
    for place, out in enumerate(results):
        read = len(operands) + place in pair.places
        saved.append(SavedOutput(out, place) if read else None)
    node = TapeNode(pair, parents, [*saved, *residuals], {}, shapes)
    for place, out in enumerate(results):
        if is_floating(out._value.dtype):
            out._node, out._requires_grad = (node, place), True
