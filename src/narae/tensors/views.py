"""Views and in-place writes.

A view knows its base and the chain of movements that led to it. That one chain serves three needs:
after a write, every other view of the base finds its new place on the tape by going through the
chain again; a write through a view becomes a new version of the base by going through it backwards;
and in a trace, where nothing is mutable, the same two walks give the new payloads.

Storage and gradients part ways at `detach`: the numbers still belong to the base, while gradients
of views of the detached tensor end there. So a view has two chains, one from the owner of the
storage and one from the tensor where its gradients come together, its origin.
"""

from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.base.errors import GraphError, ShapeError, explain
from narae.base.shapes import Shape
from narae.ir import Value
from narae.primitives import Primitive, copy, update_slice, write_at
from narae.reference import LOWERINGS

from .eager import apply, converted, ndarray
from .layout import strides_of
from .modes import modes
from .tensor import Tensor, wrap

Step = tuple[Primitive, dict[str, Any]]

_NO_GRAD = (
    "A view was created in no_grad mode and {} modified inplace with grad mode enabled. Fix: move "
    "both the view and the write into no_grad, or both outside"
)
_SEVERAL = (
    "A view that is one of several results of one function (unbind, split, chunk) {} modified "
    "inplace with gradients. Such functions do not allow the output views to be modified inplace. "
    "Fix: use an out-of-place operation, or take the part by indexing"
)


class View:
    """How a tensor was derived from its base.

    Attributes:
        base: the tensor that owns the storage; not a view itself.
        steps: movements that lead from the base to the view.
        seen: the version of the storage for which payload and node were computed.
        origin: the tensor whose gradient this view takes part in; None for a detached tensor,
            which is an origin of its own.
        moves: movements that lead from the origin to the view.
        restricted: why writes with gradients are refused: made in no_grad, or one of several.
        stale: restricted, and written to since by others.
    """

    __slots__ = ("base", "moves", "origin", "restricted", "seen", "stale", "steps")

    def __init__(
        self,
        base: Tensor,
        steps: tuple[Step, ...],
        seen: int,
        origin: Tensor | None,
        moves: tuple[Step, ...],
    ) -> None:
        self.base = base
        self.steps = steps
        self.seen = seen
        self.origin = origin
        self.moves = moves
        self.restricted = ""
        self.stale = False

    @property
    def detached(self) -> bool:
        """Whether gradients end at this tensor, although its storage belongs to another."""
        return self.origin is None

    def refresh(self, view: Tensor) -> None:
        """Bring the payload (in a trace) and the node of a view up to date after writes.

        Raises:
            RuntimeError: for a restricted view that was written to with gradients by others.
        """
        version = self.base._version
        if self.seen != version:
            self.seen = version
            if type(self.base._value) is Value:
                view._log()
                view._value = _moved(wrap(self.base._value), self.steps, False)._value
            if self.origin is not None and self.origin._requires_grad:
                self._find_node(view, self.origin)
        if self.stale and modes.grad:
            raise GraphError(self.restricted.format("or its base has been"))

    def _find_node(self, view: Tensor, origin: Tensor) -> None:
        view._log()
        if self.restricted:
            self.stale = True
            view._requires_grad = True
            return
        fresh = _moved(origin, self.moves, True)
        view._node, view._requires_grad = fresh._node, fresh._requires_grad


def _moved(x: Tensor, steps: tuple[Step, ...], grad: bool) -> Tensor:
    before = modes.grad
    modes.grad = grad
    try:
        for operation, attrs in steps:
            x = apply(operation, x, **attrs)
        return x
    finally:
        modes.grad = before


