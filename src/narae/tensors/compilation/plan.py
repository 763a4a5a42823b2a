"""A traced step, ready to run: gather inputs, run the program, write what it wrote."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.base.errors import GraphError, TraceError
from narae.ir import Executor
from narae.ir.executor import Runner
from narae.tensors.tensor import Tensor, wrap

from .guards import Guards
from .tracer import Target, Traced
from .trees import unflatten

Array = np.ndarray[Any, Any]


class MissingGrad:
    """Stands in `.grad` of a parameter after a compiled step that did not hand the gradient out."""

    def __init__(self, step: str) -> None:
        self.step = step

    def explain_missing(self) -> None:
        """Say how to get it.

        Raises:
            RuntimeError: always.
        """
        raise GraphError(
            f"[compile] the gradient was used up inside the compiled step {self.step} and not kept."
            " Fix: narae.compile(step, keep_grads=True), or zero_grad() before you go on eagerly"
        )


class _Escaped:
    """The operation behind results of a compiled step: their graph stayed in the program."""

    name = "compiled"
    grad_name = "CompiledBackward"
    kind = "custom"
    outputs = 1
    grads = None
    joint_grad = None
    broadcasts = False
    differentiable = True

    def backward(self, *_: Any) -> Any:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise GraphError(
            "[compile] backward() of a result of a compiled step: its graph was part of the "
            "program and is gone. Fix: call backward() inside the step, or compile the module "
            "instead of the step"
        )


class Plan:
    """One program for one kind of call.

    Attributes:
        traced: the program and how it is connected to tensors.
        guards: what must still hold.
        calls: how often it ran.
    """

    def __init__(self, traced: Traced, guards: Guards, executor: Executor, name: str) -> None:
        self.traced, self.guards, self.name = traced, guards, name
        self.calls = 0
        self.text = str(traced.program)
        self.run_program = executor.compile(traced.program)
        self._shapes = [value.shape for value in traced.program.inputs]
        self._missing = MissingGrad(name)
        owners = {id(action.owner): action.owner for action in traced.actions}
        self._owners = [owner for owner in owners.values() if owner is not None]

    def change(self, arguments: Sequence[Tensor]) -> str | None:
        """Why this plan does not fit any more; None when it does."""
        changed = self.guards.change()
        if changed is not None:
            return changed
        for target, before in self.traced.grads_read:
            now = target.of(arguments)._grad
            if now is not before and not (before is None and now is None):
                return "gradients that the step adds to were replaced"
        return None

    def __call__(self, arguments: Sequence[Tensor]) -> tuple[Any, dict[str, Tensor]]:
        """Run; returns the result and the taps. On any exception nothing has changed."""
        return self.commit(self.run_with(self.run_program, arguments), arguments)

    def run_with(self, run: Runner, arguments: Sequence[Tensor]) -> tuple[Array, ...]:
        """The outputs of a program with this plan's inputs; undoes the host's part on errors."""
        snapshots = [(owner, owner.host_state()) for owner in self._owners]
        try:
            inputs = self._gather(arguments)
            outputs = run(inputs)
        except BaseException:
            for owner, snapshot in snapshots:
                owner.restore_host_state(snapshot)
            raise
        self.calls += 1
        return outputs

    def _gather(self, arguments: Sequence[Tensor]) -> list[Array]:
        drawn = [action.run() for action in self.traced.actions]
        values = self.traced.program.inputs
        inputs: list[Array] = []
        for (kind, where), value in zip(self.traced.sources, values, strict=True):
            if kind == "state":
                array = where._array
            elif kind == "argument":
                array = arguments[where]._array
            else:
                array = np.asarray(drawn[where[0]][where[1]], value.dtype)
            if array.shape != value.shape or array.dtype != value.dtype:
                raise TraceError(
                    f"[compile] {value.name} was {value!r} when {self.name} was traced and is now "
                    f"{array.dtype}{list(array.shape)}. Fix: keep shapes and dtypes of parameters"
                )
            inputs.append(array)
        return inputs

    def commit(
        self, outputs: Sequence[Array], arguments: Sequence[Tensor]
    ) -> tuple[Any, dict[str, Tensor]]:
        """Write states and gradients; an interrupt in the middle waits until all is written."""
        traced = self.traced
        results = len(traced.result_needs_grad)
        states = outputs[results : results + len(traced.states)]
        grads = outputs[results + len(traced.states) :]
        try:
            self._write(states, grads, arguments)
        except KeyboardInterrupt:
            self._write(states, grads, arguments)
            raise
        leaves = [
            self._result(array, needs)
            for array, needs in zip(outputs[:results], traced.result_needs_grad, strict=True)
        ]
        return unflatten(traced.spec, leaves)  # type: ignore[no-any-return]

    def _write(
        self, states: Sequence[Array], grads: Sequence[Array], arguments: Sequence[Tensor]
    ) -> None:
        for target, array in zip(self.traced.states, states, strict=True):
            _overwrite(target.of(arguments), array, self.name)
        for target, array in zip(self.traced.grads, grads, strict=True):
            target.of(arguments)._grad = wrap(array)
        for target in self.traced.cleared:
            target.of(arguments)._grad = None
        for target in self.traced.dropped:
            target.of(arguments)._grad = self._missing

    def _result(self, array: Array, needs_grad: bool) -> Tensor:
        tensor = wrap(array)
        if needs_grad:
            tensor._node = TapeNode(_ESCAPED, (), [], {}, array.shape)
            tensor._requires_grad = True
        return tensor


_ESCAPED = _Escaped()


def _overwrite(tensor: Tensor, array: Array, name: str) -> None:
    np.copyto(tensor._array, array)
    cell = tensor._shared_cell()
    cell[0] += 1
    cell[1] = f"the compiled step {name}"


def check_aliases(traced: Traced, arguments: Sequence[Tensor]) -> None:
    """Refuse steps that write to memory which another of their inputs shares.

    Raises:
        TraceError: naming both inputs.
    """
    arrays = [
        (value.name, arguments[where]._array if kind == "argument" else where._array)
        for (kind, where), value in zip(traced.sources, traced.program.inputs, strict=True)
        if kind != "host"
    ]
    for target in traced.states:
        written = _target_array(target, arguments)
        for name, array in arrays:
            if array is not written and np.may_share_memory(array, written):
                raise TraceError(
                    f"[compile] the step writes to memory that its input {name} shares; a program "
                    "cannot keep both in step. Fix: use one tensor, or clone() one of them"
                )


def _target_array(target: Target, arguments: Sequence[Tensor]) -> Array:
    return target.of(arguments)._array
