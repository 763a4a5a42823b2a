"""Tracing a step: run it once on symbolic tensors, note what it read and wrote, undo everything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from narae.ir import Program, Update, Value
from narae.tensors.modes import modes
from narae.tensors.tensor import Tensor
from narae.tensors.tracing import HostAction, Trace

from .trees import flatten, unflatten

# Where an input of the program comes from: ("argument", position), ("state", tensor),
# ("grad", the target whose gradient it is), or ("host", (action, position)).
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


class GradTarget(Target):
    """The gradient of such a tensor: whichever tensor that is at the time of a call."""

    __slots__ = ()

    def of(self, arguments: Sequence[Tensor]) -> Tensor:
        """The gradient, for a call with these arguments."""
        return super().of(arguments)._grad  # type: ignore[no-any-return]


class Targets:
    """Several of them; those that are the same at each call are looked up once."""

    __slots__ = ("_fixed", "_others")

    def __init__(self, targets: Sequence[Target]) -> None:
        self._others = [x for x in targets if type(x) is not Target or x.argument is not None]
        others = set(map(id, self._others))
        self._fixed = [x.tensor for x in targets if id(x) not in others]

    def of(self, arguments: Sequence[Tensor]) -> list[Tensor]:
        """The tensors, for a call with these arguments, in any order."""
        if not self._others:
            return self._fixed
        return [*self._fixed, *(target.of(arguments) for target in self._others)]


def tensor_of(source: Source, arguments: Sequence[Tensor]) -> Tensor | None:
    """The tensor that an input comes from; None for what the host provides."""
    kind, where = source
    if kind == "host":
        return None
    if kind == "argument":
        return arguments[where]
    return where.of(arguments) if kind == "grad" else where  # type: ignore[no-any-return]


class Traced:
    """What one trace of a step found.

    Attributes:
        program: inputs as in `sources`; outputs are results, then states, then gradients.
        sources: where each input comes from.
        actions: what the host does before each call.
        spec: the structure of the result.
        result_needs_grad: which results required gradients when they were returned.
        states: tensors that get new contents.
        updates: for each of them, the output with the new contents and the input with the old.
        grads: leaves whose gradient is an output.
        dropped: leaves that had a gradient in the step which is not kept.
        cleared: leaves whose gradient the step set to None.
        grads_read: leaves whose `.grad` mattered, and what it was: a tensor, or None.
    """

    def __init__(self) -> None:
        self.program: Program
        self.sources: list[Source] = []
        self.actions: list[HostAction] = []
        self.spec: Any = None
        self.result_needs_grad: list[bool] = []
        self.states: list[Target] = []
        self.updates: list[Update] = []
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

    Whatever happens, every tensor is afterwards as it was before, and so are the modes: Ctrl-C may
    fall into the very moment in which a `no_grad` of the step ends.
    """
    trace, before = Trace(name, names), (modes.trace, modes.grad)
    try:
        with trace:
            for tensor, label in zip(arguments, argument_names, strict=True):
                _lift_argument(trace, tensor, label)
            args, kwargs = unflatten(call_spec, arguments)
            result = function(*args, **kwargs)
            return _conclude(trace, result, arguments, keep_grads, taps)
    finally:
        try:
            _put_back(trace, before)
        except KeyboardInterrupt:
            _put_back(trace, before)
            raise


def _put_back(trace: Trace, before: tuple[Trace | None, bool]) -> None:
    """Undo a trace; to do it twice changes nothing."""
    modes.trace, modes.grad = before
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
    places = {id(value): place for place, value in enumerate(trace.builder.inputs)}
    grads = _grads_before(trace, positions)
    for tensor, value in trace.lifted:
        if tensor._value is not value:
            target = grads.get(id(tensor)) or Target(tensor, positions.get(id(tensor)))
            found.states.append(target)
            found.updates.append((len(outputs), places[id(value)]))
            outputs.append(trace.value_of(tensor))
    _collect_grads(trace, found, outputs, positions, grads, keep_grads)
    found.sources = _sources(trace, positions, grads)
    found.program = trace.builder.finish(outputs)
    return found


def _collect_grads(
    trace: Trace,
    found: Traced,
    outputs: list[Any],
    positions: dict[int, int],
    grads: dict[int, GradTarget],
    keep: bool,
) -> None:
    for tensor, before in trace.outside_tensors():
        known, grad = before.get("_grad"), tensor._grad
        target = Target(tensor, positions.get(id(tensor)))
        read_first = id(tensor) in trace.grads_read
        if read_first or id(known) in grads:
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


def _grads_before(trace: Trace, positions: dict[int, int]) -> dict[int, GradTarget]:
    """Tensors that the step knew as the gradient of one other tensor, and by no other name."""
    known: dict[int, GradTarget | None] = {}
    lifted = {id(tensor) for tensor, _ in trace.lifted} - positions.keys() - trace.names.keys()
    for tensor, before in trace.outside_tensors():
        grad = id(before.get("_grad"))
        if grad in lifted:
            target = GradTarget(tensor, positions.get(id(tensor)))
            known[grad] = None if grad in known else target
    return {grad: target for grad, target in known.items() if target is not None}


def _sources(trace: Trace, positions: dict[int, int], grads: dict[int, GradTarget]) -> list[Source]:
    origins: dict[int, Source] = {}
    for tensor, value in trace.lifted:
        place = positions.get(id(tensor))
        origin = ("state", tensor) if place is None else ("argument", place)
        grad = grads.get(id(tensor))
        origins[id(value)] = origin if grad is None else ("grad", grad)
    for number, action in enumerate(trace.actions):
        for place, value in enumerate(action.inputs):
            origins[id(value)] = ("host", (number, place))
    return [origins[id(value)] for value in trace.builder.inputs]
