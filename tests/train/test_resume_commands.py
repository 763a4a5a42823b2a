"""Runs in folders: `narae train` killed, stopped, gone on with; who may write; a full disk."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

import narae
from narae.base.errors import ConfigError, NaraeError
from narae.cli import main
from narae.train import load_recipe
from narae.train.runs.folder import RunFolder
from narae.train.runs.launch import resume, start
from narae.train.runs.lock import run_lock
from tests.train.trainings import contents, in_fork

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

RECIPE = '''
"""Which side of a plane a point is on."""

import random
import time

import numpy as np

import narae.nn as nn
import narae.nn.functional as F
from narae import rand
from narae.data import DataLoader, TensorDataset
from narae.optim import AdamW
from narae.optim.lr_scheduler import OneCycleLR
from narae.train import Data, Settings

SETTINGS = Settings(epochs=6, save_steps=2, compile=False)


def data(folder, batch_size: int = 8, pause: float = 0.0):
    x = rand(64, 4) + float(np.random.rand())  # split and noise of other streams than Narae's
    y = (x.sum(dim=1) > x.sum(dim=1).median()).long()

    class Noisy(TensorDataset):
        def __getitem__(self, index):
            time.sleep(pause)
            x, y = super().__getitem__(index)
            return x + 0.1 * rand(4) + 0.1 * random.random(), y

    train = DataLoader(Noisy(x[:44], y[:44]), batch_size, shuffle=True)
    return Data(train, DataLoader(TensorDataset(x[44:], y[44:]), 10), ("below", "above"))


def model():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))


def loss(out, target):
    return F.cross_entropy(out, target)


def optimizer(model, lr: float = 0.01):
    return AdamW(model.parameters(), lr=lr)


def schedule(optimizer, steps):
    return OneCycleLR(optimizer, 0.01, total_steps=steps)


def metrics(out, target):
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "sides.py"
    path.write_text(RECIPE.lstrip(), "utf-8")
    return path


@pytest.fixture(autouse=True)
def logger_as_before():
    """The command line sets it."""
    logger = logging.getLogger("narae")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def same_runs(one: pathlib.Path, other: pathlib.Path) -> None:
    """The same checkpoints, but for the number that tells runs apart, and the same log."""
    names = sorted(path.name for path in (one / "checkpoints").iterdir())
    assert names == sorted(path.name for path in (other / "checkpoints").iterdir())
    for name in names:
        states = [narae.load(each / "checkpoints" / name) for each in (one, other)]
        for state in states:
            state.get("about", {}).pop("run", None)
        assert repr(states[0]) == repr(states[1]), name
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()


# --- processes ----------------------------------------------------------------------------------


def command(*words, cwd, **options):
    path = str(pathlib.Path(narae.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "narae", "train", *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def until(process, beginning):
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.slow
def test_three_kills_of_the_command(own, tmp_path):
    """SIGKILL after an epoch's line; `--resume` ends in the same bits."""
    assert main(["train", str(own), "--out", str(tmp_path / "whole"), "-q"]) == 0
    words = [own, "--out", "run", "--set", "data.pause=0.004"]
    for epoch in (1, 2, 4):
        process = command(*words, cwd=tmp_path)
        until(process, f"epoch {epoch}/6")
        process.kill()
        assert process.wait(60) == -9
        words = ["--resume", "run"]
    process = command(*words, cwd=tmp_path)
    shown, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "goes on after update" in shown
    with_pause = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert with_pause["settings"]["data.pause"] == 0.004
    numbers = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "run")]
    assert numbers[0] == numbers[1]
    best = [contents(tmp_path / x / "checkpoints")["best.safetensors"] for x in ("whole", "run")]
    assert best[0] == best[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_command(number, own, tmp_path):
    """Exit code 130, the way on is told, the run's folder is whole, and the way works."""
    process = command(own, "--out", "run", "--set", "data.pause=0.004", cwd=tmp_path)
    until(process, "epoch 2/6")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "go on with: narae train --resume run" in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / ".lock").exists()
    assert RunFolder(tmp_path / "run").status == "stopped"
    assert main(["train", "--resume", str(tmp_path / "run"), "-q"]) == 0
    assert main(["train", str(own), "--out", str(tmp_path / "whole"), "-q"]) == 0
    log = "metrics.jsonl"
    assert (tmp_path / "run" / log).read_bytes() == (tmp_path / "whole" / log).read_bytes()


# --- in this process ----------------------------------------------------------------------------


def test_a_run_killed_by_fork_goes_on(own, tmp_path):
    """Recorded settings, the recipe's own draws from NumPy, the folder: the same bits."""
    start(load_recipe(str(own)), tmp_path / "whole", quiet=True)

    def work():
        recipe = load_recipe(str(own))
        loss = recipe.module.loss
        calls = []

        def dying(out, target):
            calls.append(1)
            if len(calls) == 21:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(out, target)

        recipe.module.loss = dying
        start(recipe, tmp_path / "run", quiet=True)

    assert in_fork(work) == -9
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "stopped"
    trainer = resume(folder, folder.recipe(), quiet=True)
    assert trainer.finished and folder.status == "finished"
    same_runs(tmp_path / "whole", tmp_path / "run")


