"""Views and in-place writes.

A view knows its base and the chain of movements that led to it. That one chain serves three needs:
after a write, every other view of the base finds its new place on the tape by going through the
chain again; a write through a view becomes a new version of the base by going through it backwards;
and in a trace, where nothing is mutable, the same two walks give the new payloads.
"""

from typing import Any

import numpy as np

from narae.base.errors import GraphError, ShapeError, explain
from narae.ir import Value
from narae.primitives import Primitive

from .eager import apply, converted, ndarray
from .modes import modes
from .tensor import Tensor, wrap

Step = tuple[Primitive, dict[str, Any]]


class View:
    """How a tensor was derived from its base.

    Attributes:
        base: a tensor that is not a view itself.
        steps: movements that lead from the base to the view.
        seen: the version of the storage for which payload and node were computed.
        detached: gradients do not flow between view and base (`detach`, `.data`).
        no_grad: made while gradients were switched off.
        several: made together with others, by `split`, `unbind` and the like.
    """

    __slots__ = ("base", "detached", "no_grad", "seen", "several", "steps")

    def __init__(self, base: Tensor, steps: tuple[Step, ...], seen: int, detached: bool) -> None:
        self.base, self.steps, self.seen, self.detached = base, steps, seen, detached
        self.no_grad = not modes.grad and not detached
        self.several = False

    def refresh(self, view: Tensor) -> None:
        """Bring the payload (in a trace) and the node of a view up to date after writes."""
        version = self.base._version
        if self.seen == version:
            return
        symbolic = type(self.base._value) is Value
        tracked = self.base._requires_grad and not self.detached and not self.no_grad
        if symbolic or tracked:
            view._log()
            fresh = self._derive(tracked)
            if symbolic:
                view._value = fresh._value
            if tracked:
                view._node, view._requires_grad = fresh._node, fresh._requires_grad
        self.seen = version

    def _derive(self, tracked: bool) -> Tensor:
        before = modes.grad
        modes.grad = tracked
        try:
            tensor = self.base if tracked else wrap(self.base._value)
            for operation, attrs in self.steps:
                tensor = apply(operation, tensor, **attrs)
            return tensor
        finally:
            modes.grad = before


def make_view(x: Tensor, operation: Primitive, **attrs: Any) -> Tensor:
    """Apply a movement whose result shares the storage of x."""
    out: Tensor = apply(operation, x, **attrs)
    attach_view(out, x, ((operation, attrs),))
    return out


def attach_view(
    out: Tensor, x: Tensor, steps: tuple[Step, ...], detached: bool = False
) -> None:
    """Make `out` a view that was derived from x by `steps`."""
    view = x._view
    if view is not None and (view.detached == detached or view.detached):
        base, chain = view.base, (*view.steps, *steps)
        detached = view.detached
    else:
        base, chain = x, steps
    if view is not None and base is x:
        base, chain, detached = view.base, (*view.steps, *steps), True
    cell = x._shared_cell()
    out._cell = cell
    out._view = View(base, chain, cell[0], detached)
    if modes.inference:
        out._inference = True


