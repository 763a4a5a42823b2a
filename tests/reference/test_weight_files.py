"""Files of weights in several forms: shards, other programs' safetensors, tables, mapped memory.

C7: `narae.save/load`; a pickle-compatible *reader* that is an allow-list unpickler.
"""

import io
import json
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import errors
from narae.cli import main
from narae.io.listing import held_in
from narae.io.tensor_file import write_tensors

library = pytest.importorskip("safetensors.numpy")
SafetensorError = pytest.importorskip("safetensors").SafetensorError


# ------------------------------------------------------------------------------------ safetensors
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
        st.tuples(
            st.sampled_from(["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "u4", "?"]),
            st.lists(st.integers(0, 3), max_size=3),
        ),
        max_size=5,
    ),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
def test_the_library_reads_what_we_write_and_we_what_it_writes(kinds, texts):
    arrays = {
        name: np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape)
        for name, (kind, shape) in kinds.items()
    }
    file = io.BytesIO()
    write_tensors(file, arrays, texts)
    theirs = library.load(file.getvalue())
    ours = narae.load(io.BytesIO(library.save(arrays, texts or None)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs[name], array, strict=True)
        np.testing.assert_array_equal(ours[name].numpy(), array, strict=True)
    assert theirs.keys() == ours.keys() == arrays.keys()


NUMBERS = st.one_of(st.integers(-1, 9), st.just(2**62), st.sampled_from([None, True, 4.0, "4"]))
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["U8", "I16", "F32", "F64", "F99", 1]),
        "shape": st.one_of(st.lists(st.integers(0, 3), max_size=3), st.lists(NUMBERS, max_size=2)),
        "data_offsets": st.one_of(
            st.tuples(st.integers(0, 9), st.integers(0, 24)).map(list), st.lists(NUMBERS)
        ),
    }
)


@st.composite
def nearly_right(draw):
    """A header of bytes one after the other, and a file of that size; one place may be moved."""
    sizes = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    steps = draw(st.sampled_from([0, 0, 1, -1]))
    moved, header, place = draw(st.integers(0, len(sizes) - 1)), {}, 0
    for i, size in enumerate(sizes):
        place = max(place + (steps if i == moved else 0), 0)
        header[f"t{i}"] = {"dtype": "U8", "shape": [size], "data_offsets": [place, place + size]}
        place += size
    return header, place


@settings(max_examples=300)
@given(
    st.one_of(
        st.tuples(st.dictionaries(st.sampled_from("abc"), ENTRIES, max_size=3), st.integers(0, 24)),
        nearly_right(),
    )
)
def test_what_the_library_refuses_we_refuse(case):
    """Headers that are right, wrong, and nearly right; the library is the judge."""
    header, size = case
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(size)
    try:
        wanted = library.load(data)
    except (SafetensorError, KeyError, TypeError, ValueError):
        with pytest.raises(errors.FileFormatError):
            narae.load(io.BytesIO(data))
        return
    found = narae.load(io.BytesIO(data))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name].numpy(), array, strict=True)


