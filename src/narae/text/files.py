"""Text from files: a whole text, its lines, or the columns of a table (CSV, TSV)."""

import os

from narae.base.errors import FileFormatError, explain
from narae.io.tables import read_table
from narae.io.texts import read_text

__all__ = ["read_lines", "read_table", "read_text"]


def read_lines(
    path: str | os.PathLike[str], encoding: str = "utf-8", skip_blank: bool = False
) -> list[str]:
    r"""The lines of a text file, without their ends; only "\n", "\r\n" and "\r" end a line.

    Args:
        path: the file; .gz is unpacked.
        encoding: such as "utf-8" or "cp949".
        skip_blank: leave lines without a word out.

    Raises:
        FileFormatError: if there is no line, or the bytes are of another encoding.
        MissingDataError: if there is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "lines.txt"
        >>> _ = file.write_text("one\n\ntwo\n")
        >>> read_lines(file), read_lines(file, skip_blank=True)
        (['one', '', 'two'], ['one', 'two'])
    """
    # Not str.splitlines: it also breaks at form feeds and U+2028, so pairs of files would shift.
    lines = read_text(path, encoding, "read_lines").split("\n")
    if not lines[-1]:
        lines.pop()
    if skip_blank:
        lines = [line for line in lines if line.strip()]
    if not lines:
        raise FileFormatError(explain("read_lines", f"{path} is empty", "it holds lines of text"))
    return lines
