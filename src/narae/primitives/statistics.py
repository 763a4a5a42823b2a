"""Reductions composed of primitives: mean, variance, norms, softmax, log-sum-exp."""

import math
from typing import Any

from narae.base.dtypes import INT64
from narae.base.shapes import Shape

from .blends import logaddexp
from .composite import Composite
from .cumulative import linear_recurrence, shifted
from .elementwise import (
    abs_,
    add,
    and_,
    cast,
    div,
    eq,
    exp,
    floor_divide,
    log,
    lt,
    maximum,
    mul,
    ne,
    or_,
    pow_,
    sign,
    sqrt,
    sub,
    where,
)
from .generators import zeros
from .indexing import gather, scatter_add
from .movement import expand, flip, reshape
from .ordering import sort
from .record import Rule, shape_of
from .reductions import amax, amin, argmax, argmin, keep_dims, sum_


def _count(shape: Shape, dim: Shape) -> int:
    return math.prod(shape[place] for place in dim)


def _statistic(
    name: str, formula: str, decompose: Rule, grad: Rule, saves: str, **more: Any
) -> Composite:
    return Composite(name, "x", formula, decompose, saves=saves, grads=(grad,), **more)


# --- averages --------------------------------------------------------------------------------


def _mean(x: Any, *, dim: Shape, keepdim: bool) -> Any:
    return div(sum_(x, dim=dim, keepdim=keepdim), _count(shape_of(x), dim))


def _mean_grad(grad: Any, x_shape: Shape, dim: Shape, keepdim: bool) -> Any:
    share = div(grad, _count(x_shape, dim))
    return expand(keep_dims(share, x_shape, dim), shape=x_shape)


mean = _statistic("mean", "sum of x / count", _mean, _mean_grad, "x.shape")


def _centred(x: Any, dim: Shape) -> Any:
    return sub(x, _mean(x, dim=dim, keepdim=True))


def _freedom(shape: Shape, dim: Shape, correction: float) -> float:
    return max(_count(shape, dim) - correction, 0)


def _var(x: Any, *, dim: Shape, correction: float, keepdim: bool) -> Any:
    centred = _centred(x, dim)
    squares = sum_(mul(centred, centred), dim=dim, keepdim=keepdim)
    return div(squares, float(_freedom(shape_of(x), dim, correction)))


def _var_grad(grad: Any, x: Any, dim: Shape, correction: float, keepdim: bool) -> Any:
    freedom = _freedom(shape_of(x), dim, correction)
    scale = 2.0 / freedom if freedom else math.nan
    return mul(mul(keep_dims(grad, shape_of(x), dim), scale), _centred(x, dim))


var = _statistic("var", "sum of (x - mean)^2 / (count - correction)", _var, _var_grad, "x")


def _std_grad(grad: Any, x: Any, out: Any, **attrs: Any) -> Any:
    at_zero = eq(out, 0)
    grad_var = where(at_zero, 0.0, div(grad, mul(where(at_zero, 1.0, out), 2)))
    return _var_grad(grad_var, x, **attrs)


std = _statistic(
    "std", "square root of the variance", lambda x, **attrs: sqrt(_var(x, **attrs)), _std_grad,
    "x out",
)  # fmt: skip


# --- exponentials summed ---------------------------------------------------------------------


def _finite_max(x: Any, dim: Shape) -> Any:
    """The largest, or 0 where that is infinite: what is subtracted before exp."""
    largest = amax(x, dim=dim, keepdim=True)
    return where(lt(abs_(largest), math.inf), largest, 0.0)


def _logsumexp(x: Any, *, dim: Shape, keepdim: bool) -> Any:
    if 0 in (shape_of(x)[place] for place in dim):
        return log(sum_(exp(x), dim=dim, keepdim=keepdim))
    shift = _finite_max(x, dim)
    out = add(log(sum_(exp(sub(x, shift)), dim=dim, keepdim=True)), shift)
    return out if keepdim else reshape(out, shape=_dropped(shape_of(x), dim))


