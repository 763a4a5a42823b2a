"""Text files in any encoding, with an error that names the way out."""

import os
from pathlib import Path

from narae.base.errors import ConfigError, FileFormatError, explain


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", what: str = "text") -> str:
    """The text of a file.

    Args:
        path: the file.
        encoding: such as "utf-8", or "cp949" for older Korean files.
        what: who reads it, for the message.

    Raises:
        ConfigError: if Python knows no such encoding.
        FileFormatError: if the bytes are not of that encoding.
    """
    try:
        return Path(path).read_text(encoding)
    except LookupError as error:
        rule = "an encoding is one that Python knows"
        raise ConfigError(explain(what, str(error), rule, "utf-8, or cp949 for Korean")) from error
    except UnicodeDecodeError as error:
        given = f"{path} is no {encoding} at byte {error.start}"
        fix = 'name its encoding, such as encoding="cp949" for older Korean files'
        raise FileFormatError(explain(what, given, "text has one encoding", fix)) from error
