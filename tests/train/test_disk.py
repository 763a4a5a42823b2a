"""A disk that fills up, and a process that dies before any single operation on files."""

from __future__ import annotations

import errno
import logging
import os
import pathlib
import resource
import shutil
import subprocess

import pytest

import narae
import narae.io.atomic
import narae.train.log_file
from narae.train import Callback
from narae.train.log_file import LogFile
from tests.train import trainings
from tests.train.trainings import Pretends, contents, in_fork, leaves, train_on

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def compiled(folder, **options):
    """That training, eager; the fourth epoch is the best."""
    trainer, keeper = trainings.compiled(folder, compile=False, **options)
    trainer.add_callbacks([Pretends(0.5, 0.6, 0.7, 0.9, 0.8)])
    return trainer, keeper


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert in_fork(lambda: train_on(compiled, folder)) == 0
    return folder


# --- death before each operation ----------------------------------------------------------------


class Counting:
    """Ends the process before the n-th operation on files; counts them if n is 0."""

    def __init__(self, n, monkeypatch):
        self.n, self.count = n, 0
        for owner, name in ((os, "fsync"), (os, "replace"), (os, "truncate"), (os, "unlink")):
            monkeypatch.setattr(owner, name, self.before(getattr(owner, name)))
        monkeypatch.setattr(pathlib.Path, "unlink", self.before(pathlib.Path.unlink))
        self.of(narae.io.atomic, "_open_new", monkeypatch)
        plain = pathlib.Path.open
        monkeypatch.setattr(pathlib.Path, "open", lambda path, mode="r", *rest: self.file(
            plain(path, mode, *rest), "b" in mode and mode != "rb"))  # fmt: skip

    def before(self, function):
        def operation(*args, **options):
            self.one()
            return function(*args, **options)

        return operation

    def of(self, owner, name, monkeypatch):
        opened = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: self.file(opened(*args), True))

    def file(self, file, watched):
        return Watched(file, self) if watched else file

    def one(self, half=lambda: None):
        self.count += 1
        if self.count == self.n:
            half()
            os._exit(9)


class Watched:
    """A file of which half a write may be the last one."""

    def __init__(self, file, counting):
        self._file, self._counting = file, counting

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        def half():
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._counting.one(half)
        return self._file.write(data)

    def writelines(self, parts):
        for part in parts:
            self.write(part)


def dying(folder, n):
    def work():
        with pytest.MonkeyPatch.context() as patch:
            counting = Counting(n, patch)
            train_on(compiled, folder, save_steps=5)
        (folder.parent / "count").write_text(str(counting.count))

    return work


def check_death(folder, n, expected):
    assert in_fork(dying(folder, n)) == 9
    assert in_fork(lambda: train_on(compiled, folder, save_steps=5)) == 0
    assert contents(folder) == expected, n


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """What a whole run leaves, and how many operations it takes."""
    folder = tmp_path_factory.mktemp("operations")
    train_on(compiled, folder / "warm", epochs=1)
    assert in_fork(dying(folder / "run", 0)) == 0
    return contents(folder / "run"), int((folder / "count").read_text())


def test_death_before_some_operations(operations, tmp_path):
    """An operation of each kind, at the beginning, in the middle and at the end of a run."""
    expected, count = operations
    assert count > 80
    for n in (2, 3, count // 2, count):
        check_death(tmp_path / str(n), n, expected)


@pytest.mark.long
def test_death_before_each_operation(operations, tmp_path):
    """Before every single one."""
    expected, count = operations
    for n in range(1, count + 1):
        folder = tmp_path / str(n)
        check_death(folder, n, expected)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "stride", [pytest.param(20, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.long)]
)
def test_two_deaths(stride, operations, tmp_path):
    """Going on may be hit too; at more places with `pytest -m long`."""
    expected, count = operations
    for n in range(3, count, stride):
        folder = tmp_path / str(n)
        assert in_fork(dying(folder, n)) == 9
        assert in_fork(dying(folder, 1 + n % 6)) in (0, 9)
        assert in_fork(lambda folder=folder: train_on(compiled, folder, save_steps=5)) == 0
        assert contents(folder) == expected, n
        shutil.rmtree(folder)


