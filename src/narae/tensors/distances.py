"""Distances of tensors, and tensors brought within a distance."""

from narae import primitives as prims
from narae.base.dtypes import is_floating
from narae.base.errors import DTypeError, ShapeError, explain
from narae.base.shapes import normalize_dim

from .eager import apply
from .operands import as_float, common, deliver, require_tensor
from .tensor import Tensor


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of `input - other`, which broadcast.

    Args:
        input, other: tensors of one shape, or shapes that broadcast.
        p: the order.

    >>> import narae
    >>> narae.dist(narae.tensor([3.0, 0.0]), narae.tensor([0.0, 4.0]))
    tensor(5.)
    """
    first, second = common("dist", require_tensor(input, "dist"), require_tensor(other, "dist"))
    difference = as_float(apply(prims.sub, first, second))
    dims = tuple(range(difference._value.ndim))
    return apply(prims.vector_norm, difference, ord=float(p), dim=dims, keepdim=False)  # type: ignore[no-any-return]


_TINY = 1e-7  # keeps the quotient below the limit, as in PyTorch


def renorm(
    input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None
) -> Tensor:
    """Each slice along `dim` scaled down so that its p-norm is at most maxnorm.

    Args:
        input: at least two dimensions.
        p: the order of the norm, positive.
        dim: the dimension whose slices are measured.
        maxnorm: what their norm is brought down to; smaller slices stay as they are.
        out: where the result is written.
    """
    x = require_tensor(input, "renorm")
    rank = x._value.ndim
    _check_renorm(x, p, maxnorm)
    dim = normalize_dim(dim, rank, "renorm")
    rest = tuple(place for place in range(rank) if place != dim)
    length = apply(prims.vector_norm, x, ord=float(p), dim=rest, keepdim=True)
    scale = apply(prims.div, float(maxnorm), apply(prims.add, length, _TINY))
    one = apply(prims.full, shape=(), value=1, dtype=x._value.dtype)
    factor = apply(prims.where, apply(prims.lt, float(maxnorm), length), scale, one)
    result: Tensor = apply(prims.mul, x, factor)
    return result if out is None else deliver(result, out, "renorm")


def _check_renorm(x: Tensor, order: float, maxnorm: float) -> None:
    if not is_floating(x._value.dtype):
        raise DTypeError(explain("renorm", f"the tensor is {x.dtype}", "it must be floating point"))
    if order <= 0 or maxnorm < 0:
        raise ShapeError(
            f"[renorm] p is {order}, maxnorm {maxnorm}; renorm: expected p > 0 and maxnorm >= 0"
        )
    if x._value.ndim < 2:
        raise ShapeError(
            f"[renorm] renorm: input needs at least 2 dimensions, got {x._value.ndim} dimensions"
        )


__all__ = ["dist", "renorm"]
METHODS = __all__
IN_PLACE = ["renorm"]
