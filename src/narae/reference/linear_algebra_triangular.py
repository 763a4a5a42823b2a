"""Triangular systems by substitution, over whole batches."""

import numpy as np

from narae.ir.executor import Array

# Below this size rows are eliminated one by one; above, halves are, by matrix products.
SMALL = 16


def solve_lower(a: Array, b: Array, unit: bool) -> Array:
    """x with L x = b, where L is the lower triangle of a.

    Args:
        a: (.., n, n); what stands above the diagonal is not read.
        b: (.., n, k); leading dimensions broadcast.
        unit: the diagonal counts as 1.

    >>> solve_lower(np.array([[2.0, 9.0], [1.0, 4.0]]), np.array([[2.0], [9.0]]), False)
    array([[1.],
           [2.]])
    """
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, (*batch, *b.shape[-2:])), order="C")
    _eliminate(a, x, unit)
    return x


def _eliminate(a: Array, x: Array, unit: bool) -> None:
    """Turn the right-hand side x into the solution.

    before: L = [[L11, 0], [L21, L22]], x = [b1, b2]
    after:  x1 = L11⁻¹ b1, x2 = L22⁻¹ (b2 - L21 x1)
    """
    size = a.shape[-1]
    if size <= SMALL:
        _eliminate_rows(a, x, unit)
        return
    half = size // 2
    _eliminate(a[..., :half, :half], x[..., :half, :], unit)
    x[..., half:, :] -= a[..., half:, :half] @ x[..., :half, :]
    _eliminate(a[..., half:, half:], x[..., half:, :], unit)


def _eliminate_rows(a: Array, x: Array, unit: bool) -> None:
    for row in range(a.shape[-1]):
        if not unit:
            x[..., row, :] /= a[..., row, row, None]
        x[..., row + 1 :, :] -= a[..., row + 1 :, row, None] * x[..., None, row, :]
