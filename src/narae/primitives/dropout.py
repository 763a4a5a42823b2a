"""Dropout: random elements become zero, the others grow so that the mean stays.

Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout (2014).
"""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import cast, le, mul
from .generators import random_bits


def _mask(key: Any, *, shape: Shape, threshold: int) -> Any:
    return le(threshold, random_bits(key, shape=shape))


dropout_mask: Composite = Composite(
    "dropout_mask",
    "key",
    "True where the random 32 bits of an element are at least the threshold p * 2 ** 32",
    _mask,
)


def _noise(keep: Any, dtype: Any, scale: float) -> Any:
    return mul(cast(keep, dtype=dtype), scale)


dropout: Composite = Composite(
    "dropout",
    "x keep",
    "scale * x where an element (or its channel) is kept, 0 elsewhere",
    lambda x, keep, *, scale: mul(x, _noise(keep, x.dtype, scale)),
    saves="keep",
    grads=(lambda grad, keep, scale: mul(grad, _noise(keep, grad.dtype, scale)), None),
    grad_name="MulBackward0",
)