# ------------------------------------------------------------------------------------------ shards
@pytest.fixture
def shards(tmp_path):
    """A model in two files and their index, as Hugging Face writes them."""
    parts = {"model-00001-of-00002.safetensors": ["a", "b"],
             "model-00002-of-00002.safetensors": ["c"]}  # fmt: skip
    arrays = {name: np.arange(6, dtype=np.float32) + i for i, name in enumerate("abc")}
    for file, names in parts.items():
        library.save_file({name: arrays[name] for name in names}, tmp_path / file)
    weight_map = {name: file for file, names in parts.items() for name in names}
    index = {"metadata": {"total_size": 72}, "weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def test_shards_are_one_state_dict(shards):
    for path in (shards, str(shards / "model.safetensors.index.json")):
        found = narae.load(path)
        assert {name: x[0].item() for name, x in found.items()} == {"a": 0, "b": 1, "c": 2}


def test_shards_of_torch_files(tmp_path):
    narae.save({"a": narae.ones(2)}, tmp_path / "one.bin")
    narae.save({"b": narae.zeros(2)}, tmp_path / "two.bin")
    index = {"weight_map": {"a": "one.bin", "b": "two.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert {name: x.tolist() for name, x in narae.load(tmp_path).items()} == {
        "a": [1, 1],
        "b": [0, 0],
    }


def test_a_shard_that_is_missing_is_named(shards):
    (shards / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(errors.MissingDataError, match=r"model-00002-of-00002.*fetch every shard"):
        narae.load(shards)


def test_which_file_of_a_folder(tmp_path):
    with pytest.raises(errors.MissingDataError, match="holds no weights"):
        narae.load(tmp_path)
    narae.save({"w": narae.ones(1)}, tmp_path / "x.safetensors")
    assert narae.load(tmp_path)["w"].item() == 1
    narae.save({"w": narae.zeros(1)}, tmp_path / "y.safetensors")
    with pytest.raises(errors.FileFormatError, match=r"x\.safetensors, y\.safetensors"):
        narae.load(tmp_path)
    narae.save({"w": narae.ones(1) * 2}, tmp_path / "model.safetensors")
    assert narae.load(tmp_path)["w"].item() == 2


# ------------------------------------------------------------------------------------------ memory
MEASURED = """
    import sys, narae
    def memory():
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["RssAnon"].split()[0]) >> 10
    narae.load, narae.save
    before = memory()
    found = narae.load(sys.argv[1])
    after = memory()
    found["w3"].sum()
    print(after - before, memory() - before, len(found))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the memory")
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "theirs.safetensors"])
def test_loading_takes_no_memory(tmp_path, name):
    """Of 128 MB, nothing is copied: not by a checksum, not by looking at one tensor."""
    path, each = tmp_path / name, np.ones(1 << 22, np.float32)
    arrays = {f"w{i}": each for i in range(8)}
    if name.startswith("theirs"):
        library.save_file(arrays, path)
    else:
        # Copies, so that the file holds eight of them.
        narae.save({key: narae.from_numpy(array.copy()) for key, array in arrays.items()}, path)
    assert path.stat().st_size > 8 * each.nbytes
    command = [sys.executable, "-c", textwrap.dedent(MEASURED), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    loaded, used, count = map(int, said)
    assert count == 8 and loaded < 16 and used < 48


# -------------------------------------------------------------------------------------- the command
def test_inspect(shards, tmp_path, capsys):
    assert main(["inspect", str(shards)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["a  float32  6  24 B", "b  float32  6  24 B", "c  float32  6  24 B",
                    "3 tensors, 18 numbers, 72 B"]  # fmt: skip
    narae.save({"w": narae.ones(2, 3), "a\x1b[2J": {"n": [1, 10**5000]}}, tmp_path / "x.pt")
    assert main(["inspect", str(tmp_path / "x.pt")]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "2 x 3" in said and "a large number" in said
    assert main(["inspect", str(tmp_path / "x.pt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "key": "w", "dtype": "float32", "shape": [2, 3], "nbytes": 24, "value": ""}  # fmt: skip


def test_convert(tmp_path, capsys):
    w = narae.arange(4.0)
    state = {"w": w, "tied": w, "half": narae.ones(2, dtype=narae.bfloat16)}
    narae.save(state, tmp_path / "a.pt")
    assert main(["convert", str(tmp_path / "a.pt"), str(tmp_path / "b.safetensors")]) == 0
    assert "3 tensors, 10 numbers" in capsys.readouterr().out
    with pytest.importorskip("safetensors").safe_open(tmp_path / "b.safetensors", "np") as file:
        assert sorted(file.keys()) == ["half", "tied", "w"]
    assert main(["convert", str(tmp_path / "b.safetensors"), str(tmp_path / "c.pth")]) == 0
    found = narae.load(tmp_path / "c.pth")
    assert {name: x.tolist() for name, x in found.items()} == {
        name: x.tolist() for name, x in state.items()
    }
    assert found["half"].dtype is narae.bfloat16
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "a.pt"), str(tmp_path / "b.npz")]) == 2
    assert "ends in .npz" in capsys.readouterr().err
    assert not (tmp_path / "b.npz").exists()
    assert main(["convert", str(tmp_path / "no.pt"), str(tmp_path / "b.pt")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_what_is_held():
    value = {"model": {"w": narae.zeros(2, 0)}, "lr": [0.1, 0.2], "steps": [narae.ones(()), 3]}
    assert [(x.key, x.shape, x.value) for x in held_in(value)] == [
        ("model.w", (2, 0), ""), ("lr", None, "[0.1, 0.2]"), ("steps.0", (), ""),
        ("steps.1", None, "3")]  # fmt: skip
