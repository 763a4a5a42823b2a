"""Sorting, selection, medians, quantiles, distinct values and counts."""

import math

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from tests.parity.agreement import DTYPES, FLOATS, agree_named, assert_same, narae_of, numbers  # noqa: E402


def distinct(*shape, dtype=torch.float64, grad=False):
    """Numbers without ties, so that indices are determined."""
    count = math.prod(shape)
    generator = torch.Generator().manual_seed(count)
    x = torch.randperm(count, generator=generator).reshape(shape).to(torch.float64) - count // 2
    return x.to(dtype).requires_grad_(grad)


@pytest.mark.parametrize("name", ["sort", "argsort"])
@pytest.mark.parametrize("descending", [False, True])
def test_sort(name, descending):
    for shape, dim in (((4, 5), 1), ((4, 5), 0), ((3,), -1), ((), -1), ((0, 3), 0), ((2, 0), 1)):
        agree_named(name, distinct(*shape, grad=True), dim, descending)
    ties = torch.tensor([2.0, 1.0, 2.0, math.nan, 1.0, math.nan, -math.inf])
    agree_named(name, ties, stable=True, descending=descending)
    agree_named(name, distinct(3), 2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_values_in_every_dtype(dtype):
    x = numbers(5, 6, dtype=dtype)
    for ours, theirs in (
        (narae.sort(narae_of(x), 1)[0], torch.sort(x, 1)[0]),
        (narae.msort(narae_of(x)), torch.msort(x)),
        (narae.sort(narae_of(x), 0, True)[0], torch.sort(x, 0, True)[0]),
    ):
        assert_same(ours, theirs)
    if dtype != torch.bool:
        assert_same(narae.topk(narae_of(x), 3).values, torch.topk(x, 3).values)
        assert_same(narae.kthvalue(narae_of(x), 2).values, torch.kthvalue(x, 2).values)
        assert_same(narae.median(narae_of(x), 1).values, torch.median(x, 1).values)
        assert_same(narae.median(narae_of(x)), torch.median(x))
    assert_same(narae.mode(narae_of(x), 1).values, torch.mode(x, 1).values)


def test_selection():
    x = distinct(4, 6, grad=True)
    for k, dim, largest in ((2, 1, True), (3, 0, False), (0, 1, True), (6, -1, True), (7, 1, True)):
        agree_named("topk", x, k, dim, largest)
    for k, dim, keepdim in ((1, 1, False), (4, 0, True), (5, 0, False), (0, 0, False)):
        agree_named("kthvalue", x, k, dim, keepdim)
    agree_named("topk", distinct(grad=True), 1)
    agree_named("kthvalue", distinct(grad=True), 1)
    agree_named("topk", distinct(1000, grad=True), 5)


@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_medians(name):
    for size in (1, 4, 5):
        agree_named(name, distinct(3, size, grad=True), 1)
        agree_named(name, distinct(3, size, grad=True), 0, keepdim=True)
        agree_named(name, distinct(size, grad=True))
    agree_named(name, torch.tensor([[1.0, math.nan, 0.0], [3.0, 2.0, 1.0], [math.nan] * 3]), 1)
    agree_named(name, torch.tensor([1.0, math.nan, 0.0]))
    agree_named(name, torch.tensor([2.0, 1.0, 2.0, 2.0], dtype=torch.float64, requires_grad=True))
    agree_named(name, torch.zeros(0))
    agree_named(name, torch.zeros(0, 2), 0)
    agree_named(name, torch.tensor([True]))


def test_mode():
    agree_named("mode", torch.tensor([[1, 2, 2, 3, 1], [5, 5, 4, 4, 4]]))
    agree_named("mode", distinct(3, 1, grad=True), 0)


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest", "x"])
def test_quantiles(name, interpolation):
    options = {"interpolation": interpolation}
    several = torch.tensor([0.0, 0.25, 0.9, 1.0], dtype=torch.float64)
    x = distinct(4, 5, grad=True)
    for q, dim in ((0.3, 1), (0.3, None), (several, 0), (several, 1), (1.0, 0), (1.5, 0)):
        agree_named(name, x, q, dim, **options)
        agree_named(name, x, q, dim, keepdim=True, **options)
    spoiled = torch.tensor([[1.0, math.nan, 0.0, 2.0], [3.0, 2.0, 1.0, 0.0], [math.nan] * 4])
    agree_named(name, spoiled, 0.4, 1, **options)
    agree_named(name, torch.tensor([1, 2]), 0.5)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_distinct_values(dtype):
    x = numbers(4, 5, dtype=dtype) if dtype not in FLOATS else numbers(4, 5).round().to(dtype)
    for options in ({}, {"return_inverse": True}, {"return_counts": True},
                    {"return_inverse": True, "return_counts": True}):  # fmt: skip
        agree_named("unique", x, **options)
        agree_named("unique_consecutive", x.reshape(-1).sort().values, **options)
    if dtype not in (torch.float16, torch.bfloat16):
        agree_named("unique", x[[0, 1, 0, 2]], dim=0, return_inverse=True, return_counts=True)


def test_places_and_counts():
    edges = torch.tensor([1.0, 3.0, 5.0, 7.0])
    values = torch.tensor([[0.0, 1.0, 4.0], [7.0, 9.0, 3.0]])
    for right in (False, True):
        agree_named("searchsorted", edges, values, right=right)
        agree_named("searchsorted", edges, 4.0, right=right)
        agree_named("bucketize", values, edges, right=right)
    agree_named("searchsorted", edges.expand(2, 4).contiguous(), values, out_int32=True)
    agree_named("searchsorted", edges, values, side="right")
    agree_named("searchsorted", edges.expand(3, 4).contiguous(), values)
    agree_named("searchsorted", edges.flip(0), values, sorter=torch.tensor([3, 2, 1, 0]))
    agree_named("bucketize", values, values)
    counted = torch.tensor([1, 3, 3, 0, 7])
    for options in ({}, {"minlength": 10}, {"weights": torch.rand(5)},
                    {"weights": torch.arange(5)}, {"weights": torch.rand(4)}):  # fmt: skip
        agree_named("bincount", counted, **options)
    agree_named("bincount", torch.tensor([-1]))
    agree_named("bincount", torch.tensor([1.0]))
    agree_named("bincount", torch.zeros(0, dtype=torch.int64), minlength=3)
    for options in ({}, {"bins": 4}, {"bins": 4, "min": 1, "max": 5}, {"bins": 0},
                    {"bins": 3, "min": 5, "max": 1}):  # fmt: skip
        agree_named("histc", edges, **options)
