"""Blocks of tiles of a planned product: which rows each tile has, and where they are."""

import math

from .plan import Plan
from .product import TermDim
from .tile_block import RowTile, TileBlock
from .tiles import LANES, ROWS, Shape


def block_of_tiles(
    plan: Plan, extents: tuple[int, ...], columns: int, terms: tuple[TermDim, ...], start: str
) -> TileBlock:
    """The block that has so many indices of each row dimension, and so many columns."""
    loops = plan.loops[plan.first_row : plan.column]
    starts = [(0, 0)]
    for extent, dim in zip(extents[:-1], loops, strict=False):
        a, c = dim.strides[0], dim.strides[2]
        starts = [(at_a + i * a, at_c + i * c) for at_a, at_c in starts for i in range(extent)]
    a, c, size = loops[-1].strides[0], loops[-1].strides[2], extents[-1]
    tiles = tuple(
        RowTile(at_a + n * a, at_c + n * c, min(ROWS, size - n))
        for at_a, at_c in starts
        for n in range(0, size, ROWS)
    )
    usual = plan.schedule.tile.rows
    return TileBlock(
        rows=tiles,
        a_step=a,
        c_step=c,
        terms=terms,
        pairs=plan.per_tile,
        columns=columns,
        down=math.prod(usual[:-1]) * -(-usual[-1] // ROWS),
        across=plan.width // LANES,
        c_type=plan.c_type,
        start=start,
    )


def usual_tiles(plan: Plan) -> dict[int, Shape]:
    """The tiles of whole blocks, which a kernel configures when it begins."""
    columns = min(plan.width, plan.product.columns)
    return block_of_tiles(plan, plan.schedule.tile.rows, columns, plan.terms[-1:], "zero").shapes()
