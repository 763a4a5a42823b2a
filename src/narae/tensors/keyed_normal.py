"""Normal noise that a program computes itself, from one key a call, as dropout does its masks.

`randn` draws each number on the host, in PyTorch's stream; that costs more than many a layer. Here
the host draws one 64-bit key, and Philox expands it wherever the program runs.
"""

import math

import numpy as np

from narae import primitives as p
from narae.base.dtypes import FLOAT32, is_half

from .eager import apply
from .random import Generator, dropout_key
from .tensor import Tensor

_STEP = 2.0**-32  # from a word to the unit interval


def keyed_normal_like(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Normal numbers with mean 0 and standard deviation 1, of the shape and dtype of a tensor.

        out = sqrt(-2 log u) cos(2 pi v),  with u in (0, 1] and v in [0, 1] of 32 bits each

    Source: Box and Muller, "A note on the generation of random normal deviates" (1958); the bits
    are of Philox (Salmon et al. 2011).

    >>> import narae
    >>> _ = narae.manual_seed(0)
    >>> noise = keyed_normal_like(narae.zeros(10000))
    >>> abs(noise.mean().item()) < 0.05, abs(noise.std().item() - 1) < 0.05
    (True, True)
    """
    kind = np.dtype(input._value.dtype)
    precise = FLOAT32 if is_half(kind) else kind
    bits = apply(p.random_bits, dropout_key(generator), shape=(2, *input.shape))
    words = apply(p.cast, bits, dtype=precise)  # (2, ...) in 0 to 2^32
    radius = (((words[0] + 1) * _STEP).log() * -2).sqrt()
    noise: Tensor = radius * (words[1] * (2 * math.pi * _STEP)).cos()
    return noise if precise == kind else noise.to(input.dtype)


__all__ = ["keyed_normal_like"]
