"""Modules that hold other modules: `Sequential`, `ModuleList`, `ModuleDict`."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import index as as_index
from typing import Any, Self

from .module import Module
from .text import indented


def place_of(index: Any, length: int) -> int:
    """An index counted from the start; negative ones count from the end."""
    place = as_index(index)
    if not -length <= place < length:
        raise IndexError(f"index {place} is out of range")
    return place % length


class _Numbered(Module):
    """Children named "0", "1", "2", …"""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def _name_at(self, index: Any) -> str:
        return next(islice(self._modules, place_of(index, len(self)), None))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            delattr(self, name)
        self._renumber(list(self._modules.values()))

    def _renumber(self, modules: list[Any]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before position `index`."""
        if not isinstance(module, Module):
            raise TypeError(f"module should be of type: {Module}, not {type(module)}")
        modules = list(self._modules.values())
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"Index out of range: {index}")
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, index: Any) -> Module:
        """Remove a module and return it."""
        module: Module = self[index]  # type: ignore[index]
        del self[index]
        return module


class Sequential(_Numbered):
    """Modules one after the other: the output of each is the input of the next.

    Args:
        args: modules, or one OrderedDict of named modules.

    >>> import narae
    >>> model = narae.nn.Sequential(narae.nn.Linear(4, 8), narae.nn.ReLU(), narae.nn.Linear(8, 2))
    >>> model(narae.zeros(3, 4)).shape
    narae.Size([3, 2])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __add__(self, other: Any) -> "Sequential":
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Self:
        return self.extend(other)

    def __mul__(self, times: int) -> "Sequential":
        if not isinstance(times, int) or times <= 0:
            raise ValueError(
                f"Sequential can be repeated a positive number of times, not {times!r}"
            )
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """Modules in a list; they are registered, and the forward pass is written by you."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name_at(index)]

    def insert(self, index: int, module: Module) -> None:
        """Add a module before position `index`."""
        modules: list[Any] = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        return super().extend(modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        if len(self) == 0:
            return self._get_name() + "()"
        lines = [f"{label}: {indented(text)}" for label, text in _folded(map(repr, self))]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def _folded(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Equal neighbours become one entry.

    before: ["A()", "A()", "B()"]
    after:  [("(0-1)", "2 x A()"), ("(2)", "B()")]
    """
    runs: list[tuple[int, int, str]] = []
    for number, text in enumerate(texts):
        if runs and runs[-1][2] == text:
            runs[-1] = (runs[-1][0], number, text)
        else:
            runs.append((number, number, text))
    return [
        (f"({first})", text)
        if first == last
        else (f"({first}-{last})", f"{last - first + 1} x {text}")
        for first, last, text in runs
    ]


class ModuleDict(Module):
    """Modules under names, in the order they were added."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        for name in list(self._modules):
            delattr(self, name)

    def pop(self, key: str) -> Any:
        """Remove a module and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """The names and modules."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add the modules of a mapping, or of pairs of name and module."""
        for name, module in pairs_of(modules, "ModuleDict.update"):
            self[name] = module


def pairs_of(items: Any, what: str) -> list[tuple[str, Any]]:
    """The pairs of a mapping, or of an iterable of pairs."""
    if isinstance(items, (Mapping, ModuleDict)) or hasattr(items, "items"):
        return list(items.items())
    if not isinstance(items, Iterable):
        raise TypeError(
            f"{what} should be called with an iterable of key/value pairs, but got "
            f"{type(items).__name__}"
        )
    pairs = []
    for number, pair in enumerate(items):
        if not isinstance(pair, Iterable) or len(list(pair)) != 2:
            raise ValueError(f"{what}: element #{number} is not a pair of key and value: {pair!r}")
        pairs.append(tuple(pair))
    return pairs


__all__ = ["ModuleDict", "ModuleList", "Sequential"]
