"""Workers of a loader, threads and processes: the same batches, and what happens when one fails.

Row G10: "workers on Linux/mac/Windows without `__main__` guard".
"""

# ruff: noqa: NPY002 - the global streams of NumPy are what some tests are about

from __future__ import annotations

import gc
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import narae
from narae.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    WeightedRandomSampler,
    WorkerError,
    get_worker_info,
)

SOURCE = pathlib.Path(narae.__file__).parents[1]
FORK = {"multiprocessing_context": "fork"}
needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
SHARED = pathlib.Path("/dev/shm")
KINDS = [pytest.param({}, id="threads"), pytest.param(FORK, id="fork", marks=needs_fork)]


def left_behind():
    """Blocks of shared memory that have a name."""
    return sorted(path.name for path in SHARED.glob("narae_*")) if SHARED.is_dir() else []


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = left_behind()
    yield
    gc.collect()
    assert left_behind() == before
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("narae-data")]


DRAW = {
    "narae": lambda: float(narae.rand((), dtype=narae.float64)),
    "numpy": np.random.standard_normal,  # the second of each pair waits in NumPy
    "random": random.random,
}


class Noisy(Dataset):
    """Draws from each of the three libraries of random numbers that a data set may use."""

    def __init__(self, sources=("narae", "numpy", "random"), length=30):
        self.sources, self.length = sources, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return index, *(DRAW[source]() for source in self.sources)


def passes(dataset, count=2, seed=5, **options):
    narae.manual_seed(seed)
    loader = DataLoader(dataset, **{"batch_size": 4, "shuffle": True, **options})
    return [[as_plain(batch) for batch in loader] for _ in range(count)]


def as_plain(value):
    """Tensors as lists, structures as they are."""
    if isinstance(value, narae.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: as_plain(each) for key, each in value.items()}
    return [as_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def rows(batches):
    """All samples, in the order of their index."""
    return sorted(sample for batch in batches for sample in zip(*batch, strict=True))


# --- random numbers inside a data set ---------------------------------------------------------


@needs_fork
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_processes_give_the_batches_of_no_workers(workers, persistent):
    """G10: numbers drawn inside the data set included, from all three libraries."""
    options = {"num_workers": workers, "persistent_workers": persistent, **FORK}
    assert passes(Noisy(), **options) == passes(Noisy())


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_give_the_batches_of_no_workers(workers):
    """G10: numbers that Narae draws inside the data set included; without a main guard."""
    dataset = Noisy(("narae",))
    assert passes(dataset, num_workers=workers) == passes(dataset)


@settings(max_examples=12)
@given(
    batch_size=st.none() | st.integers(1, 9),
    shuffle=st.booleans(),
    workers=st.integers(1, 4),
    length=st.integers(1, 20),
    ahead=st.integers(1, 3),
)
def test_any_number_of_threads(batch_size, shuffle, workers, length, ahead):
    dataset = Noisy(("narae",), length)
    options = {"batch_size": batch_size, "shuffle": shuffle}
    found = passes(dataset, num_workers=workers, prefetch_factor=ahead, **options)
    assert found == passes(dataset, **options)


def test_what_a_sample_draws_depends_on_its_index_alone():
    """Not on the size of the batches, nor on the order of the samples."""
    usual = rows(passes(Noisy(), 1)[0])
    assert rows(passes(Noisy(), 1, batch_size=7)[0]) == usual
    assert rows(passes(Noisy(), 1, shuffle=False)[0]) == usual
    part = Subset(Noisy(), list(range(10, 20)))
    assert rows(passes(part, 1, batch_size=3)[0]) == usual[10:20]


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"num_workers": 3, **FORK}, marks=needs_fork)]
)
def test_no_number_comes_twice(options):
    """Not between samples, workers or passes: with NumPy's stream that is a famous accident."""
    drawn = [row for one in passes(Noisy(length=100), 3, **options) for row in rows(one)]
    for column in zip(*drawn, strict=True):
        expected = 100 if isinstance(column[0], int) else 300
        assert len(set(column)) == expected


