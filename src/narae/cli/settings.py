"""Options from a file: the command line wins over the file, the file over the defaults."""

import argparse
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

from .parser import suggestion

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_NOT_IN_FILES = ("help", "config", "config_encoding", "save_config")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about settings files."""
    group = parser.add_argument_group("settings file")
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"take options from the section [{_section(parser)}] of an .ini or .toml file; "
        "those on the command line win",
    )
    group.add_argument(
        "--config-encoding", default="utf-8", metavar="NAME", help="of its text (default: utf-8)"
    )
    group.add_argument(
        "--save-config", type=Path, metavar="FILE", help="write the options to FILE and stop"
    )


def use_file(parser: argparse.ArgumentParser, path: Path, encoding: str) -> None:
    """Make what a settings file says the defaults of a command.

    Raises:
        ConfigError: for an option that the command does not have, or a value of the wrong kind.
    """
    from narae.io import read_config

    sections = read_config(path, encoding)
    section = _section(parser)
    found = {**sections.get("", {}), **sections.get(section, {})}
    if not found and section not in sections:
        given, rule = f"{path} has no section [{section}]", "each command has a section of its own"
        raise ConfigError(explain("config", given, rule, f"begin it with [{section}]"))
    known = _actions(parser)
    for key, value in found.items():
        name = key.replace("-", "_")
        if name not in known:
            fix = suggestion(name, known) or f"one of {', '.join(known)}"
            given = f"{path} sets {key}"
            rule = f"narae {section} has no such option"
            raise ConfigError(explain("config", given, rule, fix))
        parser.set_defaults(**{name: _converted(known[name], value, f"{path}: {key}")})


def save_file(parser: argparse.ArgumentParser, options: Any, path: Path) -> None:
    """Write the options that are set into a settings file."""
    from narae.io import write_config

    found = {name: getattr(options, name) for name in _actions(parser)}
    chosen = {
        name: _plain(value) for name, value in found.items() if value is not None and value != []
    }
    write_config(path, {_section(parser): chosen})


def _section(parser: argparse.ArgumentParser) -> str:
    return parser.prog.split()[-1]


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {a.dest: a for a in parser._actions if a.dest not in _NOT_IN_FILES}


def _converted(action: argparse.Action, value: Any, where: str) -> Any:
    """A value as the option would have made it."""
    try:
        if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
            return _count_or_truth(action, value)
        if action.nargs in ("*", "+"):
            words = value if isinstance(value, list) else str(value).split()
            return [_typed(action, word) for word in words]
        return _typed(action, value)
    except (argparse.ArgumentTypeError, ValueError) as error:
        problem = str(error) or f"{value!r} does not fit"
        rule = "it is given as on the command line"
        raise ConfigError(explain("config", f"{where}: {problem}", rule)) from error


def _typed(action: argparse.Action, value: Any) -> Any:
    made: Any = action.type(str(value)) if callable(action.type) else str(value)
    if action.choices is not None and made not in action.choices:
        choices = ", ".join(map(str, action.choices))
        raise argparse.ArgumentTypeError(f"{value!r} is not one of {choices}")
    return made


def _count_or_truth(action: argparse.Action, value: Any) -> bool | int:
    text = str(value).lower()
    if isinstance(action.default, int) and not isinstance(action.default, bool) and text.isdigit():
        return int(text)
    if text in _YES or text in _NO:
        return text in _YES
    raise argparse.ArgumentTypeError(f"{value!r} is neither yes nor no")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, bool | int | float) else str(value)