def mark_several(views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Note that views came from one function together: gradients forbid writes to such views."""
    for view in views:
        view._view.several = True
    return views


def is_view_of_memory(out: Any, x: Any) -> bool:
    """Whether an array shares memory with another one it was derived from."""
    if type(out) is Value:
        return True
    return out is x or (out.base is not None and np.may_share_memory(out, x))


# --- in-place writes ------------------------------------------------------------------------


def check_writable(x: Tensor, what: str) -> None:
    """Refuse writes that would make gradients wrong.

    Raises:
        RuntimeError: for leaves that require gradients, views of them, expanded memory, and
            inference tensors outside of inference mode.
    """
    if x._inference and not modes.inference:
        raise GraphError(
            f"[{what}] Inplace update to inference tensor outside InferenceMode is not allowed. "
            "Fix: clone() it"
        )
    view = x._view
    if modes.grad:
        if view is not None:
            view.refresh(x)
        if x._requires_grad and x._node is None and (view is None or view.detached):
            raise GraphError(
                f"[{what}] a leaf Variable that requires grad is being used in an in-place "
                "operation. Fix: do it inside `with narae.no_grad():`, or on a result of it"
            )
        if view is not None and not view.detached:
            _check_view_writable(x, view, what)
    if type(x._value) is ndarray and has_overlap(x._value):
        raise GraphError(
            f"[{what}] unsupported operation: more than one element of the written-to tensor "
            f"refers to a single memory location ({tuple(x.shape)}, an expanded tensor). "
            "Fix: clone() it before writing"
        )


def _check_view_writable(x: Tensor, view: View, what: str) -> None:
    base = view.base
    if base._requires_grad and base._node is None:
        raise GraphError(
            f"[{what}] a view of a leaf Variable that requires grad is being used in an in-place "
            "operation. Fix: do it inside `with narae.no_grad():`"
        )
    if view.no_grad and base._requires_grad:
        raise GraphError(
            f"[{what}] a view was created in no_grad mode and is being modified inplace with grad "
            "mode enabled. Fix: make the view outside of no_grad, or write inside no_grad"
        )


def has_overlap(array: Any) -> bool:
    """Whether several positions share one element (stride 0)."""
    return any(
        stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True)
    )


def write(x: Tensor, result: Tensor, what: str) -> Tensor:
    """Put a computed result into the storage of x, with its place on the tape.

    Args:
        x: the tensor written to, already checked by `check_writable`.
        result: the new value, of x's shape; converted to x's dtype.
        what: the name of the method, for messages.
    """
    if tuple(result._value.shape) != tuple(x._value.shape):
        raise ShapeError(
            explain(
                what,
                f"output with shape {list(x.shape)} doesn't match the broadcast shape "
                f"{list(result.shape)}",
                "an in-place operation cannot grow its tensor",
            )
        )
    result = converted(result, x._value.dtype)
    if type(result._value) is Value or type(x._value) is Value:
        _write_symbolic(x, result)
    else:
        np.copyto(x._value, result._value)
    x._bump()
    if modes.grad and (result._requires_grad or x._requires_grad):
        rebase(x, result)
    elif x._view is not None and type(x._value) is Value:
        x._view.seen = x._version
    return x


def _write_symbolic(x: Tensor, result: Tensor) -> None:
    """Payloads cannot change: x, and its base through the chain, get new ones."""
    trace = modes.trace
    assert trace is not None
    trace.value_of(x)
    value = trace.value_of(result)
    x._log()
    if x._view is not None:
        base = x._view.base
        trace.value_of(base)
        base._log()
        base._value = unview(base._value, x._view.steps, value)
    x._value = value


def unview(base: Any, steps: tuple[Step, ...], new: Any) -> Any:
    """The base after `new` was written through a chain of movements; any kind of value."""
    stages = [base]
    for operation, attrs in steps[:-1]:
        stages.append(operation(stages[-1], **attrs))
    for (operation, attrs), stage in zip(reversed(steps), reversed(stages), strict=True):
        if operation.unview is None:
            raise GraphError(f"[{operation.name}] its result cannot be written to: clone() it first")
        new = operation.unview(stage, new, **attrs)
    return new


def rebase(x: Tensor, result: Tensor) -> None:
    """Give x, and the base it is a view of, the place on the tape that the write made."""
    view = x._view
    x._log()
    if view is None or view.detached:
        x._node, x._requires_grad = result._node, result._requires_grad
        if view is not None:
            view.seen = x._version
        return
    base = view.base
    base._log()
    before = wrap(base._value)
    before._node, before._requires_grad = base._node, base._requires_grad
    updated = unview(before, view.steps, result)
    base._node, base._requires_grad = updated._node, updated._requires_grad
    view.seen = -1
    view.refresh(x)


def version_before(x: Tensor) -> Tensor:
    """The tensor as an operand of the operation that will overwrite it.

    Where gradients are recorded, it gets storage of its own, so that backward still finds the old
    numbers.
    """
    if type(x._value) is Value or not modes.grad:
        return x
    if x._view is not None:
        x._view.refresh(x)
    old = wrap(x._value.copy())
    old._node, old._requires_grad = x._node, x._requires_grad
    return old
