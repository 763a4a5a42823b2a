"""Kernels become addresses: compiled once, kept on the disk, found if nothing differs."""

import ctypes
import dataclasses
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from narae.base.errors import ConfigError
from narae.native.emit import F32, F64, I64, Function
from narae.native.kernel import Kernel, begin_kernel, finish_kernel, slot_pointer
from narae.native.runtime import code as room
from narae.native.runtime import code_compile, code_spread
from narae.native.runtime.code import load_functions, load_kernels
from narae.native.runtime.code_facts import llvm_facts
from narae.native.runtime.machine import (
    available_cores,
    feature_text,
    host_features,
    host_machine,
    machine_of,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, and a process that has not loaded anything, but knows what LLVM says."""
    llvm_facts()
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path))
    monkeypatch.setattr(room, "_loaded", {})
    return tmp_path / "native"


def adding(number, size=1):
    """A kernel that adds a number to the element of its piece; `size` makes its text longer."""
    f, args, piece, _ = begin_kernel()
    place = f.at(slot_pointer(f, args, 0), piece, I64)
    value = f.load(place, I64)
    for _ in range(size):
        value = f.add(value, f.number(number))
    f.store(value, place)
    return finish_kernel("adding", f, pieces=4)


def call(code, kernel, array, piece=0):
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    slots = np.array([array.ctypes.data], np.uint64)
    function(code.address(kernel.name))(slots.ctypes.data, piece, None)
    return array


# --- loading --------------------------------------------------------------------------------


def test_compiled_loaded_found_again(monkeypatch, folder):
    kernels = [adding(number) for number in (3, 4, 3)]
    code = load_kernels(kernels)
    assert (code.compiled, code.from_cache) == (2, 0)
    assert code.seconds > 0
    assert call(code, kernels[0], np.arange(3), 2).tolist() == [0, 1, 5]
    assert call(code, kernels[1], np.arange(3), 1).tolist() == [0, 5, 2]
    again = load_kernels(kernels)
    assert (again.compiled, again.from_cache) == (0, 0)
    assert again.addresses == code.addresses
    monkeypatch.setattr(room, "_loaded", {})
    later = load_kernels([*kernels, adding(5)])
    assert (later.compiled, later.from_cache) == (1, 2)
    assert call(later, kernels[1], np.arange(3), 1).tolist() == [0, 5, 2]
    assert len(list(folder.iterdir())) == 3


def test_no_kernels(folder):
    assert load_kernels([]).addresses == {}
    assert not folder.exists()


def test_functions_of_the_process():
    """Functions of the C library are found."""
    f, args, piece, _ = begin_kernel()
    place = f.at(slot_pointer(f, args, 0), piece, F32)
    value = f.call("expf", F32, f.load(place, F32))
    wide = f.call("pow", F64, f.convert("fpext", value, F64), f.const(3.0, F64))
    f.store(f.convert("fptrunc", wide, F32), place)
    kernel = finish_kernel("library", f)
    found = call(load_kernels([kernel]), kernel, np.array([0.5], np.float32))
    np.testing.assert_allclose(found, math.exp(0.5) ** 3, rtol=1e-6)


def helped(number):
    helper = Function("helper", [("x", I64)], I64)
    helper.ret(helper.add(helper.arguments[0], helper.number(number)))
    f, args, piece, _ = begin_kernel()
    place = f.at(slot_pointer(f, args, 0), piece, I64)
    f.store(f.call("helper", I64, f.load(place, I64)), place)
    return finish_kernel("helped", f, helpers=[helper])


def test_helpers_of_the_same_name():
    kernels = [helped(10), helped(20)]
    code = load_kernels(kernels)
    assert [call(code, kernel, np.zeros(1, np.int64))[0] for kernel in kernels] == [10, 20]


def test_what_cannot_be_compiled(capfd):
    broken = Kernel("broken", "define void @broken() #0 {\n  no such thing\n}", frozenset())
    with pytest.raises(RuntimeError, match="expected instruction opcode"):
        load_kernels([broken])
    f, _, _, _ = begin_kernel()
    f.call("narae_has_no_such_function", I64)
    with pytest.raises(RuntimeError, match="missing_"):
        load_kernels([finish_kernel("missing", f)])
    assert "narae_has_no_such_function" in capfd.readouterr().err
    kernel = adding(6)  # what follows is not harmed
    assert call(load_kernels([kernel]), kernel, np.zeros(1, np.int64))[0] == 6


def test_functions_that_are_no_kernels():
    text = "define i64 @twice(i64 %x) #0 {\n  %y = add i64 %x, %x\n  ret i64 %y\n}"
    address = load_functions(text, ["twice"])["twice"]
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(21) == 42


def test_threads_that_load_at_once():
    kernels = [adding(number) for number in range(12)]
    failures = []

    def work(start):
        try:
            for number in range(12):
                kernel = kernels[(start + number) % 12]
                found = call(load_kernels([kernel]), kernel, np.zeros(1, np.int64))[0]
                assert found == kernels.index(kernel)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 4, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


# --- the key --------------------------------------------------------------------------------


def test_everything_that_matters_is_in_the_key(monkeypatch):
    import llvmlite

    facts = llvm_facts()
    other_version = dataclasses.replace(facts, version="99.0.0")
    other_system = dataclasses.replace(facts, triple="x86_64-unknown-freebsd")

    def key():
        room._salt.cache_clear()
        return room._key(room._unit(kernel), machine)

    kernel, machine = adding(1), host_machine()
    keys = [key()]
    for owner, name, value in [
        (sys.modules["narae"], "__version__", "99"),
        (llvmlite, "__version__", "99"),
        (room, "llvm_facts", lambda: other_version),
        (room, "llvm_facts", lambda: other_system),
        (room, "RECIPE", "another"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            keys.append(key())
    kernel = adding(2)
    keys.append(key())
    machine = machine_of(host_features(), 128)
    keys.append(key())
    machine = dataclasses.replace(machine, features=machine.features - {"sse4.2"} | {"x"})
    keys.append(key())
    assert len(set(keys)) == len(keys)
    room._salt.cache_clear()


def test_a_new_version_compiles_again(monkeypatch):
    load_kernels([adding(7)])
    monkeypatch.setattr(room, "_loaded", {})
    monkeypatch.setattr(room, "RECIPE", "another")
    room._salt.cache_clear()
    code = load_kernels([adding(7)])
    room._salt.cache_clear()
    assert (code.compiled, code.from_cache) == (1, 0)


def test_a_damaged_file_is_compiled_again(monkeypatch, folder):
    kernel = adding(8)
    load_kernels([kernel])
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    for expected in [(1, 0), (0, 1)]:
        monkeypatch.setattr(room, "_loaded", {})
        code = load_kernels([kernel])
        assert (code.compiled, code.from_cache) == expected
        assert call(code, kernel, np.zeros(1, np.int64))[0] == 8


def test_two_processes_at_once(tmp_path):
    script = """
from tests.native.test_code import adding, call
from narae.native.runtime.code import load_kernels
import numpy as np
kernels = [adding(number) for number in range(30)]
code = load_kernels(kernels)
print([int(call(code, kernel, np.zeros(1, np.int64))[0]) for kernel in kernels] == list(range(30)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NARAE_CACHE": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", script]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == [b"True\n"] * 2


# --- more than one process that compiles ----------------------------------------------------


@pytest.fixture
def spread(monkeypatch):
    """Compiling is spread at once; the processes that were started."""
    started = []
    start = code_spread._start

    def noted(*arguments):
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(code_spread, "_SECONDS_PER_BYTE", 1.0)
    monkeypatch.setattr(code_spread, "available_cores", lambda: 3)
    monkeypatch.setattr(code_spread, "_start", noted)
    return started


def check_kernels(count=12, size=60):
    kernels = [adding(number, size) for number in range(count)]
    code = load_kernels(kernels)
    assert code.compiled == count
    found = [call(code, kernel, np.zeros(1, np.int64))[0] for kernel in kernels]
    assert found == [number * size for number in range(count)]


def test_spread_over_processes(spread):
    check_kernels(60, 400)
    assert len(spread) == 2
    assert all(process.returncode is not None for process in spread)


def test_the_same_code_from_a_process(spread):
    """What another process compiles is what this one compiles, byte for byte."""
    texts = {str(n): room._module(room._unit(adding(n, 300)), host_machine()) for n in range(3)}
    features = feature_text(host_machine())
    process = code_spread._start(code_spread._command())
    try:
        code_compile.send(process.stdin, code_spread._settings(features))
        for text in texts.values():
            code_compile.send(process.stdin, text.encode())
            image = code_compile.receive(process.stdout)
            assert image == b"1" + code_compile.compile_text(text, features)
        code_compile.send(process.stdin, b"nonsense")
        assert code_compile.receive(process.stdout)[:1] == b"0"
    finally:
        process.stdin.close()
        assert process.wait(20) == 0
        process.stdout.close()


def test_processes_that_die(spread, monkeypatch):
    start = code_spread._start

    def killed(*arguments):
        process = start(*arguments)
        process.kill()
        return process

    monkeypatch.setattr(code_spread, "_start", killed)
    check_kernels()
    assert len(spread) == 2


def test_processes_that_hang(spread, monkeypatch):
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(code_spread, "_command", lambda: silent)
    monkeypatch.setattr(code_spread, "_PATIENCE", 0.2)
    check_kernels()
    assert len(spread) == 2


def test_processes_that_cannot_start(spread, monkeypatch):
    monkeypatch.setattr(code_spread, "_command", lambda: ["no/such/program"])
    check_kernels()
    monkeypatch.setattr(code_spread, "_command", lambda: None)
    monkeypatch.setattr(room, "_loaded", {})
    load_kernels([adding(9)])


def test_a_program_that_embeds_python(monkeypatch):
    for program in ("", None, os.path.join("bin", "blender")):
        monkeypatch.setattr(sys, "executable", program)
        assert code_spread._command() is None


def test_a_broken_text_among_many(spread):
    broken = Kernel("broken", "define void @broken() #0 {\n  no such thing\n}", frozenset())
    with pytest.raises(RuntimeError, match="expected instruction opcode"):
        load_kernels([broken, *(adding(number) for number in range(5))])
    assert all(process.returncode is not None for process in spread)


# --- the machine ----------------------------------------------------------------------------


def flags():
    """What Linux says about the processor."""
    text = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0]
    return set(text.replace(":", " ").split())


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="no /proc/cpuinfo")
def test_the_host(monkeypatch):
    monkeypatch.delenv("NARAE_VECTOR_BITS", raising=False)
    has, machine = flags(), host_machine()
    if not has:
        pytest.skip("flags are named as on x86 only")
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= has:
        assert (machine.vector_bytes, machine.registers) == (64, 32)
    elif {"avx2", "fma"} <= has:
        assert (machine.vector_bytes, machine.registers) == (32, 16)
    assert ("fma" in machine.features) == ("fma" in has)
    assert ("avx512bf16" in machine.features) == ("avx512_bf16" in has)


