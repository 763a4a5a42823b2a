"""Data sets of text: the published ones, and a user's own files."""

import gzip
import itertools
import os

import pytest

from narae.base.errors import ConfigError, DataError, FileFormatError, MissingDataError
from narae.text.datasets import (
    ChatbotKo,
    LabelledText,
    Multi30k,
    Tatoeba,
    TextPairs,
    TinyShakespeare,
    labelled,
    pairs,
    shakespeare,
)

SHELF = os.environ.get("NARAE_DATA")
on_shelf = pytest.mark.skipif(SHELF is None, reason="NARAE_DATA names no folder")


# ------------------------------------------------------------------------------ published texts
@on_shelf
def test_tiny_shakespeare():
    """Its published counts: 1,115,394 characters of 65 kinds, 40,000 lines."""
    whole = TinyShakespeare(split="all")
    assert len(whole) == 1_115_394 and len(set(whole.text)) == 65
    assert whole.text.count("\n") == 40_000 and whole.text.startswith("First Citizen:\n")
    train, validation = TinyShakespeare(), TinyShakespeare(split="validation")
    assert train.text + validation.text == whole.text
    assert (len(train), len(validation)) == (1_003_854, 111_540)


@on_shelf
@pytest.mark.parametrize(
    ("split", "count"),
    [
        ("train", 29_000),
        ("val", 1_014),
        ("test_2016_flickr", 1_000),
        ("test_2017_flickr", 1_000),
        ("test_2017_mscoco", 461),
    ],
)
def test_multi30k(split, count):
    """The counts that its authors publish."""
    captions = Multi30k(split=split)
    assert len(captions) == count
    turned = Multi30k(split=split, source="en", target="de")
    assert turned[7] == captions[7][::-1]
    if split == "train":
        assert captions[0][1] == "Two young, White males are outside near many bushes."


@on_shelf
@pytest.mark.parametrize(("kind", "count"), [(Tatoeba, 904), (ChatbotKo, 11_823)])
def test_korean_pairs_are_parted_without_leaks(kind, count):
    """C5: Korean text; what is asked in one part is asked in no other."""
    train, test, whole = (kind(split=split) for split in ("train", "test", "all"))
    assert len(train) + len(test) == len(whole) == count
    assert sorted([*train, *test]) == sorted(whole)
    side = "targets" if kind is Tatoeba else "sources"  # English, or the question
    assert not set(getattr(train, side)) & set(getattr(test, side))
    assert 0.07 < len(test) / count < 0.13


@on_shelf
def test_what_comes_with_the_korean_pairs():
    chat = ChatbotKo(split="all")
    assert [chat.labels.count(label) for label in range(3)] == [5_290, 3_570, 2_963]
    assert chat[0] == ("12시 땡!", "하루가 또 가네요.")
    short = Tatoeba(split="all")
    assert short[0] == ("누구?", "Who?") and "CC-BY 2.0" in short.attributions[0]


def test_damaged_files_are_refused_and_missing_ones_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NARAE_DATA", raising=False)
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingDataError, match=r"input\.txt was not found"):
        TinyShakespeare(tmp_path)
    (tmp_path / "input.txt").write_text("To be")
    with pytest.raises(DataError, match="checksum"):
        TinyShakespeare(tmp_path)
    with pytest.raises(MissingDataError, match=r"val\.de\.gz was not found"):
        Multi30k(tmp_path, split="val")


def test_one_part_needs_its_own_files_only(tmp_path, monkeypatch):
    asked = {}

    def find(file_set, root, download):
        asked.update(file_set.files)
        for name in file_set.files:
            (tmp_path / name).write_bytes(gzip.compress(f"{name} 1\n{name} 2\n".encode()))
        return {name: tmp_path / name for name in file_set.files}

    monkeypatch.setattr(pairs, "find_files", find)
    captions = Multi30k(split="val", source="en", target="de")
    assert list(asked) == ["val.en", "val.de"] and captions[1] == ("val.en 2", "val.de 2")


@pytest.mark.parametrize("kind", [TinyShakespeare, Multi30k, Tatoeba, ChatbotKo])
def test_parts_and_languages_that_do_not_exist(kind):
    with pytest.raises(ConfigError, match="split is 'dev'; it is one of"):
        kind(split="dev")
    if kind in (Multi30k, Tatoeba):
        with pytest.raises(ConfigError, match="'fr'"):
            kind(source="fr")


