"""What a traced step took for granted, and whether it still holds."""

from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from narae.base.places import is_package_file
from narae.tensors import epoch
from narae.tensors.tensor import Tensor

_NUMBERS = (bool, int, float, str, type(None))
_FLAGS = "modules were switched between train() and eval()"


class Reference:
    """A name that a step reads from its closure or globals, and what it held."""

    __slots__ = ("name", "read", "value")

    def __init__(self, name: str, read: Callable[[], Any], value: Any) -> None:
        self.name, self.read, self.value = name, read, value

    def change(self) -> str | None:
        """What changed, in words; None when nothing did."""
        try:
            now = self.read()
        except (KeyError, ValueError):
            return f"{self.name} is gone"
        if now is self.value:
            return None
        if isinstance(self.value, _NUMBERS):
            if type(now) is type(self.value) and repr(now) == repr(self.value):
                return None
            return f"{self.name} was {self.value!r}, now {now!r}"
        return f"{self.name} is another {type(now).__name__}"


def references(function: Any) -> list[Reference]:
    """The numbers, tensors and stateful objects that a function reads by name."""
    return list(_references(function, set()))


def _references(function: Any, seen: set[int]) -> Iterator[Reference]:
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    if is_package_file(function.__code__.co_filename):
        return
    seen.add(id(function))
    for name, read in _names(function):
        try:
            value = read()
        except (KeyError, ValueError):
            continue
        if isinstance(value, (FunctionType, MethodType)):
            yield from _references(value, seen)
        elif isinstance(value, (*_NUMBERS, Tensor)) or hasattr(value, "state_dict"):
            yield Reference(name, read, value)


def _names(function: FunctionType) -> Iterator[tuple[str, Callable[[], Any]]]:
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        yield name, partial(getattr, cell, "cell_contents")
    space = function.__globals__
    for name in _global_names(function.__code__):
        if name in space:
            yield name, partial(space.__getitem__, name)


def _global_names(code: Any) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _global_names(constant)
    return names


def named_tensors(function: Any) -> dict[int, str]:
    """Names of parameters, buffers and tensors that a function can reach, for listings."""
    names: dict[int, str] = {}
    owner = getattr(function, "__self__", None)
    objects = [("", owner)] if owner is not None else []
    objects += [(reference.name, reference.value) for reference in references(function)]
    for name, value in objects:
        if isinstance(value, Tensor):
            names.setdefault(id(value), name)
        elif hasattr(value, "named_parameters"):
            prefix = f"{name}." if name else ""
            for inner, tensor in (*value.named_parameters(), *value.named_buffers()):
                names.setdefault(id(tensor), prefix + inner)
    return names


class Guards:
    """The facts a plan relies on beside the shapes and dtypes of its arguments."""

    __slots__ = ("_reads", "_values", "epoch", "flags", "references")

    def __init__(self, function: Any) -> None:
        self.references = references(function)
        self._reads = [reference.read for reference in self.references]
        self._values = [reference.value for reference in self.references]
        self.renew()

    def renew(self) -> None:
        """Rely on modules and parameter groups as they are now."""
        self.epoch, self.flags = epoch.counter[0], epoch.flags[0]

    def hold(self) -> bool:
        """Whether nothing changed; False also where only a closer look can tell."""
        if epoch.counter[0] != self.epoch or epoch.flags[0] != self.flags:
            return False
        for read, value in zip(self._reads, self._values, strict=True):
            try:
                if read() is not value:
                    return False
            except (KeyError, ValueError):
                return False
        return True

    def change(self) -> str | None:
        """The first fact that does not hold now, in words."""
        lost = self.lost()
        return _FLAGS if lost is None and epoch.flags[0] != self.flags else lost

    def lost(self) -> str | None:
        """The first fact that will not hold again, in words."""
        if epoch.counter[0] != self.epoch:
            return "an attribute of a module, a parameter, or a parameter group changed"
        for reference in self.references:
            changed = reference.change()
            if changed is not None:
                return changed
        return None
