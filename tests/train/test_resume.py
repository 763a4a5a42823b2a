"""Going on with a training: in the same bits where nothing was changed, sensibly where it was."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import signal
import threading
import time

import numpy as np
import pytest

import narae
import narae.nn as nn
from narae.base.errors import ConfigError, FileFormatError
from narae.data import DataLoader, TensorDataset
from narae.io import read_records
from narae.nn.averaging import AveragedModel
from narae.optim import SGD
from narae.optim.lr_scheduler import OneCycleLR
from narae.train import Callback, Data, Trainer
from narae.train.callbacks.clip import ClipGradients
from narae.train.callbacks.early_stopping import EarlyStopping
from narae.train.callbacks.schedule import Schedule
from narae.train.environment import differences, environment, restore_threads
from narae.train.log_file import LogFile
from narae.train.signals import stop_on_signals
from tests.train import trainings
from tests.train.trainings import TRAININGS, Pretends, contents, keeper_of, leaves

pytest.importorskip("matplotlib")


def compiled(folder, **options):
    """That training, eager: what is compiled is killed elsewhere."""
    return trainings.compiled(folder, compile=False, **options)


def accumulating(folder, **options):
    return trainings.accumulating(folder, compile=False, **options)


class StopAt(Callback):
    """Asks for a stop as a signal would; told before the checkpoints, or after them."""

    def __init__(self, updates, order=75):
        self.updates, self.order = updates, order

    def on_step_end(self, trainer):
        if trainer.updates == self.updates:
            trainer.stop, trainer.interrupted = "for a test", True


def train(make, folder, stop=None, order=75, **options):
    trainer, keeper = make(folder, **options)
    keeper.resume(trainer)
    if stop is not None:
        trainer.add_callbacks([StopAt(stop, order)])
    trainer.fit()
    return trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trainer = train(compiled, folder, save_steps=0)
    return trainer, folder


@pytest.mark.parametrize(("stop", "order"), [(1, 75), (12, 75), (12, 95), (17, 95), (60, 75)])
def test_stopped_anywhere(stop, order, whole, tmp_path):
    """A stop after any update, also the last of an epoch, and also one that comes late."""
    first = train(compiled, tmp_path, stop, order, save_steps=0)
    assert first.updates == stop
    assert first.finished == (stop == 60)
    second = train(compiled, tmp_path, save_steps=0)
    assert second.updates == 60 and second.finished
    assert_same(second, whole[0])
    log = "metrics.jsonl"
    assert (tmp_path / log).read_bytes() == (whole[1] / log).read_bytes()


def assert_same(one, other):
    for part in ("model", "optimizer", "random", "numbers", "loader", "averages"):
        ours, theirs = (dict(leaves(x.state_dict()[part])) for x in (one, other))
        assert ours == theirs, part


def test_the_whole_state_comes_back(tmp_path):
    """What `state_dict` gives after `load_state_dict` is what was loaded, in every training."""
    for name, make in TRAININGS.items():
        trainer, _ = make(tmp_path / name, epochs=2)
        trainer.fit()
        saved = trainer.state_dict()
        other, keeper = make(tmp_path / name, epochs=2)
        keeper.resume(other)
        again = other.state_dict()
        del saved["judged"], again["judged"]  # who is judged is said at the beginning of fit()
        assert dict(leaves(again)) == dict(leaves(saved)), name


@pytest.mark.parametrize("part", ["test", "validation"])
def test_validation_data_with_a_generator_of_its_own(tmp_path, part):
    """Its place belongs to the state: a loader that shuffles gives the same order later."""

    def make(folder):
        trainer, keeper = compiled(folder, save_steps=0)
        x = TensorDataset(narae.arange(40.0).reshape(40, 1).expand(40, 6), narae.zeros(40).long())
        own = narae.Generator().manual_seed(5)
        loader = DataLoader(x, 16, shuffle=True, generator=own)
        trainer.data = Data(trainer.data.train, **{"test": trainer.data.test, part: loader})
        return trainer, keeper

    straight = train(make, tmp_path / "a")
    train(make, tmp_path / "b", 30)
    again = train(make, tmp_path / "b")
    loaders = [getattr(each.data, part) for each in (straight, again)]
    orders = [[x[:, 0].tolist() for x, _ in loader] for loader in loaders]
    assert orders[0] == orders[1]


# --- early stopping -----------------------------------------------------------------------------


def stopping(folder, values=(3.0, 2.0, 1.0, 1.5, 0.995, 1.2, 0.1), patience=3, min_delta=0.01):
    early = EarlyStopping("val_loss", patience, min_delta)
    trainer, keeper = compiled(folder, epochs=7, save_steps=5)
    trainer.add_callbacks([early, Pretends(*values, name="val_loss")])
    return trainer, keeper, early


def test_early_stopping_restores_the_best(tmp_path):
    """H15: three epochs without a gain of 0.01 end it; weights and numbers are the best epoch's."""
    straight, _ = compiled(tmp_path / "three", epochs=7)
    straight.epochs = 3
    straight.fit()
    trainer, _, early = stopping(tmp_path / "early")
    numbers = trainer.fit()
    assert trainer.epoch == 6 and trainer.finished
    assert early.best_epoch == 3 and numbers["val_loss"] == 1.0
    assert "since epoch 3" in trainer.stop
    for name, x in trainer.model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), straight.model.state_dict()[name].numpy())


