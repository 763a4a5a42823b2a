"""A trace: while it is on, tensors carry symbolic payloads; afterwards everything is put back.

Tensors from outside are lifted when an operation first touches them: their payload is swapped for
an input of the program. Every tensor is remembered before it changes, so that a trace leaves no
mark, whether it ends well or not.
"""

from collections.abc import Sequence
from typing import Any

from narae.ir import Builder, Value
from narae.ir.builder import building

from .modes import modes
from .tensor import Tensor


class Trace:
    """One run of a step on symbolic values.

    Attributes:
        builder: the program in the making.
        lifted: tensors from outside and the inputs that stand for them, in order of first use.
        written_to: ids of tensors whose payload was replaced.
    """

    def __init__(self, name: str) -> None:
        self.builder = Builder(name)
        self.lifted: list[tuple[Tensor, Value]] = []
        self.written_to: dict[int, Tensor] = {}
        self.grads_read: dict[int, Tensor] = {}
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
        array = tensor._value
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
        from copy import copy

        fields = self._before[id(tensor)][1]
        fields["_view"] = copy(tensor._view)

    def log_cell(self, cell: list[Any]) -> None:
        """Remember a version before its first change."""
        if id(cell) not in self._cells:
            self._cells[id(cell)] = (cell, list(cell))

    def written(self, tensor: Tensor) -> None:
        """Note that a tensor has a new payload."""
        self.written_to[id(tensor)] = tensor

    def read_grad(self, leaf: Tensor) -> Tensor | None:
        """The gradient of a leaf, noting that it was read."""
        self.grads_read.setdefault(id(leaf), leaf)
        return leaf.grad
