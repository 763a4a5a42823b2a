"""Views, in memory of their own: `transpose_copy(x, 0, 1)` is a copy of `x.transpose(0, 1)`."""

from collections.abc import Callable
from typing import Any

from narae import primitives as p
from narae.base.errors import ShapeError, explain

from . import memory, movement, splitting
from .eager import apply
from .operands import deliver
from .tensor import Tensor


def _copying(view: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = f"{view.__name__}_copy"

    def function(input: Tensor, *arguments: Any, out: Tensor | None = None, **named: Any) -> Tensor:
        copied: Tensor = apply(p.copy, view(input, *arguments, **named))
        return copied if out is None else deliver(copied, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{view.__name__}`, in memory of its own."
    return function


def _copying_pieces(cut: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Any]:
    name = f"{cut.__name__}_copy"

    def function(input: Tensor, *arguments: Any, out: Any = None, **named: Any) -> Any:
        pieces = cut(input, *arguments, **named)
        copies = tuple([apply(p.copy, piece) for piece in pieces])
        if out is None:
            return copies
        _check_count(name, len(copies), len(out))
        for copied, target in zip(copies, out, strict=True):
            deliver(copied, target, name)
        return None

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{cut.__name__}`, each piece in memory of its own."
    return function


def _check_count(name: str, made: int, given: int) -> None:
    if made != given:
        raise ShapeError(
            explain(
                name,
                f"out= has {given} tensors, there are {made} pieces",
                f"{name}() expected an out= argument of size {made}, got size {given}",
            )
        )


alias_copy = _copying(movement.alias)
as_strided_copy = _copying(movement.as_strided)
detach_copy = _copying(memory.detach)
diagonal_copy = _copying(movement.diagonal)
expand_copy = _copying(movement.expand)
permute_copy = _copying(movement.permute)
select_copy = _copying(movement.select)
squeeze_copy = _copying(movement.squeeze)
t_copy = _copying(movement.t)
transpose_copy = _copying(movement.transpose)
unfold_copy = _copying(movement.unfold)
unsqueeze_copy = _copying(movement.unsqueeze)
view_copy = _copying(movement.view)

split_copy = _copying_pieces(splitting.split)
split_with_sizes_copy = _copying_pieces(splitting.split_with_sizes)
unbind_copy = _copying_pieces(splitting.unbind)

__all__ = [
    "alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy",
    "permute_copy", "select_copy", "split_copy", "split_with_sizes_copy", "squeeze_copy",
    "t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy", "view_copy",
]  # fmt: skip
