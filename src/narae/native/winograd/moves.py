"""From pictures to matrices and back, and from taps to matrices and back."""

from collections.abc import Callable

from ..emit import F32, Function, Int, Type, Val
from ..products.microkernel import memory_type, narrow, widen
from .tiling import POINTS, Matrices, Pictures, Tile, Tiling, emit_tiles, emit_vectors
from .transforms import Line, Square, along_both

# Writes what belongs to one vector of columns: at this address, of this column, under this mask.
Body = Callable[[Val, Int, Val | None], None]


def emit_to_matrices(
    f: Function,
    line: Line,
    size: int,
    pictures: Pictures,
    tiling: Tiling,
    matrices: Matrices,
    source: Val,
    target: Val,
    block: Val,
    lanes: int,
) -> None:
    """L s Lᵀ of the squares of `size` x `size` pixels where a block's tiles begin."""

    def tile(at: Tile) -> None:
        start = at.place(f, source, pictures)

        def vector(place: Val, channel: Int, mask: Val | None) -> None:
            first = f.at(start, channel, pictures.memory)
            square = [
                [
                    _load(
                        f,
                        first,
                        i * pictures.row + j * pictures.column,
                        pictures.element,
                        lanes,
                        mask,
                    )
                    for j in range(size)
                ]
                for i in range(size)
            ]
            _store_points(f, along_both(f, line, square), place, matrices, mask)

        emit_row(f, matrices, target, at.index, lanes, vector)

    emit_tiles(f, tiling, block, tile)


def emit_from_matrices(
    f: Function,
    line: Line,
    pictures: Pictures,
    tiling: Tiling,
    matrices: Matrices,
    source: Val,
    target: Val,
    bias: Val | None,
    block: Val,
    lanes: int,
) -> None:
    """Outputs = L m Lᵀ (+ bias) of the tiles of a block."""

    def tile(at: Tile) -> None:
        start = at.place(f, target, pictures)

        def vector(place: Val, channel: Int, mask: Val | None) -> None:
            square = along_both(f, line, load_points(f, place, matrices, lanes, mask))
            if bias is not None:
                more = _load(f, bias, channel, pictures.element, lanes, mask)
                square = [[f.add(value, more) for value in row] for row in square]
            first = f.at(start, channel, pictures.memory)
            _store_outputs(f, square, first, at, pictures, tiling, mask)

        emit_row(f, matrices, source, at.index, lanes, vector)

    emit_tiles(f, tiling, block, tile)


def _store_outputs(
    f: Function,
    square: Square,
    first: Val,
    at: Tile,
    pictures: Pictures,
    tiling: Tiling,
    mask: Val | None,
) -> None:
    """Four outputs, without those beyond the last row or column."""

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


def emit_row(f: Function, matrices: Matrices, base: Val, row: Val, lanes: int, body: Body) -> None:
    """Loops over the columns of a row of the matrices: addresses are those of point 0."""
    width = matrices.width
    start = f.at(base, f.mul(row, f.number(width)), F32)
    if matrices.panels == 1:
        emit_vectors(f, width, lanes, lambda n, mask: body(f.at(start, n, F32), n, mask))
        return
    with f.loop(0, matrices.panels) as loop:
        panel = f.at(start, f.mul(loop.index, f.number(matrices.rows * width)), F32)
        first = f.mul(loop.index, f.number(width))
        emit_vectors(
            f,
            width,
            lanes,
            lambda n, mask: body(f.at(panel, n, F32), f.add(first, f.number(n)), mask),
        )


def _load(f: Function, base: Val, place: Int, element: Type, lanes: int, mask: Val | None) -> Val:
    """A vector of float32 from elements of a type."""
    kind = memory_type(element)
    return widen(f, f.load(f.at(base, place, kind), kind.of(lanes), mask), F32)


def _store(f: Function, value: Val, base: Val, place: int, element: Type, mask: Val | None) -> None:
    """A vector of float32, rounded to elements of a type."""
    kind = memory_type(element)
    f.store(narrow(f, value, element), f.at(base, place, kind), mask)


def load_points(
    f: Function, place: Val, matrices: Matrices, lanes: int, mask: Val | None
) -> Square:
    """The 4 x 4 values of the points."""
    points = [_load(f, place, n * matrices.step, F32, lanes, mask) for n in range(POINTS)]
    return [points[n : n + 4] for n in range(0, POINTS, 4)]


def _store_points(
    f: Function, square: Square, place: Val, matrices: Matrices, mask: Val | None
) -> None:
    for number, value in enumerate(value for row in square for value in row):
        f.store(value, f.at(place, number * matrices.step, F32), mask)


# --- taps -----------------------------------------------------------------------------------------


def emit_taps(
    f: Function,
    line: Line,
    turned: bool,
    matrices: Matrices,
    element: Type,
    taps: Val,
    target: Val,
    row: Val,
    lanes: int,
) -> None:
    """U = G g Gᵀ for a row; taps are (3, 3, rows, columns), read backwards if `turned`."""
    each = matrices.rows * matrices.columns
    kind = memory_type(element)
    start = f.at(taps, f.mul(row, f.number(matrices.columns)), kind)
    order = range(8, -1, -1) if turned else range(9)

    def vector(place: Val, column: Int, mask: Val | None) -> None:
        first = f.at(start, column, kind)
        values = [_load(f, first, n * each, element, lanes, mask) for n in order]
        square = along_both(f, line, [values[n : n + 3] for n in range(0, 9, 3)])
        _store_points(f, square, place, matrices, mask)

    emit_row(f, matrices, target, row, lanes, vector)


def emit_taps_back(
    f: Function,
    line: Line,
    parts: int,
    matrices: Matrices,
    element: Type,
    source: Val,
    target: Val,
    row: Val,
    lanes: int,
) -> None:
    """Gᵀ u G for a row, where u is the sum of `parts` matrices; taps are (3, 3, rows, columns)."""
    each = matrices.rows * matrices.columns
    kind = memory_type(element)
    start = f.at(target, f.mul(row, f.number(matrices.columns)), kind)

    def vector(place: Val, column: Int, mask: Val | None) -> None:
        points = [value for line in load_points(f, place, matrices, lanes, mask) for value in line]
        if parts > 1:
            with f.loop(1, parts, 1, points) as loop:
                part = f.at(place, f.mul(loop.index, f.number(matrices.size)), F32)
                more = [v for line in load_points(f, part, matrices, lanes, mask) for v in line]
                loop.next = [f.add(x, y) for x, y in zip(loop.carried, more, strict=True)]
            points = loop.results
        square = along_both(f, line, [points[n : n + 4] for n in range(0, POINTS, 4)])
        first = f.at(start, column, kind)
        for number, value in enumerate(value for row in square for value in row):
            _store(f, value, first, number * each, element, mask)

    emit_row(f, matrices, source, row, lanes, vector)
