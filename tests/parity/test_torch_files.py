"""Files that `torch.save` wrote, read without PyTorch.

C7: `narae.save/load`; a pickle-compatible *reader* that is an allow-list unpickler.
"""

import io
import os
import pathlib

import numpy as np
import pytest

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
          "bool"]  # fmt: skip


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
