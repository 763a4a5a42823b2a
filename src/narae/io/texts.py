"""Text files in any encoding, with an error that names the line and the way out."""

import gzip
import os
import zlib
from pathlib import Path
from typing import NoReturn

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_NAMES = {"utf8", "utf-8", "utf_8", "u8", "utf-8-sig", "utf_8_sig"}
# Tried in this order, and cp1252 last: it takes nearly any bytes.
_LIKELY = ("utf-8", "utf-16", "cp949", "shift_jis", "cp1252")


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", what: str = "text") -> str:
    r"""The text of a file, plain or gzip-compressed; line ends become "\n".

    Args:
        path: the file.
        encoding: such as "utf-8" (with a byte order mark or without), or "cp949" for older Korean
            files.
        what: who reads it, for the message.

    Raises:
        ConfigError: if Python knows no such encoding.
        FileFormatError: if the bytes are not of that encoding, or begin with a byte order mark of
            UTF-8 and another one was named.
        MissingDataError: if there is no such file, or it is a folder.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "old.txt"
        >>> _ = file.write_bytes("안녕".encode("cp949"))
        >>> read_text(file, encoding="cp949")
        '안녕'
    """
    data = _bytes_of(Path(path), what)
    if encoding.lower() in _UTF8_NAMES:
        encoding = "utf-8"
    elif data.startswith(_UTF8_MARK):  # cp949 would read the mark as a syllable
        given = f"{path} begins with the byte order mark of UTF-8, and {encoding} was asked for"
        raise FileFormatError(explain(what, given, "text has one encoding", 'encoding="utf-8"'))
    try:
        text = data.decode(encoding).removeprefix("\ufeff")  # the mark
    except LookupError as error:
        rule = "an encoding is one that Python knows"
        raise ConfigError(explain(what, str(error), rule, "utf-8, or cp949 for Korean")) from error
    except UnicodeDecodeError as error:
        _report(path, what, data, error)
    except UnicodeError as error:  # of codecs that say no more, such as "undefined"
        given = f"{path} is no {encoding} ({error})"
        raise FileFormatError(explain(what, given, "text has one encoding")) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bytes_of(path: Path, what: str) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data
    except (FileNotFoundError, NotADirectoryError) as error:
        message = explain(what, f"there is no file {path}", "a text file was expected there")
        raise MissingDataError(message) from error
    except IsADirectoryError as error:
        message = explain(what, f"{path} is a folder", "a file was expected", "name one inside it")
        raise MissingDataError(message) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        given = f"{path}: the gzip data is damaged ({error})"
        rule = "a .gz file must unpack whole and match its checksum"
        raise FileFormatError(explain(what, given, rule, "fetch the file again")) from error


def _report(
    path: str | os.PathLike[str], what: str, data: bytes, error: UnicodeDecodeError
) -> NoReturn:
    line = data.count(b"\n", 0, error.start) + 1
    given = f"{path} is no {error.encoding} at byte {error.start}, in line {line}"
    likely = _likely_encoding(data, error.encoding)
    fix = f'name its encoding, such as encoding="{likely}"'
    if likely == "cp949":
        fix += " for older Korean files"
    raise FileFormatError(explain(what, given, "text has one encoding", fix)) from error


def _likely_encoding(data: bytes, wrong: str) -> str:
    """The first usual encoding in which every byte has a meaning."""
    for encoding in _LIKELY:
        if encoding == "utf-16" and not data.startswith(_UTF16_MARKS):
            continue
        try:
            data.decode(encoding)
        except UnicodeError:
            continue
        if encoding != wrong:
            return encoding
    return "cp949"
