"""Executors: their protocol, which one runs a program, and what that says about itself."""

import os
import subprocess
import sys

import numpy as np
import pytest

import narae
from narae import ir, nn, primitives
from narae.ir.executor import Report
from narae.reference import ReferenceExecutor
from narae.tensors import executors


def x_of(rows=6, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32))


@pytest.fixture
def compilations(monkeypatch):
    """The programs that were really compiled."""
    found, compile_it = [], ReferenceExecutor.compile

    def counted(self, program, updates=()):
        found.append(program)
        return compile_it(self, program, updates)

    monkeypatch.setattr(ReferenceExecutor, "compile", counted)
    return found


def test_freezing_in_turn_compiles_two_programs(compilations):
    """It is traced each time, but a program that was compiled before is used again."""
    narae.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))

    @narae.compile
    def step(x):
        loss = model(x).square().mean()
        loss.backward()
        grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        return loss.detach(), grads

    for frozen in (False, True, False, True, False):
        model[0].requires_grad_(not frozen)
        grads = step(x_of())[1]
        assert [grad is None for grad in grads] == [frozen, frozen, False, False]
    assert step.traces == 5
    assert len(compilations) == 2


def test_nothing_is_written_before_write():
    program = ir.trace(
        lambda a, b: (primitives.add(a, b), primitives.mul(a, 2.0), b),
        [((3,), "float32"), ((3,), "float32")],
    )
    runner = ReferenceExecutor().compile(program, [(1, 0), (2, 0)][:1])
    a, b = np.ones(3, np.float32), np.full(3, 5, np.float32)
    total, updated, same = runner([a, b])
    assert updated is None
    assert total.tolist() == [6.0] * 3 and a.tolist() == [1.0] * 3
    assert same is not b and not np.may_share_memory(same, b)
    runner.write()
    runner.write()
    assert a.tolist() == [2.0] * 3
    assert isinstance(runner.report(), Report) and runner.report().text == str(program)


def test_the_log_on_standard_error():
    code = (
        "import narae\n"
        "factor = 2.0\n"
        "step = narae.compile(lambda x: x * factor)\n"
        "step(narae.ones(2)); step(narae.ones(2)); factor = 3.0; step(narae.ones(2))\n"
    )
    environment = {**os.environ, "NARAE_LOG": "other,compile", "NARAE_EXECUTOR": "reference"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    lines = run.stderr.splitlines()
    assert lines == [
        "narae.compile: traced <lambda> (the first call): 1 operations",
        "narae.compile: <lambda>: the program of an earlier call runs again",
        "narae.compile: traced <lambda> (factor was 2.0, now 3.0): 1 operations",
    ]


# --- who runs it ------------------------------------------------------------------------------


@pytest.fixture
def undecided(monkeypatch):
    monkeypatch.setattr(executors, "_chosen", [None])
    monkeypatch.setattr(executors, "_said", set())
    monkeypatch.setattr(executors, "_made", {"reference": ReferenceExecutor()})
    monkeypatch.delenv("NARAE_EXECUTOR", raising=False)


def test_without_llvmlite_one_line_says_so(undecided, monkeypatch, caplog):
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    for _ in range(2):
        assert narae.compile(lambda x: x + 1)(narae.ones(1)).item() == 2
    (record,) = [r for r in caplog.records if "llvmlite" in r.message]
    assert record.message == (
        "llvmlite is not installed: compiled steps run on NumPy; "
        "pip install 'narae[native]' makes them fast"
    )
    with pytest.raises(RuntimeError, match="llvmlite"):
        narae.set_executor("native")


def test_the_environment_and_set_executor(undecided, monkeypatch):
    monkeypatch.setenv("NARAE_EXECUTOR", "reference")
    assert executors.executor_named(None).name == "reference"
    monkeypatch.setenv("NARAE_EXECUTOR", "quantum")
    with pytest.raises(RuntimeError, match=r"'quantum' was asked for.*reference, native"):
        narae.compile(lambda x: x + 1)(narae.ones(1))
    narae.set_executor("reference")
    assert narae.compile(lambda x: x + 1)(narae.ones(1)).item() == 2
    with pytest.raises(RuntimeError, match="quantum"):
        narae.set_executor("quantum")


class Picky:
    """An executor that cannot multiply, and adds wrongly, so that one sees who ran."""

    name = "native"

    def unsupported(self, operation):
        return "mul is beyond it" if operation.name == "mul" else None

    def compile(self, program, updates=()):
        def run(inputs):
            return [np.full(value.shape, -1, value.dtype) for value in program.outputs]

        run.write = lambda: None
        run.report = lambda: Report("nothing", {})
        return run


def test_what_the_fastest_cannot_run_goes_to_numpy(undecided, monkeypatch):
    monkeypatch.setitem(executors._made, "native", Picky())
    monkeypatch.setattr(executors, "_default_name", lambda: "native")
    assert narae.compile(lambda x: x + 1)(narae.ones(1)).item() == -1
    step = narae.compile(lambda x: x * 2)
    assert step(narae.ones(1)).item() == 2
    assert step.explain(narae.ones(1)).plans[0].executor == "reference"
    with pytest.raises(narae.errors.NotSupportedError, match="mul is beyond it"):
        narae.compile(lambda x: x * 2, executor="native")(narae.ones(1))


def test_set_executor_compiles_again(undecided, monkeypatch):
    step = narae.compile(lambda x: x + 1)
    narae.set_executor("reference")
    assert step(narae.ones(1)).item() == 2
    monkeypatch.setitem(executors._made, "native", Picky())
    narae.set_executor("native")
    assert step(narae.ones(1)).item() == -1
    narae.set_executor("reference")
    assert step(narae.ones(1)).item() == 2


def test_the_number_of_threads_reaches_the_team(monkeypatch):
    class Team:
        count = 0

        def set_threads(self, count):
            self.count = count

    team, before = Team(), narae.get_num_threads()
    monkeypatch.setitem(sys.modules, "narae.native.runtime.team", team)
    try:
        narae.set_num_threads(before + 1)
        assert team.count == before + 1
    finally:
        narae.set_num_threads(before)
