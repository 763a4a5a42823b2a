"""Write docs/inventory.md: every row of the inventory and the tests and examples that show it.

A test or an example shows a row when its docstring names it, as in `G17`, `A6, A7` or `G3–G6`, or
when the test's own name begins with it: `test_g17_…`. (`F1` is also a metric, so that one row is
written `row F1`.)

Run `python -m tools.inventory` after adding such a test; with `--check` it only compares.
"""

from __future__ import annotations

import ast
import csv
import itertools
import pathlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = ROOT / "docs" / "inventory_rows.csv"
PAGE = ROOT / "docs" / "inventory.md"
FOLDERS = ("tests", "examples")

QUOTE = re.compile(r"(?<![\w.-])([A-J])(\d{1,2})(?:\s?[-–]\s?(?:\1)?(\d{1,2}))?(?![\w%-])")

HEAD = """# Inventory

<!-- Written by `python -m tools.inventory`; edit docs/inventory_rows.csv or the tests instead. -->

What Narae is meant to do, row by row: algorithms, layers, models, facilities and experiments of a
year of study notes on deep learning. A row is done when "works means" holds and a test or an
example shows it; those stand in the last column. So far they name {shown} of {total} rows.
"""


@dataclass(frozen=True)
class Row:
    """One row: its number, section, English name, Korean term, and what "it works" means."""

    row: str
    section: str
    title: str
    korean: str
    works_means: str


def read_rows(path: pathlib.Path = ROWS) -> list[Row]:
    """Return the rows of the table in its order."""
    with path.open(newline="", encoding="utf8") as file:
        return [Row(**line) for line in csv.DictReader(file)]


def quoted(docstring: str) -> list[str]:
    """Return the row numbers that a docstring names, ranges written out.

    >>> quoted("G3–G5: the printed numbers; see also A6, B12. The F1 score is no row.")
    ['G3', 'G4', 'G5', 'A6', 'B12']
    >>> quoted("Row F1 and H2O, 0xA1, A100")
    ['F1']
    """
    found = []
    for match in QUOTE.finditer(docstring):
        letter, first, last = match.groups()
        if match.group() == "F1" and not re.search(r"[Rr]ow $", docstring[: match.start()]):
            continue
        found += [f"{letter}{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def places_in(source: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield (row number, place) for every docstring of a file that names rows."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        name = "" if isinstance(node, ast.Module) else node.name
        place = f"{path}::{name}" if name.lower().startswith("test") else path
        for row in quoted(ast.get_docstring(node) or "") + _named(name):
            yield row, place


def _named(name: str) -> list[str]:
    """Return the row that a test's name begins with: `test_g17_bound_of_xavier` is G17."""
    match = re.match(r"test_(?!f1_)([a-j]\d{1,2})_", name)
    return [match.group(1).upper()] if match else []


def shown_by(root: pathlib.Path = ROOT) -> dict[str, list[str]]:
    """Return, for each row number that something names, the places that do."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in itertools.chain(*((root / folder).rglob("*.py") for folder in FOLDERS)):
        name = path.relative_to(root).as_posix()
        for row, place in places_in(path.read_text(encoding="utf8"), name):
            places[row].add(place)
    return {row: sorted(found) for row, found in places.items()}


def page(rows: list[Row], shown: dict[str, list[str]]) -> str:
    """Return the text of docs/inventory.md."""
    done = sum(row.row in shown for row in rows)
    parts = [HEAD.format(shown=done, total=len(rows))]
    for section, members in itertools.groupby(rows, key=lambda row: row.section):
        table = [_line(row, shown.get(row.row, [])) for row in members]
        parts.append(f"\n## {section}\n\n{_TABLE_HEAD}{''.join(table)}")
    return "".join(parts)


_TABLE_HEAD = "| row | system | Korean | works means | shown by |\n|---|---|---|---|---|\n"


def _line(row: Row, places: list[str]) -> str:
    cells = [row.row, row.title, row.korean, row.works_means]
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} | {' <br> '.join(f'`{place}`' for place in places)} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is what would be written."""
    text = page(read_rows(), shown_by())
    if "--check" in arguments:
        same = PAGE.exists() and PAGE.read_text(encoding="utf8") == text
        print("docs/inventory.md is", "up to date" if same else "old: python -m tools.inventory")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
