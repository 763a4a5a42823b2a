"""`narae sweep`: one recipe with many settings, side by side, and which were best."""

import sys
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, explain

from .codes import BAD_INPUT, INTERRUPTED, OK
from .settings import pairs
from .telling import teller
from .train import SHORT, add_setting_options, with_settings
from .types import count, whole

_MOST_JOBS = 4  # unless asked for: each holds the data
# Options that say what a sweep is, once and for all.
_FIXED = ("grid", "random", "optuna", "draw_seed", *SHORT, "set", "out", "data_dir")


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "sweep",
        help="try many settings of a recipe, and rank them",
        description="Train a recipe with all combinations of some values (--grid), or with values "
        "drawn at random (--random), in processes side by side. Each trial is an ordinary run. "
        "What is killed or stopped goes on with --resume.",
        epilog="A list of values: lr=1e-3,3e-3. A range, to draw from: dropout=0..0.5, "
        "width=16..64; lr=log:1e-4..1e-1 draws its logarithm.",
    )
    parser.add_argument("recipe", nargs="?", help="as for `narae train`")
    space = parser.add_argument_group("what to try")
    space.add_argument(
        "--grid", nargs="+", metavar="NAME=VALUES", help="all combinations of lists of values"
    )
    space.add_argument(
        "--random",
        nargs="+",
        metavar=("N", "NAME=VALUES"),
        help="N points, drawn from lists and ranges",
    )
    space.add_argument(
        "--optuna",
        action="store_true",
        default=None,
        help="let Optuna choose the N points of --random",
    )
    space.add_argument("--draw-seed", type=whole, metavar="N", help="of what is drawn (default: 0)")
    add_setting_options(parser)
    parser.add_argument(
        "--jobs",
        type=count,
        metavar="N",
        help=f"trials at a time (default: a core each, at most {_MOST_JOBS})",
    )
    parser.add_argument(
        "--threads", type=count, metavar="N", help="of each trial (default: cores / jobs)"
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    files.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: sweeps/<recipe>)"
    )
    files.add_argument(
        "--resume", type=Path, metavar="SWEEP", help="go on with the sweep in this folder"
    )
    return parser


def run(options: Any) -> int:
    """Run the trials and print the ranking; 0, 2 if all failed, 130 if the user stopped it."""
    from narae.train.runs.table import aligned
    from narae.train.sweeps.table import ranked, ranking_table
    from narae.train.sweeps.trials import Trials

    sweep = _asked(options)
    jobs, threads = _shares(options, sweep.count)
    tell = teller(options.quiet)
    tell(_introduction(sweep, jobs, threads))
    done = Trials(sweep, jobs, threads, tell).run()
    rows = [row for row in map(sweep.row, range(len(sweep.points))) if row is not None]
    if rows:
        print("", *aligned(ranking_table(rows, list(sweep.spaces))), sep="\n")
    if not done:
        print(f"stopped; go on with: narae sweep --resume {sweep.path}", file=sys.stderr)
        return INTERRUPTED
    best = next((row for row in ranked(rows) if row.status == "finished"), None)
    if best is None:
        print(f"error: no trial went well; see {sweep.path}/trial-*.log", file=sys.stderr)
        return BAD_INPUT
    tell(f"\nthe best one again: narae train --from {best.path}")
    return OK


def _asked(options: Any) -> Any:
    from narae.train.recipe import load_recipe
    from narae.train.sweeps.sweep import begin_sweep, open_sweep

    if options.resume is not None:
        _check_alone(options)
        return open_sweep(options.resume)
    if options.recipe is None:
        given, rule = "no recipe is named", "a sweep is of one recipe"
        raise ConfigError(
            explain("sweep", given, rule, "narae sweep digits-cnn --grid lr=1e-3,3e-3")
        )
    kind, number, space = _space(options)
    recipe = with_settings(load_recipe(options.recipe), options)
    return begin_sweep(
        recipe,
        kind,
        space,
        count=number,
        seed=options.draw_seed or 0,
        out=options.out,
        data_dir=options.data_dir,
    )


def _check_alone(options: Any) -> None:
    """Refuse what would make another sweep of the one that goes on."""
    more = [
        f"--{name.replace('_', '-')}"
        for name in _FIXED
        if getattr(options, name) is not None and getattr(options, name) != []
    ]
    more += ["a recipe"] * bool(options.recipe) + ["[set] of a file"] * bool(options.file_settings)
    if more:
        given, rule = f"--resume comes with {', '.join(more)}", "a sweep goes on as it began"
        fix = f"narae sweep --resume {options.resume}, or begin another sweep"
        raise ConfigError(explain("sweep", given, rule, fix))


def _space(options: Any) -> tuple[str, int, dict[str, str]]:
    """The kind of the sweep, how many points to draw, and what to try."""
    if bool(options.grid) == bool(options.random):
        given = "--grid and --random are both given" if options.grid else "nothing to try is given"
        rule = "--grid takes all combinations of values, --random draws some"
        raise ConfigError(explain("sweep", given, rule, "--grid lr=1e-3,3e-3 width=16,32"))
    if options.grid:
        if options.optuna:
            rule = "Optuna chooses among what --random draws from"
            raise ConfigError(
                explain("sweep", "--optuna comes with --grid", rule, "--random 20 ...")
            )
        return "grid", 0, pairs(options.grid, "--grid")
    number, *texts = options.random
    if not number.isdigit() or not int(number):
        given, rule = f"--random {number}", "--random begins with how many points to draw"
        raise ConfigError(explain("sweep", given, rule, f"--random 20 {' '.join(options.random)}"))
    return "optuna" if options.optuna else "random", int(number), pairs(texts, "--random")


def _shares(options: Any, trials: int) -> tuple[int, int]:
    """How many trials at a time, and how many threads each: together, all cores."""
    from narae.tensors.settings import get_num_threads

    cores = get_num_threads()
    jobs = min(options.jobs or min(cores, _MOST_JOBS), max(trials, 1))
    return jobs, options.threads or max(1, cores // jobs)


def _introduction(sweep: Any, jobs: int, threads: int) -> str:
    each = "1 thread" if threads == 1 else f"{threads} threads"
    some = "1 trial" if sweep.count == 1 else f"{sweep.count} trials"
    return f"{sweep.recipe.name}: {some}, {jobs} at a time with {each} each, in {sweep.path}"
