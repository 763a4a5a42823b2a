"""`unsqueeze_`, `t_` and the like: a tensor that becomes another view of its own memory."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import GraphError, explain

from . import movement
from .tensor import Tensor
from .views import View, check_writable


def in_place_view(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The method that turns x into `function(x, …)`, a view of it."""

    def method(self: Tensor, *arguments: Any, **options: Any) -> Tensor:
        check_writable(self, name)
        if self._viewed:
            raise GraphError(
                explain(
                    name,
                    f"the tensor {tuple(self.shape)} has views, which would lose their place in it",
                    "only a tensor without views can change its shape in place",
                    f"x = x.{name[:-1]}(…)",
                )
            )
        out = function(self, *arguments, **options)
        return _become(self, out)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place form of `{name[:-1]}`: changes the shape, not the memory."
    return method


def _become(x: Tensor, out: Tensor) -> Tensor:
    """Take over payload and node of a view; a view of a base stays a view of that base."""
    view, made = x._view, out._view
    x._log()
    x._viewed = False
    if out is x or made is None:
        return x
    x._value = out._value
    x._node, x._requires_grad = out._node, out._requires_grad
    if view is not None:
        moves = () if view.origin is None else made.moves
        x._view = View(view.base, made.steps, view.seen, view.origin, moves)
        x._view.restricted = view.restricted
    x._bump()
    if x._view is not None:
        x._view.seen = x._version
    return x


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "as_strided_": movement.as_strided,
    "squeeze_": movement.squeeze,
    "swapaxes_": movement.transpose,
    "swapdims_": movement.transpose,
    "t_": movement.t,
    "transpose_": movement.transpose,
    "unsqueeze_": movement.unsqueeze,
}
globals().update({name: in_place_view(made, name) for name, made in _FUNCTIONS.items()})

METHODS = list(_FUNCTIONS)
