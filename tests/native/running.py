"""Kernels on their own: compiled, loaded, and called piece by piece from Python."""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from narae.native.kernel import Kernel, Machine
from narae.native.products.kernels import Lowered
from narae.native.runtime.machine import host_features

_ALIGNMENT = 64


def machine_of(vector_bytes: int, registers: int | None = None) -> Machine:
    """This machine, with vectors as wide as asked for."""
    default = 32 if vector_bytes == 64 else 16
    return Machine(vector_bytes, host_features(), registers or default)


def join(kernels: Sequence[Kernel], machine: Machine) -> str:
    """One module of several kernels."""
    unique = {kernel.name: kernel for kernel in kernels}
    texts = [kernel.text for kernel in unique.values()]
    own = set(re.findall(r"^define \S+ (@\S+?)\(", "\n".join(texts), re.MULTILINE))
    declared = sorted(set().union(*(kernel.declarations for kernel in kernels)))
    declared = [text for text in declared if text.split("(")[0].split()[-1] not in own]
    bits = machine.vector_bytes * 8
    marks = f'nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
    return "\n\n".join([*declared, *texts, f"attributes #0 = {{ {marks} }}"]) + "\n"


@dataclass
class Loaded:
    """Kernels as callable functions."""

    functions: dict[str, ctypes._CFuncPtr]
    compile_seconds: float
    assembly: str
    keep: list[object] = field(default_factory=list)


def load(kernels: Sequence[Kernel], machine: Machine, assembly: bool = False) -> Loaded:
    """Compile kernels and load them."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = ",".join(f"+{name}" for name in sorted(machine.features))
    target = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu="", features=features, opt=2, reloc="pic", codemodel="small", jit=True
    )
    text = join(kernels, machine)
    listing = target.emit_assembly(llvm.parse_assembly(text)) if assembly else ""
    start = time.thread_time()
    module = llvm.parse_assembly(text)
    module.verify()
    image = target.emit_object(module)
    seconds = time.thread_time() - start
    jit = llvm.create_lljit_compiler(target)
    builder = llvm.JITLibraryBuilder().add_object_img(image)
    for kernel in kernels:
        builder.export_symbol(kernel.name)
    library = builder.add_current_process().link(jit, "kernels")
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    found = {k.name: kind(library[k.name]) for k in kernels}
    return Loaded(found, seconds, listing, [library, jit, target])


def aligned(size: int) -> np.ndarray:
    """Bytes that begin at a multiple of 64."""
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]


def run(
    loaded: Loaded,
    kernel: Kernel,
    addresses: Sequence[int],
    threads: int = 1,
    pieces: Sequence[int] | None = None,
) -> None:
    """Call a kernel for all its pieces (or some), each thread taking the next one that is left."""
    function = loaded.functions[kernel.name]
    args = (ctypes.c_int64 * max(1, len(addresses)))(*addresses)
    place = ctypes.addressof(args)
    if threads == 1:
        scratch = aligned(kernel.scratch)
        for piece in range(kernel.pieces) if pieces is None else pieces:
            function(place, piece, scratch.ctypes.data)
        return
    left = iter(range(kernel.pieces) if pieces is None else pieces)

    def work() -> None:
        scratch = aligned(kernel.scratch)
        for piece in left:
            function(place, piece, scratch.ctypes.data)

    team = [threading.Thread(target=work) for _ in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()


def run_product(
    loaded: Loaded,
    lowered: Lowered,
    buffers: dict[str, np.ndarray],
    threads: int = 1,
    only: int | None = None,
) -> None:
    """Run all stages of a product, or just one piece of the last; temporaries begin as NaN."""
    places = {name: array.ctypes.data for name, array in buffers.items()}
    keep = {}
    for name, size in lowered.temporaries.items():
        keep[name] = aligned(size)
        keep[name][:] = 0xFF
        places[name] = keep[name].ctypes.data
    for stage in lowered.stages:
        pieces = [only] if only is not None and stage is lowered.stages[-1] else None
        run(loaded, stage.kernel, [places[slot] for slot in stage.slots], threads, pieces)