def test_narrower_vectors(monkeypatch):
    wide = frozenset({"sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "amx-tile"})
    middle, narrow = machine_of(wide, 256), machine_of(wide, 128)
    assert (middle.vector_bytes, middle.registers) == (32, 16)
    assert middle.features == {"sse2", "avx", "avx2", "fma", "f16c"}
    assert (narrow.vector_bytes, narrow.registers) == (16, 16)
    assert narrow.features == {"sse2"}
    assert machine_of(frozenset({"neon"}), 128).registers == 32
    monkeypatch.setenv("NARAE_VECTOR_BITS", "128")
    assert host_machine().vector_bytes == 16
    monkeypatch.setenv("NARAE_VECTOR_BITS", "100")
    with pytest.raises(ConfigError, match="use 128, 256 or 512"):
        host_machine()
    with pytest.raises(ConfigError, match="vectors of 512 bits were asked for"):
        from narae.native.runtime import machine

        machine._machine(wide - {"avx512vl"}, "512")


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_the_features_are_used(bits):
    """A sum of products becomes one fused instruction exactly where the machine has it."""
    if bits > host_machine().vector_bytes * 8:
        pytest.skip("the processor has no such vectors")
    machine = host_machine(bits)
    kind = F32.of(machine.lanes(4))
    f, args, _, _ = begin_kernel()
    x = f.load(slot_pointer(f, args, 0), kind)
    f.store(f.fma(x, x, x), slot_pointer(f, args, 0))
    kernel = finish_kernel("fused", f)
    x = np.arange(1, 17, dtype=np.float32)
    call(load_kernels([kernel], machine), kernel, x)
    count = machine.lanes(4)
    start = np.arange(1, 17, dtype=np.float32)
    np.testing.assert_array_equal(x[:count], (start * start + start)[:count])
    np.testing.assert_array_equal(x[count:], start[count:])


def test_cores():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
