"""Text and tables from files in any encoding."""

import csv
import gzip

import pytest

from narae.base.errors import ConfigError, DataError, FileFormatError, MissingDataError
from narae.io.texts import read_text
from narae.text.files import read_lines, read_table

KOREAN = "나는 학교에 간다.\n오늘은 비가 온다!\n"


def written(folder, data, name="text.txt"):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr", "utf-16"])
def test_korean_text_in_any_encoding(tmp_path, encoding):
    """C5: Korean text, utf-8 (with a byte order mark or without) and cp949."""
    path = written(tmp_path, KOREAN.encode(encoding))
    asked = "utf-8" if encoding.startswith("utf-8") else encoding
    assert read_text(path, asked) == KOREAN
    assert read_lines(path, asked) == KOREAN.split("\n")[:-1]
    packed = written(tmp_path, gzip.compress(path.read_bytes()), "text.txt.gz")
    assert read_text(packed, asked) == KOREAN


@pytest.mark.parametrize("asked", ["utf-8", "UTF8"])
def test_a_cp949_file_read_as_utf8_names_the_line_and_the_encoding(tmp_path, asked):
    """C5: an error that names file, line, byte and what to write instead."""
    data = b"plain\nplain too\n" + KOREAN.encode("cp949")
    path = written(tmp_path, data)
    with pytest.raises(FileFormatError) as caught:
        read_text(path, asked)
    message = str(caught.value)
    assert str(path) in message and "line 3" in message and 'encoding="cp949"' in message
    assert "byte 16" in message


def test_the_likely_encoding_is_one_that_reads_the_file(tmp_path):
    with pytest.raises(FileFormatError, match=r'line 1.*encoding="utf-8"'):
        read_text(written(tmp_path, KOREAN.encode() + "뷁".encode()), "ascii")
    with pytest.raises(FileFormatError, match='encoding="utf-16"'):
        read_text(written(tmp_path, KOREAN.encode("utf-16")))
    with pytest.raises(FileFormatError, match='encoding="cp1252"'):
        read_text(written(tmp_path, "Straße, naïve: “ça”".encode("cp1252")))


def test_bytes_are_counted_with_the_byte_order_mark(tmp_path):
    data = b"\xef\xbb\xbfab\xff"
    with pytest.raises(FileFormatError, match="byte 5, in line 1"):
        read_text(written(tmp_path, data))
    assert data[5] == 0xFF


@pytest.mark.parametrize("asked", ["cp949", "cp1252", "euc-kr"])
def test_a_mark_of_utf8_is_not_read_as_letters(tmp_path, asked):
    """C5: what Excel saves as CSV in UTF-8, read as cp949: its mark is a syllable there."""
    path = written(tmp_path, b"\xef\xbb\xbfid,name\n", "x.csv")
    with pytest.raises(FileFormatError, match=rf"mark of UTF-8, and {asked} .*encoding=\"utf-8\""):
        read_table(path, encoding=asked)
    assert list(read_table(path, encoding="utf-8-sig")) == ["id", "name"]


def test_a_mark_of_utf16_is_no_character(tmp_path):
    path = written(tmp_path, b"\xff\xfe" + KOREAN.encode("utf-16-le"))
    assert read_text(path, "utf-16-le") == read_text(path, "utf-16") == KOREAN


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingDataError, match="there is no file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(MissingDataError, match="folder"):
        read_text(tmp_path)
    with pytest.raises(MissingDataError, match="there is no file"):
        read_text(written(tmp_path, b"x") / "below.txt")
    with pytest.raises(ConfigError, match="utf-9"):
        read_text(written(tmp_path, b"x"), "utf-9")
    whole = gzip.compress(KOREAN.encode())
    for damaged in (whole[:-9], whole[:12] + b"\0\0\0" + whole[15:]):
        with pytest.raises(FileFormatError, match="damaged"):
            read_text(written(tmp_path, damaged, "text.gz"))
    for empty in (b"", b"\xef\xbb\xbf"):
        with pytest.raises(FileFormatError, match="is empty"):
            read_lines(written(tmp_path, empty))
    with pytest.raises(FileFormatError, match="is empty"):
        read_lines(written(tmp_path, b"\n \n"), skip_blank=True)