class Late(Dataset):
    """Draws from NumPy's stream for its later samples only, and counts what it is asked for."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 20

    def __getitem__(self, index):
        self.asked.append(index)
        return np.random.rand() if index >= 12 else float(index)


class Early(Late):
    """Draws for each sample."""

    def __getitem__(self, index):
        self.asked.append(index)
        return np.random.rand()


def batches_of(dataset, **options):
    narae.manual_seed(1)
    return [batch.tolist() for batch in DataLoader(dataset, 4, **options)]


def test_samples_are_fetched_once_unless_a_later_batch_is_the_first_to_draw():
    early = Early()
    found = batches_of(early)
    assert early.asked == list(range(20))
    assert batches_of(Early()) == found
    late = Late()
    found = batches_of(late)
    assert late.asked == [*range(16), *range(12, 20)]
    for _ in range(2):  # now it is known that the class draws
        late = Late()
        assert batches_of(late) == found
        assert late.asked == list(range(20))


def test_a_sample_that_is_drawn_again_is_another():
    """Sampling with replacement does not repeat what was drawn for a sample."""
    sampler = WeightedRandomSampler([1.0, 5.0], 40)
    drawn = [row[1:] for row in rows(passes(Noisy(), 1, shuffle=None, sampler=sampler)[0])]
    assert len(set(drawn)) == 40
    again = passes(Noisy(), 1, shuffle=None, sampler=WeightedRandomSampler([1.0, 5.0], 40))
    assert [row[1:] for row in rows(again[0])] == drawn


def test_data_sets_side_by_side_draw_each_for_itself():
    stack = StackDataset(a=Noisy(), b=Noisy())
    narae.manual_seed(0)
    batch = next(iter(DataLoader(stack, batch_size=5)))
    assert batch["a"][0].tolist() == batch["b"][0].tolist() == [0, 1, 2, 3, 4]
    assert not set(batch["a"][1].tolist()) & set(batch["b"][1].tolist())


def test_the_streams_of_the_program_are_not_touched():
    """Neither where they are nor the normal number that waits in NumPy's."""

    def drawn(fetch):
        narae.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        loader = DataLoader(Noisy(), batch_size=4)
        found = []
        for index, _ in zip(range(5), loader if fetch else range(5), strict=False):
            found += [np.random.standard_normal() for _ in range(1 + index % 2)]
            found.append(random.random())
        return found

    assert drawn(True) == drawn(False)


def test_a_generator_of_numpy_of_another_kind_is_left_alone():
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))
    try:
        expected = np.random.PCG64(3).random_raw()
        list(DataLoader(Noisy(("random",)), batch_size=4))
        assert np.random.get_bit_generator().random_raw() == expected
    finally:
        np.random.set_bit_generator(before)


def test_threads_warn_of_streams_that_they_share():
    with pytest.warns(UserWarning, match=r"Noisy draws from `numpy\.random` in a thread worker"):
        passes(Noisy(("numpy",)), 1, num_workers=1)
    with pytest.warns(UserWarning, match="Noisy draws from `random` .* use processes"):
        passes(Noisy(("random",)), 1, num_workers=1)


class Seeding(Noisy):
    """Uses all that a generator can do."""

    def __getitem__(self, index):
        first = float(narae.rand(()))
        state = narae.get_rng_state()
        second = float(narae.randn(()))
        narae.set_rng_state(state)
        with narae.fork_rng():
            third = float(narae.randn(()))
        narae.manual_seed(index)
        return index, first, second, third, float(narae.rand(())), narae.initial_seed()


def test_a_data_set_may_seed_and_store_the_generator():
    narae.manual_seed(9)
    state = narae.get_rng_state().tolist()
    (batch,) = DataLoader(Seeding(length=6), batch_size=6, num_workers=1)
    index, first, second, third, seeded, seed = (x.tolist() for x in batch)
    assert second == third
    assert len(set(first)) == 6
    assert seed == index
    for place, number in enumerate(seeded):
        assert float(narae.rand((), generator=narae.Generator().manual_seed(place))) == number
    narae.manual_seed(9)
    assert narae.get_rng_state().tolist() == state


class NoisyStream(IterableDataset):
    def __init__(self, length=11):
        self.length = length

    def __iter__(self):
        info = get_worker_info()
        shares = (
            range(self.length) if info is None else range(info.id, self.length, info.num_workers)
        )
        for index in shares:
            yield index, random.random(), np.random.rand(), float(narae.rand(()))


