"""Small tables of whole numbers, and what NumPy says that they compute."""

import dataclasses

import numpy as np

from narae.native.emit import I64
from narae.native.kernel import begin_kernel, finish_kernel, slot_number, slot_pointer
from narae.native.runtime.code import load_kernels
from narae.native.runtime.table import Chain, Entry, Table

ROW = 40  # elements of a buffer


def mix_kernel():
    """Out[p] = 3 x[p] + x[(p + 1) mod pieces] + 1, after `delay` rounds of a loop."""
    f, args, piece, scratch = begin_kernel()
    x, out = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    pieces, delay = slot_number(f, args, 2), slot_number(f, args, 3)
    with f.loop(0, delay, 1, [piece]) as loop:  # through scratch, so that it is not left out
        f.store(f.add(loop.carried[0], loop.index), scratch)
        loop.next = [f.load(scratch, I64)]
    following = f.binary("srem", f.add(piece, f.number(1)), pieces)
    there = f.load(f.at(x, piece, I64), I64)
    beside = f.load(f.at(x, following, I64), I64)
    total = f.add(f.add(f.mul(there, f.number(3)), beside), f.number(1))
    f.store(total, f.at(out, piece, I64))
    return finish_kernel("mix", f, scratch=64)


def bump_kernel():
    """Out[p] = 5 out[p] + x[p]."""
    f, args, piece, _ = begin_kernel()
    x, out = slot_pointer(f, args, 0), slot_pointer(f, args, 1)
    place = f.at(out, piece, I64)
    value = f.mul(f.load(place, I64), f.number(5))
    f.store(f.add(value, f.load(f.at(x, piece, I64), I64)), place)
    return finish_kernel("bump", f)


MIX, BUMP = mix_kernel(), bump_kernel()


class Model:
    """A table in the making, and its meaning."""

    def __init__(self, buffers, seed=0):
        self.values = np.random.default_rng(seed).integers(0, 1000, (buffers, ROW))
        self.phases, self.slots, self.steps = [], [], []

    def entry(self, kernel, x, out, pieces, delay=0):
        """One more kernel of the step that is being written."""
        first = len(self.slots)
        address = self.values.ctypes.data
        stride = self.values.strides[0]
        self.slots += [address + x * stride, address + out * stride, pieces, delay]
        self.steps.append((kernel, x, out, pieces))
        return Entry(dataclasses.replace(kernel, pieces=pieces), first)

    def phase(self, *chains):
        """One more phase; a chain is a list of entries."""
        made = [Chain(tuple(chain), chain[0].kernel.pieces) for chain in chains]
        self.phases.append(made)

    def table(self):
        """The table, ready to run on `values`."""
        table = Table(load_kernels([MIX, BUMP]), self.phases, len(self.slots))
        table.slots[:] = self.slots
        return table

    def expected(self, runs=1):
        """What `values` must be after some runs from now."""
        values = self.values.copy()
        for kernel, x, out, pieces in self.steps * runs:
            source = values[x, :pieces].copy()
            if kernel is MIX:
                values[out, :pieces] = 3 * source + np.roll(source, -1) + 1
            else:
                values[out, :pieces] = 5 * values[out, :pieces] + source
        return values


def random_model(rng, phases, buffers=8, longest=2000):
    """Phases of one to three chains, each of which writes a buffer that no other one uses."""
    model = Model(buffers, int(rng.integers(1 << 30)))
    for _ in range(phases):
        names = list(rng.permutation(buffers))
        chains = []
        for _ in range(int(rng.integers(1, 4))):
            x, out = names.pop(), names.pop()
            pieces = int(rng.choice([1, 2, 3, 7, ROW]))
            delay = int(rng.integers(longest)) if longest else 0
            chain = [model.entry(MIX, x, out, pieces, delay)]
            if rng.integers(2):
                chain.append(model.entry(BUMP, x, out, pieces))
            chains.append(chain)
        model.phase(*chains)
    return model


def small_model(phases=3, delay=0):
    """A few phases of two and three pieces; every one needs the whole one before."""
    model = Model(2)
    for number in range(phases):
        x, out = number % 2, 1 - number % 2
        model.phase([model.entry(MIX, x, out, 2 + number % 2, delay)])
    return model


def check_small(runs=50, **options):
    """Run a small table and compare."""
    model = small_model(**options)
    table, expected = model.table(), model.expected(runs)
    for _ in range(runs):
        table.run(0, len(model.phases))
    np.testing.assert_array_equal(model.values, expected)
