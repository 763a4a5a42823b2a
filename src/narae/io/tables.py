"""Tables in text files (CSV, TSV), by the names of their columns."""

import csv
import difflib
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from narae.base.errors import ConfigError, DataError, FileFormatError, explain

from .texts import read_text

Table = dict[str, list[str]]
_TABS = {".tsv", ".tab"}
_LONGEST = 2**31 - 1  # characters of a field; csv's own limit, 131,072, is less than a book


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    names: Sequence[str] | None = None,
    quoted: bool = True,
) -> Table:
    r"""The columns of a CSV or TSV file, as text; empty lines are no rows.

    Args:
        path: the file; .gz is unpacked.
        columns: names of those to return; all of them unless given.
        encoding: such as "utf-8" or "cp949".
        delimiter: what parts the fields; a tab for .tsv and .tab files and else a comma.
        names: of all columns, for a file whose first line is no header.
        quoted: whether a field may stand in quotes ("..."), with delimiters and line ends in it;
            False for files, often with tabs, in which a quote is a character like any other.

    Returns:
        For each column the text of its fields, (rows,).

    Raises:
        ConfigError: if the delimiter is not one character.
        DataError: if there is no such column, or one of `names` comes twice.
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
        name = str(path).lower().removesuffix(".gz")
        delimiter = "\t" if Path(name).suffix in _TABS else ","
    if len(delimiter) != 1 or delimiter in '\r\n"':
        given = f"delimiter is {delimiter!r}"
        raise ConfigError(explain("read_table", given, "it is one character, such as a comma"))
    rows = _rows(path, read_text(path, encoding, "read_table"), delimiter, quoted)
    header = _header(path, rows) if names is None else _given(names)
    places = [_place(path, header, name) for name in (header if columns is None else columns)]
    for line, row in rows:
        if len(row) != len(header):
            given = f"{path}, line {line}: {_count(row)}, but {_count(header)} in the header"
            fix = f"quote a field that holds {delimiter!r}, or name the delimiter"
            raise FileFormatError(explain("read_table", given, "rows have one length", fix))
    return {header[place]: [row[place] for _, row in rows] for place in places}


def _rows(
    path: str | os.PathLike[str], text: str, delimiter: str, quoted: bool
) -> list[tuple[int, list[str]]]:
    """Every row that is not empty, with the number of its last line."""
    if not quoted:
        lines = enumerate(text.split("\n"), 1)
        return [(number, line.split(delimiter)) for number, line in lines if line]
    # StringIO ends lines at "\n" alone; str.splitlines would break fields at form feeds, too.
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(_LONGEST)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        given = f"{path}, line {reader.line_num}: {error}"
        rule = 'a quote ("…") closes before the next field'
        fix = 'write "" for a quote, or read the file with quoted=False'
        raise FileFormatError(explain("read_table", given, rule, fix)) from error
    finally:
        csv.field_size_limit(limit)


def _header(path: str | os.PathLike[str], rows: list[tuple[int, list[str]]]) -> list[str]:
    if not rows:
        rule = "its first line names the columns"
        raise FileFormatError(explain("read_table", f"{path} is empty", rule))
    header = [name.strip() for name in rows.pop(0)[1]]
    twice = _twice(header)
    if twice:
        given = f"{path} has the column {twice[0]!r} twice"
        raise FileFormatError(explain("read_table", given, "columns have names of their own"))
    return header


def _given(names: Sequence[str]) -> list[str]:
    twice = _twice(names)
    if twice:
        given = f"names has {twice[0]!r} twice"
        raise DataError(explain("read_table", given, "columns have names of their own"))
    return list(names)


def _twice(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


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
