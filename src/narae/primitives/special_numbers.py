"""What floating point numbers and integers are made of: halves and exponents, divisors."""

from typing import Any

import numpy as np

from narae.base.shapes import Shape

from .blends import exp2
from .elementwise import binary, cast, div, eq, mul, where
from .record import Primitive

INT32 = np.dtype(np.int32)


def _frexp_grad(needs: Any, grads: Any, x_dtype: Any, exponent: Any) -> tuple[Any]:
    return (div(grads[0], exp2(cast(exponent, dtype=x_dtype))),)


def _both_shapes(x: Any) -> tuple[Shape, Shape]:
    return tuple(x.shape), tuple(x.shape)


frexp: Primitive = Primitive(
    "frexp",
    "elementwise",
    "x",
    "a mantissa of size 0.5 to 1, and e with x = mantissa * 2 ** e",
    shape=_both_shapes,
    dtype=lambda x: (x.dtype, INT32),
    saves="x.dtype out1",
    joint_grad=_frexp_grad,
    outputs=2,
)
nextafter: Primitive = binary(
    "nextafter",
    "the number next to x towards y; y where they are equal",
    (
        lambda grad, x, y: where(eq(x, y), 0.0, grad),
        lambda grad, x, y: mul(grad, 0),
    ),
    "x y",
)
gcd: Primitive = binary("gcd", "the greatest common divisor; of two zeros, 0", None)
lcm: Primitive = binary("lcm", "the least common multiple; 0 where one is 0", None)
