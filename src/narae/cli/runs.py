"""`narae runs`: what was trained, in a table; two or more runs against each other."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "runs",
        help="list runs, or compare some",
        description="List the runs of a folder. Two or more runs are compared: the settings that "
        "differ, and their last numbers.",
        epilog="gap: how much worse the test data is than the training data, as it was while "
        "training, in the number that says which epoch is best.",
    )
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="a folder of runs, or the folders of single runs (default: runs)",
    )
    parser.add_argument(
        "--sort",
        metavar="NAME",
        help="best, gap, time, epochs, run, status, started, a number such as val_loss, or a "
        "setting (default: started)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Print the table."""
    from narae.train.runs.table import RUNS, find_runs, row_of, sorted_rows

    places = options.places or [RUNS]
    if not options.places and not RUNS.is_dir():
        print("there is no run in runs/ yet; train first: narae train")
        return 0
    paths = find_runs(places)
    rows = sorted_rows([row_of(path) for path in paths], options.sort or "started") if paths else []
    single = len(paths) == len(places) and all(_is_run(place) for place in places)
    if single and len(paths) > 1:
        order = {path: place for place, path in enumerate(paths)}
        rows = rows if options.sort else sorted(rows, key=lambda row: order[row.path])
        _print_comparison(rows, options.json)
    else:
        _print_rows(rows, places, options.json)
    return 0


def _is_run(place: Path) -> bool:
    from narae.train.runs.run_file import PLAN
    from narae.train.runs.table import RUNS

    return any((folder / PLAN).is_file() for folder in (place, RUNS / place))


def _print_rows(rows: list[Any], places: list[Path], as_json: bool) -> None:
    from narae.train.runs.table import aligned, table_of

    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
    elif not rows:
        print(f"there is no run in {', '.join(map(str, places))}")
    else:
        base = places[0] if len(places) == 1 else None
        print(*aligned(table_of(rows, base), _width()), sep="\n")


def _print_comparison(rows: list[Any], as_json: bool) -> None:
    from narae.train.runs.compare import comparison, comparison_table
    from narae.train.runs.table import aligned

    if as_json:
        print(json.dumps(comparison(rows), indent=2))
    else:
        print(*aligned(comparison_table(rows), _width()), sep="\n")


def _width() -> int:
    """Where lines are cut: at the edge of a terminal, nowhere else."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
