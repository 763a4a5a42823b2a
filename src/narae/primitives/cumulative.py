"""Running totals along a dimension."""

from typing import Any

from narae.base.dtypes import INT64

from .elementwise import cast, div, eq, mul, where
from .generators import zeros
from .indexing import scatter_add
from .movement import flip
from .record import Primitive, first_dtype, same_shape, shape_of


def _reverse_cumsum(x: Any, dim: int) -> Any:
    return flip(cumsum(flip(x, dim=(dim,)), dim=dim), dim=(dim,))


def _cumprod_grad(grad: Any, x: Any, out: Any, dim: int) -> Any:
    """Divide by x; at the first zero of a row, work with 1 in its place; after it, all is zero."""
    zero = eq(x, 0)
    seen = cumsum(cast(zero, dtype=x.dtype), dim=dim)
    first_zero = where(zero, eq(seen, 1), False)
    usual = div(_reverse_cumsum(mul(grad, out), dim), where(zero, 1.0, x))
    without = cumprod(where(first_zero, 1.0, x), dim=dim)
    at_zero = _reverse_cumsum(mul(grad, without), dim)
    before = where(eq(seen, 0), usual, 0.0)
    return where(first_zero, at_zero, before)


cumsum = Primitive(
    "cumsum",
    "cumulative",
    "x",
    "out[i] = x[0] + … + x[i]",
    shape=same_shape,
    dtype=first_dtype,
    grads=(lambda grad, dim: _reverse_cumsum(grad, dim),),
)

cumprod = Primitive(
    "cumprod",
    "cumulative",
    "x",
    "out[i] = x[0] * … * x[i]",
    shape=same_shape,
    dtype=first_dtype,
    saves="x out",
    grads=(_cumprod_grad,),
)


def _running_grad(needs: Any, grads: Any, x: Any, indices: Any, dim: int) -> tuple[Any]:
    return (scatter_add(zeros(shape_of(x), x.dtype), indices, grads[0], dim=dim),)


def _running(name: str, formula: str) -> Primitive:
    return Primitive(
        name,
        "cumulative",
        "x",
        formula,
        shape=lambda x, *, dim: (tuple(x.shape), tuple(x.shape)),
        dtype=lambda x, *, dim: (x.dtype, INT64),
        saves="x out1",
        joint_grad=_running_grad,
        outputs=2,
    )


cummax = _running("cummax", "the largest so far, and its index")
cummin = _running("cummin", "the smallest so far, and its index")
