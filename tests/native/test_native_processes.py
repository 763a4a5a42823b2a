"""Compiled steps among threads, processes and signals, each in a process of its own.

Planted fault that it has seen: a lock that is not given back after an interrupt.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

START = """
import os, signal, sys, threading, time
import narae
from narae.native.runtime.team import set_threads
narae.set_executor("native")
set_threads(2)
narae.manual_seed(0)
model = narae.nn.Sequential(narae.nn.Linear(64, 256), narae.nn.ReLU(), narae.nn.Linear(256, 64))
optimizer = narae.optim.SGD(model.parameters(), lr=1e-3)
count = narae.zeros(())

@narae.compile
def step(x):
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    count.add_(1)
    return loss.detach()

x = narae.randn(512, 64)
for _ in range(3):
    step(x)
"""


def run(code, timeout=60):
    """The output of a program that begins with a model that was trained for three steps."""
    environment = {**os.environ, "NARAE_EXECUTOR": "native"}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", START + code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_threads_take_turns_and_lose_no_step():
    """Four Python threads call one step; others call steps of their own meanwhile."""
    out = run("""
other = narae.compile(lambda y: (y @ y).sum())
y = narae.ones(300, 300)
other(y)
errors = []

def work(function, argument):
    try:
        for _ in range(20):
            function(argument)
    except BaseException as error:
        errors.append(error)

workers = [threading.Thread(target=work, args=(step, x)) for _ in range(4)]
workers += [threading.Thread(target=work, args=(other, y)) for _ in range(2)]
[t.start() for t in workers]
[t.join() for t in workers]
print(count.item(), errors, other(y).item() == 300.0**3)
""")
    assert out == ["83.0", "[]", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on_with_the_step():
    out = run("""
before = float(step(x))
child = os.fork()
if child == 0:
    losses = [float(step(x)) for _ in range(3)]
    os._exit(0 if losses == sorted(losses, reverse=True) and losses[0] < before else 1)
mine = [float(step(x)) for _ in range(3)]
print(os.waitpid(child, 0)[1], count.item(), mine == sorted(mine, reverse=True))
""")
    assert out == ["0", "7.0", "True"]


def test_a_spawned_process_compiles_for_itself(tmp_path):
    script = tmp_path / "spawned.py"
    script.write_text("""
import multiprocessing
import narae

def work(number):
    narae.set_executor("native")
    step = narae.compile(lambda x: (x * number).sum())
    return step(narae.ones(1000)).item()

if __name__ == "__main__":
    narae.set_executor("native")
    step = narae.compile(lambda x: x * 2)
    step(narae.ones(4))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(*pool.map(work, [1, 2, 3]))
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=90)
    assert done.stdout.split() == ["1000.0", "2000.0", "3000.0"], done.stderr


def test_interrupts_in_the_middle_leave_whole_steps():
    """SIGINT again and again: the parameters are those of as many steps as were counted."""
    out = run("""
def interrupt():
    global armed
    while running:
        time.sleep(0.002)
        if armed:  # one at a time: another one might come while the first is counted
            armed = False
            os.kill(os.getpid(), signal.SIGINT)

seen = 0
running, armed = True, False
signal.signal(signal.SIGINT, signal.default_int_handler)
thread = threading.Thread(target=interrupt, daemon=True)
thread.start()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    try:
        armed = True
        while time.monotonic() < end:
            step(x)
        armed = False
        time.sleep(0.05)
    except KeyboardInterrupt:
        seen += 1
while True:
    try:
        running = False
        thread.join()
        break
    except KeyboardInterrupt:
        pass
steps = int(count.item())
found = [p.detach().numpy().copy() for p in model.parameters()]
narae.manual_seed(0)
fresh = narae.nn.Sequential(narae.nn.Linear(64, 256), narae.nn.ReLU(), narae.nn.Linear(256, 64))
for p, q in zip(model.parameters(), fresh.parameters()):
    p.data.copy_(q.data)
for _ in range(steps):
    step(x)
same = all((p.detach().numpy() == f).all() for p, f in zip(model.parameters(), found))
print(seen > 5, steps > 10, same)
""")
    assert out == ["True", "True", "True"]


def test_python_ends_while_workers_sleep():
    assert run("time.sleep(0.2)\nprint('end')") == ["end"]


def test_python_ends_while_another_thread_runs_a_step():
    out = run("""
def work():
    while True:
        step(x)

threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print('end')
""")
    assert out == ["end"]
