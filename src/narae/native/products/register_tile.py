"""Which register tile suits a product: rows x vectors of sums, chosen by what it would cost."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from narae.base.shapes import Shape


@dataclass(frozen=True)
class Tile:
    """A register tile: how many indices of each row dimension, and how many vectors of columns."""

    rows: Shape
    vectors: int


@lru_cache(maxsize=4096)
def choose_tile(
    sizes: Shape, columns: int, lanes: int, registers: int, terms: int, limits: Shape
) -> Tile:
    """The cheapest tile for rows of these sizes.

    Args:
        sizes: of the row dimensions.
        columns, terms: of the product.
        lanes, registers: elements of a vector register, and how many of them there are.
        limits: how many indices of each row dimension a tile may have.

    >>> choose_tile((128,), 256, 16, 32, 784, (99,))
    Tile(rows=(8,), vectors=2)
    """
    vectors = -(-columns // lanes)
    candidates = []
    for wide in range(1, min(vectors, 16) + 1):
        most = (registers - 1 - wide) // wide
        for rows in _row_extents(sizes, limits, most):
            tile = Tile(rows, wide)
            candidates.append(
                (_cost(sizes, vectors, tile, terms), -math.prod(rows), tile.rows, tile)
            )
    return min(candidates, key=lambda item: item[:3])[3]


def _row_extents(sizes: Shape, limits: Shape, most: int) -> Iterator[Shape]:
    """Extents of at most `most` rows: part of one dimension, perhaps with a divisor of the next."""
    ones = [1] * len(sizes)
    yield tuple(ones)
    for dim, size in enumerate(sizes):
        for extent in range(2, min(size, most, limits[dim]) + 1):
            yield (*ones[:dim], extent, *ones[dim + 1 :])
    for outer, inner in itertools.pairwise(range(len(sizes))):
        for part in _parts(sizes[inner], min(limits[inner], most // 2)):
            for extent in range(2, min(sizes[outer], most // part, limits[outer]) + 1):
                yield (*ones[:outer], extent, part, *ones[inner + 1 :])


def _parts(size: int, most: int) -> list[int]:
    return [part for part in range(2, min(size, most) + 1) if size % part == 0]


def _cost(sizes: Shape, vectors: int, tile: Tile, terms: int) -> float:
    """Processor cycles for all tiles, with a little for each piece of code that is written."""
    axes = [*zip(sizes, tile.rows, strict=True), (vectors, tile.vectors)]
    variants = [[(size // step, step), (1, size % step)] for size, step in axes]
    used = [[(n, extent) for n, extent in options if n and extent] for options in variants]
    total, codes = 0.0, 0
    for choice in itertools.product(*used):
        times = math.prod(n for n, _ in choice)
        rows, wide = math.prod(extent for _, extent in choice[:-1]), choice[-1][1]
        total += times * _cycles(rows, wide, terms)
        codes += 1
    return total * (1 + 0.04 * (codes - 1)) * (1 if codes <= 4 else 4)


def _cycles(rows: int, vectors: int, terms: int) -> float:
    """A tile's cycles: multiply-adds, or loads (two scalars or one vector a cycle), or latency.

    Vectors of B come from further away than the few lines of A; a row of C is one more place to
    write to.
    """
    sums = rows * vectors
    each = max(sums, (rows + 2 * vectors) / 2, 6.0) + 0.3 + 0.25 * vectors + 0.05 * rows
    return terms * each + 2 * sums + 8 * rows + 20
