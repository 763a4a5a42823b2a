"""LDL of symmetric indefinite matrices, as LAPACK's sytrf and sytrs have it.

Bunch and Kaufman 1977, "Some stable methods for calculating inertia and solving symmetric linear
systems": a pivot is one diagonal element, or a block of two rows where no element is large enough.
"""

import numpy as np

from narae.ir.executor import Array

# Where growth by two pivots of one row and by one of two rows are balanced.
BALANCE = (1 + 17**0.5) / 8


def ldl_factors(x: Array) -> tuple[Array, Array, Array]:
    """Factors p l d lᵀ pᵀ = x from the lower triangles of matrices (.., n, n).

    Returns:
        d on the diagonal (and below, for blocks) with l below it; the row swapped with each
        (from 1; negative twice for a block); and the first zero pivot (from 1), or 0.
    """
    *batch, _, size = x.shape
    factors = np.tril(x).reshape(int(np.prod(batch)), size, size)
    pivots = np.zeros((len(factors), size), np.int32)
    info = np.zeros(len(factors), np.int32)
    for index, (a, swaps) in enumerate(zip(factors, pivots, strict=True)):
        info[index] = _factor(a, swaps)
    return factors.reshape(x.shape), pivots.reshape(*batch, size), info.reshape(tuple(batch))


def _factor(a: Array, pivots: Array) -> int:
    """Factor one matrix in place; the first zero pivot, counted from 1, or 0."""
    row, failed = 0, 0
    while row < len(a):
        chosen, width = _pivot(a, row)
        if chosen < 0:
            failed = failed or row + 1
            chosen, width = row, 1
        else:
            _swap(a, row, chosen, width)
            (_eliminate_one if width == 1 else _eliminate_two)(a, row)
        pivots[row : row + width] = chosen + 1 if width == 1 else -(chosen + 1)
        row += width
    return failed


def _pivot(a: Array, row: int) -> tuple[int, int]:
    """Which row to swap with, and how many rows the pivot has; -1 for a column of zeros."""
    diagonal = abs(a[row, row])
    below = np.abs(a[row + 1 :, row])
    largest = below.max(initial=0)
    if max(diagonal, largest) == 0 or np.isnan(diagonal):
        return -1, 1
    if diagonal >= BALANCE * largest:
        return row, 1
    other = row + 1 + int(below.argmax())
    beside = np.concatenate([a[other, row:other], a[other + 1 :, other]])
    widest = np.abs(beside).max()
    if diagonal * widest >= BALANCE * largest * largest:
        return row, 1
    return other, 1 if abs(a[other, other]) >= BALANCE * widest else 2


def _swap(a: Array, row: int, other: int, width: int) -> None:
    """Swap rows and columns in the part of the lower triangle that is left."""
    first = row + width - 1
    if other == first:
        return
    _exchange(a[other + 1 :, first], a[other + 1 :, other])
    _exchange(a[first + 1 : other, first], a[other, first + 1 : other])
    a[first, first], a[other, other] = a[other, other], a[first, first]
    if width == 2:
        a[first, row], a[other, row] = a[other, row], a[first, row]


def _exchange(x: Array, y: Array) -> None:
    kept = x.copy()
    x[...] = y
    y[...] = kept


def _eliminate_one(a: Array, row: int) -> None:
    """l = a / d, and a - l d lᵀ for the rest."""
    column = a[row + 1 :, row].copy()
    a[row + 1 :, row] /= a[row, row]
    a[row + 1 :, row + 1 :] -= np.tril(np.outer(a[row + 1 :, row], column))


def _eliminate_two(a: Array, row: int) -> None:
    """The same for a block of two rows, scaled by its off-diagonal element against overflow."""
    columns = a[row + 2 :, row : row + 2].copy()
    link = a[row + 1, row]
    second, first = a[row + 1, row + 1] / link, a[row, row] / link
    scale = 1 / (first * second - 1) / link
    a[row + 2 :, row] = scale * (second * columns[:, 0] - columns[:, 1])
    a[row + 2 :, row + 1] = scale * (first * columns[:, 1] - columns[:, 0])
    a[row + 2 :, row + 2 :] -= np.tril(a[row + 2 :, row : row + 2] @ columns.T)


def ldl_solution(factors: Array, pivots: Array, b: Array) -> Array:
    """x with p l d lᵀ pᵀ x = b.

    Args:
        factors: (.., n, n), from `ldl_factors`.
        pivots: (.., n).
        b: (.., n, k).
    """
    size, columns = b.shape[-2:]
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    count = int(np.prod(batch))
    every = np.broadcast_to(factors, (*batch, size, size)).reshape(count, size, size)
    swaps = np.broadcast_to(pivots, (*batch, size)).reshape(count, size)
    x = np.array(np.broadcast_to(b, (*batch, size, columns))).reshape(count, size, columns)
    for a, rows, right in zip(every, swaps, x, strict=True):
        _forward(a, rows, right)
        _backward(a, rows, right)
    return x.reshape(*batch, size, columns)


def _swap_rows(x: Array, row: int, other: int) -> None:
    x[[row, other]] = x[[other, row]]


def _forward(a: Array, pivots: Array, x: Array) -> None:
    """Turn x into d⁻¹ l⁻¹ pᵀ x."""
    row = 0
    while row < len(a):
        width = 1 if pivots[row] > 0 else 2
        after = row + width
        _swap_rows(x, after - 1, abs(int(pivots[row])) - 1)
        x[after:] -= a[after:, row:after] @ x[row:after]
        if width == 1:
            x[row] /= a[row, row]
        else:
            link = a[row + 1, row]
            block = np.array([[a[row, row], link], [link, a[row + 1, row + 1]]])
            x[row:after] = np.linalg.solve(block, x[row:after])
        row = after


def _backward(a: Array, pivots: Array, x: Array) -> None:
    """Turn x into p l⁻ᵀ x."""
    last = len(a) - 1
    while last >= 0:
        width = 1 if pivots[last] > 0 else 2
        first, after = last - width + 1, last + 1
        x[first:after] -= a[after:, first:after].T @ x[after:]
        _swap_rows(x, last, abs(int(pivots[last])) - 1)
        last -= width
