"""Run folders: what is written of a run, repeating it, listing and comparing runs, export."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import logging
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import narae
from narae import errors
from narae.cli import main
from narae.io import read_records
from narae.train import Data
from narae.train.recipe import load_recipe
from narae.train.runs.folder import RunFolder
from narae.train.runs.launch import start
from narae.train.runs.lock import LOCK, is_held, run_lock
from narae.train.runs.machine import git_state
from narae.train.runs.places import free_folder
from narae.train.runs.run_file import read_plan
from narae.train.runs.table import best_epoch, find_runs, row_of
from tests.train.small_recipe import SIDES, write_sides


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two runs of one recipe, the second with other settings."""
    folder = tmp_path_factory.mktemp("runs")
    own = str(write_sides(folder))
    first = ["train", own, "-q", "--out", str(folder / "runs" / "first")]
    assert main(first) == 0
    second = ["train", own, "-q", "--out", str(folder / "runs" / "second"), "--epochs", "5"]
    assert main([*second, "--set", "widths=16,8", "dropout=0"]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)
    # The command sets its logger up, and pytest's one listens to it.
    monkeypatch.setattr(logging.getLogger("narae"), "propagate", True)


def weights_of(run: str) -> dict[str, np.ndarray]:
    file = max(pathlib.Path(run, "checkpoints").glob("step-*"))
    return {name: np.asarray(x) for name, x in narae.load(file)["model"].items()}


# ------------------------------------------------------------------------------------- run.json
def test_run_json_says_what_was_asked_and_where(place):
    found = json.loads(pathlib.Path("runs/second/run.json").read_text("utf-8"))
    digest = hashlib.sha256((place / "sides.py").read_bytes()).hexdigest()
    assert found["recipe"] == {"name": "sides", "file": str(place / "sides.py"), "sha256": digest}
    assert found["settings"]["model.widths"] == [16, 8]
    assert found["settings"]["optimizer.lr"] == 0.5  # defaults too
    assert found["settings"]["seed"] == 0
    assert found["chosen"] == {"epochs": 5, "model.widths": [16, 8], "model.dropout": 0.0}
    assert found["command"][:2] == ["narae", "train"]
    assert "dropout=0" in found["command"]
    assert found["about"]["classes"] == ["below", "above"]
    assert found["about"]["input_shape"] == [2]
    assert found["environment"]["versions"]["numpy"] == np.__version__
    assert found["environment"]["executor"] in ("native", "reference")
    assert found["environment"]["threads"] >= 1
    assert found["machine"]["cores"] >= 1
    assert found["git"] is None  # a temporary folder is in no repository
    assert pathlib.Path("runs/second/recipe.py").read_text("utf-8") == SIDES


def test_run_json_is_there_before_the_first_step(tmp_path, capsys):
    """Whatever happens in the first step, the run says what it was to be."""
    text = SIDES.replace("return F.cross_entropy(out, target)", "raise RuntimeError('first step')")
    (tmp_path / "own.py").write_text(text, "utf-8")
    with pytest.raises(RuntimeError, match="first step"):
        main(["train", str(tmp_path / "own.py"), "-q", "--out", str(tmp_path / "out")])
    assert RunFolder(tmp_path / "out").plan().recipe == "own"
    assert RunFolder(tmp_path / "out").status == "failed"
    assert "first step" in RunFolder(tmp_path / "out").result().error


