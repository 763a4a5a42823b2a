"""Weights in several files: an index says which of them each tensor is in.

Source: what Hugging Face's `save_pretrained` writes, `model.safetensors.index.json`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, MissingDataError, explain

from .content import refuse

_NAMES = ("model.safetensors", "model.safetensors.index.json")
_OLD_NAMES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_PLAIN_NAME = re.compile(r"\w[\w.-]*(?<!\.json)", re.ASCII)  # of no folder, and no index
_MOST = 100_000_000  # bytes of an index
_RULE = 'an index has a "weight_map" from names of tensors to names of files beside it'


def is_index(path: Path) -> bool:
    """Whether a file is an index of shards, by its name."""
    return path.name.endswith(".json")


def weights_in(folder: Path) -> Path:
    """The file of weights, or the index of them, in a folder.

    Raises:
        FileFormatError: if there are several, and none has the usual name.
        MissingDataError: if there is none.
    """
    for name in (*_NAMES, *_OLD_NAMES):
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    if found:
        given = f"{folder} holds {', '.join(path.name for path in found[:4])}"
        rule, fix = f"a folder of weights holds {_NAMES[0]}", "name one of the files"
        raise FileFormatError(explain("load", given, rule, fix))
    given, rule = f"{folder} holds no weights", f"a folder of weights holds {_NAMES[0]}"
    raise MissingDataError(explain("load", given, rule, "name a file of weights"))


def shards(index: Path) -> Iterator[tuple[Path, list[str]]]:
    """The files that an index names, and the tensors that are in each.

    Raises:
        FileFormatError: if the index is damaged, or names a file elsewhere.
        MissingDataError: if a file is not there.
    """
    for name, keys in file_names(index).items():
        path = index.with_name(name)
        if not path.is_file():
            given = f"there is no file {path}"
            rule = f"{index.name} says that it holds {len(keys)} tensors"
            raise MissingDataError(explain("load", given, rule, "fetch every shard"))
        yield path, keys


def file_names(index: Path) -> dict[str, list[str]]:
    """The names of the files that an index names, with the tensors that are in each.

    Raises:
        FileFormatError: if the index is damaged, or names a file elsewhere.
    """
    files: dict[str, list[str]] = {}
    for key, name in _weight_map(index).items():
        if type(name) is not str or not _PLAIN_NAME.fullmatch(name):
            refuse(str(index), f"it looks for {key[:120]!r} in {str(name)[:120]!r}", _RULE)
        files.setdefault(name, []).append(key)
    return files


def _weight_map(index: Path) -> dict[str, Any]:
    if not index.is_file():
        given = f"there is no file {index}"
        raise MissingDataError(explain("load", given, "an index of weights was expected there"))
    if index.stat().st_size > _MOST:
        refuse(str(index), f"it has {index.stat().st_size:,} bytes", _RULE)
    try:
        found = json.loads(index.read_bytes())
    except (ValueError, RecursionError) as error:
        refuse(str(index), f"it is no JSON ({error})", _RULE, cause=error)
    files = found.get("weight_map") if type(found) is dict else None
    if type(files) is not dict or not files:
        refuse(str(index), "it names no files", _RULE)
    return files
