"""The native executor: a program becomes a table of kernels, which one call runs."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.ir import Program, Value
from narae.ir.executor import Array, Report, Update

from .emit import I32
from .kernel import Machine, begin_kernel, finish_kernel, slot_pointer
from .plan.arena import Arena, PackedArena
from .plan.buffers import Buffer, Step
from .plan.expand import expand
from .plan.host_calls import Memory
from .plan.lowering import Lowering
from .plan.scheduling import ChainOf, Phase, Scheduled, lifetimes, schedule
from .plan.sharing import takeovers
from .report import report_of
from .runtime.code import Code, load_kernels
from .runtime.machine import host_machine
from .runtime.table import Chain, Entry, Table

DONE = 1  # the status word that the last kernel sets
_NOWHERE = -1


class OutOfRange(IndexError):
    """An index or a label was outside of what it points into; nothing was written."""


class NativeExecutor:
    """Machine code through LLVM, for the processor this runs on."""

    name = "native"

    def __init__(
        self,
        machine: Machine | None = None,
        arena: Callable[[Any, Any], Arena] = PackedArena,
    ) -> None:
        self.machine = machine or host_machine()
        self._arena = arena

    def compile(self, program: Program, updates: Sequence[Update] = ()) -> "NativeRunner":
        """Machine code for a program, ready to run."""
        return NativeRunner(build(program, updates, self.machine), self._arena)

    def unsupported(self, operation: Any) -> str | None:
        """Everything has machine code or falls back on NumPy."""
        return None


@dataclass(frozen=True)
class Built:
    """A program that was lowered, scheduled and compiled, without memory yet."""

    program: Program
    expanded: Program
    updates: tuple[Update, ...]
    lowered: Lowering
    scheduled: Scheduled
    code: Code
    machine: Machine


def build(program: Program, updates: Sequence[Update], machine: Machine) -> Built:
    """All passes, one after the other."""
    expanded = expand(program)
    lowered = Lowering(expanded, updates, machine).run()
    scheduled = schedule(lowered.tasks)
    if updates:
        end = Phase(len(scheduled.phases), [note_of_end(lowered.status)])
        scheduled.phases.append(end)
    kernels = [
        step.kernel for phase in scheduled.phases for chain in phase.chains for step in chain.steps
    ]
    code = load_kernels(kernels, machine)
    return Built(program, expanded, tuple(updates), lowered, scheduled, code, machine)


def note_of_end(status: Buffer) -> ChainOf:
    """A kernel that sets the status word which says that everything was done."""
    f, args, _, _ = begin_kernel()
    f.store(f.const(1, I32), f.at(slot_pointer(f, args, 0), DONE, I32))
    kernel = finish_kernel("done", f, about="note that all is done", bytes=4)
    return ChainOf([Step(kernel, (status,), (), 1)], 1, False)


class NativeRunner:
    """A built program with its memory: addresses are filled in, then the table runs."""

    def __init__(self, built: Built, arena: Callable[[Any, Any], Arena]) -> None:
        self.built = built
        alive = lifetimes(built.scheduled)
        self.arena = arena(alive, takeovers(built.scheduled, alive))
        self._places: dict[Buffer, list[int]] = {}
        self._numbers: dict[int, int] = {}
        phases, count = self._lay_out(built.scheduled.phases)
        self.table = Table(built.code, phases, count)
        self._slots = self.table.slots
        self._memory: dict[Buffer, Array] = {}
        self._base = _NOWHERE  # of the arena, as the slots have it
        self._moving, self._offsets = self._fill_fixed()
        lowered = built.lowered
        self._inputs = [self._target(buffer) for buffer in lowered.inputs]
        self._outputs = [None if b is None else self._target(b) for b in lowered.outputs]
        self._last: list[Any] = [None] * len(self._inputs)
        self._stand_ins: dict[int, Array] = {}
        self._updated = {position for _, position in built.updates}
        self._segments, self._late = self._find_segments()
        self._end = len(phases)
        self._pending = False
        self._has_run = False

    # --- making the table ---------------------------------------------------------------------

    def _lay_out(self, phases: Sequence[Phase]) -> tuple[list[list[Chain]], int]:
        """Slots for all steps, and the phases as the table wants them."""
        count, table = 0, []
        for phase in phases:
            chains = []
            for chain in phase.chains:
                entries = []
                for step in chain.steps:
                    entries.append(Entry(step.kernel, count))
                    for item in step.slots:
                        if isinstance(item, Buffer):
                            self._places.setdefault(item, []).append(count)
                        else:
                            self._numbers[count] = item
                        count += 1
                chains.append(Chain(tuple(entries), chain.pieces))
            table.append(chains)
        return table, count

    def _target(self, buffer: Buffer) -> tuple[Any, Any]:
        """The slots of an input or output and of its parts, and how far in each part begins."""
        places, offsets = [], []
        for part in (buffer, *buffer.parts.values()):
            mine = self._places.get(part, [])
            places += mine
            offsets += [part.start * buffer.dtype.itemsize] * len(mine)
        if len(places) == 1:
            return places[0], offsets[0]
        return np.array(places, np.intp), np.array(offsets, np.uint64)

    def _fill_fixed(self) -> tuple[Array, Array]:
        """Addresses that never change: constants, the status word; and numbers.

        Returns:
            the slots that move with the arena, and how far from its beginning each points.
        """
        moving: dict[int, int] = {}
        for buffer, places in self._places.items():
            whole = buffer.whole or buffer
            offset = buffer.start * buffer.dtype.itemsize
            if whole.kind == "arena":
                moving |= dict.fromkeys(places, self.arena.offset(whole) + offset)
            elif whole.kind == "constant":
                self._slots[places] = whole.array.ctypes.data + offset
            elif whole.kind == "status":
                self._slots[places] = self.table.status_address
        for place, number in self._numbers.items():
            self._slots[place] = number
        return np.array([*moving], np.intp), np.array([*moving.values()], np.uint64)

    def _settle(self) -> None:
        """Take memory for what is computed on the way; mostly it is the same as last time."""
        base = self.arena.take()
        if base != self._base:
            self._base = _NOWHERE  # an interrupt in what follows leaves nothing half done
            self._memory.clear()
            self._slots[self._moving] = self._offsets + np.uint64(base)
            self._base = base

    def _find_segments(self) -> tuple[list[Any], int]:
        """Runs of phases for the table, with calls of the host between them."""
        segments: list[Any] = []
        start, late = 0, self.built.scheduled.late
        for phase in self.built.scheduled.phases[:late]:
            if phase.host is not None:
                segments += [(start, phase.number), phase.host.host]
                start = phase.number + 1
        segments.append((start, late))
        return [x for x in segments if not isinstance(x, tuple) or x[0] < x[1]], late

    # --- running ------------------------------------------------------------------------------

    def __call__(self, inputs: Sequence[Array]) -> list[Any]:
        """Run everything but the updates; nothing that callers can see has changed."""
        self._pending = False
        self.table.status[:2] = 0
        self._settle()
        self._point_to(inputs)
        outputs = self._make_outputs()
        self._run_segments(inputs, outputs)
        self._pending = self._has_run = True
        return outputs[: len(self.built.program.outputs)]

    def _point_to(self, inputs: Sequence[Array]) -> None:
        """Write the addresses of arrays that are others than last time."""
        last = self._last
        for place, array in enumerate(inputs):
            if array is last[place]:
                if place in self._stand_ins:
                    np.copyto(self._stand_ins[place], array)
                continue
            last[place] = None  # an interrupt in what follows leaves nothing half done
            flags = array.flags
            if not (flags.c_contiguous and flags.aligned):
                stand_in = self._stand_ins[place] = np.array(array, order="C")
                self._point(self._inputs[place], stand_in)
            else:
                self._stand_ins.pop(place, None)
                self._point(self._inputs[place], array)
            last[place] = array

    def _point(self, target: tuple[Any, Any], array: Array) -> None:
        """Write the address of an array wherever kernels want it."""
        slots, offsets = target
        self._slots[slots] = array.__array_interface__["data"][0] + offsets

    def _make_outputs(self) -> list[Any]:
        program, outputs = self.built.expanded, []
        for position, target in enumerate(self._outputs):
            value = program.outputs[position]
            if target is None:
                constant = not isinstance(value, Value) and position not in self._updates_at
                outputs.append(np.array(value) if constant else None)
                continue
            array = np.empty(value.shape, value.dtype)
            self._point(target, array)
            outputs.append(array)
        return outputs

    @property
    def _updates_at(self) -> set[int]:
        return {position for position, _ in self.built.updates}

    def _run_segments(self, inputs: Sequence[Array], outputs: Sequence[Any]) -> None:
        memory: Memory | None = None
        for segment in self._segments:
            if isinstance(segment, tuple):
                self.table.run(*segment)
                self._check()
            else:
                memory = memory or self._memory_of(inputs, outputs)
                segment(memory)

    def _check(self) -> None:
        if self.table.status[0]:
            raise OutOfRange("an index is out of range")

    def _memory_of(self, inputs: Sequence[Array], outputs: Sequence[Any]) -> Memory:
        def memory(buffer: Buffer) -> Array:
            if buffer.whole is not None:
                return memory(buffer.whole)[buffer.start : buffer.start + buffer.size]
            if buffer.kind == "input":
                array = self._stand_ins.get(buffer.index, inputs[buffer.index])
                return array.reshape(-1)
            if buffer.kind in ("output", "constant"):
                owner: Array = buffer.array if buffer.array is not None else outputs[buffer.index]
                return owner.reshape(-1)
            if buffer not in self._memory:
                self._memory[buffer] = self._arena_array(buffer)
            return self._memory[buffer]

        return memory

    def _arena_array(self, buffer: Buffer) -> Array:
        address = self._base + self.arena.offset(buffer)
        raw: Any = (ctypes.c_uint8 * buffer.bytes).from_address(address)
        found: Array = np.frombuffer(raw, buffer.dtype)
        return found

    def write(self) -> None:
        """Do the updates of the last call.

        An interrupt may come when machine code returns, before Python knows; so the machine code
        itself notes that it is done, and what is asked for again is not done twice.
        """
        if not self._pending:
            return
        if self._late < self._end:
            if not self.table.status[DONE]:
                self.table.run(self._late, self._end)
            for place, stand_in in self._stand_ins.items():
                if place in self._updated:
                    np.copyto(self._last[place], stand_in)
        self._pending = False
        self.arena.give()

    def seconds(self) -> list[float]:
        """How long each kernel takes in one thread, on what the last call was about.

        Kernels that write to states are not run again; there is no time for them.
        """
        if any(array is None for array in self._last) or not self._has_run:
            return []
        self._settle()
        outputs = self._make_outputs()  # the memory that kernels write their results to
        runs = [self.table.run_timed(0, self._late) for _ in range(3)]
        del outputs
        if not self._pending:
            self.arena.give()
        return [float(x) for x in np.min(runs, axis=0)]

    def report(self) -> Report:
        """What is run."""
        return report_of(self)
