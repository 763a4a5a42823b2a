"""Kernels are loaded without LLVM where that can be, and are the same as those that LLVM loads."""

import ctypes
import operator
import os
import struct
import subprocess
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from narae.native.runtime import cache as rooms
from narae.native.runtime import code as room
from narae.native.runtime import code_facts, code_linking, code_memory, processor
from narae.native.runtime.code import load_functions
from narae.native.runtime.code_compile import compile_text
from narae.native.runtime.code_facts import ask_llvm, llvm_facts
from narae.native.runtime.code_linking import NotSimple, link_simply, linked
from narae.native.runtime.machine import feature_text, host_machine

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not code_memory.IS_X86_64, reason="for Linux on x86-64")

# Constants in two sections, a distance to a table, calls of the C library.
TEXT = """
@table = private constant [4 x i64] [i64 3, i64 1, i64 4, i64 1]
declare double @pow(double, double)
declare double @fmod(double, double)
define internal i64 @looked_up(i64 %i) noinline #0 {
  %place = getelementptr i64, ptr @table, i64 %i
  %value = load i64, ptr %place
  ret i64 %value
}
define double @mixed(double %x, i64 %i) #0 {
  %n = call i64 @looked_up(i64 %i)
  %y = sitofp i64 %n to double
  %z = call double @pow(double %x, double %y)
  %w = call double @fmod(double %z, double 0x4008CCCCCCCCCCCD)
  %v = call double @pow(double %w, double 0x3FF4CCCCCCCCCCCD)
  ret double %v
}
"""


def image_of(text):
    features = feature_text(host_machine())
    marks = f'attributes #0 = {{ nounwind "target-features"="{features}" }}'
    return compile_text(f"{text}\n{marks}\n", features)


def mixed(address):
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_int64)(address)


def pages(address):
    """What may be done with the memory at an address, as Linux lists it."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, *_ = line.split()
        low, high = (int(x, 16) for x in place.split("-"))
        if low <= address < high:
            return rights
    return ""


# --- linking --------------------------------------------------------------------------------


def test_the_same_results_as_by_llvm():
    unit = room._Unit(TEXT, ("mixed",))
    image = image_of(TEXT)
    mine = mixed(link_simply({"k": image})["k"]["mixed"])
    room._link_by_llvm({"test of linking": unit}, {"test of linking": image})
    theirs = mixed(room._loaded.pop("test of linking")["mixed"])
    for x in (0.7, 1.9, 31.0):
        found = [mine(x, i) for i in range(4)]
        assert found == [theirs(x, i) for i in range(4)]
        expected = [np.fmod(x**n, 3.1) ** 1.3 for n in (3, 1, 4, 1)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def adding(number):
    """Stores eight numbers, after code whose length depends on `number`."""
    more = "".join(f"  %y{n + 1} = xor i64 %y{n}, {3**n << 20}\n" for n in range(number))
    return f"""
define i64 @f(ptr %place, i64 %y0) #0 {{
  store <8 x float> <float 1.0, float 2.0, float 3.0, float 5.0,
                     float 7.0, float 11.0, float 13.0, float 17.0>, ptr %place, align 4
{more}  ret i64 %y{number}
}}"""


def test_several_images():
    """Each has its own symbols, and memory that is run and read, never written."""
    found = link_simply({str(n): image_of(adding(n)) for n in range(12)})
    for number in range(12):
        address, room = found[str(number)]["f"], np.zeros(8, np.float32)
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)(address)
        expected = reduce(operator.xor, (3**n << 20 for n in range(number)), 100)
        assert function(room.ctypes.data, 100) == expected
        assert room.tolist() == [1, 2, 3, 5, 7, 11, 13, 17]
        assert pages(address).startswith("r-x")
        assert address % 16 == 0


NOT_SIMPLE = {
    "tables for exceptions": "define void @f() { ret void }",
    "memory that is written": """
@count = internal global i64 5
define i64 @f() #0 {
  %old = load i64, ptr @count
  %new = add i64 %old, 1
  store i64 %new, ptr @count
  ret i64 %new
}""",
    "the address of a function": """
declare i64 @labs(i64)
define ptr @f() #0 {
  ret ptr @labs
}""",
    "no such function": """