def _dropped(shape: Shape, dim: Shape) -> Shape:
    return tuple(size for place, size in enumerate(shape) if place not in dim)


def _logsumexp_grad(grad: Any, x: Any, out: Any, dim: Shape, keepdim: bool) -> Any:
    shape = shape_of(x)
    share = exp(sub(x, keep_dims(out, shape, dim)))
    return mul(keep_dims(grad, shape, dim), share)


logsumexp = _statistic("logsumexp", "log(sum of exp(x))", _logsumexp, _logsumexp_grad, "x out")


def _softmax(x: Any, *, dim: int) -> Any:
    if shape_of(x)[dim] == 0:
        return exp(x)
    powers = exp(sub(x, amax(x, dim=(dim,), keepdim=True)))
    return div(powers, sum_(powers, dim=(dim,), keepdim=True))


def _softmax_grad(grad: Any, out: Any, dim: int) -> Any:
    weighted = mul(grad, out)
    return sub(weighted, mul(out, sum_(weighted, dim=(dim,), keepdim=True)))


softmax = _statistic("softmax", "exp(x) / sum of exp(x)", _softmax, _softmax_grad, "out")


def _log_softmax(x: Any, *, dim: int) -> Any:
    if shape_of(x)[dim] == 0:
        return exp(x)
    shifted = sub(x, amax(x, dim=(dim,), keepdim=True))
    return sub(shifted, log(sum_(exp(shifted), dim=(dim,), keepdim=True)))


def _log_softmax_grad(grad: Any, out: Any, dim: int) -> Any:
    return sub(grad, mul(exp(out), sum_(grad, dim=(dim,), keepdim=True)))


log_softmax = _statistic(
    "log_softmax", "x - log(sum of exp(x))", _log_softmax, _log_softmax_grad, "out"
)


def _logcumsumexp(x: Any, *, dim: int) -> Any:
    """By doubling: after each step out[i] covers twice as many elements."""
    out = flip(x, dim=(dim,))
    distance = 1
    while distance < shape_of(x)[dim]:
        out = logaddexp(out, shifted(out, dim, distance, -math.inf))
        distance *= 2
    return flip(out, dim=(dim,))


def _logcumsumexp_grad(grad: Any, x: Any, out: Any, dim: int) -> Any:
    """exp(x[i] - out[i]) * sum over j >= i of grad[j] exp(out[i] - out[j]): no exponent is > 0."""
    if shape_of(x)[dim] == 0:
        return grad
    reached = lt(-math.inf, out)
    finite = where(reached, out, 0.0)
    decay = where(reached, exp(sub(finite, shifted(finite, dim, 1, math.inf))), 0.0)
    share = where(reached, exp(sub(x, finite)), 0.0)
    return mul(share, linear_recurrence(decay, grad, dim))


logcumsumexp = _statistic(
    "logcumsumexp",
    "log of the running sum of exp(x)",
    _logcumsumexp,
    _logcumsumexp_grad,
    "x out",
)

# --- norms -----------------------------------------------------------------------------------


def _norm(x: Any, *, ord: float, dim: Shape, keepdim: bool) -> Any:
    size = abs_(x)
    if ord == math.inf:
        return amax(size, dim=dim, keepdim=keepdim)
    if ord == -math.inf:
        return amin(size, dim=dim, keepdim=keepdim)
    if ord == 0:
        return sum_(cast(ne(x, 0), dtype=x.dtype), dim=dim, keepdim=keepdim)
    if ord == 1:
        return sum_(size, dim=dim, keepdim=keepdim)
    if ord == 2:
        return sqrt(sum_(mul(x, x), dim=dim, keepdim=keepdim))
    return pow_(sum_(pow_(size, ord), dim=dim, keepdim=keepdim), 1 / ord)


