"""Going on in the middle of a pass: 50 batches, a new process, 50 more equal 100 without a stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import subprocess
import sys

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import narae
from narae.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    get_worker_info,
)

SOURCE = pathlib.Path(narae.__file__).parents[1]
LENGTH = 41
ITEMS = range(LENGTH)


class Noisy(Dataset):
    def __len__(self):
        return LENGTH

    def __getitem__(self, index):
        return index, float(narae.rand((), dtype=narae.float64))


class NoisyStream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(first, LENGTH, step):
            yield index, float(narae.rand((), dtype=narae.float64))


class EveryOther(Sampler):
    """A sampler of one's own, with repetitions."""

    def __iter__(self):
        return iter([*range(0, LENGTH, 2), *range(0, LENGTH, 4)])


def seeded(seed=11):
    return narae.Generator().manual_seed(seed)


WEIGHTS = [1.0 + index % 5 for index in ITEMS]
LOADERS = {
    "in order": lambda: {"dataset": Noisy()},
    "shuffled": lambda: {"dataset": Noisy(), "shuffle": True},
    "shuffled by a generator": lambda: {
        "dataset": Noisy(),
        "shuffle": True,
        "generator": seeded(),
    },
    "not all": lambda: {"dataset": Noisy(), "shuffle": True, "drop_last": True},
    "one by one": lambda: {"dataset": Noisy(), "shuffle": True, "batch_size": None},
    "with replacement": lambda: {
        "dataset": Noisy(),
        "sampler": RandomSampler(ITEMS, True, 70),
    },
    "with replacement by a generator": lambda: {
        "dataset": Noisy(),
        "sampler": RandomSampler(ITEMS, True, 70, generator=seeded()),
    },
    "subset": lambda: {"dataset": Noisy(), "sampler": SubsetRandomSampler(ITEMS[5:30])},
    "weighted": lambda: {"dataset": Noisy(), "sampler": WeightedRandomSampler(WEIGHTS, 50)},
    "distributed": lambda: {"dataset": Noisy(), "sampler": DistributedSampler(ITEMS, 3, 1)},
    "my own": lambda: {"dataset": Noisy(), "sampler": EveryOther()},
    "batch sampler": lambda: {
        "dataset": Noisy(),
        "batch_size": 1,
        "batch_sampler": BatchSampler(RandomSampler(ITEMS, generator=seeded(2)), 5, False),
    },
    "lists": lambda: {"dataset": Noisy(), "batch_size": 1, "batch_sampler": [[1, 2], [5], [1, 2]]},
    "sequential": lambda: {"dataset": Noisy(), "sampler": SequentialSampler(ITEMS)},
    "stream": lambda: {"dataset": NoisyStream()},
    "stream, not all": lambda: {"dataset": NoisyStream(), "drop_last": True},
}
WORKERS = {
    "none": {},
    "threads": {"num_workers": 2},
    "threads that stay": {"num_workers": 3, "persistent_workers": True},
}
PROCESSES = {"num_workers": 2, "persistent_workers": True, "multiprocessing_context": "fork"}


def make(name, workers):
    return DataLoader(**{"batch_size": 3, **LOADERS[name](), **workers})


def plain(value):
    if isinstance(value, narae.Tensor):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def run(loader, count, epoch=0):
    """`count` batches over as many passes as it takes, with other draws between them."""
    found = []
    while len(found) < count:
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(epoch)
        epoch += 1
        for batch in loader:
            narae.rand(3)  # as dropout would
            found.append(plain(batch))
            if len(found) == count:
                break
    return found


def interrupted(name, workers, before, after):
    """The batches after a stop, in other objects, with the default generator somewhere else."""
    narae.manual_seed(4)
    loader = make(name, workers)
    found = run(loader, before)
    state = json.loads(json.dumps(loader.state_dict()))
    del loader
    narae.manual_seed(987)
    passes = 1 + before // max(1, len(list(make(name, {"num_workers": 0}))))
    resumed = make(name, workers)
    resumed.load_state_dict(state)  # between two passes it moves the generators at once
    return [*found, *run(resumed, after, passes - 1)]


