"""Sweeps: spaces, points, trials in processes, killed and gone on with, the ranking."""

from __future__ import annotations

import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from narae import errors
from narae.cli import main
from narae.train import load_recipe
from narae.train.runs.folder import RunFolder
from narae.train.runs.result_file import Best
from narae.train.runs.table import RunRow
from narae.train.sweeps.optuna_search import Trial, suggest
from narae.train.sweeps.space import (
    Choice,
    Range,
    grid_points,
    parse_space,
    random_points,
    setting_words,
)
from narae.train.sweeps.sweep import begin_sweep, open_sweep
from narae.train.sweeps.table import ranked, ranking_table
from narae.train.sweeps.trials import Trials
from tests.train.small_recipe import SIDES, write_sides


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(str(write_sides(tmp_path)))


# ---------------------------------------------------------------------------------------- spaces
@pytest.mark.parametrize(
    ("key", "text", "space"),
    [
        ("lr", "1e-3,3e-3", Choice((0.001, 0.003))),
        ("lr", "0.5", Choice((0.5,))),
        ("batch_size", "16,32,16", Choice((16, 32))),
        ("widths", "4,4;8", Choice(((4, 4), (8,)))),
        ("compile", "yes,no", Choice((True, False))),
        ("precision", "float32, bfloat16", Choice(("float32", "bfloat16"))),
        ("dropout", "0..0.5", Range(0.0, 0.5)),
        ("optimizer.lr", "log:1e-4..1e-1", Range(1e-4, 1e-1, log=True)),
        ("batch_size", "log:4..64", Range(4, 64, log=True, whole=True)),
    ],
)
def test_spaces_are_read(recipe, key, text, space):
    assert parse_space(recipe, key, text) == space


@pytest.mark.parametrize(
    ("key", "text"),
    [("lr", ""), ("lr", "1..x"), ("lr", "1.."), ("lr", "1..2..3"), ("lr", "log:1"), ("lr", "1..1"),
     ("lr", "0..inf"), ("batch_size", "1..2.5"), ("widths", "1..2"), ("smoothing", "0.1,1.5"),
     ("epochs", "0,3"), ("learning", "1")],
)  # fmt: skip
def test_spaces_that_make_no_sense_are_refused(recipe, key, text):
    with pytest.raises(errors.ConfigError):
        parse_space(recipe, key, text)


def test_a_grid_is_every_combination():
    spaces = {"a": Choice((1, 2)), "b": Choice(("x", "y", "z"))}
    points = grid_points(spaces)
    assert points[:4] == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 1, "b": "z"},
        {"a": 2, "b": "x"},
    ]
    assert len(points) == 6


def test_random_points_fill_their_ranges():
    """Uniform numbers, uniform logarithms, whole numbers with both ends: compared with NumPy."""
    spaces = {
        "dropout": Range(0.0, 0.5),
        "lr": Range(1e-4, 1e-1, log=True),
        "width": Range(4, 8, whole=True),
        "kind": Choice(("a", "b")),
    }
    points = random_points(spaces, 3000, seed=1)
    columns = {key: np.array([point[key] for point in points]) for key in spaces}
    assert abs(columns["dropout"].mean() - 0.25) < 0.01
    assert abs(np.log10(columns["lr"]).mean() + 2.5) < 0.05
    assert columns["lr"].min() >= 1e-4
    assert columns["lr"].max() <= 1e-1
    counts = np.unique(columns["width"], return_counts=True)
    assert counts[0].tolist() == [4, 5, 6, 7, 8]
    assert counts[1].min() > 500
    assert abs((columns["kind"] == "a").mean() - 0.5) < 0.04
    assert random_points(spaces, 5, seed=1) == points[:5]
    assert random_points(spaces, 5, seed=2) != points[:5]


def test_points_are_different_and_never_more_than_there_are():
    points = random_points({"a": Choice((1, 2)), "b": Range(1, 3, whole=True)}, 50, seed=0)
    assert sorted((point["a"], point["b"]) for point in points) == [
        (a, b) for a in (1, 2) for b in (1, 2, 3)
    ]


def test_points_come_back_from_their_texts(recipe):
    point = {"lr": 0.1 + 0.2, "widths": (4, 2), "compile": False, "precision": "bfloat16"}
    texts = dict(word.split("=", 1) for word in setting_words(point))
    changed = recipe.changed(texts)
    assert changed.values == {"optimizer.lr": 0.1 + 0.2, "model.widths": (4, 2)}
    assert (changed.settings.compile, changed.settings.precision) == (False, "bfloat16")


