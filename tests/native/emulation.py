"""Kernels for 64-bit ARM, run by an emulator: cross-compiled, linked with a driver, and called.

It stands in for `Compiled` (nests) and for `load` and `run_product` (products), so that the tests
of this processor's kernels are those of the other one's.
"""

import functools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from narae.ir import Program
from narae.native.kernel import Kernel, Machine
from narae.native.plan.buffers import Buffer
from narae.native.plan.expand import expand
from narae.native.plan.lowering import Lowering
from narae.native.plan.scheduling import schedule
from narae.native.products.kernels import Lowered
from narae.native.runtime import code
from narae.native.runtime.machine import feature_text, machine_of

Array = np.ndarray[Any, Any]
TRIPLE = "aarch64-unknown-linux-gnu"
LINKER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
# What every 64-bit ARM processor has, and what newer ones have besides.
NEON = machine_of(frozenset({"neon", "fp-armv8"}), 128)
NEWER = machine_of(NEON.features | {"fullfp16", "bf16", "dotprod", "lse", "rdm", "sve"}, 128)

# Buffers end where memory ends that may be touched; so does scratch memory, which holds NaN at the
# start of every piece. Pieces run from the last to the first: any order is right.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef void kernel(int64_t *args, int64_t piece, char *scratch);
extern kernel *const kernels[];

static void check(int right, const char *what) {
    if (!right) { perror(what); exit(3); }
}

static int64_t number(FILE *file) {
    int64_t out;
    check(fread(&out, 8, 1, file) == 1, "number");
    return out;
}

static char *guarded(int64_t size) {
    const int64_t page = 65536, inner = (size + page - 1) / page * page;
    char *at = mmap(0, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at != MAP_FAILED, "mmap");
    if (inner) check(mprotect(at + page, inner, PROT_READ | PROT_WRITE) == 0, "mprotect");
    return at + page + inner - size;
}

int main(int count, char **names) {
    FILE *in = fopen(names[1], "rb"), *out = fopen(names[2], "wb");
    check(count == 3 && in && out, "files");
    const int64_t buffers = number(in);
    int64_t *sizes = calloc(buffers + 1, 8), args[256];
    char **memory = calloc(buffers + 1, 8);
    for (int64_t i = 0; i < buffers; i++) {
        sizes[i] = number(in);
        memory[i] = guarded(sizes[i]);
        check(fread(memory[i], 1, sizes[i], in) == (size_t)sizes[i], "buffer");
    }
    char *scratch_end = guarded(1 << 24) + (1 << 24);
    for (int64_t calls = number(in); calls > 0; calls--) {
        kernel *which = kernels[number(in)];
        const int64_t first = number(in), pieces = number(in), slots = number(in);
        const int64_t size = (number(in) + 63) / 64 * 64;
        check(size <= 1 << 24 && slots <= 256, "limits");
        for (int64_t i = 0; i < slots; i++) {
            const int64_t buffer = number(in), value = number(in);
            args[i] = buffer < 0 ? value : (int64_t)memory[buffer] + value;
        }
        for (int64_t piece = first + pieces - 1; piece >= first; piece--) {
            memset(scratch_end - size, 0xFF, size);
            which(args, piece, scratch_end - size);
        }
    }
    for (int64_t i = 0; i < buffers; i++) fwrite(memory[i], 1, sizes[i], out);
    return fclose(out) != 0;
}
"""


def has_target() -> bool:
    """Whether LLVM writes code for 64-bit ARM."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        return bool(llvm.Target.from_triple(TRIPLE))
    except RuntimeError:
        return False


def missing() -> list[str]:
    """The programs that running needs and that are not there."""
    return [name for name in (LINKER, EMULATOR) if shutil.which(name) is None]


@functools.lru_cache
def _target(machine: Machine) -> Any:
    """As `code_compile.target_machine`, for the other processor."""
    import llvmlite.binding as llvm

    assert has_target()
    return llvm.Target.from_triple(TRIPLE).create_target_machine(
        cpu="", features=feature_text(machine), opt=2, reloc="pic", codemodel="small", jit=True
    )


