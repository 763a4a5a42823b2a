"""Data sets and loaders: structure, workers, and what bad input says."""

from __future__ import annotations

import gc
import random
import threading
import time

import pytest

import narae
from narae.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    get_worker_info,
    random_split,
)

X = [[73.0, 80.0, 75.0], [93.0, 88.0, 93.0], [89.0, 91.0, 90.0], [96.0, 98.0, 100.0]]
X += [[73.0, 66.0, 70.0]]


@pytest.fixture
def quizzes():
    return TensorDataset(narae.tensor(X), narae.tensor(X).sum(dim=1, keepdim=True))


class Slow(Dataset):
    """Samples that take unequal times, so that workers finish out of order."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        time.sleep(random.Random(index).random() / 200)
        return index


class Broken(Slow):
    def __getitem__(self, index):
        if index == 13:
            raise KeyError("no such picture")
        return index


def test_batches_are_lists_of_tensors(quizzes):
    """G9: three batches, the last of one sample; each is a list of two tensors."""
    loader = DataLoader(quizzes, batch_size=2, shuffle=True)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert all(type(batch) is list and len(batch) == 2 for batch in batches)
    assert [tuple(x.shape) for x, _ in batches] == [(2, 3), (2, 3), (1, 3)]
    assert [tuple(y.shape) for _, y in batches] == [(2, 1), (2, 1), (1, 1)]
    seen = sorted(row for x, _ in batches for row in x.tolist())
    assert seen == sorted(X)


def test_60000_samples_in_batches_of_128_are_468():
    """G20: "총 배치의 수 = 468": with drop_last the 96 samples left over are left out."""
    loader = DataLoader(dataset=range(60_000), batch_size=128, shuffle=True, drop_last=True)
    assert len(loader) == 468
    assert len(DataLoader(range(60_000), batch_size=128)) == 469


def test_a_batch_by_one_index_operation_is_the_batch_of_single_samples(quizzes):
    class OneByOne(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    slow = OneByOne(*quizzes.tensors)
    assert slow.get_batch([0]) is None
    for fast, single in zip(DataLoader(quizzes, 2), DataLoader(slow, 2), strict=True):
        assert [x.tolist() for x in fast] == [x.tolist() for x in single]
        assert [x.dtype for x in fast] == [x.dtype for x in single]


def test_gradients_flow_through_a_batch():
    w = narae.ones(3, requires_grad=True)
    (batch,) = next(iter(DataLoader(TensorDataset(w), batch_size=2)))
    batch.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0, 0.0]


def test_parts_of_a_data_set(quizzes):
    subset = Subset(quizzes, [4, 0])
    assert [x.tolist() for x, _ in subset] == [X[4], X[0]]
    (x, _), *_ = DataLoader(subset, batch_size=2)
    assert x.tolist() == [X[4], X[0]]
    doubled = quizzes + quizzes
    assert isinstance(doubled, ConcatDataset)
    assert len(doubled) == 10
    assert doubled[-1][0].tolist() == X[4]
    stacked = StackDataset(quizzes, range(5))
    assert stacked[2][1] == 2
    assert len(next(iter(DataLoader(stacked, batch_size=5)))) == 2
    parts = random_split(quizzes, [2, 3])
    assert sorted(index for part in parts for index in part.indices) == [0, 1, 2, 3, 4]


def test_a_subset_with_a_getitem_of_its_own_is_asked_by_it():
    class Doubled(Subset):
        def __getitem__(self, index):
            return 2 * super().__getitem__(index)

    assert next(iter(DataLoader(Doubled(range(4), [1, 3]), batch_size=2))).tolist() == [2, 6]


# --- one's own data sets --------------------------------------------------------------------


def test_missing_methods_are_named():
    """G12: a data set without a method that it needs says which, and how it looks."""

    class Nothing(Dataset):
        pass

    with pytest.raises(NotImplementedError, match=r"\[Nothing\] Nothing does not define __len__"):
        len(Nothing())
    with pytest.raises(NotImplementedError, match="def __getitem__"):
        Nothing()[0]
    with pytest.raises(NotImplementedError, match="__len__"):
        DataLoader(Nothing(), shuffle=True)
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(type("Stream", (IterableDataset,), {})())
    assert Nothing()


def test_a_data_set_without_a_length_can_still_be_listed():
    class Three(Dataset):
        def __getitem__(self, index):
            if index > 2:
                raise IndexError
            return index

    assert list(Three()) == [0, 1, 2]


def test_a_custom_data_set_is_collated():
    """G12: samples of one's own class of data set become batches."""

    class Squares(Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return {"x": index, "square": float(index**2)}

    batches = list(DataLoader(Squares(), batch_size=2))
    assert batches[1]["x"].tolist() == [2, 3]
    assert batches[1]["square"].dtype is narae.float64


def test_an_error_says_which_sample_it_was():
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Broken(), batch_size=4))
    assert caught.value.__notes__ == ["while fetching sample 13 of Broken"]