def make_view(x: Tensor, operation: Primitive, **attrs: Any) -> Tensor:
    """Apply a movement whose result shares the storage of x."""
    value = x._value
    lowering: Any = LOWERINGS.get(operation)
    plain = value.__class__ is ndarray and x._view is None and lowering is not None
    if not plain or not modes.plain:
        out: Tensor = apply(operation, x, **attrs)
        attach_view(out, x, ((operation, attrs),))
        return out
    # The usual case, written out: eager, and x is no view itself.
    moved = lowering(value, **attrs)
    out = wrap(moved)
    if x._requires_grad:
        node = x._node
        saved = _facts(operation, value)
        out._node = TapeNode(operation, (x if node is None else node,), saved, attrs, moved.shape)
        out._requires_grad = True
    cell = x._cell
    if cell is None:
        cell = x._cell = [0, ""]
    x._viewed = True
    out._cell = cell
    steps = ((operation, attrs),)
    out._view = View(x, steps, cell[0], x, steps)
    return out


def _facts(operation: Primitive, value: Any) -> list[Any]:
    """What a movement saves of its one operand: shape and dtype, never the elements."""
    plan = operation.save_plan
    if not plan:
        return []
    if len(plan) == 1 and plan[0][0] == "shape":
        return [value.shape]
    return [value.shape if kind == "shape" else value.dtype for kind, _ in plan]


def attach_view(out: Tensor, x: Tensor, steps: tuple[Step, ...], detached: bool = False) -> None:
    """Make `out` a view that was derived from x by `steps`, or x itself without gradients."""
    view = x._view
    steps = () if detached else steps
    cell = x._shared_cell()
    base, chain = (x, steps) if view is None else (view.base, (*view.steps, *steps))
    if detached:
        made = View(_without_tape(base), chain, cell[0], None, ())
    elif view is None or view.origin is None:
        made = View(base, chain, cell[0], x, steps)
    else:
        made = View(base, chain, cell[0], view.origin, (*view.moves, *steps))
        made.restricted = view.restricted
    if not modes.grad and not detached:
        made.restricted = made.restricted or _NO_GRAD
        out._requires_grad = x._requires_grad
    if not x._viewed:
        x._viewed = True
    out._cell = cell
    out._view = made
    if modes.inference:
        out._inference = True


def _without_tape(base: Tensor) -> Tensor:
    """The owner of a storage, or one without its tape, which a detached tensor must not keep alive.

    A trace needs the owner itself; there the tape lives no longer than the trace.
    """
    if base._node is None or modes.trace is not None:
        return base
    owner = wrap(base._value)
    owner._cell, owner._viewed = base._cell, True
    return owner


