"""The affine map x wᵀ + b, with and without b."""

import math
from collections.abc import Sequence
from typing import Any

from .composite import Composite
from .contractions import matmul, transpose_last
from .elementwise import add
from .movement import reshape
from .record import shape_of
from .reductions import sum_


def _rows(x: Any) -> Any:
    """All leading dimensions as one: (.., features) -> (rows, features)."""
    shape = shape_of(x)
    if len(shape) == 2:
        return x
    return reshape(x, shape=(math.prod(shape[:-1]), shape[-1]))


def _product(x: Any, w: Any) -> Any:
    out = matmul(_rows(x), transpose_last(w))  # (rows, out_features)
    return _like_leading(out, x)


def _like_leading(rows: Any, x: Any) -> Any:
    shape = (*shape_of(x)[:-1], shape_of(rows)[-1])
    return rows if shape_of(rows) == shape else reshape(rows, shape=shape)


def _linear_grads(
    needs: Sequence[bool], grads: Sequence[Any], x: Any, w: Any, *rest: Any
) -> tuple[Any, ...]:
    grad = _rows(grads[0])  # (rows, out_features)
    grad_x = _like_leading(matmul(grad, w), x) if needs[0] else None
    grad_w = matmul(transpose_last(grad), _rows(x)) if needs[1] else None
    if len(needs) == 2:
        return grad_x, grad_w
    return grad_x, grad_w, sum_(grad, dim=(0,), keepdim=False) if needs[2] else None


linear: Composite = Composite(
    "linear",
    "x w b",
    "out[.., o] = sum over i of x[.., i] * w[o, i], plus b[o]",
    lambda x, w, b: add(_product(x, w), b),
    saves="x w",
    joint_grad=_linear_grads,
    grad_name="AddmmBackward0",
)

linear_without_bias: Composite = Composite(
    "linear_without_bias",
    "x w",
    "out[.., o] = sum over i of x[.., i] * w[o, i]",
    _product,
    saves="x w",
    joint_grad=_linear_grads,
    grad_name="MmBackward0",
)