@pytest.mark.parametrize("stop", [7, 40, 61, 72])
def test_early_stopping_goes_on(stop, tmp_path):
    """Stopped and gone on with, it stops in the same place with the same weights."""
    trainer, _, _ = stopping(tmp_path / "a")
    trainer.fit()
    first, _, _ = stopping(tmp_path / "b")
    first.add_callbacks([StopAt(stop)])
    first.fit()
    second, keeper, _ = stopping(tmp_path / "b")
    keeper.resume(second)
    second.fit()
    assert second.epoch == 6 and second.stop == trainer.stop and second.numbers == trainer.numbers
    for name, x in trainer.model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), second.model.state_dict()[name].numpy())


def test_more_patience_goes_on_after_an_early_stop(tmp_path):
    trainer, _, _ = stopping(tmp_path)
    trainer.fit()
    again, keeper, early = stopping(tmp_path, patience=4)
    keeper.resume(again)
    again.fit()
    assert again.epoch == 7 and early.best_epoch == 7


@pytest.mark.parametrize(("patience", "min_delta"), [(0, 0), (1, -1), (1, float("nan"))])
def test_early_stopping_refuses(patience, min_delta):
    words = r"patience is 0; .* at least 1|min_delta is .* not negative"
    with pytest.raises(ConfigError, match=words):
        EarlyStopping("", patience, min_delta)


def test_a_number_that_there_is_not(tmp_path):
    trainer, _ = compiled(tmp_path)
    trainer.add_callbacks([EarlyStopping("val_f1")])
    with pytest.raises(ConfigError, match=r"no number 'val_f1'.*val_accuracy"):
        trainer.fit()


# --- changed settings ---------------------------------------------------------------------------


def rates_of(epochs, steps, lr=1e-2, begin=0):
    optimizer = SGD(nn.Linear(1, 1).parameters(), lr=lr, momentum=0.9)
    schedule = OneCycleLR(optimizer, lr, total_steps=epochs * 12)
    rates = []
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates[begin:]


