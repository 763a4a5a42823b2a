"""Nested dicts, lists and tuples with tensors in them, as a text and named arrays, and back.

Before: `{"model": {"w": tensor}, "epoch": 3}`. After: the array "model.w", and the text
`{"dict": [["model", {"dict": [["w", {"tensor": "model.w"}]]}], ["epoch", 3]]}`.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DTypeError, FileFormatError, explain
from narae.tensors import Parameter, Tensor
from narae.tensors.creation import from_numpy

Array = npt.NDArray[Any]
_PLAIN = (bool, int, float, str, type(None))
_CONTAINERS = {"list": list, "tuple": tuple}
_MAPPINGS = {"dict": dict, "ordered": OrderedDict}


def pack(value: Any) -> tuple[str, dict[str, Array]]:
    """Take a structure apart.

    Raises:
        DTypeError: for anything but tensors, arrays, numbers, texts, None, dicts, lists, tuples.

    >>> pack({"epoch": 3, "loss": [0.5, 0.25]})
    ('{"dict": [["epoch", 3], ["loss", {"list": [0.5, 0.25]}]]}', {})
    """
    packer = _Packer()
    return json.dumps(packer.pack(value, ())), packer.arrays


def unpack(text: str, arrays: Mapping[str, Array]) -> Any:
    """Put a structure together again.

    Raises:
        FileFormatError: if the text is no structure, or names an array that is missing.

    >>> unpack('{"dict": [["epoch", 3], ["loss", {"list": [0.5, 0.25]}]]}', {})
    {'epoch': 3, 'loss': [0.5, 0.25]}
    """
    try:
        return _unpack(json.loads(text), arrays)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        given = f"its structure cannot be read ({type(error).__name__}: {error})"
        rule = "the structure names every array of the file"
        raise FileFormatError(explain("load", given, rule, "save the file again")) from error


class _Packer:
    """Collects the arrays of a structure under names of their own."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._names: dict[Any, str] = {}  # tied weights: one array, one name

    def pack(self, value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, Tensor):
            return self._pack_tensor(value, path)
        if isinstance(value, np.ndarray):
            return {"array": self._name(value, path)}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if type(value) in _PLAIN:
            return value
        if isinstance(value, Mapping):
            kind = "ordered" if isinstance(value, OrderedDict) else "dict"
            return {kind: [self._pack_entry(key, each, path) for key, each in value.items()]}
        if isinstance(value, list | tuple):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [self.pack(each, (*path, i)) for i, each in enumerate(value)]}
        raise DTypeError(unknown(value, path))

    def _pack_entry(self, key: Any, value: Any, path: tuple[Any, ...]) -> list[Any]:
        if type(key) not in _PLAIN:
            raise DTypeError(unknown(key, (*path, "a key")))
        return [key, self.pack(value, (*path, key))]

    def _pack_tensor(self, tensor: Tensor, path: tuple[Any, ...]) -> dict[str, Any]:
        packed: dict[str, Any] = {"tensor": self._name(tensor._array, path)}
        if isinstance(tensor, Parameter):
            packed["parameter"] = True
        if tensor.requires_grad:
            packed["requires_grad"] = True
        return packed

    def _name(self, array: Array, path: tuple[Any, ...]) -> str:
        place = array.ctypes.data, array.shape, array.strides, array.dtype
        if array.size and place in self._names:
            return self._names[place]
        plain = ".".join(map(str, path)) or "tensor"
        name, count = plain, 1
        while name in self.arrays:
            count += 1
            name = f"{plain}#{count}"
        self.arrays[name] = array
        self._names[place] = name
        return name


def _unpack(packed: Any, arrays: Mapping[str, Array]) -> Any:
    if not isinstance(packed, dict):
        if isinstance(packed, list):
            raise ValueError("a list without its kind")
        return packed
    kind: str
    content: Any
    if not packed:
        raise ValueError("an entry without its kind")
    kind, content = next(iter(packed.items()))
    if kind == "tensor":
        return _unpack_tensor(packed, arrays[content])
    if kind == "array":
        return arrays[content]
    if kind == "float":
        return float(content)
    if kind in _MAPPINGS:
        return _MAPPINGS[kind]((key, _unpack(value, arrays)) for key, value in content)
    return _CONTAINERS[kind](_unpack(value, arrays) for value in content)


def _unpack_tensor(packed: dict[str, Any], array: Array) -> Tensor:
    tensor = from_numpy(array)
    if packed.get("parameter"):
        return Parameter(tensor, requires_grad=bool(packed.get("requires_grad")))
    return tensor.requires_grad_() if packed.get("requires_grad") else tensor


def unknown(value: Any, path: tuple[Any, ...]) -> str:
    """The message for what cannot be saved, and where it is."""
    where = "".join(f"[{key!r}]" for key in path) or "the object"
    return explain(
        "save",
        f"{where} is {type(value).__module__}.{type(value).__qualname__}",
        "a file holds tensors, arrays, numbers, texts, None, dicts, lists and tuples; never code",
        "save model.state_dict() instead of the model",
    )
