"""Direct NumPy forms of activations and of element-wise composites."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

from . import special
from .elementwise import sigmoid

Array = Any

_ROOT_HALF = math.sqrt(0.5)
_TANH_SCALE = math.sqrt(2 / math.pi)


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def leaky_relu(x: Array, *, slope: float) -> Array:
    """x where x > 0, slope * x elsewhere."""
    return np.where(x > 0, x, x * slope)


def elu(x: Array, *, alpha: float, scale: float, input_scale: float) -> Array:
    """scale * x where x > 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere."""
    low = np.expm1(np.minimum(x, 0) * input_scale)
    low *= alpha * scale
    return np.where(x > 0, x * scale, low)


def gelu(x: Array, *, approximate: bool) -> Array:
    """x times the share of the normal distribution below x."""
    if approximate:
        inner = np.tanh(_TANH_SCALE * (x + 0.044715 * (x * x * x)))
    else:
        inner = special.erf(x * _ROOT_HALF)
    inner = inner + 1
    inner *= 0.5
    inner *= x
    return inner


def silu(x: Array) -> Array:
    """x * sigmoid(x)."""
    return x * sigmoid(x)


def softplus(x: Array, *, beta: float, threshold: float) -> Array:
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""
    scaled = x * beta
    smooth = np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))
    return np.where(scaled > threshold, x, smooth * (1 / beta))


def clamp(x: Array, low: Any, high: Any) -> Array:
    """min(max(x, low), high)."""
    out = x if low is None else np.maximum(x, low)
    return out if high is None else np.minimum(out, high)


def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    """value where the mask holds."""
    return np.where(mask, value, x)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.relu: relu,
    p.leaky_relu: leaky_relu,
    p.elu: elu,
    p.gelu: gelu,
    p.silu: silu,
    p.softplus: softplus,
    p.clamp: clamp,
    p.masked_fill: masked_fill,
    p.exp2: np.exp2,
    p.log2: np.log2,
    p.log10: np.log10,
    p.reciprocal: np.reciprocal,
    p.hypot: np.hypot,
    p.logaddexp: np.logaddexp,
    p.logaddexp2: np.logaddexp2,
    p.copysign: np.copysign,
    p.fmax: np.fmax,
    p.fmin: np.fmin,
}
