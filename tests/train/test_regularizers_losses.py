"""Label smoothing, penalties and clipping against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.errors import ConfigError, DataError
from narae.optim import SGD
from narae.train import Step
from narae.train.callbacks.clip import ClipGradients
from narae.train.callbacks.label_smoothing import LabelSmoothing
from narae.train.callbacks.penalty import Penalty
from tests.train.regularizer_runs import (
    as_torch,
    assert_like_torch,
    linear,
    make_trainer,
    network,
    pictures_and_labels,
    torch_twin,
    weights,
)

torch = pytest.importorskip("torch")

PLAIN = {
    "model": linear,
    "shuffle": False,
    "compile": False,
    "optimizer": lambda parameters: SGD(parameters, lr=0.3),
}


def trained_by_torch(model, loss, epochs=3, batch=8, weight_decay=None, clip=None, penalty=None):
    """The same run, written by hand in PyTorch."""
    twin = torch_twin(model)
    decayed = [x for x in twin.parameters() if x.ndim >= 2]
    others = [x for x in twin.parameters() if x.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay or 0.0}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=0.3)
    x, y = map(as_torch, pictures_and_labels())
    norms = []
    for _ in range(epochs):
        for start in range(0, len(x), batch):
            value = loss(twin(x[start : start + batch]), y[start : start + batch])
            if penalty is not None:
                value = value + sum(penalty(w) for w in decayed)
            optimizer.zero_grad()
            value.backward()
            if clip is not None:
                norms.append(torch.nn.utils.clip_grad_norm_(twin.parameters(), clip).item())
            optimizer.step()
    return twin, norms


# --- label smoothing ----------------------------------------------------------------------------


def smoothed(out, target, share, **options):
    step = Step(None, F.cross_entropy, (), out=out, target=target)
    step.loss = step.plain_loss = F.cross_entropy(out, target)
    LabelSmoothing(share, **options).on_loss(step)
    return step


@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 4, 5)])
def test_smoothing_equals_pytorchs(shape, share):
    """H19: loss and gradient equal `CrossEntropyLoss(label_smoothing=)`, PyTorch's and ours."""
    numbers = np.random.default_rng(0)
    scores = numbers.normal(size=shape).astype(np.float32)
    labels = numbers.integers(3, size=(shape[0], *shape[2:]))
    out = narae.tensor(scores, requires_grad=True)
    step = smoothed(out, narae.tensor(labels), share)
    step.loss.backward()
    theirs = torch.tensor(scores, requires_grad=True)
    expected = torch.nn.CrossEntropyLoss(label_smoothing=share)(theirs, torch.tensor(labels))
    expected.backward()
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(np.asarray(out.grad), theirs.grad.numpy(), rtol=1e-5, atol=1e-7)
    ours = nn.CrossEntropyLoss(label_smoothing=share)(narae.tensor(scores), narae.tensor(labels))
    assert step.loss.item() == pytest.approx(ours.item(), rel=1e-6)
    assert step.plain_loss.item() == F.cross_entropy(out, narae.tensor(labels)).item()


def test_smoothing_leaves_out_what_the_loss_ignores():
    """Padding counts nothing: as in PyTorch's loss with the same `ignore_index`."""
    scores = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, -100, 2, 1, -100])
    found = smoothed(narae.tensor(scores), narae.tensor(labels), 0.2).loss.item()
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(
        torch.tensor(scores), torch.tensor(labels)
    )
    assert found == pytest.approx(theirs.item(), rel=1e-6)


def test_smoothing_where_classes_come_last():
    """(batch, time, classes) with (batch, time) labels, as language models have them."""
    scores = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    labels = np.random.default_rng(2).integers(3, size=(2, 5))
    out, target = narae.tensor(scores), narae.tensor(labels)

    def loss(out, target):
        return F.cross_entropy(out.reshape(-1, 3), target.reshape(-1))

    step = Step(None, loss, (), out=out, target=target)
    step.loss = loss(out, target)
    LabelSmoothing(0.1).on_loss(step)
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(
        torch.tensor(scores).reshape(-1, 3), torch.tensor(labels).reshape(-1)
    )
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_run_with_smoothing_is_pytorchs():
    """H19: a whole run ends with the weights of PyTorch's run with `label_smoothing`."""
    trainer = make_trainer(lambda model: [LabelSmoothing(0.2)], **PLAIN)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.2)
    twin, _ = trained_by_torch(trainer.model, loss)
    trainer.fit()
    assert_like_torch(trainer.model, twin)


