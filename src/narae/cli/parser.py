"""An argument parser whose errors have four parts and a suggestion."""

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from narae.base.errors import ConfigError, explain

_INVALID_CHOICE = re.compile(r"invalid choice: '(?P<word>.*?)' \(choose from (?P<known>.*)\)")


class _Help(argparse.HelpFormatter):
    """Help whose first column has room for the names of commands, which are indented.

    Words of which there may be none, after others, are nargs="+" and not required: with "*", none
    are taken as soon as an option comes between. They are shown as "*" is.
    """

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == "+" and not action.required:
            return f"[{action.metavar or default_metavar} ...]"
        return super()._format_args(action, default_metavar)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):
            width = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, width)


class Parser(argparse.ArgumentParser):
    """A parser that takes options at their full names only, and raises instead of exiting."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["allow_abbrev"] = False
        options.setdefault("formatter_class", _Help)
        super().__init__(*arguments, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            ConfigError: always.
        """
        match = _INVALID_CHOICE.search(message)
        if match is None:
            fix = f"`{self.prog} --help` shows every option"
            raise ConfigError(explain(self.prog, message, "each option takes one such value", fix))
        known = re.findall(r"[\w-]+", match["known"])
        rule = f"commands are {', '.join(known)}"
        fix = suggestion(match["word"], known) or f"`{self.prog} --help` explains them"
        raise ConfigError(explain(self.prog, f"there is no command {match['word']!r}", rule, fix))


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that is meant, as a question; nothing if none is near.

    >>> suggestion("--epoch", ["--lr", "--epochs"])
    'did you mean --epochs?'
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""


def check_leftovers(parser: argparse.ArgumentParser, leftovers: Sequence[str]) -> None:
    """Refuse what the parser did not understand.

    Raises:
        ConfigError: naming the first leftover and the option that is meant.
    """
    if not leftovers:
        return
    word = leftovers[0].partition("=")[0]
    known = [name for action in parser._actions for name in action.option_strings]
    long = [name for name in known if name.startswith("--")]
    if word.startswith("-"):
        given, rule = f"there is no option {word}", f"options are {', '.join(long)}"
    else:
        given, rule = f"{word!r} is one word too many", f"see `{parser.prog} --help`"
    fix = suggestion(word, known) or f"`{parser.prog} --help` explains them"
    raise ConfigError(explain(parser.prog, given, rule, fix))
