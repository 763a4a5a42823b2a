"""`narae evaluate`: how good a saved model is."""

import json
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

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
        "--part",
        choices=("test", "validation", "train"),
        default="test",
        help="which data (default: test); a recipe without validation data validates on test",
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
    parser.add_argument(
        "--recipe", metavar="FILE", help="the recipe.py, if it is one of your own; or a name"
    )
    add_weights_options(parser)


def add_weights_options(parser: Any) -> None:
    """Add the options that name weights from elsewhere."""
    parser.add_argument(
        "--weights",
        metavar="PATH",
        help="weights of a file or folder (.safetensors, .pt, .pth), or of a Hugging Face "
        "repository OWNER/NAME",
    )
    parser.add_argument(
        "--ignore-mismatched",
        action="store_true",
        help="leave out weights of other shapes, such as those of a head for other classes",
    )


def saved_model(options: Any, data_dir: Path | None = None) -> Any:
    """The model that the options name.

    Raises:
        ConfigError: if they name two.
    """
    from narae.train.runs.saved import load_run, run_of_weights

    if options.weights is None:
        return load_run(options.checkpoint, options.recipe)
    if options.checkpoint is not None:
        given, rule = "--weights and --checkpoint are both given", "one model is looked at"
        raise ConfigError(explain("narae", given, rule, "choose one"))
    return run_of_weights(options.weights, options.recipe, options.ignore_mismatched, data_dir)


def run(options: Any) -> int:
    """Judge and print."""
    from narae.train.runs.evaluation import evaluate_run

    saved = saved_model(options, options.data_dir)
    found = evaluate_run(saved, options.data_dir, options.part, options.batch_size)
    if options.json:
        print(json.dumps({"checkpoint": str(saved.path), **found.as_dict()}, indent=2))
    else:
        print(saved.title, found, sep="\n")
    if options.picture is not None:
        found.draw(options.picture, saved)
    return 0