@needs_fork
def test_streams_draw_alike_in_a_worker():
    alone = passes(NoisyStream(), shuffle=None)
    assert passes(NoisyStream(), shuffle=None, num_workers=1, **FORK) == alone
    several = passes(NoisyStream(), shuffle=None, num_workers=3, **FORK)
    drawn = [row for one in several for row in rows(one)]
    assert len({row[1:] for row in drawn}) == len(drawn) == 22


# --- what a batch may hold ---------------------------------------------------------------------


class Everything(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {
            "large": narae.full((60, 50 * (index + 1)), float(index)),
            "half": narae.ones(300, 100).bfloat16() * index,
            "transposed": narae.arange(20_000).reshape(100, 200).T + index,
            "none": narae.zeros(0, 3),
            "grad": narae.ones(2, requires_grad=True),
            "text": f"sample {index}",
            "pair": (index, np.float32(index) / 2),
            "array": np.full((100, 100), index, np.uint8),
            "complexity": [True, {"deep": index}],
        }


@pytest.mark.parametrize("options", KINDS)
def test_batches_of_all_kinds_arrive_whole(options):
    """Blocks of shared memory grow with the samples, and serve again."""
    alone = [as_plain(batch) for batch in DataLoader(Everything(), batch_size=None)]
    loader = DataLoader(Everything(), batch_size=None, num_workers=2, **options)
    batches = list(loader)  # all are alive at once
    assert [as_plain(batch) for batch in batches] == alone
    assert batches[3]["half"].dtype is narae.bfloat16
    assert batches[3]["grad"].requires_grad
    batches[0]["large"] += 1.0  # and may be written to
    assert batches[1]["large"][0, 0].item() == 1.0


# --- the life of workers ----------------------------------------------------------------------


class Where(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        info = get_worker_info()
        return index, os.getpid(), info.id, info.num_workers, info.seed


@needs_fork
def test_processes_know_who_they_are():
    started = multiprocessing.get_context("fork").SimpleQueue()

    def init(worker):
        started.put((worker, narae.initial_seed() - get_worker_info().seed))

    loader = DataLoader(Where(), num_workers=2, worker_init_fn=init, **FORK)
    index, pids, ids, counts, seeds = zip(*([x.item() for x in b] for b in loader), strict=True)
    assert list(index) == list(range(8))
    assert list(ids) == [0, 1] * 4
    assert set(counts) == {2}
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    assert seeds[1] == seeds[0] + 1
    assert sorted(started.get() for _ in range(2)) == [(0, 0), (1, 0)]
    assert get_worker_info() is None


@pytest.mark.parametrize("options", KINDS)
def test_persistent_workers_stay(options):
    calls = multiprocessing.get_context().SimpleQueue()
    loader = DataLoader(
        Where(), num_workers=2, persistent_workers=True, worker_init_fn=calls.put, **options
    )
    first = [[x.item() for x in batch] for batch in loader]
    second = [[x.item() for x in batch] for batch in loader]
    assert [row[1] for row in first] == [row[1] for row in second]
    assert [row[4] for row in first] != [row[4] for row in second]  # another seed
    assert sorted(calls.get() for _ in range(2)) == [0, 1]
    assert calls.empty()


@pytest.mark.parametrize("options", KINDS)
def test_a_pass_that_is_given_up_does_not_disturb_the_next(options):
    loader = DataLoader(range(20), 2, num_workers=2, persistent_workers=True, **options)
    for _ in range(3):
        old = iter(loader)
        next(old)
    assert [batch.tolist() for batch in loader] == [[2 * i, 2 * i + 1] for i in range(10)]
    with pytest.raises(RuntimeError, match="a newer one began"):
        next(old)


class Broken(Dataset):
    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 7:
            self.how()
        return narae.full((200, 200), float(index))


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(one, two, lambda: None)


def raise_key_error():
    raise KeyError("no such picture")


def raise_odd_error():
    raise OddError(1, 2)


def fail(how, **options):
    """The error, and how many batches came before it."""
    batches, count = iter(DataLoader(Broken(how), num_workers=2, **{**FORK, **options})), 0
    try:
        for _ in batches:
            count += 1
    except Exception as error:
        return error, count
    return None, count


@needs_fork
def test_an_error_in_a_process_brings_its_traceback_and_sample():
    error, count = fail(raise_key_error)
    assert count == 7
    assert type(error) is KeyError
    assert error.args == ("no such picture",)
    assert error.__notes__ == [
        "while fetching sample 7 of Broken",
        "in worker 1 of a DataLoader",
    ]
    assert "in raise_key_error" in str(error.__cause__)
    error, _ = fail(raise_odd_error)
    assert isinstance(error, WorkerError)
    assert "OddError" in str(error)
    assert "while fetching sample 7 of Broken" in error.__notes__


@needs_fork
def test_a_pass_goes_on_after_an_error():
    batches = iter(DataLoader(Broken(raise_key_error), num_workers=2, **FORK))
    found = []
    for _ in range(12):
        try:
            found.append(next(batches)[0, 0, 0].item())
        except KeyError:
            found.append(None)
    assert found == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None, 8.0, 9.0, 10.0, 11.0]


@needs_fork
@pytest.mark.parametrize("persistent", [False, True])
def test_a_killed_worker_is_named(persistent):
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    error, count = fail(die, persistent_workers=persistent)
    assert count == 7
    assert isinstance(error, RuntimeError)
    assert "worker 1 (process " in str(error)
    assert "was killed by SIGKILL" in str(error)
    assert "smaller batch_size" in str(error)
    error, _ = fail(lambda: os._exit(3))
    assert "worker 1 (process " in str(error)
    assert "ended with exit code 3" in str(error)


@needs_fork
def test_a_loader_with_a_dead_crew_hires_another():
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    loader = DataLoader(Broken(die), num_workers=2, persistent_workers=True, **FORK)
    for _ in range(2):
        with pytest.raises(WorkerError):
            list(loader)


@needs_fork
def test_samples_of_unequal_shape_are_named_by_a_process():
    samples = [narae.zeros(2), narae.zeros(2), narae.zeros(3)]
    with pytest.raises(ValueError, match=r"sample 2 is \(3,\)") as caught:
        list(DataLoader(samples, batch_size=3, num_workers=1, **FORK))
    assert caught.value.__notes__[0] == "the batch holds the samples 0, 1, 2 of list"


@needs_fork
def test_a_wait_for_a_process_can_be_limited():
    begun = time.monotonic()
    error, count = fail(lambda: time.sleep(30), timeout=0.3)
    assert count == 7
    assert isinstance(error, RuntimeError)
    assert "timed out: worker 1 gave no batch within 0.3 seconds" in str(error)
    assert time.monotonic() - begun < 15


@needs_fork
def test_requests_larger_than_a_pipe():
    """Indices and small results that fill the pipe both ways do not block each other."""
    indices = list(range(40_000))
    loader = DataLoader(range(40_000), batch_sampler=[indices] * 6, num_workers=1, **FORK)
    assert [batch.numel() for batch in loader] == [40_000] * 6


@needs_fork
def test_a_process_is_forked_while_threads_work():
    threads = iter(DataLoader(Noisy(("narae",), 2000), num_workers=3))
    for _ in range(3):
        next(threads)
        assert passes(Noisy(), 1, num_workers=2, **FORK) == passes(Noisy(), 1)


@needs_fork
def test_a_lock_that_a_thread_holds_does_not_stop_a_forked_worker():
    """A thread compiles while the worker is forked; the worker compiles too."""
    held, done = threading.Event(), threading.Event()

    def slow(x):
        held.set()
        done.wait(20)
        return x + 1

    class Compiling(Noisy):
        def __getitem__(self, index):
            return narae.compile(lambda x: x * 2)(narae.ones(2))

    thread = threading.Thread(target=lambda: narae.compile(slow)(narae.ones(2)))
    thread.start()
    held.wait(20)
    try:
        loader = DataLoader(Compiling(length=2), num_workers=1, timeout=15, **FORK)
        assert next(iter(loader)).tolist() == [[2.0, 2.0]]
    finally:
        done.set()
        thread.join()


def test_what_spawn_cannot_take_along_is_named():
    loader = DataLoader(
        range(4), num_workers=1, collate_fn=lambda x: x, multiprocessing_context="spawn"
    )
    with pytest.raises(ValueError, match=r"cannot be started by 'spawn'.*collate_fn.*threads"):
        iter(loader)


@pytest.mark.parametrize("given_context", ["threads", 3, "Fork"])
def test_ways_of_starting_that_do_not_exist(given_context):
    with pytest.raises(ValueError, match="multiprocessing_context is"):
        DataLoader(range(4), num_workers=1, multiprocessing_context=given_context)
    with pytest.raises(ValueError, match="num_workers=0"):
        DataLoader(range(4), multiprocessing_context="spawn")


# --- whole programs ---------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, time
import numpy as np
import narae
from narae.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 1000

    def __getitem__(self, index):
        time.sleep(PAUSE)
        return np.random.rand(200, 200) if KIND else narae.rand(200, 200)

def run():
    narae.manual_seed(0)
    options = {"multiprocessing_context": KIND} if KIND else {}
    batches = iter(DataLoader(Slow(), batch_size=2, num_workers=2, **options))
    first = [round(float(next(batches).mean()), 6) for _ in range(3)]
    print(*first, flush=True)
    return batches

GUARD
    batches = run()
    ENDING
"""


def program(kind="", ending="pass", pause=0.0, guard="if True:"):
    settings = f"KIND, PAUSE = {kind!r}, {pause}\n"
    text = textwrap.dedent(PROGRAM).replace("GUARD", guard).replace("ENDING", ending)
    return settings + text


def start(arguments, **options):
    environment = dict(os.environ, PYTHONPATH=str(SOURCE), OMP_NUM_THREADS="1")
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
        **options,
    )


def from_stdin(text):
    process = start(["-"], stdin=subprocess.PIPE)
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("kind", ["", pytest.param("fork", marks=needs_fork)])
def test_a_program_on_stdin_without_a_main_guard(kind):
    """G10: no main guard is needed, nor even a file, as in a notebook; nothing is printed."""
    code, out, err = from_stdin(program(kind))
    assert (code, err) == (0, "")
    assert len(out.split()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spawn", "forkserver"])
def test_a_program_with_a_main_guard_may_spawn(kind, tmp_path):
    """G10: the ways of starting that mac and Windows have give the batches of a fork."""
    path = tmp_path / "program.py"
    path.write_text(program(kind, guard="if __name__ == '__main__':"))
    process = start([str(path)])
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert out == from_stdin(program("fork"))[1]


@pytest.mark.slow
def test_spawning_without_a_main_guard_says_what_is_missing(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(program("spawn"))
    process = start([str(path)])
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "__main__" in err


@pytest.mark.parametrize("kind", ["", pytest.param("fork", marks=needs_fork)])
def test_ctrl_c_stops_at_once(kind):
    """While the program waits for a batch: no hang, one traceback, no memory, no process left."""
    text = program(kind, "time.sleep(0.2); [next(batches) for _ in range(500)]", pause=0.3)
    process = start(["-c", text])
    process.stdout.readline()
    time.sleep(0.4)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.strip().endswith("KeyboardInterrupt")
    assert_group_is_gone(process.pid)


ENDINGS = ["1 / 0", "batches = None", "pass", "sys.exit(3)", "os.kill(os.getpid(), signal.SIGTERM)"]


@needs_fork
@pytest.mark.parametrize(
    "ending", [ENDINGS[0], *(pytest.param(end, marks=pytest.mark.slow) for end in ENDINGS[1:])]
)
def test_however_a_program_ends_its_workers_do_too(ending):
    process = start(["-c", program("fork", ending)])
    process.communicate(timeout=30)
    assert_group_is_gone(process.pid)


@needs_fork
def test_workers_end_when_the_program_is_killed():
    process = start(["-c", program("fork", "time.sleep(60)")])
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=30)
    assert_group_is_gone(process.pid)


def alive(group):
    """The processes of a group that have not ended (those that nobody has waited for have)."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it ended meanwhile
        if int(number) == group and state != "Z":
            found.append(path.parent.name)
    return found


def assert_group_is_gone(group):
    """No process of the group runs any more, and none left shared memory behind."""
    deadline = time.monotonic() + 20
    while alive(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    if alive(group):
        os.killpg(group, signal.SIGKILL)
        pytest.fail("a worker outlived the program")
    assert left_behind() == []


def test_an_import_in_a_worker_stays_light():
    """A spawned worker imports the loader, and no library beside NumPy."""
    code = (
        "import sys, narae.data.process_main\n"
        "print(sorted({'torch', 'PIL', 'matplotlib', 'scipy', 'pandas'} & sys.modules.keys()))"
    )
    process = start(["-c", code])
    assert process.communicate(timeout=60)[0].strip() == "[]"
