"""`narae train`: train a recipe and show the result."""

import argparse
import sys
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, MissingDataError, explain

from .codes import INTERRUPTED, OK
from .evaluate import add_weights_options
from .settings import pairs
from .telling import teller
from .types import count, positive, whole

_DEFAULT = "digits-cnn"
SHORT = ("epochs", "lr", "batch_size", "seed", "compile")


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "train",
        help="train a recipe: a network on some data",
        description="Train a recipe and write its checkpoints, numbers and picture to a folder; "
        "go on with a run that was stopped; repeat a run.",
        epilog="Settings: the command line wins over the settings file, the file over the run that "
        "is repeated (--from), that one over the recipe. `narae recipes NAME` lists them.",
    )
    parser.add_argument(
        "recipe",
        nargs="?",
        help=f"a name that `narae recipes` lists, or your own recipe.py (default: {_DEFAULT})",
    )
    add_setting_options(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    files.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: runs/<recipe>)"
    )
    files.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with the run in this folder, or from an older checkpoint in it",
    )
    files.add_argument(
        "--from",
        dest="again",
        type=Path,
        metavar="RUN",
        help="repeat the run of this folder, or of its run.json, in a new folder",
    )
    add_weights_options(parser)
    parser.add_argument(
        "--threads", type=count, metavar="N", help="threads for each step (default: all cores)"
    )
    return parser


def add_setting_options(parser: Any) -> None:
    """Add the options that change settings of a recipe."""
    run = parser.add_argument_group("the run (defaults are the recipe's)")
    run.add_argument("--epochs", type=count, metavar="N", help="passes over the training data")
    run.add_argument("--lr", type=positive, metavar="X", help="learning rate")
    run.add_argument("--batch-size", type=count, metavar="N", help="samples a step")
    run.add_argument("--seed", type=whole, metavar="N", help="of every random number")
    add_set_option(run)
    run.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make each step one program (default), or run each operation at once",
    )


def add_set_option(group: Any) -> None:
    """Add --set."""
    group.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the recipe or of the run: --set lr=3e-4 patience=5",
    )


def with_settings(recipe: Any, options: Any) -> Any:
    """A recipe with what the settings file says, and above it the command line."""
    return recipe.changed(options.file_settings).changed(_settings(options))


def run(options: Any) -> int:
    """Train; returns 0, or 130 if the user stopped it."""
    from narae.tensors.settings import set_num_threads
    from narae.train.runs.launch import resume, start

    tell = teller(options.quiet)
    _check_paths(options)
    if options.threads is not None:
        set_num_threads(options.threads)
    folder, recipe, data_dir = _asked(options)
    common = {"data_dir": data_dir, "quiet": options.quiet, "tell": tell}
    if options.resume is None:
        weights = _first_weights(options, folder)
        folder, trainer = start(recipe, options.out, command=options.given, **common, **weights)
    else:
        older = options.resume if options.resume.is_file() else None
        trainer = resume(folder, recipe, checkpoint=older, **common)
    if not trainer.finished:
        print(f"{trainer.stop}; go on with: narae train --resume {folder.path}", file=sys.stderr)
        return INTERRUPTED
    tell(_ending(folder.path))
    return OK


def _asked(options: Any) -> tuple[Any, Any, Path | None]:
    """The run that is gone on with or repeated, the recipe, and where its data is."""
    from narae.train.recipe import load_recipe
    from narae.train.runs.folder import RunFolder

    earlier = options.resume or options.again
    if earlier is None:
        recipe = load_recipe(options.recipe or _DEFAULT)
        return None, with_settings(recipe, options), options.data_dir
    if not earlier.is_file():
        folder = RunFolder(earlier)
    elif options.resume is not None:  # one of the run's checkpoints
        folder = RunFolder(earlier.parent.parent)
    else:
        folder = RunFolder(earlier.parent, earlier.name)
    recipe = with_settings(folder.recipe(options.recipe), options)
    if options.again is not None and not options.quiet:
        _say_differences(folder.plan())
    return folder, recipe, options.data_dir or folder.data_dir


def _first_weights(options: Any, earlier: Any) -> dict[str, Any]:
    """What the model begins with; of a run that is repeated, what that one began with."""
    about = {} if earlier is None else earlier.plan().about
    return {
        "weights": options.weights or about.get("weights"),
        "ignore_mismatched": options.ignore_mismatched or bool(about.get("ignore_mismatched")),
    }


def _say_differences(plan: Any) -> None:
    """What else may make a repeated run another one."""
    from narae.train.environment import differences, environment

    found = differences(plan.environment, environment())
    if found:
        print(f"not the same bits, perhaps: {', '.join(found)}", file=sys.stderr)
    for change in plan.changes:
        text = f"the run was changed after epoch {change.get('epoch')}: {change.get('settings')}"
        print(text, file=sys.stderr)


def _settings(options: Any) -> dict[str, Any]:
    """What the command line sets; the short options, where a command has them, are names too."""
    short = {name: getattr(options, name, None) for name in SHORT}
    found = {name: value for name, value in short.items() if value is not None}
    return {**found, **pairs(options.set, "--set")}


def _ending(path: Path) -> str:
    """The summary, and where everything is."""
    text = (path / "summary.txt").read_text("utf-8")
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    files = ", ".join(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    return f"\n{text}files     {path}: {files}"


def _check_paths(options: Any) -> None:
    if options.resume is not None and options.again is not None:
        given = "--resume and --from are both given"
        rule = "--resume goes on with a run, --from repeats one in a new folder"
        raise ConfigError(explain("narae train", given, rule, "choose one"))
    if options.resume is not None and options.weights is not None:
        given, rule = "--resume and --weights are both given", "a run goes on with its own weights"
        raise ConfigError(explain("narae train", given, rule, "leave --weights out"))
    if options.resume is not None and options.out is not None:
        given, rule = "--resume and --out are both given", "a run goes on in its own folder"
        raise ConfigError(explain("narae train", given, rule, "leave --out out"))
    for name, option in (("data_dir", "--data-dir"), ("resume", "--resume"), ("again", "--from")):
        path = getattr(options, name)
        if path is not None and not path.exists():
            given, rule = f"{option} {path} does not exist", f"{option} names what is there"
            raise MissingDataError(explain("narae train", given, rule, "check the path"))
    resume = options.resume
    if resume is not None and resume.is_file() and resume.suffix != ".safetensors":
        given, rule = f"--resume {resume} is a file", "--resume names the folder of a run"
        fix = "such as runs/digits-cnn, or one of the checkpoints in it"
        raise ConfigError(explain("narae train", given, rule, fix))
    folder = options.data_dir
    if folder is not None and not folder.is_dir() and folder.suffix != ".zip":
        given, rule = f"--data-dir {folder} is a file", "--data-dir names a folder or a .zip file"
        raise ConfigError(explain("narae train", given, rule))
