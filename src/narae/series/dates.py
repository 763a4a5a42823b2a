"""Dates as text: ISO 8601, or a form that is named; with an offset they are told in UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

# A year, month, day, hour, minute and second, as many as there are, and an offset from UTC.
_ISO = re.compile(
    r"(\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?)?)?)(?:\.0+)?(Z|[+-]\d\d(?::?\d\d)?)?"
)
FORM = "YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS"


def parse_date(text: str, form: str = "") -> tuple[Any, bool]:
    """A date, and whether its text has an offset from UTC.

    Args:
        text: the date.
        form: of `datetime.strptime`, such as "%d.%m.%Y"; by default ISO 8601 with dashes.

    Returns:
        (datetime64[s], whether it has an offset); with one, the date is told in UTC.

    Raises:
        ValueError, OverflowError: if it is none, or has fractions of a second.

    >>> parse_date("2020-01-01T09:00+09:00")
    (np.datetime64('2020-01-01T00:00:00'), True)
    """
    text = text.strip()
    if form:
        return _whole(datetime.strptime(text, form))
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("another form")
    date, offset = np.datetime64(found[1].replace(" ", "T"), "s"), found[2]
    return (date - _seconds(offset), True) if offset else (date, False)


def join_date(texts: Sequence[str]) -> tuple[Any, bool]:
    """A date from the texts of its year, month, day, hour, minute and second, as many as there are.

    Raises:
        ValueError, OverflowError, TypeError: if they are none.

    >>> join_date(["2010", "12"])[0]
    np.datetime64('2010-12-01T00:00:00')
    """
    numbers: list[Any] = [int(text) for text in texts] + [1] * (3 - len(texts))
    return _whole(datetime(*numbers))


def _whole(date: datetime) -> tuple[Any, bool]:
    if date.microsecond:
        raise ValueError("fractions of a second")
    known = date.tzinfo is not None
    return np.datetime64((date.astimezone(UTC) if known else date).replace(tzinfo=None), "s"), known


def _seconds(offset: str) -> Any:
    """What "+09:00", "-0330", "+09" or "Z" is ahead of UTC."""
    digits = offset.strip("Z+-").replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError("an offset of more than a day")
    seconds = 3600 * hours + 60 * minutes
    return np.timedelta64(-seconds if offset.startswith("-") else seconds, "s")
