"""The `narae` command: options, suggestions, exit codes. Nothing is trained here."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys

import pytest

from narae.cli import main
from narae.cli.parser import suggestion


def refused(capsys, *arguments: str) -> str:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return shown.err


def test_version(capsys):
    assert main(["--version"]) == 0
    text = capsys.readouterr().out
    assert re.match(r"narae \S+.*, numpy \d+\.\d+.*, ml-dtypes \d.*, Python 3\.\d+", text)
    assert f"numpy {importlib.metadata.version('numpy')}" in text


def test_help_without_arguments(capsys):
    assert main([]) == 0
    assert "train" in capsys.readouterr().out


def test_python_m_narae():
    done = subprocess.run(
        [sys.executable, "-m", "narae", "recipes"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    names = [line.partition(":")[0] for line in done.stdout.splitlines() if line[0] != " "]
    assert names == [
        "adding-task",
        "bccd-faster-rcnn",
        "bccd-yolo",
        "camvid-fcn",
        "camvid-unet",
        "chatbot-ko",
        "cifar-cnn",
        "cifar-resnet18",
        "cifar-resnet20",
        "cifar-vit",
        "copy-task",
        "digits-cnn",
        "fashion-cnn",
        "forecast-airline",
        "forecast-pollution",
        "linear-regression",
        "mnist-cnn",
        "mnist-detection",
        "mnist-mlp",
        "shakespeare-gpt",
        "shakespeare-lstm",
        "translate-de-en",
        "translate-ko-en",
    ]
    bad = subprocess.run(
        [sys.executable, "-m", "narae", "trian"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2


def test_recipes_are_listed_with_their_card(capsys):
    """Task, data, the figure to expect, the time; and the same as JSON."""
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert "digits-cnn: Handwritten digits" in shown
    assert "  expect  val_accuracy 0.98\n" in shown
    assert main(["recipes", "--json"]) == 0
    for card in json.loads(capsys.readouterr().out).values():
        assert {"summary", "task", "data", "expect", "time"} <= card.keys()


def test_the_settings_of_a_recipe_are_listed(capsys):
    assert main(["recipes", "mnist-cnn"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^data\.raw +false +yes or no$", shown, re.MULTILINE)
    assert re.search(r"^patience +0 +a whole number$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "no command 'trian'; commands are train, evaluate, predict, generate"),
        (["trian"], "Fix: did you mean train?"),
        (["train", "--epoch", "3"], "there is no option --epoch"),
        (["train", "--epoch", "3"], "did you mean --epochs?"),
        (["train", "--batchsize=3"], "did you mean --batch-size?"),
        (["train", "digits-cn"], "there is no recipe 'digits-cn'"),
        (["train", "digits-cn"], "did you mean digits-cnn?"),
        (["train", "zzz"], "cifar-vit, copy-task, digits-cnn"),
        (["train", "digits-cnn", "more"], "'more' is one word too many"),
        (["train", "--epochs", "many"], "argument --epochs: 'many' is not a whole number"),
        (["train", "--epochs", "0"], "0 is not at least 1"),
        (["train", "--batch-size", "-4"], "-4 is not at least 1"),
        (["train", "--lr", "fast"], "'fast' is not a number"),
        (["train", "--lr", "nan"], "nan is not a positive number"),
        (["train", "--lr=-0.1"], "-0.1 is not a positive number"),
        (["train", "--seed", "1.5"], "'1.5' is not a whole number"),
        (["train", "--epochs"], "argument --epochs: expected one argument"),
        (["train", "--data-dir", "no/such/place"], "--data-dir no/such/place does not exist"),
        (["train", "--resume", "no.safetensors"], "--resume no.safetensors does not exist"),
        (["train", "no/such/recipe.py"], "there is no file"),
        (["train", "--resume", __file__], "is a file; --resume names the folder of a run"),
        (["train", "--resume", "tests", "--from", "tests"], "--resume and --from are both given"),
        (["train", "--resume", "tests", "--out", "x"], "--resume and --out are both given"),
        (["train", "--from", "tests"], "tests has no run.json"),
        (["train", "--set", "lr"], "--set lr; a setting is given as NAME=VALUE"),
        (["train", "--set", "weigth_decay=0"], "did you mean weight_decay?"),
        (["train", "--set", "modle.width=3"], "did you mean model.width?"),
        (["train", "--set", "patiense=3"], "did you mean patience?"),
        (["train", "--set", "width=wide"], "width is 'wide'; it is a whole number"),
        (["train", "--set", "smoothing=1"], "smoothing is 1.0; it lies in [0, 1)"),
        (["train", "--threads", "0"], "0 is not at least 1"),
        (["runs", "no-such-run"], "no-such-run does not exist"),
        (["export", "no-such-run", "w.safetensors"], "no-such-run does not exist"),
        (["sweep"], "no recipe is named"),
        (["sweep", "digits-cnn"], "nothing to try is given"),
        (["sweep", "digits-cnn", "--grid", "lr"], "--grid lr; a setting is given as NAME=VALUE"),
        (["sweep", "digits-cnn", "--grid", "wdith=1,2"], "did you mean width?"),
        (["sweep", "digits-cnn", "--grid", "lr=1..2"], "a grid is made of lists of values"),
        (["sweep", "digits-cnn", "--grid", "width=2,x"], "width is 'x'; it is a whole number"),
        (["sweep", "digits-cnn", "--grid", "lr=1", "--optuna"], "--optuna comes with --grid"),
        (["sweep", "digits-cnn", "--random", "lr=1..2"], "begins with how many points to draw"),
        (["sweep", "digits-cnn", "--random", "3"], "no setting is varied"),
        (["sweep", "digits-cnn", "--random", "3", "lr=log:0..1"], "logarithms are of positive"),
        (["sweep", "digits-cnn", "--random", "3", "lr=2..1"], "from a number to a larger one"),
        (["sweep", "digits-cnn", "--random", "3", "compile=0..1"], "compile is not one"),
        (["sweep", "--resume", "tests"], "tests has no sweep.json"),
        (["sweep", "--resume", "tests", "--set", "lr=1"], "--resume comes with --set"),
        (["sweep", "--resume", "tests", "--epochs", "3"], "--resume comes with --epochs"),
        (["sweep", "--resume", "tests", "--no-compile"], "--resume comes with --compile"),
        (["sweep", "--resume", "tests", "--out", "x"], "--resume comes with --out"),
        (["sweep", "--resume", "tests", "--draw-seed", "0"], "--resume comes with --draw-seed"),
        (["sweep", "x", "--resume", "tests", "--grid", "lr=1"], "comes with --grid, a recipe"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(capsys, arguments, said):
    message = refused(capsys, *arguments)
    assert message.startswith("error: [")
    assert said in message
    assert "; " in message


def test_a_file_is_no_data_folder(capsys, tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert "names a folder" in refused(capsys, "train", "--data-dir", str(file))


def test_a_recipe_that_lacks_parts_is_explained(capsys, tmp_path):
    recipe = tmp_path / "half.py"
    recipe.write_text("def model(): ...\n", "utf-8")
    assert "does not define data, loss, optimizer" in refused(capsys, "train", str(recipe))
    recipe.write_text("SETTINGS = data = model = loss = optimizer = print\n", "utf-8")
    assert "SETTINGS of" in refused(capsys, "train", str(recipe))


def test_a_missing_extra_is_named_before_anything_is_done(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refused(capsys, "train", "linear-regression")
    assert "matplotlib is not installed" in message
    assert 'pip install "narae[train]"' in message
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder_is_refused(capsys, tmp_path):
    (tmp_path / "file").touch()
    message = refused(capsys, "train", "linear-regression", "--out", str(tmp_path / "file"))
    assert "--out names a folder" in message
    message = refused(capsys, "train", "linear-regression", "--out", str(tmp_path / "file" / "x"))
    assert "--out names a folder" in message
    sweep = ("sweep", "linear-regression", "--grid", "lr=0.1", "--out")
    for place in (tmp_path / "file", tmp_path / "file" / "x"):
        message = refused(capsys, *sweep, str(place))
        assert message.startswith("error: [sweep]")
        assert "--out names a folder" in message


def test_a_file_in_the_place_of_the_folder_of_runs_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs", "sweeps"):
        (tmp_path / name).touch()
    message = refused(capsys, "train", "linear-regression", "-q")
    assert "runs cannot be made a folder (File exists)" in message
    message = refused(capsys, "sweep", "linear-regression", "--grid", "lr=0.1")
    assert "sweeps cannot be made a folder (File exists)" in message


def test_suggestions_are_near():
    assert suggestion("--epoch", ["--lr", "--epochs"]) == "did you mean --epochs?"
    assert suggestion("zzz", ["--lr", "--epochs"]) == ""
