"""The experiments with pictures, in small: they run, and show what they claim."""

from __future__ import annotations

import importlib
import pathlib

import numpy as np
import pytest

import narae

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "vision"


@pytest.fixture(autouse=True)
def among_the_examples(monkeypatch):
    """Programs import `experiment` from their folder; the reference executor compiles nothing."""
    monkeypatch.syspath_prepend(str(FOLDER))
    narae.set_executor("reference")
    yield
    narae.set_executor(None)


def run(name, tmp_path, capsys, *options):
    """What a program gives back and prints; its figure is there."""
    found = importlib.import_module(name).main([*options, "--figure", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").stat().st_size > 5_000
    return found, capsys.readouterr().out


def test_filters(tmp_path, capsys):
    """A18: edges and blur of a picture, as a table and as a figure."""
    images = pytest.importorskip("PIL.Image")
    images.new("RGB", (40, 30), "white").save(tmp_path / "white.png")
    found, text = run("filters", tmp_path, capsys)
    assert found["Gaussian blur"].std() < found["as it is"].std() < found["sharpen"].std()
    assert "Laplacian" in text
    flat, _ = run("filters", tmp_path, capsys, str(tmp_path / "white.png"))
    assert flat["Sobel"].shape == (30, 40) and np.abs(flat["Sobel"]).max() < 1e-6


def test_linear_layers_do_not_know_the_order_of_pixels():
    """A19: the same weights in another order see the same in pictures in another order."""
    program = importlib.import_module("pixel_permutation")
    task = importlib.import_module("experiment").digits(50)
    model = program.linear_net(task.shape)
    moved = program.permuted(task, seed=3)
    order = np.random.default_rng(3).permutation(64)
    expected = model(narae.from_numpy(task.images)).detach().numpy()
    with narae.no_grad():
        model[1].weight.copy_(narae.from_numpy(model[1].weight.detach().numpy()[:, order]))
    found = model(narae.from_numpy(moved.images)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_pixel_permutation(tmp_path, capsys):
    """A19: with permuted pixels, linear layers learn as well as before, convolutions do not."""
    found, text = run("pixel_permutation", tmp_path, capsys, "--small")
    linear, convolutions = found["linear layers"], found["convolutions"]
    assert abs(linear[1] - linear[0]) <= 0.015
    assert convolutions[1] < convolutions[0]
    assert convolutions[0] > linear[0]
    assert "permuted" in text


@pytest.mark.slow
def test_degradation(tmp_path, capsys):
    """I7: deeper plain nets have a larger *training* error; residual nets of that depth do not."""
    found, text = run("degradation", tmp_path, capsys, "--small", "--epochs", "3")
    last = {name: result.errors[-1] for name, result in found.items()}
    assert last["plain-20"] > last["plain-8"] + 0.05
    assert last["residual-20"] < last["plain-20"] - 0.05
    assert found["plain-20"].parameters == found["residual-20"].parameters == 269_722
    assert "train error %" in text


@pytest.mark.slow
def test_depth_for_width(tmp_path, capsys):
    """A24: shallow and deep networks of the same budget in one table."""
    found, text = run("depth_for_width", tmp_path, capsys, "--small", "--epochs", "1")
    counts = [result.parameters for result in found.values()]
    assert len(counts) == 6 and all(4_000 < count <= 5_000 for count in counts)
    assert "46 x 46" in text


@pytest.mark.slow
def test_relu_or_tanh(tmp_path, capsys):
    """I3: what reaches the first of eight layers through sigmoids is next to nothing."""
    found, _ = run("relu_or_tanh", tmp_path, capsys, "--small", "--epochs", "3")
    shares = {name: sizes[0] / sizes[-1] for name, (sizes, _) in found.items()}
    assert shares["sigmoid"] < 1e-4 and 0.1 < shares["ReLU"] < 100 and shares["tanh"] > 0.1
    losses = {name: result.losses[-1] for name, (_, result) in found.items()}
    assert losses["sigmoid"] > max(losses["ReLU"], losses["tanh"])
