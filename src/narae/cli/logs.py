"""The options about logging, which every command has."""

import argparse
from pathlib import Path
from typing import Any

_VERBOSE = ("warning", "info", "debug")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add -v, -q, --log-level, --log-format and --log-file."""
    group = parser.add_argument_group("what is said")
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="log what is done; -vv: every detail"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", help="no progress; only results and errors"
    )
    group.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error", "critical"),
        help="instead of -v and -q",
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="of a line (default: text)"
    )
    group.add_argument(
        "--log-file", type=Path, metavar="FILE", help="append to FILE instead of standard error"
    )


def level_of(options: Any) -> str:
    """The level that the options ask for: warnings, more with -v, errors alone with -q."""
    if options.log_level:
        return str(options.log_level)
    if options.quiet:
        return "error"
    return _VERBOSE[min(options.verbose, len(_VERBOSE) - 1)]


def configure(options: Any) -> None:
    """Send the log where the options say."""
    from narae.train.logs import configure_logging

    configure_logging(level_of(options), options.log_format, options.log_file)
