"""Tiny Shakespeare: a million characters of plays."""

import os

from narae.base.errors import ConfigError, explain
from narae.data import Dataset
from narae.io.fetch import find_files
from narae.text.files import read_text

from .sources import TINY_SHAKESPEARE

_TRAIN_SHARE = 0.9
SPLITS = ("train", "validation", "all")


class TinyShakespeare(Dataset[str]):
    """Lines of Shakespeare's plays, 1,115,394 characters of 65 kinds; item i is a character.

    Args:
        root: a folder to look in first; then the folder NARAE_DATA and the cache follow.
        split: "train", the first nine tenths; "validation", the last tenth; or "all".
        download: whether the network may be used.

    Attributes:
        text: all of it.

    Raises:
        ConfigError: if there is no such split.
        DataError: if the file is not the published one.
        MissingDataError: if there is no file.

    Source: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        download: bool = False,
    ) -> None:
        check_split("TinyShakespeare", split, SPLITS)
        text = read_text(find_files(TINY_SHAKESPEARE, root, download)["text"])
        cut = int(_TRAIN_SHARE * len(text))
        self.split = split
        self.text = {"train": text[:cut], "validation": text[cut:], "all": text}[split]

    def __getitem__(self, index: int) -> str:
        return self.text[index]

    def __len__(self) -> int:
        return len(self.text)

    def __repr__(self) -> str:
        return f"TinyShakespeare({self.split}, {len(self):,} characters)"


def check_split(where: str, split: str, splits: tuple[str, ...]) -> None:
    """Refuse the name of a part that a data set does not have."""
    if split not in splits:
        given, rule = f"split is {split!r}", f"it is one of {', '.join(splits)}"
        raise ConfigError(explain(where, given, rule))
