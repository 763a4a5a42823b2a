"""Series from CSV files: columns by name, dates, and missing values."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DataError, FileFormatError, MissingDataError, explain

from .dates import FORM, join_date, parse_date
from .gaps import check_treatment, treat_missing
from .table import Array, Series

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
Rows = list[tuple[int, list[str]]]  # the number of the line in the file, and its fields


def read_series(
    path: str | os.PathLike[str],
    columns: str | Sequence[str] = (),
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
        columns: the name of the one to read, or names; by default all that are no dates.
        dates: the column with dates, or columns with year, month, day, hour, minute and second
            (as many as there are); rows are numbered without it. Dates with an offset from UTC
            ("+09:00", "Z", or "%z" in `date_format`) are told in UTC.
        missing: what to do about missing values: "raise" (an error), "drop", "forward",
            "interpolate" or "mask"; see `treat_missing`. The series counts them.
        missing_words: how the file spells a missing value.
        date_format: of `datetime.strptime`, such as "%d.%m.%Y"; by default ISO 8601.
        delimiter: between fields.
        encoding: of the text, such as "cp949"; by default UTF-8.

    Empty lines are passed over; in a file of one column they are missing values.

    Raises:
        ConfigError: for a treatment, delimiter or encoding that there is not.
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
    path, parts = Path(path), _listed(dates)
    head, rows = _read_rows(path, delimiter, encoding)
    names = _listed(columns) or _other_columns(path, head, parts)
    places = _places(path, head, [*names, *parts])
    known = set(missing_words)
    values = np.array(
        [[_number(path, line, row, places[name], known, name) for name in names]
         for line, row in rows]
    )  # fmt: skip  # (time, columns)
    found = _read_dates(path, rows, [places[part] for part in parts], date_format)
    return treat_missing(Series(values, tuple(names), found), missing)


def _listed(names: str | Sequence[str]) -> list[str]:
    return ([names] if names else []) if isinstance(names, str) else list(names)


def _other_columns(path: Path, head: list[str], dates: list[str]) -> list[str]:
    names = [name for name in head if name not in dates]
    if not names:
        raise _fault(path, 1, "there are dates alone", "a column of numbers was expected")
    if all(_is_number(name) for name in names):
        given, rule = f"the names are {', '.join(names)}", "the first line names the columns"
        raise _fault(path, 1, given, rule, "add such a line, or say columns=")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_rows(path: Path, delimiter: str, encoding: str) -> tuple[list[str], Rows]:
    if not path.is_file():
        raise MissingDataError(explain("read_series", f"no file {path}", "a CSV file was expected"))
    line = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            head = [name.strip() for name in next(reader, [])]
            rows = []
            for row in reader:
                line = reader.line_num
                rows.append((line, row))
    except (LookupError, TypeError) as error:
        given = f"encoding is {encoding!r}, delimiter is {delimiter!r}"
        rule = "a known encoding and one character"
        raise ConfigError(explain("read_series", given, rule)) from error
    except (UnicodeError, csv.Error) as error:
        fix = 'say encoding=, such as "cp949"' if isinstance(error, UnicodeError) else ""
        given = f"{path}, after line {line}: {error}"
        rule = f"a CSV file in {encoding} was expected"
        raise FileFormatError(explain("read_series", given, rule, fix)) from error
    return head, _whole_rows(path, head, rows)


def _whole_rows(path: Path, head: list[str], rows: Rows) -> Rows:
    """Rows with a field for each column; an empty line is none, or one of one empty field."""
    while rows and not rows[-1][1]:
        rows.pop()
    if len(head) == 1:
        rows = [(line, row or [""]) for line, row in rows]
    rows = [(line, row) for line, row in rows if row]
    if not rows:
        raise _fault(path, 1, "there are no rows", "a line of names and rows were expected")
    for line, row in rows:
        if len(row) != len(head):
            raise _fault(path, line, f"{len(row)} fields", f"the first line has {len(head)}")
    return rows


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
    value = float(text) if _is_number(text) else np.inf
    if not np.isfinite(value) or "_" in text:  # to Python, 1_000 is a number
        fix = "if it means a missing value, add it to missing_words"
        raise _fault(path, line, f"{name} is {text!r}", "it is a finite number", fix)
    return value


# --- dates --------------------------------------------------------------------------------------


def _read_dates(path: Path, rows: Rows, places: list[int], form: str) -> Array | None:
    if not places:
        return None
    pairs = [_date(path, line, [row[i] for i in places], form) for line, row in rows]
    found, offsets = (np.array(each) for each in zip(*pairs, strict=True))
    if (offsets != offsets[0]).any():
        line = rows[int((offsets != offsets[0]).argmax())][0]
        given = f"a date with{'out' * bool(offsets[0])} an offset from UTC"
        raise _fault(path, line, given, "all have one or none has")
    steps = np.diff(found).astype(np.int64)
    if (steps <= 0).any():
        at = int((steps <= 0).argmax()) + 1
        line, same = rows[at][0], steps[at - 1] == 0
        given = f"{found[at]} comes {'twice' if same else f'after {found[at - 1]}'}"
        fix = "leave one of them out" if same else "sort the file by date"
        raise _fault(path, line, given, "each date is later than the one before", fix)
    return found


def _date(path: Path, line: int, texts: list[str], form: str) -> tuple[Any, bool]:
    try:
        return join_date(texts) if len(texts) > 1 else parse_date(texts[0], form)
    except (ValueError, TypeError, OverflowError) as error:
        given = f"the date is {' '.join(texts)!r}"
        rule = f"it has the form {form or FORM}, in whole seconds"
        raise _fault(path, line, given, rule, "say date_format=") from error
