"""Loaders, samplers and collation against PyTorch's, draw for draw."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import narae
from narae import data

torch = pytest.importorskip("torch")
theirs = torch.utils.data

Point = namedtuple("Point", ["x", "y"])


def plain(value):
    """Tensors of either library as (dtype, nested lists); structures stay."""
    if isinstance(value, narae.Tensor | torch.Tensor):
        return str(value.dtype).rpartition(".")[2], value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return type(value).__name__, [plain(each) for each in value]
    return value


def both(make):
    """What `make(library, data)` gives, and the number drawn after it, for both libraries."""
    results = []
    for library, room in ((narae, data), (torch, theirs)):
        library.manual_seed(2024)
        results.append((plain(make(library, room)), library.rand(3).tolist()))
    return results


def assert_same(make):
    ours, expected = both(make)
    assert ours == expected


@settings(max_examples=60)
@given(
    items=st.integers(1, 70),
    batch_size=st.none() | st.integers(1, 9),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    own_generator=st.booleans(),
    epochs=st.integers(1, 3),
)
def test_batches_are_pytorchs(items, batch_size, shuffle, drop_last, own_generator, epochs):
    """G9, G10: the same seed gives the same batches, and leaves the stream at the same place."""

    def make(library, room):
        generator = library.Generator().manual_seed(7) if own_generator else None
        dataset = room.TensorDataset(library.arange(items), library.arange(items) * 0.5)
        loader = room.DataLoader(
            dataset,
            batch_size=batch_size,
            shuffle=shuffle,
            drop_last=drop_last and batch_size is not None,
            generator=generator,
        )
        batches = [list(loader) for _ in range(epochs)]
        return [*batches, len(loader), generator.initial_seed() if own_generator else None]

    assert_same(make)


def test_a_draw_between_iter_and_next_keeps_pytorchs_order():
    def make(library, room):
        batches = iter(room.DataLoader(list(range(9)), batch_size=4, shuffle=True))
        return [library.rand(2), *batches]

    assert_same(make)


def test_an_abandoned_pass_leaves_the_stream_where_pytorch_does():
    def make(library, room):
        loader = room.DataLoader(list(range(20)), batch_size=4, shuffle=True)
        return [next(iter(loader)), next(iter(loader))]

    assert_same(make)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("num_samples", [None, 1, 31, 32, 33, 100])
def test_random_sampler(replacement, num_samples):
    assert_same(
        lambda library, room: list(
            room.RandomSampler(range(40), replacement=replacement, num_samples=num_samples)
        )
    )


def test_other_samplers():
    assert_same(lambda library, room: list(room.SubsetRandomSampler([5, 3, 8, 1])))
    weights = [0.1, 0.9, 0.4, 0.7, 3.0, 0.6]
    assert_same(lambda library, room: list(room.WeightedRandomSampler(weights, 20)))
    assert_same(lambda library, room: list(room.WeightedRandomSampler(weights, 4, False)))
    assert_same(
        lambda library, room: list(room.BatchSampler(room.SequentialSampler(range(7)), 3, True))
    )


@pytest.mark.parametrize("lengths", [[3, 7], [0.5, 0.5], [0.3, 0.3, 0.4], [0.33, 0.33, 0.34], [10]])
def test_random_split(lengths):
    assert_same(
        lambda library, room: [
            (list(part), list(part.indices)) for part in room.random_split(range(10), lengths)
        ]
    )


def batches_to_collate(library):
    as_tensor = library.tensor
    return {
        "tensors": [as_tensor([1.0, 2.0]), as_tensor([3.0, 4.0])],
        "0-d tensors": [as_tensor(1), as_tensor(2)],
        "empty tensors": [library.zeros(0, 2)] * 3,
        "ints": [1, 2, 3],
        "bools": [True, False],
        "floats": [0.1, 0.2],
        "texts": ["a", "b"],
        "bytes": [b"a", b"b"],
        "arrays": [np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32)],
        "NumPy numbers": [np.float32(1.5), np.float32(2.5)],
        "NumPy bools": [np.bool_(True), np.bool_(False)],
        "tuples": [(1, 2.0), (3, 4.0)],
        "lists": [[1, "a"], [2, "b"]],
        "named": [Point(1, as_tensor([1.0])), Point(2, as_tensor([2.0]))],
        "dicts": [{"x": 1, "y": [1.0]}, {"x": 2, "y": [2.0]}],
        "ordered": [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)],
        "ranges": [range(2), range(2)],
        "nested": [({"a": (1, [as_tensor(1)])}, 5)] * 2,
        "half": [as_tensor([1.0]).to(library.bfloat16)] * 2,
    }


@pytest.mark.parametrize("name", batches_to_collate(torch))
def test_default_collate(name):
    ours = data.default_collate(batches_to_collate(narae)[name])
    expected = theirs.default_collate(batches_to_collate(torch)[name])
    assert plain(ours) == plain(expected)


@pytest.mark.parametrize("name", batches_to_collate(torch))
def test_default_convert(name):
    ours = data.default_convert(batches_to_collate(narae)[name])
    expected = theirs.default_convert(batches_to_collate(torch)[name])
    assert plain(ours) == plain(expected)


BAD_BATCHES = {
    "unequal shapes": lambda library: [library.zeros(2), library.zeros(3)],
    "unequal lengths": lambda library: [[1, 2], [1]],
    "objects": lambda library: [object(), object()],
    "None": lambda library: [None, None],
    "text arrays": lambda library: [np.array(["a"]), np.array(["b"])],
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_what_pytorch_refuses_is_refused_with_an_error_of_its_class(name):
    with pytest.raises(Exception) as expected:
        theirs.default_collate(BAD_BATCHES[name](torch))
    with pytest.raises(expected.type):
        data.default_collate(BAD_BATCHES[name](narae))


BAD_LOADERS = [
    {"num_workers": -1},
    {"timeout": -1},
    {"prefetch_factor": 2},
    {"persistent_workers": True},
    {"sampler": [0], "shuffle": True},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_size": None, "drop_last": True},
    {"batch_size": 0},
]


@pytest.mark.parametrize("options", BAD_LOADERS, ids=str)
def test_options_that_pytorch_refuses_are_refused(options):
    with pytest.raises(ValueError):
        theirs.DataLoader([1, 2], **options)
    with pytest.raises(ValueError):
        data.DataLoader([1, 2], **options)


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_streams_come_in_pytorchs_order(workers, drop_last):
    """G10: each worker runs through the stream; batches alternate between the workers."""

    class Ours(data.IterableDataset):
        def __iter__(self):
            return iter(range(5))

    got = data.DataLoader(Ours(), batch_size=2, num_workers=workers, drop_last=drop_last)
    batches = [batch.tolist() for batch in got]
    one = [[0, 1], [2, 3]] if drop_last else [[0, 1], [2, 3], [4]]
    assert batches == [batch for batch in one for _ in range(max(workers, 1))]

    class Theirs(theirs.IterableDataset):
        def __iter__(self):
            return iter(range(5))

    if workers == 0:
        expected = theirs.DataLoader(Theirs(), batch_size=2, drop_last=drop_last)
        assert batches == [batch.tolist() for batch in expected]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("items", "replicas"), [(10, 3), (7, 7), (2, 5), (12, 4)])
def test_shares_of_processes_are_pytorchs(items, replicas, shuffle, drop_last):
    for rank in range(replicas):
        samplers = [
            room.DistributedSampler(
                range(items), replicas, rank, shuffle=shuffle, seed=3, drop_last=drop_last
            )
            for room in (data, theirs)
        ]
        for epoch in (0, 5):
            for sampler in samplers:
                sampler.set_epoch(epoch)
            assert list(samplers[0]) == list(samplers[1])
            assert len(samplers[0]) == len(samplers[1])


def test_shares_that_nobody_can_know_are_refused():
    with pytest.raises(ValueError, match="no process groups"):
        data.DistributedSampler(range(4))
    for room in (data, theirs):
        with pytest.raises(ValueError, match="Invalid rank"):
            room.DistributedSampler(range(4), 2, 2)


class Streamed:
    """Five samples, and which worker gave them."""

    def __iter__(self):
        info = self.get_worker_info()
        share = range(5) if info is None else range(info.id, 5, info.num_workers)
        return iter([index + 100 * (0 if info is None else info.id) for index in share])


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("context", [None, "fork"])
def test_streams_of_workers_are_pytorchs(workers, context):
    """G10: worker for worker and batch for batch, with threads and with processes."""
    if context and not workers:
        pytest.skip("no workers, no processes")
    found = []
    for room in (data, theirs):
        body = {"get_worker_info": staticmethod(room.get_worker_info)}
        stream = type("Stream", (Streamed, room.IterableDataset), body)()
        kind = context if room is data else None
        loader = room.DataLoader(
            stream, batch_size=2, num_workers=workers, multiprocessing_context=kind
        )
        found.append([batch.tolist() for batch in loader])
    assert found[0] == found[1]


@pytest.mark.parametrize("context", [None, "fork"])
@pytest.mark.parametrize("generator", [False, True])
def test_batches_of_workers_are_pytorchs(context, generator):
    """G10: the order of a shuffle, and the stream after it, for two passes with workers."""

    def make(library, room):
        own = library.Generator().manual_seed(3) if generator else None
        kind = context if room is data else None
        loader = room.DataLoader(
            list(range(23)),
            batch_size=4,
            shuffle=True,
            num_workers=2,
            generator=own,
            multiprocessing_context=kind,
        )
        return [list(loader), list(loader)]

    assert_same(make)


def test_options_of_workers_are_accepted():
    for room in (data, theirs):
        loader = room.DataLoader(
            list(range(4)),
            num_workers=1,
            pin_memory=False,
            prefetch_factor=3,
            persistent_workers=False,
            in_order=True,
            timeout=30,
            worker_init_fn=print,
            multiprocessing_context="fork",
        )
        assert loader.prefetch_factor == 3
        assert loader.multiprocessing_context.get_start_method() == "fork"
    for room in (data, theirs):
        with pytest.raises(ValueError):
            room.DataLoader([1], multiprocessing_context="fork")
        with pytest.raises(ValueError):
            room.DataLoader([1], num_workers=1, multiprocessing_context="threads")


@pytest.mark.parametrize("way", ["seed", "time out", "kill"])
def test_what_fails_in_a_worker_fails_with_pytorchs_class(way):
    import os
    import time

    def fail(index):
        if way == "time out":
            time.sleep(3)
        elif way == "kill":
            os._exit(1)
        raise IndexError("no sample 0")

    kinds = []
    for room in (data, theirs):
        body = {"__len__": lambda self: 4, "__getitem__": lambda self, index: fail(index)}
        dataset = type("Failing", (room.Dataset,), body)()
        limit = 1 if way == "time out" else 0
        loader = room.DataLoader(
            dataset, num_workers=1, timeout=limit, multiprocessing_context="fork"
        )
        with pytest.raises((RuntimeError, IndexError)) as caught:
            next(iter(loader))
        kinds.append(IndexError if isinstance(caught.value, IndexError) else RuntimeError)
    assert kinds[0] is kinds[1]