class Rates(Callback):
    order = 61

    def __init__(self):
        self.seen = []

    def on_step_end(self, trainer):
        self.seen.append(trainer.optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(("epochs", "lr"), [(9, 1e-2), (4, 1e-2), (5, 3e-2)])
def test_a_schedule_of_other_length_or_height(epochs, lr, tmp_path, caplog):
    """More epochs make a longer cycle, and the run is where it would be in it: no error later."""
    train(compiled, tmp_path, 30)
    trainer, keeper = compiled(tmp_path, epochs=epochs, lr=lr)
    rates = Rates()
    keeper.resume(trainer)
    trainer.add_callbacks([rates])
    trainer.fit()
    assert trainer.epoch == epochs
    np.testing.assert_allclose(rates.seen, rates_of(epochs, epochs * 12, lr, 30), rtol=1e-12)
    assert caplog.text.count("not in the same bits") == 1
    assert "Schedule is that of the new settings" in caplog.text


def test_a_schedule_that_was_not_changed_gives_no_warning(tmp_path, caplog):
    train(compiled, tmp_path, 30)
    train(compiled, tmp_path)
    assert not caplog.records


def test_a_plateau_keeps_what_it_saw(tmp_path):
    train(accumulating, tmp_path, 22)
    trainer, keeper = accumulating(tmp_path)
    plateau = next(x for x in trainer.callbacks if isinstance(x, Schedule))
    plateau.scheduler.patience = 7
    plateau._begun["patience"] = 7
    keeper.resume(trainer)
    assert plateau.scheduler.patience == 7
    assert plateau.scheduler.last_epoch == 5 and np.isfinite(plateau.scheduler.best)


def test_another_number_to_go_by(tmp_path):
    """What was best by one number is not by another: the search begins again."""
    trainer, keeper, early = stopping(tmp_path)
    trainer.add_callbacks([StopAt(50)])
    trainer.fit()
    assert early.best_epoch == 3 and keeper.best_epoch
    early = EarlyStopping("train_loss", 3)
    trainer, keeper = compiled(tmp_path, epochs=7)
    keeper.monitor = "train_loss"
    trainer.add_callbacks([early])
    keeper.resume(trainer)
    assert early.best_epoch == keeper.best_epoch == 0
    trainer.fit()
    assert early.best_epoch >= 5 and keeper.best_epoch == early.best_epoch


def test_another_learning_rate_without_a_schedule(tmp_path):
    """What the optimizer was made with anew counts; all else is the checkpoint's."""

    def make(lr, decay):
        x = TensorDataset(narae.ones(4, 1), narae.ones(4, 1))
        model = nn.Linear(1, 1)
        optimizer = SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
        return Trainer(Data(DataLoader(x), DataLoader(x)), model, nn.MSELoss(), optimizer, epochs=2)

    first = make(0.1, 0.5)
    first.optimizer.param_groups[0]["lr"] = 0.07  # moved by hand on the way
    state = first.state_dict()
    same, other = make(0.1, 0.5), make(0.01, 0.5)
    same.load_state_dict(state)
    other.load_state_dict(state)
    assert same.optimizer.param_groups[0]["lr"] == 0.07
    assert other.optimizer.param_groups[0]["lr"] == 0.01
    assert other.optimizer.param_groups[0]["weight_decay"] == 0.5


def test_another_batch_size_begins_the_epoch_again(tmp_path, caplog):
    train(compiled, tmp_path, 30)
    trainer, keeper = compiled(tmp_path)
    loader = DataLoader(trainer.data.train.dataset, 16, shuffle=True)
    trainer.data = Data(loader, trainer.data.test)
    keeper.resume(trainer)
    assert (trainer.epoch, trainer.batches) == (2, 0)
    assert "begins again" in caplog.text
    trainer.fit()
    assert trainer.epoch == 5


def test_another_batch_size_with_as_many_batches(tmp_path, caplog):
    """10 samples in batches of 6 or of 7 are two batches: the second one is another one then."""

    def make(size):
        x = TensorDataset(narae.arange(10.0).reshape(10, 1), narae.ones(10, 1))
        model = nn.Linear(1, 1)
        optimizer, loader = SGD(model.parameters(), lr=0.01), DataLoader(x, size, shuffle=True)
        return Trainer(Data(loader, loader), model, nn.MSELoss(), optimizer, compile=False)

    first, other = make(6), make(7)
    first.add_callbacks([StopAt(1)])
    first.fit()
    assert first.batches == 1
    other.load_state_dict(first.state_dict())
    assert other.batches == 0
    assert "its batches are others in number or size" in caplog.text
    same = make(6)
    same.load_state_dict(first.state_dict())
    assert same.batches == 1


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("updates", [4, 5])  # between epochs, and inside of one
def test_a_refused_restore_changes_nothing(part, updates, tmp_path):
    """A loader that shuffles by a generator of its own does not take the state of one without."""

    def make(epochs, own=None):
        parts = {}
        for name in ("train", "test"):
            x = TensorDataset(*trainings.points(32))
            chosen = narae.Generator().manual_seed(5) if own == name else None
            parts[name] = DataLoader(x, 8, shuffle=True, generator=chosen)
        trainer, _ = compiled(tmp_path, epochs=epochs)
        trainer.data = Data(**parts)
        trainer.callbacks = []
        trainer.add_callbacks([EarlyStopping("val_loss", 3), StopAt(updates)])
        return trainer

    first = make(2)
    first.fit()
    state = first.state_dict()
    other = make(2, own=part)
    before = list(leaves(other.state_dict()))
    with pytest.raises(ConfigError, match="the state has the generators"):
        other.load_state_dict(state)
    assert list(leaves(other.state_dict())) == before


def test_data_that_cannot_say_where_it_is(tmp_path, caplog):
    """A list of batches: right between epochs; inside of one, that epoch begins again, said so."""

    def make(folder):
        trainer, keeper = compiled(folder, save_steps=0)
        trainer.data = Data(
            list(DataLoader(TensorDataset(*trainings.points(40)), 8)), trainer.data.test
        )
        return trainer, keeper

    straight = train(make, tmp_path / "a")
    train(make, tmp_path / "b", 10)
    between = train(make, tmp_path / "b")
    assert not caplog.records
    assert_same(between, straight)
    train(make, tmp_path / "c", 7)
    again = train(make, tmp_path / "c")
    assert "no state_dict() to say where it was" in caplog.text
    assert (again.epoch, again.updates) == (5, 27)


def test_other_callbacks(tmp_path, caplog):
    """New ones join, others are gone, with a warning; a mean of the past cannot begin late."""
    train(compiled, tmp_path, 30)
    trainer, keeper = compiled(tmp_path)
    trainer.add_callbacks([ClipGradients(1.0)])
    keeper.resume(trainer)
    assert "ClipGradients is new" in caplog.text
    trainer.fit()
    trainer, keeper = compiled(tmp_path, epochs=6)
    keeper.resume(trainer)
    assert "ClipGradients is gone" in caplog.text

    from narae.train.callbacks.averaging import EMA

    trainer, keeper = compiled(tmp_path)
    trainer.add_callbacks([EMA(trainer.model)])
    with pytest.raises(ConfigError, match="EMA was not part of the run so far"):
        keeper.resume(trainer)


def test_the_recipe_and_its_settings(tmp_path, caplog):
    trainer, _ = compiled(tmp_path)
    settings = {"optimizer.lr": 0.1, "epochs": 5, "data.workers": 0}
    trainer.about = {"recipe": "own", "sha256": "1", "settings": settings}
    state = trainer.state_dict()
    changed = {"optimizer.lr": 0.2, "epochs": 6, "data.workers": 2}
    trainer.about = {"recipe": "own", "sha256": "2", "settings": changed}
    trainer.load_state_dict(state)
    (record,) = caplog.records
    text = record.getMessage()
    assert "optimizer.lr was 0.1, is 0.2" in text and "the recipe was changed" in text
    assert "epochs" not in text and "workers" not in text


def test_environment_differs(tmp_path, caplog):
    trainer, _ = compiled(tmp_path)
    state = trainer.state_dict()
    here = environment()
    features = here["processor"].split()
    versions = {**here["versions"], "numpy": "1.0"}
    there = {"versions": versions, "processor": " ".join(features[:-1]), "executor": "abacus"}
    state["environment"] = {**here, **there}
    with caplog.at_level(logging.WARNING):
        trainer.load_state_dict(state)
    (record,) = caplog.records
    assert "the version of numpy was 1.0, is " in record.getMessage()
    assert "the executor was abacus, is " in record.getMessage()
    assert features[-1] in record.getMessage()


def test_threads_of_blas_come_back():
    """NumPy's products round by their number of threads: it is recorded and restored."""
    control = pytest.importorskip("threadpoolctl")
    before = environment()
    wanted = {**before, "blas": {**before["blas"], "threads": 1 + before["blas"]["threads"]}}
    assert "OPENBLAS_NUM_THREADS=" in differences(wanted, before)[0]
    with control.threadpool_limits(limits=None):
        restore_threads(wanted)
        assert differences(wanted, environment()) == []
        restore_threads(before)
    assert environment() == before


def test_a_state_of_something_else():
    trainer, _ = compiled(__import__("pathlib").Path("nowhere"))
    for state in ({}, {"format": 1}, {"model": {}}, [1, 2]):
        with pytest.raises(FileFormatError, match="holds no state of a training"):
            trainer.load_state_dict(state)
    with pytest.raises(FileFormatError, match="newer Narae"):
        trainer.load_state_dict({"format": 2})


# --- checkpoints --------------------------------------------------------------------------------


def test_the_newest_and_the_best_stay(tmp_path):
    """C6: the newest three and the best epoch's; best.safetensors is of the best epoch."""
    trainer, keeper = compiled(tmp_path, keep=3, save_steps=0, epochs=7)
    keeper.monitor = "val_loss"
    trainer.add_callbacks([Pretends(5.0, 1.0, 3.0, 4.0, 3.0, 2.0, 6.0, name="val_loss")])
    trainer.fit()
    assert keeper.folder.steps() == [24, 60, 72, 84]
    best = narae.load(keeper.folder.path / "best.safetensors")
    assert best["epoch"] == 2 and best["numbers"]["val_loss"] == 1.0


def test_the_best_is_of_the_mean(tmp_path):
    trainer = train(accumulating, tmp_path)
    keeper = keeper_of(trainer)
    best = narae.load(keeper.folder.path / "best.safetensors")["model"]
    state = keeper.folder.load(keeper._best_step)
    mean = next(state[2] for state in state["callbacks"] if state[0] == "EMA")["model"]
    for name, x in mean.items():
        np.testing.assert_array_equal(best[name].numpy(), x.numpy())


def test_fit_twice(tmp_path):
    """In a notebook: more epochs, the same trainer."""
    trainer, _ = compiled(tmp_path, epochs=5)
    trainer.epochs = 2
    trainer.fit()
    trainer.epochs = 5
    trainer.fit()
    other = train(compiled, tmp_path / "whole")
    assert_same(trainer, other)
    assert contents(tmp_path / "checkpoints") == contents(tmp_path / "whole" / "checkpoints")


# --- signals ------------------------------------------------------------------------------------


class Raise(Callback):
    order = 55

    def __init__(self, *signals):
        self.signals = signals

    def on_step_end(self, trainer):
        if trainer.updates == 7:
            for each in self.signals:
                signal.raise_signal(each)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_update(number, tmp_path):
    trainer, keeper = compiled(tmp_path, save_steps=0)
    trainer.add_callbacks([Raise(number)])
    before = signal.getsignal(number)
    with stop_on_signals(trainer):
        trainer.fit()
    assert signal.getsignal(number) is before
    assert trainer.updates == 7 and not trainer.finished
    assert trainer.stop in ("stopped by Ctrl-C", "stopped by SIGTERM")
    assert keeper.folder.steps() == [0, 7]


def test_the_second_one_is_at_once(tmp_path):
    trainer, keeper = compiled(tmp_path, save_steps=2)
    trainer.add_callbacks([Raise(signal.SIGINT, signal.SIGINT)])
    with pytest.raises(KeyboardInterrupt), stop_on_signals(trainer):
        trainer.fit()
    assert keeper.folder.steps() == [4, 6]
    trainer, keeper = compiled(tmp_path, save_steps=2)
    keeper.resume(trainer)
    trainer.fit()
    assert_same(trainer, train(compiled, tmp_path / "whole", save_steps=2))


def test_in_another_thread_nothing_is_handled(tmp_path):
    found = []

    def work():
        trainer, _ = compiled(tmp_path, epochs=1)
        before = signal.getsignal(signal.SIGINT)
        with stop_on_signals(trainer):
            found.append(signal.getsignal(signal.SIGINT) is before)
            trainer.fit()
        found.append(trainer.finished)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True, True]