def test_only_line_ends_end_a_line(tmp_path):
    text = "one\x0ctwo\u2028three\r\nfour\rfive"
    path = written(tmp_path, text.encode())
    assert read_lines(path) == ["one\x0ctwo\u2028three", "four", "five"]


def test_columns_by_name(tmp_path):
    """C5: a table of Korean text in cp949, as Korean spreadsheets write it."""
    text = '문장,라벨\n"좋아요, 정말",1\n\n"그는 ""아니""라고",0\n'
    path = written(tmp_path, text.encode("cp949"), "films.csv")
    table = read_table(path, encoding="cp949")
    assert table == {"문장": ["좋아요, 정말", '그는 "아니"라고'], "라벨": ["1", "0"]}
    assert list(read_table(path, ["라벨"], "cp949")) == ["라벨"]
    tabs = written(tmp_path, b"a\tb\n1,5\t2\n", "x.tsv")
    assert read_table(tabs) == {"a": ["1,5"], "b": ["2"]}
    semicolons = written(tmp_path, b"1;2\n3;4\n", "x.txt")
    assert read_table(semicolons, delimiter=";", names=["p", "q"]) == {
        "p": ["1", "3"],
        "q": ["2", "4"],
    }


def test_tables_that_are_refused(tmp_path):
    path = written(tmp_path, b"text,label\na,1\nb\n", "films.csv")
    with pytest.raises(DataError, match=r"no column 'lable'.*'text', 'label'.*mean 'label'"):
        read_table(path, ["lable"])
    with pytest.raises(FileFormatError, match="line 3: 1 field, but 2 fields"):
        read_table(path)
    with pytest.raises(FileFormatError, match="line 2"):
        read_table(written(tmp_path, b'a,b\n"1"x,2\n', "x.csv"))
    with pytest.raises(FileFormatError, match="twice"):
        read_table(written(tmp_path, b"a,a\n1,2\n", "x.csv"))
    with pytest.raises(FileFormatError, match="is empty"):
        read_table(written(tmp_path, b"", "x.csv"))
    with pytest.raises(FileFormatError, match='encoding="cp949"'):
        read_table(written(tmp_path, KOREAN.encode("cp949"), "x.csv"))
    for delimiter in ("", "||", '"', "\n"):
        with pytest.raises(ConfigError, match="one character"):
            read_table(path, delimiter=delimiter)
    with pytest.raises(DataError, match="names has 'a' twice"):
        read_table(path, names=["a", "a"])


def test_a_field_may_be_as_long_as_a_book(tmp_path):
    path = written(tmp_path, b"text,label\n" + b"a" * 200_000 + b",1\n", "books.csv")
    before = csv.field_size_limit()
    assert len(read_table(path)["text"][0]) == 200_000
    assert csv.field_size_limit() == before


def test_quotes_that_are_characters(tmp_path):
    """C5: lines of film reviews with tabs, as Korean corpora have them; pandas reads the same."""
    lines = ["id\treview\tlabel", '1\t"좋다" 정말\t1', '2\t"나쁘다\t0', '3\t그저 "그렇다"\t0']
    path = written(tmp_path, "\n".join(lines).encode(), "reviews.tsv")
    with pytest.raises(FileFormatError, match=r"line 2.*quoted=False"):
        read_table(path)
    table = read_table(path, quoted=False)
    assert table["review"] == ['"좋다" 정말', '"나쁘다', '그저 "그렇다"']
    pandas = pytest.importorskip("pandas")
    theirs = pandas.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE, dtype=str)
    assert table == theirs.to_dict("list")
    with pytest.raises(FileFormatError, match="line 2: 2 fields, but 3"):
        read_table(written(tmp_path, b"a\tb\tc\n1\t2\n", "x.tsv"), quoted=False)


@pytest.mark.parametrize(
    ("name", "tabs"), [("my.tab.csv", False), ("x.TSV", True), ("x.tsv.gz", True)]
)
def test_the_last_part_of_a_name_says_what_parts_fields(tmp_path, name, tabs):
    data = b"a\tb\n1\t2\n" if tabs else b"a,b\n1,2\n"
    path = written(tmp_path, gzip.compress(data) if name.endswith(".gz") else data, name)
    assert read_table(path) == {"a": ["1"], "b": ["2"]}
