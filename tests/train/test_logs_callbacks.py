"""Where numbers go: CSV, TensorBoard, MLflow, Weights & Biases, the screen; also after a resume."""

from __future__ import annotations

import copy
import csv
import errno
import io
import os
import struct
import sys
import types
import warnings

import pytest

import narae
import narae.nn as nn
from narae.base.errors import ConfigError, MissingExtraError
from narae.data import DataLoader, RandomSampler, SubsetRandomSampler, TensorDataset
from narae.optim import SGD
from narae.train import Callback, Data, Settings, Trainer
from narae.train.callbacks import SWA, CSVLog, LearningRate, Progress, Schedule, Timing
from narae.train.data import items_of, samples_of
from narae.train.log_file import LogFile
from narae.train.loggers import check_loggers, loggers_of
from narae.train.progress import EpochProgress

ABOUT = {"run": "a1b2", "recipe": "own", "settings": {"lr": 0.1, "epochs": 4}}


class Stop(Callback):
    """Stops after some updates, and keeps the state of the moment before."""

    order = 89

    def __init__(self, updates: int = 0, keep: int = 0) -> None:
        self._updates, self._keep, self.state = updates, keep, None

    def on_step_end(self, trainer):
        if trainer.updates == self._keep:
            self.state = copy.deepcopy(trainer.state_dict())
        if trainer.updates == self._updates:
            trainer.stop, trainer.interrupted = "enough", True


def trainer_of(*callbacks, epochs=4, every=1, accumulate=1, samples=10, groups=1, evaluate=None):
    narae.manual_seed(0)
    x = narae.rand(samples, 2)
    loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), 4, shuffle=True)
    model = nn.Linear(2, 1)
    parameters = [{"params": [p], "lr": 0.1 / (i + 1)} for i, p in enumerate(model.parameters())]
    optimizer = SGD(model.parameters() if groups == 1 else parameters, lr=0.1)
    options = {"epochs": epochs, "validate_every": every, "accumulate": accumulate}
    options["evaluate"] = evaluate
    found = Trainer(
        Data(loader, loader), model, nn.MSELoss(), optimizer, callbacks=callbacks, **options
    )
    found.about = ABOUT
    return found


def stopped_and_resumed(make, keep=4, stop=8, **options):
    """A run that is stopped some updates after its checkpoint, and one that goes on from it."""
    keeper = Stop(stop, keep)
    trainer_of(*make(), keeper, **options).fit()
    again = trainer_of(*make(), Stop(), **options)
    again.load_state_dict(keeper.state)
    again.fit()
    return again


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


class TestSettings:
    def test_names(self, tmp_path):
        names = [type(x).__name__ for x in loggers_of("csv, jsonl,csv", tmp_path)]
        assert names == ["JSONLines", "CSVLog"]

    def test_unknown_name(self):
        with pytest.raises(ConfigError, match="jsonl, csv, tensorboard, mlflow, wandb"):
            Settings(log="tensorbord")

    def test_library_that_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "wandb", None)
        with pytest.raises(MissingExtraError, match=r"narae\[wandb\]"):
            check_loggers("csv,wandb")


