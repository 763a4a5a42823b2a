"""Noise in inputs and weights: what it is, what it leaves as it was, what it amounts to."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.errors import ConfigError, DataError
from narae.optim import SGD
from narae.tensors.keyed_normal import keyed_normal_like
from narae.train import Callback, Step
from narae.train.callbacks.noise import InputNoise, WeightNoise
from tests.train.regularizer_runs import Watch, array, assert_same, make_trainer, network, weights


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_normal_noise_is_normal(dtype):
    """H18: mean, variance, skewness and kurtosis of a normal distribution, and no repetition."""
    narae.manual_seed(0)
    like = narae.zeros(300, 400, dtype=getattr(narae, dtype))
    noise = keyed_normal_like(like)
    assert noise.dtype == like.dtype and noise.shape == like.shape
    found = np.asarray(noise.double()).ravel()
    for power, (moment, spread) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        tolerance = 4 * np.sqrt(spread / len(found)) + (0.01 if dtype == "bfloat16" else 0)
        assert abs((found**power).mean() - moment) < tolerance, power
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.02
    assert dtype == "bfloat16" or len(np.unique(found)) > 0.99 * len(found)
    assert not np.array_equal(found, np.asarray(keyed_normal_like(like).double()).ravel())


def test_normal_noise_follows_its_distribution():
    """The whole distribution: Kolmogorov-Smirnov against SciPy's normal."""
    stats = pytest.importorskip("scipy.stats")
    narae.manual_seed(1)
    found = np.asarray(keyed_normal_like(narae.zeros(20000)))
    assert stats.kstest(found, "norm").pvalue > 1e-3


def test_noise_in_inputs():
    """H18: floating point inputs get noise of that standard deviation; all else stays."""
    x, tokens, y = narae.zeros(100, 50), narae.zeros(100).long(), narae.ones(100)
    step = Step(None, None, (x, tokens, y))
    InputNoise(0.3).on_batch(step)
    noisy = np.asarray(step.batch[0])
    assert abs(noisy.std() - 0.3) < 0.01 and abs(noisy.mean()) < 0.02
    assert step.batch[1] is tokens and step.batch[2] is y
    assert not np.asarray(x).any()  # the batch itself is as it was


def test_noise_in_inputs_is_another_each_step():
    """H18: each step has noise of its own, in training only."""
    watch = Watch()
    trainer = make_trainer(
        lambda model: [InputNoise(0.5), watch], compile=False, epochs=1, batch_size=11
    )
    trainer.fit()
    x = np.asarray(trainer.data.test.dataset.tensors[0])
    one, two = (np.asarray(step.batch[0]).ravel() for step in watch.steps)
    assert not np.isin(one, x).any() and not np.isin(one, two).any()


def test_noise_in_inputs_is_tikhonov_regularization():
    """H18: with a linear model and squared errors, noise of std σ leads to the solution of ridge
    regression with λ = σ² (Bishop 1995), which NumPy computes in closed form."""
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(64, 3)).astype(np.float32)
    y = (x @ [[1.0], [-2.0], [0.5]] + 0.1 * numbers.normal(size=(64, 1))).astype(np.float32)
    sigma = 0.7
    ridge = np.linalg.solve(x.T @ x / 64 + sigma**2 * np.eye(3), x.T @ y / 64)
    plain = np.linalg.solve(x.T @ x, x.T @ y)

    means = Mean()
    trainer = make_trainer(
        lambda model: [InputNoise(sigma), means],
        model=lambda: nn.Linear(3, 1, bias=False),
        loss=F.mse_loss,
        data=(narae.from_numpy(x), narae.from_numpy(y)),
        optimizer=lambda parameters: SGD(parameters, lr=0.05),
        batch_size=64,
        epochs=1000,
        compile=False,
    )
    trainer.validate_every = 1000
    trainer.fit()
    found = means.total / means.count
    assert np.abs(found - ridge.T).max() < 0.03 < np.abs(plain - ridge).max() / 10


class Mean(Callback):
    """The mean of the weights after the first 100 updates."""

    total, count = 0.0, 0

    def on_step_end(self, trainer):
        if trainer.updates > 100:
            self.total = self.total + array(trainer.model.weight).astype(np.float64)
            self.count += 1


