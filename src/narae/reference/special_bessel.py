"""Bessel functions of both kinds, modified ones of the second kind, and Airy's function, in NumPy.

Computed in float64. The waving functions (J, Y, Ai below zero) are precise absolutely: close to
their roots not relatively. `special_bessel_tables` names the sources of the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from narae.reference import special_bessel_tables as tables
from narae.reference.approximation import (
    Doubles,
    Formula,
    chebyshev,
    elementwise,
    piecewise,
    polynomial,
)
from narae.reference.special import I0_SERIES, I1_SERIES

# ---------------------------------------------------------------------- J and Y, orders 0 and 1


@elementwise
def bessel_j0(x: Doubles) -> Doubles:
    """Bessel function of the first kind, order zero; NaN at infinity.

    >>> bessel_j0(np.array([0.0, 1.0]))
    array([1.        , 0.76519769])
    """
    size = np.abs(x)
    return piecewise(size, (size <= 8, _near_j0), (size > 8, lambda x: _wave(x, 0)[0]))


@elementwise
def bessel_j1(x: Doubles) -> Doubles:
    """Bessel function of the first kind, order one.

    >>> bessel_j1(np.array([0.0, 1.0]))
    array([0.        , 0.44005059])
    """
    size = np.abs(x)
    positive = piecewise(size, (size <= 8, _near_j1), (size > 8, lambda x: _wave(x, 1)[0]))
    return np.where(x < 0, -positive, positive)


@elementwise
def bessel_y0(x: Doubles) -> Doubles:
    """Bessel function of the second kind, order zero; NaN below zero.

    >>> bessel_y0(np.array([0.0, 1.0]))
    array([      -inf, 0.08825696])
    """
    return piecewise(
        x,
        (x == 0, _minus_infinity),
        ((x > 0) & (x <= 8), _near_y0),
        (x > 8, lambda x: _wave(x, 0)[1]),
    )


@elementwise
def bessel_y1(x: Doubles) -> Doubles:
    """Bessel function of the second kind, order one; NaN below zero.

    >>> bessel_y1(np.array([0.0, 1.0]))
    array([       -inf, -0.78121282])
    """
    return piecewise(
        x,
        (x == 0, _minus_infinity),
        ((x > 0) & (x <= 8), _near_y1),
        (x > 8, lambda x: _wave(x, 1)[1]),
    )


def _minus_infinity(x: Doubles) -> Doubles:
    return np.full(x.shape, -np.inf)


def _near_j0(x: Doubles) -> Doubles:
    return piecewise(
        x,
        (np.abs(x) < 1, lambda x: polynomial(-x * x / 4, I0_SERIES)),
        (True, lambda x: chebyshev(x * x / 32 - 1, tables.J0_NEAR)),
    )


def _near_j1(x: Doubles) -> Doubles:
    return piecewise(
        x,
        (np.abs(x) < 1, lambda x: x * polynomial(-x * x / 4, I1_SERIES)),
        (True, lambda x: x * chebyshev(x * x / 32 - 1, tables.J1_NEAR)),
    )


def _near_y0(x: Doubles) -> Doubles:
    logarithm = 2 / np.pi * np.log(x)
    return chebyshev(x * x / 32 - 1, tables.Y0_NEAR) + logarithm * _near_j0(x)


def _near_y1(x: Doubles) -> Doubles:
    singular = np.log(x) * _near_j1(x) - 1 / x
    return x * chebyshev(x * x / 32 - 1, tables.Y1_NEAR) + 2 / np.pi * singular


_WAVES = (
    (tables.J0_WAVE_P, tables.J0_WAVE_Q),
    (tables.J1_WAVE_P, tables.J1_WAVE_Q),
)


def _wave(x: Doubles, order: int) -> tuple[Doubles, Doubles]:
    """J and Y beyond 8: a slowly changing modulus times cosine and sine of an angle.

    The angle is x - pi/4 - order pi/2; its cosine and sine come from those of x, so that no
    rounding of the difference enters.
    """
    z = 8 / x
    p, q = (chebyshev(2 * z * z - 1, table) for table in _WAVES[order])
    sine, cosine = np.sin(x), np.cos(x)
    along, across = cosine + sine, sine - cosine  # times sqrt(1/2): those of x - pi/4
    if order == 1:
        along, across = across, -along
    size = np.sqrt(1 / (np.pi * x))
    return size * (p * along - z * q * across), size * (p * across + z * q * along)


# ------------------------------------------------------------ modified ones of the second kind


@elementwise
def bessel_k0(x: Doubles) -> Doubles:
    """Modified Bessel function of the second kind, order zero; NaN below zero.

    >>> bessel_k0(np.array([0.0, 1.0]))
    array([       inf, 0.42102444])
    """
    return _second_kind(x, _near_k0, tables.K0_FAR, scaled=False)


@elementwise
def bessel_k1(x: Doubles) -> Doubles:
    """Modified Bessel function of the second kind, order one; NaN below zero.

    >>> bessel_k1(np.array([0.0, 1.0]))
    array([       inf, 0.60190723])
    """
    return _second_kind(x, _near_k1, tables.K1_FAR, scaled=False)


@elementwise
def scaled_bessel_k0(x: Doubles) -> Doubles:
    """exp(x) times `bessel_k0`.

    >>> scaled_bessel_k0(np.array([1.0, 1000.0]))
    array([1.14446308, 0.03962832])
    """
    return _second_kind(x, _near_k0, tables.K0_FAR, scaled=True)


@elementwise
def scaled_bessel_k1(x: Doubles) -> Doubles:
    """exp(x) times `bessel_k1`.

    >>> scaled_bessel_k1(np.array([1.0, 1000.0]))
    array([1.63615349, 0.03964813])
    """
    return _second_kind(x, _near_k1, tables.K1_FAR, scaled=True)


def _near_k0(x: Doubles) -> Doubles:
    growing = polynomial(x * x / 4, I0_SERIES)
    return chebyshev(x * x / 2 - 1, tables.K0_NEAR) - np.log(x / 2) * growing


def _near_k1(x: Doubles) -> Doubles:
    growing = x * polynomial(x * x / 4, I1_SERIES)
    return chebyshev(x * x / 2 - 1, tables.K1_NEAR) / x + np.log(x / 2) * growing


def _second_kind(x: Doubles, near: Formula, far: Sequence[float], scaled: bool) -> Doubles:
    def beyond(x: Doubles) -> Doubles:
        out = chebyshev(4 / x - 1, far) / np.sqrt(x)
        return out if scaled else np.exp(-x) * out

    def below(x: Doubles) -> Doubles:
        out: Doubles = near(x)
        return out * np.exp(x) if scaled else out

    return piecewise(
        x,
        (x == 0, lambda x: np.full(x.shape, np.inf)),
        ((x > 0) & (x <= 2), below),
        (x > 2, beyond),
    )


# ------------------------------------------------------------------------------------- Airy


@elementwise
def airy_ai(x: Doubles) -> Doubles:
    """Airy's function Ai, which waves below zero and decays above: out'' = x out.

    >>> airy_ai(np.array([-2.0, 0.0, 2.0]))
    array([0.22740743, 0.35502805, 0.03492413])
    """
    return piecewise(
        x,
        (x < -6, lambda x: _airy_wave(-x)),
        (x <= 2, lambda x: chebyshev((x + 2) / 4, tables.AIRY_MIDDLE)),
        (x > 2, _airy_decay),
    )


def _airy_angle(x: Doubles) -> Doubles:
    return 2 / 3 * x * np.sqrt(x)


_ANGLE_2, _ANGLE_6 = 4 / 3 * np.sqrt(2.0), 4 * np.sqrt(6.0)


def _airy_decay(x: Doubles) -> Doubles:
    z = _airy_angle(x)
    size = chebyshev(2 * _ANGLE_2 / z - 1, tables.AIRY_FAR) / (2 * np.sqrt(np.pi * np.sqrt(x)))
    out: Doubles = size * np.exp(-z)
    return out


def _airy_wave(x: Doubles) -> Doubles:
    z = _airy_angle(x)
    place = 2 * (_ANGLE_6 / z) ** 2 - 1
    p, q = chebyshev(place, tables.AIRY_WAVE_P), chebyshev(place, tables.AIRY_WAVE_Q)
    sine, cosine = np.sin(z), np.cos(z)
    wave = p * (cosine + sine) + q / z * (sine - cosine)
    out: Doubles = wave / np.sqrt(2 * np.pi * np.sqrt(x))
    return out
