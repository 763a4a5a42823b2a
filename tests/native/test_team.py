"""The thread team: every piece once, phases in order, whatever the threads are doing.

Tables of whole numbers are compared with NumPy. Each phase reads what other pieces of the phase
before have written, so a piece that is lost, run twice or run too early gives other numbers.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from narae.base.errors import ConfigError
from narae.native.kernel import begin_kernel, finish_kernel
from narae.native.runtime import team, team_code
from narae.native.runtime.code import load_kernels
from narae.native.runtime.machine import available_cores
from narae.native.runtime.table import Chain, Entry, Table
from tests.native.table_making import MIX, Model, check_small, random_model, small_model

ROOT = Path(__file__).parents[2]
has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NARAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _threads():
    yield
    team.set_threads(available_cores())


def run_script(text, timeout=60, **options):
    """Run Python in a process of its own; its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", text]
    done = subprocess.run(
        command, env=environment, timeout=timeout, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- right results --------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_random_tables(threads):
    team.set_threads(threads)
    rng = np.random.default_rng(threads)
    for _ in range(60):
        model = random_model(rng, phases=int(rng.integers(1, 12)))
        table, expected = model.table(), model.expected(2)
        table.run(0, len(model.phases))
        table.run(0, len(model.phases))
        np.testing.assert_array_equal(model.values, expected)


@pytest.mark.parametrize("threads", [2, 5, 12])
def test_many_short_runs(threads):
    team.set_threads(threads)
    model = small_model()
    table, expected = model.table(), model.expected(20_000 if threads == 2 else 4_000)
    for _ in range(20_000 if threads == 2 else 4_000):
        table.run(0, 3)
    np.testing.assert_array_equal(model.values, expected)


def test_runs_with_pauses_between():
    """Workers that fall asleep at every possible moment around the next run."""
    team.set_threads(3)
    model = small_model(delay=300)
    table, expected = model.table(), model.expected(1500)
    rng = np.random.default_rng(0)
    for pause in rng.uniform(0, 150e-6, 1500):
        end = time.perf_counter() + pause
        while time.perf_counter() < end:
            pass
        table.run(0, 3)
    np.testing.assert_array_equal(model.values, expected)


def test_a_part_of_the_phases():
    team.set_threads(2)
    model = random_model(np.random.default_rng(7), phases=9)
    table, expected = model.table(), model.expected()
    for first, last in [(0, 2), (2, 2), (2, 3), (3, 9)]:
        table.run(first, last)
    np.testing.assert_array_equal(model.values, expected)
    with pytest.raises(ValueError, match="phases 3 … 9 of 9"):
        table.run(3, 10)


def test_tables_that_end_while_workers_are_late():
    """Each table's memory is freed at once, and filled with other things."""
    team.set_threads(5)
    for number in range(1500):
        model = small_model(phases=2)
        expected = model.expected()
        table = model.table()
        table.run(0, 2)
        np.testing.assert_array_equal(model.values, expected)
        del table
        np.full(64, number, np.int64)


def test_no_pieces_and_no_phases():
    team.set_threads(2)
    model = Model(2)
    model.phase([model.entry(MIX, 0, 1, 0)])
    model.phase()
    before = model.values.copy()
    model.table().run(0, 2)
    model.table().run(2, 2)
    np.testing.assert_array_equal(model.values, before)


def test_what_a_table_refuses():
    code = load_kernels([MIX])
    with pytest.raises(ValueError, match="has 1 pieces, its chain 2"):
        Table(code, [[Chain((Entry(MIX, 0),), 2)]], 4)
    with pytest.raises(ValueError, match="slot 9 of 4"):
        Table(code, [[Chain((Entry(MIX, 9),), 1)]], 4)
    with pytest.raises(ConfigError, match="0 threads"):
        team.set_threads(0)


def test_status_and_scratch():
    """Every thread has its own scratch memory, 64-byte aligned and as large as was asked for."""
    team.set_threads(4)
    f, args, piece, scratch = begin_kernel()
    from narae.native.emit import I8, I64, PTR

    out = f.load(args, PTR)
    address = f.convert("ptrtoint", scratch, I64)
    f.store(address, f.at(out, piece, I64))
    size = 1 << 20
    f.store(f.const(1, I8), f.at(scratch, size - 1, I8))
    kernel = finish_kernel("scratch", f, pieces=64, scratch=size)
    table = Table(load_kernels([kernel]), [[Chain((Entry(kernel, 0),), 64)]], 1)
    found = np.zeros(64, np.int64)
    table.slots[0] = found.ctypes.data
    table.run(0, 1)
    assert found.all()
    assert not (found % 64).any()
    used = np.unique(found)
    assert (np.diff(used) >= size).all()
    assert table.status.dtype == np.int32
    assert table.status_address == table.status.ctypes.data


def test_timing_gives_the_same_results():
    model = random_model(np.random.default_rng(3), phases=5, longest=20_000)
    expected, table = model.expected(2), model.table()
    table.run(0, 1)
    seconds = [*table.run_timed(1, 5), *table.run_timed(0, 5)]
    np.testing.assert_array_equal(model.values, expected)
    assert len(seconds) == len(model.steps) + len(model.steps) - len(model.phases[0][0].entries) - (
        sum(len(chain.entries) for chain in model.phases[0][1:])
    )
    assert min(seconds) > 0


def test_work_is_shared():
    """More than one thread runs long pieces: each has its own scratch memory."""
    from narae.native.emit import I64, PTR

    team.set_threads(2)
    f, args, piece, scratch = begin_kernel()
    with f.loop(0, 3_000_000, 1, [piece]) as loop:
        f.store(f.add(loop.carried[0], loop.index), scratch)
        loop.next = [f.load(scratch, I64)]
    f.store(f.convert("ptrtoint", scratch, I64), f.at(f.load(args, PTR), piece, I64))
    kernel = finish_kernel("where", f, pieces=8, scratch=64)
    table = Table(load_kernels([kernel]), [[Chain((Entry(kernel, 0),), 8)]], 1)
    found = np.zeros(8, np.int64)
    table.slots[0] = found.ctypes.data
    threads = set()
    for _ in range(5):
        table.run(0, 1)
        threads |= set(found.tolist())
    assert len(threads) == 2


def wait_until_all_sleep(threads, seconds=20):
    """Wait for the workers of a team: the first byte of a seat says whether its thread sleeps."""
    seats = [team_code.SEAT + k * team_code.SEAT_BYTES for k in range(1, threads.size)]
    end = time.monotonic() + seconds
    while not all(threads._memory[seat + team_code.SEAT_ASLEEP] for seat in seats):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told where threads may run")
@pytest.mark.parametrize("size", [2, available_cores() + 1])
def test_threads_wake_on_another_processor(size):
    """A woken thread stays off the processor of who wakes it, if there are enough of them."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one processor")
    team.set_threads(size)
    threads, table = team.current_team(), random_model(np.random.default_rng(0), phases=1).table()
    try:
        for here in sorted(allowed)[:2] * 2:
            os.sched_setaffinity(0, {here})
            wait_until_all_sleep(threads)
            threads.run(table._address, 0, 1, table.scratch)
            found = [os.sched_getaffinity(thread.native_id) for thread in threads._threads]
            assert found == [allowed - {here} if size <= len(allowed) else allowed] * (size - 1)
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("kind", ["futex", "pthread"])
def test_sleeping_and_waking_at_every_moment(kind):
    """Threads that hardly spin fall asleep while others look whom to wake: nobody sleeps on."""
    if sys.platform == "win32" or (kind == "futex" and sys.platform != "linux"):
        pytest.skip("not how threads sleep on this system")
    script = f"""
from narae.native.runtime import team
from narae.native.runtime import team_waiting
if {kind!r} == "pthread":
    team_waiting._SLEEPING.clear()
team._spins = lambda: 1
from tests.native.table_making import check_small
for threads in (2, 3):
    team.set_threads(threads)
    for delay in range(0, 400, 10):
        check_small(runs=200, delay=delay)
"""
    run_script(script)


@pytest.mark.parametrize(
    ("platform", "triple", "call"),
    [
        ("linux", "x86_64-unknown-linux-gnu", "@syscall(i64 202, "),
        ("linux", "aarch64-unknown-linux-gnu", "@syscall(i64 98, "),
        ("darwin", "arm64-apple-darwin", "@pthread_cond_wait("),
        ("win32", "x86_64-pc-windows-msvc", "@WaitOnAddress("),
    ],
)
def test_the_team_compiles_for_every_system(platform, triple, call):
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    text = team_code.team_text(platform, triple.partition("-")[0])
    assert call in text
    module = binding.parse_assembly(f"{text}\nattributes #0 = {{ nounwind }}\n")
    module.verify()
    try:
        target = binding.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this LLVM was built without {triple}")
    assert target.create_target_machine(reloc="pic").emit_object(module)


# --- more than one user of the team ---------------------------------------------------------


def test_two_python_threads_at_once():
    team.set_threads(3)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(25):
                model = random_model(rng, phases=5)
                table, expected = model.table(), model.expected(20)
                for _ in range(20):
                    table.run(0, 5)
                np.testing.assert_array_equal(model.values, expected)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for count in (1, 4, 2):  # and the team is replaced meanwhile
        team.set_threads(count)
        time.sleep(0.05)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures


def in_child(action, timeout=30.0):
    """Fork, and do something in the child; whether it went well."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def check_child():
    """A child has threads of its own."""
    check_small()
    made = team.current_team()
    assert made is not None
    assert all(thread.is_alive() for thread in made._threads)


@has_fork
@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_fork(pause):
    """After a fork, while the workers spin and while they sleep, both sides go on."""
    team.set_threads(2)
    for _ in range(10):
        check_small(delay=500)
        time.sleep(pause)
        assert in_child(check_child)
        check_small()


@has_fork
def test_fork_beside_a_run():
    """The child of a fork has no team, even if another thread was using it."""
    team.set_threads(2)
    stop = threading.Event()

    def work():
        model = small_model(phases=50, delay=2000)
        table = model.table()
        while not stop.is_set():
            table.run(0, 50)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(0.02)
        results = [in_child(check_child) for _ in range(15)]
    finally:
        stop.set()
        thread.join()
    assert all(results)
    check_small()


@has_fork
def test_a_child_compiles_and_loads():
    def work():
        f, *_ = begin_kernel()
        kernel = finish_kernel("empty", f, pieces=2)
        Table(load_kernels([kernel]), [[Chain((Entry(kernel, 0),), 2)]], 0).run(0, 1)
        check_small()

    check_small()
    assert in_child(work)


# --- beginning and ending -------------------------------------------------------------------


def test_a_program_ends_while_workers_spin():
    script = """
from tests.native.table_making import check_small
from narae.native.runtime import team
team.set_threads(4)
check_small(delay=100)
print("done")
"""
    for _ in range(2):
        assert run_script(script) == "done\n"


def test_a_program_ends_while_a_daemon_runs():
    script = """
import threading, time
from tests.native.table_making import small_model
from narae.native.runtime import team
team.set_threads(3)
def work():
    model = small_model(phases=50, delay=1000)
    table = model.table()
    while True:
        table.run(0, 50)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("done")
"""
    for _ in range(2):
        assert run_script(script) == "done\n"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_ctrl_c_waits_for_the_run():
    script = """
import os, signal, threading
import numpy as np
from tests.native.table_making import small_model
from narae.native.runtime import team
team.set_threads(2)
model = small_model(phases=4, delay=100_000_000)
table, expected = model.table(), model.expected()
threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    table.run(0, 4)
    print("no interrupt")
except KeyboardInterrupt:
    np.testing.assert_array_equal(model.values, expected)
    expected = model.expected()
    table.run(0, 4)
    np.testing.assert_array_equal(model.values, expected)
    print("interrupted")
"""
    assert run_script(script) == "interrupted\n"


def test_spawn():
    script = """
import multiprocessing
from tests.native.table_making import check_small
from narae.native.runtime import team
if __name__ == "__main__":
    team.set_threads(2)
    check_small()
    process = multiprocessing.get_context("spawn").Process(target=check_small)
    process.start()
    process.join(50)
    print(process.exitcode)
    check_small()
"""
    assert run_script(script) == "0\n"


def test_threads_that_cannot_be_started(monkeypatch):
    started = []
    start = threading.Thread.start

    def refuse(thread):
        if started and thread.name.startswith("narae-"):
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    team.set_threads(4)
    check_small()
    assert len(started) == 1
    assert not started[0].is_alive()
    assert team.current_team() is None


def test_busy_neighbours():
    """A busy process on every core may take its part, but runs must not wait for it each time."""
    model = Model(2)
    for number in range(20):
        model.phase([model.entry(MIX, number % 2, 1 - number % 2, 8, 5000)])
    table = model.table()
    busy = "import time; end = time.time() + 20\nwhile time.time() < end: pass"
    neighbours = [
        subprocess.Popen([sys.executable, "-c", busy]) for _ in range(min(4, available_cores()))
    ]
    try:
        time.sleep(0.3)
        seconds = {1: [], 2: []}
        for _ in range(3):
            for threads, times in seconds.items():
                team.set_threads(threads)
                start = time.perf_counter()
                for _ in range(300):
                    table.run(0, 20)
                times.append(time.perf_counter() - start)
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert min(seconds[2]) < 4 * min(seconds[1])
