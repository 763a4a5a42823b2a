"""The log of records: appended one by one, read until the end, mended after a crash.

C8: append-only metrics log reader. C5: readers take `encoding=`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae import errors
from narae.io import append_record, read_records

RECORDS = st.lists(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=8)), max_size=3),
    max_size=5,
)


@given(RECORDS)
def test_what_is_appended_is_read(tmp_path_factory, records):
    """C8: many objects in one file, read until its end."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.touch()
    for record in records:
        append_record(path, record)
    assert list(read_records(path)) == records


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_korean_text(tmp_path, encoding):
    """C5: utf8 and cp949 files."""
    append_record(tmp_path / "log", {"메모": "좋다"}, encoding)
    assert list(read_records(tmp_path / "log", encoding)) == [{"메모": "좋다"}]


@given(st.integers(1, 30))
def test_what_a_crash_left_is_cut_off(tmp_path_factory, lost):
    """C8: every record but the unfinished one is kept, and the next is whole."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    for epoch in range(3):
        append_record(path, {"epoch": epoch, "loss": 0.125, "note": "x" * 20})
    path.write_bytes(path.read_bytes()[:-lost])
    kept = [{"epoch": epoch, "loss": 0.125, "note": "x" * 20} for epoch in range(3)]
    kept = kept if lost == 1 else kept[:2]
    assert list(read_records(path)) == kept
    append_record(path, {"epoch": 9})
    assert list(read_records(path)) == [*kept, {"epoch": 9}]


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n[1, 2]\n', "utf-8")
    with pytest.raises(errors.FileFormatError, match="line 2 of"):
        list(read_records(path))
