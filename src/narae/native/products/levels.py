"""Loops around a register tile: dimensions, cut into pieces, blocks and tiles.

A dimension has a stride in each operand. A level takes its current range and cuts it into parts;
the last level of a dimension is its tile, and what is left at the end is a shorter tile, which is
code of its own. So a dimension of 100 with levels 32 and 8 is

    for i in range(0, 100, 32): for j in range(i, min(i + 32, 100), 8): tile of 8 (or 4)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..emit import Function, Int, Val


@dataclass(frozen=True)
class LoopDim:
    """A dimension: its size and its strides in the operands (in elements)."""

    size: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """The part of a dimension that the code at hand works on.

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
            self.extent
            if self.extent is not None
            else f.sub(f.number(self.stop), f.number(self.start))
        )


@dataclass(frozen=True)
class Level:
    """Cuts a dimension into parts of `step` indices.

    Attributes:
        dim: its number.
        tile: whether parts are tiles, each with its own code for what is left at the end;
            otherwise they are blocks, whose last one is just shorter.
    """

    dim: int
    step: int
    tile: bool


@dataclass(frozen=True)
class State:
    """Where the code at hand is: the range of each dimension, and the operands' addresses."""

    ranges: tuple[Range, ...]
    places: tuple[Val, ...]

    def at(self, dim: int, part: Range) -> "State":
        """The same with another range of a dimension."""
        return replace(self, ranges=(*self.ranges[:dim], part, *self.ranges[dim + 1 :]))


def whole(dim: LoopDim) -> Range:
    """All of a dimension."""
    return Range(0, dim.size, dim.size)


def part_of(f: Function, dim: LoopDim, number: Int, chunk: int) -> Range:
    """Part `number` of a dimension that is cut into chunks."""
    if chunk >= dim.size:
        return whole(dim)
    start = f.mul(f.number(number), f.number(chunk))
    return _part(f, start, chunk, dim.size, dim.size % chunk == 0)


def _part(f: Function, start: Int, step: int, stop: Int, equal: bool) -> Range:
    end = f.add(f.number(start), f.number(step))
    if equal:
        return Range(start, step, end)
    last = f.select(f.compare("slt", end, f.number(stop)), end, f.number(stop))
    return Range(start, None, last)


Body = Callable[[State], None]


def emit_levels(
    f: Function, loops: Sequence[LoopDim], levels: Sequence[Level], state: State, body: Body
) -> None:
    """Write the loops of all levels, outermost first, around a body."""
    if not levels:
        body(state)
        return
    level, inner = levels[0], levels[1:]

    def inside(part: Range) -> None:
        emit_levels(f, loops, inner, state.at(level.dim, part), body)

    current = state.ranges[level.dim]
    if current.extent is not None:
        _static(f, current, level, inside)
    elif level.tile:
        _tiles_until(f, loops[level.dim], current, level.step, inside)
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
            inside(Range(loop.index, step, f.add(loop.index, f.number(step))))
    if extent % step:
        inside(Range(end, extent % step, current.stop))


def _tiles_until(
    f: Function, dim: LoopDim, current: Range, step: int, inside: Callable[[Range], None]
) -> None:
    """A range whose end is known when the code runs: only its very end has a short tile."""
    with f.loop(current.start, _plus(f, current.stop, 1 - step), step) as loop:
        inside(Range(loop.index, step, f.add(loop.index, f.number(step))))
    left = dim.size % step
    if left:
        with f.when(f.compare("eq", f.number(current.stop), f.number(dim.size))):
            inside(Range(dim.size - left, left, dim.size))


def _plus(f: Function, x: Int, y: int) -> Int:
    return x + y if isinstance(x, int) else f.add(x, f.number(y))
