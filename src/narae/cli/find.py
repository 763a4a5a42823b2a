"""`narae find lr RECIPE` and `narae find batch-size RECIPE`: settings to begin with."""

import json
from pathlib import Path
from typing import Any

from .codes import OK
from .telling import teller
from .train import add_set_option, with_settings
from .types import count, positive


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "find",
        help="find a learning rate or a batch size to begin with",
        description="Find a setting to begin with. lr: train a fresh model while the learning rate "
        "grows (range test of Smith, 2017), and see where its loss falls fastest. batch-size: "
        "double it, each in a process of its own, and see samples a second and memory.",
    )
    parser.add_argument("what", choices=("lr", "batch-size"), help="lr or batch-size")
    parser.add_argument("recipe", help="a name that `narae recipes` lists, or your own recipe.py")
    add_set_option(parser)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    _add_rate_options(parser.add_argument_group("lr"))
    _add_size_options(parser.add_argument_group("batch-size"))
    return parser


def _add_rate_options(group: Any) -> None:
    group.add_argument(
        "--lowest", type=positive, default=1e-7, metavar="X", help="first rate (default: 1e-7)"
    )
    group.add_argument(
        "--highest", type=positive, default=10.0, metavar="X", help="last rate (default: 10)"
    )
    group.add_argument(
        "--updates", type=count, default=100, metavar="N", help="how many (default: 100)"
    )
    group.add_argument("--picture", type=Path, metavar="FILE", help="draw the losses to a PNG")


def _add_size_options(group: Any) -> None:
    group.add_argument(
        "--smallest", type=count, default=8, metavar="N", help="first batch size (default: 8)"
    )
    group.add_argument(
        "--largest", type=count, default=4096, metavar="N", help="last one (default: 4096)"
    )
    group.add_argument(
        "--seconds", type=positive, default=2.0, metavar="X", help="for each (default: 2)"
    )
    group.add_argument(
        "--memory", type=positive, metavar="GIB", help="the most to use (default: what there is)"
    )


def run(options: Any) -> int:
    """Find it and say how to use it."""
    from narae.train.recipe import load_recipe

    recipe = with_settings(load_recipe(options.recipe), options)
    return _find_rate(options, recipe) if options.what == "lr" else _find_size(options, recipe)


def _find_rate(options: Any, recipe: Any) -> int:
    from narae.train.find_lr import find_lr

    found = find_lr(recipe, options.data_dir, options.lowest, options.highest, options.updates)
    if options.json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        print(found, _next_command(options, f"lr={found.steepest:.2g}"), sep="\n")
    if options.picture is not None:
        found.draw(options.picture, f"{recipe.name}: loss by learning rate")
    return OK


def _find_size(options: Any, recipe: Any) -> int:
    from narae.train.find_batch_size import HEAD, best_of, find_batch_size

    tell = teller(options.json)
    tell(HEAD)
    trials = find_batch_size(
        recipe,
        options.data_dir,
        options.smallest,
        options.largest,
        options.seconds,
        round((options.memory or 0) * 2**30),
        tell,
    )
    best = best_of(trials)
    if options.json:
        found = {"best": best.batch_size, "trials": [vars(trial) for trial in trials]}
        print(json.dumps(found, indent=2))
    else:
        print(f"{best.batch_size:,} is the smallest within 5 % of the fastest")
        print(_next_command(options, f"batch_size={best.batch_size}"))
    return OK


def _next_command(options: Any, setting: str) -> str:
    words = " ".join([*options.set, setting])
    return f"try: narae train {options.recipe} --set {words}"
