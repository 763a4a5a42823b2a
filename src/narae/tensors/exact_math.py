"""Arithmetic that rounds as compiled code does: fused multiply-add and the C library's functions.

PyTorch's CPU kernels are compiled with fused multiply-add, which rounds `a * b + c` once. NumPy
rounds twice. The functions here recover the single rounding from error-free transformations, so
that a random stream can agree bit for bit.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
_Floats = TypeVar("_Floats", Doubles, Singles)

# Above this many elements the C library's functions, called one by one, give way to NumPy's
# vectorized ones, which may differ from them in the last bit of a float64.
LIBM_LIMIT = 4096
_CHUNK = 16384

_VECTORIZED: dict[str, Callable[[Doubles], Doubles]] = {
    "log": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
}


def libm(name: str, x: Doubles) -> Doubles:
    """Evaluate a function of the C library: exactly as it does for small arrays, fast for large.

    Args:
        name: one of "log", "log1p", "exp", "sin", "cos", "tan".
        x: any shape; at most `LIBM_LIMIT` elements are evaluated one by one.

    >>> libm("log1p", np.array([0.0])).item()
    0.0
    """
    if x.size > LIBM_LIMIT or not np.all(_in_domain(name, x)):
        with np.errstate(all="ignore"):
            return _VECTORIZED[name](x)
    values = map(getattr(math, name), x.ravel().tolist())
    return np.fromiter(values, np.float64, x.size).reshape(x.shape)


def _in_domain(name: str, x: Doubles) -> npt.NDArray[np.bool_]:
    """Where Python's `math` returns a number as C does, instead of raising."""
    if name == "log":
        return x > 0
    if name == "log1p":
        return x > -1
    if name == "exp":
        return x < 709
    return np.isfinite(x)


def two_sum(a: Doubles, b: Doubles | np.float64) -> tuple[Doubles, Doubles]:
    """Return the rounded sum and its exact error (Knuth, TAOCP 2, 4.2.2)."""
    total = a + b
    shadow = total - a
    error = (a - (total - shadow)) + (b - shadow)
    return total, error


def two_product(a: Doubles, b: Doubles | np.float64) -> tuple[Doubles, Doubles]:
    """Return the rounded product and its exact error (Dekker, 1971, with Veltkamp's splitting)."""
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    product = a * b
    error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, error


def _split(x: Any) -> tuple[Any, Any]:
    scaled = 134217729.0 * x  # 2**27 + 1 halves the 53 bits of a float64
    high = scaled - (scaled - x)
    return high, x - high


def round_to_odd(total: Doubles, error: Doubles) -> Doubles:
    """Round `total + error` to a neighbour with an odd last bit unless `total` is exact.

    A second rounding to fewer bits then gives what one rounding of the exact sum would give.
    """
    bits = np.array(total, np.float64).view(np.int64)
    inexact = (error != 0) & np.isfinite(error) & np.isfinite(total) & (bits & 1 == 0)
    outward = np.signbit(error) == np.signbit(total)
    bits += inexact * np.where(outward, 1, -1)
    return bits.view(np.float64)


def fused_multiply_add(x: Doubles, scale: float, offset: float) -> Doubles:
    """Return `x * scale + offset` in float64, rounded once.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd" (IEEE Trans. Computers, 2008), figure 4.

    >>> tiny = 2.0**-30
    >>> fused_multiply_add(np.array([1 + tiny]), 1 - tiny, -1.0).item() == -(tiny**2)
    True
    """
    if offset == 0.0:
        return x * scale + offset  # adding zero rounds nothing
    return _in_chunks(_fused_double, x, np.float64(scale), np.float64(offset))


def fused_multiply_add_single(x: Singles, scale: float, offset: float) -> Singles:
    """Return `x * scale + offset` in float32, rounded once (`scale`, `offset` as float32).

    >>> fused_multiply_add_single(np.array([0.5], np.float32), 2.0, -1.0).item()
    0.0
    """
    scale_single, offset_single = np.float32(scale), np.float32(offset)
    if offset_single == 0:
        return x * scale_single + offset_single
    return _in_chunks(_fused_single, x, np.float64(scale_single), np.float64(offset_single))


def _in_chunks(
    function: Callable[[_Floats, np.float64, np.float64], _Floats],
    x: _Floats,
    scale: np.float64,
    offset: np.float64,
) -> _Floats:
    """Apply a function to pieces whose intermediate arrays stay in the fast caches."""
    flat = x.reshape(-1)
    out = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _CHUNK):
            out[start : start + _CHUNK] = function(flat[start : start + _CHUNK], scale, offset)
    return out.reshape(x.shape)


def _fused_double(x: Doubles, scale: np.float64, offset: np.float64) -> Doubles:
    product, product_error = two_product(x, scale)
    low, low_error = two_sum(product_error, offset)
    high, high_error = two_sum(product, low)
    out = high + round_to_odd(*two_sum(low_error, high_error))
    # The splitting overflows near the largest float64; two roundings are all that is left.
    return np.where(np.isfinite(out), out, x * scale + offset)


def _fused_single(x: Singles, scale: np.float64, offset: np.float64) -> Singles:
    product = x.astype(np.float64) * scale  # exact: 24 + 24 bits
    total, error = two_sum(product, offset)
    if error.any():
        total = round_to_odd(total, error)
    return total.astype(np.float32)
