"""Hooks of a module: functions called before and after `forward` and around its backward pass."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from narae.autograd.tape import TapeNode
from narae.tensors import Tensor
from narae.tensors.backward import RemovableHandle
from narae.tensors.eager import edge_of
from narae.tensors.modes import modes
from narae.tensors.tensor import wrap

if TYPE_CHECKING:
    from .module import Module

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one module, by kind; each maps an id to a function and its options."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[Hook, dict[str, bool]]] = {}
        self.after: dict[int, tuple[Hook, dict[str, bool]]] = {}
        self.backward_before: dict[int, tuple[Hook, dict[str, bool]]] = {}
        self.backward: dict[int, tuple[Hook, dict[str, bool]]] = {}


def add(table: dict[int, Any], hook: Hook, prepend: bool = False, **options: bool) -> Any:
    """Put a hook in a table, last or first.

    Returns:
        a handle whose `remove()` takes it away again.
    """
    handle = RemovableHandle(table, noticed=True)
    others = dict(table)
    if prepend:
        table.clear()
    table[handle.id] = (hook, options)
    if prepend:
        table.update(others)
    return handle


def call_with_hooks(module: "Module", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `forward` between the hooks."""
    hooks = module._hooks
    assert hooks is not None
    called: set[int] = set()
    out: Any = None
    try:
        args, kwargs = _run_before(hooks, module, args, kwargs)
        watch = None
        if hooks.backward or hooks.backward_before:
            watch = BackwardWatch(module, hooks)
            args = watch.inputs(args)
        out = module.forward(*args, **kwargs)
        for key, (hook, options) in list(hooks.after.items()):
            called.add(key)
            out = _run_after(hook, options, module, args, kwargs, out)
        return out if watch is None else watch.outputs(out)
    except Exception:
        _run_always(hooks, called, module, args, kwargs, out)
        raise


def _run_before(
    hooks: Hooks, module: "Module", args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, options in list(hooks.before.values()):
        if options["with_kwargs"]:
            replaced = hook(module, args, kwargs)
            if replaced is not None:
                if not isinstance(replaced, tuple) or len(replaced) != 2:
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                        f"but got {replaced}."
                    )
                args, kwargs = replaced
        else:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
    return args, kwargs


def _run_after(
    hook: Hook, options: dict[str, bool], module: "Module", args: Any, kwargs: Any, out: Any
) -> Any:
    given = (args, kwargs) if options["with_kwargs"] else (args,)
    replaced = hook(module, *given, out)
    return out if replaced is None else replaced


def _run_always(
    hooks: Hooks, called: set[int], module: "Module", args: Any, kwargs: Any, out: Any
) -> None:
    """After an error, still call the hooks that asked for it; their own errors are dropped."""
    import warnings

    for key, (hook, options) in list(hooks.after.items()):
        if options["always_call"] and key not in called:
            try:
                _run_after(hook, options, module, args, kwargs, out)
            except Exception as error:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was "
                    f"silenced as another error was raised in forward: {error}",
                    stacklevel=4,
                )


# --- backward -------------------------------------------------------------------------------


class Gate:
    """An identity on several tensors, whose backward hands all their gradients to a function."""

    kind = "custom"
    name = "backward_hook"
    grad_name = "BackwardHookFunctionBackward"
    broadcasts = False
    differentiable = True
    grads = None
    joint_grad = None

    def __init__(self, count: int, receive: Callable[[tuple[Any, ...]], Any]) -> None:
        self.outputs = count
        self.receive = receive

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same tensors, each behind the gate."""
        shapes = [x._value.shape for x in tensors]
        node = TapeNode(self, tuple(edge_of(x) for x in tensors), [], {}, shapes)
        return [_behind(node, index, x) for index, x in enumerate(tensors)]

    def backward(
        self, grads: Sequence[Any], saved: Sequence[Any], node: TapeNode, values: Any
    ) -> Sequence[Any]:
        """The gradients of the tensors: what the function returns, or the same."""
        recorded = values.create_graph
        given = tuple(g if g is None or recorded else wrap(g) for g in grads)
        replaced = self.receive(given)
        if replaced is None:
            return grads
        return [g if g is None or recorded else g._value for g in replaced]


def _behind(node: TapeNode, index: int, x: Tensor) -> Tensor:
    out = wrap(x._value if modes.trace is None else modes.trace.value_of(x))
    out._cell = x._shared_cell()
    out._node = (node, index)
    out._requires_grad = True
    return out


class BackwardWatch:
    """What one call of a module needs to call its backward hooks."""

    def __init__(self, module: "Module", hooks: Hooks) -> None:
        self.module, self.hooks = module, hooks
        self.places: list[int] = []
        self.count = 0
        self.grad_output: tuple[Any, ...] | None = None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Put a gate before the module, on the inputs that need gradients."""
        self.count = len(args)
        if not modes.grad:
            return args
        self.places = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
        if not self.places:
            return args
        gated = Gate(len(self.places), self._at_inputs)([args[i] for i in self.places])
        replaced = list(args)
        for place, x in zip(self.places, gated, strict=True):
            replaced[place] = x
        return tuple(replaced)

    def outputs(self, out: Any) -> Any:
        """Put a gate behind the module, on the outputs that need gradients."""
        single = not isinstance(out, tuple)
        items = [out] if single else list(out)
        places = [i for i, x in enumerate(items) if isinstance(x, Tensor) and x.requires_grad]
        if not modes.grad or not places:
            return out
        self.out_places, self.out_count = places, len(items)
        gated = Gate(len(places), self._at_outputs)([items[i] for i in places])
        for place, x in zip(places, gated, strict=True):
            items[place] = x
        return items[0] if single else tuple(items)

    def _at_outputs(self, grads: tuple[Any, ...]) -> Any:
        grads = _spread(grads, self.out_places, self.out_count)
        for hook, _ in list(self.hooks.backward_before.values()):
            replaced = hook(self.module, grads)
            if replaced is not None:
                grads = _checked(replaced, len(grads), "backward pre hook")
        self.grad_output = grads
        if not self.places:
            for hook, _ in list(self.hooks.backward.values()):
                if hook(self.module, (None,) * self.count, grads) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always "
                        "return None or None for all gradients."
                    )
        return tuple(grads[place] for place in self.out_places)

    def _at_inputs(self, grads: tuple[Any, ...]) -> Any:
        grads = _spread(grads, self.places, self.count)
        for hook, _ in list(self.hooks.backward.values()):
            replaced = hook(self.module, grads, self.grad_output)
            if replaced is not None:
                grads = _checked(replaced, len(grads), "backward hook")
        return tuple(grads[place] for place in self.places)


def _spread(grads: Sequence[Any], places: Sequence[int], count: int) -> tuple[Any, ...]:
    found: list[Any] = [None] * count
    for place, grad in zip(places, grads, strict=True):
        found[place] = grad
    return tuple(found)


def _checked(replaced: Any, count: int, what: str) -> tuple[Any, ...]:
    grads = replaced if isinstance(replaced, tuple) else (replaced,)
    if len(grads) != count:
        raise RuntimeError(
            f"{what} returned an invalid number of grad, got {len(grads)}, but expected {count}"
        )
    return grads
