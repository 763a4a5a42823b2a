"""Metrics and digits against scikit-learn, NumPy and published counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narae.base.errors import BoundsError, DataError, DTypeError, ShapeError
from narae.train.metrics import Average, accuracy, class_scores, confusion_matrix

sklearn_metrics = pytest.importorskip("sklearn.metrics")

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(pairs)
@settings(deadline=None)
def test_accuracy_and_confusion_equal_scikit_learn(items):
    true, predicted = np.array(items).T
    out = confusion_matrix(true, predicted, num_classes=5)
    expected = sklearn_metrics.confusion_matrix(true, predicted, labels=range(5))
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == np.int64
    assert accuracy(true, predicted) == sklearn_metrics.accuracy_score(true, predicted)


@given(pairs)
@settings(deadline=None)
def test_class_scores_follow_from_the_confusion_matrix(items):
    true, predicted = np.array(items).T
    counts = confusion_matrix(true, predicted, num_classes=5)
    right = np.diag(counts)
    scores = class_scores(true, predicted, num_classes=5)
    np.testing.assert_allclose(scores.precision, right / np.maximum(counts.sum(0), 1), rtol=1e-15)
    np.testing.assert_allclose(scores.recall, right / np.maximum(counts.sum(1), 1), rtol=1e-15)
    f1 = 2 * right / np.maximum(counts.sum(0) + counts.sum(1), 1)
    np.testing.assert_allclose(scores.f1, f1, rtol=1e-15)
    np.testing.assert_array_equal(scores.support, counts.sum(1))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.bool_])
def test_narrow_integers_do_not_overflow(dtype):
    true = np.array([1, 1, 0], dtype)
    counts = confusion_matrix(true, true, num_classes=200)
    assert counts[1, 1] == 2 and counts[0, 0] == 1 and counts.sum() == 3
    wide = np.array([199, 198], np.uint8)
    assert confusion_matrix(wide, wide, num_classes=200)[199, 199] == 1


def test_no_items():
    assert confusion_matrix([], [], num_classes=3).sum() == 0
    with pytest.raises(DataError, match="no items"):
        accuracy([], [])
    with pytest.raises(DataError, match="no items"):
        class_scores([], [], num_classes=3)


@pytest.mark.parametrize("metric", [confusion_matrix, class_scores])
def test_bad_input_is_refused(metric):
    with pytest.raises(BoundsError, match="predictions hold the class 3"):
        metric([0, 1], [0, 3], 3)
    with pytest.raises(BoundsError, match="targets hold the class -1"):
        metric([0, -1], [0, 1], 3)
    with pytest.raises(ShapeError, match=r"\(2,\), predictions are \(2, 3\).*argmax"):
        metric([0, 1], np.zeros((2, 3), int), 3)
    with pytest.raises(ShapeError, match="one length"):
        metric([0, 1], [0], 3)
    with pytest.raises(DTypeError, match="predictions are float64"):
        metric([0, 1], [0.0, 1.0], 3)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 500)), min_size=1, max_size=50))
def test_average_equals_numpys_weighted_average(batches):
    average = Average()
    for value, count in batches:
        average.update(value, count)
    values, counts = zip(*batches, strict=True)
    expected = np.average(values, weights=counts)
    assert average.value == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert average.count == sum(counts)


def test_average_before_anything_and_with_empty_batches():
    average = Average()
    assert math.isnan(average.value)
    average.update(float("nan"), count=0)
    average.update(2.0, count=3)
    assert average.value == 2.0
    average.update(float("nan"))
    assert math.isnan(average.value), "a loss that is not a number must stay visible"
    average.reset()
    average.update(1.0)
    assert average.value == 1.0
    with pytest.raises(DataError):
        average.update(1.0, count=-1)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits as original

    from narae.vision.digits import load_digits

    images, labels = load_digits()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == np.float32
    assert labels.shape == (1797,) and labels.dtype == np.int64
    assert images.min() == 0.0 and images.max() == 1.0
    np.testing.assert_array_equal(images.reshape(1797, 64) * 16, original().data)
    np.testing.assert_array_equal(labels, original().target)


def test_the_digits_split_is_whole_stratified_and_fixed():
    from narae.vision.digits import load_digits, split_digits

    images, labels = load_digits()
    train_images, train_labels, test_images, test_labels = split_digits()
    assert train_images.shape == (1437, 1, 8, 8) and train_labels.shape == (1437,)
    assert test_images.shape == (360, 1, 8, 8) and test_labels.shape == (360,)
    rows = {image.tobytes() for image in images}
    assert {image.tobytes() for image in np.concatenate([train_images, test_images])} == rows
    assert not {i.tobytes() for i in train_images} & {i.tobytes() for i in test_images}
    everything, tested = np.bincount(labels), np.bincount(test_labels)
    assert np.abs(tested - everything / 5).max() < 1
    # The file begins with 0 to 9 three times over. By the rule image 0 is the first of the sorted
    # zeros, and each class goes on counting where the class before it stopped.
    assert test_labels.tolist() == expected_test_labels(labels)


def expected_test_labels(labels: np.ndarray) -> list[int]:
    """The rule of `split_digits` in plain Python: count through 0s, 1s, ...; take every fifth."""
    position, chosen = 0, []
    for digit in range(10):
        for index, label in enumerate(labels):
            if label == digit:
                if position % 5 == 0:
                    chosen.append(index)
                position += 1
    return [int(labels[index]) for index in sorted(chosen)]
