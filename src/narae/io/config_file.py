"""Settings in a file: `.ini` and `.toml`, read and written."""

import configparser
import io
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain

from .atomic import atomic_write
from .texts import read_text

Sections = dict[str, dict[str, Any]]
_KINDS = (".ini", ".cfg", ".toml")


def read_config(path: str | os.PathLike[str], encoding: str = "utf-8") -> Sections:
    """Read the sections of a settings file.

    Args:
        path: a file that ends in .ini, .cfg or .toml.
        encoding: of its text, such as "cp949".

    Returns:
        The settings of each section. Those of an .ini are texts, those of a .toml have types;
        what stands before the first section of a .toml is the section "".

    Raises:
        ConfigError: for another ending.
        FileFormatError: if the file breaks the rules of its format; the message names the line.
        MissingDataError: if there is no such file.
    """
    place = Path(path)
    _check_kind(place)
    if not place.is_file():
        given, rule = f"there is no file {place}", "settings were expected there"
        raise MissingDataError(explain("config", given, rule, "check the path"))
    text = read_text(place, encoding, "config")
    try:
        return _read_toml(text) if place.suffix == ".toml" else _read_ini(text)
    except (configparser.Error, tomllib.TOMLDecodeError) as error:
        problem = " ".join(str(error).split()).replace("'<string>'", str(place))
        given, rule = (
            f"{place}: {problem}",
            f"a {place.suffix} file holds [sections] of key = value",
        )
        raise FileFormatError(explain("config", given, rule)) from error


def write_config(
    path: str | os.PathLike[str], sections: Mapping[str, Mapping[str, Any]], encoding: str = "utf-8"
) -> None:
    """Write sections of numbers, texts and yes or no; `read_config` gives them back.

    Raises:
        ConfigError: for an ending other than .ini, .cfg or .toml.
    """
    place = Path(path)
    _check_kind(place)
    text = _toml_text(sections) if place.suffix == ".toml" else _ini_text(sections)
    with atomic_write(place, "w", encoding=encoding) as file:
        file.write(text)


def _check_kind(place: Path) -> None:
    if place.suffix not in _KINDS:
        given = f"{place} ends in {place.suffix or 'nothing'}"
        raise ConfigError(explain("config", given, "settings stand in an .ini or a .toml file"))


def _read_ini(text: str) -> Sections:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _read_toml(text: str) -> Sections:
    found = tomllib.loads(text)
    sections: Sections = {name: value for name, value in found.items() if isinstance(value, dict)}
    loose = {name: value for name, value in found.items() if not isinstance(value, dict)}
    return {"": loose, **sections} if loose else sections


def _ini_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    for name, settings in sections.items():
        parser[name] = {key: _plain(value) for key, value in settings.items()}
    file = io.StringIO()
    parser.write(file)
    return file.getvalue()


def _toml_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML's numbers, texts and booleans are written as JSON writes them."""
    parts = []
    for name, settings in sections.items():
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()
        ]
        parts.append("\n".join([f"[{name}]", *lines, ""]))
    return "\n".join(parts)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