def _norm_grad(grad: Any, x: Any, out: Any, ord: float, dim: Shape, keepdim: bool) -> Any:
    shape = shape_of(x)
    grad, out = keep_dims(grad, shape, dim), keep_dims(out, shape, dim)
    if ord == 0:
        return mul(expand(grad, shape=shape), 0)
    if ord == 1:
        return mul(sign(x), grad)
    if abs(ord) == math.inf:
        chosen = cast(eq(abs_(x), out), dtype=x.dtype)
        share = div(chosen, sum_(chosen, dim=dim, keepdim=True))
        return mul(mul(sign(x), share), grad)
    at_zero = eq(out, 0)
    safe = where(at_zero, 1.0, out)
    if ord == 2:
        return mul(x, where(at_zero, 0.0, div(grad, safe)))
    return _general_norm_grad(grad, x, safe, at_zero, ord)


def _general_norm_grad(grad: Any, x: Any, safe: Any, at_zero: Any, ord: float) -> Any:
    """x |x|^(ord - 2) / out^(ord - 1), which is 0 at x = 0."""
    size = abs_(x)
    missing = eq(size, 0)
    power = where(missing, 0.0, pow_(where(missing, 1.0, size), ord - 1))
    scale = where(at_zero, 0.0, div(grad, pow_(safe, ord - 1)))
    return mul(mul(sign(x), power), scale)


vector_norm = _statistic(
    "vector_norm",
    "(sum of |x| ** ord) ** (1 / ord); the largest for infinity, the count of nonzeros for 0",
    _norm,
    _norm_grad,
    "x out",
    grad_name="LinalgVectorNormBackward0",
)

# --- a value and where it is -----------------------------------------------------------------


def _value_grad(needs: Any, grads: Any, x: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    shape = shape_of(x)
    grad, indices = keep_dims(grads[0], shape, (dim,)), keep_dims(indices, shape, (dim,))
    return (scatter_add(zeros(shape, x.dtype), indices, grad, dim=dim),)


def _selection(name: str, formula: str, find: Rule, grad_name: str) -> Composite:
    def decompose(x: Any, *, dim: int, keepdim: bool) -> tuple[Any, Any]:
        indices = find(x, dim=(dim,), keepdim=True)
        values = gather(x, indices, dim=dim)
        if keepdim:
            return values, indices
        shape = _dropped(shape_of(x), (dim,))
        return reshape(values, shape=shape), reshape(indices, shape=shape)

    return Composite(
        name,
        "x",
        formula,
        decompose,
        saves="x out1",
        joint_grad=_value_grad,
        outputs=2,
        grad_name=grad_name,
    )


max_with_index = _selection(
    "max_with_index", "the largest along dim and where it is", argmax, "MaxBackward0"
)
min_with_index = _selection(
    "min_with_index", "the smallest along dim and where it is", argmin, "MinBackward0"
)

# --- medians ---------------------------------------------------------------------------------


def median_place(x: Any, *, dim: int, ignore_nan: bool) -> Any:
    """The rank of the median in sorted order, where NaN stands last.

    Without `ignore_nan` it is the rank of the first NaN, if there is one.
    """
    size = shape_of(x)[dim]
    counted = sum_(cast(eq(x, x), dtype=INT64), dim=(dim,), keepdim=True)
    if ignore_nan:
        return floor_divide(maximum(sub(counted, 1), 0), 2)
    return where(lt(counted, size), counted, (size - 1) // 2)


def _median(x: Any, *, ignore_nan: bool) -> Any:
    flat = reshape(x, shape=(math.prod(shape_of(x)),))
    values, _ = sort(flat, dim=0, descending=False)
    return reshape(
        gather(values, median_place(flat, dim=0, ignore_nan=ignore_nan), dim=0), shape=()
    )


def _median_grad(grad: Any, x: Any, out: Any, ignore_nan: bool) -> Any:
    """Elements equal to the median share the gradient evenly."""
    same = or_(eq(x, out), and_(ne(x, x), ne(out, out)))
    chosen = cast(same, dtype=x.dtype)
    places = tuple(range(len(shape_of(x))))
    return mul(div(chosen, sum_(chosen, dim=places, keepdim=False)), grad)


median = _statistic("median", "the lower middle of all elements", _median, _median_grad, "x out")
