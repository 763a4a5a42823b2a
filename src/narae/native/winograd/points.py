"""Transformed tiles and taps as matrices in memory, and what is moved into them and out of them."""

from collections.abc import Callable
from dataclasses import dataclass

from ..emit import F32, Function, Int, Type, Val
from ..products.microkernel import memory_type, narrow, widen
from .tiling import POINTS, Matrices, Pictures, Tile, Tiling, emit_tiles, emit_vectors
from .transforms import (
    Square,
    along_both,
    input_line,
    output_back,
    output_line,
    taps_back,
    taps_line,
)

# Writes what belongs to one vector of columns: at this address, of this column, under this mask.
Body = Callable[[Val, Int, Val | None], None]


@dataclass(frozen=True)
class Points:
    """Matrices in memory: 16, one for each point of a transformed tile.

    Attributes:
        f: the function that is written.
        lanes: elements of a vector.
        matrices: how they lie.
        base: where they begin.
    """

    f: Function
    lanes: int
    matrices: Matrices
    base: Val

    def each_vector(self, row: Val, body: Body) -> None:
        """Loops over the columns of a row; addresses are those of point 0."""
        f, matrices = self.f, self.matrices
        width = matrices.width
        start = f.at(self.base, f.mul(row, f.number(width)), F32)
        if matrices.panels == 1:
            emit_vectors(f, width, self.lanes, lambda n, mask: body(f.at(start, n, F32), n, mask))
            return
        with f.loop(0, matrices.panels) as loop:
            panel = f.at(start, f.mul(loop.index, f.number(matrices.rows * width)), F32)
            first = f.mul(loop.index, f.number(width))
            emit_vectors(
                f,
                width,
                self.lanes,
                lambda n, mask: body(f.at(panel, n, F32), f.add(first, f.number(n)), mask),
            )

    def load(self, place: Val, mask: Val | None) -> list[Val]:
        """A vector of each of the 16 matrices."""
        step = self.matrices.step
        return [_load(self.f, place, n * step, F32, self.lanes, mask) for n in range(POINTS)]

    def store(self, square: Square, place: Val, mask: Val | None) -> None:
        """Write a vector of each."""
        for number, value in enumerate(_flat(square)):
            self.f.store(value, self.f.at(place, number * self.matrices.step, F32), mask)


# --- tiles ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tiles:
    """Pictures in memory, cut into tiles.

    Attributes:
        tiling: how they are cut.
        pictures: how they lie.
        base: where they begin.
    """

    tiling: Tiling
    pictures: Pictures
    base: Val

    def transform(self, points: Points, block: Val, gradient: bool) -> None:
        """V = Bᵀ d B for the tiles of a block; or A y Aᵀ, where they are gradients of outputs."""
        f, pictures = points.f, self.pictures
        line, size = (output_back, 2) if gradient else (input_line, 4)

        def tile(at: Tile) -> None:
            start = at.place(f, self.base, pictures)

            def pixel(first: Val, i: int, j: int, mask: Val | None) -> Val:
                place = i * pictures.row + j * pictures.column
                return _load(f, first, place, pictures.element, points.lanes, mask)

            def vector(place: Val, channel: Int, mask: Val | None) -> None:
                first = f.at(start, channel, pictures.memory)
                square = [[pixel(first, i, j, mask) for j in range(size)] for i in range(size)]
                points.store(along_both(f, line, square), place, mask)

            points.each_vector(at.index, vector)

        emit_tiles(f, self.tiling, block, tile)

    def write_outputs(self, points: Points, block: Val, bias: Val | None) -> None:
        """y = Aᵀ m A (+ bias) for the tiles of a block."""
        f, pictures = points.f, self.pictures

        def tile(at: Tile) -> None:
            start = at.place(f, self.base, pictures)

            def vector(place: Val, channel: Int, mask: Val | None) -> None:
                square = along_both(f, output_line, _square(points.load(place, mask), 4))
                if bias is not None:
                    more = _load(f, bias, channel, pictures.element, points.lanes, mask)
                    square = [[f.add(value, more) for value in row] for row in square]
                self._store(f, square, f.at(start, channel, pictures.memory), at, mask)

            points.each_vector(at.index, vector)

        emit_tiles(f, self.tiling, block, tile)

    def _store(self, f: Function, square: Square, first: Val, at: Tile, mask: Val | None) -> None:
        """Four outputs, without those beyond the last row or column."""
        tiling, pictures = self.tiling, self.pictures

        def store(i: int, j: int) -> None:
            place = i * pictures.row + j * pictures.column
            _store(f, square[i][j], first, place, pictures.element, mask)

        def store_row(i: int) -> None:
            store(i, 0)
            if tiling.width % 2:
                with f.when(f.compare("slt", at.column, f.number(tiling.columns - 1))):
                    store(i, 1)
            else:
                store(i, 1)

        store_row(0)
        if tiling.height % 2:
            with f.when(f.compare("slt", at.row, f.number(tiling.rows - 1))):
                store_row(1)
        else:
            store_row(1)


