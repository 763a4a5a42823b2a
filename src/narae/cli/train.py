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
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make each step one program (default), or run each operation at once",
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    files.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: runs/<recipe>)"
    )
    files.add_argument(
        "--resume", type=Path, metavar="FILE", help="go on from a checkpoint (.safetensors)"
    )
    return parser


def run(options: Any) -> int:
    """Train; returns 0, or 130 if the user stopped it."""
    from narae.train.recipe import load_recipe
    from narae.train.run import checkpoint_plan, run_recipe

    tell = _nothing if options.quiet else print
    _check_paths(options)
    if options.resume is None:
        recipe = load_recipe(options.recipe or _DEFAULT)
        settings = recipe.settings
    else:
        name, settings = checkpoint_plan(options.resume)
        recipe = load_recipe(options.recipe or name)
    settings = settings.changed(
        epochs=options.epochs, lr=options.lr, batch_size=options.batch_size, seed=options.seed
    )
    done = run_recipe(
        recipe,
        settings,
        options.data_dir,
        options.out,
        compiled=options.compile,
        resume=options.resume,
        quiet=options.quiet,
        tell=tell,
    )
    tell(_ending(done))
    if not done.interrupted:
        return 0
    last, stopped = done.out / "last.safetensors", done.out / "interrupted.safetensors"
    again = f"--resume {last if done.epochs_done else stopped}"
    own = f"{options.recipe} " if (options.recipe or "").endswith(".py") else ""
    print(f"stopped; the weights of this moment are in {stopped}", file=sys.stderr)
    print(
        f"go on from the end of epoch {done.epochs_done}: narae train {own}{again}", file=sys.stderr
    )
    return _INTERRUPTED


def _ending(run: Any) -> str:
    """The summary, and where everything is."""
    summary = run.out / "summary.txt"
    text = summary.read_text("utf-8") if run.epochs_done else ""
    files = ", ".join(sorted(path.name for path in run.out.iterdir() if not path.is_dir()))
    return f"\n{text}files     {run.out}: {files}"


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
