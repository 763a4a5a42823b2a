"""Running a user's `Function` on tensors: forward without a tape, then one node for all of it."""

from collections.abc import Callable, Sequence
from typing import Any

from narae.autograd.function import CustomOperation, Function, FunctionCtx
from narae.autograd.tape import TapeNode
from narae.base.dtypes import is_floating
from narae.base.errors import GraphError, ShapeError, explain
from narae.base.shapes import Shape
from narae.primitives import sum_to_shape, zeros
from narae.primitives.elementwise import cast as cast_values

from .anomaly import note_place
from .eager import SavedOutput, edge_of, save_operand
from .modes import modes, no_grad
from .tensor import Tensor, wrap
from .views import check_writable, rebase


def apply_function(function: type[Function], arguments: tuple[Any, ...]) -> Any:
    """Run forward; when some argument requires gradients, put the call on the tape."""
    needs = tuple([isinstance(x, Tensor) and x.requires_grad for x in arguments])
    ctx = FunctionCtx(needs)
    ctx.__class__ = _context_class(function)
    recording = modes.grad and any(needs)
    with no_grad():
        output = _forward(function, ctx, arguments)
    if recording:
        for x in ctx._dirty:
            check_writable(x, function.__name__)
    several = isinstance(output, tuple)
    results = list(output) if several else [output]
    if recording:
        results = _record(function, ctx, arguments, results)
    ctx._kept = ctx._dirty = ctx._fixed = ()
    return tuple(results) if several else results[0]


def _context_class(function: type[Function]) -> type[FunctionCtx]:
    """A context on which the user's static helpers can be called, as in PyTorch."""
    kind = function.__dict__.get("_context_class")
    if kind is None:
        kind = type(function.__name__ + "Backward", (FunctionCtx,), {"_forward_cls": function})
        function._context_class = kind  # type: ignore[attr-defined]
    return kind


def _forward(function: type[Function], ctx: FunctionCtx, arguments: tuple[Any, ...]) -> Any:
    if not function.has_setup_context():
        return function.forward(ctx, *arguments)
    output = function.forward(*arguments)
    function.setup_context(ctx, arguments, output)
    return output


# --- the node -------------------------------------------------------------------------------


def _record(
    function: type[Function], ctx: FunctionCtx, arguments: tuple[Any, ...], results: list[Any]
) -> list[Any]:
    """Make the node; results that are arguments unchanged are given out as other tensors."""
    operation = CustomOperation(function, ctx)
    parents = tuple([edge_of(x) if isinstance(x, Tensor) else None for x in arguments])
    operation.inputs = [_meta(x) for x in arguments]
    dirty, fixed = set(map(id, ctx._dirty)), set(map(id, ctx._fixed))
    given = {id(x) for x in arguments if isinstance(x, Tensor)}
    made: list[Any] = []
    for x in results:
        unchanged = isinstance(x, Tensor) and id(x) in given and id(x) not in dirty
        made.append(wrap(x._value) if unchanged else x)
    operation.outputs = len(made)
    operation.results = [_meta(x) for x in made]
    shapes = [() if meta is None else meta[0] for meta in operation.results]
    node = TapeNode(operation, parents, [], {}, shapes[0] if len(made) == 1 else shapes)
    for index, (x, old) in enumerate(zip(made, results, strict=True)):
        if isinstance(x, Tensor) and id(old) not in fixed and is_floating(x._value.dtype):
            _attach(x, node if len(made) == 1 else (node, index), id(x) in dirty)
    node.saved = [_saved_item(x, results, made) for x in ctx._kept]
    if modes.anomaly:
        note_place(node, [x for x in made if isinstance(x, Tensor)])
    return made


def _meta(x: Any) -> tuple[Shape, Any, bool] | None:
    if not isinstance(x, Tensor):
        return None
    return tuple(x._value.shape), x._value.dtype, x._requires_grad


def _attach(x: Tensor, edge: Any, dirty: bool) -> None:
    """Give a result its place on the tape."""
    if dirty:
        written = wrap(x._value)
        written._node, written._requires_grad = edge, True
        rebase(x, written)
    else:
        x._log()
        x._node, x._requires_grad = edge, True


def _saved_item(x: Any, results: Sequence[Any], made: Sequence[Any]) -> Any:
    if x is None:
        return None
    if not isinstance(x, Tensor):
        raise TypeError(
            "save_for_backward can only save variables, but argument is of type "
            f"{type(x).__name__}. Fix: keep other things as attributes of ctx"
        )
    for index, result in enumerate(results):
        if x is result and made[index] is x:
            return SavedOutput(x, index)
    return save_operand(x)


