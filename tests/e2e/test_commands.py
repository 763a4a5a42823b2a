"""`narae evaluate`, `predict` and `summary`, whole, on a model that was just trained."""

import json
import logging
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from narae.cli import main
from narae.io import read_records
from narae.train.runs.folder import RunFolder

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which digits-cnn was trained for three epochs."""
    folder = tmp_path_factory.mktemp("commands")
    assert main(["train", "-q", "--epochs", "3", "--out", str(folder / "runs" / "digits-cnn")]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    """Work in that folder, and leave the logger as it was."""
    monkeypatch.chdir(place)
    logger = logging.getLogger("narae")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


# ---------------------------------------------------------------------------------- evaluate
def test_evaluate_finds_what_training_found(place, capsys):
    history = RunFolder(place / "runs/digits-cnn").history()
    best = max(history["val_accuracy"])
    assert main(["evaluate"]) == 0
    shown = capsys.readouterr().out
    assert f"test data: 360 samples · loss {history['val_loss'][-1]:.4f}" in shown
    assert f"accuracy {best:.2%}" in shown
    assert len([line for line in shown.splitlines() if line[:1].isdigit()]) == 10


def test_evaluate_as_json_agrees_with_scikit_learn(place, capsys):
    from sklearn.metrics import precision_recall_fscore_support

    assert main(["evaluate", "--json", "--batch-size", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    counts = np.array(found["confusion"])
    true, taken = np.indices(counts.shape)
    pairs = [np.repeat(x.ravel(), counts.ravel()) for x in (true, taken)]
    precision, recall, f1, support = precision_recall_fscore_support(*pairs)
    for column, values in zip(("precision", "recall", "f1", "support"),
                              (precision, recall, f1, support), strict=True):  # fmt: skip
        ours = [scores[column] for scores in found["classes"].values()]
        np.testing.assert_allclose(ours, values)
    assert found["accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    assert found["samples"] == 360


def test_evaluate_the_training_part_and_draw(place, capsys):
    last = "runs/digits-cnn/checkpoints/step-00000135.safetensors"
    options = ["--part", "train", "--picture", "confusion.png"]
    assert main(["evaluate", "--checkpoint", last, *options]) == 0
    assert "train data: 1,437 samples" in capsys.readouterr().out
    with Image.open(place / "confusion.png") as picture:
        assert min(picture.size) > 500


# ----------------------------------------------------------------------------------- predict
def save_digit(path, index, *, paper=False, size=8):
    """A digit of scikit-learn as a picture file: bright on black, or dark on white paper."""
    pixels = datasets.load_digits().images[index] * 255 / 16
    image = Image.fromarray((255 - pixels if paper else pixels).astype(np.uint8))
    image.resize((size, size)).save(path)


def test_predict_says_what_pictures_show(place, capsys):
    wanted = datasets.load_digits().target[[7, 11, 20, 36]]
    for name, index in (("a.png", 7), ("b.jpg", 11), ("c.png", 20), ("d.png", 36)):
        save_digit(place / name, index, paper=name == "a.png", size=8 if name != "b.jpg" else 80)
    assert main(["predict", "a.png", "b.jpg", "c.png", "d.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [int(each["class"]) for each in found] == wanted.tolist()
    for each in found:
        shares = [share for _, share in each["ranked"]]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)


def test_predict_shows_the_first_classes(place, capsys):
    save_digit(place / "seven.png", 7)
    assert main(["predict", "seven.png", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("by digits-cnn, epoch 3 (runs")
    assert lines[1] == "seven.png: 7"
    assert len(lines) == 4
    assert "%" in lines[2]


def test_a_transparent_drawing_stands_on_white_paper(place, capsys):
    pixels = (datasets.load_digits().images[7] * 255 / 16).astype(np.uint8)
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 3] = pixels  # black ink, as opaque as the stroke is strong
    Image.fromarray(ink, "RGBA").save(place / "ink.png")
    save_digit(place / "plain.png", 7)
    assert main(["predict", "ink.png", "plain.png", "--json"]) == 0
    ink, plain = json.loads(capsys.readouterr().out)
    assert ink["ranked"] == plain["ranked"]


# ----------------------------------------------------------------------------------- summary
def test_summary_of_a_recipe_and_of_a_run(capsys):
    assert main(["summary", "digits-cnn"]) == 0
    shown = capsys.readouterr().out
    assert "3 (Conv2d)     (1, 64, 4, 4)      18,496" in shown
    assert "parameters  21,386" in shown
    assert main(["summary", "runs/digits-cnn", "--json", "--batch-size", "4"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 21_386
    assert found["input_shapes"] == [[4, 1, 8, 8]]
    layers = {layer["path"]: layer for layer in found["layers"]}
    assert layers["0"]["flops"] == 2 * 4 * 32 * 8 * 8 * 9
    assert layers["8"]["shape"] == [4, 10]
    assert found["weight_bytes"] == 4 * 21_386


def test_summary_of_any_model(tmp_path, monkeypatch, capsys):
    (tmp_path / "own.py").write_text(
        "from narae import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.embed = nn.Embedding(100, 8)\n        self.unused = nn.Linear(2, 2)\n"
        "        self.twice = nn.Linear(8, 8)\n\n"
        "    def forward(self, x):\n        return self.twice(self.twice(self.embed(x)))\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["summary", "own:Net", "--input", "5", "--dtype", "int64"]) == 0
    shown = capsys.readouterr().out
    assert "(1, 5, 8) × 2" in shown
    assert "not called" in shown
    assert "parameters  878" in shown


# ---------------------------------------------------------------------------------- bad input
BAD = {
    "no picture": (["predict", "broken.png"], "is a PNG, JPEG or another file that Pillow reads"),
    "no file": (["predict", "none.png"], "there is no file none.png"),
    "no checkpoint": (["evaluate", "--checkpoint", "no.safetensors"], "does not exist"),
    "empty folder": (["evaluate", "--checkpoint", "empty"], "empty holds no checkpoint"),
    "other recipe": (["evaluate", "--recipe", "mnist-cnn"], "is from a run of digits-cnn"),
    "no model": (["summary", "nothing"], "there is no recipe 'nothing'"),
    "no module": (["summary", "no.such:Model"], "makes no model"),
    "needs arguments": (["summary", "narae.nn:Linear"], "makes no model"),
    "no shape": (["summary", "narae.nn:Identity"], "--input 3,224,224"),
    "wrong shape": (["summary", "digits-cnn", "--input", "1,9,9,9"], "[in 0 (Conv2d)]"),
    "no size": (["summary", "digits-cnn", "--input", "1,x"], "is not sizes such as 1,28,28"),
    "no dtype": (["summary", "digits-cnn", "--dtype", "float31"], "--dtype is float31"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_explained(place, capsys, name):
    (place / "empty").mkdir(exist_ok=True)
    (place / "broken.png").write_text("no picture", "utf-8")
    arguments, said = BAD[name]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_without_runs_the_way_to_one_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate"]) == 2
    assert "train first: narae train" in capsys.readouterr().err


# --------------------------------------------------------------------------------- what is left
def test_a_run_appends_each_epoch_to_its_records(place):
    """C8: one record an epoch, while the run goes on."""
    records = list(read_records(place / "runs/digits-cnn/metrics.jsonl"))
    history = RunFolder(place / "runs/digits-cnn").history()
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["val_loss"] for record in records] == history["val_loss"]


def test_a_run_logs_its_epochs(place, tmp_path, capsys):
    """C9, C10: nothing by default, epochs with -v, files with -vv."""
    command = ["train", "linear-regression", "--epochs", "2"]
    heard = {}
    for number, options in enumerate([[], ["-v"], ["-vv"]]):
        log = tmp_path / f"{number}.log"
        out = ["--out", str(tmp_path / str(number)), "--log-file", str(log), "--log-format", "json"]
        assert main([*command, *options, *out]) == 0
        heard[number] = list(read_records(log))
    assert heard[0] == []
    epochs = [r["epoch"] for r in heard[1] if r["logger"] == "narae.train"]
    assert epochs == [1, 2]
    assert {r["level"] for r in heard[1]} == {"info"}
    assert any("saved " in r["message"] for r in heard[2] if r["level"] == "debug")


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_closed_pipe_is_no_error(place):
    command = f"{sys.executable} -m narae evaluate --json | head -1"
    done = subprocess.run(
        command, shell=True, cwd=place, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_a_recipe_may_say_how_pictures_become_inputs(place, capsys):
    source = pathlib.Path(main.__code__.co_filename).parents[1] / "train/recipes/digits_cnn.py"
    own = source.read_text("utf-8") + (
        "\n\ndef picture(image):\n    from narae import zeros\n    return zeros(1, 8, 8)\n"
    )
    (place / "digits-cnn.py").write_text(own, "utf-8")
    save_digit(place / "seven.png", 7)
    save_digit(place / "three.png", 3)
    options = ["--checkpoint", "runs/digits-cnn", "--recipe", "digits-cnn.py", "--json"]
    assert main(["predict", "seven.png", "three.png", *options]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["ranked"] == second["ranked"]
