"""Functions that PyTorch has under `torch.ops.aten` only; here they are `narae.ops.aten`."""

import builtins
from collections.abc import Sequence
from typing import Any

from narae import primitives as p
from narae.base.dtypes import BOOL
from narae.base.errors import DTypeError, ShapeError, explain
from narae.base.shapes import normalize_dim

from .eager import apply, converted
from .indexing import getitem
from .movement import reshape
from .tensor import Tensor


def slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The view input[.., start:end:step, ..] of one dimension.

    >>> import narae
    >>> narae.ops.aten.slice(narae.arange(5), 0, 1, -1)
    tensor([1, 2, 3])
    """
    dim = normalize_dim(dim, input._value.ndim, "slice")
    every = builtins.slice(None)
    places = (*(every,) * dim, builtins.slice(start, end, step))
    return getitem(input, places)


def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """The gradient of dropout: grad_output * mask * scale.

    Args:
        grad_output: the gradient of the result.
        mask: bools, True where an element was kept.
        scale: 1 / (1 - p).
    """
    if mask._value.dtype.kind != "b":
        raise DTypeError(
            explain("native_dropout_backward", f"the mask is {mask.dtype}", "it must be bool")
        )
    kept = converted(mask, grad_output._value.dtype)
    return grad_output * kept * scale  # type: ignore[no-any-return]


def max_pool2d_with_indices_backward(
    grad_output: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """The gradient of max pooling: each number is added where the largest of its window was.

    Args:
        grad_output: (batch, channels, height, width) of the result, or without batch.
        input: what was pooled; only its shape matters.
        kernel_size, stride, padding, dilation, ceil_mode: how; the indices say it already.
        indices: the places of the largest elements, in the shape of grad_output.
    """
    shape, pooled = tuple(input._value.shape), tuple(grad_output._value.shape)
    if pooled != tuple(indices._value.shape) or len(pooled) not in (3, 4):
        raise ShapeError(
            explain(
                "max_pool2d_with_indices_backward",
                f"grad_output is {pooled}, the indices are {tuple(indices.shape)}",
                "both have the shape of the pooled planes",
            )
        )
    grad, places = grad_output, indices
    if len(shape) == 3:
        grad, places = (reshape(x, (1, *pooled)) for x in (grad_output, indices))
    spread = reshape(apply(p.max_pool_grad, grad, places, x_shape=(1, *shape)[-4:]), shape)
    if not input.requires_grad:
        return spread
    # As in PyTorch the input stands on the tape, with a gradient of zero.
    never = apply(p.full, shape=(), value=False, dtype=BOOL)
    return apply(p.where, never, input, spread)  # type: ignore[no-any-return]


__all__: Sequence[str] = [
    "max_pool2d_with_indices_backward", "native_dropout_backward", "slice",
]  # fmt: skip
