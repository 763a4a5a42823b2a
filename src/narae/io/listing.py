"""What a file of weights holds, as a table; and the same in another form."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor

from .saving import TORCH_ENDINGS, load, save
from .tensor_file import write_tensors

_LONG = 60  # letters of a value that are shown


@dataclass(frozen=True)
class Held:
    """One thing that a file holds.

    Attributes:
        key: its place, such as "optimizer.state.0.exp_avg".
        dtype: of a tensor, such as "float32"; of anything else, its type.
        shape: of a tensor; None for anything else.
        nbytes: that a tensor takes.
        value: of anything else, as a text.
    """

    key: str
    dtype: str
    shape: tuple[int, ...] | None = None
    nbytes: int = 0
    value: str = ""


def held_in(value: Any, key: str = "") -> Iterator[Held]:
    """Everything in a structure, in its order.

    >>> import narae
    >>> for each in held_in({"w": narae.ones(2, 3), "epoch": 3}):
    ...     print(each.key, each.dtype, each.shape, each.nbytes, each.value)
    w float32 (2, 3) 24
    epoch int None 0 3
    """
    if isinstance(value, Tensor | np.ndarray):
        name = str(value.dtype).rpartition(".")[2]
        size = int(np.prod(value.shape)) * value.dtype.itemsize
        yield Held(key, name, tuple(value.shape), size)
    elif isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from held_in(each, f"{key}.{name}" if key else str(name))
    elif type(value) in (list, tuple) and any(isinstance(x, _HOLDERS) for x in value):
        for i, each in enumerate(value):
            yield from held_in(each, f"{key}.{i}" if key else str(i))
    else:
        text = _text(value)
        text = text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."
        yield Held(key, type(value).__name__, value=text)


def _text(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # a whole number of more digits than Python prints
        return "a large number"


_HOLDERS = (Tensor, np.ndarray, Mapping, list, tuple)


def convert(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[Held]:
    """Write what a file of weights holds in another form; no code in it is run.

    Args:
        source: what `load` reads.
        target: ends in .safetensors, or in .pt, .pth, .th or .bin for PyTorch; a flat state dict
            becomes a safetensors file in which every name has a tensor of its own.

    Returns:
        What was written.

    Raises:
        ConfigError: for another ending.
        DTypeError: if the other form has no such thing.
    """
    ending = Path(target).suffix
    if ending not in (".safetensors", *TORCH_ENDINGS):
        given, rule = f"{target} ends in {ending or 'nothing'}", "the ending says the form"
        fix = ".safetensors, or .pt for PyTorch"
        raise ConfigError(explain("convert", given, rule, fix))
    found = load(source)
    flat = isinstance(found, Mapping) and all(isinstance(x, Tensor) for x in found.values())
    if flat and ending == ".safetensors":
        write_tensors(target, {str(name): tensor._array for name, tensor in found.items()})
    else:
        save(found, target)
    return list(held_in(found))
