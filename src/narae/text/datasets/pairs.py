"""Pairs of sentences: translations, and questions with answers."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import replace

from narae.base.errors import ConfigError, DataError, FileFormatError, explain
from narae.data import Dataset
from narae.io.fetch import find_files
from narae.text.files import read_lines, read_table

from .shakespeare import check_split
from .sources import CHATBOT_KO, MULTI30K, TATOEBA

Folder = str | os.PathLike[str]
_TEST_SHARE = 10  # one sentence in ten


class TextPairs(Dataset[tuple[str, str]]):
    """Pairs of texts; item i is (sources[i], targets[i]).

    Args:
        sources: texts.
        targets: what belongs to each.

    Raises:
        DataError: if there is none, they differ in number, or one is blank.

    >>> pairs = TextPairs(["Who?", "Hello!"], ["누구?", "안녕!"])
    >>> pairs[1], len(pairs)
    (('Hello!', '안녕!'), 2)
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        name = type(self).__name__
        if len(sources) != len(targets) or not len(sources):
            given = f"there are {len(sources)} sources and {len(targets)} targets"
            rule = "each source has one target, line by line, and there is at least one"
            raise DataError(explain(name, given, rule))
        for place, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if not source.strip() or not target.strip():
                given = f"pair {place} is {source!r}, {target!r}"
                raise DataError(explain(name, given, "both have words", "leave the pair out"))
        self.sources, self.targets = list(sources), list(targets)

    @classmethod
    def from_files(cls, source: Folder, target: Folder, encoding: str = "utf-8") -> "TextPairs":
        """Pairs of two files, of which line i of one belongs to line i of the other."""
        return TextPairs(read_lines(source, encoding), read_lines(target, encoding))

    def __getitem__(self, index: int) -> tuple[str, str]:
        return self.sources[index], self.targets[index]

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} pairs)"


class Multi30k(TextPairs):
    """Captions of pictures in German and English, translated by people.

    Args:
        root: a folder to look in first; then the folder NARAE_DATA and the cache follow.
        split: "train" (29,000 pairs), "val" (1,014), "test_2016_flickr" (1,000),
            "test_2017_flickr" (1,000) or "test_2017_mscoco" (461).
        source: language to translate from, "de" or "en".
        target: language to translate into.
        download: whether the network may be used.

    Raises:
        ConfigError: if there is no such split or language.
        DataError: if a file is not the published one.
        MissingDataError: if a file is nowhere.

    Source: D. Elliott, S. Frank, K. Sima'an, L. Specia, "Multi30K: Multilingual English-German
    Image Descriptions", arXiv:1605.00459, 2016.
    """

    SPLITS = ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")

    def __init__(
        self,
        root: Folder | None = None,
        split: str = "train",
        source: str = "de",
        target: str = "en",
        download: bool = False,
    ) -> None:
        check_split("Multi30k", split, self.SPLITS)
        if {source, target} != {"de", "en"}:
            given = f"source is {source!r}, target is {target!r}"
            raise ConfigError(explain("Multi30k", given, "one is 'de' and the other 'en'"))
        self.split, self.languages = split, (source, target)
        names = [f"{split}.{language}" for language in self.languages]
        wanted = replace(MULTI30K, files={name: MULTI30K.files[name] for name in names})
        paths = find_files(wanted, root, download)
        super().__init__(read_lines(paths[names[0]]), read_lines(paths[names[1]]))


class Tatoeba(TextPairs):
    """Short sentences in Korean and English, 904 pairs of 818 English sentences.

    Args:
        root: a folder to look in first; then the folder NARAE_DATA and the cache follow.
        split: "train", "test" (about a tenth) or "all"; all translations of an English sentence
            are in one part, chosen by its CRC-32, so that the test part holds nothing learnt.
        source: language to translate from, "ko" or "en".
        target: language to translate into.
        download: whether the network may be used.

    Attributes:
        attributions: whom to name for each pair (the licence, CC BY 2.0 France, asks for it).

    Raises:
        ConfigError: if there is no such split or language.
        DataError: if the file is not the published one.
        MissingDataError: if there is no file.
    """

    SPLITS = ("train", "test", "all")

    def __init__(
        self,
        root: Folder | None = None,
        split: str = "train",
        source: str = "ko",
        target: str = "en",
        download: bool = False,
    ) -> None:
        check_split("Tatoeba", split, self.SPLITS)
        if {source, target} != {"ko", "en"}:
            given = f"source is {source!r}, target is {target!r}"
            raise ConfigError(explain("Tatoeba", given, "one is 'ko' and the other 'en'"))
        self.split, self.languages = split, (source, target)
        lines = read_lines(find_files(TATOEBA, root, download)["pairs"])
        rows = [row for row in map(_fields, lines) if split in ("all", _part(row[0]))]
        english, korean, self.attributions = (list(column) for column in zip(*rows, strict=True))
        pair = (korean, english) if source == "ko" else (english, korean)
        super().__init__(*pair)


class ChatbotKo(TextPairs):
    """Korean questions, each with an answer and a label: 11,823 pairs.

    Args:
        root: a folder to look in first; then the folder NARAE_DATA and the cache follow.
        split: "train", "test" (about a tenth) or "all"; equal questions are in one part.
        download: whether the network may be used.

    Attributes:
        labels: what each is about, 0 to 2.
        classes: names of the labels.

    Raises:
        ConfigError: if there is no such split.
        DataError: if the file is not the published one.
        MissingDataError: if there is no file.

    Source: Youngsook Song, "Chatbot_data_for_Korean", 2018.
    """

    SPLITS = ("train", "test", "all")
    classes = ("daily life", "parting", "love")

    def __init__(
        self, root: Folder | None = None, split: str = "train", download: bool = False
    ) -> None:
        check_split("ChatbotKo", split, self.SPLITS)
        self.split = split
        table = read_table(find_files(CHATBOT_KO, root, download)["pairs"], ["Q", "A", "label"])
        rows = zip(table["Q"], table["A"], table["label"], strict=True)
        kept = [row for row in rows if split in ("all", _part(row[0]))]
        questions, answers, labels = zip(*kept, strict=True)
        self.labels = [int(label) for label in labels]
        super().__init__(questions, answers)


def _fields(line: str) -> tuple[str, str, str]:
    fields = line.split("\t")
    if len(fields) != 3:
        given = f"{line!r} has {len(fields)} columns"
        rule = "a line is English, Korean and whom to name"
        raise FileFormatError(explain("Tatoeba", given, rule))
    return fields[0], fields[1], fields[2]


def _part(text: str) -> str:
    """Which part a text belongs to: the same everywhere, and for equal texts."""
    return "test" if zlib.crc32(text.encode()) % _TEST_SHARE == 0 else "train"