def test_killed_before_the_first_checkpoint(own, tmp_path):
    """The run begins at its beginning, in the same folder."""
    start(load_recipe(str(own)), tmp_path / "whole", quiet=True)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    folder = RunFolder(tmp_path / "run")
    resume(folder, folder.recipe(), quiet=True)
    same_runs(tmp_path / "whole", tmp_path / "run")


def test_a_finished_run_and_more_epochs(own, tmp_path, capsys):
    """Nothing is left to do, and the run says how to do more."""
    run = str(tmp_path / "run")
    assert main(["train", str(own), "--out", run, "--epochs", "2"]) == 0
    before = contents(tmp_path / "run" / "checkpoints")
    capsys.readouterr()
    assert main(["train", "--resume", run]) == 0
    assert "all are done; --epochs 4 would go on" in capsys.readouterr().out
    assert contents(tmp_path / "run" / "checkpoints") == before
    assert main(["train", "--resume", run, "--epochs", "3"]) == 0
    shown = capsys.readouterr()
    assert "goes on after update 12, in epoch 3" in shown.out
    assert "Schedule is that of the new settings" in shown.err
    assert len((tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()) == 3


def test_going_back_to_an_older_checkpoint(own, tmp_path, capsys):
    """What came after it is undone, and comes again in the same bits; a model alone is refused."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    start(load_recipe(str(own)).changed({"keep": 3}), whole, quiet=True)
    shutil.copytree(whole, run)
    older = sorted((run / "checkpoints").glob("step-*"))[0]
    assert main(["train", "--resume", str(older)]) == 0
    assert "goes on after update" in capsys.readouterr().out
    assert contents(run / "checkpoints") == contents(whole / "checkpoints")
    assert main(["train", "--resume", str(run / "checkpoints" / "best.safetensors"), "-q"]) == 2
    assert "holds no state of a training" in capsys.readouterr().err
    assert contents(run / "checkpoints") == contents(whole / "checkpoints")


def test_two_processes_in_one_folder(own, tmp_path):
    """An error names the other one; that it was killed frees the folder."""
    start(load_recipe(str(own)).changed({"epochs": 1}), tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    read, write = os.pipe()

    def holding():
        with run_lock(folder.path):
            os.write(write, b"x")
            signal.pause()

    pid = os.fork()
    if not pid:
        holding()
    assert os.read(read, 1) == b"x"
    assert folder.status == "running"
    with pytest.raises(ConfigError, match=f"process {pid} is at work in"):
        resume(folder, folder.recipe(), quiet=True)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert folder.status == "finished"
    resume(folder, folder.recipe(), quiet=True)
    assert not (folder.path / ".lock").exists()


def test_a_forked_process_does_not_keep_the_lock(tmp_path):
    """Such as a worker that outlives a run that was killed."""
    read, write = os.pipe()
    owner = os.fork()
    if not owner:
        with run_lock(tmp_path):
            worker = os.fork()
            if worker:
                os.write(write, f"{worker}\n".encode())
            signal.pause()
    worker = int(os.read(read, 20))
    time.sleep(0.2)  # it lets go right after its fork
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    assert (tmp_path / ".lock").exists()
    try:
        with run_lock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_the_second_ctrl_c_says_how_to_go_on(own, tmp_path):
    recipe = load_recipe(str(own))
    loss = recipe.module.loss
    calls = []

    def interrupted(out, target):
        calls.append(1)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return loss(out, target)

    recipe.module.loss = interrupted
    with pytest.raises(KeyboardInterrupt, match="go on with: narae train --resume"):
        start(recipe, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "stopped"
    resume(folder, folder.recipe(), quiet=True)
    start(load_recipe(str(own)), tmp_path / "whole", quiet=True)
    same_runs(tmp_path / "whole", tmp_path / "run")


def test_early_stopping_ends_a_run(own, tmp_path, capsys):
    """H15: as a setting; the run is finished, not interrupted."""
    words = ["train", str(own), "--out", str(tmp_path / "run"), "-q", "--epochs", "40"]
    assert main([*words, "--set", "patience=2", "monitor=val_accuracy"]) == 0
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "finished"
    assert 3 <= len(folder.history()["val_accuracy"]) < 40


@pytest.mark.skipif(shutil.which("mount") is None, reason="mounts a small file system")
@pytest.mark.parametrize("size", ["8k", "80k"])
def test_a_full_disk_is_said_in_words(size, own, tmp_path):
    """Too small for run.json's folder, and too small for the checkpoints."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(NaraeError, match=r"no space in .*make room"):
            start(load_recipe(str(own)), place / "run", quiet=True)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