def whole(name, workers, count):
    narae.manual_seed(4)
    return run(make(name, workers), count)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("name", LOADERS)
def test_going_on_equals_not_having_stopped(name, workers):
    expected = whole(name, WORKERS[workers], 28)
    for before in (1, 13):
        assert interrupted(name, WORKERS[workers], before, 28 - before) == expected


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
@pytest.mark.parametrize("name", ["shuffled", "weighted", "stream"])
def test_going_on_with_processes(name):
    assert interrupted(name, PROCESSES, 5, 20) == whole(name, PROCESSES, 25)
    if name != "stream":
        assert whole(name, PROCESSES, 25) == whole(name, {}, 25)


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(LOADERS)), before=st.integers(0, 30), workers=st.integers(0, 3))
def test_going_on_anywhere(name, before, workers):
    options = {"num_workers": workers}
    assert interrupted(name, options, before, 12) == whole(name, options, before + 12)


def test_a_state_between_passes_and_before_the_first():
    narae.manual_seed(4)
    loader = make("shuffled", {})
    before = loader.state_dict()
    assert before["batches"] is None
    first = plain(list(loader))
    between = loader.state_dict()
    assert between["batches"] is None
    second = plain(list(loader))
    for state, expected in ((before, first), (between, second)):
        narae.manual_seed(77)
        other = make("shuffled", {})
        other.load_state_dict(state)
        assert other.state_dict() == state
        assert plain(list(other)) == expected


def test_a_state_right_after_iter():
    for workers in WORKERS.values():
        narae.manual_seed(4)
        loader = make("shuffled", workers)
        batches = iter(loader)
        state = loader.state_dict()
        expected = plain(list(batches))
        narae.manual_seed(77)
        other = make("shuffled", workers)
        other.load_state_dict(state)
        assert plain(list(other)) == expected


def test_a_state_is_small_and_can_be_saved(tmp_path):
    loader = DataLoader(range(1_000_000), batch_size=10, shuffle=True, generator=seeded())
    next(iter(loader))
    state = loader.state_dict()
    assert len(json.dumps(state)) < 40_000
    narae.save({"loader": state}, tmp_path / "state.pt")
    assert narae.load(tmp_path / "state.pt")["loader"] == state


def test_samples_that_were_seen_are_not_fetched_again():
    fetched = []

    class Counting(Noisy):
        def __getitem__(self, index):
            fetched.append(index)
            return index

    loader = DataLoader(Counting(), batch_size=10)
    batches = iter(loader)
    next(batches)
    next(batches)
    state = loader.state_dict()
    fetched.clear()
    other = DataLoader(Counting(), batch_size=10)
    other.load_state_dict(state)
    list(other)
    assert fetched == list(range(20, LENGTH))


def test_states_that_do_not_fit_are_refused():
    loader = make("shuffled", {})
    with pytest.raises(ValueError, match=r"it comes from DataLoader\.state_dict"):
        loader.load_state_dict({"epoch": 3})
    stream = make("stream", {"num_workers": 2})
    next(iter(stream))
    with pytest.raises(ValueError, match="the state has 2 workers, the loader 0"):
        make("stream", {}).load_state_dict(stream.state_dict())
    next(iter(loader))
    other = make("shuffled by a generator", {})
    with pytest.raises(ValueError, match="made with the same arguments"):
        other.load_state_dict(loader.state_dict())


PROGRAM = """
import json, sys
sys.path.insert(0, {folder!r})
import narae
from test_data_resume import make, run
loader = make("shuffled", {workers})
loader.load_state_dict(json.load(sys.stdin))
json.dump(run(loader, 50), sys.stdout)
"""


@pytest.mark.parametrize("workers", ["none", "threads"])
def test_fifty_and_fifty_in_a_new_process_are_a_hundred(workers):
    """100 batches of some passes, without a stop and with one."""
    narae.manual_seed(4)
    loader = make("shuffled", WORKERS[workers])
    found = run(loader, 50)
    folder = str(pathlib.Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=folder, workers=WORKERS[workers])],
        input=json.dumps(loader.state_dict()),
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(SOURCE)),
    )
    assert found + json.loads(done.stdout) == whole("shuffled", WORKERS[workers], 100)
