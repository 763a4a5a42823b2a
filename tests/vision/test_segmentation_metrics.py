"""Scores of segmentation agree with scikit-learn's, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae.errors import BoundsError, ConfigError, DTypeError, ShapeError
from narae.vision.metrics import SegmentationScores, segmentation_scores

judges = pytest.importorskip("sklearn.metrics")
IGNORED = 9


@st.composite
def labelled(draw):
    """(classes, true, said): two maps of some size; a few pixels are unlabelled."""
    classes = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    # Not all classes have to occur.
    true, said = (rng.integers(0, draw(st.integers(1, classes)), shape) for _ in range(2))
    true[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = IGNORED
    return classes, true, said


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=80, deadline=None)
@given(labelled())
def test_scores_are_those_of_scikit_learn(sample):
    """I11: mIoU metric: each class's IoU, Dice and recall, and pixel accuracy."""
    classes, true, said = sample
    scores = SegmentationScores(classes, IGNORED)
    for one, other in zip(said, true, strict=True):  # picture by picture, as batches come
        scores.update(one[None], narae.from_numpy(other[None]))
    counted = true != IGNORED
    true, said, labels = true[counted], said[counted], np.arange(classes)
    if not len(true):
        assert all(np.isnan(value) for value in scores.result().values())
        return
    options = {"labels": labels, "average": None, "zero_division": np.nan}
    there = np.isin(labels, np.concatenate([true, said]))
    iou = judges.jaccard_score(true, said, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose(scores.iou, np.where(there, iou, np.nan))
    np.testing.assert_allclose(scores.dice, judges.f1_score(true, said, **options))
    np.testing.assert_allclose(scores.class_accuracy, judges.recall_score(true, said, **options))
    wanted = judges.confusion_matrix(true, said, labels=labels)
    np.testing.assert_array_equal(scores.confusion, wanted)
    result = scores.result()
    assert result["pixel_accuracy"] == pytest.approx(judges.accuracy_score(true, said))
    assert result["mean_iou"] == pytest.approx(iou[there].mean())


def test_scores_of_each_class_and_their_largest():
    """Scores (batch, classes, height, width) stand for the class of the highest."""
    rng = np.random.default_rng(0)
    logits, true = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    by_scores, by_classes = SegmentationScores(3), SegmentationScores(3)
    by_scores.update(narae.from_numpy(logits), true)
    by_classes.update(logits.argmax(axis=1), true)
    np.testing.assert_array_equal(by_scores.confusion, by_classes.confusion)
    by_scores.reset()
    assert not by_scores.confusion.any()


def test_a_model_on_batches():
    """The model answers in batches of any size; each pixel counts once."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(5, 2, 3, 4)).astype(np.float32)
    true = rng.integers(0, 3, (5, 3, 4))
    batches = [
        (narae.from_numpy(images[part]), narae.from_numpy(true[part]))
        for part in (slice(0, 2), slice(2, 5))
    ]
    narae.manual_seed(0)
    model = narae.nn.Conv2d(2, 3, 1)
    said = np.asarray(model(narae.from_numpy(images)).detach()).argmax(axis=1)
    found = segmentation_scores(model, batches, 3, ignore_index=0)
    counted = true != 0
    wanted = judges.confusion_matrix(true[counted], said[counted], labels=[0, 1, 2])
    np.testing.assert_array_equal(found.confusion, wanted)


def test_a_model_that_gives_several_maps():
    """FCN-ResNet gives a dict: its "out" is judged."""
    images, true = narae.rand(2, 3, 4, 5), narae.zeros(2, 4, 5, dtype=narae.int64)

    def model(x):
        return {"out": x, "aux": x * 0}

    found = segmentation_scores(model, [(images, true)], 3)
    wanted = SegmentationScores(3)
    wanted.update(images, true)
    np.testing.assert_array_equal(found.confusion, wanted.confusion)


def test_scores_of_a_step_of_training():
    """They may have gradients."""
    scores = SegmentationScores(2)
    scores.update(narae.zeros(1, 2, 3, 3).requires_grad_() * 2, np.zeros((1, 3, 3), int))
    assert scores.pixel_accuracy == 1


def test_table():
    """A line a class with its name; the last line has the means."""
    scores = SegmentationScores(2, ignore_index=7)
    scores.update(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 7]))
    assert scores.table(["sky", "road"]).splitlines() == [
        "class    IoU   Dice  found  pixels",
        "sky    0.500  0.667  0.500   66.7%",
        "road   0.500  0.667  1.000   33.3%",
        "mean   0.500  0.667  0.750",
    ]


WRONG = {
    "class": (BoundsError, "targets hold the class 11", [[0, 1]], [[0, 11]]),
    "negative": (BoundsError, "predictions hold the class -1", [[0, -1]], [[0, 1]]),
    "floats": (DTypeError, "targets are float64", [[0, 1]], [[0.0, 1.0]]),
    "sizes": (ShapeError, r"targets are \(1, 3\)", [[0, 1]], [[0, 1, 1]]),
    "scores": (ShapeError, "num_classes=2", np.zeros((1, 3, 4)), np.zeros((1, 4), int)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_refused_and_nothing_is_counted(name):
    kind, words, said, true = WRONG[name]
    scores = SegmentationScores(2)
    with pytest.raises(kind, match=words):
        scores.update(np.asarray(said), np.asarray(true))
    assert not scores.confusion.any()


def test_each_class_has_a_name():
    with pytest.raises(ConfigError, match="3 names and 2 classes"):
        SegmentationScores(2).table(["sky", "road", "car"])


def test_no_classes():
    with pytest.raises(ConfigError, match="at least one class"):
        SegmentationScores(0)
