"""`CompiledStep`: what `narae.compile(step)` returns."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import update_wrapper
from typing import Any

from narae.base import dtypes
from narae.base.errors import TraceError
from narae.ir import Program
from narae.tensors.locks import new_lock
from narae.tensors.modes import modes
from narae.tensors.tensor import Tensor

from . import log
from .explain import Explanation, of_plan
from .guards import Guards, named_tensors
from .log import logger
from .plain import PlainCall
from .plan import Plan, check_aliases
from .tapping import tapped_modules
from .tracer import Taps, Traced, tensor_of, trace_step
from .trees import Leaf, flatten

_tracing = new_lock()  # a trace swaps the payloads of tensors, so there is one at a time


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
        self._last: tuple[PlainCall, Plan] | None = None
        self._lock = new_lock()
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

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledStep":
        return self._again(deepcopy(self._function, memo))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step; the first call, and calls of a new kind, trace it first."""
        if modes.trace is not None:
            return self._function(*args, **kwargs)  # part of a larger step
        with self._lock:
            plan, arguments = self._fitting(args, kwargs)
            calls = plan.calls
            if calls and calls & (calls - 1) == 0 and self._verify:
                self._compare(plan, args, kwargs)
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

    def _fitting(self, args: Any, kwargs: dict[str, Any]) -> tuple[Plan, Sequence[Tensor]]:
        """The plan for a call and the tensors among its arguments; at best the last plan again."""
        last = self._last
        if last is not None and not kwargs and last[0].fits(args) and last[1].holds(args):
            plan, arguments = last[1], args
        else:
            arguments = []
            spec = flatten((args, kwargs), arguments, convert_arrays=True)
            plan = self._plan(spec, arguments)
            kind = PlainCall.of(args, kwargs)
            self._last = None if kind is None else (kind, plan)
        if log.hits and plan.calls:
            logger.debug("%s: the program of an earlier call runs again", self._name)
        return plan, arguments

    def _plan(self, spec: Any, arguments: list[Tensor]) -> Plan:
        with self._lock:
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
            known = next((old for old in plans if plan.borrow(old)), None)
            said = "" if known is None else "; it is a program that is compiled already"
            nodes = len(plan.traced.program.nodes)
            logger.info("traced %s (%s): %d operations%s", self._name, reason, nodes, said)
            plans[:] = [*_worth_keeping(old for old in plans if old is not known), plan]
            return plan

    def _key(self, spec: Any, arguments: Sequence[Tensor]) -> Any:
        first: dict[int, int] = {}
        kinds = []
        for place, tensor in enumerate(arguments):
            value = tensor._array
            same_as = first.setdefault(id(tensor), place)
            owner = id(tensor) if tensor._requires_grad and tensor._node is None else 0
            kinds.append((value.shape, value.dtype, tensor._requires_grad, same_as, owner))
        return spec, tuple(kinds), modes.key(), dtypes.default_dtype()

    def _make(self, spec: Any, arguments: list[Tensor], reason: str) -> Plan:
        guards = Guards(self._function)
        traced = self._trace(spec, arguments)
        check_aliases(traced, arguments)
        self.traces += 1
        guards.renew()  # what the step itself changed while it was traced is not a change
        return Plan(traced, guards, self._name, reason, self._executor)

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

    def _compare(self, plan: Plan, args: Any, kwargs: dict[str, Any]) -> None:
        """Trace again and compare: what changes from call to call must not be baked in."""
        arguments: list[Tensor] = []
        spec = flatten((args, kwargs), arguments, convert_arrays=True)
        with _tracing:
            again = self._trace(spec, arguments)
        if str(again.program) != plan.text:
            raise TraceError(_difference(self._name, plan.traced.program, again.program))
        for old, new, value in zip(
            plan.traced.sources, again.sources, again.program.inputs, strict=True
        ):
            if tensor_of(old, arguments) is not tensor_of(new, arguments):
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

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """What this step was compiled to; arguments are traced for, as a call would, but not run.

        >>> import narae
        >>> report = narae.compile(lambda x: x + 1).explain(narae.ones(2))
        >>> report.plans[0].reason, len(report.plans[0].program.nodes)
        ('the first call', 1)
        """
        if args or kwargs or not self._plans:
            self.program(*args, **kwargs)
        plans = [plan for plans in self._plans.values() for plan in plans]
        return Explanation(self._name, tuple(of_plan(plan) for plan in plans))

    def __repr__(self) -> str:
        return f"<compiled {self._name}, traced {self.traces} times>"


def _worth_keeping(plans: Iterable[Plan]) -> list[Plan]:
    """Plans that may fit again, and the two latest others: what they compiled may be borrowed."""
    kept: list[Plan] = []
    others: list[Plan] = []
    for plan in plans:
        (kept if plan.guards.lost() is None else others).append(plan)
    return [*others[-2:], *kept[-6:]]


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
        if isinstance(item, Leaf):
            labels[item] = name
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
