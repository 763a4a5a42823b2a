"""The matrix products between the transforms, one for each of the 16 points."""

import numpy as np

from ..products.product import BatchDim, Product, RowDim, TermDim
from .tiling import POINTS, Matrices

_FLOAT32 = np.dtype(np.float32)


def outputs_product(v: Matrices, u: Matrices, m: Matrices, blocks: int = 1) -> Product:
    """M = V @ U: (tiles, channels) times (channels, output channels).

    Each of several blocks of tiles has matrices V and M of its own, one after the other.
    """
    rows = RowDim(blocks, v.size, m.size), RowDim(v.rows, v.columns, m.columns)
    return _product(v, u, m, rows, (TermDim(v.columns, 1, u.width),))


def taps_product(v: Matrices, d: Matrices, u: Matrices, blocks: int = 1) -> Product:
    """U = the sum over blocks of Vᵀ @ D: (channels, tiles) times (tiles, output channels)."""
    terms = TermDim(blocks, v.size, d.size), TermDim(v.rows, v.columns, d.width)
    return _product(v, d, u, (RowDim(v.columns, 1, u.columns),), terms)


def _product(
    a: Matrices, b: Matrices, c: Matrices, rows: tuple[RowDim, ...], terms: tuple[TermDim, ...]
) -> Product:
    """A and C are in row-major order, B is in panels."""
    points = BatchDim(POINTS, a.step, b.step, c.step)
    panels = BatchDim(b.panels, 0, b.rows * b.width, b.width)
    batch = (points, panels) if b.panels > 1 else (points,)
    return Product(batch, rows, terms, b.width, 1, _FLOAT32, _FLOAT32)
