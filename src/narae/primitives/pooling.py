"""Windows over space: the largest of each, or the sum of each."""

import math
from typing import Any

from narae.base.dtypes import INT64
from narae.base.shapes import Shape

from .contractions import conv_output_size
from .generators import zeros
from .indexing import scatter_add
from .movement import reshape
from .record import Primitive, first_dtype, shape_of


def _pooled_shape(x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    space = map(conv_output_size, x.shape[2:], kernel, stride, padding, dilation)
    return (*x.shape[:2], *space)


def _max_pool_shape(x: Any, **attrs: Any) -> tuple[Shape, Shape]:
    shape = _pooled_shape(x, **attrs)
    return shape, shape


def _max_pool_grad(
    needs: Any, grads: Any, x_shape: Shape, x_dtype: Any, indices: Any, **_: Any
) -> tuple[Any]:
    """Send each gradient to the pixel that was the largest."""
    rows = x_shape[:2]
    flat = (*rows, math.prod(x_shape[2:]))
    pooled = (*rows, math.prod(shape_of(indices)[2:]))
    summed = scatter_add(
        zeros(flat, x_dtype), reshape(indices, shape=pooled), reshape(grads[0], shape=pooled), dim=2
    )
    return (reshape(summed, shape=x_shape),)


max_pool: Primitive = Primitive(
    "max_pool",
    "window",
    "x",
    "the largest of each window, and its flat position in the plane; NaN wins",
    shape=_max_pool_shape,
    dtype=lambda x, **_: (x.dtype, INT64),
    saves="x.shape x.dtype out1",
    joint_grad=_max_pool_grad,
    outputs=2,
    grad_name="MaxPool2DWithIndicesBackward0",
)

window_sum: Primitive = Primitive(
    "window_sum",
    "window",
    "x",
    "the sum of each window; padding counts as zero",
    shape=_pooled_shape,
    dtype=first_dtype,
    saves="x.shape",
    grads=(lambda grad, x_shape, **attrs: window_sum_grad(grad, x_shape=x_shape, **attrs),),
    grad_name="AvgPool2DBackward0",
)

window_sum_grad: Primitive = Primitive(
    "window_sum_grad",
    "window",
    "grad_out",
    "the transpose of window_sum: each number added to every place of its window",
    shape=lambda grad_out, *, x_shape, **_: x_shape,
    dtype=first_dtype,
    grads=(lambda grad, x_shape, **attrs: window_sum(grad, **attrs),),
    grad_name="AvgPool2DBackwardBackward0",
)
