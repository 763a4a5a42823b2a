"""Values from nothing, or from a key: constants, counting, random bits."""

from typing import Any

import numpy as np

from narae.base.dtypes import NumpyDType
from narae.base.shapes import Shape

from .record import Primitive

full: Primitive = Primitive(
    "full",
    "generator",
    "",
    "one number everywhere",
    shape=lambda *, shape, value, dtype: shape,
    dtype=lambda *, shape, value, dtype: dtype,
)

iota: Primitive = Primitive(
    "iota",
    "generator",
    "",
    "0, 1, 2, …, size - 1",
    shape=lambda *, size, dtype: (size,),
    dtype=lambda *, size, dtype: dtype,
)

random_bits: Primitive = Primitive(
    "random_bits",
    "generator",
    "key",
    "Philox4x32-10 (Salmon et al. 2011): element i depends on the 64-bit key and on i only",
    shape=lambda key, *, shape: shape,
    dtype=lambda key, *, shape: np.dtype(np.uint32),
)


def zeros(shape: Shape, dtype: NumpyDType) -> Any:
    """Zeros."""
    return full(shape=tuple(shape), value=0, dtype=dtype)


def ones(shape: Shape, dtype: NumpyDType) -> Any:
    """Ones."""
    return full(shape=tuple(shape), value=1, dtype=dtype)