def test_the_commit_of_the_users_repository(tmp_path):
    """Its commit, and whether files that it knows were changed; nothing in it is run."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    assert git_state(tmp_path) is None
    file = tmp_path / "file"
    file.write_text("1", "utf-8")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, check=True
    )
    commit = head.stdout.decode().strip()
    trap = tmp_path / "trap"
    subprocess.run([*git, "config", "core.fsmonitor", f"touch {trap}"], cwd=tmp_path, check=True)
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    file.write_text("2", "utf-8")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}
    assert not trap.exists()


def test_a_git_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n", "utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert git_state(tmp_path) is None


DAMAGED = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "other format": '{"format": 2}',
    "deep": "[" * 100_000,
    "no texts": "\xff\xfe",
    "missing": '{"format": 1, "recipe": {"name": "x", "file": null, "sha256": ""}}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_run_json_is_explained(tmp_path, capsys, name):
    (tmp_path / "run.json").write_text(DAMAGED[name], "latin-1")
    for command in (["train", "--from"], ["train", "--resume"], ["evaluate", "--checkpoint"]):
        assert main([*command, str(tmp_path)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("error: [run] ")
    assert row_of(tmp_path).status == "damaged"


ENVIRONMENT = {"versions": {}, "executor": "", "processor": "", "threads": 1, "blas": {}}


def changed_plan(tmp_path: pathlib.Path, change) -> pathlib.Path:
    """The first run's run.json in a folder of its own, with something changed."""
    found = json.loads(pathlib.Path("runs/first/run.json").read_text("utf-8"))
    change(found)
    (tmp_path / "run.json").write_text(json.dumps(found), "utf-8")
    return tmp_path / "run.json"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("settings", [1]),
        ("about", {"classes": [1], "input_shape": [2], "parameters": 3}),
        ("about", {"classes": [], "input_shape": "2", "parameters": 3}),
        ("command", "narae train"),
        ("changes", [1]),
        ("environment", {"versions": {}}),
        ("environment", {**ENVIRONMENT, "blas": [1]}),
        ("environment", {**ENVIRONMENT, "processor": {}}),
        ("started", 3),
        ("recipe", {"name": ["sides"], "file": None, "sha256": ""}),
    ],
)
def test_values_of_other_kinds_are_damage(tmp_path, key, value):
    path = changed_plan(tmp_path, lambda found: found.update({key: value}))
    with pytest.raises(errors.FileFormatError, match="is damaged"):
        read_plan(path)


# ---------------------------------------------------------------------------------------- --from
def test_a_repeated_run_is_the_same_in_every_bit(place, capsys):
    """`narae train --from`: another folder, the same settings, the same weights and numbers."""
    shutil.copy("runs/second/run.json", "from-a-friend.json")
    for given in ("runs/second", "runs/second/run.json", "from-a-friend.json"):
        out = f"again-{len(given)}"
        assert main(["train", "--from", given, "-q", "--out", out]) == 0
        ours, theirs = weights_of("runs/second"), weights_of(out)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
        numbers = [pathlib.Path(run, "metrics.jsonl").read_bytes() for run in ("runs/second", out)]
        assert numbers[0] == numbers[1]
        assert RunFolder(pathlib.Path(out)).plan().chosen == RunFolder(
            pathlib.Path("runs/second")
        ).plan().chosen  # fmt: skip
    assert capsys.readouterr().err == ""


def test_what_is_set_wins_over_the_run_that_is_repeated(place, tmp_path):
    """C13: precedence CLI > file > the repeated run > the recipe."""
    (tmp_path / "own.toml").write_text("[set]\ndropout = 0.25\nlr = 0.125\n", "utf-8")
    out = tmp_path / "out"
    command = ["train", "--from", "runs/second", "-q", "--config", str(tmp_path / "own.toml")]
    assert main([*command, "--lr", "0.0625", "--epochs", "1", "--out", str(out)]) == 0
    settings = RunFolder(out).plan().settings
    assert settings["optimizer.lr"] == 0.0625  # the command line, not the file
    assert settings["model.dropout"] == 0.25  # the file, not the run
    assert settings["model.widths"] == [16, 8]  # the run, not the recipe
    assert settings["optimizer.momentum"] == 0.9  # the recipe


EVIL = "import pathlib\npathlib.Path('ran').touch()\n"


