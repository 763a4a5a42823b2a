"""Every regularizer in the training loop: one program, the same bits eagerly, exact resume."""

from __future__ import annotations

import numpy as np
import pytest

import narae
from narae.errors import ConfigError
from narae.train import Callback, Settings, build, load_recipe
from narae.train.callbacks.averaging import EMA, SWA
from narae.train.callbacks.clip import ClipGradients
from narae.train.callbacks.cutmix import CutMix, MixupOrCutMix
from narae.train.callbacks.freezing import Freeze
from narae.train.callbacks.label_smoothing import LabelSmoothing
from narae.train.callbacks.mixup import Mixup
from narae.train.callbacks.noise import InputNoise, WeightNoise
from narae.train.callbacks.penalty import Penalty
from narae.train.setting_callbacks import callbacks_of
from tests.train.regularizer_runs import (
    assert_same,
    make_trainer,
    weights,
)

KINDS = {
    "mixup": lambda model: [Mixup(0.4)],
    "cutmix": lambda model: [CutMix(1.0)],
    "either": lambda model: [MixupOrCutMix(0.4, 1.0)],
    "input noise": lambda model: [InputNoise(0.1)],
    "weight noise": lambda model: [WeightNoise(0.1)],
    "smoothing": lambda model: [LabelSmoothing(0.1)],
    "l1": lambda model: [Penalty(l1=1e-2)],
    "l2": lambda model: [Penalty(l2=1e-2)],
    "both": lambda model: [Penalty(1e-2, 1e-2)],
    "clip": lambda model: [ClipGradients(0.1)],
    "ema": lambda model: [EMA(model, 0.9)],
    "swa": lambda model: [SWA(model, 0.3)],
    "freeze": lambda model: [Freeze(model, "1", unfreeze=3)],
}
ALL = (
    *("either", "input noise", "weight noise", "smoothing", "both", "clip", "ema"),
    "freeze",
)
KINDS["all"] = lambda model: [each for name in ALL for each in KINDS[name](model)]
# Programs: two sizes of batches; a second time when modules begin to learn.
TRACES = {"freeze": 4, "all": 4}


@pytest.fixture
def reference():
    """Compiled steps run on the reference executor, which rounds as eager tensors do."""
    narae.set_executor("reference")
    yield
    narae.set_executor(None)


@pytest.mark.parametrize(
    ("kind", "accumulate"),
    [*((kind, 1) for kind in KINDS), ("weight noise", 2), ("swa", 2), ("all", 2)],
)
def test_compiled_equals_eager(kind, accumulate, reference):
    """A compiled run ends with the bits of an eager one: weights, numbers, random stream."""
    ends = []
    for compile in (False, True):
        trainer = make_trainer(KINDS[kind], compile=compile, accumulate=accumulate)
        numbers = trainer.fit()
        stream = {"stream": np.array(narae.get_rng_state())}
        ends.append((numbers, weights(trainer.model) | stream, weights(trainer.judged)))
    assert ends[0][0] == ends[1][0]
    assert_same(ends[0][1], ends[1][1])
    assert_same(ends[0][2], ends[1][2])


