"""Files that `torch.save` wrote, read without PyTorch.

C7: `narae.save/load`; a pickle-compatible *reader* that is an allow-list unpickler.
"""

import collections
import io
import mmap
import os
import pathlib
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae import errors  # noqa: E402

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])


def written(value, zipped):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return file


def assert_same(ours, theirs):
    """Equal structures, in which tensors are Narae's on one side and PyTorch's on the other."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, narae.Tensor)
        assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.requires_grad == theirs.requires_grad
        assert np.array_equal(ours.detach().double().numpy(), theirs.detach().double().numpy())
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, list | tuple) and not isinstance(theirs, torch.Size):
        assert type(ours) is type(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert ours == theirs


DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "uint16", "uint32", "uint64", "bool"]  # fmt: skip


@FORMS
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(zipped, dtype):
    x = torch.randint(0, 2, (3, 4)).to(getattr(torch, dtype))
    assert_same(narae.load(written({"x": x}, zipped)), {"x": x})


@FORMS
def test_a_whole_checkpoint(zipped):
    """C7: model, optimizer, scheduler and numbers as PyTorch saves them."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.25)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "milestones": dict(scheduler.state_dict()["milestones"]),
        "epoch": 3,
        "note": "좋다",
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
    }
    found = narae.load(written(state, zipped))
    assert_same(found, state)
    assert isinstance(found["parameter"], narae.nn.Parameter)
    ours = narae.nn.Sequential(narae.nn.Linear(3, 4), narae.nn.BatchNorm1d(4))
    ours.load_state_dict(found["model"])
    model.eval()
    ours.eval()
    x = torch.randn(6, 3)
    np.testing.assert_allclose(
        ours(narae.from_numpy(x.numpy())).detach().numpy(), model(x).detach().numpy(), atol=1e-6
    )


@FORMS
def test_views_keep_their_strides_and_share_memory(zipped):
    base = torch.arange(24.0).view(2, 3, 4)
    views = [base.transpose(0, 2), base[1, :, ::2], base[:, 1:, 3], base[0, 0, 0], base[:, :0]]
    expanded = torch.ones(3, 1).expand(3, 5)
    found = narae.load(written([*views, expanded], zipped))
    assert_same(found, [*views, expanded])
    found[0][3, 2, 1] = -1.0  # the last element of base
    assert found[1][2, 1].item() == 22
    found[0][2, 2, 1] = -2.0
    assert found[1][2, 1].item() == -2


@FORMS
def test_a_path_and_a_real_file(zipped, tmp_path):
    state = torch.nn.Linear(2, 2).state_dict()
    (tmp_path / "w.pt").write_bytes(written(state, zipped).getvalue())
    assert_same(narae.load(tmp_path / "w.pt", map_location="cpu", weights_only=True), state)


def test_published_weights_of_a_resnet():
    """C7: a file of another project, in the old form, with names as it saved them."""
    folder = pathlib.Path(os.environ.get("NARAE_DATA", "no data folder")) / "weights"
    path = folder / "resnet20-12fca82f.th"
    if not path.is_file():
        pytest.skip("NARAE_DATA has no weights/resnet20-12fca82f.th")
    found, expected = narae.load(path), torch.load(path, map_location="cpu", weights_only=True)
    assert_same(found, expected)
    assert sum(x.numel() for n, x in found["state_dict"].items() if n.endswith(("weight", "bias")))


# -------------------------------------------------------------------------- both ways, at random
@st.composite
def views(draw):
    """Shape, strides and offset of a view into a storage, and the size of the storage."""
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    strides = draw(st.lists(st.integers(0, 7), min_size=len(shape), max_size=len(shape)))
    offset = draw(st.integers(0, 5))
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    return shape, strides, offset, max(last, 0) + 1 + draw(st.integers(0, 3))


def plain(leaves):
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)
    )
    return st.recursive(
        st.one_of(scalars, leaves),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.dictionaries(st.one_of(st.text(max_size=3), st.integers(0, 9)), inner, max_size=3),
            st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict),
        ),
        max_leaves=8,
    )


@st.composite
def torch_tensors(draw, bases):
    """A view of one of some storages, so that several share one; or a parameter."""
    shape, strides, offset, size = draw(views())
    dtype = getattr(torch, draw(st.sampled_from(DTYPES)))
    key = (dtype, 64) if size <= 64 and draw(st.booleans()) else (dtype, size)
    if key not in bases:
        bases[key] = torch.arange(key[1]).to(dtype)
    x = bases[key].as_strided(shape, strides, offset)
    if dtype.is_floating_point and draw(st.booleans()):
        return torch.nn.Parameter(x, requires_grad=draw(st.booleans()))
    return x


