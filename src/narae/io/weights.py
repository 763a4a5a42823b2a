"""Weights as files, state dicts and repositories hold them; what other programs wrap them in.

A checkpoint has the state dict somewhere in a dict of other things; this finds it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narae.base.errors import DataError, FileFormatError, explain
from narae.tensors import Tensor

from .hub import fetch_weights, is_repository
from .saving import load

_WRAPPINGS = ("judged", "state_dict", "model_state_dict", "model", "net", "weights")
_SHOWN = 6  # names that a message lists
EXTRA_STATE = "_extra_state"  # such as the tokenizer of a model of text


@dataclass(frozen=True)
class Weights:
    """Tensors by name.

    Attributes:
        source: where they came from, in words.
        state: the state dict.
        config: what the repository's `config.json` says; empty for other sources.
    """

    source: str
    state: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_weights(given: Any) -> Weights:
    """The state dict that a path, a checkpoint or a repository holds.

    Args:
        given: a path of what `narae.load` reads (a file, or a folder with `model.safetensors` or
            its index), a state dict, or a Hugging Face repository "owner/name".

    Raises:
        DataError: if it is none of these.
        FileFormatError: if the file is damaged, or holds no state dict.
        MissingDataError: if there is no such file or repository.
        MissingExtraError: if a repository is named, and huggingface-hub is not installed.

    >>> import narae
    >>> list(read_weights({"epoch": 3, "state_dict": {"weight": narae.ones(2)}}).state)
    ['weight']
    """
    source, found, config = _read(given)
    return Weights(source, _unwrapped(source, found), config)


def _read(given: Any) -> tuple[str, Any, dict[str, Any]]:
    """Where weights come from, what is there, and the config beside it."""
    if isinstance(given, Mapping):
        return "the state dict", given, {}
    if not isinstance(given, str | os.PathLike):
        said = f"weights is a {type(given).__name__}"
        rule = 'weights are a path, a state dict or a repository "owner/name"'
        raise DataError(explain("load_weights", said, rule, "weights=None for new ones"))
    if isinstance(given, str) and is_repository(given):
        path, config = fetch_weights(given)
        return given, load(path), config
    return str(given), load(Path(given)), {}


def _unwrapped(source: str, found: Any) -> Mapping[str, Any]:
    """The state dict in a checkpoint.

    Raises:
        FileFormatError: if there is none.
    """
    for _ in range(len(_WRAPPINGS)):
        if not isinstance(found, Mapping):
            break
        if found and not _others(found):
            return found
        inner = next((n for n in _WRAPPINGS if isinstance(found.get(n), Mapping)), None)
        if inner is None:
            break
        found = found[inner]
    given = f"{source} holds a {type(found).__name__}"
    if isinstance(found, Mapping):
        others = ", ".join(_others(found)[:_SHOWN]) or "nothing"
        given = f"{source} holds {others}, which is no tensor"
    rule = f"weights are a dict of tensors by name, alone or under {', '.join(_WRAPPINGS)}"
    raise FileFormatError(explain("load_weights", given, rule, "give the state dict itself"))


def _others(found: Mapping[Any, Any]) -> list[str]:
    """The names of what is neither a tensor nor what a module keeps beside its tensors."""
    return [
        str(key)
        for key, value in found.items()
        if not isinstance(value, Tensor) and not str(key).endswith(EXTRA_STATE)
    ]
