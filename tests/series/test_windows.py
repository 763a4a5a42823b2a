"""Windows, scaling and splits: no way for the future to reach the training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae.errors import ConfigError, DataError, ShapeError
from narae.series import Scaling, Series, treat_missing, walk_forward, windows


def test_windows_are_numpys():
    values = np.random.default_rng(0).normal(size=(30, 2))
    found = windows(values, past=5, ahead=3, targets=1)
    both = np.lib.stride_tricks.sliding_window_view(values, 8, axis=0).swapaxes(1, 2)
    assert np.array_equal(found.past, both[:, :5])
    assert np.array_equal(found.future, both[:, 5:, :1])
    assert found.rows.tolist() == list(range(5, 28))


@given(
    length=st.integers(2, 40), past=st.integers(1, 8), ahead=st.integers(1, 5),
    cut=st.integers(1, 39), stride=st.integers(1, 4),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_no_training_target_lies_behind_the_cut(length, past, ahead, cut, stride):
    """B5: changing everything from the cut on changes nothing that is learned from."""
    if past + ahead > min(cut, length):
        return
    values = np.arange(float(length))
    changed = values + 100.0 * (np.arange(length) >= cut)
    end = min(cut, length)
    before = windows(values, past, ahead, end=end, stride=stride)
    after = windows(changed, past, ahead, end=end, stride=stride)
    assert np.array_equal(before.past, after.past)
    assert np.array_equal(before.future, after.future)
    assert before.future.max() < cut
    if max(cut, past) + ahead <= length:
        tests = windows(values, past, ahead, begin=cut)
        assert tests.future.min() >= cut
        assert len(before) + len(tests) <= length - past


def test_windows_pass_over_missing_values_and_breaks():
    values = np.arange(12.0)
    values[5] = np.nan
    masked = windows(values, 2, 1)
    assert masked.rows.tolist() == [2, 3, 4, 8, 9, 10, 11]
    assert masked.left_out == 3
    dropped = treat_missing(Series(values[:, None], ("x",)), "drop")
    found = windows(dropped, 2, 1)
    assert np.array_equal(found.past, masked.past)  # the same windows, counted in other rows
    assert np.array_equal(found.future, masked.future)


def test_a_dataset_of_windows_is_float32():
    past, future = windows(np.arange(6.0), 3, 2).dataset()[1]
    assert past.ravel().tolist() == [1, 2, 3]
    assert future.ravel().tolist() == [4, 5]
    assert past.dtype == future.dtype == narae.float32


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"past": 10}, DataError, "10 rows of past and 1 ahead.* fits into the series of 10 rows"),
        ({"past": 2, "ahead": 9}, DataError, "fits into the series of 10 rows"),
        ({"past": 2, "begin": 10}, DataError, "futures in rows 10 to 10"),
        ({"past": 0}, ConfigError, "past is 0; it is at least 1"),
        ({"past": 1, "ahead": 0}, ConfigError, "ahead is 0"),
        ({"past": 1, "stride": 0}, ConfigError, "stride is 0"),
        ({"past": 1, "begin": -1}, ConfigError, "rows -1 to 10"),
        ({"past": 1, "targets": 2}, ConfigError, "targets is 2; it is 1 to 1, the number of col"),
        ({"past": 1, "targets": 0}, ConfigError, "targets is 0"),
        ({"past": 1, "targets": -1}, ConfigError, "targets is -1"),
        ({"past": 1, "end": 11}, ConfigError, "rows 0 to 11; they lie in a series of 10 rows"),
    ],
)
def test_windows_that_do_not_fit(options, error, said):
    with pytest.raises(error, match=said):
        windows(np.zeros(10), **options)


def test_windows_of_missing_values_alone():
    with pytest.raises(DataError, match="all 8 windows hold missing values"):
        windows(np.full(10, np.nan), 2)
    with pytest.raises(DataError, match="series of 0 rows"):
        windows(np.zeros(0), 1)


def test_a_series_of_tables_has_no_windows():
    with pytest.raises(ShapeError, match=r"\(9, 2, 1\); it is \(time,\) or \(time, columns\)"):
        windows(np.zeros((9, 2, 1)), 1)


# --- scaling ------------------------------------------------------------------------------------


def test_scaling_is_scikit_learns():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    values = np.random.default_rng(0).gamma(2.0, size=(50, 3))
    values[3, 1] = np.nan
    theirs = preprocessing.StandardScaler().fit(values[:30])
    ours = Scaling.fit(values[:30])
    np.testing.assert_allclose(ours.apply(values), theirs.transform(values), rtol=1e-12)
    np.testing.assert_allclose(ours.undo(ours.apply(values)), values, rtol=1e-12)
    logs = Scaling.fit(values[:30], log=True)
    theirs = preprocessing.StandardScaler().fit(np.log(values[:30]))
    np.testing.assert_allclose(logs.apply(values), theirs.transform(np.log(values)), rtol=1e-12)
    np.testing.assert_allclose(logs.undo(logs.apply(values)), values, rtol=1e-12)
    np.testing.assert_allclose(ours.undo(ours.apply(values)[:, :1]), values[:, :1], rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 5.0, 0.1, 1e9])
def test_a_constant_column_cannot_be_scaled(constant):
    values = np.stack([np.arange(7.0), np.full(7, constant)], axis=1)
    with pytest.raises(DataError, match=r"column 1 is constant \(.*leave the column out"):
        Scaling.fit(values)


def test_what_has_no_scale():
    with pytest.raises(DataError, match="a column has no values"):
        Scaling.fit(np.zeros((0, 1)))
    with pytest.raises(DataError, match="a column has no values"):
        Scaling.fit(np.full((3, 1), np.nan))
    with pytest.raises(DataError, match=r"a value is 0\.0; logarithms need positive values"):
        Scaling.fit(np.array([[0.0], [1.0]]), log=True)
    with pytest.raises(ShapeError, match=r"values are \(3,\).*time, columns"):
        Scaling.fit(np.arange(3.0))
    with pytest.raises(DataError, match="column 1 has an infinite value"):
        Scaling.fit(np.array([[0.0, 1.0], [1.0, np.inf]]))


def test_scaling_is_for_the_columns_that_it_was_fitted_on():
    """One column for three would be stretched to three by broadcasting."""
    scaling = Scaling(np.zeros(3), np.ones(3))
    with pytest.raises(ShapeError, match=r"values are \(5, 1\); they have 3 columns"):
        scaling.apply(np.zeros((5, 1)))
    with pytest.raises(ShapeError, match=r"values are \(5, 4\); they have 3 columns"):
        scaling.undo(np.zeros((5, 4)))
    with pytest.raises(DataError, match="each std is above 0"):
        Scaling(np.zeros(1), np.zeros(1))
    with pytest.raises(ShapeError, match=r"mean is \(2,\), std is \(1,\)"):
        Scaling(np.zeros(2), np.ones(1))


# --- splits -------------------------------------------------------------------------------------


@given(
    length=st.integers(4, 60), folds=st.integers(2, 8), size=st.integers(0, 6),
    gap=st.integers(0, 4), most=st.integers(0, 20),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_walking_forward_is_scikit_learns(length, folds, size, gap, most):
    selection = pytest.importorskip("sklearn.model_selection")
    theirs = selection.TimeSeriesSplit(
        folds, max_train_size=most or None, test_size=size or None, gap=gap
    )
    try:
        expected = [(a.tolist(), b.tolist()) for a, b in theirs.split(np.zeros(length))]
    except ValueError:
        with pytest.raises(DataError, match="the first fold has a row"):
            walk_forward(length, folds, size, gap, most)
        return
    found = [(list(a), list(b)) for a, b in walk_forward(length, folds, size, gap, most)]
    assert found == expected


def test_splits_that_make_no_sense_are_refused_at_the_call():
    with pytest.raises(ConfigError, match="folds=0"):
        walk_forward(10, 0)
    with pytest.raises(ConfigError, match="gap=-1"):
        walk_forward(10, 2, gap=-1)
    with pytest.raises(DataError, match="0 rows for 5 tests"):
        walk_forward(0)
