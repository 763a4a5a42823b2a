"""Operations of your own: `Function` with a static `forward` and a static `backward`."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from narae.base.errors import GraphError
from narae.base.upstairs import ask


class FunctionCtx:
    """What `forward` and `backward` of a `Function` share: the first argument `ctx` of both.

    Attributes:
        needs_input_grad: for each argument of `apply`, whether a gradient is wanted for it.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._kept: tuple[Any, ...] = ()
        self._saved: tuple[Any, ...] | None = None
        self._dirty: tuple[Any, ...] = ()
        self._fixed: tuple[Any, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for backward; what was written to since is refused there."""
        self._kept = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that `save_for_backward` kept."""
        if self._saved is None:
            return self._kept
        return self._saved

    def mark_dirty(self, *tensors: Any) -> None:
        """Say that forward wrote into these arguments; they must be among the results."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that no gradient flows through these results."""
        self._fixed = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for results nobody used."""
        self._materialize = value


class Function:
    """An operation with a backward rule of your own.

    Write `forward(ctx, *arguments)` and `backward(ctx, *grad_outputs)` as static methods and call
    `apply`. `backward` returns one gradient (or None) for each argument of forward. Where it is
    made of differentiable operations, second derivatives work too. Instead of taking `ctx` first,
    forward may be a plain function, with `setup_context(ctx, inputs, output)` beside it.

    >>> import narae
    >>> class Double(narae.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_out):
    ...         return grad_out * 2
    >>> x = narae.tensor([1.0, 2.0], requires_grad=True)
    >>> Double.apply(x)
    tensor([2., 4.], grad_fn=<DoubleBackward>)
    """

    @staticmethod
    def forward(*arguments: Any, **_: Any) -> Any:
        """Compute the results; to be overridden."""
        raise GraphError(
            "[Function] You must implement the forward function for custom autograd.Function"
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Prepare `ctx` after a forward that does not take it; to be overridden."""
        raise GraphError("[Function] setup_context is not implemented")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradient of each argument of forward; to be overridden."""
        raise GraphError(
            "[Function] You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD. Fix: add a static backward(ctx, "
            "*grad_outputs)"
        )

    @classmethod
    def apply(cls, *arguments: Any) -> Any:
        """Run forward and put the operation on the tape."""
        return ask("autograd", "apply_function")(cls, arguments)

    @classmethod
    def has_setup_context(cls) -> bool:
        """Whether forward is written without `ctx`."""
        return cls.setup_context is not Function.setup_context


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a backward that is not made of differentiable operations: refuse second derivatives."""

    @wraps(backward)
    def once(ctx: Any, *grad_outputs: Any) -> Any:
        return ask("autograd", "differentiate_once")(backward, ctx, grad_outputs)

    return once


class CustomOperation:
    """What the tape holds for one call of a `Function`; the walk knows it by its kind."""

    __slots__ = ("ctx", "function", "inputs", "outputs", "results")

    kind = "custom"
    grads = None
    joint_grad = None
    broadcasts = False
    differentiable = True

    def __init__(self, function: type[Function], ctx: FunctionCtx) -> None:
        self.function = function
        self.ctx = ctx
        self.outputs = 1
        self.inputs: Sequence[Any] = ()
        self.results: Sequence[Any] = ()

    @property
    def name(self) -> str:
        """The name of the user's class."""
        return self.function.__name__

    @property
    def grad_name(self) -> str:
        """The name of the node, such as "DoubleBackward"."""
        return self.function.__name__ + "Backward"

    @property
    def formula(self) -> str:
        """What the user's class says of itself."""
        return self.function.__doc__ or ""

    def backward(
        self, grads: Sequence[Any], saved: Sequence[Any], node: Any, values: Any
    ) -> Sequence[Any]:
        """Called by the walk."""
        return values.backward_of_function(self, grads, saved, node)  # type: ignore[no-any-return]
