"""EMA and SWA against PyTorch's AveragedModel, and what a run is judged by with them."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
from narae.errors import ConfigError
from narae.nn.averaging import AveragedModel, get_ema_multi_avg_fn
from narae.optim import SGD
from narae.optim.swa_utils import SWALR
from narae.train import Callback
from narae.train.callbacks.averaging import EMA, SWA
from tests.train.regularizer_runs import array, assert_same, linear, make_trainer, network, weights


class Path(Callback):
    """The weights after each update and after each epoch."""

    order = 85

    def __init__(self):
        self.updates, self.epochs, self.judged = [], [], []

    def on_step_end(self, trainer):
        self.updates.append(weights(trainer.model))

    def on_epoch_end(self, trainer):
        self.epochs.append(weights(trainer.model))
        self.judged.append(weights(trainer.judged))


@pytest.mark.parametrize("compile", [False, True])
def test_ema_without_warm_up_is_pytorchs(compile):
    """The mean is that of `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`."""
    torch = pytest.importorskip("torch")
    path = Path()
    trainer = make_trainer(
        lambda model: [EMA(model, 0.8, warmup=False), path], model=linear, compile=compile
    )
    trainer.fit()
    live = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    mean = torch.optim.swa_utils.AveragedModel(
        live, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    )
    for state in path.updates:
        live.load_state_dict({f"{int(n[0]) - 1}{n[1:]}": torch.tensor(x) for n, x in state.items()})
        mean.update_parameters(live)
    found = list(weights(trainer.judged).values())
    for x, y in zip(found, mean.module.state_dict().values(), strict=True):
        np.testing.assert_allclose(x, y.numpy(), rtol=1e-5, atol=1e-7)


def test_ema_warms_up():
    """d is min(decay, n / (n + 9)): the recurrence in NumPy."""
    path = Path()
    trainer = make_trainer(lambda model: [EMA(model, 0.5), path], model=linear, epochs=5)
    mean = weights(trainer.model)
    trainer.fit()
    for n, state in enumerate(path.updates, start=1):
        decay = min(0.5, n / (n + 9))
        mean = {name: decay * x + (1 - decay) * state[name] for name, x in mean.items()}
    for name, x in weights(trainer.judged).items():
        np.testing.assert_allclose(x, mean[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_validation_is_of_the_mean():
    """Validation and the best checkpoint look at the mean; training goes on with the model."""
    trainer = make_trainer(lambda model: [EMA(model, 0.9)])
    numbers = trainer.fit()
    plain = make_trainer()
    other = plain.fit()
    assert numbers["train_loss"] == other["train_loss"]
    assert_same(weights(trainer.model), weights(plain.model))
    trainer.model.load_state_dict(trainer.judged.state_dict())
    trainer.judged = trainer.model
    assert trainer.validate()["loss"] == pytest.approx(numbers["val_loss"], rel=1e-6)
    assert numbers["val_loss"] != other["val_loss"]


def test_ema_takes_over_buffers():
    """Statistics of batch normalization are the model's own, as in AveragedModel."""
    trainer = make_trainer(lambda model: [EMA(model, 0.9)])
    trainer.fit()
    mine, theirs = dict(trainer.judged.named_buffers()), dict(trainer.model.named_buffers())
    assert len(mine) == 3
    for name, buffer in mine.items():
        assert np.array_equal(np.asarray(buffer), np.asarray(theirs[name])), name


def test_ema_follows_updates_not_batches():
    """With accumulated gradients there is one step of the mean for each update."""
    path = Path()
    trainer = make_trainer(
        lambda model: [EMA(model, 0.9), path], model=linear, accumulate=2, epochs=2
    )
    ema = trainer.callbacks[0]
    trainer.fit()
    assert len(path.updates) == trainer.updates == int(ema.state_dict()["updates"].item()) == 4


def test_ema_is_better_where_steps_are_noisy():
    """Polyak & Juditsky: at a constant learning rate the mean is nearer to the solution."""
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(512, 4)).astype(np.float32)
    w = np.array([[1.0], [2.0], [-1.0], [0.5]])
    y = (x @ w + 2 * numbers.normal(size=(512, 1))).astype(np.float32)
    best = np.linalg.lstsq(x, y, rcond=None)[0].T
    trainer = make_trainer(
        lambda model: [EMA(model, 0.99)],
        model=lambda: nn.Linear(4, 1, bias=False),
        loss=nn.functional.mse_loss,
        data=(narae.from_numpy(x), narae.from_numpy(y)),
        optimizer=lambda parameters: SGD(parameters, lr=0.1),
        epochs=6,
    )
    trainer.fit()
    live, mean = (np.abs(array(m.weight) - best).max() for m in (trainer.model, trainer.judged))
    assert mean < live / 2