def assert_same_memory(ours, theirs):
    """Pairs of tensors overlap on one side if they do on the other."""
    for mine, other in zip(ours, theirs, strict=True):
        long = [i for i, size in enumerate(other.shape) if size > 1 and other.numel()]
        assert [mine.stride(i) for i in long] == [other.stride(i) for i in long]
    for i in range(len(ours)):
        for j in range(i):
            one, other = theirs[i], theirs[j]
            same = one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
            mine = ours[i].detach().numpy(), ours[j].detach().numpy()
            if not same:
                assert not np.shares_memory(*mine)
            elif one.numel() and other.numel():
                places = [set(_places(x)) for x in (one, other)]
                assert np.shares_memory(*mine) == bool(places[0] & places[1])


def _places(x):
    return {
        x.storage_offset() + sum(i * step for i, step in zip(index, x.stride(), strict=True))
        for index in np.ndindex(*x.shape)
    }


def tensors_in(value):
    if isinstance(value, torch.Tensor | narae.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [x for each in inner for x in tensors_in(each)] if _holds(value) else []


def _holds(value):
    return isinstance(value, dict | list | tuple)


@FORMS
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_torch_saves_is_read(zipped, data):
    """C7: shared storages, strides, parameters, nested containers, 0-d and empty tensors."""
    value = data.draw(plain(torch_tensors({})))
    found = narae.load(written(value, zipped))
    assert_same(found, value)
    assert_same_memory(tensors_in(found), tensors_in(value))


def as_ours(value, bases):
    """The same structure of our tensors, views of the same storages."""
    if isinstance(value, torch.Tensor):
        base = bases[value.untyped_storage().data_ptr()]
        x = base.as_strided(tuple(value.shape), tuple(value.stride()), value.storage_offset())
        if isinstance(value, torch.nn.Parameter):
            return narae.nn.Parameter(x, requires_grad=value.requires_grad)
        return x
    if isinstance(value, dict):
        return type(value)((key, as_ours(each, bases)) for key, each in value.items())
    return type(value)(as_ours(x, bases) for x in value) if _holds(value) else value


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_we_save_is_read_by_torch(data):
    """C7: `torch.load(weights_only=True)` gets the same values, strides and sharing."""
    storages = {}
    value = data.draw(plain(torch_tensors(storages)))
    bases = {
        base.untyped_storage().data_ptr(): narae.arange(size).to(
            getattr(narae, str(dtype).rpartition(".")[2])
        )
        for (dtype, size), base in storages.items()
    }
    ours, file = as_ours(value, bases), io.BytesIO()
    narae.save(ours, file, format="torch")
    again = io.BytesIO()
    narae.save(ours, again, format="torch")
    assert file.getvalue() == again.getvalue(), "the same tensors give the same bytes"
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    assert_same(ours, theirs)
    assert_same_memory(tensors_in(ours), tensors_in(theirs))
    file.seek(0)
    assert_same(narae.load(file), theirs)


def test_what_overlaps_is_one_storage_and_what_does_not_is_several():
    """C7: a small view of a large tensor is saved without the rest of it."""
    base, file = narae.arange(10_000.0), io.BytesIO()
    views = [base[10:20], base[15:25].view(5, 2).T, base[24:30:2], base[30:40], base[5000]]
    narae.save(views, file, format="torch")
    assert len(file.getvalue()) < 5000
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    assert_same(views, theirs)
    first, second, third, *others = (x.untyped_storage().data_ptr() for x in theirs)
    assert first == second == third and len({first, *others}) == 3
    theirs[0][5] = -1
    assert theirs[1][0, 0] == -1


def test_a_state_dict_goes_both_ways(tmp_path):
    """C7: with the versions of the layers, and tied weights."""
    model = narae.nn.Sequential(narae.nn.Conv2d(1, 2, 3), narae.nn.BatchNorm2d(2))
    narae.save({"state_dict": model.state_dict(), "w": model[0].weight, "again": model[0].weight},
               tmp_path / "w.pth")  # fmt: skip
    found = torch.load(tmp_path / "w.pth", weights_only=True, mmap=True)
    assert found["state_dict"]._metadata["1"] == {"version": 2}
    assert found["w"] is found["again"]
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    theirs.load_state_dict(found["state_dict"])
    torch.save(theirs.state_dict(), tmp_path / "back.pt")
    loaded = narae.load(tmp_path / "back.pt")
    assert loaded._metadata == found["state_dict"]._metadata
    model.load_state_dict(loaded)
    assert_same(loaded, theirs.state_dict())


def test_members_begin_where_pages_can_be_mapped(tmp_path):
    """PyTorch aligns storages to 64 bytes, and so do we; large ones have a longer header."""
    path = tmp_path / "w.pt"
    for limit in (zipfile.ZIP64_LIMIT, 8):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(zipfile, "ZIP64_LIMIT", limit)
            narae.save([narae.ones(n) for n in (1, 5, 33)], path)
        data = path.read_bytes()
        for n in (1, 5, 33):
            assert data.index(np.ones(n, np.float32).tobytes() + b"PK") % 64 == 0
        assert [len(x) for x in torch.load(path, weights_only=True)] == [1, 5, 33]
        assert [len(x) for x in narae.load(path)] == [1, 5, 33]


def test_what_torch_would_not_trust_is_not_written():
    refused = {"from_numpy": np.ones(2), "state_dict": narae.nn.Linear(1, 1), "never code": {1, 2}}
    for said, value in refused.items():
        with pytest.raises(errors.DTypeError, match=said):
            narae.save({"x": value}, io.BytesIO(), format="torch")
    x = narae.ones(4)
    with pytest.raises(errors.DTypeError, match="share memory"):
        narae.save([x, narae.from_numpy(x.numpy().view(np.int32))], io.BytesIO(), format="torch")
    with pytest.raises(errors.ConfigError, match="safetensors or torch"):
        narae.save(x, io.BytesIO(), format="pickle")
    loop = []
    loop.append(loop)
    with pytest.raises(errors.DTypeError, match="holds itself"):
        narae.save(loop, io.BytesIO(), format="torch")


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "complex64"])
def test_numbers_that_we_do_not_have_are_named(dtype):
    x = torch.ones(3).to(getattr(torch, dtype))
    with pytest.raises(errors.FileFormatError, match=r"Narae has no .*convert it in PyTorch"):
        narae.load(written({"x": x}, True))


