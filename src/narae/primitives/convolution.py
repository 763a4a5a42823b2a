"""Convolution layers: `conv` or its transpose, and a bias for each output channel."""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .contractions import conv, conv_grad_w, conv_grad_x
from .elementwise import add
from .movement import reshape
from .record import shape_of
from .reductions import sum_


def with_bias(out: Any, b: Any) -> Any:
    """Add b[c] to every pixel of channel c."""
    if b is None:
        return out
    rank = len(shape_of(out))
    return add(out, reshape(b, shape=(1, *shape_of(b), *(1,) * (rank - 2))))


def _grad_b(grad: Any) -> Any:
    pixels = (0, *range(2, len(shape_of(grad))))
    return sum_(grad, dim=pixels, keepdim=False)


def _convolution(x: Any, w: Any, b: Any, **attrs: Any) -> Any:
    return with_bias(conv(x, w, **attrs), b)


convolution: Composite = Composite(
    "convolution",
    "x w b",
    "conv(x, w), plus b[o] in every output channel o",
    _convolution,
    saves="x w",
    grads=(
        lambda grad, x, w, **attrs: conv_grad_x(grad, w, x_shape=shape_of(x), **attrs),
        lambda grad, x, w, **attrs: conv_grad_w(grad, x, w_shape=shape_of(w), **attrs),
        lambda grad, x, w, **attrs: _grad_b(grad),
    ),
    grad_name="ConvolutionBackward0",
)


def _transposed(x: Any, w: Any, b: Any, *, out_shape: Shape, **attrs: Any) -> Any:
    return with_bias(conv_grad_x(x, w, x_shape=out_shape, **attrs), b)


conv_transpose: Composite = Composite(
    "conv_transpose",
    "x w b",
    "the transpose of conv: every pixel of x spread over its window of the result, plus b",
    _transposed,
    saves="x w",
    grads=(
        lambda grad, x, w, out_shape, **attrs: conv(grad, w, **attrs),
        lambda grad, x, w, out_shape, **attrs: conv_grad_w(x, grad, w_shape=shape_of(w), **attrs),
        lambda grad, x, w, out_shape, **attrs: _grad_b(grad),
    ),
    grad_name="ConvolutionBackward0",
)
