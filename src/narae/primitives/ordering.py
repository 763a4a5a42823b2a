"""Sorting and choosing the largest."""

from typing import Any

from narae.base.dtypes import INT64
from narae.base.shapes import Shape

from .generators import zeros
from .indexing import scatter_add
from .record import Primitive


def _back_to_place(
    needs: Any, grads: Any, x_shape: Shape, x_dtype: Any, indices: Any, *, dim: int, **_: Any
) -> tuple[Any]:
    return (scatter_add(zeros(x_shape, x_dtype), indices, grads[0], dim=dim),)


def _top_shape(x: Any, *, k: int, dim: int, largest: bool) -> tuple[Shape, Shape]:
    shape = (*x.shape[:dim], k, *x.shape[dim + 1 :])
    return shape, shape


sort: Primitive = Primitive(
    "sort",
    "ordering",
    "x",
    "the elements in order along a dimension, and where they were; NaN is the largest",
    shape=lambda x, *, dim, descending: (tuple(x.shape), tuple(x.shape)),
    dtype=lambda x, *, dim, descending: (x.dtype, INT64),
    saves="x.shape x.dtype out1",
    joint_grad=_back_to_place,
    outputs=2,
)

topk: Primitive = Primitive(
    "topk",
    "ordering",
    "x",
    "the k largest (or smallest) along a dimension, in order, and where they were",
    shape=_top_shape,
    dtype=lambda x, *, k, dim, largest: (x.dtype, INT64),
    saves="x.shape x.dtype out1",
    joint_grad=_back_to_place,
    outputs=2,
)
