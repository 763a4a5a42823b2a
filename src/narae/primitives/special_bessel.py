"""Special functions through which no gradient flows, as in PyTorch: Bessel, Airy, polynomials."""

import math
from typing import Any

from .composite import Composite
from .elementwise import abs_, binary, div, eq, sin, unary, where
from .record import Primitive

bessel_j0: Primitive = unary("bessel_j0", "Bessel function of the first kind, order 0", None)
bessel_j1: Primitive = unary("bessel_j1", "Bessel function of the first kind, order 1", None)
bessel_y0: Primitive = unary("bessel_y0", "Bessel function of the second kind, order 0", None)
bessel_y1: Primitive = unary("bessel_y1", "Bessel function of the second kind, order 1", None)
bessel_k0: Primitive = unary(
    "bessel_k0", "modified Bessel function of the second kind, order 0", None
)
bessel_k1: Primitive = unary(
    "bessel_k1", "modified Bessel function of the second kind, order 1", None
)
scaled_bessel_k0: Primitive = unary("scaled_bessel_k0", "exp(x) bessel_k0(x)", None)
scaled_bessel_k1: Primitive = unary("scaled_bessel_k1", "exp(x) bessel_k1(x)", None)
airy_ai: Primitive = unary("airy_ai", "the solution of out'' = x out that decays above 0", None)


def _spherical_bessel_j0(x: Any) -> Any:
    at_zero = eq(x, 0)
    usual = div(sin(x), where(at_zero, 1.0, x))
    return where(at_zero, 1.0, where(eq(abs_(x), math.inf), 0.0, usual))


spherical_bessel_j0 = Composite(
    "spherical_bessel_j0", "x", "sin(x) / x; 1 at 0", _spherical_bessel_j0
)
orthogonal_polynomial: Primitive = binary(
    "orthogonal_polynomial", "at x, the polynomial of degree y of the family `family`", None
)
