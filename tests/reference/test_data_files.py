"""Saved weights and checkpoints: round trips, damage, other kinds of files."""

from __future__ import annotations

import io
import json
import math
import struct
from collections import OrderedDict

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import narae
from narae import nn, optim
from narae.base.errors import DataError, DTypeError, FileFormatError, MissingDataError
from narae.io import load_checkpoint, save_checkpoint
from narae.io.tensor_file import write_tensors

safetensors_numpy = pytest.importorskip("safetensors.numpy")

DTYPES = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 uint64 bool".split()  # noqa: SIM905


def same(first, second):
    if isinstance(first, narae.Tensor):
        equal = (
            np.array_equal(np.asarray(first).view(np.uint8), np.asarray(second).view(np.uint8))
            if first.ndim
            else first.item() == second.item()
        )
        return type(first) is type(second) and first.dtype is second.dtype and equal
    if isinstance(first, dict):
        return (
            type(first) is type(second)
            and list(first) == list(second)
            and all(same(first[key], second[key]) for key in first)
        )
    if isinstance(first, list | tuple):
        return type(first) is type(second) and all(map(same, first, second))
    if isinstance(first, float) and math.isnan(first):
        return math.isnan(second)
    return type(first) is type(second) and first == second


tensors = st.builds(
    lambda dtype, shape, seed: narae.from_numpy(
        np.random.default_rng(seed).integers(0, 2, shape).astype(getattr(narae, dtype).numpy)
    ),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.integers(0, 9),
)
keys = st.text(max_size=5) | st.integers() | st.booleans() | st.none()
structures = st.recursive(
    tensors | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(structures)
def test_what_is_saved_is_loaded(value):
    file = io.BytesIO()
    narae.save(value, file)
    file.seek(0)
    assert same(value, narae.load(file))


def test_a_state_dict_is_a_plain_safetensors_file(tmp_path):
    """Another library reads the same names, shapes and numbers."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    narae.save(model.state_dict(), tmp_path / "model.safetensors")
    read = safetensors_numpy.load_file(tmp_path / "model.safetensors")
    assert set(read) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert np.array_equal(read[name], np.asarray(value))
        assert read[name].shape == tuple(value.shape)


def test_a_file_of_another_library_is_loaded(tmp_path):
    arrays = {"b": np.arange(3, dtype=np.float32), "a": np.array(2.0)}
    safetensors_numpy.save_file(arrays, tmp_path / "x.safetensors")
    loaded = narae.load(tmp_path / "x.safetensors")
    assert {name: value.tolist() for name, value in loaded.items()} == {"a": 2.0, "b": [0, 1, 2]}
    loaded["b"][0] = 5  # its memory is its own


def test_tied_weights_stay_tied():
    w = narae.ones(2, 2)
    file = io.BytesIO()
    narae.save({"encoder": w, "decoder": w, "part": w[0]}, file)
    file.seek(0)
    loaded = narae.load(file)
    loaded["encoder"][0, 0] = 7
    assert loaded["decoder"][0, 0].item() == 7
    assert loaded["part"][0].item() == 1


def test_views_and_parameters():
    x = narae.arange(6).reshape(2, 3)
    file = io.BytesIO()
    parameter = nn.Parameter(narae.ones(2))
    frozen = nn.Parameter(narae.ones(2), requires_grad=False)
    narae.save([x.T, x[:, ::2], parameter, frozen], file)
    file.seek(0)
    transposed, strided, loaded, still = narae.load(file)
    assert transposed.tolist() == x.T.tolist()
    assert strided.tolist() == [[0, 2], [3, 5]]
    assert isinstance(loaded, nn.Parameter) and loaded.requires_grad
    assert isinstance(still, nn.Parameter) and not still.requires_grad


@pytest.mark.parametrize("value", [nn.Linear(1, 1), {"f": print}, [object()], {(1, 2): 3}, {1, 2}])
def test_only_numbers_are_saved(value):
    with pytest.raises(DTypeError, match="never code"):
        narae.save(value, io.BytesIO())


def test_nothing_is_left_when_saving_fails(tmp_path):
    path = tmp_path / "w.safetensors"
    narae.save({"w": narae.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(DTypeError, match=r"\['x'\]\[1\] is builtins\.object"):
        narae.save({"w": narae.zeros(2), "x": [1, object()]}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


# --- damage ---------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "w.safetensors"
    narae.save({"w": narae.arange(64), "b": [narae.ones(3), 1.5]}, path)
    return path


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), change=st.integers(1, 255))
def test_every_damaged_byte_is_noticed(saved, place, change):
    data = bytearray(saved.read_bytes())
    data[place % len(data)] ^= change
    damaged = saved.with_name("damaged")
    damaged.write_bytes(data)
    try:
        loaded = narae.load(damaged)
    except FileFormatError as error:
        assert str(damaged) in str(error)
    else:  # a space at the end of the header, which says nothing
        assert loaded["w"].tolist() == list(range(64))
        assert loaded["b"][0].tolist() == [1.0, 1.0, 1.0]
        assert loaded["b"][1] == 1.5


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(saved, share):
    data = saved.read_bytes()
    cut = saved.with_name("cut")
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FileFormatError, match="cut"):
        narae.load(cut)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 a zip", "it is a zip, but holds no weights"),
        (b"\x80\x02}q\x00", "a pickle file is read to its end"),
        (struct.pack("<Q", 2**60) + b"{}", "cannot be read"),
        (b"hello, world, this is text", "cannot be read"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path, content, said):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=said):
        narae.load(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"there is no file .*nowhere"):
        narae.load(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="holds no weights"):
        narae.load(tmp_path)
    with pytest.raises(MissingDataError, match="there is no folder"):
        narae.save({}, tmp_path / "no" / "folder")


@pytest.mark.parametrize(
    "structure",
    ["nothing", "[1", '{"tensor": "absent"}', '{"strange": 1}', "[{}]", '{"dict": [1]}', "{}"],
)
def test_a_broken_structure_is_refused(structure):
    file = io.BytesIO()
    write_tensors(file, {"w": np.ones(2)}, {"narae.structure": structure})
    file.seek(0)
    with pytest.raises(FileFormatError, match="structure cannot be read"):
        narae.load(file)


def test_a_file_that_lost_its_checksum_is_refused():
    data = safetensors_numpy.save({"w": np.ones(2)}, metadata={"narae.structure": "1"})
    with pytest.raises(FileFormatError, match="checksum"):
        narae.load(io.BytesIO(data))


# --- checkpoints ----------------------------------------------------------------------------


def trained(steps=3, seed=0):
    narae.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2)
    train(model, optimizer, scheduler, steps)
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model(narae.rand(4, 3)).square().sum().backward()
        optimizer.step()
        scheduler.step()


def test_a_checkpoint_goes_on_exactly(tmp_path):
    """Five steps at once, and three steps, a checkpoint and two more, end bit for bit the same."""
    whole, *_ = trained(5)
    first = trained(3)
    save_checkpoint(tmp_path / "last", first[0], first[1], {"epoch": 3}, first[2])
    second = trained(0, seed=99)
    meta = load_checkpoint(tmp_path / "last", *second, restore_random=True)
    assert meta == {"epoch": 3}
    train(*second, steps=2)
    for name, value in whole.state_dict().items():
        assert np.array_equal(np.asarray(value), np.asarray(second[0].state_dict()[name]))


def test_the_note_beside_a_checkpoint_is_for_people(tmp_path):
    model, optimizer, _ = trained()
    meta = {"epoch": 3, "accuracy": 0.75, "losses": [1.0, 0.5], "settings": {"lr": 0.1}}
    path = save_checkpoint(tmp_path / "best", model, optimizer, meta)
    assert path == tmp_path / "best.safetensors"
    assert json.loads((tmp_path / "best.json").read_text("utf-8")) == {
        "checkpoint": "best.safetensors",
        "epoch": 3,
        "accuracy": 0.75,
        "settings": {"lr": 0.1},
    }
    assert load_checkpoint(path) == meta


def test_an_unfinished_checkpoint_leaves_the_old_one(tmp_path, monkeypatch):
    model, optimizer, _ = trained()
    path = save_checkpoint(tmp_path / "last", model, optimizer, {"epoch": 1})
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path / "last", model, optimizer, {"epoch": 2})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert load_checkpoint(path)["epoch"] == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.json", "last.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_checkpoint_changes_nothing(tmp_path, damage):
    model, optimizer, scheduler = trained()
    path = save_checkpoint(tmp_path / "last", model, optimizer, {}, scheduler)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-8])
    elif damage == "flip":
        data[-3] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    other = trained(1, seed=5)
    weights = [value.clone() for value in other[0].state_dict().values()]
    rates = other[1].param_groups[0]["lr"]
    with pytest.raises(MissingDataError if damage == "gone" else FileFormatError):
        load_checkpoint(path, *other)
    after = other[0].state_dict().values()
    assert all(np.array_equal(old, new) for old, new in zip(weights, after, strict=True))
    assert other[1].param_groups[0]["lr"] == rates


@pytest.mark.parametrize("other", [nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 2)), nn.ReLU()])
def test_the_checkpoint_of_another_model_is_refused_whole(tmp_path, other):
    model, optimizer, _ = trained()
    path = save_checkpoint(tmp_path / "last", model, optimizer)
    before = [np.asarray(value).copy() for value in other.state_dict().values()]
    with pytest.raises(DataError, match=r"weight|bias"):
        load_checkpoint(path, other)
    after = [np.asarray(value) for value in other.state_dict().values()]
    assert all(map(np.array_equal, before, after))


def test_parts_that_were_not_saved_are_named(tmp_path):
    model, optimizer, _ = trained()
    path = save_checkpoint(tmp_path / "last", model)
    with pytest.raises(DataError, match="saved without its optimizer"):
        load_checkpoint(path, model, optimizer)
    narae.save(model.state_dict(), tmp_path / "plain.safetensors")
    with pytest.raises(FileFormatError, match="it is no checkpoint"):
        load_checkpoint(tmp_path / "plain.safetensors", model)