def test_a_line_of_tatoeba_without_its_columns(tmp_path, monkeypatch):
    (tmp_path / "kor.txt").write_text("Hi.\t안녕.\n")
    monkeypatch.setattr(pairs, "find_files", lambda *_: {"pairs": tmp_path / "kor.txt"})
    with pytest.raises(FileFormatError, match="has 2 columns"):
        Tatoeba()


def test_mirrors_name_a_commit():
    """A file that may change would no longer have its checksum."""
    for files in (shakespeare.TINY_SHAKESPEARE, pairs.MULTI30K, pairs.TATOEBA, pairs.CHATBOT_KO):
        for mirror in files.mirrors:
            commit = mirror.removeprefix("https://raw.githubusercontent.com/").split("/")[2]
            assert len(commit) == 40 and int(commit, 16) and mirror.endswith("/")
        assert all(file.checksum.startswith("sha256:") for file in files.files.values())


# ----------------------------------------------------------------------------------- own files
def test_pairs_of_two_files(tmp_path):
    """C5: a user's own pairs in cp949."""
    (tmp_path / "ko").write_bytes("하나\n둘\n".encode("cp949"))
    (tmp_path / "en").write_bytes(b"one\r\ntwo\r\n")
    assert list(TextPairs.from_files(tmp_path / "ko", tmp_path / "en", "cp949")) == [
        ("하나", "one"),
        ("둘", "two"),
    ]
    (tmp_path / "en").write_bytes(b"one\n")
    with pytest.raises(DataError, match="2 sources and 1 targets"):
        TextPairs.from_files(tmp_path / "ko", tmp_path / "en", "cp949")
    with pytest.raises(DataError, match="pair 1 is 'b', ' '"):
        TextPairs(["a", "b"], ["c", " "])
    with pytest.raises(DataError, match="0 sources"):
        TextPairs([], [])


def test_labelled_text(tmp_path):
    """C5: labelled Korean text in cp949."""
    path = tmp_path / "films.csv"
    path.write_bytes("문장,라벨\n좋다,10\n나쁘다,9\n그저 그렇다,9 \n".encode("cp949"))
    films = LabelledText(path, "문장", "라벨", encoding="cp949")
    assert films.classes == ("9", "10") and list(films) == [
        ("좋다", 1),
        ("나쁘다", 0),
        ("그저 그렇다", 0),
    ]
    others = LabelledText(path, "문장", "라벨", "cp949", classes=["0", "9", "10"])
    assert others.labels == [2, 1, 1]
    with pytest.raises(DataError, match="has the label '10'; the classes are '9'"):
        LabelledText(path, "문장", "라벨", "cp949", classes=["9"])


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "-1", "0.5"], ["-1", "0.5", "9", "10"]),
        (["1.0", "01", "1", "0"], ["0", "01", "1", "1.0"]),
        (["nan", "1", "inf", "0", "-1"], ["-1", "0", "1", "inf", "nan"]),
        (["b", "1", "a"], ["1", "a", "b"]),
    ],
)
def test_the_order_of_labels_does_not_depend_on_chance(tmp_path, labels, order):
    """Python's sets are in another order in each process; numbers that are equal must not be."""
    path = tmp_path / "labels.csv"
    for given in itertools.permutations(labels):
        path.write_text("text,label\n" + "".join(f"a,{label}\n" for label in given))
        assert list(LabelledText(path).classes) == order
    assert labelled._in_order(set(labels)) == order


def test_labelled_text_with_quotes_that_are_characters(tmp_path):
    path = tmp_path / "reviews.tsv"
    path.write_text('text\tlabel\n"good\t1\nbad"\t0\n')
    assert LabelledText(path, quoted=False).texts == ['"good', 'bad"']


def test_labelled_text_that_is_refused(tmp_path):
    path = tmp_path / "films.tsv"
    path.write_text("text\tlabel\ngood\t1\n \t0\n")
    with pytest.raises(FileFormatError, match="row 2: text is blank"):
        LabelledText(path)
    with pytest.raises(DataError, match="no column 'review'"):
        LabelledText(path, text="review")
    path.write_text("text\tlabel\n")
    with pytest.raises(FileFormatError, match="no rows"):
        LabelledText(path)
    path.write_text("text\tlabel\ngood\t\n")
    with pytest.raises(FileFormatError, match="label is blank"):
        LabelledText(path)
    path.write_text("text\tlabel\ngood\tx\n")
    with pytest.raises(DataError, match="classes are 'x', 'x'; each name comes once"):
        LabelledText(path, classes=["x", "x"])