def test_workers_end_with_a_run_that_is_stopped(tmp_path):
    """Forked workers have the handlers of signals too: they must not keep them from ending."""
    trainer, _ = trainings.with_workers(tmp_path, compile=False)
    trainer.add_callbacks([Raise(signal.SIGTERM)])
    before = multiprocessing.active_children()
    with stop_on_signals(trainer):
        trainer.fit()
        begin = time.monotonic()
        del trainer
        gc.collect()
        while set(multiprocessing.active_children()) - set(before):
            assert time.monotonic() - begin < 1.5, "a worker had to be killed"
            time.sleep(0.01)


def test_what_is_ignored_stays_so(tmp_path):
    """As SIGHUP under nohup, or SIGINT of a job in the background."""
    trainer, _ = compiled(tmp_path)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals(trainer):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# --- what it stands on --------------------------------------------------------------------------


def test_a_loader_between_passes_moves_generators_when_it_is_loaded():
    """Not when it is iterated: other draws lie between the two."""
    loader = DataLoader(range(6), 2, shuffle=True)
    list(loader)
    state = loader.state_dict()
    drawn, order = narae.rand(3).tolist(), [x.tolist() for x in loader]
    narae.manual_seed(3)
    loader.load_state_dict(state)
    assert narae.rand(3).tolist() == drawn
    assert [x.tolist() for x in loader] == order