# --- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system with 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class FillAndFree(Callback):
    """Takes the space of a disk, and what becomes free of it, from one update to another."""

    order = 20

    def __init__(self, place, fill, free):
        self.file, self.fill, self.free = place / "ballast", fill, free

    def on_step_end(self, trainer):
        if self.fill <= trainer.updates < self.free:
            self.take()
        if trainer.updates == self.free:
            self.file.unlink()

    def take(self):
        try:
            with self.file.open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_disk_that_is_full_for_a_while(small_disk, whole, caplog):
    """Training goes on with a warning, the checkpoints there are stay whole, the end is saved."""
    folder = small_disk / "run"
    trainer, keeper = compiled(folder, keep=1)
    trainer.add_callbacks([FillAndFree(small_disk, 21, 41)])
    trainer.fit()
    assert keeper.failure == ""
    text = caplog.text
    # At update 24 the best one so far gives its place to a better one, and 26 fails again.
    assert text.count("training goes on, and the next moment is tried") == 2
    assert "found no space" in text and "the newest checkpoint is of update 20" in text
    same = "checkpoints/best.safetensors", "metrics.jsonl"
    ours, theirs = contents(folder), contents(whole)
    assert [ours[name] for name in same] == [theirs[name] for name in same]
    assert keeper.folder.steps() == sorted({keeper._best_step, 60})
    same_end(folder, whole)


def test_a_disk_that_stays_full(small_disk, whole, caplog):
    """The run ends, says that its end is not saved, and goes on from what there is."""
    folder = small_disk / "run"
    trainer, keeper = compiled(folder, keep=1)
    ballast = FillAndFree(small_disk, 21, 1000)
    trainer.add_callbacks([ballast])
    trainer.fit()
    assert "the checkpoint of update 60 found no space" in keeper.failure
    assert [each for each in keeper.folder.steps() if keeper.folder.load(each)] == [24]
    ballast.file.unlink()
    train_on(compiled, folder)
    same_end(folder, whole)


def same_end(folder, whole):
    """The same weights, optimizer, streams and log; which older checkpoints stay may differ."""
    name = "checkpoints/step-00000060.safetensors"
    ours, theirs = (narae.load(each / name) for each in (folder, whole))
    for part in ("model", "optimizer", "random", "numbers", "loader"):
        assert dict(leaves(ours[part])) == dict(leaves(theirs[part])), part
    for name in ("checkpoints/best.safetensors", "metrics.jsonl"):
        assert contents(folder)[name] == contents(whole)[name]


def test_full_at_the_first_checkpoint(small_disk, whole):
    folder = small_disk / "run"
    trainer, keeper = compiled(folder)
    folder.mkdir()
    ballast = FillAndFree(small_disk, 0, 1000)
    ballast.take()
    trainer.fit()
    assert "there is none" in keeper.failure
    ballast.file.unlink()
    train_on(compiled, folder)
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize("limit", [1, 3_000, 8_000])
def test_a_limit_for_files(limit, whole, tmp_path):
    """RLIMIT_FSIZE cuts a write in its middle: EFBIG is a full disk too."""

    def work():
        trainer, keeper = compiled(tmp_path / "run")
        keeper.on_fit_start(trainer)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        trainer.fit()
        assert "File too large" in keeper.failure
        assert keeper.folder.newest(trainer)[0] == 0

    assert in_fork(work) == 0
    assert in_fork(lambda: train_on(compiled, tmp_path / "run")) == 0
    assert contents(tmp_path / "run") == contents(whole)