# --------------------------------------------------------------------------------------- Optuna
def test_optuna_suggests_good_regions():
    """Of (x - 0.3)², Optuna's points come closer than those at random; the same ones each time."""
    pytest.importorskip("optuna")
    spaces = {"x": Range(0.0, 1.0), "kind": Choice(((1,), (2, 2)))}

    def search() -> list[Trial]:
        trials: list[Trial] = []
        for _ in range(20):
            point = suggest(spaces, trials, 0, True)
            trials.append(Trial(point, (point["x"] - 0.3) ** 2 + len(point["kind"]), True))
        return trials

    found = search()
    assert [trial.point for trial in found] == [trial.point for trial in search()]
    late = [abs(trial.point["x"] - 0.3) for trial in found[12:]]
    assert np.mean(late) < 0.15  # 0.29 at random
    assert sum(trial.point["kind"] == (1,) for trial in found[12:]) >= 6


def test_optuna_knows_of_trials_that_failed_or_still_run():
    pytest.importorskip("optuna")
    spaces = {"x": Range(0.0, 1.0, log=False), "n": Range(1, 4, whole=True)}
    trials = [
        Trial({"x": 0.5, "n": 2}, math.nan, True),
        Trial({"x": 0.25, "n": 1}, math.nan, False),
        Trial({"x": 0.75, "n": 4}, 1.0, True),
    ]
    point = suggest(spaces, trials, 3, False)
    assert 0 <= point["x"] <= 1
    assert point["n"] in (1, 2, 3, 4)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(errors.MissingExtraError, match=r'pip install "narae\[sweep\]"'):
        suggest({"x": Range(0.0, 1.0)}, [], 0, True)


# -------------------------------------------------------------------------------------- the table
def row(name: str, value: float, status: str = "finished") -> RunRow:
    best = None if math.isnan(value) else Best("val_loss", 2, value)
    settings = {"optimizer.lr": value, "epochs": 3}
    return RunRow(pathlib.Path(name), status, "x", 3, 3, {}, best, settings=settings)


def test_trials_are_ranked():
    rows = [
        row("b", 0.5),
        row("none", math.nan, "failed"),
        row("a", 0.25),
        row("c", 0.75, "stopped"),
    ]
    assert [each.path.name for each in ranked(rows)] == ["a", "b", "c", "none"]
    head, *cells = ranking_table(rows, ["lr"])
    assert head == ["rank", "trial", "val_loss", "epoch", "gap", "time", "lr"]
    assert [line[0] for line in cells] == ["1", "2", "3", ""]
    assert cells[0][-1] == "0.25"
    assert cells[2][2] == "0.7500 (stopped)"
    assert cells[3][2] == "failed"


# ------------------------------------------------------------------------------------ the folder
def test_a_sweep_is_written_before_it_runs_and_read_again(tmp_path, recipe, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"lr": "0.1,0.2", "widths": "4,4;8"}
    made = begin_sweep(recipe.changed({"epochs": 2}), "grid", space)
    assert made.path == pathlib.Path("sweeps/sides")
    again = open_sweep(made.path)
    assert again.request == made.request
    assert [recipe.changed(point).values for point in again.points] == [
        recipe.changed(point).values for point in made.points
    ]
    assert again.recipe.settings.epochs == 2
    assert begin_sweep(recipe, "grid", space).path == pathlib.Path("sweeps/sides-2")


def test_the_same_folder_goes_on_with_the_same_sweep_only(tmp_path, recipe):
    out = tmp_path / "out"
    first = begin_sweep(recipe, "random", {"lr": "0.1..0.2"}, count=3, out=out)
    same = begin_sweep(recipe, "random", {"lr": "0.1..0.2"}, count=3, out=out)
    assert same.points == first.points
    for other in ({"count": 4}, {"count": 3, "seed": 1}):
        with pytest.raises(errors.ConfigError, match="holds another sweep"):
            begin_sweep(recipe, "random", {"lr": "0.1..0.2"}, out=out, **other)


