"""`narae report`: one page about a run."""

import webbrowser
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page about a run",
        description="Write one self-contained HTML page about a run: curves, confusion matrix, "
        "worst mistakes as pictures, every layer, where the time went. The best model is judged "
        "anew; without the data the page shows what the run's folder knows.",
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="the folder of a run, or one of its checkpoints (default: the newest run in runs/)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: RUN/report.html)"
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where to look for data first")
    parser.add_argument("--recipe", metavar="FILE", help="the recipe.py, if it is one of your own")
    return parser


def run(options: Any) -> int:
    """Write the page and say where it is."""
    from narae.explain.report import write_report

    path, facts = write_report(options.path, options.out, options.recipe, options.data_dir)
    for note in facts.notes:
        print(note)
    print(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        print("no browser was found: open the file yourself")
    return 0
