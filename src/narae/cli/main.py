"""`main`: read the command line, do what it says, turn errors into a message and an exit code."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from narae.base.errors import NaraeError

from . import (
    convert,
    evaluate,
    export,
    find,
    inspect,
    logs,
    models,
    predict,
    recipes,
    report,
    runs,
    settings,
    summary,
    sweep,
    train,
)
from .codes import BAD_INPUT, BROKEN_PIPE, INTERRUPTED, OK
from .parser import Parser, check_leftovers
from .version import version_text

_COMMANDS = (
    train,
    evaluate,
    predict,
    summary,
    models,
    recipes,
    runs,
    report,
    sweep,
    find,
    export,
    inspect,
    convert,
)
logger = logging.getLogger("narae.cli")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 for bad input, 130 after Ctrl-C, 141 for a pipe
    that was closed.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    narae ...
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with contextlib.suppress(AttributeError, ValueError):  # a stream that cannot be set is left
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        return _run(given)
    except NaraeError as error:
        logger.debug("where the error rose", exc_info=True)
        print(f"error: {error}", *getattr(error, "__notes__", ()), sep="\n  ", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # whoever read the output has enough, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that exit is silent
        return BROKEN_PIPE
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped", file=sys.stderr)
        return INTERRUPTED


def _run(given: list[str]) -> int:
    parser = _parser()
    options, leftovers = parser.parse_known_args(given)
    if options.version:
        print(version_text())
        return OK
    check_leftovers(options.parser if options.command else parser, leftovers)
    if not options.command:
        parser.print_help()
        return OK
    options = _with_settings_file(parser, options, given)
    if options.save_config is not None:
        settings.save_file(options.parser, options, options.save_config)
        return OK
    logs.configure(options)
    options.given = ["narae", *given]
    return int(options.run(options))


def _with_settings_file(parser: Parser, options: Any, given: list[str]) -> Any:
    """Read the command line again, above the defaults of a settings file."""
    if options.config is None:
        return options
    known = [_name_of(command) for command in _COMMANDS]
    settings.use_file(options.parser, options.config, options.config_encoding, known)
    return parser.parse_args(given)


def _parser() -> Parser:
    parser = Parser(
        prog="narae", description="Train neural networks with Narae, and look at the results."
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    for command in _COMMANDS:
        own: argparse.ArgumentParser = command.add_parser(commands)
        settings.add_options(own)
        logs.add_options(own)
        own.set_defaults(run=command.run, parser=own, file_settings={}, given=[])
    return parser


def _name_of(command: ModuleType) -> str:
    return command.__name__.rpartition(".")[2]
