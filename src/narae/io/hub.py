"""Weights of Hugging Face repositories: fetched once, then found in the library's own folder.

Source: https://huggingface.co/docs/huggingface_hub
"""

import json
import re
from pathlib import Path
from typing import Any

from narae.base.errors import MissingDataError, explain, require

from .shards import file_names

_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_ENDINGS = (".safetensors", ".json", ".pt", ".pth", ".th", ".bin", ".npz", ".ckpt")


def is_repository(text: str) -> bool:
    """Whether a text is the name of a repository and of nothing that is here.

    >>> is_repository("timm/resnet18.a1_in1k"), is_repository("weights/resnet18.pth")
    (True, False)
    """
    return (
        _ID.fullmatch(text) is not None
        and not text.endswith(_ENDINGS)
        and not text.startswith(".")
        and not Path(text).exists()
    )


def fetch_weights(repository: str) -> tuple[Path, dict[str, Any]]:
    """The file of a repository's weights, or their index, and its `config.json`.

    Args:
        repository: "owner/name", or "owner/name@revision".

    Raises:
        MissingDataError: if there is none, or it is not here and there is no network.
        MissingExtraError: if huggingface-hub is not installed.
    """
    tried = (fetch_file(repository, name) for name in _FILES)
    path = next((found for found in tried if found is not None), None)
    if path is None:
        given, rule = f"{repository} has none of {', '.join(_FILES)}", "weights are in one of them"
        raise MissingDataError(explain("hub", given, rule, "name a repository that has"))
    if path.suffix == ".json":
        for shard in file_names(path):
            fetch_file(repository, shard)
    config = fetch_file(repository, "config.json")
    return path, {} if config is None else _dict_in(config)


def fetch_file(repository: str, file: str) -> Path | None:
    """One file of a repository; None if the repository has no such file.

    Args:
        repository: "owner/name", or "owner/name@revision".
        file: its path there, such as "tokenizer.json".

    Raises:
        MissingDataError: if there is no such repository, or it is not here and there is no network.
        MissingExtraError: if huggingface-hub is not installed.
    """
    hub: Any = require("huggingface_hub", "hub", "weights of a Hugging Face repository")
    errors: Any = require("huggingface_hub.errors", "hub", "weights of a Hugging Face repository")
    name, _, revision = repository.partition("@")
    try:
        return Path(hub.hf_hub_download(name, file, revision=revision or None))
    except errors.LocalEntryNotFoundError as error:  # one of EntryNotFoundError, so first
        known = hub.try_to_load_from_cache(name, file, revision=revision or None)
        if known is hub._CACHED_NO_EXIST:  # it was asked for when there was a network
            return None
        raise _unreachable(repository, file, error) from error
    except errors.EntryNotFoundError:
        return None
    except (OSError, ValueError) as error:  # of the network, and of the name
        raise _unreachable(repository, file, error) from error


def _dict_in(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}  # what it says is told to people alone
    return found if isinstance(found, dict) else {}


def _unreachable(repository: str, file: str, error: Exception) -> MissingDataError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    given = f"{file} of {repository} is not here and cannot be fetched ({said[0][:200]})"
    rule = "a repository is fetched from huggingface.co once, and kept"
    fix = f"check the name and the network, or run `hf download {repository.partition('@')[0]}` "
    fix += "elsewhere and give the path of the file"
    return MissingDataError(explain("hub", given, rule, fix))
