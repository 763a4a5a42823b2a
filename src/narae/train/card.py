"""What a recipe says about itself, read from its text without running it."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

from narae.base.errors import ConfigError, explain

FIELDS = ("task", "data", "expect", "time")


@dataclass(frozen=True)
class Card:
    """The first line of a recipe's docstring, and its lines `name: text`.

    Attributes:
        summary: the first line.
        fields: "task", "data", "expect" (the figure that it reaches), "time"; as far as given.
    """

    summary: str
    fields: dict[str, str] = field(default_factory=dict)


def read_card(path: Path, source: bytes | None = None) -> Card:
    """The card of a recipe's file.

    Args:
        path: the file.
        source: its text, if it was read before.

    Raises:
        ConfigError: if it is not a text of Python.
    """
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes() if source is None else source)) or ""
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        given, rule = f"{path} is no Python program ({error})", "a recipe is a Python file"
        raise ConfigError(explain("recipe", given, rule)) from error
    summary, _, rest = text.partition("\n")
    found: dict[str, str] = {}
    for line in rest.splitlines():
        name, colon, words = line.partition(":")
        if colon and name.strip() in FIELDS:
            found[name.strip()] = words.strip()
    return Card(summary, found)
