"""Where elements are, and how a vector of them is read and written at any stride."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..emit import I1, I32, I64, PTR, VOID, Function, Int, Type, Val

Key = tuple[str, int]


@dataclass(frozen=True)
class Point:
    """One vector in work: where it is, relative to the loops that are open.

    Attributes:
        row: index along each dimension of the row.
        vector: number of the vector along the vector dimension.
        mask: which lanes exist; None: all.
        count: how many lanes exist, if that is known.
    """

    row: tuple[int, ...]
    vector: int
    mask: Val | None = None
    count: int | None = None


@dataclass(frozen=True)
class Place:
    """A pointer (or a whole number) that moves with the loops, by strides."""

    start: Int
    strides: tuple[int, ...]
    element: Type | None  # None: a whole number


class Cursor:
    """The places of all accesses, at the indices of the loops that are open."""

    def __init__(self, f: Function, lanes: int, vector: int, outer: int) -> None:
        self._f, self._lanes, self._vector, self._outer = f, lanes, vector, outer
        self._places: dict[Key, Place] = {}
        self._now: dict[Key, Int] = {}

    def add(self, key: Key, start: Int, strides: Sequence[int], element: Type | None) -> None:
        """A new access."""
        self._places[key] = Place(start, tuple(strides), element)
        self._now[key] = start

    @contextmanager
    def moved(self, dim: int, index: Int) -> Iterator[None]:
        """Inside, a dimension has an index."""
        before = dict(self._now)
        for key in before:
            place = self._places[key]
            if place.strides[dim] and not (isinstance(index, int) and index == 0):
                steps = scaled(self._f, index, place.strides[dim])
                self._now[key] = self._step(self._now[key], steps, place.element)
        yield
        self._now = before

    def _step(self, now: Int, steps: Int, element: Type | None) -> Int:
        if element is None:
            return summed(self._f, now, steps)
        assert isinstance(now, Val)
        return self._f.at(now, steps, element)

    def at(self, key: Key, point: Point) -> Int:
        """The place of the first lane of a point."""
        place = self._places[key]
        steps = sum(i * s for i, s in zip(point.row, place.strides[self._outer :], strict=True))
        if self._vector >= 0:
            steps += point.vector * self._lanes * place.strides[self._vector]
        return self._step(self._now[key], steps, place.element)

    def stride(self, key: Key) -> int:
        """The stride between lanes."""
        return self._places[key].strides[self._vector] if self._vector >= 0 else 0


def scaled(f: Function, index: Int, stride: int) -> Int:
    """index * stride."""
    if isinstance(index, int):
        return index * stride
    return index if stride == 1 else f.mul(index, f.const(stride, I64))


def summed(f: Function, x: Int, y: Int) -> Int:
    """x + y of whole numbers that may be known."""
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    if y == 0:
        return x
    return y if x == 0 else f.add(f.number(x), f.number(y))


def read(f: Function, address: Val, kind: Type, stride: int, point: Point, lanes: int) -> Val:
    """A vector of elements `stride` apart, or one element where the stride is 0."""
    if stride == 0 or lanes == 0:
        return f.load(address, kind)
    if stride == 1 and point.count != 1:
        return f.load(address, kind.of(lanes), point.mask)
    if point.mask is not None and point.count is None:
        return gather(f, spread(f, address, kind, stride, lanes), kind.of(lanes), point.mask)
    out = Val("zeroinitializer", kind.of(lanes))
    for lane in range(point.count or lanes):
        one = f.load(f.at(address, lane * stride, kind), kind)
        out = f.emit(out.type, f"insertelement {out}, {one}, i64 {lane}")
    return out


def write(f: Function, value: Val, address: Val, stride: int, point: Point) -> None:
    """Write a vector of elements `stride` apart, or one element."""
    lanes, kind = value.type.lanes, value.type.of(0)
    if lanes == 0:
        f.store(value, address)
    elif stride == 1 and point.count != 1:  # LLVM 22 stores too much under a mask of one lane
        f.store(value, address, point.mask)
    elif point.mask is not None and point.count is None:
        places = spread(f, address, kind, stride, lanes)
        name = f"llvm.masked.scatter.{value.type.suffix}.v{lanes}p0"
        f.call(name, VOID, value, places, Val(str(kind.bytes), I32), point.mask)
    else:
        for lane in range(point.count or lanes):
            f.store(f.extract(value, lane), f.at(address, lane * stride, kind))


def spread(f: Function, address: Val, kind: Type, stride: int, lanes: int) -> Val:
    """The addresses of elements `stride` apart."""
    steps = f.vector([lane * stride for lane in range(lanes)], I64)
    return offset_by(f, address, kind, steps)


def offset_by(f: Function, address: Val, kind: Type, steps: Val) -> Val:
    """The addresses of base[step] for every lane of steps."""
    return f.emit(PTR.of(steps.type.lanes), f"getelementptr {kind.of(0)}, {address}, {steps}")


def gather(f: Function, places: Val, kind: Type, mask: Val | None) -> Val:
    """The elements at addresses; zero where the mask leaves out."""
    mask = mask or f.const(1, I1.like(kind))
    name = f"llvm.masked.gather.{kind.suffix}.v{kind.lanes}p0"
    zero = Val("zeroinitializer", kind)
    return f.call(name, kind, places, Val(str(kind.bytes), I32), mask, zero)
