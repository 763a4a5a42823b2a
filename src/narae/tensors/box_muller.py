"""Normal numbers from uniform ones: PyTorch's three forms of the Box–Muller transform.

    radius = sqrt(-2 log(1 - u)),  theta = 2 pi v,  out = radius cos(theta), radius sin(theta)

Source: Box and Muller, "A note on the generation of random normal deviates" (1958). The float32
form evaluates the logarithm, sine and cosine by the polynomials of Cephes (Moshier, `logf`, `sinf`,
`cosf`) with fused multiply-add, as PyTorch's kernel for x86 does, so its results agree bit for bit.
"""

import numpy as np

from .exact_math import (
    Doubles,
    Singles,
    fused_multiply_add,
    fused_multiply_add_single,
    libm,
)

BLOCK = 16  # the vectorized forms pair element j with element j + 8 of each block
_CHUNK = 16384  # pairs evaluated together: the working arrays stay in the fast caches

_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LOG_2_LOW, _LOG_2_HIGH = -2.12194440e-4, 0.693359375
_SQRT_HALF = 0.707106781186547524
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_MINUS_QUARTER_PI = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_FOUR_OVER_PI = 1.27323954473516


def normal_pairs(u: Doubles, v: Doubles) -> tuple[Doubles, Doubles]:
    """Return the cosine and sine samples of the form that PyTorch uses below 16 elements.

    Args:
        u: uniform numbers in [0, 1) that give the angle.
        v: uniform numbers in [0, 1) that give the radius.

    >>> normal_pairs(np.array([0.25]), np.array([0.0]))[1].item()
    0.0
    """
    radius = np.sqrt(-2.0 * libm("log1p", -v))
    theta = 2.0 * np.pi * u
    return radius * libm("cos", theta), radius * libm("sin", theta)


def normal_blocks_double(uniforms: Doubles, mean: float, std: float) -> Doubles:
    """Turn blocks of 16 float64 uniforms into normals.

    Args:
        uniforms: (16 * blocks,) numbers in [0, 1).
    """
    pairs = uniforms.reshape(-1, 2, BLOCK // 2)
    radius = np.sqrt(-2.0 * libm("log", 1.0 - pairs[:, 0]))
    theta = 2.0 * np.pi * pairs[:, 1]
    standard = np.stack([radius * libm("cos", theta), radius * libm("sin", theta)], axis=1)
    return fused_multiply_add(standard, std, mean).reshape(-1)


def normal_blocks_single(uniforms: Singles, mean: float, std: float) -> Singles:
    """Turn blocks of 16 float32 uniforms into normals, in the arithmetic of PyTorch's kernel.

    Args:
        uniforms: (16 * blocks,) numbers in [0, 1).

    >>> normal_blocks_single(np.zeros(16, np.float32), 3.0, 1.0)[:2].tolist()
    [3.0, 3.0]
    """
    pairs = uniforms.reshape(-1, 2, BLOCK // 2)
    out = np.empty_like(pairs)
    rows = _CHUNK // (BLOCK // 2)
    for start in range(0, len(pairs), rows):
        u, v = np.ascontiguousarray(pairs[start : start + rows].transpose(1, 0, 2))
        radius = _single(np.sqrt(-2.0 * _log_single(np.float32(1) - u)))
        sine, cosine = _sin_cos_single(v * np.float32(2.0 * np.pi))
        out[start : start + rows, 0] = radius * cosine
        out[start : start + rows, 1] = radius * sine
    return fused_multiply_add_single(out, std, mean).reshape(-1)


# Below, float64 arrays hold float32 values: a float64 product of two of them is exact and a sum
# nearly so, hence one `_single` after `a * b + c` rounds as a fused multiply-add does.


def _single(x: Doubles) -> Doubles:
    return x.astype(np.float32).astype(np.float64)


def _constant(value: float) -> float:
    return float(np.float32(value))


def _polynomial(x: Doubles, coefficients: tuple[float, ...]) -> Doubles:
    """Horner's rule with one rounding a step."""
    out = np.full_like(x, _constant(coefficients[0]))
    for coefficient in coefficients[1:]:
        out *= x
        out += _constant(coefficient)
        out = _single(out)
    return out


def _log_single(u: Singles) -> Doubles:
    """Cephes `logf` for numbers in (0, 1]: split u = m 2**e, sqrt(1/2) <= m < sqrt(2)."""
    bits = u.view(np.int32)
    exponent = (bits >> 23) - 126
    mantissa = ((bits & 0x007FFFFF) | 0x3F000000).view(np.float32).astype(np.float64)
    small = (mantissa < _constant(_SQRT_HALF)).astype(np.float64)
    e = exponent - small
    x = mantissa * (1.0 + small) - 1.0  # exact
    square = _single(x * x)
    y = _single(_polynomial(x, _LOG) * x)
    y = _single(y * square + _single(e * _constant(_LOG_2_LOW)))
    y = _single(y - 0.5 * square)
    return _single(e * _LOG_2_HIGH + _single(x + y))


def _sin_cos_single(theta: Singles) -> tuple[Doubles, Doubles]:
    """Cephes `sinf` and `cosf` for angles in [0, 2 pi): an octant, then two polynomials."""
    octant = ((theta * np.float32(_FOUR_OVER_PI)).astype(np.int32) + 1) & ~1
    x = theta.astype(np.float64)
    for part in _MINUS_QUARTER_PI:
        x = _single(octant * _constant(part) + x)
    sine, cosine = _sine_polynomial(x), _cosine_polynomial(x)
    # Products with 0, 1 and -1 choose faster than np.where does, and are as exact.
    swap = 0.5 * (octant & 2)
    keep = 1.0 - swap
    sine_sign, cosine_sign = 1.0 - 0.5 * (octant & 4), 1.0 - 0.5 * ((octant + 2) & 4)
    swapped = sine * swap + cosine * keep
    return (sine * keep + cosine * swap) * sine_sign, swapped * cosine_sign


def _sine_polynomial(x: Doubles) -> Doubles:
    square = _single(x * x)
    return _single(_single(_polynomial(square, _SIN) * square) * x + x)


def _cosine_polynomial(x: Doubles) -> Doubles:
    square = _single(x * x)
    quartic = _single(_polynomial(square, _COS) * square) * square
    return _single(_single(quartic - 0.5 * square) + 1.0)
