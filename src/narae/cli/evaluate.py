"""`narae evaluate`: how good a saved model is."""

import json
from pathlib import Path
from typing import Any

from .types import count


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "evaluate",
        help="judge a saved model on its recipe's data",
        description="Judge a saved model on the data of its recipe: loss, accuracy, precision and "
        "recall of each class, what is taken for what.",
    )
    add_model_options(parser)
    parser.add_argument(
        "--part", choices=("test", "train"), default="test", help="which data (default: test)"
    )
    parser.add_argument(
        "--batch-size", type=count, default=256, metavar="N", help="samples at once (default: 256)"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw confusion and mistakes to a PNG"
    )
    return parser


def add_model_options(parser: Any) -> None:
    """Add the options that name a saved model."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="a checkpoint or the folder of a run (default: the newest run in runs/)",
    )
    parser.add_argument("--recipe", metavar="FILE", help="the recipe.py, if it is one of your own")


def run(options: Any) -> int:
    """Judge and print."""
    from narae.train.runs.evaluation import evaluate_run
    from narae.train.runs.saved import load_run

    saved = load_run(options.checkpoint, options.recipe)
    found = evaluate_run(saved, options.data_dir, options.part, options.batch_size)
    if options.json:
        print(json.dumps({"checkpoint": str(saved.path), **found.as_dict()}, indent=2))
    else:
        print(saved.title, found, sep="\n")
    if options.picture is not None:
        found.draw(options.picture, saved)
    return 0
