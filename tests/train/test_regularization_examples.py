"""The measured examples of regularization, in small: they run, and do what they say they do.

How much each helps depends on the data, and stands in docs/regularization.md as it was found; here
is tested that the tables are whole and that the mechanisms work.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narae

pytest.importorskip("sklearn")

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "regularization"
PROGRAMS = (
    *("augmentation", "batch_norm", "dropout", "early_stopping", "label_smoothing", "mixup"),
    *("noise", "overfitting", "weight_decay"),
)


@pytest.fixture(autouse=True)
def among_the_examples(monkeypatch):
    """Programs import `harness` from their own folder; the reference executor compiles nothing."""
    monkeypatch.syspath_prepend(str(FOLDER))
    narae.set_executor("reference")
    yield
    narae.set_executor(None)


def results_of(name, capsys, *arguments):
    """What a small run gives back and prints."""
    program = importlib.import_module(name)
    found = program.main(["--small", *arguments])
    return found, capsys.readouterr().out


def rows_of(text):
    """The numbers of a printed table, by variant."""
    found = {}
    for line in text.splitlines():
        name, *numbers = re.split(r"\s{2,}", line.strip())
        if numbers and all(re.fullmatch(r"[-+]?[\d.]+", number) for number in numbers):
            found[name] = [float(number) for number in numbers]
    return found


def check(found, text):
    """Each variant has a row of finite numbers, and the first has no change."""
    rows = rows_of(text)
    for number, (name, scores) in enumerate(found.items()):
        assert name in rows and len(rows[name]) >= 4 + (number > 0), text
        for each in scores:
            values = (each.train, each.test, each.train_loss, each.test_loss, *each.more.values())
            assert all(map(math.isfinite, values)), name
            assert 0 <= each.train <= 1 and 0 <= each.test <= 1


def only(found, name):
    (scores,) = found[name]
    return scores


def test_every_program_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*PROGRAMS, "harness"}


@pytest.mark.slow
def test_overfitting(capsys, tmp_path):
    """E33, H3: 300 samples and 7 layers: a gap between what was seen and what was not, smaller with
    more samples; a figure of both curves by epoch."""
    pytest.importorskip("matplotlib")
    figure = tmp_path / "curves.png"
    runs, text = results_of("overfitting", capsys, "--figure", str(figure), "--epochs", "40")
    rows = rows_of(text)
    train, test, gap, _ = rows["300 samples"]
    assert gap == pytest.approx(train - test, abs=0.11) and gap > 2
    assert rows["1200 samples"][-2] < gap
    epochs = [epoch for epoch, _ in runs[0]]
    assert epochs == sorted(epochs) and epochs[-1] == 40
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "loss on other pictures with 300 samples" in text


def test_seven_layers(capsys):
    """E33: the network has seven layers of weights and more of them than pixels in all samples."""
    harness = importlib.import_module("harness")
    model = harness.deep_network(64)
    weights = [w for w in model.parameters() if w.ndim == 2]
    assert len(weights) == 7
    assert sum(w.numel() for w in weights) > 300 * 64


def test_weight_decay(capsys):
    """E34, H16: the larger the factor, the smaller the weights; L1 makes more of them nothing."""
    found, text = results_of("weight_decay", capsys, "--epochs", "12")
    check(found, text)
    names = ["as it is", *(f"weight decay of {x}" for x in (0.001, 0.01, 0.03, 0.1))]
    sizes = [only(found, name).more["rms w"] for name in names]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.8 * sizes[0]
    nothing = [only(found, name).more["|w| < 0.001"] for name in ("as it is", "L1 of 0.001")]
    assert nothing[1] > 2 * nothing[0]


@pytest.mark.slow
def test_dropout(capsys):
    """E35, H21: the same network learns more slowly the more it forgets, and judging is without."""
    found, text = results_of("dropout", capsys)
    check(found, text)
    losses = [only(found, name).train_loss for name in found]
    assert losses[-1] > losses[0]
    harness = importlib.import_module("harness")
    model = harness.deep_network(64, dropout=0.5).eval()
    x = narae.rand(3, 64)
    assert narae.equal(model(x), model(x))
    assert not narae.equal(model.train()(x), model(x))


@pytest.mark.slow
def test_batch_norm(capsys):
    """H21: with poor initial weights nothing is learned, unless batch norm is there."""
    found, text = results_of("batch_norm", capsys)
    check(found, text)
    assert only(found, "small weights (0.01)").train < 0.2
    assert only(found, "small weights, batch norm").train > 0.9


def test_counting_epochs_does_not_trace_steps_again():
    """The programs of a run are as many as sizes of batches, however many epochs there are."""
    harness, program = (importlib.import_module(x) for x in ("harness", "early_stopping"))
    task = harness.digits(epochs=5)
    parts = harness.split(task, 0)
    for variant in (program.VARIANTS[1], program.VARIANTS[-1]):  # 240 pictures by 100
        trainer = harness.trainer_of(variant, task, parts, 0)
        trainer.fit()
        assert (trainer.train_step.traces, trainer.test_step.traces) == (2, 1)


@pytest.mark.slow
def test_early_stopping(capsys):
    """H15: a run with patience ends before the others, with the weights of its best epoch."""
    found, text = results_of("early_stopping", capsys, "--epochs", "40")
    check(found, text)
    whole, held_out, first, *_ = found
    assert only(found, whole).more["epochs"] == only(found, held_out).more["epochs"] == 40
    assert only(found, first).more["epochs"] < 40


def test_the_best_epoch_comes_back():
    """H15: the model that is judged has the best validation loss of all epochs, not the last."""
    harness, program = (importlib.import_module(x) for x in ("harness", "early_stopping"))
    task = harness.digits(epochs=30)
    parts = harness.split(task, 0)
    trainer = harness.trainer_of(program.stopping(patience=3), task, parts, 0)
    losses = []

    class Losses(narae.train.Callback):
        def on_epoch_end(self, trainer):
            losses.append(trainer.numbers["val_loss"])

    trainer.add_callbacks([Losses()])
    trainer.fit()
    assert trainer.validate()["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] > min(losses) and len(losses) < 30


@pytest.mark.slow
def test_augmentation(capsys):
    """H17: all transforms run, rotation by 45° among them, and with more samples too."""
    found, text = results_of("augmentation", capsys)
    check(found, text)
    assert "rotation by up to 45°" in found and "1,200 samples" in text


def test_pictures_are_transformed_anew():
    """H17: a rotation makes other pictures of the same digits each time, and keeps the labels."""
    harness, program = (importlib.import_module(x) for x in ("harness", "augmentation"))
    images, labels, _, _ = harness.split(harness.digits(), 0)
    loader = program.TURN_FAR.loader(images, labels)
    narae.manual_seed(0)
    first, again = (np.concatenate([np.asarray(x) for x, _ in loader]) for _ in range(2))
    assert first.shape == (300, 1, 8, 8) and first.min() >= 0 and first.max() <= 1
    assert not np.array_equal(np.sort(first.sum((1, 2, 3))), np.sort(again.sum((1, 2, 3))))
    counts = np.bincount(np.concatenate([np.asarray(y) for _, y in loader]), minlength=10)
    assert np.array_equal(counts, np.bincount(np.asarray(labels), minlength=10))


@pytest.mark.slow
def test_noise(capsys):
    """H18: noise trains; least squares on noisy copies comes near ridge regression, by 1 / sqrt."""
    found, text = results_of("noise", capsys)
    check(found, text)
    apart = [float(x) for x in re.findall(r"copies: +([\d.]+) % apart", text)]
    assert len(apart) == 3 and apart[2] < 10 < apart[1] < apart[0]
    assert 2 < apart[1] / apart[2] < 5


@pytest.mark.slow
def test_label_smoothing(capsys, tmp_path):
    """H19: the more is smoothed, the less sure the network is; ECE and its figure."""
    pytest.importorskip("matplotlib")
    figure = tmp_path / "sureness.png"
    found, text = results_of("label_smoothing", capsys, "--figure", str(figure))
    check(found, text)
    sure = [scores[0].more["confidence"] for scores in found.values()]
    assert sure == sorted(sure, reverse=True) and sure[0] - sure[-1] > 0.1
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_calibration_error_by_hand():
    """H19: half of the answers 0.9 sure and all right, half 0.6 sure and half right: ECE 0.1."""
    program = importlib.import_module("label_smoothing")
    shares = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    out, labels = narae.tensor(np.log(shares)), narae.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    found = program.calibration(None, out, labels)
    assert found["ECE"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.1, abs=1e-6)
    assert found["confidence"] == pytest.approx(0.75, abs=1e-6)


@pytest.mark.slow
def test_mixup(capsys):
    """H20: mixup, CutMix and one of both train the deep network."""
    found, text = results_of("mixup", capsys)
    check(found, text)
    assert len(found) == 5


@pytest.mark.slow
def test_mixup_moves_the_border(capsys, tmp_path):
    """H20: the figure of the border between two classes, without and with mixup."""
    pytest.importorskip("matplotlib")
    program = importlib.import_module("mixup")
    program.draw(str(tmp_path / "border.png"))
    assert (tmp_path / "border.png").read_bytes().startswith(b"\x89PNG")


def test_as_a_program(tmp_path):
    """From any folder, by its path; `--help` says what there is."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(FOLDER / "dropout.py")]
    done = subprocess.run(
        [*command, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(word in done.stdout for word in ("--small", "--seeds", "--epochs", "--figure"))


@pytest.mark.slow
def test_several_seeds_have_a_spread(capsys):
    """With more than one seed each number is a mean and its standard deviation."""
    program = importlib.import_module("dropout")
    program.main(["--small", "--seeds", "2", "--epochs", "2"])
    text = capsys.readouterr().out
    assert "2 seeds" in text and len(re.findall(r" ± ", text)) >= 20
