"""Windows over space: the largest of each, or the sum of each."""

import math
from typing import Any

from narae.base.dtypes import INT64
from narae.base.shapes import Shape

from .contractions import conv_output_size
from .indexing import gather
from .movement import reshape
from .record import Primitive, first_dtype, shape_of


def _pooled_shape(x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    space = map(conv_output_size, x.shape[2:], kernel, stride, padding, dilation)
    return (*x.shape[:2], *space)


def _max_pool_shape(x: Any, **attrs: Any) -> tuple[Shape, Shape]:
    shape = _pooled_shape(x, **attrs)
    return shape, shape


def _gather_maxima(needs: Any, grads: Any, indices: Any, **_: Any) -> tuple[Any, None]:
    """Read each gradient where the largest pixel was."""
    grad = grads[0]
    rows = grad.shape[:2]
    flat = (*rows, math.prod(grad.shape[2:]))
    pooled = (*rows, math.prod(shape_of(indices)[2:]))
    read = gather(reshape(grad, shape=flat), reshape(indices, shape=pooled), dim=2)
    return (reshape(read, shape=shape_of(indices)), None)


max_pool_grad: Primitive = Primitive(
    "max_pool_grad",
    "window",
    "grad_out indices",
    "the transpose of max_pool: each number added where the largest of its window was",
    shape=lambda grad_out, indices, *, x_shape: x_shape,
    dtype=first_dtype,
    saves="indices",
    joint_grad=_gather_maxima,
    grad_name="MaxPool2DWithIndicesBackwardBackward0",
)

max_pool: Primitive = Primitive(
    "max_pool",
    "window",
    "x",
    "the largest of each window, and its flat position in the plane; NaN wins",
    shape=_max_pool_shape,
    dtype=lambda x, **_: (x.dtype, INT64),
    saves="x.shape out1",
    joint_grad=lambda needs, grads, x_shape, indices, **_: (
        max_pool_grad(grads[0], indices, x_shape=x_shape),
    ),
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
