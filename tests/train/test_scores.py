"""Numbers of predictions, as scikit-learn and PyTorch have them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import narae
import narae.nn as nn
from narae.base.errors import BoundsError, DataError, ShapeError
from narae.data import DataLoader, TensorDataset
from narae.train.metrics import (
    average_precision,
    calibration_error,
    collect,
    macro_f1,
    roc_auc,
    top_k_accuracy,
)

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def many():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 200)
    shares = np.exp(rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[targets])
    return targets, shares / shares.sum(axis=1, keepdims=True)


def test_several_classes(many):
    targets, shares = many
    one = np.eye(4)[targets]
    said = shares.argmax(axis=1)
    assert macro_f1(targets, said) == sklearn.f1_score(targets, said, average="macro")
    auc = sklearn.roc_auc_score(targets, shares, multi_class="ovr")
    assert roc_auc(targets, shares) == pytest.approx(auc, rel=1e-12)
    area = sklearn.average_precision_score(one, shares, average="macro")
    assert average_precision(targets, shares) == pytest.approx(area, rel=1e-12)
    for k in (1, 2, 3):
        assert top_k_accuracy(targets, shares, k) == sklearn.top_k_accuracy_score(
            targets, shares, k=k
        )
    assert top_k_accuracy(targets, shares, 4) == top_k_accuracy(targets, shares, 9) == 1.0


def test_the_first_of_equal_scores_is_higher(monkeypatch):
    """As argmax takes it, and a stable sort; scikit-learn is not asked."""
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    rng = np.random.default_rng(1)
    for classes in (2, 3, 7):
        targets, scores = rng.integers(0, classes, 300), rng.integers(0, 3, (300, classes))
        order = np.argsort(-scores, axis=1, kind="stable")
        for k in range(-1, classes + 2):
            hits = [target in row[: max(k, 0)] for target, row in zip(targets, order, strict=True)]
            assert top_k_accuracy(targets, scores, k) == np.mean(hits)
        assert top_k_accuracy(targets, scores, 1) == np.mean(scores.argmax(axis=1) == targets)


def test_two_classes_and_one_score(many):
    targets, shares = (many[0] % 2, many[1][:, 1] + many[1][:, 3])
    both = np.stack([1 - shares, shares], axis=1)
    for own, other in (
        (roc_auc, sklearn.roc_auc_score),
        (average_precision, sklearn.average_precision_score),
    ):
        assert own(targets, shares) == own(targets, both) == other(targets, shares)
    assert top_k_accuracy(targets, both, 1) == sklearn.accuracy_score(targets, shares > 0.5)


def test_a_class_that_does_not_occur():
    targets, scores = [0, 1, 1, 0], np.random.default_rng(0).normal(size=(4, 3))
    assert 0 <= roc_auc(targets, scores) <= 1
    with pytest.raises(DataError, match="all items are of class 1"):
        roc_auc([1, 1], scores[:2])


def test_calibration(many):
    """Bins counted one by one; a model that is as right as it is sure has none."""
    targets, shares = many
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == targets
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (sure > low) & (sure <= low + 0.1)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert calibration_error(targets, shares, bins=10) == pytest.approx(expected, rel=1e-9)
    perfect = np.tile([0.75, 0.25], (4, 1))
    assert calibration_error([0, 0, 0, 1], perfect) == pytest.approx(0)
    with pytest.raises(ShapeError, match="softmax"):
        calibration_error([0], [[3.0, -2.0]])


@pytest.mark.parametrize("function", [roc_auc, average_precision, top_k_accuracy])
def test_bad_input(function):
    with pytest.raises(DataError):
        function(np.zeros(0, int), np.zeros((0, 3)))
    with pytest.raises(ShapeError):
        function([0, 1], np.zeros((3, 2)))
    with pytest.raises(BoundsError):
        function([0, 5], np.zeros((2, 3)))
    with pytest.raises(DataError):
        function([0, 1], [[np.nan, 0.0], [0.0, 1.0]])


def test_collect():
    x, y = narae.rand(10, 2), narae.arange(10)
    model = nn.Linear(2, 3)
    outputs, targets = collect(model, DataLoader(TensorDataset(x, y), 4))
    np.testing.assert_array_equal(targets, np.arange(10))
    np.testing.assert_allclose(outputs, np.asarray(model(x).detach()), rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError):
        collect(model, [])
