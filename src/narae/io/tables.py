"""Tables in text files (CSV, TSV), by the names of their columns."""

import csv
import difflib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from narae.base.errors import DataError, FileFormatError, explain

from .texts import read_text

Table = dict[str, list[str]]
_TABS = {".tsv", ".tab"}


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    names: Sequence[str] | None = None,
) -> Table:
    r"""The columns of a CSV or TSV file, as text.

    Args:
        path: the file; .gz is unpacked.
        columns: names of those to return; all of them unless given.
        encoding: such as "utf-8" or "cp949".
        delimiter: what parts the fields; a tab for .tsv and .tab files and else a comma.
        names: of all columns, for a file whose first line is no header.

    Returns:
        For each column the text of its fields, (rows,).

    Raises:
        DataError: if there is no such column.
        FileFormatError: if the file is empty, or a row has more or fewer fields than the header.
        MissingDataError: if there is no such file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "films.csv"
        >>> _ = file.write_text('text,label\n"good, really",1\nbad,0\n')
        >>> read_table(file, columns=["text"])
        {'text': ['good, really', 'bad']}
    """
    if delimiter is None:
        suffixes = [suffix.lower() for suffix in Path(path).suffixes]
        delimiter = "\t" if _TABS.intersection(suffixes) else ","
    rows = _rows(path, read_text(path, encoding, "read_table"), delimiter)
    header = list(names) if names is not None else _header(path, rows)
    places = [_place(path, header, name) for name in (header if columns is None else columns)]
    for line, row in rows:
        if len(row) != len(header):
            given = f"{path}, line {line}: {_count(row)}, but {_count(header)} in the header"
            fix = f"quote a field that holds {delimiter!r}, or name the delimiter"
            raise FileFormatError(explain("read_table", given, "rows have one length", fix))
    return {header[place]: [row[place] for _, row in rows] for place in places}


def _rows(path: str | os.PathLike[str], text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Every row that is not blank, with the number of its last line."""
    # StringIO ends lines at "\n" alone; str.splitlines would break fields at form feeds, too.
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        given = f"{path}, line {reader.line_num}: {error}"
        rule = 'a quote ("…") closes before the next field'
        raise FileFormatError(explain("read_table", given, rule, 'write "" for a quote')) from error


def _header(path: str | os.PathLike[str], rows: list[tuple[int, list[str]]]) -> list[str]:
    if not rows:
        rule = "its first line names the columns"
        raise FileFormatError(explain("read_table", f"{path} is empty", rule))
    header = [name.strip() for name in rows.pop(0)[1]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        given = f"{path} has the column {twice[0]!r} twice"
        raise FileFormatError(explain("read_table", given, "columns have names of their own"))
    return header


def _place(path: str | os.PathLike[str], header: Sequence[str], name: str) -> int:
    if name in header:
        return header.index(name)
    close = difflib.get_close_matches(name, header, n=1)
    fix = f"did you mean {close[0]!r}?" if close else "name one of these"
    rule = f"its columns are {', '.join(map(repr, header))}"
    raise DataError(explain("read_table", f"{path} has no column {name!r}", rule, fix))


def _count(fields: Iterable[str]) -> str:
    count = len(list(fields))
    return f"{count} field{'s' * (count != 1)}"
