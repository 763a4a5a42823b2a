"""Normalization: subtract the mean, divide by the standard deviation, scale and shift.

    xhat = (x - mean) * rstd        rstd = 1 / sqrt(var + eps)
    out  = xhat * w + b

The layers differ in what they average over. All share one backward rule: with g = grad * w,

    grad_x = rstd * (g - average(g) - xhat * average(g * xhat))

Sources: Ioffe and Szegedy, Batch normalization (2015), section 3; Ba, Kiros and Hinton, Layer
normalization (2016); Wu and He, Group normalization (2018); Zhang and Sennrich, Root mean square
layer normalization (2019).
"""

import math
from collections.abc import Sequence
from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import add, div, mul, rsqrt, sub
from .movement import reshape
from .record import shape_of
from .reductions import sum_


def _average(x: Any, dim: Shape) -> Any:
    count = math.prod(shape_of(x)[place] for place in dim)
    return div(sum_(x, dim=dim, keepdim=True), count)


def _moments(x: Any, dim: Shape) -> tuple[Any, Any, Any]:
    """x - mean, mean and variance over `dim`, whose sizes become 1."""
    mean = _average(x, dim)
    centred = sub(x, mean)
    return centred, mean, _average(mul(centred, centred), dim)


def _affine(x: Any, w: Any, b: Any) -> Any:
    scaled = x if w is None else mul(x, w)
    return scaled if b is None else add(scaled, b)


def _grad_x(grad: Any, xhat: Any, rstd: Any, dim: Shape) -> Any:
    """The backward rule of every layer here, for a gradient that w was multiplied into."""
    along = mul(xhat, _average(mul(grad, xhat), dim))
    return mul(rstd, sub(sub(grad, _average(grad, dim)), along))


def _sums(grad: Any, xhat: Any, needs: Sequence[bool], dim: Shape, like: Any) -> tuple[Any, Any]:
    """The gradients of w and b: sums over everything they were broadcast along."""

    def total(x: Any) -> Any:
        return reshape(sum_(x, dim=dim, keepdim=False), shape=shape_of(like))

    grad_w = total(mul(grad, xhat)) if needs[0] else None
    return grad_w, total(grad) if needs[1] else None


# --- batch normalization --------------------------------------------------------------------


def _pixels(rank: int) -> Shape:
    """All dimensions but the channels."""
    return (0, *range(2, rank))


def by_channel(v: Any, rank: int) -> Any:
    """One number for each channel, ready to broadcast: (channels,) -> (1, channels, 1, …)."""
    return None if v is None else reshape(v, shape=(1, *shape_of(v), *(1,) * (rank - 2)))


def _batch_norm(x: Any, w: Any, b: Any, *, eps: float) -> tuple[Any, Any, Any]:
    rank = len(shape_of(x))
    centred, mean, var = _moments(x, _pixels(rank))
    xhat = mul(centred, rsqrt(add(var, eps)))
    channels = shape_of(x)[1:2]
    out = _affine(xhat, by_channel(w, rank), by_channel(b, rank))
    return out, reshape(mean, shape=channels), reshape(var, shape=channels)


def _batch_norm_grad(
    needs: Any, grads: Any, x: Any, w: Any, b: Any, mean: Any, var: Any, *, eps: float
) -> tuple[Any, Any, Any]:
    rank = len(shape_of(x))
    rstd = by_channel(rsqrt(add(var, eps)), rank)
    xhat = mul(sub(x, by_channel(mean, rank)), rstd)
    grad_w, grad_b = _sums(grads[0], xhat, needs[1:], _pixels(rank), mean)
    if not needs[0]:
        return None, grad_w, grad_b
    grad = grads[0] if w is None else mul(grads[0], by_channel(w, rank))
    return _grad_x(grad, xhat, rstd, _pixels(rank)), grad_w, grad_b


batch_norm: Composite = Composite(
    "batch_norm",
    "x w b",
    "out, mean, var; averages over the batch and all pixels, for each channel",
    _batch_norm,
    saves="x w b out1 out2",
    joint_grad=_batch_norm_grad,
    outputs=3,
    grad_name="NativeBatchNormBackward0",
)


def _fixed_norm(x: Any, mean: Any, var: Any, w: Any, b: Any, *, eps: float) -> Any:
    rank = len(shape_of(x))
    rstd = by_channel(rsqrt(add(var, eps)), rank)
    xhat = mul(sub(x, by_channel(mean, rank)), rstd)
    return _affine(xhat, by_channel(w, rank), by_channel(b, rank))


def _fixed_norm_grad(
    needs: Any, grads: Any, x: Any, mean: Any, var: Any, w: Any, *, eps: float
) -> tuple[Any, ...]:
    rank = len(shape_of(x))
    rstd = by_channel(rsqrt(add(var, eps)), rank)
    xhat = mul(sub(x, by_channel(mean, rank)), rstd)
    grad_w, grad_b = _sums(grads[0], xhat, needs[3:], _pixels(rank), mean)
    if not needs[0]:
        return None, None, None, grad_w, grad_b
    grad = grads[0] if w is None else mul(grads[0], by_channel(w, rank))
    return mul(grad, rstd), None, None, grad_w, grad_b