DAMAGED = ["", "{", "[]", '{"format": 1}', '{"format": 1, "kind": "evil"}', "[" * 100_000]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_sweep_is_explained(tmp_path, capsys, text):
    (tmp_path / "sweep.json").write_text(text, "utf-8")
    assert main(["sweep", "--resume", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_changed_recipe_stops_a_sweep(tmp_path, recipe, capsys):
    begin_sweep(recipe, "grid", {"lr": "0.1,0.2"}, out=tmp_path / "out")
    (tmp_path / "sides.py").write_text(SIDES + "\nraise SystemExit\n", "utf-8")
    assert main(["sweep", "--resume", str(tmp_path / "out")]) == 2
    assert "was changed since" in capsys.readouterr().err


def test_threads_are_divided(tmp_path, recipe, monkeypatch):
    """No trial, and no library in it, takes more threads than its share."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    sweep = begin_sweep(recipe, "grid", {"lr": "0.1,0.2"}, out=tmp_path / "out")
    trials = Trials(sweep, jobs=2, threads=3, tell=print)
    environment = trials._environment()
    assert environment["OPENBLAS_NUM_THREADS"] == "3"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert "MKL_NUM_THREADS" not in environment
    command = trials._command(0, None)
    assert command[command.index("--threads") + 1] == "3"


# ------------------------------------------------------------------------------------- processes
@pytest.mark.slow
def test_a_sweep_trains_ranks_and_reports_what_failed(tmp_path, monkeypatch, capsys):
    """Two processes at a time; a trial that fails stops no other, and says why."""
    monkeypatch.chdir(tmp_path)
    write_sides(tmp_path)
    command = ["sweep", "sides.py", "--grid", "lr=0.1,1e30", "--epochs", "2", "--jobs", "2"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "sides: 2 trials, 2 at a time with 1 thread each, in sweeps/sides" in shown
    assert "failed: " in shown
    assert "the loss became" in shown
    table = [line.split() for line in shown.splitlines() if "trial-00" in line][-3:-1]
    assert table[0][:2] == ["1", "trial-001"]
    assert table[1][:2] == ["trial-002", "failed"]
    assert "narae train --from sweeps/sides/trial-001" in shown
    assert RunFolder(tmp_path / "sweeps/sides/trial-001").plan().chosen == {
        "epochs": 2,
        "optimizer.lr": 0.1,
    }
    assert main(["runs", "sweeps/sides", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert main(["sweep", "--resume", "sweeps/sides", "-q"]) == 0  # all is over: at once


SLOW = SIDES.replace("def metrics", "import time\n\n\ndef evaluate(model, batches):\n"
                     "    time.sleep(0.3)\n    return {}\n\n\ndef metrics")  # fmt: skip


def begin(folder: pathlib.Path) -> subprocess.Popen[str]:
    command = ["sweep", "slow.py", "--grid", "lr=0.1,0.2,0.3,0.4", "--epochs", "8", "--jobs", "2"]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "narae", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_epochs(folder: pathlib.Path, count: int) -> None:
    """Until both of the first two trials have written so many epochs."""
    files = [folder / "sweeps/slow" / name / "metrics.jsonl" for name in ("trial-001", "trial-002")]
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if all(file.exists() and len(file.read_bytes().splitlines()) >= count for file in files):
            return
        time.sleep(0.05)
    raise AssertionError("the trials did not begin")


def numbers_of(sweep: pathlib.Path) -> list[bytes]:
    return [(sweep / f"trial-00{n}" / "metrics.jsonl").read_bytes() for n in (1, 2, 3, 4)]


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_or_killed_sweep_goes_on(tmp_path, how):
    """Four trials, two at a time: after Ctrl-C, or kill -9, and --resume the numbers are those of
    single runs that were never stopped, in every bit."""
    (tmp_path / "slow.py").write_text(SLOW, "utf-8")
    process = begin(tmp_path)
    wait_for_epochs(tmp_path, 2)
    process.send_signal(how)
    _, error = process.communicate(timeout=120)
    sweep = tmp_path / "sweeps" / "slow"
    if how == signal.SIGINT:
        assert process.returncode == 130, error
        assert "narae sweep --resume sweeps/slow" in error
        assert RunFolder(sweep / "trial-001").status == "stopped"
        assert not (sweep / "trial-003").exists()
    again = [sys.executable, "-m", "narae", "sweep", "--resume", "sweeps/slow", "-q"]
    done = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {RunFolder(sweep / f"trial-00{n}").status for n in (1, 2, 3, 4)} == {"finished"}
    assert len([line for line in done.stdout.splitlines() if "trial-00" in line]) == 4
    for number, lr in enumerate(("0.1", "0.2", "0.3", "0.4"), 1):
        out = str(tmp_path / f"alone-{number}")
        options = ["--epochs", "8", "--lr", lr, "--out", out, "-q"]
        assert main(["train", str(tmp_path / "slow.py"), *options]) == 0
        alone = (tmp_path / f"alone-{number}" / "metrics.jsonl").read_bytes()
        assert alone == numbers_of(sweep)[number - 1]
