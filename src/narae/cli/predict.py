"""`narae predict image.png`: what a saved model takes a picture for."""

import json
from pathlib import Path
from typing import Any

from .evaluate import add_model_options, saved_model
from .types import count

_BAR = 24


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "predict",
        help="say what pictures show",
        description="Classify picture files with a saved model; a recipe with a function "
        "predict(model, path) answers in its own way.",
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="image", help="PNG, JPEG, ...")
    add_model_options(parser)
    parser.add_argument(
        "--top", type=count, default=3, metavar="N", help="classes to show (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Classify and print."""
    from narae.train.runs.predictions import Answer, predict_files

    saved = saved_model(options)
    found = predict_files(saved, options.images)
    if options.json:
        print(json.dumps([each.as_dict() for each in found], indent=2, default=str))
        return 0
    if not options.quiet:
        print(f"by {saved.title}")
    for each in found:
        if isinstance(each, Answer):
            print(f"{each.path}: {each.said}")
            continue
        print(f"{each.path}: {each.ranked[0][0]}")
        print(*_bars(each.ranked[: options.top]), sep="\n")
    return 0


def _bars(ranked: list[tuple[str, float]]) -> list[str]:
    width = max(len(name) for name, _ in ranked)
    return [
        f"  {name:<{width}}  {share:7.2%}  {'█' * round(share * _BAR)}".rstrip()
        for name, share in ranked
    ]