def test_a_write_through_a_detached_tensor_in_a_compiled_step():
    """The whole of its base is written, as eagerly."""

    def step(w, x):
        w.detach().add_(x)
        return w * 1

    w, x = narae.arange(3.0), narae.ones(3)
    eager = narae.arange(3.0)
    expected = step(eager, x)
    np.testing.assert_array_equal(narae.compile(step)(w, x).numpy(), expected.numpy())
    np.testing.assert_array_equal(w.numpy(), eager.numpy())


def test_averaged_models_do_not_let_steps_be_traced_again():
    model = nn.Linear(2, 1)
    mean = AveragedModel(model)
    optimizer = SGD(model.parameters(), lr=0.1)

    @narae.compile
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(6):
        step(narae.ones(4, 2))
        mean.update_parameters(model)
    assert step.traces == 1
    assert mean.n_averaged.item() == 6


def test_log_file_writes_over_what_a_killed_process_left(tmp_path):
    """C8: a log that only grows is read to its end; a line without its end is none."""
    log = LogFile(tmp_path / "log.jsonl")
    log.append('{"a": 1}')
    state = log.state_dict()
    with log.path.open("a") as file:
        file.write('{"a": 2}\n{"a"')
    again = LogFile(tmp_path / "log.jsonl")
    again.load_state_dict(state)
    again.append('{"a": 3}')
    assert [x["a"] for x in read_records(log.path)] == [1, 3]
