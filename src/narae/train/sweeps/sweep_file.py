"""`sweep.json`: what a sweep tries, with every point that was drawn."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, MissingDataError, explain
from narae.io import atomic_write

from .space import Point

SWEEP = "sweep.json"
_FORMAT = 1
_KINDS = ("grid", "random", "optuna")


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        recipe: its name, or the path of its file.
        sha256: of its text.
        kind: "grid", "random" or "optuna".
        space: for each setting, what to try, as on the command line.
        count: how many trials.
        seed: of what is drawn.
        settings: of all trials.
        data_dir: where to look for data first.
    """

    recipe: str
    sha256: str
    kind: str
    space: Mapping[str, str]
    count: int
    seed: int
    settings: Mapping[str, Any]
    data_dir: str | None


def write_sweep(path: Path, request: Request, points: list[Point]) -> None:
    """Write the file into the folder of a sweep, whole or not at all."""
    content = {"format": _FORMAT, **asdict(request), "points": points}
    with atomic_write(path / SWEEP, "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False, default=str)
        file.write("\n")


def read_sweep(path: Path) -> tuple[Request, list[Point]]:
    """Read the file of a folder.

    Raises:
        FileFormatError: if it is damaged, or something else.
        MissingDataError: if there is none.
    """
    file = path / SWEEP
    if not file.is_file():
        given, rule = f"{path} has no {SWEEP}", "the folder of a sweep has one"
        raise MissingDataError(explain("sweep", given, rule, "check the path"))
    try:
        return _parsed(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, OSError) as error:
        given = f"{file} is damaged ({type(error).__name__}: {str(error)[:200]})"
        raise FileFormatError(explain("sweep", given, "it is written by `narae sweep`")) from error


def _parsed(content: Any) -> tuple[Request, list[Point]]:
    if content["format"] != _FORMAT or content["kind"] not in _KINDS:
        raise ValueError(f"format {str(content['format'])[:20]}")
    folder = content["data_dir"]
    request = Request(
        recipe=str(content["recipe"]),
        sha256=str(content["sha256"]),
        kind=content["kind"],
        space={str(key): str(text) for key, text in dict(content["space"]).items()},
        count=int(content["count"]),
        seed=int(content["seed"]),
        settings=dict(content["settings"]),
        data_dir=None if folder is None else str(folder),
    )
    return request, [dict(point) for point in list(content["points"])]
