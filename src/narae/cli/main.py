"""`main`: read the command line, do what it says, turn errors into a message and an exit code."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence

from narae.base.errors import NaraeError

from . import recipes, train
from .parser import Parser, check_leftovers
from .version import version_text

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
_COMMANDS = (train, recipes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 for bad input, 130 after Ctrl-C.

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
        print(f"error: {error}", *getattr(error, "__notes__", ()), sep="\n  ", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
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
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    return int(options.run(options))


def _parser() -> Parser:
    parser = Parser(
        prog="narae", description="Train neural networks with Narae, and look at the results."
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    for command in _COMMANDS:
        own: argparse.ArgumentParser = command.add_parser(commands)
        own.add_argument("-v", "--verbose", action="store_true", help="say more")
        own.set_defaults(run=command.run, parser=own)
    return parser
