"""Many elements to one: sum, product, largest, smallest, and where they are."""

from typing import Any

from narae.base.dtypes import INT64
from narae.base.shapes import Shape, reduced_shape

from .cumulative import exclusive_cumprod
from .elementwise import cast, div, eq, mul
from .movement import expand, flip, reshape
from .record import Primitive, Rule, first_dtype, shape_of


def _reduction(
    name: str, formula: str, grad: Rule | None, saves: str = "", **more: Any
) -> Primitive:
    return Primitive(
        name,
        "reduction",
        "x",
        formula,
        shape=lambda x, *, dim, keepdim: reduced_shape(x.shape, dim, keepdim),
        dtype=more.pop("dtype", first_dtype),
        saves=saves,
        grads=None if grad is None else (grad,),
        **more,
    )


def keep_dims(x: Any, x_shape: Shape, dim: Shape) -> Any:
    """Give a reduced value its dimensions of size 1 back."""
    wanted = reduced_shape(x_shape, dim, keepdim=True)
    return x if shape_of(x) == wanted else reshape(x, shape=wanted)


def _sum_grad(grad: Any, x_shape: Shape, dim: Shape, keepdim: bool) -> Any:
    return expand(keep_dims(grad, x_shape, dim), shape=x_shape)


def _extreme_grad(grad: Any, x: Any, out: Any, dim: Shape, keepdim: bool) -> Any:
    """Elements that tie share the gradient evenly."""
    x_shape = shape_of(x)
    chosen = cast(eq(x, keep_dims(out, x_shape, dim)), dtype=grad.dtype)
    share = div(chosen, sum_(chosen, dim=dim, keepdim=True))
    return mul(share, keep_dims(grad, x_shape, dim))


def _prod_grad(grad: Any, x: Any, out: Any, dim: Shape, keepdim: bool) -> Any:
    """The product of all others: what stands before times what stands after, zeros included."""
    (place,) = dim
    x_shape = shape_of(x)
    before = exclusive_cumprod(x, place)
    after = flip(exclusive_cumprod(flip(x, dim=(place,)), place), dim=(place,))
    return mul(mul(before, after), keep_dims(grad, x_shape, dim))


sum_: Primitive = _reduction("sum", "the sum over the dimensions `dim`", _sum_grad, "x.shape")
prod: Primitive = _reduction("prod", "the product over one dimension", _prod_grad, "x out")
amax: Primitive = _reduction("amax", "the largest; NaN wins", _extreme_grad, "x out")
amin: Primitive = _reduction("amin", "the smallest; NaN wins", _extreme_grad, "x out")
argmax: Primitive = _reduction(
    "argmax", "the first index of the largest", None, dtype=lambda x, **_: INT64
)
argmin: Primitive = _reduction(
    "argmin", "the first index of the smallest", None, dtype=lambda x, **_: INT64
)
