"""Writing tables between marks in RESULTS.md."""

from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def marks(name: str) -> tuple[str, str]:
    """The lines before and after a table.

    >>> marks("speed")
    ('<!-- speed -->', '<!-- /speed -->')
    """
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def with_table(text: str, name: str, lines: Sequence[str], heading: str) -> str:
    """A text with a table between its marks; a new section at its end if there are none.

    >>> print(with_table("# Results", "speed", ["new"], "Speed"))
    # Results
    <BLANKLINE>
    ## Speed
    <BLANKLINE>
    <!-- speed -->
    new
    <!-- /speed -->
    <BLANKLINE>
    >>> print(with_table("<!-- speed -->old<!-- /speed -->", "speed", ["new"], "Speed"))
    <!-- speed -->
    new
    <!-- /speed -->
    """
    first, last = marks(name)
    if first not in text:
        text = f"{text.rstrip()}\n\n## {heading}\n\n{first}\n{last}\n"
    before, _, rest = text.partition(first)
    after = rest.partition(last)[2]
    return before + "\n".join([first, *lines, last]) + after


def write_table(name: str, lines: Sequence[str], heading: str) -> None:
    """Put a table into RESULTS.md."""
    text = RESULTS.read_text(encoding="utf8") if RESULTS.exists() else "# Results\n"
    RESULTS.write_text(with_table(text, name, lines, heading), encoding="utf8")
