"""Functions become methods of `Tensor`; some get an in-place form whose name ends in `_`."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .autocast import as_given
from .modes import modes
from .operands import check_castable
from .tensor import Tensor
from .views import check_writable, version_before, write


def in_place(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The method that writes the result of `function(x, …)` into x."""

    def method(self: Tensor, *arguments: Any, **options: Any) -> Tensor:
        check_writable(self, name)
        compute = function if modes.autocast is None else as_given(function)
        result = compute(version_before(self), *arguments, **options)
        if result._value.dtype != self._value.dtype:
            check_castable(result._value.dtype, self._value.dtype, name)
        return write(self, result, name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place form of `{name[:-1]}`."
    return method


def attach(module: ModuleType) -> None:
    """Make methods of what a module lists in `METHODS`, `IN_PLACE` and `OPERATORS`."""
    for name in getattr(module, "METHODS", ()):
        setattr(Tensor, name, getattr(module, name))
    for name in getattr(module, "IN_PLACE", ()):
        if not hasattr(module, name + "_"):
            setattr(Tensor, name + "_", in_place(getattr(module, name), name + "_"))
        else:
            setattr(Tensor, name + "_", getattr(module, name + "_"))
    for name, function in getattr(module, "OPERATORS", {}).items():
        setattr(Tensor, name, function)
