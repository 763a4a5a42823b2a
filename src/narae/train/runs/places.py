"""Where runs are, and folders that nobody has yet."""

import os
from pathlib import Path

from narae.base.errors import ConfigError, explain

RUNS = Path("runs")  # unless the user says another place


def free_folder(base: Path, name: str, where: str = "train") -> Path:
    """Make a new folder: "name", or "name-2" and so on where that is taken.

    Processes that ask at the same time get a folder each.

    Args:
        base: where; it is made too.
        name: of the folder.
        where: the command, for errors.

    Raises:
        ConfigError: if it cannot be made.

    >>> import tempfile
    >>> base = Path(tempfile.mkdtemp())
    >>> [free_folder(base, "digits").name for _ in range(2)]
    ['digits', 'digits-2']
    """
    make_folder(base, where)
    path, number = base / name, 1
    while True:
        try:
            path.mkdir(exist_ok=False)
        except FileExistsError:
            number += 1
            path = base / f"{name}-{number}"
        except OSError as error:
            raise ConfigError(_refusal(path, where, error)) from error
        else:
            return path


def make_folder(path: Path, where: str = "train") -> None:
    """Make a folder, if it is not there.

    Args:
        path: of the folder.
        where: the command, for errors.

    Raises:
        ConfigError: if it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(_refusal(path, where, error)) from error
    if not os.access(path, os.W_OK):
        given = f"{path} cannot be written to"
        raise ConfigError(explain(where, given, "--out names a folder", "choose another place"))


def _refusal(path: Path, where: str, error: OSError) -> str:
    given = f"{path} cannot be made a folder ({error.strerror})"
    return explain(where, given, "--out names a folder", "choose another place")