def test_older_checkpoints_make_room(tmp_path, monkeypatch):
    """Those that are neither the best nor the newest go first."""
    trainer, keeper = compiled(tmp_path, keep=5)
    save = keeper.folder.save

    def limited(state, step):
        if step == 40 and len(keeper.folder.steps()) > 3:
            raise FULL
        return save(state, step)

    monkeypatch.setattr(keeper.folder, "save", limited)
    trainer.epochs = 4
    trainer.fit()
    assert keeper.failure == ""
    best = keeper._best_step
    assert set(keeper.folder.steps()) >= {best, 40, 42, 44, 46, 48}
    assert keeper.folder.best_step() == best


def full_at(monkeypatch, folder, name, steps):
    """Let a method of a folder find no space for some updates."""
    write = getattr(folder, name)

    def limited(state, *rest):
        if state["updates"] in steps:
            raise FULL
        return write(state, *rest)

    monkeypatch.setattr(folder, name, limited)


def test_the_best_epoch_finds_space_for_its_model_only(tmp_path, monkeypatch):
    """Then best.safetensors is of it all the same, also for a run that goes on."""
    trainer, keeper = compiled(tmp_path)
    full_at(monkeypatch, keeper.folder, "save", [48])
    trainer.fit()
    assert (keeper.best_epoch, keeper.folder.best_step(), keeper.failure) == (4, 48, "")
    assert 48 not in keeper.folder.steps()
    again, keeper = compiled(tmp_path)
    keeper.resume(again)
    assert (keeper.best_epoch, keeper.folder.best_step()) == (4, 48)


def test_the_best_epoch_finds_no_space_at_all(tmp_path, monkeypatch):
    """The best one before it is the best again, and its file is what it says."""
    trainer, keeper = compiled(tmp_path)
    full_at(monkeypatch, keeper.folder, "save", [48])
    full_at(monkeypatch, keeper.folder, "save_best", [48])
    trainer.fit()
    assert keeper.best_epoch == 5
    assert keeper.folder.best_step() == 12 * keeper.best_epoch
    assert keeper.failure == ""


def test_the_best_model_is_written_later(tmp_path, monkeypatch, caplog):
    """Its checkpoint has space, its file has not: it follows with the next checkpoint."""
    trainer, keeper = compiled(tmp_path)
    steps, save = [48], keeper.folder.save

    def freeing(state, step):
        if step == 52:
            steps.clear()
        return save(state, step)

    full_at(monkeypatch, keeper.folder, "save_best", steps)
    monkeypatch.setattr(keeper.folder, "save", freeing)
    trainer.fit()
    assert "the best model, of epoch 4, found no space" in caplog.text
    assert (keeper.best_epoch, keeper.folder.best_step(), keeper.failure) == (4, 48, "")


def test_another_error_of_the_disk_is_raised(tmp_path, monkeypatch):
    trainer, keeper = compiled(tmp_path)
    broken = OSError(errno.EIO, os.strerror(errno.EIO))

    def failing(state, step):
        raise broken

    monkeypatch.setattr(keeper.folder, "save", failing)
    with pytest.raises(OSError, match="Input/output"):
        trainer.fit()


# --- logs ---------------------------------------------------------------------------------------


def test_lines_wait_for_space(small_disk, caplog):
    """None is lost, none is torn, one warning; those that wait are in the checkpoint."""
    log = LogFile(small_disk / "log.jsonl")
    log.append('{"a": 1}')
    ballast = FillAndFree(small_disk, 0, 1)
    ballast.take()
    rows = [f'{{"a": "{"x" * 5000}", "b": {number}}}' for number in range(3)]
    with caplog.at_level(logging.WARNING):
        for row in rows:
            log.append(row)
    assert caplog.text.count("its lines wait") == 1
    assert log.path.read_text() == '{"a": 1}\n'
    assert log.state_dict() == {"bytes": 9, "waiting": rows}
    other = LogFile(log.path)
    other.load_state_dict(log.state_dict())
    ballast.file.unlink()
    other.append('{"a": 2}')
    assert log.path.read_text().splitlines() == ['{"a": 1}', *rows, '{"a": 2}']
