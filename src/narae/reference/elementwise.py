"""NumPy's element-wise functions under the names of the primitives."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

from . import special

Array = Any
# rsqrt and sigmoid are written as PyTorch evaluates them: 1 / sqrt(x), 1 / (1 + exp(-x)).


def rsqrt(x: Array) -> Array:
    """One over the square root."""
    return np.reciprocal(np.sqrt(x))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); exp may overflow to infinity, which gives 0."""
    grown = np.negative(x)
    if grown.__class__ is not np.ndarray:  # NumPy gives scalars for 0-d arrays
        return np.reciprocal(1 + np.exp(grown))
    np.exp(grown, grown)
    np.add(grown, 1, grown)
    return np.reciprocal(grown, grown)


def sign(x: Array) -> Array:
    """-1, 0 or 1; 0 for NaN, as in PyTorch."""
    return np.subtract(np.greater(x, 0), np.less(x, 0), dtype=x.dtype)


def power(x: Array, y: Array) -> Array:
    """x ** y; squares are products, and integers to negative powers are rounded toward zero."""
    if isinstance(y, (int, float)) and y == 2:
        return np.multiply(x, x)
    dtype = (y if isinstance(x, (int, float)) else x).dtype
    if dtype.kind in "iu":
        return _integer_power(np.asarray(x, dtype), np.asarray(y, dtype))
    return np.power(x, y)


def _integer_power(x: Array, y: Array) -> Array:
    """1 and -1 have whole reciprocals; all others round to 0."""
    negative = np.less(y, 0)
    if not negative.any():
        return np.power(x, y)
    out = np.power(x, np.where(negative, 0, y))
    sign = np.where(np.bitwise_and(y, 1) == 0, np.abs(x), x)
    return np.where(negative, np.where(np.abs(x) == 1, sign, 0), out)


def polygamma(x: Array, *, order: int) -> Array:
    """Derivatives of digamma."""
    return special.polygamma(order, x)


def cast(x: Array, *, dtype: Any) -> Array:
    """Convert; a copy even when nothing changes."""
    return np.asarray(x).astype(dtype)


def copy(x: Array) -> Array:
    """A copy in row-major order."""
    return np.array(x, order="C")


def detach(x: Array) -> Array:
    """The same storage."""
    return x


_BITS: dict[Any, Any] = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def where(condition: Array, x: Array, y: Array) -> Array:
    """x where the condition holds, y elsewhere.

    The gradient of a rectifier has zero for x and a condition that no processor can predict: it
    is ten times faster to switch bits off, by a mask of ones or zeros, than to choose.
    """
    if isinstance(x, float) and x == 0 and math.copysign(1, x) > 0:
        bits = _BITS.get(getattr(y, "dtype", None))
        if bits is not None:
            mask = condition.view(np.uint8).astype(bits) - bits(1)
            return np.bitwise_and(mask, y.view(bits)).view(y.dtype)
    return np.where(condition, x, y)


UNARY: dict[p.Primitive, Callable[..., Array]] = {
    p.neg: np.negative,
    p.abs_: np.absolute,
    p.sign: sign,
    p.floor: np.floor,
    p.ceil: np.ceil,
    p.round_: np.rint,
    p.trunc: np.trunc,
    p.exp: np.exp,
    p.expm1: np.expm1,
    p.log: np.log,
    p.log1p: np.log1p,
    p.sqrt: np.sqrt,
    p.rsqrt: rsqrt,
    p.sigmoid: sigmoid,
    p.sin: np.sin,
    p.cos: np.cos,
    p.tan: np.tan,
    p.asin: np.arcsin,
    p.acos: np.arccos,
    p.atan: np.arctan,
    p.sinh: np.sinh,
    p.cosh: np.cosh,
    p.tanh: np.tanh,
    p.asinh: np.arcsinh,
    p.acosh: np.arccosh,
    p.atanh: np.arctanh,
    p.erf: special.erf,
    p.erfc: special.erfc,
    p.erfinv: special.erfinv,
    p.lgamma: special.lgamma,
    p.digamma: special.digamma,
    p.polygamma: polygamma,
    p.not_: np.invert,
    p.copy: copy,
    p.cast: cast,
    p.detach: detach,
}

BINARY: dict[p.Primitive, Callable[..., Array]] = {
    p.add: np.add,
    p.sub: np.subtract,
    p.mul: np.multiply,
    p.div: np.true_divide,
    p.pow_: power,
    p.remainder: np.remainder,
    p.fmod: np.fmod,
    p.floor_divide: np.floor_divide,
    p.maximum: np.maximum,
    p.minimum: np.minimum,
    p.atan2: np.arctan2,
    p.eq: np.equal,
    p.ne: np.not_equal,
    p.lt: np.less,
    p.le: np.less_equal,
    p.and_: np.bitwise_and,
    p.or_: np.bitwise_or,
    p.xor: np.bitwise_xor,
    p.shift_left: np.left_shift,
    p.shift_right: np.right_shift,
}

LOWERINGS: dict[p.Primitive, Callable[..., Array]] = {**UNARY, **BINARY, p.where: where}
