"""`narae train`, whole: what it shows, what it leaves, how it is stopped and gone on with."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import narae
from narae.cli import main
from narae.io import read_records
from narae.train.runs.folder import RunFolder

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

FILES = {"run.json", "result.json", "metrics.jsonl", "timing.jsonl", "summary.txt", "checkpoints"}
PNG = b"\x89PNG\r\n\x1a\n"

OWN = '''
"""Which side of a line a point is on."""

import time

import narae.nn as nn
import narae.nn.functional as F
from narae import rand
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Data, Settings

SETTINGS = Settings(epochs=4)


def data(folder, batch_size: int = 10):
    x = rand(64, 2)
    y = (x.sum(dim=1) > 1).long()
    train = DataLoader(TensorDataset(x[:44], y[:44]), batch_size, shuffle=True)
    return Data(train, DataLoader(TensorDataset(x[44:], y[44:]), 20), ("below", "above"))


def model():
    last = nn.Linear(8, 2)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), last)


def loss(out, target):
    return F.cross_entropy(out, target)


def optimizer(model, lr: float = 0.5):
    return SGD(model.parameters(), lr=lr, momentum=0.9)


def metrics(out, target):
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "sides.py"
    path.write_text(OWN.lstrip(), "utf-8")
    return path


def files_of(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def newest(run: pathlib.Path) -> pathlib.Path:
    """The newest checkpoint of a run."""
    return max((run / "checkpoints").glob("step-*.safetensors"))


def weights_of(checkpoint: pathlib.Path) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in narae.load(checkpoint)["model"].items()}


def assert_same_weights(first: pathlib.Path, second: pathlib.Path) -> None:
    ours, theirs = weights_of(first), weights_of(second)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name


def test_a_run_shows_and_leaves_what_it_should(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--epochs", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("digits-cnn: Handwritten digits of 8 x 8 pixels")
    assert "Sequential with 21,386 parameters, AdamW, each step one program" in shown
    assert "1,437 samples to learn from, 360 to test on; 2 epochs of 45 batches of 32" in shown
    line = r"epoch 2/2 · loss \d\.\d+ · accuracy \d\d\.\d\d% · val_loss \S+ · val_accuracy \S+%"
    assert re.search(line, shown)
    out = tmp_path / "runs" / "digits-cnn"
    assert files_of(out) == FILES | {"digits-cnn.png"}
    checkpoints = {"step-00000045.safetensors", "step-00000090.safetensors", "best.safetensors"}
    assert files_of(out / "checkpoints") == checkpoints
    assert (out / "digits-cnn.png").read_bytes().startswith(PNG)
    history = RunFolder(out).history()
    assert {len(values) for values in history.values()} == {2}
    summary = (out / "summary.txt").read_text("utf-8")
    assert summary in shown
    assert f"accuracy {history['val_accuracy'][-1]:.2%}" in summary
    plan = json.loads((out / "run.json").read_text("utf-8"))
    assert plan["recipe"]["name"] == "digits-cnn"
    settings = {name: plan["settings"][name] for name in ("epochs", "seed", "data.batch_size")}
    assert settings == {"epochs": 2, "seed": 0, "data.batch_size": 32}
    assert plan["settings"]["optimizer.lr"] == 0.005
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert (result["status"], result["epochs"], result["updates"]) == ("finished", 2, 90)
    assert result["numbers"]["val_loss"] == history["val_loss"][-1]
    assert narae.load(newest(out))["epoch"] == 2


def test_a_second_run_does_not_overwrite_the_first(tmp_path, monkeypatch, own, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", str(own), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert files_of(tmp_path / "runs") == {"sides", "sides-2"}
    assert_same_weights(*(newest(tmp_path / "runs" / name) for name in ("sides", "sides-2")))


def test_options_change_the_run(tmp_path, own):
    options = ["--epochs", "1", "--lr", "0.01", "--batch-size", "7", "--seed", "5"]
    assert main(["train", str(own), "--out", str(tmp_path / "a"), "-q", *options]) == 0
    settings = RunFolder(tmp_path / "a").plan().chosen
    assert settings == {"epochs": 1, "optimizer.lr": 0.01, "data.batch_size": 7, "seed": 5}
    state = narae.load(newest(tmp_path / "a"))
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.01
    assert (state["epoch"], state["updates"]) == (1, 7)  # 44 samples in batches of 7


@pytest.mark.parametrize("executor", ["reference", "native"])
def test_without_compile_the_weights_are_the_same(tmp_path, own, monkeypatch, executor):
    """Batch norm, dropout, momentum and a smaller last batch: eager equals one program, in bits.

    Machine code rounds sums in another order.
    """
    monkeypatch.setenv("NARAE_EXECUTOR", executor)
    assert main(["train", str(own), "--out", str(tmp_path / "a"), "-q"]) == 0
    assert main(["train", str(own), "--out", str(tmp_path / "b"), "-q", "--no-compile"]) == 0
    files = (newest(tmp_path / "a"), newest(tmp_path / "b"))
    if executor == "reference":
        assert_same_weights(*files)
        return
    ours, theirs = map(weights_of, files)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_going_on_equals_never_having_stopped(tmp_path, own):
    """Two epochs and two more from the checkpoint give the weights of four, in bits."""
    whole, half = (tmp_path / name for name in ("whole", "half"))
    assert main(["train", str(own), "--out", str(whole), "-q"]) == 0
    assert main(["train", str(own), "--out", str(half), "-q", "--epochs", "2"]) == 0
    assert main(["train", "--resume", str(half), "-q", "--epochs", "4"]) == 0
    assert_same_weights(newest(whole), newest(half))
    assert (whole / "metrics.jsonl").read_bytes() == (half / "metrics.jsonl").read_bytes()
    plan = RunFolder(half).plan()
    assert plan.settings["epochs"] == 4
    assert [(x["epoch"], x["settings"]) for x in plan.changes] == [(2, {"epochs": 4})]
    assert RunFolder(half).result().epochs == 4


def test_a_damaged_checkpoint_is_refused_and_nothing_is_written(tmp_path, own, capsys):
    """Where every checkpoint is damaged, nothing is changed."""
    run = tmp_path / "run"
    assert main(["train", str(own), "--out", str(run), "-q"]) == 0
    for checkpoint in (run / "checkpoints").glob("step-*"):
        data = bytearray(checkpoint.read_bytes())
        data[-5] ^= 4
        checkpoint.write_bytes(data)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["train", "--resume", str(run), "--epochs", "9"]) == 2
    assert "checksum" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert main(["train", "linear-regression", "--resume", str(run)]) == 2
    assert "is from a run of sides" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, capsys):
    assert main(["train", "linear-regression", "--lr", "1e30", "--out", str(tmp_path / "a")]) == 2
    error = capsys.readouterr().err
    assert "the loss became" in error
    assert "lower the learning rate" in error
    result = json.loads((tmp_path / "a" / "result.json").read_text("utf-8"))
    assert result["status"] == "failed"
    assert "the loss became" in result["error"]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_ctrl_c_saves_and_says_so(tmp_path):
    """Exit code 130; the checkpoint of the moment is there, and the run goes on from it."""
    source = OWN.replace("epochs=4", "epochs=12").replace(
        "def loss(out, target):\n", "def loss(out, target):\n    time.sleep(0.05)\n"
    )
    (tmp_path / "slow.py").write_text(source.lstrip(), "utf-8")
    command = [sys.executable, "-u", "-m", "narae", "train", "slow.py", "--no-compile"]
    process = subprocess.Popen(
        [*command, "--out", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch  2/12"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "narae train --resume out" in error
    out = tmp_path / "out"
    assert files_of(out) == {
        "run.json",
        "recipe.py",
        "metrics.jsonl",
        "timing.jsonl",
        "checkpoints",
    }
    state = narae.load(newest(out))
    assert 2 <= state["epoch"] < 12
    assert RunFolder(out).status == "stopped"
    assert len(list(read_records(out / "metrics.jsonl"))) == state["epoch"]
    again = [sys.executable, "-m", "narae", "train", "--resume", "out", "-q"]
    assert subprocess.run(again, cwd=tmp_path, check=False).returncode == 0
    assert RunFolder(out).status == "finished"


@pytest.mark.slow
def test_linear_regression_finds_the_line(tmp_path):
    """G4: 2,000 steps from the initial weights of seed 100 end at 1.9945 and 0.0125."""
    out = tmp_path / "line"
    assert main(["train", "linear-regression", "--out", str(out), "-q"]) == 0
    weights = weights_of(newest(out))
    assert weights["weight"].item() == pytest.approx(1.9945, abs=1e-4)
    assert weights["bias"].item() == pytest.approx(0.0125, abs=2e-4)
    assert (out / "linear-regression.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_digits_cnn_reaches_98_percent(tmp_path):
    out = tmp_path / "digits"
    assert main(["train", "--out", str(out), "-q"]) == 0
    history = RunFolder(out).history()
    assert len(history["val_accuracy"]) == 15
    assert history["val_accuracy"][-1] >= 0.98


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_mnist_cnn_reaches_97_percent_in_one_epoch(tmp_path):
    """G16, G21: the course's network on pictures scaled to 0-1, on NumPy alone."""
    out = tmp_path / "mnist"
    assert main(["train", "mnist-cnn", "--epochs", "1", "--out", str(out), "-q"]) == 0
    history = RunFolder(out).history()
    assert history["val_accuracy"][-1] >= 0.97
