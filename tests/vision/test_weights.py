"""`weights=`: paths, state dicts and repositories; what does not fit, and what is left out."""

import json
import logging
import os
import pathlib
import sys

import pytest

import narae
from narae import errors, nn
from narae.io import save
from narae.io.hub import is_repository
from narae.io.weights import read_weights
from narae.vision.models import resnet20
from narae.vision.models.weights import load_weights


def net(classes=3):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes))


def same(one, other):
    mine, theirs = one.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(bool((mine[k] == theirs[k]).all()) for k in mine)


def under(prefix, state):
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize("ending", ["safetensors", "pt", "folder"])
def test_files(tmp_path, ending):
    source, model = net(), net()
    path = tmp_path / f"w.{ending}"
    if ending == "folder":
        path.mkdir()
    save(source.state_dict(), path / "model.safetensors" if ending == "folder" else path)
    report = load_weights(model, path)
    assert same(model, source)
    assert report.loaded == len(source.state_dict()) and str(path) in str(report)
    assert same(load_and_return(str(path)), source)


def load_and_return(weights):
    model = net()
    load_weights(model, weights)
    return model


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("wrapping", [None, "state_dict", "model", "model_state_dict"])
def test_wrappings_are_taken_off(prefix, wrapping):
    source, model = net(), net()
    state = under(prefix, source.state_dict())
    load_weights(model, state if wrapping is None else {wrapping: state, "epoch": 3})
    assert same(model, source)


def test_a_prefix_of_the_model_itself_stays():
    source = nn.ModuleDict({"model": nn.Linear(2, 2)})
    model = nn.ModuleDict({"model": nn.Linear(2, 2)})
    load_weights(model, source.state_dict())
    assert same(model, source)


def test_the_versions_of_layers_stay_with_their_names():
    """BatchNorm's version 2 has a counter; a state without it is an older one, or lacks it."""
    wrapped = nn.ModuleDict({"module": net()})
    state = wrapped.state_dict()
    del state["module.1.num_batches_tracked"]
    with pytest.raises(errors.DataError, match=r"lacks 1\.num_batches_tracked"):
        load_weights(net(), state)
    del state._metadata
    load_weights(net(), state)


def test_another_number_of_classes(caplog):
    """A wrong class count says which keys and shapes, and how to load the rest."""
    source, model = net(10), net(3)
    before = model.state_dict()["3.weight"].clone()
    first = model.state_dict()["0.weight"].clone()
    with pytest.raises(errors.DataError) as caught:
        load_weights(model, source.state_dict())
    said = str(caught.value)
    assert "3.weight is (10, 8), in the model (3, 8)" in said
    assert "3.bias is (10,), in the model (3,)" in said
    assert "num_classes=10" in said
    assert "ignore_mismatched=True (--ignore-mismatched)" in said
    assert (model.state_dict()["0.weight"] == first).all(), "nothing was loaded"
    with caplog.at_level(logging.WARNING, "narae.nn"):
        report = load_weights(model, source.state_dict(), ignore_mismatched=True)
    assert [each.key for each in report.mismatched] == ["3.weight", "3.bias"]
    assert "left out: 3.weight is (10, 8)" in caplog.text
    assert report.loaded == len(source.state_dict()) - 2
    assert (model.state_dict()["0.weight"] == source.state_dict()["0.weight"]).all()
    assert (model.state_dict()["3.weight"] == before).all()


def test_names_that_differ(caplog):
    state = net().state_dict()
    state["0.wieght"] = state.pop("0.weight")
    with pytest.raises(errors.DataError, match=r"0\.wieght may be 0\.weight"):
        load_weights(net(), state)
    with pytest.raises(errors.DataError, match=r"lacks 0\.weight; only it has 0\.wieght"):
        load_weights(net(), state, ignore_mismatched=True)
    model = net()
    with caplog.at_level(logging.WARNING, "narae.nn"):
        report = load_weights(model, state, strict=False)
    assert report.missing == ["0.weight"] and report.unexpected == ["0.wieght"]
    assert "not in it: 0.weight" in caplog.text and "not in the model: 0.wieght" in caplog.text
    assert (model.state_dict()["3.bias"] == state["3.bias"]).all()
    with pytest.raises(errors.DataError, match=r"remove the prefix 'backbone\.'"):
        load_weights(net(), under("backbone.", net().state_dict()))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, "holds nothing"),
        ({"epoch": 3}, "holds epoch"),
        ({"state_dict": {"a": 1}}, "holds a"),
        (3, "weights is a int"),
        ("no/such/file.pt", "there is no file"),
        ("nothing.pt", "there is no file"),
    ],
)
def test_bad_weights(weights, said):
    with pytest.raises(errors.NaraeError, match=said):
        load_weights(net(), weights)


def test_published_weights_of_a_resnet():
    """A file in PyTorch's old form, of a model under DataParallel, into a model of ours."""
    places = [p for p in narae_data() if (p / "weights/resnet20-12fca82f.th").is_file()]
    if not places:
        pytest.skip("NARAE_DATA has no weights/resnet20-12fca82f.th")
    path = places[0] / "weights/resnet20-12fca82f.th"
    state = narae.load(path)["state_dict"]
    model = resnet20(weights=path)
    assert (model.conv1.weight == state["module.conv1.weight"]).all()
    with pytest.raises(errors.DataError, match=r"linear\.weight is \(10, 64\), in the model \(7"):
        resnet20(weights=path, num_classes=7)
    assert resnet20(weights=path, num_classes=7, ignore_mismatched=True).linear.weight.shape[0] == 7


def narae_data():
    return [pathlib.Path(os.environ["NARAE_DATA"])] if "NARAE_DATA" in os.environ else []


# ------------------------------------------------------------------------------- repositories
@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The library's own folder with one repository, and no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--net"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(commit)
    folder = repository / "snapshots" / commit
    folder.mkdir(parents=True)
    return folder


def test_a_repository_that_was_fetched(hub):
    source, model = net(), net()
    save(source.state_dict(), hub / "model.safetensors")
    (hub / "config.json").write_text(json.dumps({"num_labels": 3}))
    load_weights(model, "some/net")
    assert same(model, source) and read_weights("some/net").config == {"num_labels": 3}
    assert same(load_and_return("some/net@main"), source)


def test_a_repository_that_is_not_here(hub):
    with pytest.raises(errors.MissingDataError, match=r"hf download other/net"):
        load_weights(net(), "other/net")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(errors.MissingExtraError, match=r"narae\[hub\]"):
        load_weights(net(), "some/net")


def test_what_is_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_repository("timm/resnet18.a1_in1k") and is_repository("a/b@v1.0")
    for text in ("a/b.pt", "a/b/c", "./b", "../b", "b", "/a/b", "a/b.safetensors"):
        assert not is_repository(text), text
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").mkdir()
    assert not is_repository("a/b")