# --- taps -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taps:
    """Taps (3, 3, rows, columns) in memory.

    Attributes:
        element: their type.
        base: where they begin.
    """

    element: Type
    base: Val

    def transform(self, points: Points, row: Val, turned: bool) -> None:
        """U = G g Gᵀ for a row; the taps are read backwards if `turned`."""
        f, matrices, kind = points.f, points.matrices, memory_type(self.element)
        each = matrices.rows * matrices.columns
        start = f.at(self.base, f.mul(row, f.number(matrices.columns)), kind)
        order = range(8, -1, -1) if turned else range(9)

        def vector(place: Val, column: Int, mask: Val | None) -> None:
            first = f.at(start, column, kind)
            g = [_load(f, first, n * each, self.element, points.lanes, mask) for n in order]
            points.store(along_both(f, taps_line, _square(g, 3)), place, mask)

        points.each_vector(row, vector)

    def write_gradient(self, points: Points, row: Val, parts: int) -> None:
        """Gᵀ u G for a row, where u is the sum of `parts` matrices, one after the other."""
        f, matrices, kind = points.f, points.matrices, memory_type(self.element)
        each = matrices.rows * matrices.columns
        start = f.at(self.base, f.mul(row, f.number(matrices.columns)), kind)

        def vector(place: Val, column: Int, mask: Val | None) -> None:
            u = points.load(place, mask)
            if parts > 1:
                with f.loop(1, parts, 1, u) as loop:
                    part = f.at(place, f.mul(loop.index, f.number(matrices.size)), F32)
                    more = points.load(part, mask)
                    loop.next = [f.add(x, y) for x, y in zip(loop.carried, more, strict=True)]
                u = loop.results
            square = along_both(f, taps_back, _square(u, 4))
            first = f.at(start, column, kind)
            for number, value in enumerate(_flat(square)):
                _store(f, value, first, number * each, self.element, mask)

        points.each_vector(row, vector)


# --- vectors --------------------------------------------------------------------------------------


def _square(values: list[Val], side: int) -> Square:
    return [values[n : n + side] for n in range(0, side * side, side)]


def _flat(square: Square) -> list[Val]:
    return [value for row in square for value in row]


def _load(f: Function, base: Val, place: Int, element: Type, lanes: int, mask: Val | None) -> Val:
    """A vector of float32 from elements of a type."""
    kind = memory_type(element)
    return widen(f, f.load(f.at(base, place, kind), kind.of(lanes), mask), F32)


def _store(f: Function, value: Val, base: Val, place: int, element: Type, mask: Val | None) -> None:
    """A vector of float32, rounded to elements of a type."""
    kind = memory_type(element)
    f.store(narrow(f, value, element), f.at(base, place, kind), mask)
