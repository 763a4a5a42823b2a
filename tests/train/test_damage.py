"""Damaged checkpoints: the newest whole one is used, with a warning; with none left, an error."""

from __future__ import annotations

import logging
import shutil

import pytest

import narae
from narae.base.errors import DataError, FileFormatError
from narae.io import load
from tests.train import trainings
from tests.train.trainings import TRAININGS, Pretends, contents, keeper_of

safetensors = pytest.importorskip("safetensors")


def empty(path, others):
    path.write_bytes(b"")


def header_cut(path, others):
    path.write_bytes(path.read_bytes()[:50])


def data_cut(path, others):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def last_byte_gone(path, others):
    path.write_bytes(path.read_bytes()[:-1])


def bit_in_header(path, others):
    flip(path, 60)


def bit_in_data(path, others):
    flip(path, -100)


def wrong_checksum(path, others):
    data = path.read_bytes()
    place = data.index(b'"sha256:') + 12
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def of_another_run(path, others):
    shutil.copyfile(others / path.name, path)


def a_folder(path, others):
    path.unlink()
    path.mkdir()


def bytes_too_many(path, others):
    path.write_bytes(path.read_bytes() + b"more")


def absurd_length(path, others):
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])


def plain_weights(path, others):
    narae.save({"w": narae.ones(3)}, path)


def of_the_future(path, others):
    narae.save({**load(path), "format": 99}, path)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


WAYS = [
    empty, header_cut, data_cut, last_byte_gone, bit_in_header, bit_in_data, wrong_checksum,
    of_another_run, a_folder, bytes_too_many, absurd_length, plain_weights, of_the_future,
]  # fmt: skip


def compiled(folder):
    """Three epochs of that training, eager; the first is the best."""
    trainer, keeper = trainings.compiled(folder, epochs=3, compile=False)
    trainer.add_callbacks([Pretends(0.9, 0.5, 0.6)])
    return trainer, keeper


def stopped_at(folder, updates, run="one"):
    """A run that was stopped after so many updates."""
    trainer, keeper = compiled(folder)
    trainer.about = {"run": run}
    keeper.resume(trainer)
    trainer.add_callbacks([StopAt(updates)])
    trainer.fit()
    return trainer


class StopAt(narae.train.Callback):
    order = 75

    def __init__(self, updates):
        self.updates = updates

    def on_step_end(self, trainer):
        if trainer.updates >= self.updates:
            trainer.stop, trainer.interrupted = "for a test", True


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that was stopped at update 30, another one's checkpoints, and what a whole run has."""
    folder = tmp_path_factory.mktemp("damage")
    stopped_at(folder / "stopped", 30)
    stopped_at(folder / "another", 30, run="two")
    stopped_at(folder / "whole", 1000)
    return folder


def gone_on_with(folder):
    trainer, keeper = compiled(folder)
    trainer.about = {"run": "one"}
    keeper.resume(trainer)
    trainer.add_callbacks([StopAt(1000)])
    trainer.fit()


@pytest.mark.parametrize("damage", WAYS, ids=lambda way: way.__name__)
def test_the_newest_is_damaged(damage, made, tmp_path, caplog):
    """The one before is used, a warning names file and reason, the end has the same bits."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    newest = folder / "checkpoints" / "step-00000030.safetensors"
    damage(newest, made / "another" / "checkpoints")
    with caplog.at_level(logging.WARNING, "narae.train"):
        gone_on_with(folder)
    passed = [x.getMessage() for x in caplog.records if "passed over" in x.getMessage()]
    assert len(passed) == 1
    assert "step-00000030" in passed[0] or damage is of_another_run
    assert contents(folder) == contents(made / "whole")


def test_the_newest_two_are_damaged_and_the_best_one_is_left(made, tmp_path, caplog):
    """The best epoch's checkpoint, kept for itself, is old, and whole."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    steps = keeper_of(compiled(folder)[0]).folder.steps()
    assert len(steps) == 3
    for step in steps[1:]:
        flip(folder / "checkpoints" / f"step-{step:08d}.safetensors", -50)
    gone_on_with(folder)
    assert sum("passed over" in x.getMessage() for x in caplog.records) == 2
    assert contents(folder) == contents(made / "whole")


def test_all_are_damaged(made, tmp_path):
    """An error that names each file; nothing is changed, neither in the folder nor in the model."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    for path in (folder / "checkpoints").glob("step-*"):
        flip(path, -50)
    before = contents(folder)
    trainer, keeper = compiled(folder)
    weights = [x.tolist() for x in trainer.model.state_dict().values()]
    with pytest.raises(FileFormatError, match=r"no whole checkpoint.*step-.*step-.*step-"):
        keeper.resume(trainer)
    assert contents(folder) == before
    assert [x.tolist() for x in trainer.model.state_dict().values()] == weights


def test_a_damaged_best_model_is_written_again(made, tmp_path):
    """C6: from the checkpoint of the best epoch, which is kept; the same bytes."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    best = folder / "checkpoints" / "best.safetensors"
    before = best.read_bytes()
    flip(best, -3)
    trainer, keeper = compiled(folder)
    keeper.resume(trainer)
    assert best.read_bytes() == before


def test_a_best_model_that_is_lost(made, tmp_path, caplog):
    """Without its checkpoint it cannot come back: a warning, and the next epoch is the best."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    trainer, keeper = compiled(folder)
    flip(folder / "checkpoints" / "best.safetensors", -3)
    keeper.folder.remove(keeper.folder.steps()[:1])
    keeper.resume(trainer)
    assert keeper.best_epoch == 0
    assert "is lost" in caplog.text
    trainer.fit()
    assert keeper.best_epoch == 3
    assert keeper.folder.best_step() == 36


def test_another_model_is_refused(made, tmp_path):
    """A run whose own settings do not fit says so, and does not call its files damaged."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    trainer, keeper = TRAININGS["accumulating"](folder)
    with pytest.raises(DataError, match=r"in the checkpoint, .* in the model") as raised:
        keeper.resume(trainer)
    assert not isinstance(raised.value, FileFormatError)


def test_a_log_that_was_cut(made, tmp_path, caplog):
    """Its rows stay, a warning says what is missing, and the rest of the run is the same."""
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    log = folder / "metrics.jsonl"
    first = log.read_text("utf-8").splitlines(keepends=True)[0]
    log.write_text(first + '{"epoch": 2, "tr', "utf-8")
    gone_on_with(folder)
    assert "lines are missing" in caplog.text
    whole = (made / "whole" / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    assert log.read_text("utf-8").splitlines(keepends=True) == [first, *whole[2:]]


def test_a_fresh_run_spares_another_ones_checkpoints(made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    before = contents(folder)
    trainer, _ = compiled(folder)
    with pytest.raises(ValueError, match="holds a run already"):
        trainer.fit()
    assert contents(folder) == before


def test_leftovers_of_a_killed_writer_are_removed(made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made / "stopped", folder)
    left = folder / "checkpoints" / ".step-00000032.safetensors.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    mine = folder / "checkpoints" / "notes.tmp"
    mine.write_text("mine")
    trainer, keeper = compiled(folder)
    keeper.resume(trainer)
    assert not left.exists()
    assert mine.exists()
