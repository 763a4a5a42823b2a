"""Losses against numbers and formulas: the notes' own, warnings, messages, traces."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import narae
import narae.nn.functional as F
from narae import nn


def test_half_the_sum_of_squares():
    """E15: the notes' 0.5 * sum((y - t)^2), and the mean."""
    y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    t = np.eye(10)[2]
    half = 0.5 * F.mse_loss(narae.tensor(y), narae.tensor(t), reduction="sum")
    assert half.item() == pytest.approx(0.5 * np.sum((y - t) ** 2), abs=1e-12)
    assert half.item() == pytest.approx(0.0975, abs=1e-12)
    assert nn.MSELoss()(narae.tensor(y), narae.tensor(t)).item() == pytest.approx(0.0195)


def test_cross_entropy_with_delta():
    """E16: -log(softmax + 1e-7) of the notes equals the log-softmax form to 1e-6."""
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(100, 10)), rng.integers(0, 10, 100)
    scores[np.arange(100), target] += 3  # a network that has learned something
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    with_delta = -np.log(shares[np.arange(100), target] + 1e-7).mean()
    ours = F.cross_entropy(narae.tensor(scores), narae.tensor(target)).item()
    assert ours == pytest.approx(with_delta, abs=1e-6)


def test_accuracy_teaches_nothing_and_a_loss_does():
    """E17: accuracy and step functions have no slope, cross entropy has one."""
    rng = np.random.default_rng(1)
    x, target = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    w = rng.normal(size=(3, 2))

    def accuracy(w):
        return (np.argmax(x @ w, 1) == target).mean()

    moved = w + 1e-9 * rng.normal(size=w.shape)
    assert accuracy(moved) == accuracy(w)
    weights = narae.tensor(w, requires_grad=True)
    F.cross_entropy(narae.tensor(x) @ weights, narae.tensor(target)).backward()
    assert abs(weights.grad.numpy()).max() > 0.01


@pytest.mark.parametrize("score", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_cross_entropy_is_stable(score, label):
    """E10: exact where sigmoid would be 0 or 1."""
    x = narae.tensor([score], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, narae.tensor([label]))
    loss.backward()
    sign = -1 if label else 1
    assert loss.item() == pytest.approx(np.logaddexp(0, sign * score), rel=1e-6)
    share = 1 / (1 + math.exp(-score)) if abs(score) < 500 else float(score > 0)
    assert x.grad.item() == pytest.approx(share - label, abs=1e-6)


# --- warnings and messages ------------------------------------------------------------------


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_broadcasting_warns_with_the_fix_at_the_users_line(loss):
    prediction, target = narae.zeros(8, 1), narae.ones(8)
    with pytest.warns(UserWarning, match="different to the input size") as caught:
        loss(prediction, target)
    assert "input.squeeze(1), or target.unsqueeze(1)" in str(caught[0].message)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"target.squeeze\(1\), or input.unsqueeze\(1\)"):
        loss(target, prediction)


def test_the_fix_in_the_warning_is_right():
    prediction, target = narae.zeros(8, 1), narae.ones(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.mse_loss(prediction.squeeze(1), target)
        F.mse_loss(prediction, target.unsqueeze(1))


def test_a_label_out_of_range():
    scores, target = narae.zeros(3, 4, requires_grad=True), narae.tensor([0, 10, 1])
    with pytest.raises(IndexError, match="Target 10 is out of bounds") as error:
        F.cross_entropy(scores, target)
    message = str(error.value)
    assert "position (1,)" in message
    assert "4 classes" in message
    assert "Fix:" in message


def test_a_label_out_of_range_in_a_compiled_step_changes_nothing():
    model = nn.Linear(3, 4)
    optimizer = narae.optim.SGD(model.parameters(), lr=1.0)

    @narae.compile
    def step(x, target):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    x = narae.ones(2, 3)
    step(x, narae.tensor([0, 3]))
    before = model.weight.detach().numpy().copy()
    with pytest.raises(IndexError, match="Target 4 is out of bounds"):
        step(x, narae.tensor([0, 4]))
    assert np.array_equal(model.weight.detach().numpy(), before)
    step(x, narae.tensor([1, 2]))
    assert not np.array_equal(model.weight.detach().numpy(), before)


def test_probabilities_out_of_range():
    with pytest.raises(RuntimeError, match=r"1.5 at position \(0, 1\)"):
        F.binary_cross_entropy(narae.tensor([[0.5, 1.5]]), narae.ones(1, 2))


def test_a_column_of_labels_gets_the_fix():
    with pytest.raises(RuntimeError, match=r"target.squeeze\(1\)"):
        F.cross_entropy(narae.zeros(3, 4), narae.zeros(3, 1, dtype=narae.int64))


# --- direct forms against decompositions ----------------------------------------------------


def record_cases():
    from narae import primitives as p

    rng = np.random.default_rng(2)
    x, target = rng.normal(size=(4, 5, 3)), rng.integers(0, 5, (4, 3))
    target[0] = 2
    weight, share = rng.uniform(0.5, 2, 5), rng.uniform(0.1, 0.9, (4, 5, 3))
    log_probs = x - np.log(np.exp(x).sum(1, keepdims=True))
    for reduction in ("none", "mean", "sum"):
        grad = np.array(0.7) if reduction != "none" else rng.normal(size=(4, 3))
        for w in (None, weight):
            labels = {"reduction": reduction, "ignore_index": 2}
            yield p.nll_loss, (x, target, w), labels
            yield p.nll_loss_grad, (grad, x, target, w), labels
            for smoothing in (0.0, 0.2):
                attrs = {**labels, "label_smoothing": smoothing}
                yield p.cross_entropy, (x, target, w), attrs
                yield p.cross_entropy_grad, (grad, target, w, log_probs), attrs
        attrs = {"reduction": reduction}
        yield p.mse_loss, (x, share), attrs
        yield p.binary_cross_entropy, (share, share[::-1], None), attrs
        for w in (None, share):
            yield p.binary_cross_entropy_with_logits, (x, share, w, w), attrs


@pytest.mark.parametrize(("record", "operands", "attrs"), list(record_cases()))
def test_numpy_forms_mean_what_the_decompositions_say(record, operands, attrs):
    from narae.reference import execute

    direct, meant = execute(record, operands, attrs), record.decompose(*operands, **attrs)
    if record.outputs == 1:
        direct, meant = (direct,), (meant,)
    for found, wanted in zip(direct, meant, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_second_derivatives(reduction):
    rng = np.random.default_rng(3)
    x = narae.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    target, weight = narae.tensor([0, 3, 2]), narae.tensor(rng.uniform(0.5, 2, 4))

    def loss(x):
        return F.cross_entropy(
            x, target, weight, reduction=reduction, ignore_index=2, label_smoothing=0.1
        )

    assert narae.autograd.gradcheck(loss, (x,))
    assert narae.autograd.gradgradcheck(loss, (x,))