@pytest.mark.parametrize("kind", ["all", "cutmix", "swa"])
def test_the_fastest_executor_agrees(kind):
    """The executor that is there by default gives nearly the eager run's weights."""
    pytest.importorskip("llvmlite")
    ends = []
    for compile in (False, True):
        trainer = make_trainer(KINDS[kind], compile=compile, epochs=2)
        trainer.fit()
        ends.append(weights(trainer.judged))
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_no_new_trace_for_a_step(kind, reference):
    """One program for each size of batch, however many epochs; once more where modules unfreeze."""
    trainer = make_trainer(KINDS[kind], epochs=6)
    trainer.fit()
    assert trainer.train_step.traces == TRACES.get(kind, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_something(kind, reference):
    """Without the callback the run ends elsewhere."""
    plain = make_trainer()
    numbers = plain.fit()
    trainer = make_trainer(KINDS[kind])
    assert trainer.fit() != numbers
    one, two = weights(plain.judged), weights(trainer.judged)
    assert any(not np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("kind", "stop"), [*((kind, 4) for kind in KINDS), ("ema", 6), ("swa", 6), ("all", 6)]
)
def test_a_run_goes_on_with_the_same_bits(kind, stop, reference, tmp_path):
    """Stopped inside and between epochs and gone on with, a run ends as if nothing had been."""
    pytest.importorskip("matplotlib")
    whole = make_trainer(with_keeper(kind))
    expected = whole.fit()
    stream = np.array(narae.get_rng_state())

    first = make_trainer(with_keeper(kind, at=stop))
    first.fit()
    narae.save(first.saved, tmp_path / "state")

    narae.manual_seed(77)
    second = make_trainer(with_keeper(kind))
    second.load_state_dict(narae.load(tmp_path / "state"))
    assert second.fit() == expected
    assert_same(weights(whole.model), weights(second.model))
    assert_same(weights(whole.judged), weights(second.judged))
    assert np.array_equal(stream, np.array(narae.get_rng_state()))


class Keeper(Callback):
    """Keeps the trainer's state after an update, and stops there."""

    order = 90

    def __init__(self, at):
        self.at = at

    def on_step_end(self, trainer):
        if trainer.updates == self.at and trainer.batches < len(trainer.data.train):
            self._keep(trainer)

    def on_epoch_end(self, trainer):
        if trainer.updates == self.at:
            self._keep(trainer)

    def _keep(self, trainer):
        trainer.saved, trainer.stop = trainer.state_dict(), "enough"


def with_keeper(kind, at=0):
    return lambda model: [*KINDS[kind](model), Keeper(at)]


def test_settings_become_callbacks():
    """Each setting that is on becomes its callback, with its number; the others none."""
    model = narae.nn.Sequential(narae.nn.Linear(2, 2), narae.nn.Linear(2, 2))
    assert callbacks_of(Settings(), model) == []
    cases = {
        "mixup": (0.2, Mixup, "alpha"),
        "cutmix": (1.0, CutMix, "alpha"),
        "input_noise": (0.1, InputNoise, "std"),
        "weight_noise": (0.01, WeightNoise, "std"),
        "smoothing": (0.1, LabelSmoothing, "share"),
        "l1": (1e-3, Penalty, "l1"),
        "l2": (1e-4, Penalty, "l2"),
        "clip": (1.0, ClipGradients, "max_norm"),
        "ema": (0.99, EMA, "decay"),
        "swa": (0.5, SWA, "start"),
    }
    for name, (value, kind, attribute) in cases.items():
        (made,) = callbacks_of(Settings(**{name: value}), model)
        assert type(made) is kind and getattr(made, attribute) == value, name
    (made,) = callbacks_of(Settings(mixup=0.2, cutmix=1.0), model)
    assert isinstance(made, MixupOrCutMix)
    assert (made.mixup.alpha, made.cutmix.alpha) == (0.2, 1.0)
    (made,) = callbacks_of(Settings(freeze="0", unfreeze=3), model)
    assert isinstance(made, Freeze) and made.names == ["0"] and made.unfreeze == 3


def test_two_means_are_refused():
    with pytest.raises(ConfigError, match=r"ema and swa are both on.*set one of them to 0"):
        callbacks_of(Settings(ema=0.9, swa=0.5), None)


def test_unfreezing_what_was_not_frozen():
    with pytest.raises(ConfigError, match="unfreeze is 3, and freeze names no module"):
        callbacks_of(Settings(unfreeze=3), None)


OWN = '''
"""Which side of a line a point is on, in pictures of 2 x 2 points."""

import narae.nn as nn
import narae.nn.functional as F
from narae import rand
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Data


def data(folder, batch_size=16):
    x = rand(64, 1, 2, 2)
    y = (x.sum(dim=(1, 2, 3)) > 2).long()
    loader = DataLoader(TensorDataset(x, y), batch_size, shuffle=True)
    return Data(loader, loader, ("below", "above"))


def model():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def loss(out, target):
    return F.cross_entropy(out, target)


def optimizer(model, lr=0.1):
    return SGD(model.parameters(), lr=lr)
'''


def test_every_setting_for_every_recipe(reference, tmp_path):
    """What `--set` says reaches every regularizer of a recipe that knows of none, and it trains."""
    (tmp_path / "own.py").write_text(OWN.lstrip(), "utf-8")
    texts = "epochs=3 mixup=0.2 cutmix=1 input_noise=0.1 weight_noise=0.001 smoothing=0.1 l1=1e-6"
    texts += " l2=1e-5 clip=1 ema=0.9 freeze=1 unfreeze=2"
    recipe = load_recipe(str(tmp_path / "own.py")).changed(
        dict(x.split("=") for x in texts.split())
    )
    trainer = build(recipe)
    numbers = trainer.fit()
    assert len(trainer.callbacks) == 8
    assert numbers["train_grad_norm"] > 0
    assert np.isfinite(list(numbers.values())).all()
