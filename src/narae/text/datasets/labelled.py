"""Texts with labels, from a CSV or TSV file of your own."""

import math
import os
from collections.abc import Sequence

from narae.base.errors import DataError, FileFormatError, explain
from narae.data import Dataset
from narae.text.files import read_table


class LabelledText(Dataset[tuple[str, int]]):
    r"""Texts with a class each; item i is (text, label).

    Args:
        path: a CSV or TSV file whose first line names the columns.
        text: the column of the texts.
        label: the column of the labels: any words or numbers.
        encoding: such as "utf-8" or "cp949".
        delimiter: what parts the fields; a tab for .tsv files and else a comma.
        quoted: whether a field may stand in quotes; False where a quote is like any character.
        classes: names of the labels in order; those of the file in order unless given (numbers by
            size). Give the training part's to the test part.

    Attributes:
        texts, labels: of all items.
        classes: names of the labels.

    Raises:
        DataError: if there is no such column, a label is none of `classes`, or one comes twice.
        FileFormatError: if there are no rows, or a text or a label is blank.
        MissingDataError: if there is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "films.csv"
        >>> _ = file.write_text("review,verdict\nfine,good\nlong,bad\n")
        >>> films = LabelledText(file, text="review", label="verdict")
        >>> films.classes, films[0]
        (('bad', 'good'), ('fine', 1))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        text: str = "text",
        label: str = "label",
        encoding: str = "utf-8",
        delimiter: str | None = None,
        classes: Sequence[str] | None = None,
        quoted: bool = True,
    ) -> None:
        table = read_table(path, [text, label], encoding, delimiter, quoted=quoted)
        self.texts, names = table[text], [name.strip() for name in table[label]]
        if not names:
            given = f"{path} has a header and no rows"
            raise FileFormatError(explain("LabelledText", given, "each row is a text"))
        _check_filled(path, text, self.texts)
        _check_filled(path, label, names)
        self.classes = tuple(_in_order(set(names)) if classes is None else classes)
        numbers = {name: number for number, name in enumerate(self.classes)}
        if len(numbers) != len(self.classes):
            given = f"classes are {', '.join(map(repr, self.classes))}"
            raise DataError(explain("LabelledText", given, "each name comes once"))
        unknown = sorted(set(names) - set(numbers))
        if unknown:
            given = f"{path} has the label {unknown[0]!r}"
            rule = f"the classes are {', '.join(map(repr, self.classes))}"
            raise DataError(explain("LabelledText", given, rule))
        self.labels = [numbers[name] for name in names]

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.texts[index], self.labels[index]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"LabelledText({len(self):,} texts, {len(self.classes)} classes)"


def _check_filled(path: str | os.PathLike[str], column: str, values: Sequence[str]) -> None:
    for row, value in enumerate(values, 1):
        if not value.strip():
            given = f"{path}, row {row}: {column} is blank"
            rule = "each text has words, and a label"
            raise FileFormatError(explain("LabelledText", given, rule, "leave the row out"))


def _in_order(names: set[str]) -> list[str]:
    by_name = sorted(names)  # the order that equal numbers ("1", "1.0") keep
    try:
        sizes = [float(name) for name in by_name]
    except ValueError:
        return by_name
    if any(map(math.isnan, sizes)):  # it is neither less than a number nor more
        return by_name
    return [name for _, name in sorted(zip(sizes, by_name, strict=True))]
