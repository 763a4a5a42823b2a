"""Random nests and the buffers that they run on."""

import ctypes
import mmap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narae.base.dtypes import BFLOAT16, BOOL, INT64, NumpyDType, is_floating, is_half
from narae.native.loops.nest import Apply, Index, Load, Nest, Number, Reduce, Store

PAGE = mmap.PAGESIZE
MARGIN = 5
DTYPES = [np.dtype(x) for x in ("f4", "f4", "f8", "f2", "i1", "i4", "i8", "u1", "u2", "u8", "?")]
DTYPES.append(BFLOAT16)

ANY = ["add", "mul", "maximum", "minimum"]
FLOATS = ["sub", "neg", "abs", "sqrt", "div"]
JUMPS = ["sign", "floor", "ceil", "round", "trunc"]
INTEGERS = ["sub", "neg", "abs", "and", "or", "xor", "not", "shift_left", "shift_right"]
INTEGERS += ["floor_divide", "remainder", "fmod", "sign"]
BOOLS = ["and", "or", "xor", "not"]
COMPARISONS = ["eq", "ne", "lt", "le"]
UNARY = {"neg", "abs", "sqrt", "sign", "floor", "ceil", "round", "trunc", "not"}


def guarded(array: np.ndarray, *, at_end: bool) -> np.ndarray:
    """A copy whose end (or beginning) is the edge of memory that may be touched."""
    size = array.nbytes
    pages = max(1, -(-size // PAGE))
    room = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    libc = ctypes.CDLL(None)
    for edge in (start, start + (pages + 1) * PAGE):
        assert libc.mprotect(ctypes.c_void_p(edge), PAGE, 0) == 0
    offset = PAGE * (pages + 1) - size if at_end else PAGE
    out = np.frombuffer(room, np.uint8, size, offset).view(array.dtype)
    out[:] = array
    return out


def some_values(rng: np.random.Generator, count: int, dtype: NumpyDType) -> np.ndarray:
    """Small numbers with a few repeats."""
    if dtype == BOOL:
        return rng.random(count) < 0.5
    if is_floating(dtype):
        return np.round(rng.normal(size=count) * 2, 2).astype(dtype)
    low, high = (0, 9) if dtype.kind == "u" else (-7, 8)
    return rng.integers(low, high, count).astype(dtype)


def poison(dtype: NumpyDType) -> Any:
    """What must not be read, and must not be overwritten."""
    if dtype == BOOL:
        return True
    return np.nan if is_floating(dtype) else 113


@dataclass
class Maker:
    """A nest in the making: nodes with what is known of them."""

    rng: np.random.Generator
    sizes: tuple[int, ...]
    outer: int
    at_end: bool = False
    nodes: list[Any] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    slots: list[Any] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)
    by_row: list[bool] = field(default_factory=list)

    def pick(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def put(self, node: Any, exact: bool, by_row: bool) -> int:
        self.nodes.append(node)
        self.exact.append(exact)
        self.by_row.append(by_row)
        return len(self.nodes) - 1

    def dtype(self, node: int) -> NumpyDType:
        return self.nodes[node].dtype

    def room(self, dims: list[int]) -> tuple[tuple[int, ...], int]:
        """Strides for a buffer that has some of the dimensions, in any order, with gaps."""
        strides, step = [0] * len(self.sizes), 1
        order = list(dims)
        if self.rng.random() < 0.5:
            self.rng.shuffle(order)
        else:
            order.reverse()
        for dim in order:
            strides[dim] = step
            step *= max(1, self.sizes[dim]) + int(self.rng.random() < 0.15)
        return tuple(strides), step

    def load(self, dtype: NumpyDType) -> int:
        every = range(len(self.sizes))
        chance = self.pick([1.0, 1.0, 0.5])
        dims = [dim for dim in every if self.rng.random() < chance]
        strides, size = self.room(dims)
        array = np.full(size + 2 * MARGIN, poison(dtype), dtype)
        array[MARGIN : size + MARGIN] = some_values(self.rng, size, dtype)
        if self.at_end:
            array = guarded(array[MARGIN : MARGIN + size].copy(), at_end=True)
        offset = 0 if self.at_end else MARGIN
        flipped = [dim for dim in dims if self.sizes[dim] and self.rng.random() < 0.1]
        for dim in flipped:
            offset += (self.sizes[dim] - 1) * strides[dim]
        strides = tuple(-s if dim in flipped else s for dim, s in enumerate(strides))
        self.slots.append(array)
        by_row = not any(strides[self.outer :])
        return self.put(Load(len(self.slots) - 1, dtype, strides, offset), True, by_row)

    def among(self, dtype: NumpyDType, *, exact: bool = False) -> int:
        """A node of a dtype."""
        found = [
            k for k in range(len(self.nodes)) if self.dtype(k) == dtype and self.exact[k] >= exact
        ]
        if not found:
            return self.load(dtype)
        return found[-1] if self.rng.random() < 0.5 else self.pick(found)

    def apply(self, dtype: NumpyDType) -> int:
        """An operation that gives a dtype."""
        if self.rng.random() < 0.15:
            return self.cast(dtype)
        if self.rng.random() < 0.1:
            chosen = (self.among(BOOL), self.among(dtype), self.among(dtype))
            return self.finish("where", chosen, dtype)
        if dtype == BOOL and self.rng.random() < 0.6:
            source = self.dtype(self.pick(range(len(self.nodes))))
            chosen = (self.among(source, exact=True), self.among(source, exact=True))
            return self.finish(self.pick(COMPARISONS), chosen, dtype)
        names = FLOATS + JUMPS if is_floating(dtype) else BOOLS if dtype == BOOL else INTEGERS
        operation = self.pick(ANY + names)
        if dtype.kind == "u" and operation in ("neg", "sub", "abs", "sign"):
            operation = "add"
        exact = operation in JUMPS
        count = 1 if operation in UNARY else 2
        chosen = tuple(self.among(dtype, exact=exact) for _ in range(count))
        return self.finish(operation, chosen, dtype)

    def cast(self, dtype: NumpyDType) -> int:
        source = self.dtype(self.pick(range(len(self.nodes))))
        node = self.among(source, exact=True)
        if is_floating(source) and not is_floating(dtype) and dtype != BOOL:
            node = self.put(Number(3.75, source), True, True)  # other numbers may be out of range
        return self.finish("cast", (node,), dtype)

    def finish(self, operation: str, chosen: tuple[int, ...], dtype: NumpyDType) -> int:
        exact = all(self.exact[x] for x in chosen)
        by_row = all(self.by_row[x] for x in chosen)
        return self.put(Apply(operation, chosen, dtype), exact, by_row)

    def reduce(self, dtype: NumpyDType) -> int:
        names = ["sum", "prod"]
        if 0 not in self.sizes[self.outer :]:
            names += ["amax", "amin", "argmax", "argmin"]
        if is_floating(dtype):
            names.remove("prod")
        operation = self.pick(names)
        chosen = self.among(dtype, exact=operation.startswith("arg"))
        if operation.startswith("arg"):
            return self.put(Reduce(operation, chosen, INT64), True, True)
        exact = self.exact[chosen] and not (operation == "sum" and is_floating(dtype))
        return self.put(Reduce(operation, chosen, dtype), exact, True)

    def store(self, node: int, slot: int | None = None) -> None:
        dims = list(range(self.outer if self.by_row[node] else len(self.sizes)))
        dtype = self.dtype(node)
        strides, size = self.room(dims)
        array = np.full(size + 2 * MARGIN, poison(dtype), dtype)
        offset = MARGIN
        if self.at_end:
            array, offset = guarded(array[: max(1, size)], at_end=self.rng.random() < 0.5), 0
        self.slots.append(array)
        self.stores.append(Store(len(self.slots) - 1, node, dtype, strides, offset))

    def index(self, dtype: NumpyDType) -> int:
        strides = tuple(int(x) for x in self.rng.integers(0, 3, len(self.sizes)))
        return self.put(Index(dtype, strides, 1), True, not any(strides[self.outer :]))


def random_nest(seed: int, *, at_end: bool = False) -> tuple[Nest, list[Any]]:
    """A nest and its slots."""
    rng = np.random.default_rng(seed)
    lengths = [1, 2, 3, 4, 5, 7, 8, 16, 17, 33, 40]
    count = int(rng.integers(0, 5))
    most = {0: 1, 1: 5000, 2: 3000, 3: 3000, 4: 3000}[count]
    sizes = [int(rng.choice(lengths)) for _ in range(count)]
    if rng.random() < 0.2 and count:
        sizes[-1] = int(rng.choice([64, 130, 257, 600]))
    if rng.random() < 0.05 and count:
        sizes[int(rng.integers(count))] = 0
    while np.prod(sizes) > most:
        sizes[int(np.argmax(sizes[: max(1, count)]))] //= 3
    outer = int(rng.integers(0, count + 1))
    make = Maker(rng, tuple(sizes), outer, at_end)
    dtypes = [make.pick(DTYPES) for _ in range(int(rng.integers(1, 3)))]
    for dtype in dtypes:
        make.load(dtype)
    for _ in range(int(rng.integers(1, 9))):
        dtype, chance = make.pick(dtypes), rng.random()
        if chance < 0.25 and outer < count:
            make.reduce(dtype)
        elif chance < 0.3 and not is_half(dtype) and dtype != BOOL:
            make.index(dtype)
        elif chance < 0.35:
            make.put(Number(some_values(rng, 1, dtype)[0], dtype), True, True)
        else:
            make.apply(dtype)
    last = len(make.nodes) - 1
    for node in {last, make.pick(range(len(make.nodes))), make.pick(range(len(make.nodes)))}:
        make.store(node)
    piece = int(rng.choice([1, 3, 16, 10**6]))
    nest = Nest(make.sizes, outer, tuple(make.nodes), tuple(make.stores), piece)
    return nest, make.slots
