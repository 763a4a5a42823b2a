"""Arguments and results as flat lists of tensors, with the structure kept apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.tensors.creation import from_numpy
from narae.tensors.tensor import Tensor


class Leaf(int):
    """The place of a tensor in a structure: a number that Python compares quickly."""

    __slots__ = ()


class Fixed:
    """Something that is not a tensor: numbers compare by value and type, objects by identity."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def _key(self) -> Any:
        if isinstance(self.value, (bool, int, float, str, bytes, type(None))):
            return type(self.value), repr(self.value)
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return repr(self.value)


def flatten(item: Any, tensors: list[Tensor], convert_arrays: bool = False) -> Any:
    """The structure of nested tuples, lists and dicts; their tensors are appended to a list."""
    if isinstance(item, Tensor):
        tensors.append(item)
        return Leaf(len(tensors) - 1)
    if isinstance(item, (tuple, list)):
        return type(item), tuple([flatten(x, tensors, convert_arrays) for x in item])
    if isinstance(item, dict):
        parts = [(key, flatten(x, tensors, convert_arrays)) for key, x in item.items()]
        return type(item), tuple(parts)
    if convert_arrays and isinstance(item, np.ndarray):
        tensors.append(from_numpy(item))
        return Leaf(len(tensors) - 1)
    return Fixed(item)


def unflatten(spec: Any, tensors: Sequence[Any]) -> Any:
    """Put tensors back into a structure."""
    if isinstance(spec, Leaf):
        return tensors[spec]
    if isinstance(spec, Fixed):
        return spec.value
    kind, parts = spec
    if issubclass(kind, dict):
        return kind((key, unflatten(part, tensors)) for key, part in parts)
    items = [unflatten(part, tensors) for part in parts]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
