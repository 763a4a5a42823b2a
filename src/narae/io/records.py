"""A log of records, one JSON object a line: appended while a run goes on, read until its end."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from narae.base.errors import FileFormatError, explain

from .texts import read_text


def append_record(
    path: str | os.PathLike[str], record: Mapping[str, Any], encoding: str = "utf-8"
) -> None:
    """Add one record to a file, which is made if it is not there.

    What a crash left unfinished at the end of the file is cut off first.

    Args:
        path: the file.
        record: numbers, texts, and lists and dicts of them; NaN and infinities as in JSON5.
        encoding: of the text.
    """
    _mend(Path(path), encoding)
    with open(path, "ab") as file:
        file.write(json.dumps(dict(record), ensure_ascii=False).encode(encoding) + b"\n")


def _mend(path: Path, encoding: str) -> None:
    """Make a file end with a whole line."""
    if not path.exists() or _ends_whole(path):
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if _parsed(data[whole:].decode(encoding, "replace")) is None:
        os.truncate(path, whole)
    else:
        with open(path, "ab") as file:
            file.write(b"\n")


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_records(path: str | os.PathLike[str], encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Each record of a file in order, until its end.

    A last line without its end is what a crash left, and is passed over.

    Raises:
        FileFormatError: if a finished line is no record; the message names it.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = Path(folder.name) / "metrics.jsonl"
    >>> for epoch in (1, 2):
    ...     append_record(log, {"epoch": epoch, "loss": 0.5 / epoch})
    >>> [record["loss"] for record in read_records(log)]
    [0.5, 0.25]
    """
    *lines, rest = read_text(path, encoding, "records").split("\n")
    for number, line in enumerate(lines, 1):
        record = _parsed(line)
        if record is None and line.strip():
            given, rule = (
                f"line {number} of {path} is {line[:40]!r}",
                "each line is one JSON object",
            )
            raise FileFormatError(explain("records", given, rule))
        if record is not None:
            yield record
    last = _parsed(rest)
    if last is not None:
        yield last


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
