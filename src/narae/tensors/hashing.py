"""A fingerprint of a tensor's bits."""

from typing import Any

import numpy as np

from narae.base.dtypes import is_floating
from narae.base.errors import ConfigError, ShapeError

from .creation import constant
from .operands import deliver, require_tensor
from .reductions import dims_of
from .tensor import Tensor


def hash_tensor(
    input: Tensor,
    dim: Any = None,
    *,
    keepdim: bool = False,
    mode: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """All elements as 64-bit floats or integers, their bits combined by exclusive or, as uint64.

    Args:
        input: any tensor.
        dim: a dimension, several, or None for all.
        keepdim: keep reduced dimensions with size 1.
        mode: 0, the exclusive or; there is no other.
        out: where the result is written.

    >>> import narae
    >>> narae.hash_tensor(narae.tensor([1, 2, 4]))
    tensor(7, dtype=narae.uint64)
    """
    if mode != 0:
        raise ConfigError(f"[hash_tensor] mode is {mode}; only 0 (exclusive or) is there")
    x = require_tensor(input, "hash_tensor")
    dims = dims_of(x, dim)
    if x._value.size == 0 and any(x._value.shape[place] == 0 for place in dims):
        raise ShapeError(
            f"[hash_tensor] the tensor is {tuple(x.shape)}; a hash of no elements does not exist"
        )
    wide = x._array.astype(np.float64 if is_floating(x._value.dtype) else np.int64)
    combine: Any = np.bitwise_xor.reduce
    bits = combine(wide.view(np.uint64), axis=dims, keepdims=keepdim)
    found = constant(np.asarray(bits))
    return found if out is None else deliver(found, out, "hash_tensor")


__all__ = ["hash_tensor"]
METHODS = ["hash_tensor"]
