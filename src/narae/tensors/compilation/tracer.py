"""Tracing a step: run it once on symbolic tensors, note what it read and wrote, undo everything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from narae.ir import Program, Value
from narae.tensors.tensor import Tensor
from narae.tensors.tracing import HostAction, Trace

from .trees import flatten, unflatten

# Where an input of the program comes from: ("argument", position), ("state", tensor),
# or ("host", (action, position)).
Source = tuple[str, Any]
# What is wanted of each named intermediate: itself, or a statistic of it.
Taps = Mapping[str, Callable[[Tensor], Tensor]]


class Target:
    """A tensor that the program writes to: one of the arguments, or one that the step captured."""

    __slots__ = ("argument", "tensor")

    def __init__(self, tensor: Tensor, argument: int | None) -> None:
        self.tensor, self.argument = tensor, argument

    def of(self, arguments: Sequence[Tensor]) -> Tensor:
        """The tensor itself, for a call with these arguments."""
        return self.tensor if self.argument is None else arguments[self.argument]


class Traced:
    """What one trace of a step found.

    Attributes:
        program: inputs as in `sources`; outputs are results, then states, then gradients.
        sources: where each input comes from.
        actions: what the host does before each call.
        spec: the structure of the result.
        result_needs_grad: which results required gradients when they were returned.
        states: tensors that get new contents.
        grads: leaves whose gradient is an output.
        dropped: leaves that had a gradient in the step which is not kept.
        cleared: leaves whose gradient the step set to None.
        grads_read: leaves whose `.grad` mattered, and what it was.
    """

    def __init__(self) -> None:
        self.program: Program
        self.sources: list[Source] = []
        self.actions: list[HostAction] = []
        self.spec: Any = None
        self.result_needs_grad: list[bool] = []
        self.states: list[Target] = []
        self.grads: list[Target] = []
        self.dropped: list[Target] = []
        self.cleared: list[Target] = []
        self.grads_read: list[tuple[Target, Any]] = []


def trace_step(
    function: Callable[..., Any],
    arguments: Sequence[Tensor],
    call_spec: Any,
    *,
    name: str,
    argument_names: Sequence[str],
    names: dict[int, str],
    keep_grads: bool,
    taps: Taps,
) -> Traced:
    """Trace `function(*args, **kwargs)` for the arguments that `call_spec` describes.

    Whatever happens, every tensor is afterwards as it was before.
    """
    trace = Trace(name, names)
    try:
        with trace:
            for tensor, label in zip(arguments, argument_names, strict=True):
                _lift_argument(trace, tensor, label)
            args, kwargs = unflatten(call_spec, arguments)
            result = function(*args, **kwargs)
            return _conclude(trace, result, arguments, keep_grads, taps)
    finally:
        trace.undo()


def _lift_argument(trace: Trace, tensor: Tensor, label: str) -> None:
    if type(tensor._value) is Value:
        return  # the same tensor was given twice
    trace.log(tensor)
    tensor._view = None  # a slice of a data set is an input by itself
    trace.lift(tensor, label)


def _conclude(
    trace: Trace, result: Any, arguments: Sequence[Tensor], keep_grads: bool, taps: Taps
) -> Traced:
    """Collect results, new states and gradients as the outputs of the program."""
    found = Traced()
    found.actions = trace.actions
    leaves: list[Tensor] = []
    tapped = {key: look(trace.taps[key]) for key, look in taps.items() if key in trace.taps}
    found.spec = flatten((result, tapped), leaves)
    found.result_needs_grad = [leaf.requires_grad for leaf in leaves]
    outputs: list[Any] = [trace.value_of(leaf) for leaf in leaves]
    positions = {id(tensor): place for place, tensor in enumerate(arguments)}
    for tensor, value in trace.lifted:
        if tensor._value is not value:
            found.states.append(Target(tensor, positions.get(id(tensor))))
            outputs.append(trace.value_of(tensor))
    _collect_grads(trace, found, outputs, positions, keep_grads)
    found.sources = _sources(trace, positions)
    found.program = trace.builder.finish(outputs)
    return found


def _collect_grads(
    trace: Trace, found: Traced, outputs: list[Any], positions: dict[int, int], keep: bool
) -> None:
    for tensor, before in trace.outside_tensors():
        known, grad = before.get("_grad"), tensor._grad
        target = Target(tensor, positions.get(id(tensor)))
        read_first = id(tensor) in trace.grads_read
        if read_first:
            found.grads_read.append((target, known))
        if grad is known:
            continue
        if grad is None:
            found.cleared.append(target)
        elif keep or read_first:
            found.grads.append(target)
            outputs.append(trace.value_of(grad))
        else:
            found.dropped.append(target)


def _sources(trace: Trace, positions: dict[int, int]) -> list[Source]:
    origins: dict[int, Source] = {}
    for tensor, value in trace.lifted:
        place = positions.get(id(tensor))
        origins[id(value)] = ("state", tensor) if place is None else ("argument", place)
    for number, action in enumerate(trace.actions):
        for place, value in enumerate(action.inputs):
            origins[id(value)] = ("host", (number, place))
    return [origins[id(value)] for value in trace.builder.inputs]