def test_a_changed_recipe_is_not_run(tmp_path, monkeypatch, capsys):
    """A recorded file with another SHA-256 never runs; what is named explicitly does."""
    own = write_sides(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(own), "-q", "--epochs", "1"]) == 0
    own.write_text(EVIL + SIDES, "utf-8")
    for command in (["train", "--from"], ["train", "--resume"], ["evaluate", "--checkpoint"]):
        assert main([*command, "runs/sides"]) == 2
        message = capsys.readouterr().err
        assert "was changed since" in message
        assert "runs/sides/recipe.py" in message  # the way out
        assert not pathlib.Path("ran").exists()
    own.unlink()
    assert main(["train", "--from", "runs/sides"]) == 2
    assert "is not there" in capsys.readouterr().err
    copy = "runs/sides/recipe.py"
    assert main(["train", copy, "--from", "runs/sides", "-q"]) == 0  # the text is the run's
    assert RunFolder(pathlib.Path("runs/sides-2")).plan().recipe == "sides"
    own.write_text(EVIL + SIDES, "utf-8")
    assert main(["train", "sides.py", "--from", "runs/sides"]) == 0  # the user's own wish
    assert "is another text than the run's" in capsys.readouterr().err
    assert pathlib.Path("ran").exists()


@pytest.mark.parametrize(
    "recipe",
    [
        {"name": "{evil}", "file": None, "sha256": "{digest}"},
        {"name": "../evil", "file": None, "sha256": "{digest}"},
        {"name": "sides", "file": "{evil}", "sha256": "0"},
        {"name": "sides", "file": "{folder}", "sha256": ""},
        {"name": "sides", "file": "/dev/zero", "sha256": ""},
        {"name": "sides", "file": "a\0b", "sha256": ""},
    ],
)
def test_a_hostile_run_json_runs_nothing(tmp_path, monkeypatch, capsys, recipe):
    monkeypatch.chdir(tmp_path)
    evil = tmp_path / "evil.py"
    evil.write_text(EVIL, "utf-8")
    (tmp_path / "recipe.py").write_text(EVIL, "utf-8")
    digest = hashlib.sha256(evil.read_bytes()).hexdigest()
    words = {"evil": evil, "folder": tmp_path, "digest": digest}
    made = {key: x.format(**words) if isinstance(x, str) else x for key, x in recipe.items()}
    settings = {"epochs": 1}
    content = {
        "format": 1,
        "recipe": made,
        "settings": settings,
        "chosen": settings,
        "about": {"classes": [], "input_shape": [], "parameters": 1},
        "options": {"data_dir": "/nowhere"},
        "command": [],
        "started": "",
        "environment": ENVIRONMENT,
        "machine": {},
        "git": None,
        "changes": [],
    }
    (tmp_path / "run.json").write_text(json.dumps(content), "utf-8")
    assert main(["train", "--from", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: [")
    assert not pathlib.Path("ran").exists()


def test_an_unknown_setting_in_run_json_names_the_nearest(tmp_path, capsys):
    path = changed_plan(tmp_path, lambda found: found["settings"].update({"optimizer.lrr": 1}))
    assert main(["train", "--from", str(path)]) == 2
    assert "did you mean optimizer.lr?" in capsys.readouterr().err


OLD = {"numpy": "1.0"}


def test_other_versions_are_told(tmp_path, capsys):
    path = changed_plan(tmp_path, lambda found: found["environment"]["versions"].update(OLD))
    assert (
        main(["train", "--from", str(path), "--out", str(tmp_path / "out"), "--epochs", "1"]) == 0
    )
    said = capsys.readouterr().err
    assert f"perhaps: the version of numpy was 1.0, is {np.__version__}\n" in said


# -------------------------------------------------------------------------------- the table of runs
def test_runs_are_listed(capsys):
    """H3: the gap between training and test data is a column."""
    assert main(["runs"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "status", "epochs", "best", "gap", "time", "settings"]
    assert first.split()[:3] == ["first", "finished", "3/3"]
    assert second.split()[:3] == ["second", "finished", "5/5"]
    assert second.endswith("epochs 5, widths 16,8, dropout 0")


def test_the_gap_is_that_of_the_records(capsys):
    """H3: how much worse the test data is, in the number that decides; from metrics.jsonl."""
    assert main(["runs", "runs", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 2
    for row in rows:
        records = list(read_records(pathlib.Path(row["path"]) / "metrics.jsonl"))
        last = records[-1]
        assert row["gap"] == pytest.approx(last["train_accuracy"] - last["val_accuracy"])
        values = [record["val_accuracy"] for record in records]
        assert row["best"] == {
            "name": "val_accuracy",
            "epoch": int(np.argmax(values)) + 1,
            "value": max(values),
        }
        assert row["numbers"]["val_loss"] == last["val_loss"]
        result = json.loads((pathlib.Path(row["path"]) / "result.json").read_text("utf-8"))
        assert row["best"] == result["best"]


def test_the_best_epoch_goes_by_the_monitor():
    history = {"val_loss": [3.0, float("nan"), 1.0, 1.0], "val_accuracy": [0.5, 0.9, 0.7, 0.1]}
    assert vars(best_epoch(history)) == {"name": "val_accuracy", "epoch": 2, "value": 0.9}
    assert vars(best_epoch(history, "val_loss")) == {"name": "val_loss", "epoch": 3, "value": 1.0}
    assert best_epoch(history, "val_bleu") is None


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("epochs", ["first", "second"]),
        ("run", ["first", "second"]),
        ("started", ["first", "second"]),
        ("model.dropout", ["second", "first"]),
        ("dropout", ["second", "first"]),
    ],
)
def test_runs_are_sorted(capsys, key, order):
    assert main(["runs", "--sort", key]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == order


def test_numbers_are_sorted_good_ones_first(capsys):
    for key in ("val_loss", "val_accuracy", "best", "gap"):
        assert main(["runs", "--sort", key, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        found = [row["numbers"].get(key, row["gap"]) for row in rows]
        found = [row["best"]["value"] for row in rows] if key == "best" else found
        assert found == sorted(found, reverse=key in ("val_accuracy", "best"))
    assert main(["runs", "--sort", "val_los"]) == 2
    assert "did you mean val_loss?" in capsys.readouterr().err


def test_two_runs_are_compared(capsys):
    """What differs in settings, and the final numbers side by side."""
    assert main(["runs", "second", "first"]) == 0
    lines = {line[:15].strip(): line[15:].split() for line in capsys.readouterr().out.splitlines()}
    assert lines[""] == ["second", "first"]
    assert lines["epochs"] == ["5", "3"]
    assert lines["model.widths"] == ["16,8", "8"]
    assert "optimizer.lr" not in lines  # the same in both
    assert len(lines["val_loss"]) == 2
    assert main(["runs", "runs/second", "runs/first", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["model.dropout"] == [0.0, 0.1]
    assert [pathlib.Path(run).name for run in found["runs"]] == ["second", "first"]


def test_folders_of_runs_are_looked_through(place, tmp_path, capsys):
    deep = tmp_path / "a" / "b" / "run"
    shutil.copytree("runs/first", deep)
    assert find_runs([tmp_path, pathlib.Path("runs"), deep]) == [
        deep,
        pathlib.Path("runs/first"),
        pathlib.Path("runs/second"),
    ]
    (deep / "run.json").write_text("{", "utf-8")
    (deep / "metrics.jsonl").write_text("{\n{\n", "utf-8")
    assert main(["runs", str(tmp_path)]) == 0  # a damaged run hides no other
    assert "damaged" in capsys.readouterr().out
    assert main(["runs", "frist"]) == 2
    assert "did you mean first?" in capsys.readouterr().err


@pytest.mark.parametrize("value", ['"fast"', "null", "[1]", "1" + 400 * "0"])
def test_records_that_are_no_numbers_are_damage(tmp_path, capsys, value):
    shutil.copytree("runs/first", tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text(f'{{"epoch": 1, "val_loss": {value}}}\n')
    assert row_of(tmp_path / "run").status == "damaged"


def test_without_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert "train first: narae train" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["runs", "empty"]) == 0
    assert "there is no run in empty" in capsys.readouterr().out


def test_a_run_is_running_while_its_lock_is_held(tmp_path):
    run = tmp_path / "run"
    shutil.copytree("runs/first", run)
    (run / "result.json").unlink()
    assert row_of(run).status == "stopped"
    with run_lock(run):
        assert (run / LOCK).exists()
        assert row_of(run).status == "running"
    assert row_of(run).status == "stopped"


def test_a_lock_that_vanishes_is_held_by_nobody(tmp_path, monkeypatch):
    """Its owner may remove it between two looks."""
    assert not is_held(tmp_path)
    monkeypatch.setattr(pathlib.Path, "exists", lambda path: True)
    assert not is_held(tmp_path)


def test_many_that_ask_at_once_get_a_folder_each(tmp_path):
    """Eight threads, which all see the same names taken."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: free_folder(tmp_path / "runs", "own"), range(24)))
    names = ["own", *(f"own-{number}" for number in range(2, 25))]
    assert sorted(found) == sorted(tmp_path / "runs" / name for name in names)
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigError, match="cannot be made a folder"):
        free_folder(tmp_path / "file", "own")


# ---------------------------------------------------------------------------------------- export
@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".bin"])
def test_exported_weights_are_read_by_pytorch(tmp_path, capsys, ending):
    """The best weights, under PyTorch's names, as PyTorch's own module takes them."""
    torch = pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    read = load_file if ending == ".safetensors" else torch.load
    file = tmp_path / f"weights{ending}"
    assert main(["export", "runs/first", str(file)]) == 0
    assert "4 tensors, 42 numbers" in capsys.readouterr().out
    layers = [torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 2)]
    model = torch.nn.Sequential(*layers).eval()
    model.load_state_dict(read(file))
    x = np.random.default_rng(0).random((5, 2), np.float32)
    own = RunFolder(pathlib.Path("runs/first")).recipe().model().eval()
    own.load_state_dict(narae.load("runs/first/checkpoints/best.safetensors")["model"])
    theirs = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(np.asarray(own(narae.tensor(x)).detach()), theirs, atol=1e-6)


def test_weights_as_numpy_arrays_and_other_endings(tmp_path, capsys):
    best = narae.load("runs/first/checkpoints/best.safetensors")["model"]
    assert main(["export", "runs/first", str(tmp_path / "w.npz")]) == 0
    with np.load(tmp_path / "w.npz") as found:
        assert set(found) == set(best)
        assert all(np.array_equal(found[name], np.asarray(best[name])) for name in found)
    for name in ("w", "w.onnx"):
        assert main(["export", "runs/first", str(tmp_path / name)]) == 2
        assert "w.safetensors" in capsys.readouterr().err
    for name in ("w.npz", "w.pt"):
        assert main(["export", "runs/first", str(tmp_path / "no" / name)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


# -------------------------------------------------------------------------------- what a run shows
RANDOM_LABELS = SIDES.replace("(x.sum(dim=1) > 1).long()", "(rand(64) > 0.5).long()")


def test_what_cannot_be_learned_shows_as_a_gap(tmp_path, capsys):
    """H3: labels at random, learned by heart: the test error turns up, the gap is large, and the
    picture of the run has both curves."""
    (tmp_path / "random_labels.py").write_text(RANDOM_LABELS, "utf-8")
    settings = ["epochs=200", "validate_every=20", "widths=64,64", "dropout=0", "lr=0.2", "seed=1"]
    run = tmp_path / "runs" / "r"
    command = ["train", str(tmp_path / "random_labels.py"), "-q", "--out", str(run)]
    assert main([*command, "--set", *settings]) == 0
    last = list(read_records(run / "metrics.jsonl"))[-1]
    assert last["train_accuracy"] > last["val_accuracy"] + 0.25
    assert last["val_loss"] > last["train_loss"] + 0.25
    assert main(["runs", str(tmp_path / "runs")]) == 0
    gap = last["train_accuracy"] - last["val_accuracy"]
    assert f"{100 * gap:.2f}%" in capsys.readouterr().out
    assert (run / "random_labels.png").stat().st_size > 10_000


def test_the_best_checkpoint_is_that_of_the_best_epoch(tmp_path):
    """C6: the "best" copy holds the weights of the epoch that `narae runs` calls the best."""
    out = tmp_path / "out"
    settings = ["epochs=6", "keep=9", "lr=0.9"]
    assert main(["train", "sides.py", "-q", "--out", str(out), "--set", *settings]) == 0
    best = row_of(out).best
    assert best is not None
    copy = narae.load(out / "checkpoints" / "best.safetensors")
    assert copy["epoch"] == best.epoch
    # 44 samples in batches of 16 are 3 updates an epoch.
    epoch = narae.load(out / "checkpoints" / f"step-{3 * best.epoch:08d}.safetensors")
    for name, tensor in copy["model"].items():
        assert np.array_equal(np.asarray(tensor), np.asarray(epoch["model"][name]))


# ---------------------------------------------------------------------------- data to validate on
THREE_PARTS = SIDES.replace(
    """return Data(train, DataLoader(TensorDataset(x[44:], y[44:]), 20), ("below", "above"))""",
    """val, test = (DataLoader(TensorDataset(x[part], y[part]), 20) for part in PARTS)
    return Data(train, test, ("below", "above"), validation=val)""",
).replace("SETTINGS =", "PARTS = slice(44, 54), slice(54, 64)\nSETTINGS =")


def test_the_best_epoch_is_chosen_on_validation_data_and_tested_once(tmp_path, capsys):
    """Test data has no part in the choice, and judges what was chosen."""
    own = tmp_path / "three_parts.py"
    own.write_text(THREE_PARTS, "utf-8")
    out = tmp_path / "runs" / "r"
    settings = ["epochs=6", "keep=9", "lr=0.9"]
    assert main(["train", str(own), "--out", str(out), "--set", *settings]) == 0
    said = capsys.readouterr().out
    assert "44 samples to learn from, 10 to test on, 10 to validate on" in said

    def judged(*more: str) -> dict[str, float]:
        given = ["--checkpoint", str(out), "--recipe", str(own), "--json"]
        assert main(["evaluate", *given, *more]) == 0
        found = json.loads(capsys.readouterr().out)
        return {name: found[name] for name in ("loss", "accuracy")}

    best = row_of(out).best
    history = RunFolder(out).history()
    validated = {name: history[f"val_{name}"][best.epoch - 1] for name in ("loss", "accuracy")}
    assert judged("--part", "validation") == pytest.approx(validated, rel=1e-6)
    test = json.loads((out / "result.json").read_text("utf-8"))["test"]
    assert judged() == pytest.approx(test, rel=1e-6)
    assert test["loss"] != pytest.approx(validated["loss"], rel=1e-3)
    lines = dict(line.split(maxsplit=1) for line in (out / "summary.txt").open("r"))
    assert f"{history['val_loss'][-1]:.4f}" in lines["validated"]
    assert f"{test['loss']:.4f}" in lines["test"]


def test_a_trainer_keeps_its_last_weights_when_the_best_are_tested(tmp_path):
    own = tmp_path / "three_parts.py"
    own.write_text(THREE_PARTS, "utf-8")
    recipe = load_recipe(str(own)).changed({"epochs": 6, "lr": 0.9})
    folder, trainer = start(recipe, tmp_path / "r", quiet=True)
    assert row_of(folder.path).best.epoch < 6
    for name, weights in weights_of(str(folder.path)).items():
        assert np.array_equal(weights, np.asarray(trainer.judged.state_dict()[name]))


def test_of_the_validation_data_none_may_be_empty():
    full, empty = [(narae.zeros(1), narae.zeros(1))], []
    assert Data(full, full).validation is full
    with pytest.raises(errors.DataError, match="the validation data is empty"):
        Data(full, full, validation=empty)
    with pytest.raises(errors.DataError, match="the test data is empty"):
        Data(full, empty)
