"""What the `narae` logger writes: chosen levels, as text for people or JSON for programs."""

import json
import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from narae.base.errors import ConfigError, explain

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")
_TEXT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what `extra=` added.

    >>> record = logging.makeLogRecord({"name": "narae", "levelname": "INFO", "msg": "hi", "lr": 1})
    >>> text = JsonFormatter().format(record)
    >>> {k: v for k, v in json.loads(text).items() if k != "time"}
    {'level': 'info', 'logger': 'narae', 'message': 'hi', 'lr': 1}
    """

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created)
        found: dict[str, Any] = {
            "time": time.astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found.update({key: value for key, value in vars(record).items() if key not in _OWN})
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, logger and message in a line."""

    def __init__(self) -> None:
        super().__init__(_TEXT, "%H:%M:%S")


def configure_logging(
    level: str | int = "warning",
    format: str = "text",
    file: str | Path | None = None,
    stream: TextIO | None = None,
) -> logging.Logger:
    """Send what Narae logs to standard error, or to a file; what was set before is replaced.

    Args:
        level: "debug", "info", "warning", "error", "critical", or a number of `logging`.
        format: "text" or "json".
        file: appended to, in UTF-8, instead of writing to the stream.
        stream: standard error unless given.

    Returns:
        The logger named "narae", whose children are "narae.train", "narae.compile" and so on.

    Raises:
        ConfigError: for another level or format, or a file that cannot be written.
    """
    chosen = _level(level)
    if format not in FORMATS:
        given, rule = f"the format is {format!r}", f"it is one of {', '.join(FORMATS)}"
        raise ConfigError(explain("logging", given, rule))
    logger = logging.getLogger("narae")
    handler = _handler(file, stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(chosen)
    return logger


def _level(level: str | int) -> int:
    if isinstance(level, int):
        return level
    if level.lower() not in LEVELS:
        given, rule = f"the level is {level!r}", f"it is one of {', '.join(LEVELS)}"
        raise ConfigError(explain("logging", given, rule))
    return int(getattr(logging, level.upper()))


def _handler(file: str | Path | None, stream: TextIO | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(stream or sys.stderr)
    try:
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        given, rule = f"{file} cannot be written ({error.strerror})", "a log needs a place"
        raise ConfigError(explain("logging", given, rule, "choose another file")) from error
