"""Lines for the user, unless none are wanted."""

from collections.abc import Callable
from typing import Any


def teller(quiet: bool) -> Callable[[Any], None]:
    """What is called with each line: prints it at once, or does nothing."""
    return _nothing if quiet else _print


def _print(line: Any) -> None:
    print(line, flush=True)


def _nothing(line: Any) -> None:
    pass
