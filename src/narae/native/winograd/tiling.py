"""Tiles of pictures, blocks of tiles that fit the cache, and the matrices that tiles become."""

from collections.abc import Callable
from dataclasses import dataclass

from ..emit import Function, Int, Type, Val
from ..products.microkernel import memory_type

POINTS = 16  # of a transformed tile: 4 x 4
# A step from point to point of a power of two would put all 16 into one place of the cache.
PADDING = 16


@dataclass(frozen=True)
class Pictures:
    """Where pictures are: strides in elements; channels are next to each other."""

    image: int
    row: int
    column: int
    offset: int
    channels: int
    element: Type

    @property
    def memory(self) -> Type:
        """Elements as they are loaded and stored."""
        return memory_type(self.element)


@dataclass(frozen=True)
class Matrices:
    """One matrix for each of the 16 points, in panels of `width` columns.

    Element (point, row, column) is at point * step + (column // width) * rows * width
    + row * width + column % width.
    """

    rows: int
    columns: int
    width: int

    @property
    def panels(self) -> int:
        """How many panels there are."""
        return self.columns // self.width

    @property
    def step(self) -> int:
        """Elements from point to point."""
        return -(-self.rows * self.columns // PADDING) * PADDING + PADDING

    @property
    def size(self) -> int:
        """Elements of all."""
        return POINTS * self.step


def in_one(rows: int, columns: int) -> Matrices:
    """Matrices in row-major order."""
    return Matrices(rows, columns, columns)


def in_panels(rows: int, columns: int) -> Matrices:
    """Matrices as the right side of a product reads them: their rows are near each other."""
    widths = [width for width in (64, 32, 16) if columns % width == 0]
    return Matrices(rows, columns, widths[0] if widths and columns > 64 else columns)


@dataclass(frozen=True)
class Tiling:
    """Pictures in tiles, and tiles in blocks.

    Attributes:
        images: how many pictures.
        rows, columns: tiles of a picture.
        height, width: outputs of a picture; the last row or column of tiles may reach beyond.
        group: pictures of a block, which divide `images`.
        block_rows: rows of tiles of a block, of each of its pictures; they divide `rows`.
    """

    images: int
    rows: int
    columns: int
    height: int
    width: int
    group: int
    block_rows: int

    @property
    def tiles(self) -> int:
        """How many tiles a block has."""
        return self.group * self.block_rows * self.columns

    @property
    def per_group(self) -> int:
        """How many blocks a group of pictures is cut into."""
        return self.rows // self.block_rows

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.images // self.group * self.per_group


@dataclass(frozen=True)
class Tile:
    """A tile at work: which it is, and its row in the block's matrices."""

    image: Val
    row: Val
    column: Val
    index: Val

    def place(self, f: Function, base: Val, pictures: Pictures) -> Val:
        """The address of its first pixel, of channel 0."""
        place = f.mul(self.image, f.number(pictures.image))
        place = f.add(place, f.mul(self.row, f.number(2 * pictures.row)))
        place = f.add(place, f.mul(self.column, f.number(2 * pictures.column)))
        return f.at(f.at(base, pictures.offset, pictures.memory), place, pictures.memory)


def emit_tiles(f: Function, tiling: Tiling, block: Val, body: Callable[[Tile], None]) -> None:
    """Loops over the tiles of a block."""
    per_group = f.number(tiling.per_group)
    image = f.mul(f.binary("udiv", block, per_group), f.number(tiling.group))
    row = f.mul(f.binary("urem", block, per_group), f.number(tiling.block_rows))
    with f.loop(0, tiling.group) as images, f.loop(0, tiling.block_rows) as rows:
        line = f.add(f.mul(images.index, f.number(tiling.block_rows)), rows.index)
        line = f.mul(line, f.number(tiling.columns))
        with f.loop(0, tiling.columns) as columns:
            index = f.add(line, columns.index)
            here = f.add(image, images.index), f.add(row, rows.index)
            body(Tile(*here, columns.index, index))


def emit_vectors(
    f: Function, size: int, lanes: int, body: Callable[[Int, Val | None], None]
) -> None:
    """Loops over channels, a vector at a time; the last one may be under a mask."""
    whole = size // lanes * lanes
    if whole:
        with f.loop(0, whole, lanes) as loop:
            body(loop.index, None)
    if size > whole:
        body(whole, f.first_lanes(size - whole, lanes))
