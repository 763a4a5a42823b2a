"""Scattering with a reduction: elements that meet at one place are multiplied or compared."""

from collections.abc import Sequence
from typing import Any

from .composite import Composite
from .elementwise import add, cast, div, eq, maximum, minimum, mul, sub, where
from .generators import full, iota, ones, zeros
from .indexing import gather, scatter, scatter_add
from .movement import expand, permute, reshape, slice_, update_slice
from .record import shape_of
from .reductions import amax, amin, prod

_REDUCTIONS = {"prod": prod, "amax": amax, "amin": amin}
_COMBINE = {"prod": mul, "amax": maximum, "amin": minimum}


def _identity(reduce: str, dtype: Any) -> Any:
    """What changes nothing: 1, or the smallest or largest number of the dtype."""
    import numpy as np

    if reduce == "prod":
        return 1
    sign = -1 if reduce == "amax" else 1
    if dtype.kind not in "iub":
        return sign * float("inf")
    if dtype.kind == "b":
        return reduce == "amin"
    info = np.iinfo(dtype)
    return int(info.min if reduce == "amax" else info.max)


def _scatter_reduce(
    x: Any, index: Any, src: Any, *, dim: int, reduce: str, include_self: bool
) -> Any:
    """Compare every index with every place, and reduce over the index: exact, but dense."""
    rank, size = len(shape_of(x)), shape_of(x)[dim]
    order = (*(place for place in range(rank) if place != dim), dim)
    moved, places = permute(src, dims=order), permute(index, dims=order)
    wide = (*shape_of(places), size)  # (.., index, places)
    hit = eq(
        expand(reshape(places, shape=(*shape_of(places), 1)), shape=wide),
        cast(iota(size=size, dtype=index.dtype), dtype=index.dtype),
    )
    identity = _identity(reduce, x.dtype)
    spread = where(hit, expand(reshape(moved, shape=(*wide[:-1], 1)), shape=wide), identity)
    found = _REDUCTIONS[reduce](spread, dim=(rank - 1,), keepdim=False)
    # `found` covers the index's extent in other dimensions; write it into a neutral tensor.
    back = tuple(sorted(range(rank), key=order.__getitem__))
    found = permute(found, dims=back)
    return _merge(x, index, found, dim, reduce, include_self, identity)


def _merge(
    x: Any, index: Any, found: Any, dim: int, reduce: str, include_self: bool, identity: Any
) -> Any:
    extent = shape_of(found)
    span = {"start": (0,) * len(extent), "stop": extent, "step": (1,) * len(extent)}
    if not include_self:
        filling = full(shape=shape_of(index), value=identity, dtype=x.dtype)
        x = scatter(x, index, filling, dim=dim)
    part = _COMBINE[reduce](slice_(x, **span), found)
    return update_slice(x, part, **span)


def _scatter_reduce_grads(
    needs: Sequence[bool],
    grads: Sequence[Any],
    x: Any,
    index: Any,
    src: Any,
    out: Any,
    dim: int,
    reduce: str,
    include_self: bool,
) -> tuple[Any, ...]:
    (grad,) = grads
    # What is overwritten takes no part; NaN equals nothing, and 1 changes no product.
    if not include_self:
        neutral = 1.0 if reduce == "prod" else float("nan")
        filling = full(shape=shape_of(index), value=neutral, dtype=x.dtype)
        x = scatter(x, index, filling, dim=dim)
    rule = _prod_grads if reduce == "prod" else _extreme_grads
    grad_x, grad_src = rule(grad, x, index, src, out, dim)
    if not include_self:
        grad_x = scatter(grad_x, index, zeros(shape_of(index), x.dtype), dim=dim)
    return grad_x, None, grad_src


def _extreme_grads(grad: Any, x: Any, index: Any, src: Any, out: Any, dim: int) -> tuple[Any, Any]:
    """All elements that equal the extreme share the gradient equally."""
    x_wins = cast(eq(x, out), dtype=x.dtype)
    src_wins = cast(eq(src, gather(out, index, dim=dim)), dtype=x.dtype)
    count = scatter_add(x_wins, index, src_wins, dim=dim)
    share = div(grad, where(eq(count, 0), 1.0, count))
    return mul(share, x_wins), mul(gather(share, index, dim=dim), src_wins)


def _prod_grads(grad: Any, x: Any, index: Any, src: Any, out: Any, dim: int) -> tuple[Any, Any]:
    """The product of the others: by division, and written out where zeros meet.

    With exactly one zero at a place, only that zero has a gradient: the product of all nonzero
    factors. With two, each has the other times that product; this is 0, but its derivative is
    not. With more, first and second derivatives are 0.
    """
    one, nothing = ones((), x.dtype), zeros((), x.dtype)
    flag_x, flag_src = cast(eq(x, 0), dtype=x.dtype), cast(eq(src, 0), dtype=x.dtype)
    safe_x, safe_src = where(eq(x, 0), one, x), where(eq(src, 0), one, src)
    zero_x, zero_src = where(eq(x, 0), x, nothing), where(eq(src, 0), src, nothing)
    nonzero = scatter_reduce(safe_x, index, safe_src, dim=dim, reduce="prod", include_self=True)
    zeros_met = scatter_add(flag_x, index, flag_src, dim=dim)
    alone = mul(nonzero, cast(eq(zeros_met, 1), dtype=x.dtype))
    paired = mul(nonzero, cast(eq(zeros_met, 2), dtype=x.dtype))
    of_zeros = scatter_add(zero_x, index, zero_src, dim=dim)

    def others(y: Any, safe_y: Any, zero_y: Any, at: Any) -> Any:
        of_zero = add(at(alone), mul(at(paired), sub(at(of_zeros), zero_y)))
        return mul(at(grad), where(eq(y, 0), of_zero, div(at(out), safe_y)))

    grad_x = others(x, safe_x, zero_x, lambda value: value)
    grad_src = others(src, safe_src, zero_src, lambda value: gather(value, index, dim=dim))
    return grad_x, grad_src


scatter_reduce: Composite = Composite(
    "scatter_reduce",
    "x index src",
    "x with src[i][j] multiplied into (or compared with) x[index[i][j]][j] for dim 0, and so on",
    _scatter_reduce,
    saves="x index src out",
    joint_grad=_scatter_reduce_grads,
)
