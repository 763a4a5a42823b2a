"""Series from CSV files: columns by name, dates, and missing values."""

import csv
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import DataError, FileFormatError, MissingDataError, explain

from .gaps import check_treatment, treat_missing
from .table import Array, Series

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
Rows = list[tuple[int, list[str]]]  # the number of the line in the file, and its fields


def read_series(
    path: str | os.PathLike[str],
    columns: Sequence[str] = (),
    dates: str | Sequence[str] = (),
    *,
    missing: str = "raise",
    missing_words: Sequence[str] = MISSING_WORDS,
    date_format: str = "",
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
) -> Series:
    r"""Read columns of numbers from a CSV file whose first line names the columns.

    Args:
        path: the file.
        columns: names of those to read; by default all that are no dates.
        dates: the column with dates, or columns with year, month, day, hour, minute and second
            (as many as there are); rows are numbered without it.
        missing: what to do about missing values: "raise" (an error), "drop", "forward",
            "interpolate" or "mask"; see `treat_missing`. The series counts them.
        missing_words: how the file spells a missing value.
        date_format: of `datetime.strptime`, such as "%d.%m.%Y"; by default ISO 8601.
        delimiter: between fields.
        encoding: of the text, such as "cp949"; by default UTF-8.

    Raises:
        DataError: if a column is not there, a field is no number or no date, dates are not in
            order or come twice, or values are missing and nothing was said about it; the message
            names the line.
        FileFormatError: if the file is no text of this encoding.
        MissingDataError: if there is no such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "heights.csv"
        >>> _ = path.write_text("month,cm\n2020-01,70\n2020-02,NA\n2020-03,74\n")
        >>> series = read_series(path, ["cm"], "month", missing="drop")
        >>> series.values.ravel().tolist(), str(series.missing)
        ([70.0, 74.0], '3 rows, missing: 1 of cm (drop; 1 rows left out)')
    """
    check_treatment(missing)
    path, parts = Path(path), [dates] if isinstance(dates, str) else list(dates)
    head, rows = _read_rows(path, delimiter, encoding)
    names = list(columns) or [name for name in head if name not in parts]
    places = _places(path, head, [*names, *parts])
    known = set(missing_words)
    values = np.array(
        [[_number(path, line, row, places[name], known, name) for name in names]
         for line, row in rows]
    )  # fmt: skip  # (time, columns)
    found = _read_dates(path, rows, [places[part] for part in parts], date_format)
    return treat_missing(Series(values, tuple(names), found), missing)


def _read_rows(path: Path, delimiter: str, encoding: str) -> tuple[list[str], Rows]:
    if not path.is_file():
        raise MissingDataError(explain("read_series", f"no file {path}", "a CSV file was expected"))
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            head = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        fix = 'say encoding=, such as "cp949"' if isinstance(error, UnicodeDecodeError) else ""
        rule = f"a CSV file in {encoding} was expected"
        raise FileFormatError(explain("read_series", f"{path}: {error}", rule, fix)) from error
    if not rows:
        raise _fault(path, 1, "there are no rows", "a line of names and rows were expected")
    for line, row in rows:
        if len(row) != len(head):
            raise _fault(path, line, f"{len(row)} fields", f"the first line has {len(head)}")
    return head, rows


def _fault(path: Path, line: int, given: str, rule: str, fix: str = "") -> DataError:
    return DataError(explain("read_series", f"{path}, line {line}: {given}", rule, fix))


def _places(path: Path, head: list[str], wanted: list[str]) -> dict[str, int]:
    for name in wanted:
        if head.count(name) != 1:
            given = f"{head.count(name) or 'no'} column{'s' * (name in head)} {name!r}"
            raise _fault(path, 1, given, f"columns are {', '.join(head)}")
    return {name: head.index(name) for name in wanted}


def _number(
    path: Path, line: int, row: list[str], place: int, missing: set[str], name: str
) -> float:
    text = row[place].strip()
    if text in missing:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        fix = "if it means a missing value, add it to missing_words"
        raise _fault(path, line, f"{name} is {text!r}", "it is a finite number", fix)
    return value


# --- dates --------------------------------------------------------------------------------------


def _read_dates(path: Path, rows: Rows, places: list[int], form: str) -> Array | None:
    if not places:
        return None
    found = np.array([_date(path, line, [row[i] for i in places], form) for line, row in rows])
    steps = np.diff(found).astype(np.int64)
    if (steps <= 0).any():
        at = int((steps <= 0).argmax()) + 1
        line, same = rows[at][0], steps[at - 1] == 0
        given = f"{found[at]} comes {'twice' if same else f'after {found[at - 1]}'}"
        fix = "leave one of them out" if same else "sort the file by date"
        raise _fault(path, line, given, "each date is later than the one before", fix)
    return found


def _date(path: Path, line: int, texts: list[str], form: str) -> Any:
    try:
        if len(texts) > 1:
            numbers: list[Any] = [int(text) for text in texts] + [1] * (3 - len(texts))
            return np.datetime64(datetime(*numbers).isoformat(), "s")
        text = texts[0].strip()
        date = np.datetime64(datetime.strptime(text, form).isoformat() if form else text, "s")
    except (ValueError, TypeError) as error:
        given, rule = f"the date is {' '.join(texts)!r}", f"it has the form {form or 'YYYY-MM-DD'}"
        raise _fault(path, line, given, rule, "say date_format=") from error
    if np.isnat(date):
        raise _fault(path, line, f"the date is {text!r}", "every row has a date")
    return date
