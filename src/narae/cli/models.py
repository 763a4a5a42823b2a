"""`narae models`: all models of pictures, with what each costs."""

import json
from typing import Any

from .types import count, shape


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "models",
        help="show all models with parameters, products, memory and time",
        description="Show models of pictures: parameters, products and sums of a forward pass, "
        "memory of weights and of all layers' results, and the time it takes.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="names or patterns, such as 'resnet*' (all)"
    )
    parser.add_argument(
        "--input",
        type=shape,
        metavar="SIZES",
        help="shape of a picture, such as 3,224,224 (default: that which each model is made for)",
    )
    parser.add_argument(
        "--batch-size", type=count, default=1, metavar="N", help="pictures a pass (default: 1)"
    )
    parser.add_argument("--no-time", action="store_true", help="measure no time")
    parser.add_argument(
        "--compiled", action="store_true", help="time each model compiled into one program"
    )
    parser.add_argument(
        "--repeats",
        type=count,
        default=3,
        metavar="N",
        help="time is the median of N passes (default: 3)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Print the table, line by line."""
    from narae.base.errors import ConfigError, explain
    from narae.explain.model_table import head_line, model_rows, row_line
    from narae.vision.models import list_models

    if options.input is not None and len(options.input) != 3:
        rule = "a picture is channels,height,width"
        raise ConfigError(explain("models", f"--input is {options.input}", rule, "3,224,224"))
    rows = model_rows(
        options.names,
        picture=options.input,
        batch_size=options.batch_size,
        timed=not options.no_time,
        compiled=options.compiled,
        repeats=options.repeats,
    )
    if options.json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return 0
    names = list_models(include=options.names or None)
    for place, row in enumerate(rows):
        if place == 0:
            print(head_line(names))
        print(row_line(row, names), flush=True)
    return 0