def test_samples_of_unequal_shape_are_named():
    samples = [narae.zeros(2), narae.zeros(2), narae.zeros(3)]
    with pytest.raises(
        ValueError, match=r"sample 0 of the batch is \(2,\), sample 2 is \(3,\)"
    ) as caught:
        list(DataLoader(samples, batch_size=3))
    assert caught.value.__notes__ == ["the batch holds the samples 0, 1, 2 of list"]


def test_tensors_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 1\), \(2,\)"):
        TensorDataset(narae.zeros(3, 1), narae.zeros(2))
    with pytest.raises(ValueError, match="none given"):
        TensorDataset()
    with pytest.raises(ValueError, match=r"\(\)"):
        TensorDataset(narae.tensor(1.0))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"2 \+ 2 = 4 samples; the data set has 5"):
        random_split(range(5), [2, 2])
    with pytest.raises(ValueError, match="share 0 is"):
        random_split(range(5), [-0.5, 1.5])
    with pytest.raises(ValueError, match="no data set"):
        ConcatDataset([])
    with pytest.raises(IndexError, match="0 to 4"):
        ConcatDataset([range(5)])[5]
    with pytest.raises(ValueError, match="5, 4"):
        StackDataset(range(5), range(4))


def test_a_loader_cannot_be_changed_half_way():
    loader = DataLoader(range(4))
    with pytest.raises(ValueError, match="batch_size attribute should not be set"):
        loader.batch_size = 2


# --- workers --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_keep_the_order(workers):
    """G10: threads fetch in parallel, and batches come as without them, with no main guard."""
    narae.manual_seed(3)
    alone = [batch.tolist() for batch in DataLoader(Slow(), batch_size=3, shuffle=True)]
    narae.manual_seed(3)
    loader = DataLoader(Slow(), batch_size=3, shuffle=True, num_workers=workers)
    assert [batch.tolist() for batch in loader] == alone


def test_workers_do_run_side_by_side():
    meeting = threading.Barrier(2, timeout=20)

    class Meeting(Slow):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            meeting.wait()
            return index

    assert len(list(DataLoader(Meeting(), num_workers=2))) == 2


def test_an_error_in_a_worker_arrives_with_its_sample():
    loader = iter(DataLoader(Broken(), batch_size=4, num_workers=2))
    assert [next(loader).tolist() for _ in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(KeyError) as caught:
        next(loader)
    assert caught.value.__notes__ == [
        "while fetching sample 13 of Broken",
        "in worker 1 of a DataLoader",
    ]


def test_workers_know_who_they_are():
    started = []

    class Who(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            info = get_worker_info()
            return info.id, info.num_workers, info.seed

    def init(worker):
        started.append((worker, get_worker_info().id))

    batches = list(DataLoader(Who(), num_workers=3, worker_init_fn=init))
    assert [batch[0].item() for batch in batches] == [0, 1, 2, 0, 1, 2]
    seeds = [batch[2].item() for batch in batches]
    assert seeds[1] == seeds[0] + 1
    assert sorted(started) == [(0, 0), (1, 1), (2, 2)]
    assert get_worker_info() is None


def test_an_error_while_a_worker_starts_arrives():
    def init(worker):
        raise RuntimeError("no such device")

    with pytest.raises(RuntimeError, match="no such device"):
        list(DataLoader(Slow(), num_workers=1, worker_init_fn=init))


def test_streams_are_shared_out_by_worker_info():
    class Share(IterableDataset):
        def __iter__(self):
            info = get_worker_info()
            return iter(range(info.id, 10, info.num_workers))

    got = [batch.tolist() for batch in DataLoader(Share(), batch_size=2, num_workers=2)]
    assert got == [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]


def test_a_wait_can_be_limited():
    class Stuck(Slow):
        def __getitem__(self, index):
            time.sleep(0.5)

    with pytest.raises(RuntimeError, match=r"timed out: .* within 0\.05 seconds"):
        next(iter(DataLoader(Stuck(), num_workers=1, timeout=0.05)))


def test_an_abandoned_loader_leaves_no_thread():
    before = threading.active_count()
    batches = iter(DataLoader(Slow(), num_workers=3))
    next(batches)
    del batches
    gc.collect()
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_chained_streams():
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(2))

        def __len__(self):
            return 2

    chain = Count() + Count()
    assert isinstance(chain, ChainDataset)
    assert [batch.tolist() for batch in DataLoader(chain, batch_size=3)] == [[0, 1, 0], [1]]
    assert len(DataLoader(chain, batch_size=3)) == 2
    with pytest.raises(ValueError, match="shuffle"):
        DataLoader(chain, shuffle=True)
