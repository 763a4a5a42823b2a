"""`run.json`: what a run was asked to do, and where. It is only read as data, never run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, MissingDataError, explain
from narae.io import atomic_write

PLAN = "run.json"
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What `run.json` says.

    Attributes:
        recipe: its name.
        file: the recipe's file, if it is one of the user's own.
        sha256: of the recipe's text.
        settings: every setting of the run, defaults too.
        chosen: the settings among them that differ from the recipe's own.
        about: what the data and the model are like: classes, input_shape, parameters.
        options: data_dir.
        command: the words of the command line.
        started: when, as 2026-01-31T12:00:00+00:00.
        environment: what decides on the last bits: versions, executor, processor, threads.
        machine: system and processor, in words.
        git: commit and whether files differed from it; None outside a repository.
        changes: what was set anew where the run was gone on with: {"epoch", "settings", "at"}.
    """

    recipe: str
    file: Path | None
    sha256: str
    settings: Mapping[str, Any]
    chosen: Mapping[str, Any]
    about: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = ()
    started: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    changes: Sequence[Mapping[str, Any]] = ()


def write_plan(plan: Plan, path: Path) -> None:
    """Write the file, whole or not at all."""
    content = {"format": _FORMAT, **asdict(plan)}
    own = None if plan.file is None else str(plan.file)
    content["recipe"] = {"name": plan.recipe, "file": own, "sha256": plan.sha256}
    del content["file"], content["sha256"]
    with atomic_write(path, "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False, default=str)
        file.write("\n")


def read_plan(path: Path) -> Plan:
    """Read the file.

    Raises:
        FileFormatError: if it is damaged, or something else.
        MissingDataError: if there is none.
    """
    if not path.is_file():
        given, rule = f"{path.parent} has no {path.name}", "the folder of a run has one"
        raise MissingDataError(explain("run", given, rule, "check the path"))
    try:
        return _parsed(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        given = f"{path} is damaged ({type(error).__name__}: {str(error)[:200]})"
        raise FileFormatError(explain("run", given, "it is written by `narae train`")) from error


def _parsed(found: Any) -> Plan:
    content = _kind(found, dict, "the whole")
    if content["format"] != _FORMAT:
        raise ValueError(f"format {str(content['format'])[:20]}")
    recipe = _kind(content["recipe"], dict, "recipe")
    file = recipe["file"]
    return Plan(
        recipe=_kind(recipe["name"], str, "recipe.name"),
        file=None if file is None else Path(_kind(file, str, "recipe.file")),
        sha256=_kind(recipe["sha256"], str, "recipe.sha256"),
        settings=_kind(content["settings"], dict, "settings"),
        chosen=_kind(content["chosen"], dict, "chosen"),
        about=_about(_kind(content["about"], dict, "about")),
        options=_kind(content["options"], dict, "options"),
        command=_list(content["command"], str, "command"),
        started=_kind(content["started"], str, "started"),
        environment=_environment(_kind(content["environment"], dict, "environment")),
        machine=_kind(content["machine"], dict, "machine"),
        git=None if content["git"] is None else _kind(content["git"], dict, "git"),
        changes=_list(content["changes"], dict, "changes"),
    )


def _about(content: dict[str, Any]) -> dict[str, Any]:
    _list(content["classes"], str, "about.classes")
    _list(content["input_shape"], int, "about.input_shape")
    _kind(content["parameters"], int, "about.parameters")
    return content


def _environment(content: dict[str, Any]) -> dict[str, Any]:
    for part in ("versions", "blas"):
        _kind(content[part], dict, f"environment.{part}")
    for part in ("executor", "processor"):
        _kind(content[part], str, f"environment.{part}")
    _kind(content["threads"], int, "environment.threads")
    return content


def _list(value: Any, kind: type, name: str) -> list[Any]:
    return [_kind(item, kind, f"an entry of {name}") for item in _kind(value, list, name)]


def _kind(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is no {kind.__name__}")
    return value