@pytest.mark.parametrize(
    "batch", [(narae.zeros(3).long(), narae.zeros(3)), (narae.zeros(3),), ({"x": 1}, 2)]
)
def test_tokens_have_no_noise(batch):
    with pytest.raises(DataError, match=r"\[InputNoise\].*no input.*floating point"):
        InputNoise(0.1).on_batch(Step(None, None, batch))


def test_noise_in_weights_is_taken_back_exactly():
    """H18: forward and backward see noisy weights; before the update they are the clean ones, bit
    for bit, and what has one dimension never changes."""
    model = network()
    before = weights(model)
    step = Step(model, None, ())
    noise = WeightNoise(0.1)
    noise.on_batch(step)
    during = weights(model)
    for name, value in before.items():
        difference = (during[name] - value).ravel()
        if value.ndim >= 2:
            assert 0.03 < difference.std() < 0.3, name
        else:
            assert not difference.any(), name
    noise.on_backward(step)
    assert_same(before, weights(model))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_are_those_at_the_noisy_weights(accumulate):
    """H18: an update is p - lr · mean of gradients, each at weights with noise of its own, from the
    clean p: recomputed in PyTorch from what each step saw."""
    torch = pytest.importorskip("torch")
    watch = Seen()
    trainer = make_trainer(
        lambda model: [WeightNoise(0.2), watch],
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 3)),
        optimizer=lambda parameters: SGD(parameters, lr=0.1),
        compile=False,
        epochs=1,
        batch_size=11,
        accumulate=accumulate,
    )
    clean = torch.tensor(array(trainer.model[1].weight))
    trainer.fit()
    total = torch.zeros_like(clean)
    for (x, y), w, b in watch.seen:
        noisy = torch.tensor(w, requires_grad=True)
        out = torch.tensor(x).flatten(1) @ noisy.T + torch.tensor(b)
        (torch.nn.functional.cross_entropy(out, torch.tensor(y)) / accumulate).backward()
        total += noisy.grad
        assert (noisy - clean).abs().max() > 0.05
        if accumulate == 1:
            clean, total = clean - 0.1 * total, torch.zeros_like(clean)
    expected = clean - 0.1 * total
    np.testing.assert_allclose(array(trainer.model[1].weight), expected, rtol=1e-5, atol=1e-6)


class Seen(Callback):
    """What each step computed with."""

    order = 35

    def __init__(self):
        self.seen = []

    def on_loss(self, step):
        layer = step.model[1]
        batch = tuple(np.array(x) for x in step.batch)
        self.seen.append((batch, array(layer.weight), array(layer.bias)))


def test_validation_is_without_noise():
    """H18: after a step the weights are clean, so validation sees the model itself."""
    trainer = make_trainer(
        lambda model: [WeightNoise(5.0), InputNoise(5.0)],
        optimizer=lambda parameters: SGD(parameters, lr=1e-12),
        epochs=1,
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 3)),
    )
    before = trainer.validate()
    numbers = trainer.fit()
    assert numbers["val_loss"] == pytest.approx(before["loss"], rel=1e-5)
    assert numbers["train_loss"] > 2 * before["loss"]


def test_frozen_weights_get_no_noise():
    model = network()
    model[1].weight.requires_grad_(False)
    before = weights(model)
    WeightNoise(1.0).on_batch(Step(model, None, ()))
    after = weights(model)
    assert np.array_equal(before["1.weight"], after["1.weight"])
    assert not np.array_equal(before["5.weight"], after["5.weight"])


@pytest.mark.parametrize("made", [InputNoise, WeightNoise])
@pytest.mark.parametrize("std", [0, -1, float("nan"), float("inf")])
def test_std_is_positive(made, std):
    with pytest.raises(ConfigError, match=r"std is .* positive"):
        made(std)


def test_two_noises_in_weights_are_refused():
    """The second would put back what the first has made of the weights."""
    trainer = make_trainer(lambda model: [WeightNoise(0.1), WeightNoise(0.2)], epochs=1)
    with pytest.raises(ConfigError, match=r"\[WeightNoise\] there are two of them"):
        trainer.fit()