declare i64 @narae_has_no_such_function()
define i64 @f() #0 {
  %x = call i64 @narae_has_no_such_function()
  ret i64 %x
}""",
}


@pytest.mark.parametrize("name", NOT_SIMPLE)
def test_what_is_left_to_llvm(name):
    image = image_of(NOT_SIMPLE[name])
    with pytest.raises(NotSimple):
        linked(image)
    simple = image_of(TEXT)
    assert set(link_simply({"other": image, "simple": simple})) == {"simple"}


def test_llvm_loads_what_is_not_simple():
    address = load_functions(NOT_SIMPLE["memory that is written"], ["f"])["f"]
    count = ctypes.CFUNCTYPE(ctypes.c_int64)(address)
    first = count()
    assert [count(), count()] == [first + 1, first + 2]


def test_distances_of_another_kind():
    """64 bits from nowhere: an address, which depends on where the code is."""
    image = bytearray(image_of(TEXT))
    (table,) = [x for x in code_linking._sections(bytes(image)) if x.kind == 4]
    offset, info, addend = code_linking._RELOCATION.unpack_from(image, table.offset)
    assert info & 0xFFFFFFFF in (2, 4)
    code_linking._RELOCATION.pack_into(image, table.offset, offset, info >> 32 << 32 | 1, addend)
    with pytest.raises(NotSimple):
        linked(bytes(image))


def test_images_for_others():
    """Another processor, another kind of file, no file at all."""
    image = bytearray(image_of(TEXT))
    for offset, value in ((18, 183), (16, 3)):  # 64-bit ARM; a shared library
        changed = bytearray(image)
        struct.pack_into("<H", changed, offset, value)
        with pytest.raises(NotSimple):
            linked(bytes(changed))
    with pytest.raises(NotSimple):
        linked(b"MZ" + bytes(100))


def test_a_system_that_refuses(monkeypatch):
    """LLVM is asked then."""
    monkeypatch.setattr(code_linking, "placed", lambda code: None)
    assert link_simply({"k": image_of(TEXT)}) == {}
    monkeypatch.setattr(room, "_loaded", {})
    assert mixed(load_functions(TEXT, ["mixed"])["mixed"])(2.0, 1) == pytest.approx(2.0**1.3)


# --- without LLVM ---------------------------------------------------------------------------

SCRIPT = """
import numpy as np
from pathlib import Path
import narae
narae.set_num_threads(2)
step = narae.compile(lambda x: (x @ x).relu().softmax(1).sum(0), executor="native")
x = np.linspace(-1.0, 1.0, 300 * 300, dtype=np.float32).reshape(300, 300)
print(step(narae.from_numpy(x)).numpy().tobytes().hex())
print("libllvmlite" in Path("/proc/self/maps").read_text())
"""


def test_the_second_process_does_not_load_llvm(tmp_path):
    environment = {**os.environ, "NARAE_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    answers = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    (first, loaded), (second, loaded_again) = (answer.split() for answer in answers)
    assert first == second and len(first) == 300 * 8
    assert (loaded, loaded_again) == ("True", "False")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, and a process that has not asked LLVM."""
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path))
    monkeypatch.setattr(rooms, "_reported", set())
    llvm_facts.cache_clear()
    yield tmp_path / "native"
    llvm_facts.cache_clear()


def test_the_facts_are_what_llvm_says(folder, monkeypatch):
    expected = ask_llvm()
    assert llvm_facts() == expected
    (path,) = folder.iterdir()
    llvm_facts.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(code_facts, "ask_llvm", lambda: pytest.fail("LLVM was asked again"))
        assert llvm_facts() == expected
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    llvm_facts.cache_clear()
    assert llvm_facts() == expected
    assert expected.processor == "x86_64"


def test_other_facts_where_anything_is_different(folder, monkeypatch):
    keys = {code_facts._key()}
    answers = processor.processor_answers()
    for number, answer in enumerate(answers):
        changed = (*answers[:number], (*answer[:-1], answer[-1] ^ 1), *answers[number + 1 :])
        with monkeypatch.context() as patch:
            patch.setattr(code_facts, "processor_answers", lambda changed=changed: changed)
            keys.add(code_facts._key())
    with monkeypatch.context() as patch:
        patch.setattr("llvmlite.__version__", "99")
        keys.add(code_facts._key())
    assert len(keys) == len(answers) + 2
    with monkeypatch.context() as patch:
        patch.setattr(code_facts, "processor_answers", lambda: None)
        assert code_facts._key() is None
        assert llvm_facts() == ask_llvm()
    assert not folder.exists()


def test_every_core_gives_the_same_answers():
    cores = os.sched_getaffinity(0)
    found = set()
    try:
        for core in cores:
            os.sched_setaffinity(0, {core})
            found.add(processor.processor_answers())
    finally:
        os.sched_setaffinity(0, cores)
    assert len(found) == 1


def test_the_answers_are_what_linux_lists():
    """Bits of the first and the seventh question, by their numbers in Intel's manual."""
    text = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0]
    flags = set(text.replace(":", " ").split())
    answers = {answer[:2]: answer[2:] for answer in processor.processor_answers()[2:]}
    _, one_ecx, one_edx = answers[1, 0]
    _, seven_ebx, seven_ecx, _ = answers[7, 0]
    for name, word, bit in [
        ("sse2", one_edx, 26),
        ("fma", one_ecx, 12),
        ("avx", one_ecx, 28),
        ("avx2", seven_ebx, 5),
        ("avx512f", seven_ebx, 16),
        ("avx512bw", seven_ebx, 30),
        ("avx512_vnni", seven_ecx, 11),
    ]:
        assert (name in flags) == bool(word >> bit & 1), name
