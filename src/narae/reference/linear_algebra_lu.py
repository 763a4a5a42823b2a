"""LU with partial pivoting over whole batches, as LAPACK's getrf gives it."""

import numpy as np

from narae.ir.executor import Array

from .linear_algebra_triangular import solve_lower

# Panels up to this width are eliminated column by column.
NARROW = 16


def lu_factors(x: Array) -> tuple[Array, Array, Array]:
    """Factors p l u = x of matrices (.., n, m).

    Recursive over columns (Toledo 1997, "Locality of reference in LU decomposition with partial
    pivoting"), so that most of the work is done by matrix products.

    Returns:
        u above and l (without its unit diagonal) below the diagonal; the rows that were swapped,
        counted from 1; and the first zero pivot, counted from 1, or 0.

    >>> factors, pivots, info = lu_factors(np.array([[1.0, 2.0], [4.0, 4.0]]))
    >>> factors, pivots, int(info)
    (array([[4.  , 4.  ],
           [0.25, 1.  ]]), array([2, 2], dtype=int32), 0)
    """
    *batch, rows, columns = x.shape
    inner = min(rows, columns)
    count = int(np.prod(batch))
    a = np.array(x.reshape(count, rows, columns), order="C")
    pivots = np.zeros((count, inner), np.int32)
    if inner:
        _factor(a, pivots, 0, inner)
        a[:, :inner, inner:] = solve_lower(a[:, :inner, :inner], a[:, :inner, inner:], True)
    zero = a[:, range(inner), range(inner)] == 0
    info = np.where(zero.any(axis=1), zero.argmax(axis=1) + 1, 0) if inner else np.zeros(count)
    shape = tuple(batch)
    return (
        a.reshape(x.shape),
        pivots.reshape(*shape, inner),
        info.astype(np.int32).reshape(shape),
    )


def _factor(a: Array, pivots: Array, first: int, last: int) -> None:
    """Eliminate columns first..last; whole rows are swapped, and the rest is left as it is.

    before: the right half waits for what the left half eliminates
    after:  u12 = l11⁻¹ a12, a22 - l21 u12 is factored in turn
    """
    if last - first <= NARROW:
        for column in range(first, last):
            _eliminate_column(a, pivots, column, last)
        return
    middle = (first + last) // 2
    _factor(a, pivots, first, middle)
    left, right = slice(first, middle), slice(middle, last)
    a[:, left, right] = solve_lower(a[:, left, left], a[:, left, right], True)
    a[:, middle:, right] -= a[:, middle:, left] @ a[:, left, right]
    _factor(a, pivots, middle, last)


def _eliminate_column(a: Array, pivots: Array, column: int, last: int) -> None:
    batch = np.arange(len(a))
    chosen = column + np.abs(a[:, column:, column]).argmax(axis=1)
    pivots[:, column] = chosen + 1
    rows = a[batch, chosen]  # (batch, m): a copy
    a[batch, chosen] = a[:, column]
    a[:, column] = rows
    pivot = a[:, column, column]
    a[:, column + 1 :, column] /= np.where(pivot == 0, 1, pivot)[:, None]
    below, beside = a[:, column + 1 :, column], a[:, column, column + 1 : last]
    a[:, column + 1 :, column + 1 : last] -= below[:, :, None] * beside[:, None, :]


def row_order(pivots: Array, *, size: int) -> Array:
    """The order of rows after all swaps: row i of pᵀ x is row order[i] of x.

    >>> row_order(np.array([3, 3, 3], np.int32), size=3)
    array([2, 0, 1])
    """
    *batch, inner = pivots.shape
    count = int(np.prod(batch))
    swaps = pivots.reshape(count, inner).astype(np.int64) - 1
    order = np.tile(np.arange(size), (count, 1))
    matrices = np.arange(count)
    for row in range(inner):
        other = swaps[:, row]
        moved = order[matrices, other]
        order[matrices, other] = order[:, row]
        order[:, row] = moved
    return order.reshape(*batch, size)
