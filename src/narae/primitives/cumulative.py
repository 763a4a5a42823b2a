"""Running totals along a dimension."""

from typing import Any

from narae.base.dtypes import INT64

from .elementwise import add, mul
from .generators import zeros
from .indexing import scatter_add
from .movement import flip, narrow, pad
from .record import Primitive, first_dtype, same_shape, shape_of


def _reverse_cumsum(x: Any, dim: int) -> Any:
    return flip(cumsum(flip(x, dim=(dim,)), dim=dim), dim=(dim,))


def shifted(x: Any, dim: int, distance: int, fill: float) -> Any:
    """x moved towards the start by `distance`, filled up at the end; `distance` <= its size.

    before: [a, b, c], distance 1, fill 0
    after:  [b, c, 0]
    """
    shape = shape_of(x)
    rest = narrow(x, dim, distance, shape[dim] - distance)
    high = tuple(distance if place == dim else 0 for place in range(len(shape)))
    return pad(rest, low=(0,) * len(shape), high=high, value=fill)


def linear_recurrence(factor: Any, term: Any, dim: int) -> Any:
    """y[i] = term[i] + factor[i] * y[i + 1] along a dimension, from the end.

    By doubling (Hillis and Steele 1986): after each step y[i] reaches twice as far ahead. Nothing
    is divided, so zeros need no care, and it can be differentiated again.
    """
    size = shape_of(term)[dim]
    distance = 1
    while distance < size:
        term = add(term, mul(factor, shifted(term, dim, distance, 0)))
        factor = mul(factor, shifted(factor, dim, distance, 0))
        distance *= 2
    return term


def exclusive_cumprod(x: Any, dim: int) -> Any:
    """The product of all elements before each one: 1, x[0], x[0] x[1], …"""
    shape = shape_of(x)
    if shape[dim] == 0:
        return x
    rest = narrow(cumprod(x, dim=dim), dim, 0, shape[dim] - 1)
    low = tuple(int(place == dim) for place in range(len(shape)))
    return pad(rest, low=low, high=(0,) * len(shape), value=1)


def _cumprod_grad(grad: Any, x: Any, dim: int) -> Any:
    """The product before x[i], times the sum over j >= i of grad[j] x[i + 1] … x[j]."""
    if shape_of(x)[dim] == 0:
        return grad
    after = linear_recurrence(shifted(x, dim, 1, 0), grad, dim)
    return mul(exclusive_cumprod(x, dim), after)


cumsum: Primitive = Primitive(
    "cumsum",
    "cumulative",
    "x",
    "out[i] = x[0] + … + x[i]",
    shape=same_shape,
    dtype=first_dtype,
    grads=(lambda grad, dim: _reverse_cumsum(grad, dim),),
)

cumprod: Primitive = Primitive(
    "cumprod",
    "cumulative",
    "x",
    "out[i] = x[0] * … * x[i]",
    shape=same_shape,
    dtype=first_dtype,
    saves="x",
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


cummax: Primitive = _running("cummax", "the largest so far, and its index")
cummin: Primitive = _running("cummin", "the smallest so far, and its index")
