"""Checks of single numbers, with one wording for all who take them."""

from numbers import Integral

from narae.base.errors import ConfigError, explain


def positive(what: str, name: str, value: float) -> float:
    """A number above 0.

    Args:
        what: who takes it, for the error.
        name: of the argument.
        value: what was given.

    Raises:
        ConfigError: for another one.
    """
    if not 0 < value < float("inf"):
        given, rule = f"{name} is {value}", "it is a positive number"
        raise ConfigError(explain(what, given, rule))
    return float(value)


def at_least(what: str, name: str, value: int, least: int = 1) -> int:
    """A whole number that is not too small.

    Args:
        what: who takes it, for the error.
        name: of the argument.
        value: what was given.
        least: the smallest that is allowed.

    Raises:
        ConfigError: for a smaller one, or none that is whole.
    """
    if not isinstance(value, Integral) or value < least:
        rule = f"it is a whole number, at least {least}"
        raise ConfigError(explain(what, f"{name} is {value!r}", rule))
    return value
