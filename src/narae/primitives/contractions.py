"""Sums of products: matrix multiplication, convolution and its two gradients."""

from typing import Any

from narae.base.shapes import Shape, broadcast_shapes

from .movement import permute
from .record import Primitive, same_dtype, shape_of


def _matmul_shape(x: Any, y: Any) -> Shape:
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2], what="matmul")
    return (*batch, x.shape[-2], y.shape[-1])


def transpose_last(x: Any) -> Any:
    """Swap the last two dimensions."""
    rank = len(shape_of(x))
    return permute(x, dims=(*range(rank - 2), rank - 1, rank - 2))


matmul: Primitive = Primitive(
    "matmul",
    "contraction",
    "x y",
    "out[.., i, j] = sum over k of x[.., i, k] * y[.., k, j]; leading dimensions broadcast",
    shape=_matmul_shape,
    dtype=same_dtype,
    saves="x y",
    grads=(
        lambda grad, x, y: matmul(grad, transpose_last(y)),
        lambda grad, x, y: matmul(transpose_last(x), grad),
    ),
    broadcasts=True,
    grad_name="MmBackward0",
)


def conv_output_size(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> int:
    """Positions of a window: floor((size + padding - dilation * (kernel - 1) - 1) / stride) + 1.

    >>> conv_output_size(28, 3, 1, (1, 1), 1)
    28
    """
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def _conv_shape(x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Shape:
    space = map(conv_output_size, x.shape[2:], w.shape[2:], stride, padding, dilation)
    return (x.shape[0], w.shape[0], *space)


conv: Primitive = Primitive(
    "conv",
    "contraction",
    "x w",
    "out[n, o, p] = sum over c, k of w[o, c, k] * x[n, c, stride * p + dilation * k - padding]",
    shape=_conv_shape,
    dtype=same_dtype,
    saves="x w",
    grads=(
        lambda grad, x, w, **attrs: conv_grad_x(grad, w, x_shape=shape_of(x), **attrs),
        lambda grad, x, w, **attrs: conv_grad_w(grad, x, w_shape=shape_of(w), **attrs),
    ),
    grad_name="ConvolutionBackward0",
)

conv_grad_x: Primitive = Primitive(
    "conv_grad_x",
    "contraction",
    "grad_out w",
    "the transpose of conv in x: each output pixel spread over the window it came from",
    shape=lambda grad_out, w, *, x_shape, **_: x_shape,
    dtype=same_dtype,
    saves="grad_out w",
    grads=(
        lambda grad, grad_out, w, x_shape, **attrs: conv(grad, w, **attrs),
        lambda grad, grad_out, w, x_shape, **attrs: conv_grad_w(
            grad_out, grad, w_shape=shape_of(w), **attrs
        ),
    ),
    grad_name="ConvolutionBackwardBackward0",
)

conv_grad_w: Primitive = Primitive(
    "conv_grad_w",
    "contraction",
    "grad_out x",
    "the transpose of conv in w: correlation of the input with the gradient of the output",
    shape=lambda grad_out, x, *, w_shape, **_: w_shape,
    dtype=same_dtype,
    saves="grad_out x",
    grads=(
        lambda grad, grad_out, x, w_shape, **attrs: conv(x, grad, **attrs),
        lambda grad, grad_out, x, w_shape, **attrs: conv_grad_x(
            grad_out, grad, x_shape=shape_of(x), **attrs
        ),
    ),
    grad_name="ConvolutionBackwardBackward0",
)
