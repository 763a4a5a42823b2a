"""Random numbers of the Beta distribution, from the stream of Narae's generators.

Sources: Jöhnk, "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen" (1964), for
a, b ≤ 1; else a quotient of gamma numbers by Marsaglia and Tsang, "A simple method for generating
gamma variables" (ACM TOMS, 2000).
"""

import math
from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy, default_dtype
from narae.base.errors import ConfigError, explain

from .mt19937 import MT19937
from .random import Generator, draw
from .tensor import Tensor

_DOUBLE = np.dtype(np.float64)
_LEAST, _LARGEST = 1e-300, 1e300  # the quotients below stay finite


def beta(a: float, b: float, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """One number of the Beta distribution, with density ∝ x^(a - 1) (1 - x)^(b - 1) on [0, 1].

    In a compiled step it is drawn on the host before each call. The stream is not PyTorch's.

    Args:
        a, b: positive; the mean is a / (a + b).
        generator: where to draw from; the default generator without it.
        dtype: of the result; the default dtype without it.

    Returns:
        A 0-d tensor.

    Raises:
        ConfigError: if a or b is no positive, finite number (1e-300 to 1e300).

    >>> import narae
    >>> _ = narae.manual_seed(0)
    >>> 0 <= beta(0.2, 0.2).item() <= 1
    True
    """
    if not (_LEAST <= a <= _LARGEST and _LEAST <= b <= _LARGEST):
        rule = "both are positive, finite numbers"
        raise ConfigError(explain("beta", f"a is {a}, b is {b}", rule))
    sample = _small if max(a, b) <= 1 else _quotient
    kind = default_dtype() if dtype is None else as_numpy(dtype)
    return draw(generator, lambda engine: np.asarray(sample(engine, a, b)), (), kind)


def _small(engine: MT19937, a: float, b: float) -> float:
    """Jöhnk: u^(1/a) / (u^(1/a) + v^(1/b)), given that the sum is at most 1; for a, b ≤ 1."""
    while True:
        x, y = (math.log(u) / power for u, power in zip(_uniforms(engine, 2), (a, b), strict=True))
        top = max(x, y)  # logarithms, for powers of small a and b may all be 0 as numbers
        log_sum = top + math.log(math.exp(x - top) + math.exp(y - top))
        if log_sum <= 0:
            return math.exp(x - log_sum)


def _quotient(engine: MT19937, a: float, b: float) -> float:
    x, y = _gamma(engine, a), _gamma(engine, b)
    return x / (x + y)


def _gamma(engine: MT19937, shape: float) -> float:
    """Marsaglia and Tsang: d (1 + c normal)³ with d = shape - 1/3 and c = 1 / sqrt(9 d)."""
    if shape < 1:  # their section 6: gamma(shape) = gamma(shape + 1) u^(1 / shape)
        (u,) = _uniforms(engine, 1)
        return _gamma(engine, shape + 1) * math.pow(u, 1 / shape)
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        normal = float(engine.normal((1,), _DOUBLE)[0])
        cube: float = (1 + c * normal) ** 3
        (u,) = _uniforms(engine, 1)
        if cube > 0 and math.log(u) < normal**2 / 2 + d * (1 - cube + math.log(cube)):
            return d * cube


def _uniforms(engine: MT19937, count: int) -> list[float]:
    """Numbers in (0, 1], whose logarithm is finite."""
    return [1.0 - float(u) for u in engine.uniform((count,), _DOUBLE)]


__all__ = ["beta"]
