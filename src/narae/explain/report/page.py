"""The whole report: one page that needs no script, no other file and no network."""

from datetime import UTC, datetime
from pathlib import Path

from narae.io import atomic_write

from . import sections
from .charts import escaped
from .facts import Facts, gather
from .style import STYLE

_PARTS = (
    sections.head,
    sections.curves,
    sections.answers,
    sections.worst,
    sections.examples,
    sections.timing,
    sections.layers,
    sections.details,
)


def report_page(facts: Facts) -> str:
    """The HTML of a report.

    Args:
        facts: what `gather` found of a run.
    """
    title = escaped(f"{facts.plan.recipe}: report of a run")
    body = "".join(part(facts) for part in _PARTS)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}<footer>Written by narae report, {made}.</footer></main></body>"
        "</html>\n"
    )


def write_report(
    path: Path | None = None,
    out: Path | None = None,
    recipe: str | None = None,
    data_dir: Path | None = None,
) -> tuple[Path, Facts]:
    """Write the report of a run: curves, mistakes, layers, time; one file.

    The best model is judged anew on the test data. Where the data, the recipe or the model is not
    there, the page shows what the folder alone knows, and says why.

    Args:
        path: the folder of a run, or one of its checkpoints; the newest run if None.
        out: the file; report.html in the run's folder if None.
        recipe: the file of a recipe of your own, if it is not where it was.
        data_dir: a folder to look for data in first.

    Returns:
        The file, and what is in it.

    Raises:
        ConfigError: if the file cannot be written there.
        FileFormatError: if a file of the run is damaged.
        MissingDataError: if there is no such run.
    """
    facts = gather(path, recipe, data_dir)
    target = out or facts.folder.path / "report.html"
    with atomic_write(target, "w") as file:
        file.write(report_page(facts))
    return target, facts
