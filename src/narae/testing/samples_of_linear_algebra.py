"""Samples of linear algebra: well-conditioned matrices, whose eigenvalues are apart."""

from typing import Any

import numpy as np

from .samples import Array, add_sample, array, turned


def matrix(*shape: int, strength: float = 3.0) -> Array:
    """Different numbers, with a diagonal that is larger than the rest and not constant."""
    rows, columns = shape[-2:]
    eye = np.eye(rows, columns) * (strength + 0.7 * np.arange(columns))
    return np.asarray(array(*shape, low=-0.9, high=0.9) + eye)


def symmetric(*shape: int, strength: float = 3.0) -> Array:
    """A symmetric matrix, positive-definite for the usual strength."""
    x = matrix(*shape, strength=strength)
    return np.asarray((x + x.swapaxes(-1, -2)) / 2)


_A, _BATCH = matrix(3, 3), matrix(2, 3, 3)
_TALL, _WIDE = matrix(4, 2), matrix(2, 2, 4)
_NONE, _NO_BATCH = np.zeros((0, 0)), np.zeros((0, 2, 2))
_B = array(3, 2)

# --- systems --------------------------------------------------------------------------------

for _a, _b in ((_A, _B), (_BATCH, _B), (turned(_A), array(2, 1, 3, 2)), (_NONE, np.zeros((0, 2)))):
    add_sample("solve", _a, _b, check="")
    for _upper in (False, True):
        for _unit in (False, True):
            add_sample("triangular_solve", _a, _b, upper=_upper, unit=_unit)
add_sample("solve", _NO_BATCH, array(2, 1), check="linalg.solve")

# --- factors --------------------------------------------------------------------------------

for _x in (symmetric(3, 3), turned(symmetric(2, 2, 2)), _NONE, _NO_BATCH):
    add_sample("cholesky", _x, symmetric=(0,), check="linalg.cholesky")
    add_sample("ldl", _x, check="")
add_sample("cholesky_solve", array(3, 2), np.tril(_A), lower=(1,))
add_sample("cholesky_solve", array(2, 3, 1), np.tril(_BATCH), lower=(1,))
for _x in (_A, _BATCH, turned(_TALL), _WIDE, _NO_BATCH, np.zeros((2, 0))):
    add_sample("lu", _x, check="")
    add_sample("geqrf", _x)
    add_sample("qr", _x, mode="reduced")
    add_sample("qr", _x, mode="r", orders=0)
    add_sample("qr", _x, mode="complete", orders=2 if _x.shape[-2] <= _x.shape[-1] else 0)
add_sample("permutation", np.array([[3, 3, 3], [1, 3, 3]], np.int32), size=4)
add_sample("ldl_solve", symmetric(2, 3, 3), np.array([[1, 2, 3], [3, 2, 3]], np.int32), _B)
add_sample("ldl_solve", symmetric(3, 3), np.array([-2, -2, 3], np.int32), array(2, 3, 1))

# --- spectra --------------------------------------------------------------------------------

for _x in (symmetric(3, 3), turned(symmetric(2, 2, 2)), _NONE, _NO_BATCH):
    for _upper in (False, True):
        # The vectors turn with the sign that LAPACK gives them, which is constant nearby.
        add_sample("eigh", _x, symmetric=(0,), upper=_upper)
        add_sample("eigvalsh", _x, symmetric=(0,), upper=_upper)
for _x in (_A, turned(_TALL), _WIDE, _NO_BATCH, np.zeros((0, 3))):
    add_sample("svd", _x, full_matrices=False)
    add_sample("svdvals", _x)
add_sample("svd", _A, full_matrices=True)
add_sample("svd", _TALL, full_matrices=True, orders=0)
for _x in (_A, _TALL, _WIDE):
    _batch: Any = _x.shape[:-2]
    _tolerances = (np.zeros(_batch), np.full(_batch, 1e-3))
    add_sample("pinv", _x, *_tolerances, fixed=(1, 2), hermitian=False)
    add_sample("lstsq", _x, array(*_x.shape[:-1], 2), _tolerances[1], fixed=(2,))
add_sample(
    "pinv", symmetric(3, 3, strength=-2.0), np.zeros(()), np.full((), 1e-3), fixed=(1, 2),
    symmetric=(0,), hermitian=True,
)  # fmt: skip

# --- functions ------------------------------------------------------------------------------

_RANK_TWO = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
for _x in (_A, turned(_BATCH), _A[[1, 0, 2]], _NO_BATCH, _NONE):
    for _name in ("det", "slogdet", "cofactor"):
        add_sample(_name, _x)
add_sample("det", _RANK_TWO)
for _x in (_A / 4, turned(_BATCH / 2), 2 * _A, _NO_BATCH):
    add_sample("matrix_exp", _x)
