"""Special functions in NumPy under the names of the primitives."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

from . import special, special_bessel, special_incomplete, special_polynomials, special_zeta

LOWERINGS: dict[p.Primitive, Callable[..., Any]] = {
    p.erfcx: special.erfcx,
    p.ndtr: special.ndtr,
    p.log_ndtr: special.log_ndtr,
    p.ndtri: special.ndtri,
    p.i0: special.i0,
    p.i0e: special.i0e,
    p.i1: special.i1,
    p.i1e: special.i1e,
    p.bessel_j0: special_bessel.bessel_j0,
    p.bessel_j1: special_bessel.bessel_j1,
    p.bessel_y0: special_bessel.bessel_y0,
    p.bessel_y1: special_bessel.bessel_y1,
    p.bessel_k0: special_bessel.bessel_k0,
    p.bessel_k1: special_bessel.bessel_k1,
    p.scaled_bessel_k0: special_bessel.scaled_bessel_k0,
    p.scaled_bessel_k1: special_bessel.scaled_bessel_k1,
    p.airy_ai: special_bessel.airy_ai,
    p.orthogonal_polynomial: special_polynomials.orthogonal_polynomial,
    p.igamma: special_incomplete.igamma,
    p.igammac: special_incomplete.igammac,
    p.zeta: special_zeta.zeta,
    p.frexp: np.frexp,
    p.nextafter: np.nextafter,
    p.gcd: np.gcd,
    p.lcm: np.lcm,
}
