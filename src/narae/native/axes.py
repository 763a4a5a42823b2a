"""Loops around a register tile: axes, cut into pieces, blocks and tiles.

An axis is one dimension with its stride in each operand. A level takes an axis' current range and
cuts it into parts; the last level of an axis is its tile, and what is left at the end is a shorter
tile, which is code of its own. So an axis of 100 with levels 32 and 8 is

    for i in range(0, 100, 32): for j in range(i, min(i + 32, 100), 8): tile of 8 (or 4)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .emit import Function, Int, Val


@dataclass(frozen=True)
class Axis:
    """A dimension: its size and its strides in the operands (in elements)."""

    size: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """The part of an axis that the code at hand works on.

    Attributes:
        start: the first index.
        extent: how many, if that is known when the code is written; else `stop` is the end.
    """

    start: Int
    extent: int | None
    stop: Int

    def length(self, f: Function) -> Int:
        """How many indices, as a number or a value."""
        return (
            self.extent if self.extent is not None else f.sub(f.int(self.stop), f.int(self.start))
        )


@dataclass(frozen=True)
class Level:
    """Cuts an axis into parts of `step` indices.

    Attributes:
        axis: its number.
        tile: whether parts are tiles, each with its own code for what is left at the end;
            otherwise they are blocks, whose last one is just shorter.
    """

    axis: int
    step: int
    tile: bool


@dataclass(frozen=True)
class State:
    """Where the code at hand is: the range of each axis, and the operands' addresses."""

    ranges: tuple[Range, ...]
    places: tuple[Val, ...]

    def at(self, axis: int, part: Range) -> "State":
        """The same with another range of an axis."""
        return replace(self, ranges=(*self.ranges[:axis], part, *self.ranges[axis + 1 :]))


def whole(axis: Axis) -> Range:
    """All of an axis."""
    return Range(0, axis.size, axis.size)


def part_of(f: Function, axis: Axis, number: Int, chunk: int) -> Range:
    """Part `number` of an axis that is cut into chunks."""
    if chunk >= axis.size:
        return whole(axis)
    start = f.mul(f.int(number), f.int(chunk))
    return _part(f, start, chunk, axis.size, axis.size % chunk == 0)


def _part(f: Function, start: Int, step: int, stop: Int, equal: bool) -> Range:
    end = f.add(f.int(start), f.int(step))
    if equal:
        return Range(start, step, end)
    last = f.select(f.compare("slt", end, f.int(stop)), end, f.int(stop))
    return Range(start, None, last)


Body = Callable[[State], None]


def emit_levels(
    f: Function, axes: Sequence[Axis], levels: Sequence[Level], state: State, body: Body
) -> None:
    """Write the loops of all levels, outermost first, around a body."""
    if not levels:
        body(state)
        return
    level, inner = levels[0], levels[1:]

    def inside(part: Range) -> None:
        emit_levels(f, axes, inner, state.at(level.axis, part), body)

    current = state.ranges[level.axis]
    if current.extent is not None:
        _static(f, current, level, inside)
    elif level.tile:
        _tiles_until(f, axes[level.axis], current, level.step, inside)
    else:
        with f.loop(current.start, current.stop, level.step) as loop:
            inside(_part(f, loop.index, level.step, current.stop, False))


def _static(f: Function, current: Range, level: Level, inside: Callable[[Range], None]) -> None:
    """A range whose length is known."""
    extent, step = current.extent or 0, level.step
    if extent <= step:
        inside(current)
        return
    if not level.tile and extent % step:
        with f.loop(current.start, current.stop, step) as loop:
            inside(_part(f, loop.index, step, current.stop, False))
        return
    end = _plus(f, current.start, extent - extent % step)
    if extent < 2 * step:
        inside(Range(current.start, step, end))
    else:
        with f.loop(current.start, end, step) as loop:
            inside(Range(loop.index, step, f.add(loop.index, f.int(step))))
    if extent % step:
        inside(Range(end, extent % step, current.stop))


def _tiles_until(
    f: Function, axis: Axis, current: Range, step: int, inside: Callable[[Range], None]
) -> None:
    """A range whose end is known when the code runs: only the axis' very end has a short tile."""
    with f.loop(current.start, _plus(f, current.stop, 1 - step), step) as loop:
        inside(Range(loop.index, step, f.add(loop.index, f.int(step))))
    left = axis.size % step
    if left:
        with f.when(f.compare("eq", f.int(current.stop), f.int(axis.size))):
            inside(Range(axis.size - left, left, axis.size))


def _plus(f: Function, x: Int, y: int) -> Int:
    return x + y if isinstance(x, int) else f.add(x, f.int(y))
