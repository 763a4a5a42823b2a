"""`CompiledStep`: what `narae.compile(step)` returns."""

import inspect
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any

from narae.base import dtypes
from narae.base.errors import TraceError
from narae.ir import Program
from narae.tensors.executors import executor_named
from narae.tensors.modes import modes
from narae.tensors.tensor import Tensor

from .guards import Guards, named_tensors
from .plan import Plan, check_aliases
from .tapping import tapped_modules
from .tracer import Taps, Traced, trace_step
from .trees import flatten

logger = logging.getLogger("narae.compile")
_tracing = threading.RLock()
if hasattr(os, "register_at_fork"):  # a thread that held it does not come along
    os.register_at_fork(after_in_child=_tracing._at_fork_reinit)  # type: ignore[attr-defined]


class CompiledStep:
    """A step that runs as one program.

    Attributes:
        taps: the intermediates asked for, from the last call.
        traces: how often the step was traced to make a program.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        keep_grads: bool = False,
        taps: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]] = (),
        executor: str | None = None,
        verify: bool = True,
    ) -> None:
        update_wrapper(self, function)
        self._function = function
        self._name = getattr(function, "__name__", type(function).__name__)
        self._keep_grads, self._executor, self._verify = keep_grads, executor, verify
        self._taps = _as_taps(taps)
        self._plans: dict[Any, list[Plan]] = {}
        self.taps: dict[str, Tensor] = {}
        self.traces = 0

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        bound = self.__dict__.setdefault("_bound", {})
        if id(instance) not in bound:
            method = self._function.__get__(instance, owner)
            bound[id(instance)] = (instance, self._again(method))
        return bound[id(instance)][1]

    def _again(self, function: Callable[..., Any]) -> "CompiledStep":
        return CompiledStep(
            function,
            keep_grads=self._keep_grads,
            taps=self._taps,
            executor=self._executor,
            verify=self._verify,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step; the first call, and calls of a new kind, trace it first."""
        if modes.trace is not None:
            return self._function(*args, **kwargs)  # part of a larger step
        arguments: list[Tensor] = []
        spec = flatten((args, kwargs), arguments, convert_arrays=True)
        plan = self._plan(spec, arguments)
        if self._verify and plan.calls and plan.calls & (plan.calls - 1) == 0:
            self._compare(plan, spec, arguments)
        result, taps = plan(arguments)
        if self._taps:
            self.taps = self._tapped(taps)
        return result

    def _tapped(self, taps: dict[str, Tensor]) -> dict[str, Tensor]:
        missing = [name for name in self._taps if name not in taps]
        if missing:
            raise TraceError(
                f"[compile] no intermediate named {missing[0]!r} was met. Fix: name it with "
                "narae.tap(name, tensor) inside the step, or use the path of a module"
            )
        return taps

    # --- plans -----------------------------------------------------------------------------

    def _plan(self, spec: Any, arguments: list[Tensor]) -> Plan:
        key = self._key(spec, arguments)
        reason = "a call of a new kind" if self._plans else "the first call"
        plans = self._plans.setdefault(key, [])
        for plan in plans:
            changed = plan.change(arguments)
            if changed is None:
                return plan
            reason = changed
        with _tracing:
            plan = self._make(spec, arguments, reason)
        plans[:] = [old for old in plans if old.guards.change() is None][-8:]
        plans.append(plan)
        return plan

    def _key(self, spec: Any, arguments: Sequence[Tensor]) -> Any:
        first: dict[int, int] = {}
        kinds = []
        for place, tensor in enumerate(arguments):
            value = tensor._array
            same_as = first.setdefault(id(tensor), place)
            owner = id(tensor) if tensor._requires_grad and tensor._node is None else 0
            kinds.append((value.shape, value.dtype, tensor._requires_grad, same_as, owner))
        return spec, tuple(kinds), modes.grad, dtypes.default_dtype()

    def _make(self, spec: Any, arguments: list[Tensor], reason: str) -> Plan:
        guards = Guards(self._function)
        traced = self._trace(spec, arguments)
        check_aliases(traced, arguments)
        self.traces += 1
        nodes = len(traced.program.nodes)
        logger.info("traced %s (%s): %d operations", self._name, reason, nodes)
        guards.epoch = Guards(self._function).epoch
        return Plan(traced, guards, executor_named(self._executor), self._name)

    def _trace(self, spec: Any, arguments: list[Tensor]) -> Traced:
        with tapped_modules(self._function, self._taps):
            return trace_step(
                self._function,
                arguments,
                spec,
                name=self._name,
                argument_names=argument_names(self._function, spec, len(arguments)),
                names=named_tensors(self._function),
                keep_grads=self._keep_grads,
                taps=self._taps,
            )

    def _compare(self, plan: Plan, spec: Any, arguments: list[Tensor]) -> None:
        """Trace again and compare: what changes from call to call must not be baked in."""
        with _tracing:
            again = self._trace(spec, arguments)
        if str(again.program) != plan.text:
            raise TraceError(_difference(self._name, plan.traced.program, again.program))
        for (kind, old), (_, new), value in zip(
            plan.traced.sources, again.sources, again.program.inputs, strict=True
        ):
            if kind == "state" and old is not new:
                raise TraceError(
                    f"[compile] {self._name} reads the tensor {value!r}, and it was another object "
                    "when it was traced again. Fix: pass it as an argument, or keep one tensor "
                    "and write into it"
                )

    # --- looking inside ---------------------------------------------------------------------

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program that a call with these arguments runs."""
        arguments: list[Tensor] = []
        spec = flatten((args, kwargs), arguments, convert_arrays=True)
        return self._plan(spec, arguments).traced.program

    def __repr__(self) -> str:
        return f"<compiled {self._name}, traced {self.traces} times>"


def _as_taps(taps: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]]) -> Taps:
    if isinstance(taps, Mapping):
        return taps
    return dict.fromkeys([taps] if isinstance(taps, str) else taps, _itself)


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def argument_names(function: Any, spec: Any, count: int) -> list[str]:
    """Names for the tensors among the arguments: those of the parameters they are given to."""
    labels = [f"x{place}" for place in range(count)]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return labels
    (_, ((_, args), (_, kwargs))) = spec
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for name, item in [*zip(plain, args, strict=False), *kwargs]:
        if hasattr(item, "index") and not isinstance(item, tuple):
            labels[item.index] = name
    return labels


def _difference(name: str, before: Program, after: Program) -> str:
    """The first node in which two traces of one step differ."""
    for old, new in zip(before.nodes, after.nodes, strict=False):
        if repr(old) != repr(new):
            return (
                f"[compile] {name} gave another program when it was traced again: at {new.line} "
                f"\n    {old!r}\nbecame\n    {new!r}\nA Python value that changes from call to "
                "call was baked in as a constant. Fix: pass it as an argument, or keep it in a "
                "tensor"
            )
    return (
        f"[compile] {name} gave another program when it was traced again: {len(before.nodes)} "
        f"operations became {len(after.nodes)}. Fix: pass what decides it as an argument"
    )
