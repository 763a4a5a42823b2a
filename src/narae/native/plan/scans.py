"""Loops over time: the body is lowered once, and its kernels are called for every step.

Machine code does not grow with the length of a sequence; the table of calls does. Steps of a
sequence are parts of one buffer. What the body keeps for itself is shared by all steps, so every
step waits for the one before; where the body works on each row of a batch by itself, all steps of
a piece of the batch are one chain, and nothing waits at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from narae.ir import Program, Value
from narae.ir.program import Node

from . import layout as lay
from .buffers import Access, Buffer, Ref, Step
from .layout import Layout
from .moving import copy_task

if TYPE_CHECKING:
    from .lowering import Lowering


def lower_scan(lowering: "Lowering", node: Node) -> bool:
    """Make the tasks of a scan; False if NumPy has to do some of its body."""
    from .lowering import Lowering

    body: Program = node.attrs["body"]
    values = [*body.inputs, *body.outputs, *node.outputs, *node.operands]
    if any(not isinstance(x, Value) or 0 in x.shape for x in values):
        return False
    before = carries_before(body, node.attrs["constants"], node.attrs["carries"])
    unique = list({id(x): x for x in body.outputs if id(x) not in before}.values())
    program = Program(body.inputs, body.nodes, unique, body.name)
    operands = _Operands(lowering, node)
    inner = Lowering(program, (), lowering.machine, operands.layouts, operands.sizes)
    inner.run()
    if any(task.host is not None for task in inner.tasks):
        return False
    _Loop(lowering, node, inner, unique, operands).write()
    return True


def carries_before(body: Program, constants: int, carries: int) -> dict[int, int]:
    """Carries (by the id of the body's input) that may be results as they are before each step.

    They must become something that the body computes, so that its steps are kept already.
    """
    inputs = {id(x) for x in body.inputs}
    values = body.inputs[constants : constants + carries]
    return {
        id(value): place
        for place, value in enumerate(values)
        if id(body.outputs[place]) not in inputs
        and not any(x is value for x in body.outputs[:carries])
    }


class _Operands:
    """The operands of a scan, and the layout that the body sees of each.

    Constants are seen as they are, carries without gaps, and sequences one step at a time.
    """

    def __init__(self, lowering: "Lowering", node: Node) -> None:
        attrs = node.attrs
        constants, carries = attrs["constants"], attrs["carries"]
        self.constants = [lowering.ref(x) for x in node.operands[:constants]]
        self.carries = [lowering.densely(x) for x in node.operands[constants:][:carries]]
        sequences = node.operands[constants + carries :]
        self.sequences = [_sequence(lowering, x) for x in sequences]
        steps = [Layout(ref.layout.dims[1:], ref.layout.offset) for ref in self.sequences]
        self.layouts: list[Layout | None] = [
            *(ref.layout for ref in self.constants),
            *(None for _ in self.carries),
            *steps,
        ]
        self.sizes: list[int | None] = [
            *(ref.buffer.size for ref in self.constants),
            *(None for _ in self.carries),
            *map(_step_size, self.sequences),
        ]

    def step(self, number: int, time: int) -> Buffer:
        """The part of a sequence that one step reads."""
        ref = self.sequences[number]
        stride = ref.layout.dims[0][0][1] if ref.layout.dims[0] else 0
        return ref.buffer.part(time * stride, _step_size(ref))


def _sequence(lowering: "Lowering", value: Value) -> Ref:
    """A sequence whose steps are equally far apart."""
    ref = lowering.ref(value)
    return ref if len(ref.layout.dims[0]) <= 1 else lowering.copied(value)


def _step_size(ref: Ref) -> int:
    """Elements of the part that a step reads: what lies between two, if time is outermost."""
    dim = ref.layout.dims[0]
    if dim and dim[0][0] * dim[0][1] == ref.buffer.size and ref.layout.offset == 0:
        return dim[0][1]
    return ref.buffer.size


class _Loop:
    """Writes the tasks of all steps."""

    def __init__(
        self,
        lowering: "Lowering",
        node: Node,
        inner: "Lowering",
        unique: Sequence[Value],
        operands: _Operands,
    ) -> None:
        self.lowering, self.node, self.inner, self.operands = lowering, node, inner, operands
        self.unique = unique
        body: Program = node.attrs["body"]
        self.carries: int = node.attrs["carries"]
        self.reverse: bool = node.attrs["reverse"]
        self.places = {id(value): place for place, value in enumerate(unique)}
        self.results = [id(value) for value in body.outputs[self.carries :]]
        self.before_inputs = carries_before(body, node.attrs["constants"], self.carries)
        self.before = {self.before_inputs[x] for x in self.results if x in self.before_inputs}
        self.place_of = [self.places.get(id(value), -1) for value in body.outputs]
        self.steps: dict[tuple[int, int], Sequence[Step]] = {}
        self.packed: set[int] = set()

    def write(self) -> None:
        """All steps, in their order; then where the results are."""
        length = self.node.attrs["length"]
        homes = [self._home(place, length) for place in range(len(self.unique))]
        carried = self._first_carries(homes)
        times = range(length - 1, -1, -1) if self.reverse else range(length)
        token: Buffer | None = None
        for count, time in enumerate(times):
            targets = [home.step(count, time) for home in homes]
            alive = self._alive() if count == length - 1 else set(range(len(self.inner.tasks)))
            token = self._add_step(self._mapping(carried, targets, time), token, alive)
            carried = [targets[self.place_of[place]] for place in range(self.carries)]
        self._set_results(homes, carried)

    def _home(self, place: int, length: int) -> "_Home":
        """Where the steps of a value go: a stack, if it is a result; else two buffers in turn.

        A stack of a carry whose value *before* each step is a result as well has one step more.
        """
        value = self.unique[place]
        stacked = place in self.place_of[self.carries :]
        before = place in (self.place_of[n] for n in self.before)
        size = max(1, value.size)
        if stacked or before:
            room = (length + before) * size
            buffer = self.lowering.new_buffer(value.dtype, room, value.name)
            first = size if before and not self.reverse else 0
            return _Home(size, [buffer], first, before)
        pair = [self.lowering.new_buffer(value.dtype, size, "carried") for _ in range(2)]
        return _Home(size, pair, 0, False)

    def _first_carries(self, homes: Sequence["_Home"]) -> list[Buffer]:
        """The carries before the first step; where a stack has room for them, they are copied."""
        found = []
        length = self.node.attrs["length"]
        for place, ref in enumerate(self.operands.carries):
            home = homes[self.place_of[place]]
            if place not in self.before:
                found.append(ref.buffer)
                continue
            part = home.buffers[0].part(length * home.size if self.reverse else 0, home.size)
            target = Ref(part, ref.layout)
            self.lowering.tasks.append(copy_task(ref, target, self.lowering.machine))
            found.append(part)
        return found

    def _mapping(
        self, carried: Sequence[Buffer], targets: Sequence[Buffer], time: int
    ) -> dict[Buffer, Buffer]:
        """From the buffers of the body to those of one step."""
        sequences = range(len(self.operands.sequences))
        inputs = [
            *(ref.buffer for ref in self.operands.constants),
            *carried,
            *(self.operands.step(number, time) for number in sequences),
        ]
        mapping = dict(zip(self.inner.inputs, inputs, strict=True))
        for buffer, target in zip(self.inner.outputs, targets, strict=True):
            assert buffer is not None
            mapping[buffer] = target
        mapping[self.inner.status] = self.lowering.status
        return mapping

    def _alive(self) -> set[int]:
        """Tasks of the last step: without those that make carries which nobody reads afterwards."""
        uses = self.lowering.graph.uses
        carries = zip(self.place_of, self.node.outputs[: self.carries], strict=False)
        places = {place for place, value in carries if uses.get(id(value), 0)}
        places.update(self.place_of[self.carries :])
        needed = {self.inner.outputs[place] for place in places if place >= 0} | {self.inner.status}
        alive = set()
        for number, task in reversed([*enumerate(self.inner.tasks)]):
            if needed.intersection(task.writes):
                alive.add(number)
                needed.update(task.reads)
        return alive

    def _add_step(
        self, mapping: dict[Buffer, Buffer], before: Buffer | None, alive: set[int]
    ) -> Buffer:
        """The tasks of one step; each waits for all of the step before."""
        token = Buffer(_NOTHING, 0, about="step")
        for number, task in enumerate(self.inner.tasks):
            if number not in alive:
                continue
            accesses = [_mapped(access, mapping) for access in task.accesses]
            accesses.append(Access(token, True, True))
            if before is not None:
                accesses.append(Access(before, False, True))
            extra = tuple(mapping.get(b, b) for b in task.extra_reads)
            added = replace(
                task,
                make=self._maker(number, mapping, before, token),
                accesses=tuple(accesses),
                extra_reads=extra,
            )
            self.lowering.tasks.append(added)
        return token

    def _maker(
        self, number: int, mapping: dict[Buffer, Buffer], before: Buffer | None, token: Buffer
    ) -> Any:
        """What makes the steps of a task: kernels are made once, packing is done once."""
        constant = {self.inner.inputs[n] for n in range(len(self.operands.constants))}

        def make(pieces: int) -> list[Step]:
            key = number, pieces
            if key not in self.steps:
                self.steps[key] = self.inner.tasks[number].make(pieces)
            made = []
            *prepare, main = self.steps[key]
            for step in prepare:
                fixed = all(a.writes or a.buffer in constant for a in step.accesses)
                if fixed and id(step) in self.packed:
                    continue
                self.packed.add(id(step))
                made.append(_step(step, mapping, () if fixed else _order(before, token)))
            made.append(_step(main, mapping, _order(before, token)))
            return made

        return make

    def _set_results(self, homes: Sequence["_Home"], carried: Sequence[Buffer]) -> None:
        """Refs of the results: the last carries, and the stacks."""
        for value, buffer in zip(self.node.outputs, carried, strict=False):
            self.lowering.set_ref(value, Ref(buffer, lay.dense(value.shape)))
        for number, value in enumerate(self.node.outputs[self.carries :]):
            layout = lay.dense(value.shape)
            if self.results[number] in self.before_inputs:
                home = homes[self.place_of[self.before_inputs[self.results[number]]]]
                start = home.size if self.reverse else 0
            else:
                home = homes[self.places[self.results[number]]]
                start = home.first
            ref = Ref(home.buffers[0], Layout(layout.dims, start))
            self.lowering.set_ref(value, ref)


@dataclass
class _Home:
    """Where the steps of a value go.

    Attributes:
        size: elements of a step.
        buffers: one that holds all steps, or two in turn.
        first: where step 0 begins in the one.
        extended: whether there is room for the value before the first step.
    """

    size: int
    buffers: list[Buffer]
    first: int
    extended: bool

    def step(self, count: int, time: int) -> Buffer:
        """The buffer of a step: the count-th that is run, for a moment of time."""
        if len(self.buffers) == 2:
            return self.buffers[count % 2]
        return self.buffers[0].part(self.first + time * self.size, self.size)


_NOTHING = np.dtype(np.uint8)


def _order(before: Buffer | None, token: Buffer) -> tuple[Access, ...]:
    found = [Access(token, True, True)]
    return (*found, Access(before, False, True)) if before is not None else tuple(found)


def _mapped(access: Access, mapping: dict[Buffer, Buffer]) -> Access:
    return access._replace(buffer=mapping.get(access.buffer, access.buffer))


def _step(step: Step, mapping: dict[Buffer, Buffer], order: tuple[Access, ...]) -> Step:
    slots = tuple(mapping.get(x, x) if isinstance(x, Buffer) else x for x in step.slots)
    accesses = tuple(_mapped(access, mapping) for access in step.accesses)
    return replace(step, slots=slots, accesses=(*accesses, *order))
