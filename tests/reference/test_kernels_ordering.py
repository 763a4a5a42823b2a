"""Ordering against Python's own sort and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae.reference import ordering, reductions
from narae.reference.ordering import (
    bincount,
    cummax,
    cummin,
    histc,
    kthvalue,
    searchsorted,
    sort,
    topk,
    unique,
    unique_consecutive,
)

# Few different values, so that ties and NaN are common.
ROWS = st.lists(st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 2.0, math.inf, math.nan]), max_size=9)
SOME = ROWS.filter(bool)


def rank(value):
    """NaN above everything."""
    return (math.isnan(value), 0.0 if math.isnan(value) else value)


@given(ROWS, st.booleans())
def test_sort_is_stable_with_nan_last(row, descending):
    """Python's stable sort, with NaN as the largest number."""
    order = sorted(range(len(row)), key=lambda i: rank(row[i]), reverse=descending)
    values, indices = sort(np.array(row, float), dim=0, descending=descending)
    assert indices.tolist() == order
    np.testing.assert_array_equal(values, [row[i] for i in order])


@given(SOME, st.booleans(), st.booleans(), st.data())
def test_topk_is_the_head_of_the_sort(row, largest, short, data):
    """For short and long rows alike: the earliest of equal values come first."""
    k = data.draw(st.integers(0, len(row)))
    order = sorted(range(len(row)), key=lambda i: rank(row[i]), reverse=largest)[:k]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "SHORT", 100 if short else 0)
        values, indices = topk(np.array(row), k=k, largest=largest)
    assert indices.tolist() == order
    np.testing.assert_array_equal(values, [row[i] for i in order])


@given(SOME, st.data())
def test_kthvalue(row, data):
    """The k-th of the sorted row."""
    k = data.draw(st.integers(1, len(row)))
    value, index = kthvalue(np.array(row), k=k)
    np.testing.assert_array_equal(value, sorted(row, key=rank)[k - 1])
    np.testing.assert_array_equal(np.array(row)[index], value)


def test_topk_along_every_dimension():
    """The result keeps the other dimensions where they were."""
    x = np.random.default_rng(0).standard_normal((3, 300, 2))
    values, indices = topk(x, k=4, dim=1)
    np.testing.assert_array_equal(values, -np.sort(-x, axis=1)[:, :4])
    np.testing.assert_array_equal(np.take_along_axis(x, indices, 1), values)


@given(SOME)
def test_cummax_and_cummin(row):
    """The last position that equals the best so far; NaN stays."""
    for function, better in ((cummax, lambda a, b: a >= b), (cummin, lambda a, b: a <= b)):
        best, where, expected = row[0], 0, []
        for i, value in enumerate(row):
            if math.isnan(value) or (not math.isnan(best) and better(value, best)):
                best, where = value, i
            expected.append((best, where))
        values, indices = function(np.array(row), dim=0)
        np.testing.assert_array_equal(values, [value for value, _ in expected])
        assert indices.tolist() == [i for _, i in expected]


def test_cumulative_sums_add_in_double():
    """A float32 sum of many small numbers keeps its digits."""
    x = np.full(100_000, 0.1, np.float32)
    out = reductions.cumsum(x, dim=0)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[-1], np.float64(np.float32(0.1)) * 100_000, rtol=1e-7)


@given(st.lists(st.integers(-2, 2), max_size=8))
def test_unique(row):
    """Distinct values in order, with the way back and the counts."""
    out = unique(np.array(row, np.int64))
    assert out.values.tolist() == sorted(set(row))
    assert [out.values.tolist()[i] for i in out.inverse] == row
    assert out.counts.tolist() == [row.count(value) for value in out.values.tolist()]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=8))
def test_unique_slices(pairs):
    """Slices compare as wholes, in lexicographic order, along either dimension."""
    for dim in (0, 1):
        x = np.array(pairs) if dim == 0 else np.array(pairs).T
        out = unique(x, dim=dim)
        expected = sorted(set(pairs))
        assert np.moveaxis(out.values, dim, 0).tolist() == [list(pair) for pair in expected]
        assert [expected[i] for i in out.inverse] == pairs
        assert out.counts.tolist() == [pairs.count(pair) for pair in expected]


def test_unique_consecutive_and_nan():
    """Only neighbours are compared; no NaN equals another."""
    out = unique_consecutive(np.array([3, 3, 1, 3, 3, 3]))
    assert (out.values.tolist(), out.inverse.tolist(), out.counts.tolist()) == (
        [3, 1, 3], [0, 0, 1, 2, 2, 2], [2, 1, 3],
    )  # fmt: skip
    assert len(unique(np.array([np.nan, 1.0, np.nan])).values) == 3
    assert unique(np.zeros((3, 0)), dim=0).values.shape == (1, 0)
    assert unique(np.zeros((0, 3)), dim=0).values.shape == (0, 3)


def test_searchsorted_rows():
    """One sorted row for all values, or one for each row of them."""
    table = np.array([[1, 3, 5], [2, 4, 6]])
    assert searchsorted(table, np.array([[3, 9], [3, 9]])).tolist() == [[1, 3], [1, 3]]
    assert searchsorted(table, np.array([[3], [4]]), right=True).tolist() == [[2], [2]]
    assert searchsorted(table[0], np.array(3)).shape == ()


def test_bfloat16_is_ordered():
    """NumPy does not know where a bfloat16 NaN belongs; it is the largest here too."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.array([1, np.nan, 3, 2], bfloat16)
    values, indices = sort(x)
    assert values.dtype == bfloat16
    assert indices.tolist() == [0, 3, 2, 1]
    assert topk(x, k=2)[1].tolist() == [1, 2]


def test_bad_input():
    """Errors say what was given and what would be right."""
    with pytest.raises(ValueError, match=r"\[topk\] k is 4, .* \(3,\) has 3 .* 0 to 3"):
        topk(np.zeros(3), k=4)
    with pytest.raises(ValueError, match=r"\[kthvalue\] k is 0, .* 1 to 3"):
        kthvalue(np.zeros(3), k=0)
    with pytest.raises(ValueError, match=r"element 1 is -2"):
        bincount(np.array([0, -2]))
    with pytest.raises(ValueError, match=r"given 3.0 to 1.0"):
        histc(np.zeros(3), bins=2, min=3, max=1)
    with pytest.raises(ValueError, match="nan"):
        histc(np.array([np.nan]), bins=2)
