"""`result.json`: how a run ended."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, explain
from narae.io import atomic_write

RESULT = "result.json"
_FORMAT = 1


@dataclass(frozen=True)
class Best:
    """The best epoch.

    Attributes:
        name: of the number that says which one is best.
        epoch, value: the epoch, and its number.
    """

    name: str
    epoch: int
    value: float


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        status: "finished" or "failed".
        epochs, updates: how many were done.
        best: the best epoch; None if there is none.
        numbers: those of the last epoch.
        test: those of the best epoch on test data that chose nothing; empty if there is no such.
        seconds: from the last start to the end.
        error: why it failed.
        ended: when, as 2026-01-31T12:00:00+00:00.
    """

    status: str
    epochs: int
    updates: int
    best: Best | None
    numbers: Mapping[str, float]
    seconds: float
    error: str = ""
    test: Mapping[str, float] = field(default_factory=dict)
    ended: str = field(default_factory=lambda: timestamp())


def timestamp() -> str:
    """The present moment, to the second, in the time of Greenwich."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_result(result: Result, path: Path) -> None:
    """Write the file, whole or not at all."""
    with atomic_write(path, "w") as file:
        json.dump({"format": _FORMAT, **asdict(result)}, file, indent=2, ensure_ascii=False)
        file.write("\n")


def read_result(path: Path) -> Result:
    """Read the file.

    Raises:
        FileFormatError: if it is damaged, or something else.
    """
    try:
        return _parsed(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, OSError) as error:
        given = f"{path} is damaged ({type(error).__name__}: {str(error)[:200]})"
        raise FileFormatError(explain("run", given, "it is written by `narae train`")) from error


def _parsed(content: Any) -> Result:
    if content["format"] != _FORMAT or content["status"] not in ("finished", "failed"):
        raise ValueError(f"format {str(content['format'])[:20]}")
    best = content["best"]
    if best is not None:
        best = Best(str(best["name"]), int(best["epoch"]), float(best["value"]))
    return Result(
        status=content["status"],
        epochs=int(content["epochs"]),
        updates=int(content["updates"]),
        best=best,
        numbers=_numbers(content["numbers"]),
        test=_numbers(content.get("test", {})),
        seconds=_seconds(content["seconds"]),
        error=str(content["error"]),
        ended=str(content["ended"]),
    )


def _numbers(value: Any) -> dict[str, float]:
    return {str(name): float(x) for name, x in dict(value).items()}


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds is {value}")
    return seconds
