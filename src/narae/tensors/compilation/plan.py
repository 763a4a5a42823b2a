"""A traced step, ready to run: gather inputs, run the program, write what it wrote."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.base.errors import GraphError, TraceError
from narae.ir import Runner
from narae.tensors.executors import compiled, executor_named, run_again
from narae.tensors.tensor import Tensor, wrap

from .guards import Guards
from .inputs import Inputs, shared_memory
from .sameness import form
from .tracer import Targets, Traced, tensor_of
from .trees import flatten, unflatten

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
        reason: why it was traced.
        calls: how often it ran.
    """

    def __init__(
        self, traced: Traced, guards: Guards, name: str, reason: str, executor: str | None
    ) -> None:
        self.traced, self.guards, self.name, self.reason = traced, guards, name, reason
        self.calls = 0
        self.text = str(traced.program)
        self._executor, self._asked = executor, executor_named(executor).name
        self._inputs = Inputs(traced, name)
        self._running = False
        self._missing = MissingGrad(name)
        self._written_by = f"the compiled step {name}"
        self._written, self._cleared = Targets(traced.states), Targets(traced.cleared)
        self._dropped = Targets(traced.dropped)
        self._only_result = isinstance(traced.spec, tuple) and traced.spec[1] == _ONE_RESULT
        for kind, where in traced.sources:
            if kind == "state":
                where._captured = True

    @cached_property
    def _compiled(self) -> tuple[str, Runner]:
        return compiled(self.traced.program, self.traced.updates, self._executor)

    @cached_property
    def runner(self) -> Runner:
        """The program, made ready by an executor when it is first needed."""
        return self._compiled[1]

    @property
    def executor(self) -> str:
        """The name of the executor."""
        return self._compiled[0]

    @cached_property
    def form(self) -> Any:
        """What it computes, to find out whether another plan computes the same."""
        return form(self.traced.program), tuple(self.traced.updates)

    def borrow(self, other: "Plan") -> bool:
        """Take over what was compiled for an older plan, if it is for the same program."""
        same = (self._executor, self._asked) == (other._executor, other._asked)
        if not same or "_compiled" not in other.__dict__ or self.form != other.form:
            return False
        self.__dict__["_compiled"] = other._compiled
        return True

    # --- whether it fits -------------------------------------------------------------------

    def holds(self, arguments: Sequence[Tensor]) -> bool:
        """Whether it fits for sure; False also where only a closer look can tell."""
        return self.guards.hold() and (
            not self.traced.grads_read or self._other_grad(arguments) is None
        )

    def change(self, arguments: Sequence[Tensor]) -> str | None:
        """Why this plan does not fit now; None when it does."""
        changed = self.guards.change()
        return self._other_grad(arguments) if changed is None else changed

    def _other_grad(self, arguments: Sequence[Tensor]) -> str | None:
        for target, before in self.traced.grads_read:
            now = target.of(arguments)._grad
            if now is not before and not _alike(now, before):
                return "a gradient that the step reads appeared, vanished or changed its kind"
        return None

    # --- running ---------------------------------------------------------------------------

    def __call__(self, arguments: Sequence[Tensor]) -> tuple[Any, dict[str, Tensor]]:
        """Run; returns the result and the taps. On any exception nothing has changed."""
        return self.results(self.run(self.runner, arguments))

    def run(self, runner: Runner, arguments: Sequence[Tensor]) -> Sequence[Any]:
        """The outputs of a runner on this plan's inputs, once everything is written.

        An error or an interrupt before the writing undoes the host's part; an interrupt in the
        middle of it waits until all is written.
        """
        if self._running:
            raise TraceError(f"[compile] {self.name} was called again while it was running")
        snapshots = self._inputs.snapshot()
        writing, outputs = False, None
        try:
            self._running = True
            outputs = self._outputs(runner, self._inputs.gather(arguments))
            writing = True
            runner.write()
            self._mark(outputs, arguments)
        except BaseException as error:
            if not writing:
                self._inputs.undo(snapshots)
            elif isinstance(error, KeyboardInterrupt):
                runner.write()
                self._mark(outputs or (), arguments)
            raise
        finally:
            self._running = False
            self._inputs.forget_arguments()
        self.calls += 1
        return outputs

    def _outputs(self, runner: Runner, arrays: Sequence[Any]) -> Sequence[Any]:
        try:
            return runner(arrays)
        except IndexError:  # nothing is written yet: run again where the error has numbers
            run_again(self.traced.program, arrays)
            raise

    def _mark(self, outputs: Sequence[Any], arguments: Sequence[Tensor]) -> None:
        """Note which tensors have new contents or gradients."""
        traced, written_by, missing = self.traced, self._written_by, self._missing
        for tensor in self._written.of(arguments):
            cell = tensor._cell
            if cell is None:
                cell = tensor._shared_cell()
            cell[0] += 1
            cell[1] = written_by
        first = len(traced.result_needs_grad) + len(traced.states)
        for place, target in enumerate(traced.grads, first):
            target.of(arguments)._grad = wrap(outputs[place])
        for tensor in self._cleared.of(arguments):
            tensor._grad = None
        for tensor in self._dropped.of(arguments):
            tensor._grad = missing

    def results(self, outputs: Sequence[Any]) -> tuple[Any, dict[str, Tensor]]:
        """The result and the taps, as tensors in their structure."""
        if self._only_result:
            return self._result(outputs[0], self.traced.result_needs_grad[0]), {}
        needs = self.traced.result_needs_grad
        pairs = zip(outputs[: len(needs)], needs, strict=True)
        leaves = [self._result(array, needs_grad) for array, needs_grad in pairs]
        return unflatten(self.traced.spec, leaves)  # type: ignore[no-any-return]

    def _result(self, array: Array, needs_grad: bool) -> Tensor:
        tensor = wrap(array)
        if needs_grad:
            tensor._node = TapeNode(_ESCAPED, (), [], {}, array.shape)
            tensor._requires_grad = True
        return tensor


_ESCAPED = _Escaped()
# The structure of one tensor without taps, as `(result, taps)`.
_ONE_RESULT = flatten((wrap(np.zeros(())), {}), [])[1]


def _alike(now: Any, before: Any) -> bool:
    """Whether another gradient may stand where one was: both plain numbers of one kind."""
    if type(now) is not Tensor or type(before) is not Tensor:
        return False
    plain = not (now._requires_grad or before._requires_grad or now._view or before._view)
    old, new = before._array, now._array
    return plain and new.shape == old.shape and new.dtype == old.dtype


def check_aliases(traced: Traced, arguments: Sequence[Tensor]) -> None:
    """Refuse steps that write to memory which another of their inputs shares.

    Raises:
        TraceError: naming both inputs.
    """
    tensors = [tensor_of(source, arguments) for source in traced.sources]
    arrays = [
        (value.name, tensor._array)
        for tensor, value in zip(tensors, traced.program.inputs, strict=True)
        if tensor is not None
    ]
    for target in traced.states:
        written = target.of(arguments)._array
        for name, array in arrays:
            if array is not written and np.may_share_memory(array, written):
                raise shared_memory(name)
