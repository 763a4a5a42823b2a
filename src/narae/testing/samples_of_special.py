"""Samples of special functions, and of the parts of numbers."""

import numpy as np

from .samples import add_sample, array, binary_samples, index, unary_samples

for _name in ["erfcx", "log_ndtr", "ndtr", "i0", "i0e", "i1", "i1e", "spherical_bessel_j0"]:
    unary_samples(_name)
unary_samples("ndtri", 0.1, 0.9)
unary_samples("entr", 0.2, 3)
for _name in ["bessel_j0", "bessel_j1", "airy_ai"]:
    unary_samples(_name, -12, 12)
for _name in ["bessel_y0", "bessel_y1", "bessel_k0", "bessel_k1"]:
    unary_samples(_name, 0.3, 12)
for _name in ["scaled_bessel_k0", "scaled_bessel_k1"]:
    unary_samples(_name, 0.3, 12)

_X, _Y = array(2, 3, low=1.3, high=4), array(2, 3, low=0.55, high=2.2)
for _name in ["igamma", "igammac", "zeta", "xlog1py"]:
    binary_samples(_name, _X, _Y, numbers=False)
for _order in (1, 3):
    unary_samples("mvlgamma", 1.4, 4, order=_order)
for _family in [
    "chebyshev_t", "chebyshev_u", "chebyshev_v", "chebyshev_w", "hermite_h", "hermite_he",
    "laguerre_l", "legendre_p", "shifted_chebyshev_t", "shifted_chebyshev_w",
]:  # fmt: skip
    _degree = np.array([0.0, 3.0, 7.0])
    add_sample("orthogonal_polynomial", array(2, 3), _degree, family=_family)

unary_samples("frexp", 0.6, 0.9)
add_sample("frexp", array(3, low=5, high=7.5))
add_sample("nextafter", _X, array(3, low=5, high=6))
for _name in ["gcd", "lcm"]:
    add_sample(_name, index(2, 3, below=30), index(3, below=20))