# --- backward -------------------------------------------------------------------------------


def backward_of_function(
    operation: CustomOperation,
    grads: Sequence[Any],
    saved: Sequence[Any],
    create_graph: bool,
) -> Sequence[Any]:
    """The gradients of all arguments, by the user's backward.

    Args:
        operation: the call.
        grads: the gradients of its results: tensors if `create_graph`, else payloads.
        saved: what `save_for_backward` kept, in the same form.
        create_graph: whether backward itself is recorded.
    """
    ctx = operation.ctx
    ctx._saved = tuple([_as_tensor(item) for item in saved])
    try:
        received = operation.function.backward(ctx, *_received(operation, grads))
    finally:
        ctx._saved = None
    found = _one_for_each_argument(operation, received)
    return [
        _fitting(operation, index, grad, create_graph) if needed else None
        for index, (grad, needed) in enumerate(zip(found, ctx.needs_input_grad, strict=True))
    ]


def _as_tensor(item: Any) -> Any:
    return item if item is None or isinstance(item, Tensor) else wrap(item)


def _received(operation: CustomOperation, grads: Sequence[Any]) -> list[Any]:
    """What backward is called with: zeros for results that nobody used, unless it wants None."""
    received = []
    for grad, meta in zip(grads, operation.results, strict=True):
        if grad is None and meta is not None and operation.ctx._materialize:
            grad = zeros(meta[0], meta[1])
        received.append(_as_tensor(grad))
    return received


def _one_for_each_argument(operation: CustomOperation, received: Any) -> list[Any]:
    found = list(received) if isinstance(received, (tuple, list)) else [received]
    wanted = len(operation.inputs)
    if len(found) > wanted and all(grad is None for grad in found[wanted:]):
        found = found[:wanted]
    if len(found) != wanted:
        raise GraphError(
            f"[backward] function {operation.grad_name} returned an incorrect number of gradients "
            f"(expected {wanted}, got {len(found)}). Fix: return one for each argument of forward, "
            "None for those without"
        )
    return found


def _fitting(operation: CustomOperation, index: int, grad: Any, create_graph: bool) -> Any:
    """A returned gradient in the shape and dtype of its argument, as a payload or a tensor."""
    if grad is None:
        return None
    meta = operation.inputs[index]
    if not isinstance(grad, Tensor) or meta is None:
        raise TypeError(
            f"[backward] {operation.grad_name} returned a {type(grad).__name__} as the gradient at "
            f"index {index}; expected a Tensor or None"
        )
    shape, dtype, _ = meta
    if tuple(grad.shape) != shape:
        if not _expandable(shape, tuple(grad.shape)):
            raise ShapeError(_invalid_shape(operation, index, grad, shape))
        grad = sum_to_shape(grad, shape)
    if grad._value.dtype != dtype:
        grad = cast_values(grad, dtype=dtype)
    if create_graph:
        return grad
    return grad._value if modes.trace is None else modes.trace.value_of(grad)


def _expandable(shape: Shape, wider: Shape) -> bool:
    """Whether `shape` broadcasts to `wider`."""
    if len(shape) > len(wider):
        return False
    pairs = zip(reversed(shape), reversed(wider), strict=False)
    return all(size in (1, other) for size, other in pairs)


def _invalid_shape(operation: CustomOperation, index: int, grad: Tensor, shape: Shape) -> str:
    return explain(
        "backward",
        f"Function {operation.grad_name} returned an invalid gradient at index {index} - got "
        f"{list(grad.shape)} but expected shape compatible with {list(shape)}",
        "a gradient has the shape of its argument",
    )


def differentiate_once(
    backward: Callable[..., Any], ctx: FunctionCtx, grad_outputs: Sequence[Any]
) -> Any:
    """Run a backward that cannot be differentiated, and let whoever tries know."""
    recording = modes.grad and any(
        isinstance(grad, Tensor) and grad.requires_grad for grad in grad_outputs
    )
    with no_grad():
        output = backward(ctx, *grad_outputs)
    if not recording:
        return output
    several = isinstance(output, tuple)
    refused = [
        _Refuse.apply(x.detach_().requires_grad_()) if isinstance(x, Tensor) else x
        for x in (output if several else (output,))
    ]
    return tuple(refused) if several else refused[0]


class _Refuse(Function):
    """The identity, for what cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise GraphError(
            "[backward] trying to differentiate twice a function that was marked with "
            "@once_differentiable. Fix: write its backward with differentiable operations, and "
            "remove the mark"
        )
