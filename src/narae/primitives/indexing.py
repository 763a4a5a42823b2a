"""Reading and writing at computed positions."""

from typing import Any

from narae.base.shapes import Shape

from .generators import zeros
from .record import Primitive, first_dtype, same_shape, shape_of


def _take_shape(x: Any, index: Any, *, dim: int) -> Shape:
    return (*x.shape[:dim], *shape_of(index), *x.shape[dim + 1 :])


take: Primitive = Primitive(
    "take",
    "indexing",
    "x index",
    "slices of x at `index` along a dimension: out[.., i.., ..] = x[.., index[i..], ..]",
    shape=_take_shape,
    dtype=first_dtype,
    saves="x.shape x.dtype index",
    grads=(
        lambda grad, x_shape, x_dtype, index, dim: index_add(
            zeros(x_shape, x_dtype), index, grad, dim=dim
        ),
        None,
    ),
    grad_name="IndexBackward0",
)

index_add: Primitive = Primitive(
    "index_add",
    "indexing",
    "x index src",
    "x with src[.., i.., ..] added at x[.., index[i..], ..], repeated indices included",
    shape=same_shape,
    dtype=first_dtype,
    saves="index",
    grads=(
        lambda grad, index, dim: grad,
        None,
        lambda grad, index, dim: take(grad, index, dim=dim),
    ),
)

gather: Primitive = Primitive(
    "gather",
    "indexing",
    "x index",
    "out[i][j] = x[index[i][j]][j] for dim 0, and so on",
    shape=lambda x, index, *, dim: shape_of(index),
    dtype=first_dtype,
    saves="x.shape x.dtype index",
    grads=(
        lambda grad, x_shape, x_dtype, index, dim: scatter_add(
            zeros(x_shape, x_dtype), index, grad, dim=dim
        ),
        None,
    ),
)


scatter_add: Primitive = Primitive(
    "scatter_add",
    "indexing",
    "x index src",
    "x with src[i][j] added at x[index[i][j]][j] for dim 0, and so on",
    shape=same_shape,
    dtype=first_dtype,
    saves="index",
    grads=(
        lambda grad, index, dim: grad,
        None,
        lambda grad, index, dim: gather(grad, index, dim=dim),
    ),
)

scatter: Primitive = Primitive(
    "scatter",
    "indexing",
    "x index src",
    "x with src[i][j] written at x[index[i][j]][j] for dim 0, and so on; the last write wins",
    shape=same_shape,
    dtype=first_dtype,
    saves="index x.dtype",
    grads=(
        lambda grad, index, x_dtype, dim: scatter(
            grad, index, zeros(shape_of(index), x_dtype), dim=dim
        ),
        None,
        lambda grad, index, x_dtype, dim: gather(grad, index, dim=dim),
    ),
)
