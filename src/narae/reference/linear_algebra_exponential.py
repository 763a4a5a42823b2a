"""The matrix exponential by scaling and squaring.

Higham 2005, "The scaling and squaring method for the matrix exponential revisited": the Padé
approximant of degree 13 is exact to float64 up to a norm of 5.37; larger matrices are halved first.
"""

import math

import numpy as np

from narae.ir.executor import Array

DEGREE = 13
REACH = 5.371920351148152
# numerator: sum of c[k] x^k; the denominator is the same for -x
COEFFICIENTS = [
    math.factorial(2 * DEGREE - k)
    * math.factorial(DEGREE)
    / (math.factorial(2 * DEGREE) * math.factorial(DEGREE - k) * math.factorial(k))
    for k in range(DEGREE + 1)
]


def exponential(x: Array) -> Array:
    """exp of matrices (.., n, n).

    >>> exponential(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])
    """
    if not x.size:
        return x.copy()
    halvings = _halvings(x)
    out = _approximant(x / np.exp2(halvings)[..., None, None])
    for step in range(int(halvings.max())):
        out = np.where((step < halvings)[..., None, None], out @ out, out)
    return out


def _halvings(x: Array) -> Array:
    """How often to halve each matrix so that its 1-norm is within reach; 0 if it is not finite."""
    norm = np.abs(x).sum(axis=-2).max(axis=-1)
    usable = np.where(np.isfinite(norm) & (norm > REACH), norm, REACH)
    return np.ceil(np.log2(usable / REACH))


def _approximant(x: Array) -> Array:
    square = x @ x
    power = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    even = odd = np.zeros_like(x)
    for k in range(0, DEGREE + 1, 2):
        even = even + COEFFICIENTS[k] * power
        odd = odd + COEFFICIENTS[k + 1] * power
        power = power @ square
    odd = x @ odd
    return np.asarray(np.linalg.solve(even - odd, even + odd))
