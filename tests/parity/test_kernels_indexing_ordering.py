"""Indexing and ordering kernels against PyTorch."""

import itertools

import numpy as np
import pytest

from narae.reference import indexing, ordering

torch = pytest.importorskip("torch")

SHAPES = [(7,), (3, 5), (2, 4, 3)]
LAYOUTS = [(shape, dim) for shape in SHAPES for dim in range(-len(shape), len(shape))]


def numbers(shape, seed=0, content="ties"):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if content != "numbers":
        x = np.round(x * 2) / 2
    if content == "nan":
        x = np.where(rng.random(shape) < 0.2, np.nan, x)
    return x.astype(np.float32)


def same(got, right, tolerance=0.0):
    got, right = np.asarray(got), right.detach()
    assert got.dtype == right.numpy().dtype
    assert got.shape == tuple(right.shape)
    np.testing.assert_allclose(got, right.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("shape", "dim"), LAYOUTS)
def test_gather_and_scatter(shape, dim):
    """An index of the same size, a smaller one, and an empty one."""
    rng = np.random.default_rng(0)
    x, src = numbers(shape), numbers(shape, 1, "numbers")
    for sizes in (shape, tuple(max(1, n - 1) for n in shape), (0,) * len(shape)):
        index = rng.integers(0, shape[dim], sizes)
        x_t, src_t, index_t = map(torch.from_numpy, (x, src, index))
        same(indexing.gather(x, index, dim=dim), x_t.gather(dim, index_t))
        added = x_t.scatter_add(dim, index_t, src_t)
        same(indexing.scatter_add(x, index, src, dim=dim), added, 1e-6)
        same(indexing.scatter(x, index, src, dim=dim), x_t.scatter(dim, index_t, src_t))
        for reduce, own in itertools.product(
            ["sum", "prod", "mean", "amax", "amin"], [True, False]
        ):
            right = x_t.scatter_reduce(dim, index_t, src_t, reduce, include_self=own)
            got = indexing.scatter_reduce(x, index, src, dim=dim, reduce=reduce, include_self=own)
            same(got, right, 1e-6)


@pytest.mark.parametrize(("shape", "dim"), LAYOUTS)
def test_take(shape, dim):
    """`index_select` and its gradient."""
    x, index = numbers(shape), np.random.default_rng(0).integers(0, shape[dim], 6)
    x_t = torch.from_numpy(x).requires_grad_()
    right = x_t.index_select(dim, torch.from_numpy(index))
    same(indexing.take(x, index, dim=dim), right)
    grad_out = numbers(tuple(right.shape), 2, "numbers")
    right.backward(torch.from_numpy(grad_out))
    same(indexing.take_grad(grad_out, index, dim=dim, x_shape=shape), x_t.grad, 1e-6)


@pytest.mark.parametrize("content", ["ties", "nan", "integers", "bool"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("shape", "dim"), LAYOUTS)
def test_sort_topk_kthvalue(shape, dim, descending, content):
    """Values; positions too where PyTorch promises them."""
    x = numbers(shape, content=content)
    if content in ("integers", "bool"):
        x = (x * 2).astype(np.int64 if content == "integers" else bool)
    x_t = torch.from_numpy(x)
    values, indices = ordering.sort(x, dim=dim, descending=descending)
    right = x_t.sort(dim=dim, descending=descending, stable=True)
    same(values, right.values)
    same(indices, right.indices)
    if content == "bool":
        return
    for k in (0, 1, shape[dim]):
        values, indices = ordering.topk(x, k=k, dim=dim, largest=descending)
        same(values, x_t.topk(k, dim, largest=descending).values)
        np.testing.assert_array_equal(np.take_along_axis(x, indices, dim), values)
    for keepdim in (False, True):
        value, index = ordering.kthvalue(x, k=2, dim=dim, keepdim=keepdim)
        right = x_t.kthvalue(2, dim, keepdim)
        same(value, right.values)
        assert index.shape == tuple(right.indices.shape)


@pytest.mark.parametrize("content", ["ties", "nan"])
@pytest.mark.parametrize(("shape", "dim"), LAYOUTS)
def test_running(shape, dim, content):
    """Ties and NaN fall where PyTorch lets them fall."""
    x = numbers(shape, 3, content)
    x_t = torch.from_numpy(x)
    for name in ("cummax", "cummin"):
        values, indices = getattr(ordering, name)(x, dim=dim)
        right = getattr(torch, name)(x_t, dim)
        same(values, right.values)
        same(indices, right.indices)


def test_zero_dimensional():
    """A number is an array of one element."""
    x = np.array(2.5, np.float32)
    x_t = torch.from_numpy(x)
    for name in ("sort", "cummax", "cummin"):
        values, indices = getattr(ordering, name)(x, dim=0)
        right = getattr(x_t, name)(dim=0)
        same(values, right.values)
        same(indices, right.indices)
    same(ordering.topk(x, k=1)[0], x_t.topk(1).values)
    same(ordering.kthvalue(x, k=1)[0], x_t.kthvalue(1).values)


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("content", ["integers", "floats"])
def test_unique(dim, content):
    """With the way back and the counts; over all elements and over slices."""
    x = np.random.default_rng(0).integers(0, 2, (6, 2, 3))
    x = x.astype(np.float32) if content == "floats" else x
    x_t = torch.from_numpy(x)
    for name in ("unique", "unique_consecutive"):
        got = getattr(ordering, name)(x, dim=dim)
        right = getattr(torch, name)(x_t, return_inverse=True, return_counts=True, dim=dim)
        for ours, theirs in zip(got, right, strict=True):
            same(ours, theirs)


@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(right):
    """One row for all values, or row by row."""
    table = np.sort(numbers((3, 8)), axis=-1)
    values = numbers((3, 5), 1)
    table_t, values_t = torch.from_numpy(table), torch.from_numpy(values)
    same(
        ordering.searchsorted(table, values, right=right),
        torch.searchsorted(table_t, values_t, right=right),
    )
    same(
        ordering.searchsorted(table[0], values, right=right),
        torch.searchsorted(table_t[0].contiguous(), values_t, right=right),
    )


@pytest.mark.parametrize("weights", [None, np.float32, np.float64, np.int64])
def test_bincount(weights):
    """Counts, and sums of weights with their type."""
    nothing = np.zeros(0, np.int64)
    same(
        ordering.bincount(nothing, minlength=2),
        torch.bincount(torch.from_numpy(nothing), minlength=2),
    )
    x = np.array([0, 3, 3, 1])
    given = None if weights is None else np.arange(len(x)).astype(weights)
    right = torch.bincount(
        torch.from_numpy(x), None if given is None else torch.from_numpy(given), minlength=2
    )
    same(ordering.bincount(x, weights=given, minlength=2), right)


@pytest.mark.parametrize(
    ("bins", "low", "high"), [(10, 0, 0), (7, -1, 1.5), (3, 0, 1), (4, 2, 2), (100, -3, 3)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_histc(bins, low, high, dtype):
    """Edges, values outside, and ends taken from the data."""
    x = np.random.default_rng(0).standard_normal(500).astype(dtype)
    x[:50] = np.round(x[:50])
    got = ordering.histc(x, bins=bins, min=low, max=high)
    same(got, torch.histc(torch.from_numpy(x), bins, low, high))
    same(ordering.histc(x[:1], bins=5), torch.histc(torch.from_numpy(x[:1]), 5))
