"""Indexing, views and writes inside `narae.compile` do what they do outside, without PyTorch."""

import numpy as np
import pytest

import narae
from tests.executors import close, on_every_executor

pytestmark = on_every_executor


def numbers(shape, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


PLACES = np.array([[0, -1], [2, 0]])

READS = {
    "number": lambda x, i: x[1],
    "numbers": lambda x, i: x[1, -1],
    "slices": lambda x, i: x[1:, ::2],
    "new dimension": lambda x, i: x[:, None],
    "index": lambda x, i: x[i],
    "index behind": lambda x, i: x[:, i],
    "two indices": lambda x, i: x[i, i],
    "two indices apart": lambda x, i: x[i, :, i],
    "number and index": lambda x, i: x[0, :, i],
    "list": lambda x, i: x[[0, 2]],
    "gather": lambda x, i: x.gather(0, (i % 3)[..., None]),
    "index_select": lambda x, i: x.index_select(1, i[0] % 3),
    "diagonal": lambda x, i: x.diagonal(1, 0, 2),
    "unfold": lambda x, i: x.unfold(2, 3, 2),
    "split": lambda x, i: narae.cat(x.split(2, -1)[::-1], -1),
    "einsum": lambda x, i: narae.einsum("abc,dbc->ad", x, x),
    "roll": lambda x, i: x.roll((1, 2), (0, 2)),
    "pad": lambda x, i: narae.constant_pad_nd(x, (1, -1, 0, 2), 3.0),
    "scatter_reduce": lambda x, i: x.scatter_reduce(0, (i % 3)[..., None], x[:2, :2], "amax"),
    "repeat": lambda x, i: x.repeat(1, 2, 1, 1),
    "tril": lambda x, i: x.tril(-1),
    "block_diag": lambda x, i: narae.block_diag(x[0], x[1]),
    "as_strided": lambda x, i: x[1:].as_strided((2, 2), (4, 1), 13),
}


def write_row(x, i):
    x[0] = 7


def write_index(x, i):
    x[i] = x[:1, :1] * 2


def write_two_indices(x, i):
    x[i, :, i] = 5


def write_mask(x, i):
    x[x > 0] = -1


def write_through_views(x, i):
    x.transpose(0, 1)[1].diagonal().mul_(3)


def write_slices(x, i):
    x[:, 1::2, -1] = x[:, :1, 0] + 1


def write_part_of_expanded(x, i):
    x.unsqueeze(0).expand(2, 3, 3, 4)[1].add_(1)


def write_windows(x, i):
    x.unfold(2, 2, 2).mul_(2)


def write_with_accumulate(x, i):
    x.index_put_((i,), narae.ones(2, 2, 3, 4, dtype=narae.float64), accumulate=True)


def write_reshaped_copy(x, i):
    x.transpose(0, 1).reshape(-1).mul_(9)  # a copy: x stays


def write_base_then_read_view(x, i):
    row = x[1]
    x.mul_(2)
    x[0] = row


WRITES = [
    write_row, write_index, write_two_indices, write_mask, write_through_views, write_slices,
    write_part_of_expanded, write_windows, write_with_accumulate, write_reshaped_copy,
    write_base_then_read_view,
]  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_reading_in_a_trace(name):
    function = READS[name]
    x, i = narae.tensor(numbers((3, 3, 4))), narae.tensor(PLACES)
    expected = function(x, i)
    found = narae.compile(lambda x, i: function(x, i) * 1)(x, i)
    close(found, expected)


@pytest.mark.parametrize("name", READS)
def test_gradients_of_reading_in_a_trace(name):
    function = READS[name]
    i = narae.tensor(PLACES)

    def step(x):
        x = x.detach().requires_grad_()
        (function(x, i) ** 2).sum().backward()
        return x.grad

    x = narae.tensor(numbers((3, 3, 4)))
    close(narae.compile(step)(x), step(x))


@pytest.mark.parametrize("write", WRITES)
def test_writing_in_a_trace(write):
    i = narae.tensor(PLACES)

    def step(x):
        y = x * 1
        write(y, i)
        return y

    x = narae.tensor(numbers((3, 3, 4)))
    close(narae.compile(step)(x), step(x))


@pytest.mark.parametrize("write", WRITES)
def test_gradients_of_writing_in_a_trace(write):
    i = narae.tensor(PLACES)

    def step(x):
        x = x.detach().requires_grad_()
        y = x * 2
        write(y, i)
        (y**3).sum().backward()
        return x.grad

    x = narae.tensor(numbers((3, 3, 4)))
    close(narae.compile(step)(x), step(x))


@pytest.mark.parametrize("write", WRITES)
def test_an_argument_that_is_written_to_in_a_trace(write):
    i = narae.tensor(PLACES)
    first, second = narae.tensor(numbers((3, 3, 4))), narae.tensor(numbers((3, 3, 4)))
    write(first, i)

    def step(x):
        write(x, i)

    narae.compile(step)(second)
    close(second, first)


@pytest.mark.parametrize("bad", [3, -4])
@pytest.mark.parametrize("name", ["index", "two indices", "two indices apart"])
def test_an_index_out_of_range_is_refused_when_the_program_runs(name, bad):
    x = narae.tensor(numbers((3, 3, 3)))
    compiled = narae.compile(READS[name])
    compiled(x, narae.tensor([0, 1]))
    with pytest.raises(IndexError):
        compiled(x, narae.tensor([0, bad]))


def test_a_mask_in_a_trace_is_refused_with_the_way_out():
    with pytest.raises(narae.base.errors.TraceError, match=r"narae\.where"):
        narae.compile(lambda x: x[x > 0])(narae.tensor(numbers((3, 3))))


def test_sizes_that_depend_on_numbers_are_refused():
    with pytest.raises(narae.base.errors.TraceError, match=r"narae\.where"):
        narae.compile(lambda x: x.nonzero())(narae.tensor(numbers((3, 3))))


def test_writing_to_expanded_memory_is_refused_in_a_trace_too():
    def step(x):
        x.expand(3, 4).add_(1)

    with pytest.raises(RuntimeError, match="single memory location"):
        narae.compile(step)(narae.ones(1, 4))


def test_an_index_that_is_written_to_before_backward_is_noticed():
    x, i = narae.ones(4, requires_grad=True), narae.tensor([0, 1])
    y = x[i].sum()
    i.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
