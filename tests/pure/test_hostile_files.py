"""Files of weights that ask for more than weights are refused, and nothing in them runs.

C7: a pickle-compatible *reader* that is an allow-list unpickler. Each file of `tests.hostile_files`
is read in a child process that has some hundred megabytes and seconds, and in which starting a
program, running a text or opening a socket is an error.
"""

import json
import re
import sys
import traceback

import pytest

from narae import errors, load
from tests.fuzz.mutants import in_a_child
from tests.hostile_files import GOOD, HOSTILE, MARKER, truncations

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="children are forks")

ROOM = 400 << 20  # bytes beyond what the process has before
SECONDS = 20


def address_space():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * 4096


def in_bounds(work):
    if not sys.platform.startswith("linux"):
        return in_a_child(work, seconds=SECONDS)
    return in_a_child(work, room=address_space() + ROOM, seconds=SECONDS)


def refusal(path):
    """What is said to a file; a word of its own if nothing is."""
    try:
        load(path)
    except (errors.FileFormatError, errors.MissingDataError) as error:
        return f"refused: {error}"
    return "it was taken"


def refusals(names, paths):
    """What is said to each file, as JSON; an error names the file that it rose at."""
    said = []
    for name, path in zip(names, paths, strict=True):
        try:
            said.append(refusal(path))
        except BaseException:
            raise AssertionError(f"{name}:\n{traceback.format_exc()}") from None
    return json.dumps(said)


def _folder(tmp_path, number):
    folder = tmp_path / f"{number}" / "inside"
    folder.mkdir(parents=True)
    return folder


def test_the_corpus_is_large():
    """C7: at least thirty crafted files; here are many more, none of them a copy of another."""
    assert len(HOSTILE) > 250


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 30))
def test_hostile_files_are_refused_and_do_nothing(tmp_path, monkeypatch, first):
    """C7: nothing runs, memory and time are bounded, and the message names what was asked for."""
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    names = list(HOSTILE)[first : first + 30]
    paths = [HOSTILE[name][0](_folder(tmp_path, i)) for i, name in enumerate(names)]
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    status, found = in_bounds(lambda: refusals(names, paths))
    assert status == 0, found
    for name, said in zip(names, json.loads(found), strict=True):
        assert said.startswith("refused: "), f"{name}: {said}"
        assert re.search(HOSTILE[name][1], said), f"{name}: {said}"
        assert len(said) < 1500, f"{name}: a message of {len(said)} letters"
        assert said.isprintable(), f"{name}: {said!r}"
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before
    assert not list(tmp_path.rglob(MARKER))


@pytest.mark.parametrize("name", GOOD)
def test_the_corpus_is_refused_for_its_faults_alone(tmp_path, name):
    """The same files without the fault are read: refusing everything would pass the tests above."""
    path = tmp_path / "good"
    path.write_bytes(GOOD[name])
    values = [0.0, 0.0, 0.0, 0.0] if name == "safetensors" else [1.0, 2.0, 3.0, 4.0]
    assert load(path)["w"].tolist() == values


@pytest.mark.parametrize("name", GOOD)
def test_files_cut_at_each_position_are_refused(tmp_path, name):
    """C7: truncated files."""

    def read_all():
        for i, data in enumerate(truncations(GOOD[name])):
            path = tmp_path / f"{i}"
            path.write_bytes(data)
            said = refusal(path)
            assert said.startswith("refused: "), f"cut at {i}: {said}"
        return "all"

    assert in_bounds(read_all) == (0, "all")


def test_a_child_that_runs_something_is_noticed(tmp_path):
    """The watch itself: what calls a program, or takes too much, does not pass for a refusal."""
    import os

    status, said = in_bounds(lambda: str(os.system("true")))
    assert status != 0 and "os.system" in said
    if sys.platform.startswith("linux"):
        status, said = in_bounds(lambda: str(len(bytearray(2 * ROOM))))
        assert status != 0 and "MemoryError" in said
