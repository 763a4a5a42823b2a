"""Options from a file: the command line wins over the file, the file over the defaults."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

from .parser import suggestion

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_SET = "set"  # the option, and the section, that holds settings of a recipe
_NOT_IN_FILES = ("help", "config", "config_encoding", "save_config")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about settings files."""
    group = parser.add_argument_group("settings file")
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"take options from the section [{_section(parser)}] of an .ini or .toml file, and "
        "settings of the recipe from its section [set]; those on the command line win",
    )
    group.add_argument(
        "--config-encoding", default="utf-8", metavar="NAME", help="of its text (default: utf-8)"
    )
    group.add_argument(
        "--save-config", type=Path, metavar="FILE", help="write the options to FILE and stop"
    )


def use_file(
    parser: argparse.ArgumentParser, path: Path, encoding: str, sections_known: Sequence[str]
) -> None:
    """Make what a settings file says the defaults of a command.

    Settings of the recipe, in the section [set] or the option "set", become `file_settings`.

    Args:
        parser: of the command.
        path, encoding: of the file.
        sections_known: the names that its sections may have.

    Raises:
        ConfigError: for an option that the command does not have, or a value of the wrong kind.
    """
    from narae.io import read_config

    sections = read_config(path, encoding)
    section = _section(parser)
    _check_sections(sections, section, path, sections_known)
    known = _actions(parser)
    chosen: dict[str, Any] = dict(sections.get(_SET, {}))
    for key, value in {**sections.get("", {}), **sections.get(section, {})}.items():
        name = key.replace("-", "_")
        if name not in known:
            fix = suggestion(name, known) or f"one of {', '.join(known)}"
            given = f"{path} sets {key}"
            rule = f"narae {section} has no such option"
            raise ConfigError(explain("config", given, rule, fix))
        found = _converted(known[name], value, f"{path}: {key}")
        if name == _SET:
            chosen |= pairs(found, f"{path}: set", "config")
        else:
            parser.set_defaults(**{known[name].dest: found})
    parser.set_defaults(file_settings={key.replace("-", "_"): x for key, x in chosen.items()})


def _check_sections(
    sections: Mapping[str, Any], section: str, path: Path, known: Sequence[str]
) -> None:
    unknown = [name for name in sections if name not in ("", section, _SET, *known)]
    if not sections.get("") and section not in sections and _SET not in sections:
        given, rule = f"{path} has no section [{section}]", "each command has a section of its own"
        near = suggestion(section, unknown) and f"did you mean [{section}]?"
        raise ConfigError(explain("config", given, rule, near or f"begin it with [{section}]"))
    if unknown:
        given, rule = f"{path} has a section [{unknown[0]}]", "sections are commands, and [set]"
        fix = suggestion(unknown[0], (section, _SET, *known)) or f"one of {', '.join(known)}, set"
        raise ConfigError(explain("config", given, rule, fix))


def save_file(parser: argparse.ArgumentParser, options: Any, path: Path) -> None:
    """Write the options that are set into a settings file."""
    from narae.io import write_config

    actions = {name: action for name, action in _actions(parser).items() if name != _SET}
    found = {name: getattr(options, action.dest) for name, action in actions.items()}
    chosen = {
        name: _plain(value) for name, value in found.items() if value is not None and value != []
    }
    sections = {_section(parser): chosen}
    settings = {**options.file_settings, **pairs(getattr(options, _SET, []), "--set")}
    if settings:
        sections[_SET] = settings
    write_config(path, sections)


def pairs(texts: Iterable[str], option: str, where: str = "settings") -> dict[str, str]:
    """Names and values of texts such as "lr=3e-4".

    Raises:
        ConfigError: for a text without "=".

    >>> pairs(["lr=3e-4", "weight-decay=0"], "--set")
    {'lr': '3e-4', 'weight_decay': '0'}
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            given, rule = f"{option} {text}", "a setting is given as NAME=VALUE"
            raise ConfigError(explain(where, given, rule, "lr=3e-4, for example"))
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def _section(parser: argparse.ArgumentParser) -> str:
    return parser.prog.split()[-1]


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The options of a command by their names: "from" for --from, whatever keeps its value."""
    found = {_name_of(action): action for action in parser._actions}
    return {name: action for name, action in found.items() if name not in _NOT_IN_FILES}


def _name_of(action: argparse.Action) -> str:
    long = next((x for x in action.option_strings if x.startswith("--")), action.dest)
    return long.removeprefix("--").replace("-", "_")


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
