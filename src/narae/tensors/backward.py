"""`backward`, `grad`, hooks: the walk of floor 3 with tensors at its ends."""

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.autograd.walk import Walk
from narae.base.dtypes import is_floating
from narae.base.errors import GraphError, NotSupportedError, ShapeError, explain
from narae.base.places import place_text
from narae.ir import Value
from narae.ir.dispatch import register_interpreter
from narae.primitives.elementwise import add as add_values
from narae.primitives.elementwise import copy as copy_primitive

from . import epoch, received
from .checkpoint import Promise
from .eager import Saved, SavedOutput, apply, converted, edge_of, ndarray
from .modes import enable_grad, modes, no_grad
from .tensor import Parameter, Tensor, wrap

_KINDS = (Tensor, Parameter)


class Overwritten:
    """A saved value that was written to since: no rule may compute with it.

    The gradient of `x * w` for x needs w only, so a change of x matters only where it is read.
    """

    def __init__(self, value: Any, message: str) -> None:
        self.shape, self.dtype, self.message = value.shape, value.dtype, message
        self.ndim = len(value.shape)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise GraphError(self.message)


def _refuse(operation: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    raise GraphError(next(x.message for x in operands if type(x) is Overwritten))


register_interpreter(Overwritten, 3, _refuse)


class _TensorValues:
    """How the walk treats what tensors saved; gradients are payloads, or tensors themselves when
    the backward pass is recorded.
    """

    def __init__(self, create_graph: bool) -> None:
        self.create_graph = create_graph

    def unpack(self, item: Any, node: TapeNode) -> Any:
        kind = item.__class__
        if kind is Saved:
            tensor, version = item.tensor, item.version
            if tensor._cell[0] != version:
                return Overwritten(tensor._value, _changed_message(node, tensor._cell, version))
        elif kind is SavedOutput:
            if item.cell[0] != item.version:
                return Overwritten(item.value, _changed_message(node, item.cell, item.version))
            return self._output(item, node)
        elif isinstance(item, Tensor):
            tensor = item
            if tensor._cell is not None and tensor._cell[0] != 0:
                return Overwritten(tensor._value, _changed_message(node, tensor._cell, 0))
        elif kind is Promise:
            return self.unpack(item.fulfil(), node)
        else:
            return item
        if self.create_graph:
            return tensor
        return tensor._value if modes.trace is None else modes.trace.value_of(tensor)

    def _output(self, item: SavedOutput, node: TapeNode) -> Any:
        if not self.create_graph:
            return item.value
        tensor = wrap(item.value)
        tensor._cell = item.cell
        if is_floating(item.value.dtype):
            tensor._requires_grad = True
            tensor._node = node if node.operation.outputs == 1 else (node, item.index)
        return tensor

    def apply_hook(self, hook: Any, grad: Any) -> Any:
        tensor = grad if isinstance(grad, Tensor) else wrap(grad)
        replaced = hook(tensor)
        if replaced is None:
            return grad
        if not isinstance(replaced, Tensor):
            raise TypeError(f"a hook must return a Tensor or None, not {type(replaced).__name__}")
        if tuple(replaced.shape) != tuple(tensor.shape):
            raise ShapeError(
                f"hook has changed the size of value: {tuple(tensor.shape)} became "
                f"{tuple(replaced.shape)}"
            )
        replaced = converted(replaced, tensor._value.dtype)
        return replaced if self.create_graph else _payload(replaced)

    def backward_of_function(
        self, operation: Any, grads: Sequence[Any], saved: Sequence[Any], node: TapeNode
    ) -> Sequence[Any]:
        from .custom_function import backward_of_function

        return backward_of_function(operation, grads, saved, self.create_graph)

    def check(self, node: TapeNode, grads: Sequence[Any]) -> None:
        if modes.anomaly:
            from .anomaly import check_backward

            check_backward(node, grads)


def _changed_message(node: TapeNode, cell: list[Any], version: int) -> str:
    made = f", recorded at {place_text(node.line)}," if node.line else ""
    return (
        "[backward] one of the variables needed for gradient computation has been modified by an "
        f"inplace operation: {node.name}{made} saved version {version}, but the storage is at "
        f"version {cell[0]}, last written at {place_text(cell[1])}. Fix: write to a clone(), or "
        "move the write after backward()"
    )


# --- starting points ------------------------------------------------------------------------


def _seed(tensor: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The gradient that a root starts with."""
    if gradient is None:
        if tensor._value.size != 1:
            raise GraphError(
                f"[backward] grad can be implicitly created only for scalar outputs; this one is "
                f"{tuple(tensor.shape)}. Fix: reduce it (loss.mean()), or pass gradient="
            )
        from .creation import ones_like

        gradient = ones_like(tensor)
    if not isinstance(gradient, Tensor):
        raise TypeError(
            "gradients can be either Tensors or None, but got " + type(gradient).__name__
        )
    if tuple(gradient.shape) != tuple(tensor.shape):
        raise ShapeError(
            explain(
                "backward",
                f"Mismatch in shape: the gradient is {tuple(gradient.shape)}, the output "
                f"{tuple(tensor.shape)}",
                "they must be equal",
            )
        )
    gradient = converted(gradient, tensor._value.dtype)
    return gradient if create_graph else _payload(gradient)


def _payload(tensor: Tensor) -> Any:
    return tensor._value if modes.trace is None else modes.trace.value_of(tensor)


def _roots(
    tensors: Sequence[Tensor], gradients: Sequence[Any], create_graph: bool
) -> list[tuple[Any, Any]]:
    if len(tensors) != len(gradients):
        raise GraphError(f"[backward] got {len(tensors)} tensors and {len(gradients)} gradients")
    roots = []
    for place, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        edge = edge_of(tensor)
        if edge is None:
            raise GraphError(
                f"[backward] element {place} of tensors does not require grad and does not have a "
                "grad_fn. Fix: some leaf it is computed from needs requires_grad=True, and it must "
                "not be computed inside no_grad()"
            )
        roots.append((edge, _seed(tensor, gradient, create_graph)))
    return roots


def _as_list(items: Any, length: int = 1) -> list[Any]:
    if items is None:
        return [None] * length
    return [items] if isinstance(items, Tensor) else list(items)


# --- backward -------------------------------------------------------------------------------


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of tensors in the leaves they were computed from.

    Args:
        tensors: one tensor or several.
        grad_tensors: their gradients; None for single elements, whose gradient is 1.
        retain_graph: keep what the tape saved; as `create_graph` by default.
        create_graph: record the backward pass too.
        inputs: only these receive gradients; all leaves by default.

    Raises:
        RuntimeError: when nothing requires gradients, the graph was freed, or saved values changed.
    """
    roots_of = _as_list(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    owners = None if inputs is None else _owners(_as_list(inputs))
    with enable_grad() if create_graph else no_grad():
        roots = _roots(roots_of, _as_list(grad_tensors, len(roots_of)), create_graph)
        values = _TensorValues(create_graph)
        targets = None if owners is None else list(owners)
        results = Walk(values, not keep, targets).run(roots)
        for edge in list(results):
            owner = edge if owners is None else owners[edge]
            _accumulate(owner, results, edge, values)


def _owners(inputs: Sequence[Tensor]) -> dict[Any, Tensor]:
    """Where the gradient of each wanted edge goes."""
    if not inputs:
        raise GraphError("[backward] `inputs` argument to `backward()` cannot be empty.")
    return {_target(x): x for x in inputs}


def _target(x: Tensor) -> Any:
    edge = edge_of(x)
    if edge is None:
        raise GraphError(
            "[grad] One of the differentiated Tensors does not require grad. Fix: create it with "
            "requires_grad=True"
        )
    return edge


def _accumulate(leaf: Tensor, results: dict[Any, Any], edge: Any, values: _TensorValues) -> None:
    """Add a gradient to `.grad` of a leaf, after its hooks."""
    held = [results.pop(edge)]
    _apply_leaf_hooks(edge, held, values)
    leaf._log()
    received.note(leaf)
    trace = modes.trace
    known = leaf.grad if trace is None else trace.read_grad(leaf)
    if values.create_graph:
        fresh = held.pop()
        leaf._grad = (
            apply(copy_primitive, fresh) if known is None else apply(add_values, known, fresh)
        )
    else:
        fresh = wrap(_own_memory(held))
        if known is None:
            leaf._grad = fresh
        else:
            _add_into(known, fresh)
    if leaf._hooks is not None:
        for hook in list(leaf._hooks.after.values()):
            hook(leaf)


def _apply_leaf_hooks(edge: Any, held: list[Any], values: _TensorValues) -> None:
    """Let the hooks of a leaf look at the gradient that `held` holds, or replace it."""
    if isinstance(edge, Tensor) and edge._hooks is not None:
        for hook in list(edge._hooks.before.values()):
            held[0] = values.apply_hook(hook, held[0])


def _add_into(known: Tensor, grad: Tensor) -> None:
    from .views import write

    trace = modes.trace
    first = known._value if trace is None else trace.value_of(known)
    write(known, wrap(add_values(first, grad._value)), "backward")


def _references(held: list[Any]) -> int:
    """How often an object is referred to that only a list held."""
    item = held.pop()
    return sys.getrefcount(item)


_ALONE = _references([np.empty(1)])


def _own_memory(held: list[Any]) -> Any:
    """A gradient that nothing else shares, in row-major order; itself if the list alone has it."""
    grad = held.pop()
    if type(grad) is Value:
        return grad
    if type(grad) is not ndarray:
        return np.array(grad)
    alone = sys.getrefcount(grad) <= _ALONE and grad.base is None
    return grad if alone and grad.flags.c_contiguous else grad.copy()


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs, without touching any `.grad`.

    Args:
        outputs: one tensor or several; the gradients of their (weighted) sum are computed.
        inputs: the tensors to differentiate with respect to.
        grad_outputs: the weights, of the outputs' shapes; None for single elements.
        retain_graph: keep what the tape saved; as `create_graph` by default.
        create_graph: record the backward pass too, so that its results can be differentiated.
        allow_unused: give None for inputs that the outputs do not depend on, instead of an error.
        materialize_grads: give zeros instead of None.

    Returns:
        One gradient for each input.

    >>> import narae
    >>> x = narae.tensor(3.0, requires_grad=True)
    >>> narae.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched:
        raise NotSupportedError("[grad] is_grads_batched is left out. Fix: call grad() in a loop")
    outputs, inputs = _as_list(outputs), _as_list(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    targets = [_target(x) for x in inputs]
    with enable_grad() if create_graph else no_grad():
        roots = _roots(outputs, _as_list(grad_outputs, len(outputs)), create_graph)
        values = _TensorValues(create_graph)
        results = Walk(values, not keep, targets).run(roots)
        for edge in results:
            held = [results[edge]]
            _apply_leaf_hooks(edge, held, values)
            results[edge] = held[0]
        uses = Counter(targets)
        found = [_taken(results, edge, uses) for edge in targets]
    return tuple(
        _result(x, slope, allow_unused, materialize_grads)
        for x, slope in zip(inputs, found, strict=True)
    )


def _taken(results: dict[Any, Any], edge: Any, uses: Counter[Any]) -> Tensor | None:
    """The gradient of an edge, in memory of its own unless it is recorded."""
    if edge not in results:
        return None
    uses[edge] -= 1
    held = [results[edge]] if uses[edge] else [results.pop(edge)]
    (grad,) = held
    if isinstance(grad, Tensor):
        return grad
    del grad
    return wrap(_own_memory(held))


def _result(x: Tensor, grad: Any, allow_unused: bool | None, materialize: bool) -> Tensor | None:
    if grad is not None:
        return grad  # type: ignore[no-any-return]
    if materialize:
        from .creation import zeros_like

        zeros: Tensor = zeros_like(x)
        return zeros
    if not allow_unused:
        raise GraphError(
            "[grad] One of the differentiated Tensors appears to not have been used in the graph. "
            "Set allow_unused=True if this is the desired behavior"
        )
    return None


# --- hooks ----------------------------------------------------------------------------------


class _LeafHooks:
    """Hooks of a leaf: before its gradient is accumulated, and after."""

    def __init__(self) -> None:
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away again.

    Args:
        hooks: where the hook is kept, by the handle's number.
        noticed: whether compiled steps rely on such hooks, and must notice that one is gone.
    """

    _next = 0

    def __init__(self, hooks: dict[int, Any], noticed: bool = False) -> None:
        RemovableHandle._next += 1
        self.id = RemovableHandle._next
        self._hooks, self._noticed = hooks, noticed

    def remove(self) -> None:
        """Take the hook away."""
        if self._hooks.pop(self.id, None) is not None and self._noticed:
            epoch.bump()

    def __enter__(self) -> "RemovableHandle":
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def _leaf_hooks(tensor: Tensor) -> _LeafHooks:
    if tensor._hooks is None:
        tensor._hooks = _LeafHooks()
    return tensor._hooks  # type: ignore[no-any-return]


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """See `Tensor.register_hook`."""
    edge = edge_of(tensor)
    if edge is None:
        raise GraphError("cannot register a hook on a tensor that doesn't require gradient")
    if edge is tensor:
        return _hook_leaf(tensor, _leaf_hooks(tensor).before, hook)
    handle = RemovableHandle(_node_hooks(edge))
    _hook_output(edge, handle.id, hook)
    return handle


def _node_hooks(edge: Any) -> dict[int, Any]:
    node = edge[0] if type(edge) is tuple else edge
    if node.hooks is None:
        node.hooks = {}
    return node.hooks  # type: ignore[no-any-return]


def _hook_output(edge: Any, key: int, hook: Callable[[Tensor], Any]) -> None:
    """Hook one output of a node; the hooks of `retain_grad`, under negative keys, come last."""
    hooks = _node_hooks(edge)
    hooks[key] = (edge[1] if type(edge) is tuple else 0, hook)
    for retaining in [known for known in hooks if known < 0]:
        hooks[retaining] = hooks.pop(retaining)


def register_post_hook(tensor: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """See `Tensor.register_post_accumulate_grad_hook`."""
    if edge_of(tensor) is not tensor:
        raise GraphError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return _hook_leaf(tensor, _leaf_hooks(tensor).after, hook)


def _hook_leaf(tensor: Tensor, hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    handle = RemovableHandle(hooks, noticed=True)
    hooks[handle.id] = hook
    if tensor._captured:
        epoch.bump()
    return handle


def retain_grad(tensor: Tensor) -> None:
    """See `Tensor.retain_grad`."""
    edge = edge_of(tensor)
    if edge is None:
        raise GraphError("can't retain_grad on Tensor that has requires_grad=False")
    if tensor.is_leaf or tensor.retains_grad:
        return
    tensor._log()
    tensor._retains = -RemovableHandle({}).id
    weak = weakref.ref(tensor)  # the node must not keep its own result alive

    def keep(grad: Tensor) -> None:
        kept = weak()
        if kept is not None:
            kept._log()
            known = kept._grad
            kept._grad = (
                apply(copy_primitive, grad) if known is None else apply(add_values, known, grad)
            )

    _hook_output(edge, tensor._retains, keep)


def move_retained(tensor: Tensor, before: Any) -> None:
    """Keep the gradient of the value that a write has made, no longer that of the old one."""
    _, keep = _node_hooks(before).pop(tensor._retains)
    edge = edge_of(tensor)
    if edge is not None:
        _hook_output(edge, tensor._retains, keep)