def mark_several(views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Note that views came from one function together: gradients forbid writes to such views."""
    for view in views:
        view._view.restricted = view._view.restricted or _SEVERAL
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
    if modes.grad:
        _check_grads_allow(x, what)
    if has_overlap(x):
        raise GraphError(
            f"[{what}] unsupported operation: more than one element of the written-to tensor "
            f"refers to a single memory location ({tuple(x.shape)}, an expanded tensor). "
            "Fix: clone() it before writing"
        )


def _check_grads_allow(x: Tensor, what: str) -> None:
    view = x._view
    if view is not None:
        view.refresh(x)
    if not x._requires_grad:
        return
    origin = None if view is None else view.origin
    if view is not None and view.restricted:
        raise GraphError(f"[{what}] " + view.restricted.format("is being"))
    if origin is not None and origin._requires_grad and origin._node is None:
        raise GraphError(
            f"[{what}] a view of a leaf Variable that requires grad is being used in an in-place "
            "operation. Fix: do it inside `with narae.no_grad():`"
        )
    if x._node is None and origin is None:
        raise GraphError(
            f"[{what}] a leaf Variable that requires grad is being used in an in-place "
            "operation. Fix: do it inside `with narae.no_grad():`, or on a result of it"
        )


def has_overlap(x: Tensor) -> bool:
    """Whether several positions of a tensor share one element (stride 0)."""
    value = x._value
    if 0 in value.shape:
        return False
    if type(value) is ndarray:
        strides: Shape = value.strides
    elif x._view is None:
        return False
    else:
        strides = strides_of(x)
    sizes = zip(strides, value.shape, strict=True)
    return any(stride == 0 and size > 1 for stride, size in sizes)


def write(x: Tensor, result: Tensor, what: str, overwrites: bool = False) -> Tensor:
    """Put a computed result into the storage of x, with its place on the tape.

    Args:
        x: the tensor written to, already checked by `check_writable`.
        result: the new value, of x's shape; converted to x's dtype.
        what: the name of the method, for messages.
        overwrites: the result does not depend on the old value of x.
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
    if modes.grad:
        result = _kept_on_tape(x, result, what, overwrites)
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


def _kept_on_tape(x: Tensor, result: Tensor, what: str, overwrites: bool) -> Tensor:
    """A result that depends on x, at least by zero gradients, once x is on the tape."""
    view = x._view
    if result._requires_grad:
        if view is not None and view.restricted:
            raise GraphError(f"[{what}] " + view.restricted.format("is being"))
        if not overwrites:
            return result
    if x._requires_grad and not (result._requires_grad and _is_part(x)):
        return _over(x, result)
    # A leaf or a node that others use must not become the node of x itself.
    return apply(copy, result) if result._requires_grad else result


def _is_part(x: Tensor) -> bool:
    """Whether x is a view of some of the elements of its origin: then the others keep its node."""
    origin = None if x._view is None else x._view.origin
    return origin is not None and x._value.size < origin._value.size


def _over(x: Tensor, result: Tensor) -> Tensor:
    """The result, as something written over all of x."""
    shape = tuple(x._value.shape)
    before = wrap(x._value)
    before._node, before._requires_grad = x._node, x._requires_grad
    start, step = (0,) * len(shape), (1,) * len(shape)
    return apply(  # type: ignore[no-any-return]
        update_slice, before, result, start=start, stop=shape, step=step
    )


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
    if not steps:  # a detached tensor is all of its base
        return new
    if any(operation.unview is None for operation, _ in steps):
        return write_at(base, new, positions(tuple(base.shape), steps))
    stages = [base]
    for operation, attrs in steps[:-1]:
        stages.append(operation(stages[-1], **attrs))
    for (operation, attrs), stage in zip(reversed(steps), reversed(stages), strict=True):
        assert operation.unview is not None
        new = operation.unview(stage, new, **attrs)
    return new


def positions(shape: Shape, steps: tuple[Step, ...]) -> Any:
    """Where in the base, in row-major order, each element of a view lies.

    This serves views that repeat or overlap elements (expand, unfold), of which parts that do not
    may be written to.
    """
    places = np.arange(int(np.prod(shape))).reshape(shape)
    for operation, attrs in steps:
        places = operation(places, **attrs)
    return np.ascontiguousarray(places)


def rebase(x: Tensor, result: Tensor) -> None:
    """Give x, and the origin it is a view of, the place on the tape that the write made."""
    view = x._view
    x._log()
    if view is None or view.origin is None:
        _take_place(x, result)
        if view is not None:
            view.seen = x._version
        return
    origin = view.origin
    origin._log()
    before = wrap(origin._value)
    before._node, before._requires_grad = origin._node, origin._requires_grad
    updated = unview(before, view.moves, result)
    _take_place(origin, updated)
    view.seen = -1
    view.refresh(x)


def _take_place(x: Tensor, result: Tensor) -> None:
    """Move x to the place on the tape that a result has, and what keeps its gradient with it."""
    before = x._node
    x._node, x._requires_grad = result._node, result._requires_grad
    if x._retains:
        from .backward import move_retained

        move_retained(x, before)


def version_before(x: Tensor) -> Tensor:
    """The tensor as an operand of the operation that will overwrite it.

    Where gradients are recorded it gets storage (in a trace: a payload) of its own, so that
    backward still finds the old numbers.
    """
    trace = modes.trace
    if trace is None and not modes.grad:
        return x
    if x._view is not None:
        x._view.refresh(x)
    old = wrap(x._value.copy() if trace is None else trace.value_of(x))
    old._node, old._requires_grad = x._node, x._requires_grad
    return old
