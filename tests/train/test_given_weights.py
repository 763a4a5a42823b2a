"""`--weights`: a run that begins with them, and a model that is judged with them.

C7: `narae.save/load`; here of the weights that a command is given.
"""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

import narae
from narae import nn
from narae.cli import main
from narae.train.runs.folder import RunFolder
from tests.train.small_recipe import SIDES


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a recipe and weights that answer "above" to everything."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sides.py").write_text(SIDES.lstrip(), "utf-8")
    narae.save({"state_dict": sure(8)}, tmp_path / "sure.pt")
    narae.save(sure(5), tmp_path / "narrow.safetensors")
    return tmp_path


def sure(width):
    model = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 2))
    state = {name: narae.zeros(*x.shape) for name, x in model.state_dict().items()}
    state["3.bias"][1] = 100.0
    return state


TRAIN = ["train", "sides.py", "-q", "--epochs", "1", "--lr", "1e-9"]


def test_a_run_begins_with_them(place, capsys):
    """Also its repetition, and one that was killed before its first checkpoint."""
    assert main([*TRAIN, "--weights", "sure.pt", "--out", "a"]) == 0
    assert bias_of("a") == pytest.approx(100)
    assert RunFolder(place / "a").plan().about["weights"] == "sure.pt"
    assert main(["train", "--from", "a", "-q", "--out", "b"]) == 0
    assert bias_of("b") == pytest.approx(100)
    for path in (place / "a/checkpoints").iterdir():
        path.unlink()
    assert main(["train", "--resume", "a", "-q"]) == 0
    assert bias_of("a") == pytest.approx(100)
    assert main([*TRAIN, "--out", "c"]) == 0
    assert bias_of("c") < 2
    capsys.readouterr()
    assert main(["train", "--resume", "a", "--weights", "sure.pt"]) == 2
    assert "leave --weights out" in capsys.readouterr().err


def bias_of(run):
    state = narae.load(RunFolder(Path(run)).best)
    return state["model"]["3.bias"][1].item()


def test_weights_of_another_size(place, capsys):
    assert main([*TRAIN, "--weights", "narrow.safetensors", "--out", "a"]) == 2
    said = capsys.readouterr().err
    assert "0.weight is (5, 2), in the model (8, 2)" in said and "--ignore-mismatched" in said
    assert not (place / "a").exists()
    command = [*TRAIN, "--log-level", "warning", "--weights", "narrow.safetensors", "--out", "a"]
    command += ["--ignore-mismatched"]
    assert main(command) == 0
    assert "left out: 0.weight is (5, 2)" in capsys.readouterr().err
    assert bias_of("a") == pytest.approx(100)  # of the same shape in both


def test_a_model_is_judged_with_them(place, capsys):
    assert main(["evaluate", "--weights", "sure.pt", "--recipe", "sides.py"]) == 0
    said = capsys.readouterr().out
    assert "sides (sure.pt)" in said and "above" in said
    assert main(["evaluate", "--weights", "sure.pt"]) == 2
    assert "--recipe NAME" in capsys.readouterr().err
    assert main(["evaluate", "--weights", "sure.pt", "--checkpoint", "x"]) == 2
    assert "choose one" in capsys.readouterr().err
    judge = ["evaluate", "--weights", "sure.pt", "--recipe", "sides.py"]
    assert main([*judge, "--picture", "p.png"]) == 2
    assert "has no curves" in capsys.readouterr().err
    assert main(["predict", "no.png", "--weights", "sure.pt", "--recipe", "sides.py"]) == 2
    assert "takes inputs of shape (2,)" in capsys.readouterr().err