def _module(kernel: Kernel, machine: Machine) -> Any:
    import llvmlite.binding as llvm

    text = code._module(code._unit(kernel), machine)
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    return module


def assembly(kernel: Kernel, machine: Machine) -> str:
    """A kernel in the other processor's language."""
    return str(_target(machine).emit_assembly(_module(kernel, machine)))


class Call(NamedTuple):
    """A kernel on slots (arrays, whole numbers, or an array and a byte in it), and its pieces."""

    kernel: Kernel
    slots: Sequence[Any]
    first: int
    pieces: int


# --- running --------------------------------------------------------------------------------------


@functools.cache
def _driver() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """The compiled driver, and the folder that keeps it until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="narae-arm-")
    source, out = Path(folder.name, "driver.c"), Path(folder.name, "driver.o")
    source.write_text(DRIVER)
    _call(LINKER, "-O1", "-c", str(source), "-o", str(out))
    return folder, out


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stderr)


class Linked:
    """A program of the driver and some kernels."""

    def __init__(self, kernels: Sequence[Kernel], machine: Machine) -> None:
        unique = {kernel.name: kernel for kernel in kernels}
        self._folder = tempfile.TemporaryDirectory(prefix="narae-arm-")
        self.path = Path(self._folder.name)
        self._numbers = {name: number for number, name in enumerate(unique)}
        files = [self.path / f"{name}.o" for name in unique]
        for file, kernel in zip(files, unique.values(), strict=True):
            file.write_bytes(_target(machine).emit_object(_module(kernel, machine)))
        table = self.path / "table.c"
        declared = "".join(f"extern char {name}[];\n" for name in unique)
        table.write_text(f"{declared}void *const kernels[] = {{{', '.join([*unique, '0'])}}};\n")
        _call(LINKER, "-static", str(table), str(_driver()[1]), *map(str, files), "-lm", "-o",
              str(self.path / "program"))  # fmt: skip

    def run(self, calls: Sequence[Call]) -> None:
        """Call kernels, one after the other, and write what they wrote into the arrays."""
        every = (x[0] for call in calls for x in map(_place, call.slots) if x[0] is not None)
        arrays = list({id(x): x for x in every}.values())
        numbers = {id(x): number for number, x in enumerate(arrays)}
        data = [_words(len(arrays)), *(_words(x.nbytes) + x.tobytes() for x in arrays)]
        data.append(_words(len(calls)))
        for kernel, slots, first, pieces in calls:
            number = self._numbers[kernel.name]
            data.append(_words(number, first, pieces, len(slots), kernel.scratch))
            for array, value in map(_place, slots):
                data.append(_words(-1 if array is None else numbers[id(array)], value))
        self._emulate(b"".join(data), arrays)

    def _emulate(self, data: bytes, arrays: Sequence[Array]) -> None:
        program, before, after = (self.path / name for name in ("program", "before", "after"))
        before.write_bytes(data)
        _call(EMULATOR, "-cpu", "max", str(program), str(before), str(after))
        raw, start = after.read_bytes(), 0
        for x in arrays:
            x[...] = np.frombuffer(raw, x.dtype, x.size, start).reshape(x.shape)
            start += x.nbytes
        assert start == len(raw)


def _place(slot: Any) -> tuple[Array | None, int]:
    """The array and the byte in it that a slot points to; or no array, and a number."""
    if isinstance(slot, tuple):
        return slot
    return (slot, 0) if isinstance(slot, np.ndarray) else (None, int(slot))


def _words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


# --- in place of what runs on this processor ------------------------------------------------------


class Emulated:
    """As `nest_running.Compiled`."""

    def __init__(self, kernel: Kernel, machine: Machine, level: int = 2) -> None:
        self.kernel, self.program = kernel, Linked([kernel], machine)

    def run(self, slots: list[Any], pieces: int = 0) -> None:
        """Run all pieces; slots are arrays or whole numbers."""
        self.program.run([Call(self.kernel, slots, 0, pieces or self.kernel.pieces)])


def load(kernels: Sequence[Kernel], machine: Machine) -> Linked:
    """As `running.load`."""
    return Linked(kernels, machine)


def run_product(
    program: Linked,
    lowered: Lowered,
    buffers: dict[str, Array],
    threads: int = 1,
    only: int | None = None,
) -> None:
    """As `running.run_product`."""
    memory = dict(buffers)
    for name, size in lowered.temporaries.items():
        memory[name] = np.full(size, 0xFF, np.uint8)
    calls = []
    for stage in lowered.stages:
        is_part = only is not None and stage is lowered.stages[-1]
        first, pieces = (only or 0, 1) if is_part else (0, stage.kernel.pieces)
        calls.append(Call(stage.kernel, [memory[slot] for slot in stage.slots], first, pieces))
    program.run(calls)


@contextmanager
def emulated() -> Iterator[None]:
    """Inside, the checks of nests and of products run on the other processor."""
    from tests.native import test_nest, test_product

    with (
        mock.patch.object(test_nest, "Compiled", Emulated),
        mock.patch.object(test_product, "load", load),
        mock.patch.object(test_product, "run_product", run_product),
    ):
        yield


# --- whole programs -------------------------------------------------------------------------------


def kernels_of(program: Program, machine: Machine) -> list[Kernel]:
    """The kernels of a program."""
    phases = schedule(Lowering(expand(program), (), machine).run().tasks).phases
    return [step.kernel for phase in phases for chain in phase.chains for step in chain.steps]


def run_program(program: Program, arrays: Sequence[Array], machine: Machine) -> list[Any]:
    """The outputs of a program whose kernels the emulator runs; NumPy runs the rest as always."""
    expanded = expand(program)
    lowered = Lowering(expanded, (), machine).run()
    phases = schedule(lowered.tasks).phases
    steps = [step for phase in phases for chain in phase.chains for step in chain.steps]
    linked, memory = Linked([step.kernel for step in steps], machine), _Memory(arrays)
    calls: list[Call] = []
    for phase in phases:
        if phase.host is not None:
            linked.run(calls)
            calls = []
            assert phase.host.host is not None
            phase.host.host(memory)
        for step in (step for chain in phase.chains for step in chain.steps):
            calls.append(Call(step.kernel, [memory.slot(x) for x in step.slots], 0, step.pieces))
    linked.run(calls)
    assert memory.status[0] == 0
    outputs = zip(lowered.outputs, expanded.outputs, strict=True)
    return [
        np.array(value) if buffer is None else memory(buffer)[: value.size].reshape(value.shape)
        for buffer, value in outputs
    ]


class _Memory:
    """An array for every buffer; NaN where nothing was written yet."""

    def __init__(self, inputs: Sequence[Array]) -> None:
        self._inputs = [x.flatten() for x in inputs]
        self.status = np.zeros(16, np.int32)
        self._arrays: dict[Buffer, Array] = {}

    def __call__(self, buffer: Buffer) -> Array:
        if buffer.whole is not None:
            return self(buffer.whole)[buffer.start : buffer.start + buffer.size]
        if buffer not in self._arrays:
            self._arrays[buffer] = self._new(buffer)
        return self._arrays[buffer]

    def _new(self, buffer: Buffer) -> Array:
        if buffer.kind == "input":
            return self._inputs[buffer.index]
        if buffer.kind == "constant":
            return np.array(buffer.array).reshape(-1)
        if buffer.kind == "status":
            return self.status
        return np.full(buffer.bytes, 0xFF, np.uint8).view(buffer.dtype)

    def slot(self, item: Buffer | int) -> Any:
        """What a slot holds: a number, or a buffer's array and the byte where it begins."""
        if not isinstance(item, Buffer):
            return item
        return self(item.whole or item), item.start * item.dtype.itemsize