fixed_norm: Composite = Composite(
    "fixed_norm",
    "x mean var w b",
    "batch normalization with a mean and a variance that were measured before",
    _fixed_norm,
    saves="x mean var w",
    joint_grad=_fixed_norm_grad,
    grad_name="NativeBatchNormBackward0",
)

moving_average: Composite = Composite(
    "moving_average",
    "old new",
    "(1 - momentum) * old + momentum * scale * new",
    lambda old, new, *, momentum, scale: add(mul(old, 1 - momentum), mul(new, momentum * scale)),
)

# --- layer normalization --------------------------------------------------------------------


def _last(rank: int, count: int) -> Shape:
    return tuple(range(rank - count, rank))


def _layer_norm(x: Any, w: Any, b: Any, *, rank: int, eps: float) -> tuple[Any, Any, Any]:
    centred, mean, var = _moments(x, _last(len(shape_of(x)), rank))
    rstd = rsqrt(add(var, eps))
    return _affine(mul(centred, rstd), w, b), mean, rstd


def _layer_norm_grad(
    needs: Any, grads: Any, x: Any, w: Any, b: Any, mean: Any, rstd: Any, *, rank: int, eps: float
) -> tuple[Any, Any, Any]:
    (grad, *_), total = grads, len(shape_of(x))
    xhat = mul(sub(x, mean), rstd)
    grad_w, grad_b = _sums(grad, xhat, needs[1:], tuple(range(total - rank)), b if w is None else w)
    if not needs[0]:
        return None, grad_w, grad_b
    scaled = grad if w is None else mul(grad, w)
    return _grad_x(scaled, xhat, rstd, _last(total, rank)), grad_w, grad_b


layer_norm: Composite = Composite(
    "layer_norm",
    "x w b",
    "out, mean, rstd; averages over the last `rank` dimensions",
    _layer_norm,
    saves="x w b out1 out2",
    joint_grad=_layer_norm_grad,
    outputs=3,
    grad_name="NativeLayerNormBackward0",
)


def _rms_norm(x: Any, w: Any, *, rank: int, eps: float) -> tuple[Any, Any]:
    rstd = rsqrt(add(_average(mul(x, x), _last(len(shape_of(x)), rank)), eps))
    return _affine(mul(x, rstd), w, None), rstd


def _rms_norm_grad(
    needs: Any, grads: Any, x: Any, w: Any, rstd: Any, *, rank: int, eps: float
) -> tuple[Any, Any]:
    (grad, *_), total = grads, len(shape_of(x))
    xhat = mul(x, rstd)
    grad_w = None
    if needs[1]:
        grad_w, _ = _sums(grad, xhat, (True, False), tuple(range(total - rank)), w)
    if not needs[0]:
        return None, grad_w
    scaled = grad if w is None else mul(grad, w)
    along = mul(xhat, _average(mul(scaled, xhat), _last(total, rank)))
    return mul(rstd, sub(scaled, along)), grad_w


rms_norm: Composite = Composite(
    "rms_norm",
    "x w",
    "out, rstd; x / sqrt(average of x ** 2 + eps) * w over the last `rank` dimensions",
    _rms_norm,
    saves="x w out1",
    joint_grad=_rms_norm_grad,
    outputs=2,
    grad_name="FusedRmsNormBackward0",
)

# --- group normalization --------------------------------------------------------------------


def _grouped(x: Any, groups: int) -> Any:
    """(batch, channels, …) -> (batch, groups, elements of a group)."""
    shape = shape_of(x)
    size = math.prod(shape[1:]) // groups
    return reshape(x, shape=(shape[0], groups, size))


def _group_norm(x: Any, w: Any, b: Any, *, groups: int, eps: float) -> tuple[Any, Any, Any]:
    rank = len(shape_of(x))
    centred, mean, var = _moments(_grouped(x, groups), (2,))
    rstd = rsqrt(add(var, eps))
    xhat = reshape(mul(centred, rstd), shape=shape_of(x))
    return _affine(xhat, by_channel(w, rank), by_channel(b, rank)), mean, rstd


def _group_norm_grad(
    needs: Any,
    grads: Any,
    x: Any,
    w: Any,
    b: Any,
    mean: Any,
    rstd: Any,
    *,
    groups: int,
    eps: float,
) -> tuple[Any, Any, Any]:
    shape, (grad, *_) = shape_of(x), grads
    xhat = mul(sub(_grouped(x, groups), mean), rstd)  # (batch, groups, elements)
    flat = reshape(xhat, shape=shape)
    grad_w, grad_b = _sums(grad, flat, needs[1:], _pixels(len(shape)), b if w is None else w)
    if not needs[0]:
        return None, grad_w, grad_b
    scaled = grad if w is None else mul(grad, by_channel(w, len(shape)))
    found = _grad_x(_grouped(scaled, groups), xhat, rstd, (2,))
    return reshape(found, shape=shape), grad_w, grad_b


group_norm: Composite = Composite(
    "group_norm",
    "x w b",
    "out, mean, rstd; averages over the channels of a group and all pixels, for each image",
    _group_norm,
    saves="x w b out1 out2",
    joint_grad=_group_norm_grad,
    outputs=3,
    grad_name="NativeGroupNormBackward0",
)