@pytest.mark.parametrize("decay", [0, 1, -0.1, float("nan")])
def test_decay_lies_between(decay):
    with pytest.raises(ConfigError, match=r"decay is .* between 0 and 1"):
        EMA(linear(), decay)


# --- SWA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "first"), [(0.0, 1), (0.5, 3), (0.75, 4), (0.7, 3)])
def test_swa_is_the_mean_of_the_last_epochs(start, first):
    """The mean's parameters are those of epochs `first` to 4, each counted once."""
    path = Path()
    trainer = make_trainer(lambda model: [SWA(model, start), path], model=linear, epochs=4)
    trainer.fit()
    states = path.epochs[first - 1 :]
    for name, x in weights(trainer.judged).items():
        np.testing.assert_allclose(x, np.mean([s[name] for s in states], axis=0), rtol=1e-5)


def test_swa_computes_statistics_anew():
    """Running means and variances are those of the training data under the mean's own weights:
    averaged over an epoch's batches, as `torch.optim.swa_utils.update_bn` has them."""
    trainer = make_trainer(
        lambda model: [SWA(model, 0.5)], epochs=4, batch_size=11, model=lambda: network(0.0)
    )
    trainer.fit()
    mean = trainer.judged
    x = np.asarray(trainer.data.test.dataset.tensors[0]).reshape(22, 6)
    first = x @ array(mean[1].weight).T + array(mean[1].bias)
    np.testing.assert_allclose(array(mean[2].running_mean), first.mean(axis=0), atol=1e-5)


def test_the_last_epoch_is_judged_by_the_mean():
    """Numbers of the last epoch, and what is judged from then on, are of the mean."""
    path = Path()
    trainer = make_trainer(lambda model: [SWA(model, 0.5), path], epochs=4)
    numbers = trainer.fit()
    assert_same(path.judged[-2], path.epochs[-2])  # before the end: the model itself
    assert any(not np.array_equal(x, path.epochs[-1][n]) for n, x in path.judged[-1].items())
    assert trainer.validate()["loss"] == pytest.approx(numbers["val_loss"], rel=1e-6)


def test_a_finished_run_is_judged_by_the_mean():
    """Loaded again after its end, a run is judged by the mean that was saved."""
    trainer = make_trainer(lambda model: [SWA(model, 0.5)])
    numbers = trainer.fit()
    again = make_trainer(lambda model: [SWA(model, 0.5)])
    again.load_state_dict(trainer.state_dict())
    again.fit()
    assert again.validate()["loss"] == pytest.approx(numbers["val_loss"], rel=1e-6)


def test_swa_has_a_schedule_of_its_own():
    """An SWALR is stepped in the epochs that are averaged, and only then."""
    rates = []

    class Rates(Callback):
        def on_epoch_end(self, trainer):
            rates.append(trainer.optimizer.param_groups[0]["lr"])

    def callbacks(model):
        return [Rates()]

    trainer = make_trainer(callbacks, model=linear, epochs=5)
    schedule = SWALR(trainer.optimizer, swa_lr=0.02, anneal_epochs=1)
    rates.clear()
    trainer.add_callbacks([SWA(trainer.model, 0.6, schedule)])
    trainer.fit()
    assert rates[:3] == [0.1, 0.1, 0.1]
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.02)


@pytest.mark.parametrize("start", [1, -0.1, float("nan")])
def test_start_is_a_share(start):
    with pytest.raises(ConfigError, match="start is"):
        SWA(linear(), start)


def test_averaged_model_inside_a_step_agrees_with_ema():
    """One concept under two names: `AveragedModel` updated by hand gives the same mean."""
    model = linear()
    by_hand = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.7))
    path = Path()
    trainer = make_trainer(lambda net: [EMA(net, 0.7, warmup=False), path], model=lambda: model)
    trainer.fit()
    for state in path.updates:
        model.load_state_dict({name: narae.tensor(x) for name, x in state.items()})
        by_hand.update_parameters(model)
    for name, x in weights(trainer.judged).items():
        expected = array(dict(by_hand.module.named_parameters())[name])
        np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-7)