class TestCSV:
    def test_as_the_csv_module_reads_it(self, tmp_path):
        trainer = trainer_of(LearningRate(), CSVLog(tmp_path / "m.csv"))
        last = trainer.fit()
        rows = rows_of(tmp_path / "m.csv")
        assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
        assert {name: float(x) for name, x in rows[-1].items()} == {"epoch": 4.0, **last}

    def test_a_number_that_comes_later_gets_a_column(self, tmp_path):
        def evaluate(model, batches):
            return {'odd, "name"': 1.5, "text\nof lines": 2.5}

        trainer_of(CSVLog(tmp_path / "m.csv"), epochs=5, every=2, evaluate=evaluate).fit()
        rows = rows_of(tmp_path / "m.csv")
        assert [row["val_loss"] == "" for row in rows] == [True, False, True, False, False]
        assert rows[1]['val_odd, "name"'] == "1.5" and rows[4]["val_text\nof lines"] == "2.5"
        assert all(float(row["train_loss"]) >= 0 for row in rows)

    @pytest.mark.parametrize(("keep", "stop"), [(1, 2), (2, 8), (4, 8), (5, 11), (6, 7)])
    def test_resumed_is_the_same_file(self, tmp_path, keep, stop):
        """Rows, and a column, that came after the checkpoint are taken away."""
        trainer_of(CSVLog(tmp_path / "whole.csv"), Stop(), every=2).fit()
        stopped_and_resumed(lambda: [CSVLog(tmp_path / "m.csv")], keep, stop, every=2)
        assert (tmp_path / "m.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()

    def test_a_run_that_begins_anew_leaves_nothing_old(self, tmp_path):
        """A run that was killed before its first checkpoint."""
        (tmp_path / "m.csv").write_text("epoch,old\n1,2\n")
        trainer_of(CSVLog(tmp_path / "m.csv"), epochs=1).fit()
        assert "old" not in (tmp_path / "m.csv").read_text()

    @pytest.mark.parametrize("full", [{1}, {1, 2}, {2, 3}, {3}, {2, 3, 4}])
    def test_rows_wait_on_a_full_disk(self, tmp_path, monkeypatch, caplog, full):
        """Whether the file is begun, grows, or gets a column: the run goes on, no row is lost."""
        trainer_of(CSVLog(tmp_path / "whole.csv"), Stop(), epochs=5, every=2).fit()
        trainer_of(CSVLog(tmp_path / "m.csv"), FullDisk(full, monkeypatch), epochs=5, every=2).fit()
        assert (tmp_path / "m.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert [record.getMessage() for record in caplog.records] == [
            f"no space for {tmp_path / 'm.csv'}; rows wait: No space left on device"
        ]

    @pytest.mark.parametrize(("keep", "stop"), [(2, 8), (4, 8), (5, 8), (7, 8), (8, 8), (8, 11)])
    def test_rows_that_wait_are_in_the_checkpoint(self, tmp_path, monkeypatch, keep, stop):
        """The run is killed while the disk is full; the one that goes on has space."""
        trainer_of(CSVLog(tmp_path / "whole.csv"), Stop(), every=2).fit()
        disk = FullDisk({1, 2, 3}, monkeypatch)
        keeper = Stop(stop, keep)
        trainer_of(CSVLog(tmp_path / "m.csv"), disk, keeper, every=2).fit()
        again = trainer_of(CSVLog(tmp_path / "m.csv"), disk, Stop(), every=2)
        disk.full = set()
        again.load_state_dict(keeper.state)
        again.fit()
        assert (tmp_path / "m.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()

    def test_another_error_of_the_disk_is_raised(self, tmp_path, monkeypatch):
        disk = FullDisk({2}, monkeypatch, errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            trainer_of(CSVLog(tmp_path / "m.csv"), disk).fit()


class FullDisk(Callback):
    """While some epochs end nothing can be written."""

    order = 1

    def __init__(self, full, monkeypatch, code=errno.ENOSPC):
        self.full, self._epoch, self._code = full, 0, code
        for owner, name in ((narae.train.callbacks.csv_log, "atomic_write"), (LogFile, "write")):
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))

    def on_epoch_end(self, trainer):
        self._epoch = trainer.epoch

    def _guarded(self, write):
        def guarded(*args):
            if self._epoch in self.full:
                raise OSError(self._code, os.strerror(self._code))
            return write(*args)

        return guarded


class TestSchedule:
    def test_a_warning_of_the_step_comes_once(self):
        """A warning that Python shows once for its place is not shown once an update."""

        class Warns(Callback):
            def on_step_end(self, trainer):
                warnings.warn("of the data", UserWarning, stacklevel=1)

        trainer = trainer_of(Warns())
        schedule = narae.optim.lr_scheduler.StepLR(trainer.optimizer, 1, 0.5)
        trainer.add_callbacks([Schedule(schedule)])
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("default")
            trainer.fit()
        assert [str(each.message) for each in found] == ["of the data"]

    def test_no_warning_of_its_own(self):
        """Neither in a run, compiled, nor where a schedule of another length finds its place."""

        def run(epochs, state=None):
            stop = Stop(5, 5)
            trainer = trainer_of(stop, epochs=epochs)
            schedule = narae.optim.lr_scheduler.OneCycleLR(
                trainer.optimizer, 0.1, total_steps=3 * epochs
            )
            trainer.add_callbacks([Schedule(schedule)])
            if state is not None:
                trainer.load_state_dict(state)
            trainer.fit()
            return stop.state

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(3, run(2))


class TestLearningRate:
    @pytest.mark.parametrize("when", ["epoch", "update"])
    def test_it_is_that_of_the_last_update(self, tmp_path, when):
        """What the optimizer went by, whether or not a schedule moved it right afterwards."""
        seen = []

        class Seen(Callback):
            order = 1

            def on_step_end(self, trainer):
                seen.append(trainer.optimizer.param_groups[0]["lr"])

        trainer = trainer_of(LearningRate(), Seen(), CSVLog(tmp_path / "m.csv"))
        schedule = narae.optim.lr_scheduler.StepLR(trainer.optimizer, 1, 0.5)
        trainer.add_callbacks([Schedule(schedule, when)])
        trainer.fit()
        found = [float(row["lr"]) for row in rows_of(tmp_path / "m.csv")]
        assert found == seen[2::3]
        factor = 0.5 if when == "epoch" else 0.125  # 3 updates an epoch
        assert found == pytest.approx([found[0] * factor**epoch for epoch in range(4)])

    def test_several_groups(self):
        numbers = trainer_of(LearningRate(), groups=2).fit()
        assert (numbers["lr_0"], numbers["lr_1"]) == (0.1, 0.05) and "lr" not in numbers


class TestTensorBoard:
    def scalars(self, folder):
        """(tag, step) -> value as TensorBoard shows them: what is purged is left out."""
        event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
        found, self.purged = {}, []
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            data = path.read_bytes()
            while data:  # the records of TensorFlow: length, its CRC, bytes, their CRC
                (length,) = struct.unpack("<Q", data[:8])
                event = event_pb2.Event.FromString(data[12 : 12 + length])
                data = data[16 + length :]
                if event.session_log.status == event_pb2.SessionLog.START:
                    self.purged.append(event.step)
                    found = {key: x for key, x in found.items() if key[1] < event.step}
                for value in event.summary.value:
                    if value.tag != "run/text_summary":
                        found[value.tag, event.step] = value.simple_value
        return found

    def test_scalars(self, tmp_path):
        pytest.importorskip("tensorboardX")
        logs = loggers_of("csv,tensorboard", tmp_path)
        trainer_of(LearningRate(), *logs).fit()
        rows = rows_of(tmp_path / "metrics.csv")
        found = self.scalars(tmp_path / "tensorboard")
        assert len(found) == 12
        for row in rows:
            step = int(row["epoch"])
            for tag, name in (("loss/train", "train_loss"), ("loss/val", "val_loss"), ("lr", "lr")):
                assert found[tag, step] == pytest.approx(float(row[name]), rel=1e-6)

    def test_resumed(self, tmp_path):
        """What was written after the checkpoint is purged; the rest is as in an unbroken run."""
        pytest.importorskip("tensorboardX")
        trainer_of(*loggers_of("tensorboard", tmp_path / "a"), Stop()).fit()
        (tmp_path / "b").mkdir()
        stopped_and_resumed(lambda: loggers_of("tensorboard", tmp_path / "b"), keep=4, stop=11)
        whole, parts = (self.scalars(tmp_path / x / "tensorboard") for x in "ab")
        assert whole == parts and len(whole) == 8
        assert self.purged == [2]

    @pytest.fixture(autouse=True)
    def folders(self, tmp_path):
        (tmp_path / "a").mkdir()


class Recorder:
    """A library that writes down how it is called."""

    def __init__(self, name, monkeypatch):
        self.calls = []
        module = types.ModuleType(name)
        module.__getattr__ = self._function
        monkeypatch.setitem(sys.modules, name, module)

    def _function(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return types.SimpleNamespace(
                info=types.SimpleNamespace(run_id="f00d"),
                log=self._function("log"),
                finish=self._function("finish"),
            )

        return call

    def named(self, name):
        return [(args, kwargs) for found, args, kwargs in self.calls if found == name]


class TestMLflow:
    def test_a_run(self, monkeypatch, tmp_path):
        library = Recorder("mlflow", monkeypatch)
        logs = loggers_of("mlflow,csv", tmp_path / "digits-3")
        (tmp_path / "digits-3").mkdir()
        trainer_of(*logs).fit()
        assert library.named("start_run") == [((), {"run_name": "digits-3"})]
        ((params,), _), = library.named("log_params")  # fmt: skip
        assert params == {"recipe": "own", "lr": 0.1, "epochs": 4}
        logged = library.named("log_metrics")
        assert [kwargs["step"] for _, kwargs in logged] == [1, 2, 3, 4]
        rows = rows_of(tmp_path / "digits-3" / "metrics.csv")
        for (numbers,), kwargs in logged:
            row = rows[kwargs["step"] - 1]
            assert {**numbers, "epoch": kwargs["step"]} == {k: float(x) for k, x in row.items()}
        assert library.named("end_run") == [(("FINISHED",), {})]

    def test_resumed_is_the_same_run(self, monkeypatch, tmp_path):
        library = Recorder("mlflow", monkeypatch)
        stopped_and_resumed(lambda: loggers_of("mlflow", tmp_path))
        begun = [kwargs for _, kwargs in library.named("start_run")]
        assert begun == [{"run_name": tmp_path.name}, {"run_id": "f00d"}]
        assert len(library.named("log_params")) == 1
        assert [args for args, _ in library.named("end_run")] == [("KILLED",), ("FINISHED",)]


class TestWandB:
    def test_resumed_is_the_same_run(self, monkeypatch, tmp_path):
        library = Recorder("wandb", monkeypatch)
        stopped_and_resumed(lambda: loggers_of("wandb", tmp_path))
        begun = [kwargs for _, kwargs in library.named("init")]
        assert len(begun) == 2 and begun[0] == begun[1]
        assert begun[0]["id"] == "a1b2" and begun[0]["resume"] == "allow"
        assert begun[0]["config"] == {"recipe": "own", "lr": 0.1, "epochs": 4}
        assert [kwargs["step"] for _, kwargs in library.named("log")] == [1, 2, 2, 3, 4]
        ends = [kwargs for _, kwargs in library.named("finish")]
        assert ends == [{"exit_code": 1}, {"exit_code": 0}]


class Breaks(Callback):
    """An error in some update, such as one of the data; or when the run begins."""

    order = 88

    def __init__(self, update):
        self._update = update

    def on_step_end(self, trainer):
        if trainer.updates == self._update:
            raise RuntimeError("of the data")

    def on_fit_start(self, trainer):
        if not self._update:
            raise RuntimeError("of the data")


class Closed(Callback):
    """Counts how often it was closed, with an error if asked."""

    def __init__(self, order, fails=False):
        self.order, self.closed, self._fails = order, 0, fails

    def close(self):
        self.closed += 1
        if self._fails:
            raise ValueError("cannot be closed")


class TestClosing:
    def test_after_a_run(self):
        watch = Closed(10)
        trainer_of(watch).fit()
        assert watch.closed == 1

    @pytest.mark.parametrize("update", [0, 2])
    def test_after_an_error_all_are_closed(self, update, caplog):
        """Also those after one that fails; the error of the run is the one that is raised."""
        watches = [Closed(10), Closed(60, fails=True), Closed(95)]
        with pytest.raises(RuntimeError, match="of the data"):
            trainer_of(*watches, Breaks(update)).fit()
        assert [watch.closed for watch in watches] == [1, 1, 1]
        assert "Closed could not be closed: cannot be closed" in caplog.text

    def test_an_error_of_closing_is_raised_after_a_run(self):
        watches = [Closed(10), Closed(60, fails=True), Closed(95)]
        with pytest.raises(ValueError, match="cannot be closed"):
            trainer_of(*watches).fit()
        assert [watch.closed for watch in watches] == [1, 1, 1]

    @pytest.mark.parametrize("update", [0, 2])
    def test_libraries_hear_of_an_error(self, monkeypatch, tmp_path, update):
        libraries = {name: Recorder(name, monkeypatch) for name in ("mlflow", "wandb")}
        loggers = loggers_of("mlflow,wandb", tmp_path)
        with pytest.raises(RuntimeError, match="of the data"):
            trainer_of(*loggers, Breaks(update)).fit()
        assert [args for args, _ in libraries["mlflow"].named("end_run")] == [("FAILED",)]
        assert [x for _, x in libraries["wandb"].named("finish")] == [{"exit_code": 1}]

    def test_before_it_began(self, monkeypatch, tmp_path):
        """One that begins after the error has nothing to close."""
        library = Recorder("wandb", monkeypatch)
        error = Breaks(0)
        error.order = 1
        timing, log = Timing(tmp_path / "t.jsonl"), loggers_of("wandb", tmp_path)
        with pytest.raises(RuntimeError, match="of the data"):
            trainer_of(error, timing, *log, Progress()).fit()
        assert library.calls == []

    def test_the_bar_goes_and_the_loader_comes_back(self, tmp_path):
        progress = Progress(quiet=True)
        trainer = trainer_of(Timing(tmp_path / "t.jsonl"), progress, Breaks(2))
        loader = trainer.data.train
        with pytest.raises(RuntimeError, match="of the data"):
            trainer.fit()
        assert progress._show is None and trainer.data.train is loader

    def test_tensorboards_file_is_closed(self, monkeypatch, tmp_path):
        pytest.importorskip("tensorboardX")
        (log,) = [x for x in loggers_of("tensorboard", tmp_path) if type(x).__name__[0] == "T"]
        closed = []
        trainer = trainer_of(log, Breaks(4))

        class Watch(Callback):
            order = 81

            def on_fit_start(self, trainer):
                close = log._writer.close
                monkeypatch.setattr(log._writer, "close", lambda: (closed.append(1), close()))

        trainer.add_callbacks([Watch()])
        with pytest.raises(RuntimeError, match="of the data"):
            trainer.fit()
        assert closed == [1]


class TestProgress:
    def test_an_epoch_that_was_gone_on_with(self):
        """Speed and time left are those of this run: 40 of 100 samples were done before."""
        times = iter([0.0, 3.0, 3.0, 4.0, 8.0, 8.0])
        stream = io.StringIO()
        with EpochProgress(4, 100, stream=stream, clock=lambda: next(times)) as show:
            show.start_epoch(2, done=40)
            show.advance(60)
            show.end_epoch()
            show.start_epoch(3)
            show.advance(100)
            show.end_epoch()
        first, second = stream.getvalue().splitlines()
        # 60 samples in 3 s; 0.6 epochs took 3 s, 2 more take 10 s
        assert first == "epoch 2/4 · 20 samples/s · 3.0 s for its last 60% · 10.0 s left"
        # 1.6 epochs took 8 s, 1 more takes 5 s
        assert second == "epoch 3/4 · 25 samples/s · 4.0 s · 5.0 s left"

    def test_the_callback_begins_where_the_run_does(self, capsys):
        stopped_and_resumed(lambda: [LearningRate(), Progress(samples=10)], keep=4, stop=5)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 4 and "for its last 70%" in lines[1]  # 1 of 3 batches was done
        assert not any("for its last" in line for line in (lines[0], *lines[2:]))
        assert all("samples/s" in line and "lr" not in line for line in lines)

    @pytest.mark.parametrize(
        ("options", "samples"),
        [
            ({"sampler": RandomSampler(range(10), num_samples=100)}, 100),
            ({"sampler": SubsetRandomSampler([1, 5, 7])}, 3),
            ({"drop_last": True}, 8),
            ({"batch_size": None}, 0),
            ({"batch_size": 1, "batch_sampler": [[0, 1, 2], [3]]}, 0),
            ({}, 10),
        ],
    )
    def test_samples_of_an_epoch_are_those_that_are_learned_from(self, options, samples):
        """Not those of the data set: a sampler may draw others, a short batch is left out."""
        data = TensorDataset(narae.arange(10))
        loader = DataLoader(data, **{"batch_size": 4, **options})
        assert samples_of(loader) == samples
        if samples:
            assert sum(items_of(batch) for batch in loader) == samples

    def test_quiet(self, capsys):
        trainer_of(Progress(quiet=True)).fit()
        assert capsys.readouterr().out == ""

    def test_batches_where_samples_are_not_known(self, capsys):
        trainer_of(Progress(), epochs=1).fit()
        assert "batches/s" in capsys.readouterr().out


class TestTiming:
    def test_each_part_gets_its_seconds(self, tmp_path):
        """With a clock that only the parts move."""
        now = [0.0]

        class Slow(Callback):
            def __init__(self, order, event, seconds):
                self.order, self._event, self._seconds = order, event, seconds

            def on_step_end(self, trainer):
                self._spend("step")

            def on_epoch_end(self, trainer):
                self._spend("epoch")

            def _spend(self, event):
                if event == self._event:
                    now[0] += self._seconds

        timing = Timing(tmp_path / "t.jsonl", clock=lambda: now[0])
        parts = [Slow(50, "step", 2.0), Slow(90, "step", 0.25), Slow(90, "epoch", 8.0)]
        trainer = trainer_of(timing, *parts, epochs=2)
        validate, loader = trainer.validate, trainer.data.train

        def slow_validate():
            now[0] += 16.0
            return validate()

        trainer.validate = slow_validate
        trainer.fit()
        assert trainer.data.train is loader
        records = list(narae.io.read_records(tmp_path / "t.jsonl"))
        expected = {"data": 0.0, "step": 6.0, "validation": 16.0, "saving": 8.75}
        for epoch, record in enumerate(records, 1):
            assert record == {"epoch": epoch, "seconds": 30.75, **expected, "samples": 10}

    def test_a_pass_for_the_mean_of_weights_is_no_training(self, tmp_path):
        """SWA goes through the training data once more after the last epoch."""
        now = [0.0]

        class Batches(DataLoader):
            def __iter__(self):
                for batch in super().__iter__():
                    now[0] += 1.0
                    yield batch

        trainer = trainer_of(Timing(tmp_path / "t.jsonl", clock=lambda: now[0]), epochs=2)
        x = trainer.data.train.dataset
        trainer.data = Data(Batches(x, 4), DataLoader(x, 4))
        trainer.model = trainer.judged = nn.Sequential(nn.BatchNorm1d(2), trainer.model)
        trainer.add_callbacks([SWA(trainer.model, 0.5)])
        trainer.fit()
        records = list(narae.io.read_records(tmp_path / "t.jsonl"))
        parts = {"data": 3.0, "step": 0.0, "saving": 0.0, "samples": 10}
        assert records == [
            {"epoch": 1, "seconds": 3.0, "validation": 0.0, **parts},
            {"epoch": 2, "seconds": 6.0, "validation": 3.0, **parts},
        ]

    def test_an_epoch_in_two_parts_has_two_lines(self, tmp_path):
        stopped_and_resumed(lambda: [Timing(tmp_path / "t.jsonl")], keep=4, stop=4)
        records = list(narae.io.read_records(tmp_path / "t.jsonl"))
        assert [(x["epoch"], x["samples"]) for x in records] == [
            (1, 10), (2, 4), (2, 6), (3, 10), (4, 10)
        ]  # fmt: skip
