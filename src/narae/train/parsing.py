"""From the text of a setting to its value, by the annotation of the parameter that takes it."""

import types
import typing
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from narae.base.errors import ConfigError, explain

_TRUTH = {"true": True, "yes": True, "on": True, "1": True}
_TRUTH |= {"false": False, "no": False, "off": False, "0": False}


def parse_value(value: Any, annotation: Any, key: str) -> Any:
    """A value of the annotated type.

    Args:
        value: text (from a command line, a file), or a value as JSON and TOML have them.
        annotation: bool, int, float, str, Path, `X | None`, `tuple[X, ...]`, `Literal[...]`.
        key: the setting's name, for errors.

    Raises:
        ConfigError: if the value does not fit.

    >>> parse_value("3e-4", float, "lr"), parse_value("64,32", tuple[int, ...], "widths")
    (0.0003, (64, 32))
    """
    try:
        return _parsed(value, annotation)
    except (ValueError, TypeError, OverflowError) as error:
        given = f"{key} is {value!r}"
        raise ConfigError(explain("settings", given, f"it is {described(annotation)}")) from error


def can_be_set(annotation: Any) -> bool:
    """Whether a text can say such a value; a class or a function, for example, it cannot.

    >>> can_be_set(tuple[int, ...]), can_be_set(float | None), can_be_set(type)
    (True, True, False)
    """
    if _is_optional(annotation) or get_origin(annotation) is tuple:
        return all(can_be_set(kind) for kind in get_args(annotation) if kind is not ...)
    known = annotation in _PARSERS or annotation in (Any, types.NoneType)
    return known or get_origin(annotation) is Literal


def described(annotation: Any) -> str:
    """An annotation in words.

    >>> described(int), described(float | None), described(Literal["a", "b"])
    ('a whole number', 'a number or none', "one of 'a', 'b'")
    """
    if _is_optional(annotation):
        return " or ".join(map(described, get_args(annotation)))
    if get_origin(annotation) is tuple:
        return f"a list with commas, of which each is {described(get_args(annotation)[0])}"
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(repr, get_args(annotation)))
    words = {int: "a whole number", float: "a number", bool: "yes or no", str: "a text"}
    words |= {Path: "a path", types.NoneType: "none"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _parsed(value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    if _is_optional(annotation):
        return _first_fitting(value, get_args(annotation))
    if get_origin(annotation) is tuple:
        return _parsed_tuple(value, get_args(annotation))
    if get_origin(annotation) is Literal:
        found = [choice for choice in get_args(annotation) if str(choice) == str(value)]
        if not found:
            raise ValueError(value)
        return found[0]
    return _PARSERS[annotation](value)


def _parsed_tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    items = value.split(",") if isinstance(value, str) else list(value)
    if len(kinds) == 2 and kinds[1] is ...:
        kinds = (kinds[0],) * len(items)
    if len(kinds) != len(items):
        raise ValueError(value)
    return tuple(_parsed(item, kind) for item, kind in zip(items, kinds, strict=True))


def _first_fitting(value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None or str(value).lower() == "none":
        if types.NoneType in kinds:
            return None
        raise ValueError(value)
    for kind in (kind for kind in kinds if kind is not types.NoneType):
        try:
            return _parsed(value, kind)
        except (ValueError, TypeError):
            continue
    raise ValueError(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTH:
        raise ValueError(value)
    return _TRUTH[str(value).lower()]


def _whole(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or value != int(value):
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


_PARSERS: dict[Any, typing.Callable[[Any], Any]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: _text,
    Path: Path,
}