# ------------------------------------------------------------------------------------ mapped files
@FORMS
def test_a_mapped_file_is_not_written_to(zipped, tmp_path):
    """What is written to a tensor stays in this process, and the file may be replaced meanwhile."""
    path = tmp_path / "w.pt"
    path.write_bytes(written({"x": torch.arange(5000.0)}, zipped).getvalue())
    before = path.read_bytes()
    mapped, read = narae.load(path), narae.load(path, mmap=False)
    if zipped:  # numbers of the old form lie anywhere, and are copied to where they are aligned
        assert _is_mapped(mapped["x"]) == (os.name == "posix")
    assert not _is_mapped(read["x"])
    mapped["x"].add_(1)
    assert path.read_bytes() == before
    narae.save({"x": narae.zeros(3)}, path)
    assert mapped["x"].tolist() == (read["x"] + 1).tolist()


def _is_mapped(tensor):
    base = tensor.numpy()
    while base is not None:  # arrays have a base, views of memory an object
        last, base = base, getattr(base, "base", getattr(base, "obj", None))
    return isinstance(last, mmap.mmap)


def test_the_other_byte_order(tmp_path):
    """A file of a machine that writes numbers the other way round."""
    file = written({"x": torch.arange(5.0), "b": torch.ones(2, dtype=torch.bfloat16)}, True)
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(tmp_path / "w.pt", "w") as swapped:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif name.endswith("data/0"):
                data = np.frombuffer(data, ">f4").astype("<f4").tobytes()
            elif name.endswith("data/1"):
                data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
            swapped.writestr(name, data)
    found = narae.load(tmp_path / "w.pt")
    assert found["x"].tolist() == [0, 1, 2, 3, 4] and found["b"].tolist() == [1, 1]


# ------------------------------------------------------------------------------------ bad input
@FORMS
def test_a_whole_model_is_refused_with_the_way_out(zipped):
    with pytest.raises(errors.FileFormatError, match=r"model\.state_dict\(\)") as caught:
        narae.load(written(torch.nn.Linear(2, 2), zipped))
    assert "torch.nn.modules.linear.Linear" in str(caught.value)


@FORMS
def test_a_truncated_file_is_refused(zipped):
    data = written({"x": torch.arange(100.0), "y": torch.ones(3)}, zipped).getvalue()
    for length in range(60, len(data), 97):
        with pytest.raises(errors.FileFormatError):
            narae.load(io.BytesIO(data[:length]))


def test_a_tensor_that_leaves_its_storage_is_refused():
    data = written({"x": torch.arange(4.0)}, False).getvalue()
    tampered = data.replace(b"K\x04\x85", b"K\x7f\x85")  # the size (4,) becomes (127,)
    assert tampered != data
    with pytest.raises(errors.FileFormatError, match="leaves its storage"):
        narae.load(io.BytesIO(tampered))


def test_a_torchscript_program_is_refused():
    script = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    file = io.BytesIO()
    torch.jit.save(script, file)
    with pytest.raises(errors.FileFormatError, match="TorchScript"):
        narae.load(io.BytesIO(file.getvalue()))
