"""Running one nest kernel, and what it should compute: an interpreter of nests in NumPy."""

import ctypes
from itertools import product
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BOOL, is_half
from narae.native.kernel import Kernel, Machine
from narae.native.loops.nest import Apply, Index, Load, Lookup, Nest, Number, Random, Reduce
from narae.reference import philox
from narae.reference.executor import execute

BY_NAME = {x.name: x for x in vars(p).values() if isinstance(x, p.Primitive)}


def module_of(kernel: Kernel, machine: Machine) -> str:
    """A kernel as a module."""
    features = ",".join(f"+{x}" for x in sorted(machine.features))
    bits = machine.vector_bytes * 8
    marks = f'nounwind "target-features"="{features}"'
    marks += f' "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
    declared = "\n".join(sorted(kernel.declarations))
    return f"{declared}\n{kernel.text}\nattributes #0 = {{ {marks} }}\n"


class Compiled:
    """Machine code of one kernel."""

    def __init__(self, kernel: Kernel, machine: Machine, level: int = 2) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.kernel = kernel
        self.module = llvm.parse_assembly(module_of(kernel, machine))
        self.module.verify()
        features = ",".join(f"+{x}" for x in sorted(machine.features))
        target = llvm.Target.from_default_triple()
        self.target = target.create_target_machine(cpu="", features=features, opt=level, jit=True)
        self.engine = llvm.create_mcjit_compiler(self.module, self.target)
        self.engine.finalize_object()
        address = self.engine.get_function_address(kernel.name)
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(
            address
        )
        self._room = np.zeros(kernel.scratch + 128, np.uint8)
        self.scratch = -(-self._room.ctypes.data // 64) * 64

    def run(self, slots: list[Any], pieces: int = 0) -> None:
        """Run all pieces; slots are arrays or whole numbers."""
        values = [x.ctypes.data if isinstance(x, np.ndarray) else int(x) for x in slots]
        args = np.array(values, np.int64)
        for piece in range(pieces or self.kernel.pieces):
            self.call(args.ctypes.data, piece, self.scratch)


# --- meaning --------------------------------------------------------------------------------


def places(sizes: tuple[int, ...], strides: tuple[int, ...], offset: int) -> np.ndarray:
    """offset + sum of index * stride, for every index."""
    out = np.full(sizes, offset, np.int64)
    for dim, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        shape = [1] * len(sizes)
        shape[dim] = size
        out += (np.arange(size) * stride).reshape(shape)
    return out


class Meaning:
    """What a nest computes on arrays of one dimension."""

    def __init__(self, nest: Nest, slots: list[Any]) -> None:
        self.nest, self.slots = nest, slots
        self.sizes = nest.sizes
        if nest.length_slot is not None:
            self.sizes = (int(slots[nest.length_slot]),)
        self.values: list[np.ndarray] = []

    def run(self) -> None:
        """Compute all nodes, then make all stores."""
        for node in self.nest.nodes:
            with np.errstate(all="ignore"):
                self.values.append(np.asarray(self.value(node)))
        for store in self.nest.stores:
            where = places(self.sizes, store.strides, store.offset)
            value = np.broadcast_to(self.values[store.node], self.sizes)
            if 0 in self.sizes[self.nest.outer :]:
                if any(store.strides[self.nest.outer :]) or 0 in self.values[store.node].shape:
                    continue  # no element, nothing to store
                row = (1,) * (len(self.sizes) - self.nest.outer)
                where = places(self.sizes[: self.nest.outer] + row, store.strides, store.offset)
                value = np.broadcast_to(self.values[store.node], where.shape)
            with np.errstate(all="ignore"):
                self.slots[store.slot][where] = value.astype(store.dtype)

    def value(self, node: Any) -> Any:
        ones = (1,) * len(self.sizes)
        if isinstance(node, Load):
            where = places(self.trimmed(node.strides), node.strides, node.offset)
            return self.slots[node.slot][where]
        if isinstance(node, Number):
            return np.full(ones, node.value, node.dtype)
        if isinstance(node, Index):
            return places(self.trimmed(node.strides), node.strides, node.offset).astype(node.dtype)
        if isinstance(node, Apply):
            attrs = {"dtype": node.dtype} if node.operation == "cast" else {}
            arguments = [self.values[x] for x in node.arguments]
            out = execute(BY_NAME[node.operation], arguments, attrs)
            assert out.dtype == node.dtype, (node, out.dtype)
            return out
        if isinstance(node, Reduce):
            return self.reduced(node)
        if isinstance(node, Lookup):
            return self.looked_up(node)
        return self.random(node)

    def trimmed(self, strides: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(n if s else 1 for n, s in zip(self.sizes, strides, strict=True))

    def reduced(self, node: Reduce) -> np.ndarray:
        outer, x = self.nest.outer, self.values[node.argument]
        x = np.broadcast_to(x, x.shape[:outer] + self.sizes[outer:])
        flat = x.reshape(*x.shape[:outer], int(np.prod(self.sizes[outer:])))
        if node.operation.startswith("arg"):
            out = getattr(np, node.operation)(flat, axis=-1)
        else:
            wide = flat.astype(np.float64) if flat.dtype.kind == "f" else flat
            wide = flat.astype(np.float32) if is_half(flat.dtype) else wide
            names = {"sum": "add", "prod": "multiply", "amax": "maximum", "amin": "minimum"}
            function = getattr(np, names[node.operation])
            dtype = {} if node.operation.startswith("am") else {"dtype": wide.dtype}
            out = function.reduce(wide, axis=-1, **dtype)
        return out.astype(node.dtype).reshape(out.shape + (1,) * (len(self.sizes) - outer))

    def looked_up(self, node: Lookup) -> np.ndarray:
        out = np.zeros(self.sizes, node.dtype)
        start = places(self.sizes, node.strides, node.offset)
        indices = [np.broadcast_to(self.values[x], self.sizes) for x, _, _ in node.indices]
        for at in product(*map(range, self.sizes)):
            place, valid = start[at], True
            for index, (_, stride, size) in zip(indices, node.indices, strict=True):
                number = int(index[at])
                valid &= 0 <= number < size
                place += number * stride
            if valid:
                out[at] = self.slots[node.slot][place]
            else:
                self.slots[node.status][0] = 1
        return out

    def random(self, node: Random) -> np.ndarray:
        counter = self.values[node.counter].astype(np.int64)
        words = philox.random_bits(self.slots[node.slot][0], shape=(int(counter.max()) + 1,))
        return words[counter]


__all__ = ["BOOL", "BY_NAME", "Compiled", "Meaning", "module_of", "places"]
