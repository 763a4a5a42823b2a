"""What this machine can do at most, measured: arithmetic, and moving memory.

Reports compare kernels with these two numbers: no kernel can be faster than the *roof*, the
smaller of the peak and of what memory delivers for its bytes (Williams, Waterman and Patterson,
Roofline, 2009).
"""

import time
from functools import cache

import numpy as np

from .emit import F32
from .kernel import Kernel, Machine, begin_kernel, finish_kernel, slot_pointer
from .runtime.code import load_kernels
from .runtime.table import Chain, Entry, Table

ROUNDS = 200_000
MEGABYTES = 48


@cache
def peak_flops(machine: Machine) -> float:
    """Floating-point operations a second of one thread, in float32: nothing but `fma`."""
    kernel = _fma_kernel(machine)
    table = Table(load_kernels([kernel], machine), [[Chain((Entry(kernel, 0),), 1)]], 1)
    room = np.zeros(machine.vector_bytes * 16, np.uint8)
    table.slots[0] = room.ctypes.data
    return kernel.flops / _least_time(lambda: table.run(0, 1))


def _fma_kernel(machine: Machine) -> Kernel:
    """Twelve sums that do not wait for each other."""
    lanes = machine.lanes(4)
    kind = F32.of(lanes)
    f, args, _, _ = begin_kernel()
    place = slot_pointer(f, args, 0)
    x = f.load(place, kind)
    with f.loop(0, ROUNDS, carried=[x] * 12) as loop:
        loop.next = [f.fma(value, x, x) for value in loop.carried]
    for number, value in enumerate(loop.results):
        f.store(value, f.at(place, number * lanes, F32))
    return finish_kernel("peak", f, about="fma", flops=2 * 12 * lanes * ROUNDS)


@cache
def memory_bytes() -> float:
    """Bytes a second that one thread reads and writes, in arrays larger than the caches."""
    source = np.ones(MEGABYTES * 2**18, np.float32)
    target = np.zeros_like(source)
    return 2 * source.nbytes / _least_time(lambda: np.copyto(target, source))


def _least_time(run: object) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        run()  # type: ignore[operator]
        best = min(best, time.perf_counter() - start)
    return best


def roof(flops: int, moved: int, machine: Machine) -> float:
    """The least seconds in which one thread could do so much."""
    return max(flops / peak_flops(machine), moved / memory_bytes())
