"""A trace: while it is on, tensors carry symbolic payloads; afterwards everything is put back.

Tensors from outside are lifted when an operation first touches them: their payload is swapped for
an input of the program. Every tensor is remembered before it changes, so that a trace leaves no
mark, whether it ends well or not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from narae.autograd import tape
from narae.base.dtypes import FLOAT64
from narae.base.errors import TraceError
from narae.base.places import user_line
from narae.ir import Builder, Value
from narae.ir.builder import building

from .modes import modes
from .tensor import Tensor, wrap


class HostAction:
    """Something done on the host before every call of a compiled step, in the order of the trace.

    Attributes:
        owner: whose state it changes: has `host_state()` and `restore_host_state(snapshot)`.
        run: does it, and returns one array or number for each input.
        inputs: the inputs of the program that receive what `run` returns.
        undo: takes `run` back by itself (see `host.Undoable`); None if a snapshot is needed.
    """

    __slots__ = ("inputs", "owner", "run", "undo")

    def __init__(self, owner: Any, run: Callable[[], Any], inputs: tuple[Value, ...]) -> None:
        self.owner, self.run, self.inputs = owner, run, inputs
        self.undo: Any = run if hasattr(run, "take_back") else None


class Trace:
    """One run of a step on symbolic values.

    Attributes:
        builder: the program in the making.
        lifted: tensors from outside and the inputs that stand for them, in order of first use.
        actions: what the host does before every call.
        grads_read: leaves whose gradient was read before the step wrote it.
        grads_written: ids of leaves whose gradient the step replaced.
        names: names of tensors, for listings.
        taps: tensors that the step gave a name with `narae.tap`.
    """

    def __init__(self, name: str, names: dict[int, str] | None = None) -> None:
        self.builder = Builder(name)
        self.names = names or {}
        self.lifted: list[tuple[Tensor, Value]] = []
        self.actions: list[HostAction] = []
        self.grads_read: dict[int, Tensor] = {}
        self.grads_written: set[int] = set()
        self.taps: dict[str, Tensor] = {}
        self.first_node = tape.new_number()
        self._before: dict[int, tuple[Tensor, dict[str, Any]]] = {}
        self._cells: dict[int, tuple[list[Any], list[Any]]] = {}
        self._building: Any = None

    # --- on and off ------------------------------------------------------------------------

    def __enter__(self) -> "Trace":
        self._outer = modes.trace
        modes.trace = self
        self._building = building(self.builder)
        self._building.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._building.__exit__(*exception)
        modes.trace = self._outer
        self.builder.closed = True

    def undo(self) -> None:
        """Put every tensor and version back as it was before the trace."""
        for tensor, fields in self._before.values():
            tensor.__dict__.clear()
            tensor.__dict__.update(fields)
        for cell, before in self._cells.values():
            cell[:] = before

    def outside_tensors(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        """Tensors from outside that the step changed, with their fields before."""
        for tensor, fields in list(self._before.values()):
            if type(fields.get("_value")) is not Value:
                yield tensor, fields

    # --- what tensors ask of it ------------------------------------------------------------

    def builder_add(self, operation: Any, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Record an operation."""
        return self.builder.add(operation, operands, attrs)

    def value_of(self, tensor: Tensor) -> Value:
        """The symbolic payload of a tensor; a tensor from outside becomes an input first."""
        view = tensor._view
        if view is not None:
            self.value_of(view.base)
            if type(tensor._value) is not Value:
                view.seen = -1
            view.refresh(tensor)
        if type(tensor._value) is not Value:
            self.lift(tensor)
        return tensor._value  # type: ignore[no-any-return]

    def lift(self, tensor: Tensor, name: str = "") -> Value:
        """Make a tensor from outside an input of the program."""
        self.log(tensor)
        if type(tensor._node) is tape.TapeNode and tensor._node.number < self.first_node:
            raise TraceError(_outside_graph_message(tensor))
        array = tensor._value
        name = name or self.names.get(id(tensor), "")
        value = self.builder.input(array.shape, array.dtype, name)
        self.lifted.append((tensor, value))
        tensor._value = value
        return value

    def log(self, tensor: Tensor) -> None:
        """Remember a tensor before its first change."""
        if id(tensor) not in self._before:
            self._before[id(tensor)] = (tensor, dict(tensor.__dict__))
            if tensor._cell is not None:
                self.log_cell(tensor._cell)
            if tensor._view is not None:
                self._log_view(tensor)

    def _log_view(self, tensor: Tensor) -> None:
        fields = self._before[id(tensor)][1]
        fields["_view"] = copy(tensor._view)

    def log_cell(self, cell: list[Any]) -> None:
        """Remember a version before its first change."""
        if id(cell) not in self._cells:
            self._cells[id(cell)] = (cell, list(cell))

    def read_grad(self, leaf: Tensor) -> Tensor | None:
        """The gradient of a leaf, noting that it was read before it was written."""
        if id(leaf) not in self.grads_written:
            self.grads_read.setdefault(id(leaf), leaf)
        return leaf.grad

    def write_grad(self, leaf: Tensor) -> None:
        """Note that a gradient is replaced."""
        self.grads_written.add(id(leaf))

    # --- what the host does ----------------------------------------------------------------

    def host_input(
        self, owner: Any, sample: Callable[[], Any], shape: tuple[int, ...], dtype: Any
    ) -> Tensor:
        """A tensor that the host makes before every call, such as random numbers."""
        value = self.builder.input(shape, dtype, f"host{len(self.actions)}")
        self.actions.append(HostAction(owner, lambda: (sample(),), (value,)))
        return wrap(value)

    def host_call(
        self, owner: Any, compute: Callable[[], Sequence[float]], names: Sequence[str]
    ) -> tuple[Tensor, ...]:
        """Numbers that the host computes before every call, such as a learning rate.

        They are 0-d float64 tensors that behave like Python numbers in promotion.
        """
        values = tuple(self.builder.input((), FLOAT64, self._unused(name)) for name in names)
        self.actions.append(HostAction(owner, compute, values))
        return tuple(_as_number(wrap(value)) for value in values)

    def host_action(self, owner: Any, action: Callable[[], Any]) -> None:
        """Something the host does before every call, without a result."""

        def run() -> tuple[()]:
            action()
            return ()

        self.actions.append(HostAction(owner, run, ()))

    def _unused(self, name: str) -> str:
        taken = {value.name for value in self.builder.inputs}
        return name if name not in taken else f"{name}{len(taken)}"

    def operands_are_inside(self, node: Any) -> None:
        """Refuse to go backward through a graph that was made before the trace."""
        if node.number < self.first_node:
            raise TraceError(_outside_graph_message(None))


def _as_number(tensor: Tensor) -> Tensor:
    tensor._weak = True
    return tensor


def _outside_graph_message(tensor: Tensor | None) -> str:
    what = "a graph" if tensor is None else f"a tensor {tuple(tensor.shape)} with a graph"
    return (
        f"[trace] at {user_line()} {what} from outside the step is used inside it; a program "
        "cannot go back through what ran before it. Fix: compute it inside the step, or detach() it"
    )


@contextmanager
def outside_trace() -> Iterator[None]:
    """Compute eagerly inside, even while a step is traced (to create state, for instance)."""
    trace, modes.trace = modes.trace, None
    try:
        yield
    finally:
        modes.trace = trace


def is_tracing() -> bool:
    """Whether a step is being traced right now."""
    return modes.trace is not None


def tap(name: str, tensor: Tensor) -> Tensor:
    """Give an intermediate a name under which `compile(step, taps=[name])` hands it out.

    Eagerly it does nothing. The tensor is returned unchanged.
    """
    if modes.trace is not None:
        modes.trace.taps[name] = tensor
    return tensor
