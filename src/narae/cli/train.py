"""`narae train`: train a recipe and show the result."""

import argparse
import sys
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, MissingDataError, explain

from .types import count, positive, whole

_DEFAULT = "digits-cnn"
_INTERRUPTED = 130


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "train",
        help="train a recipe: a network on some data",
        description="Train a recipe and write its checkpoints, history and picture to a folder.",
    )
    parser.add_argument(
        "recipe",
        nargs="?",
        help=f"a name that `narae recipes` lists, or your own recipe.py (default: {_DEFAULT})",
    )
    run = parser.add_argument_group("the run (defaults are the recipe's)")
    run.add_argument("--epochs", type=count, metavar="N", help="passes over the training data")
    run.add_argument("--lr", type=positive, metavar="X", help="learning rate")
    run.add_argument("--batch-size", type=count, metavar="N", help="samples a step")
    run.add_argument("--seed", type=whole, metavar="N", help="of every random number")
    run.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the recipe or of the run: --set lr=3e-4 patience=5",
    )
    run.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make each step one program (default), or run each operation at once",
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    files.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: runs/<recipe>)"
    )
    files.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with the run in this folder"
    )
    return parser


def run(options: Any) -> int:
    """Train; returns 0, or 130 if the user stopped it."""
    from narae.train.recipe import load_recipe
    from narae.train.runs.folder import RunFolder
    from narae.train.runs.launch import resume, start

    tell = _nothing if options.quiet else print
    _check_paths(options)
    common = {"data_dir": options.data_dir, "quiet": options.quiet, "tell": tell}
    if options.resume is None:
        recipe = load_recipe(options.recipe or _DEFAULT).changed(_settings(options))
        folder, trainer = start(recipe, options.out, **common)
    else:
        folder = RunFolder(options.resume)
        recipe = folder.plan().load(options.recipe).changed(_settings(options))
        trainer = resume(folder, recipe, **common)
    if trainer.stop:
        print(f"{trainer.stop}; go on with: narae train --resume {folder.path}", file=sys.stderr)
        return _INTERRUPTED
    tell(_ending(folder.path))
    return 0


def _settings(options: Any) -> dict[str, Any]:
    """What the command line sets; the short options are names of settings too."""
    names = ("epochs", "lr", "batch_size", "seed", "compile")
    found = {name: getattr(options, name) for name in names}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            given, rule = f"--set {text}", "a setting is given as NAME=VALUE"
            raise ConfigError(explain("narae train", given, rule, "--set lr=3e-4"))
        found[name.replace("-", "_")] = value
    return {name: value for name, value in found.items() if value is not None}


def _ending(path: Path) -> str:
    """The summary, and where everything is."""
    text = (path / "summary.txt").read_text("utf-8")
    files = ", ".join(sorted(entry.name for entry in path.iterdir()))
    return f"\n{text}files     {path}: {files}"


def _check_paths(options: Any) -> None:
    for name in ("data_dir", "resume"):
        path = getattr(options, name)
        if path is not None and not path.exists():
            option = f"--{name.replace('_', '-')}"
            given, rule = f"{option} {path} does not exist", f"{option} names what is there"
            raise MissingDataError(explain("narae train", given, rule, "check the path"))
    folder = options.data_dir
    if folder is not None and not folder.is_dir() and folder.suffix != ".zip":
        given, rule = f"--data-dir {folder} is a file", "--data-dir names a folder or a .zip file"
        raise ConfigError(explain("narae train", given, rule))


def _nothing(text: str) -> None:
    pass
