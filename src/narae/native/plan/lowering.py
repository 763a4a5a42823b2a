"""Lowering: from the units of a program to tasks on buffers.

`Lowering` knows where every value is (its `Ref`), makes buffers, and copies what cannot be read
where it is. What each kind of unit needs is in a file of its own.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.ir import Program, Value
from narae.ir.program import Node

from ..kernel import Machine
from . import layout as lay
from .buffers import Buffer, Ref, Task
from .contractions import lower_product_unit
from .fused import lower_group
from .graph import ASSEMBLIES, SCATTERS, Graph, Hints, Unit, is_compiled_product, is_empty
from .groups import start_group, view_layout
from .halo import Halo, border_task, halos
from .layout import Layout
from .moving import copy_task, fill_task, joined_part, lower_assembly, parts_of_concats
from .scans import lower_scan
from .scatters import lower_scatter


class Lowering:
    """The state of lowering one program.

    Attributes:
        tasks: what is to be run, in order.
        status: the buffer whose first number kernels set when an index is out of range.
    """

    def __init__(
        self,
        program: Program,
        updates: Sequence[tuple[int, int]],
        machine: Machine,
        layouts: Sequence[Layout | None] = (),
        sizes: Sequence[int | None] = (),
    ) -> None:
        self.program, self.machine = program, machine
        self.updates = dict(updates)
        self.hints = Hints(program)
        self.graph = Graph(program, updates, self.hints)
        self.halos: dict[int, Halo] = halos(program, machine)
        self.tasks: list[Task] = []
        self.status = Buffer(np.dtype(np.int32), 16, "status")
        self.inputs = [
            Buffer(x.dtype, _given(sizes, n) or max(1, x.size), "input", n, about=x.name)
            for n, x in enumerate(program.inputs)
        ]
        self.outputs: list[Buffer | None] = [None] * len(program.outputs)
        self._refs: dict[int, Ref] = {}
        self._copies: dict[Any, Ref] = {}
        self._constants: dict[int, Ref] = {}
        self._images: dict[int, Ref] = {}
        self._copied_images: set[int] = set()
        for n, (value, buffer) in enumerate(zip(program.inputs, self.inputs, strict=True)):
            self._refs[id(value)] = Ref(buffer, _given(layouts, n) or lay.dense(value.shape))
        self._homes = self._find_homes()
        self._pictures = self._find_pictures()
        self._concats = parts_of_concats(program, self.graph)
        self.assembled: dict[int, Ref] = {}

    def run(self) -> "Lowering":
        """Lower every unit, then bring results where they belong."""
        for unit in self.graph.units:
            self._lower(unit)
        for position, output in enumerate(self.program.outputs):
            self._deliver(position, output)
        return self

    def _lower(self, unit: Unit) -> None:
        if unit.group is not None:
            lower_group(self, unit)
            return
        node = unit.node
        assert node is not None
        if is_compiled_product(node):
            lower_product_unit(self, unit)
            return
        empty = is_empty(node)
        if node.operation in ASSEMBLIES and not empty:
            lower_assembly(self, node)
            return
        if node.operation is p.scan and lower_scan(self, node):
            return
        if node.operation in SCATTERS and not empty and lower_scatter(self, node):
            return
        self._call_host(node)

    # --- where values are ---------------------------------------------------------------------

    def ref(self, value: Value | np.ndarray[Any, Any]) -> Ref:
        """Where a value is in memory; views are followed, inlined values are computed."""
        if isinstance(value, np.ndarray):
            return self._constant(value)
        known = self._refs.get(id(value))
        if known is None:
            known = self._refs[id(value)] = self._find(value)
        return known

    def _find(self, value: Value) -> Ref:
        base, views = self.graph.follow(value)
        if not views:
            self._compute_inlined(base)
            return self._refs[id(base)]
        node = views[-1]
        inner = self.ref(node.operands[0])
        layout = view_layout(node, inner.layout)
        if layout is None:
            moved = self.copied(node.operands[0])
            layout, inner = view_layout(node, moved.layout), moved
            assert layout is not None
        return Ref(inner.buffer, layout)

    def _compute_inlined(self, value: Value) -> None:
        """A value that loop nests compute for themselves is wanted in memory after all."""
        node = value.node
        assert node is not None and id(value) in self.graph.inlined
        del self.graph.inlined[id(value)]
        self.graph.stored.add(id(value))
        late = self._is_late(value)
        lower_group(self, Unit(0, 0, group=start_group(node, late), writes_state=late))
        self.graph.inlined[id(value)] = node

    def _is_late(self, value: Any) -> bool:
        """Whether it is computed at the very end, when states are written."""
        if not isinstance(value, Value) or value.node is None:
            return False
        maker = self.graph.maker.get(id(value))
        if maker is not None:
            return maker.writes_state
        return any(map(self._is_late, value.node.operands))

    def set_ref(self, value: Value, ref: Ref) -> None:
        """Note where a value is."""
        self._refs[id(value)] = ref

    def _constant(self, array: np.ndarray[Any, Any]) -> Ref:
        if id(array) not in self._constants:
            dense = np.ascontiguousarray(array)
            buffer = Buffer(dense.dtype, max(1, dense.size), "constant", array=dense)
            self._constants[id(array)] = Ref(buffer, lay.dense(array.shape))
        return self._constants[id(array)]

    def memory_order(self, value: Any) -> list[int]:
        """The dimensions of a value, outermost in memory first; as they are if it has no place."""
        dims = range(len(value.shape))
        base = self.graph.follow(value)[0] if isinstance(value, Value) else value
        if id(base) not in self._refs:
            return list(dims)
        layout = self.ref(value).layout
        inner = [min((abs(s) for _, s in dim), default=0) for dim in layout.dims]
        return sorted(dims, key=lambda dim: -inner[dim])

    def new_buffer(self, dtype: Any, size: int, about: str = "") -> Buffer:
        """Room in the arena."""
        return Buffer(np.dtype(dtype), max(1, size), about=about)

    def densely(self, value: Value) -> Ref:
        """A value without gaps in row-major order, in a buffer of its own size."""
        ref = self.ref(value)
        fits = ref.layout == lay.dense(value.shape) and ref.buffer.size == value.size
        return ref if fits else self.copied(value)

    def copied(self, value: Value, order: Sequence[int] | None = None) -> Ref:
        """A copy of a value without gaps, its dimensions in an order (outermost first)."""
        key = id(value), tuple(order) if order is not None else None
        if key not in self._copies:
            source = self.ref(value)
            target = lay.dense(value.shape, order)
            if same(source.layout, target) and source.buffer.size == max(1, value.size):
                self._copies[key] = source
            else:
                ref = Ref(self.new_buffer(value.dtype, value.size, "copy"), target)
                task = copy_task(source, ref, self.machine, self._is_late(value))
                task.prepares = True
                self.tasks.append(task)
                self._copies[key] = ref
        return self._copies[key]

    def reorder(self, value: Value) -> None:
        """Let later readers find a value in row-major order."""
        ref = self._refs.get(id(value))
        if ref is not None and ref.layout != lay.dense(value.shape):
            self._refs[id(value)] = self.copied(value)

    def copy_for_reading(self, value: Value) -> None:
        """A nest cannot read a value where it is: let it find a plain copy there."""
        self._refs[id(value)] = self.copied(value)
        self.graph.plain.add(id(value))
        self.graph.inlined.pop(id(value), None)

    # --- where results go ---------------------------------------------------------------------

    def keep_states_until_the_end(self, nodes: Sequence[Node]) -> None:
        """Let no result of these nodes go straight into a state: others of them may read it."""
        for node in nodes:
            home = self._homes.get(id(node.outputs[0]))
            if home is not None and home.buffer.kind == "input":
                del self._homes[id(node.outputs[0])]

    def _find_homes(self) -> dict[int, Ref]:
        """Values that are computed straight into an output, or into the state they replace."""
        homes: dict[int, Ref] = {}
        viewed = self._refs_read_by_views()
        late = {
            id(x)
            for unit in self.graph.units
            if unit.writes_state
            for node in unit.nodes
            for x in node.outputs
        }
        for position, value in enumerate(self.program.outputs):
            if not isinstance(value, Value) or id(value) in homes or 0 in value.shape:
                continue
            if position in self.updates:
                target = self.inputs[self.updates[position]]
                if id(value) in late and self._may_overwrite(value, target, viewed):
                    homes[id(value)] = Ref(target, lay.dense(value.shape))
            elif id(value) in self.graph.maker:
                buffer = self._output(position, value)
                homes[id(value)] = Ref(buffer, lay.dense(value.shape))
        return homes

    def _may_overwrite(self, value: Value, target: Buffer, viewed: set[int]) -> bool:
        """Whether only the group that computes the new state reads the old, at the same places."""
        unit = self.graph.maker[id(value)]
        old = self.program.inputs[target.index]
        readers = [u for u in self.graph.readers.get(id(old), []) if u.group is not None]
        others = [u for u in readers if u is not unit and u.writes_state and u.node is None]
        if others or unit.group is None or id(old) in viewed:
            return False
        return all(m.at == lay.dense(old.shape) for m in unit.group.members)

    def _refs_read_by_views(self) -> set[int]:
        """Inputs that a late group sees through a view: their elements may be at other places."""
        late = [node for unit in self.graph.units if unit.writes_state for node in unit.nodes]
        values = [x for node in late for x in node.operands if isinstance(x, Value)]
        return {
            id(base)
            for value in values
            for base, steps in self.graph.leaves(value)
            if any(isinstance(step, Node) for step in steps)
        }

    def _find_pictures(self) -> dict[int, Value]:
        """Values (by id) that are pictures but for dimensions of size 1, as pooling makes them."""
        found: dict[int, Value] = {}
        for node in self.program.nodes:
            out = node.outputs[0] if node.outputs else None
            if out is None or node.operation is not p.reshape:
                continue
            if id(out) not in self.hints.channels_last:
                continue
            (x,) = node.operands
            if [n for n in x.shape if n > 1] == [n for n in out.shape if n > 1]:
                found[id(x)] = out
        return found

    def _output(self, position: int, value: Any) -> Buffer:
        buffer = Buffer(value.dtype, max(1, value.size), "output", position, about="result")
        self.outputs[position] = buffer
        return buffer

    def decided(self, value: Value) -> Ref | None:
        """Where a value has to be computed, if that is decided already."""
        home = self._homes.get(id(value))
        joined = self._concats.get(id(value))
        if home is None and joined is not None and id(value) not in self.halos:
            return joined_part(self, *joined)
        if id(value) in self.hints.channels_last:
            return self.image(value)
        shown = self._pictures.get(id(value))
        if home is None and shown is not None:
            image = self.image(shown)
            layout = lay.reshaped(image.layout, value.shape)
            return layout and Ref(image.buffer, layout)
        return home

    def image(self, value: Value) -> Ref:
        """The buffer for pictures (batch, channels, *space): channels last, with its border."""
        if id(value) not in self._images:
            self._images[id(value)] = self._new_image(value)
        return self._images[id(value)]

    def image_of(self, value: Value) -> Ref:
        """A value as pictures, copied if it is kept in another way."""
        source, image = self.ref(value), self.image(value)
        if source.buffer is not image.buffer and id(value) not in self._copied_images:
            self._copied_images.add(id(value))
            self.tasks.append(copy_task(source, image, self.machine))
        return image

    def _new_image(self, value: Value) -> Ref:
        halo = self.halos.get(id(value), Halo.none(len(value.shape) - 2))
        room, strides = self._image_room(value)
        buffer = self.new_buffer(value.dtype, math.prod(room), "image")
        offset = sum(low * stride for (low, _), stride in zip(halo.sides, strides[2:], strict=True))
        ref = Ref(buffer, lay.strided(value.shape, strides, offset))
        if any(map(any, halo.sides)):
            self.tasks.append(border_task(ref, value.shape, halo, self.machine))
        return ref

    def image_strides(self, value: Value) -> Sequence[int]:
        """The strides of its image, also along sizes of 1, which may have a border."""
        return self._image_room(value)[1]

    def _image_room(self, value: Value) -> tuple[Sequence[int], Sequence[int]]:
        """The sizes of an image with its border, and its strides."""
        halo = self.halos.get(id(value), Halo.none(len(value.shape) - 2))
        space = [n + a + b for n, (a, b) in zip(value.shape[2:], halo.sides, strict=True)]
        room = (value.shape[0], value.shape[1], *space)
        return room, lay.strides_of(room, (0, *range(2, len(room)), 1))

    def _deliver(self, position: int, output: Any) -> None:
        """Bring an output to its buffer, or to the state it replaces."""
        if position in self.updates:
            self._update(self.updates[position], output)
            return
        if not isinstance(output, (Value, np.ndarray)):
            return
        target = self.outputs[position]
        if target is None:
            target = self._output(position, output)
        if 0 in output.shape:
            return
        source = self.ref(output)
        if source.buffer is not target:
            goal = Ref(target, lay.dense(output.shape))
            self.tasks.append(copy_task(source, goal, self.machine))

    def _update(self, place: int, output: Any) -> None:
        """Bring an output to the state it replaces, unless it was computed there."""
        state = self.program.inputs[place]
        goal = Ref(self.inputs[place], lay.dense(state.shape))
        if 0 in state.shape:
            return
        if not isinstance(output, (Value, np.ndarray)):
            self.tasks.append(fill_task(goal, output, state.shape, self.machine, late=True))
            return
        source = self.ref(output)
        if source == goal:
            return
        if source.buffer.kind == "input":  # which may be replaced, too
            source = self._snapshot(source, output)
        self.tasks.append(copy_task(source, goal, self.machine, late=True))

    def _snapshot(self, source: Ref, value: Any) -> Ref:
        """What a value was before anything was replaced."""
        copy = Ref(self.new_buffer(value.dtype, value.size, "old state"), lay.dense(value.shape))
        self.tasks.append(copy_task(source, copy, self.machine, self._is_late(value)))
        return copy

    # --- what runs elsewhere ------------------------------------------------------------------

    def _call_host(self, node: Node) -> None:
        """Leave a node to NumPy: its operands and results are arrays on the buffers."""
        from .host_calls import host_task

        operands = [self.ref(x) if isinstance(x, Value) else x for x in node.operands]
        results = []
        for value in node.outputs:
            home = self._homes.get(id(value))
            ref = home or Ref(
                self.new_buffer(value.dtype, value.size, value.name), lay.dense(value.shape)
            )
            self.set_ref(value, ref)
            results.append(ref)
        self.tasks.append(host_task(node, operands, results))

    def fill(self, ref: Ref, value: float, shape: Sequence[int]) -> None:
        """Write one number everywhere."""
        self.tasks.append(fill_task(ref, value, shape, self.machine))


def _given(items: Sequence[Any], number: int) -> Any:
    return items[number] if items else None


def same(one: Layout, other: Layout) -> bool:
    """Whether two layouts are equal, sizes of 1 aside."""
    return one == other