@pytest.mark.parametrize(
    ("out", "target"),
    [
        (narae.zeros(4, 1), narae.zeros(4, 1)),
        (narae.zeros(4), narae.zeros(4)),
        (narae.zeros(4, 3), narae.zeros(4)),
        (narae.zeros(4, 3), narae.zeros(5).long()),
        ({"scores": 1}, narae.zeros(4).long()),
    ],
)
def test_a_regression_has_no_labels(out, target):
    """Smoothing for what has no classes is refused, with both shapes."""
    step = Step(None, F.mse_loss, (), out=out, target=target, loss=narae.zeros(()))
    with pytest.raises(DataError, match=r"\[LabelSmoothing\] out is .*target.*regression"):
        LabelSmoothing(0.1).on_loss(step)


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, float("nan")])
def test_a_share_lies_between(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        LabelSmoothing(share)


# --- penalties ----------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2])
def test_l2_equals_weight_decay(accumulate):
    """H16, E34: the run ends with the weights of PyTorch's SGD with weight_decay on the weights."""
    trainer = make_trainer(lambda model: [Penalty(l2=0.05)], accumulate=accumulate, **PLAIN)
    if accumulate == 1:
        twin, _ = trained_by_torch(trainer.model, torch.nn.CrossEntropyLoss(), weight_decay=0.05)
        trainer.fit()
        assert_like_torch(trainer.model, twin)
        return
    decay = make_trainer(
        **PLAIN
        | {
            "optimizer": lambda parameters: SGD(
                [{"params": [w], "weight_decay": 0.05 * (w.ndim >= 2)} for w in parameters], lr=0.3
            )
        },
        epochs=1,
        accumulate=2,
    )
    trainer.epochs = 1
    trainer.data.train.batch_sampler.drop_last = decay.data.train.batch_sampler.drop_last = True
    trainer.fit(), decay.fit()  # two whole groups: 16 of 22 samples
    for name, value in weights(decay.model).items():
        np.testing.assert_allclose(weights(trainer.model)[name], value, rtol=1e-5, atol=1e-6)


def test_l1_is_pytorchs_sum_of_absolute_values():
    """H16: the run ends with the weights of PyTorch's with the sum of |w| in its loss."""
    trainer = make_trainer(lambda model: [Penalty(l1=0.01, l2=0.03)], **PLAIN)
    twin, _ = trained_by_torch(
        trainer.model,
        torch.nn.CrossEntropyLoss(),
        penalty=lambda w: 0.01 * w.abs().sum() + 0.03 / 2 * (w * w).sum(),
    )
    trainer.fit()
    assert_like_torch(trainer.model, twin)


def test_l1_makes_weights_zero_that_l2_makes_small():
    """H16, E34: both shrink the weights; only L1 brings most of them to (nearly) nothing."""
    size, nothing = {}, {}
    cases = {"none": None, "l1": Penalty(l1=0.03), "l2": Penalty(l2=0.1)}
    for name, callback in cases.items():
        plain = PLAIN | {"optimizer": lambda parameters: SGD(parameters, lr=0.05), "batch_size": 22}
        trainer = make_trainer(lambda model, x=callback: [x] if x else [], epochs=150, **plain)
        trainer.fit()
        w = weights(trainer.model)["1.weight"]
        size[name], nothing[name] = np.abs(w).sum(), (np.abs(w) < 5e-3).mean()
    assert size["l1"] < 0.7 * size["none"] and size["l2"] < 0.7 * size["none"]
    assert nothing["l1"] > 0.3 > 0.1 >= nothing["l2"]


def test_biases_and_normalizations_are_not_penalized():
    """The penalty is of weights only, and the shown loss is without it."""
    model = network()
    step = Step(model, None, (), loss=narae.zeros(()), plain_loss=narae.zeros(()))
    Penalty(l1=1.0).on_loss(step)
    found = sum(np.abs(x).sum() for n, x in weights(model).items() if n in ("1.weight", "5.weight"))
    assert step.loss.item() == pytest.approx(found, rel=1e-5)
    assert step.plain_loss.item() == 0


@pytest.mark.parametrize(
    "factors", [(0, 0), (-1, 0), (0, -1), (float("nan"), 0), (float("inf"), 0)]
)
def test_factors_are_not_negative(factors):
    with pytest.raises(ConfigError, match=r"\[Penalty\]"):
        Penalty(*factors)


# --- clipping -----------------------------------------------------------------------------------


def test_clipping_is_pytorchs():
    """The run ends with PyTorch's weights, and the shown norm is the mean of PyTorch's norms."""
    trainer = make_trainer(lambda model: [ClipGradients(0.2)], epochs=1, **PLAIN)
    twin, norms = trained_by_torch(trainer.model, torch.nn.CrossEntropyLoss(), epochs=1, clip=0.2)
    numbers = trainer.fit()
    assert_like_torch(trainer.model, twin)
    assert min(norms) > 0.2  # each was clipped
    mean = np.average(norms, weights=[8, 8, 6])
    assert numbers["train_grad_norm"] == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("norm", [0, -1, float("nan")])
def test_a_norm_is_positive(norm):
    with pytest.raises(ConfigError, match=r"norm is .* positive"):
        ClipGradients(norm)
