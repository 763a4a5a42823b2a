"""Normalisation layers with the statistics they measured, as PyTorch's `native_…` functions.

`narae.nn.functional` has the usual forms; these also return the mean and 1 / sqrt(var + eps).
"""

from collections.abc import Sequence

from narae import primitives as p
from narae.base.errors import ShapeError, explain
from narae.base.shapes import Shape

from .creation import empty
from .eager import apply, converted
from .memory import copy_, detach
from .modes import no_grad
from .tensor import Tensor

Three = tuple[Tensor, Tensor, Tensor]


def native_layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Three:
    """Layer normalization over the last dimensions, with its mean and 1 / sqrt(var + eps).

    Args:
        input: (…, *normalized_shape)
        normalized_shape: the sizes of the dimensions to average over.
        weight, bias: of normalized_shape, or None.
        eps: keeps the denominator from 0.

    Returns:
        out, mean and rstd; the latter have size 1 in the averaged dimensions.
    """
    sizes = tuple(normalized_shape)
    shape = tuple(input._value.shape)
    if not sizes:
        raise ShapeError(
            "[native_layer_norm] Expected normalized_shape to be at least 1-dimensional, i.e., "
            "containing at least one element, but got normalized_shape = []"
        )
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and tuple(vector._value.shape) != sizes:
            raise ShapeError(
                f"[native_layer_norm] Expected {name} to be of same shape as normalized_shape, but "
                f"got {name} of shape {tuple(vector.shape)} and normalized_shape = {sizes}"
            )
    if shape[len(shape) - len(sizes) :] != sizes or len(sizes) > len(shape):
        raise ShapeError(
            explain(
                "native_layer_norm",
                f"the input is {shape}, normalized_shape {sizes}",
                "the last dimensions of the input must have these sizes",
            )
        )
    out, mean, rstd = apply(p.layer_norm, input, weight, bias, rank=len(sizes), eps=eps)
    return out, detach(mean), detach(rstd)


def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> Three:
    """Group normalization, with the mean and 1 / sqrt(var + eps) of each group.

    Args:
        input: (N, C, …), with HxW pixels.
        weight, bias: (C,), or None.
        N, C, HxW: the sizes of the input.
        group: how many groups the channels form.
        eps: keeps the denominator from 0.

    Returns:
        out, and mean and rstd of shape (N, group).
    """
    shape = tuple(input._value.shape)
    if group <= 0 or C % group or input._value.size != N * C * HxW:
        raise ShapeError(
            explain(
                "native_group_norm",
                f"the input is {shape}, N, C, HxW are {N}, {C}, {HxW}, group is {group}",
                "Expected number of channels in input to be divisible by num_groups, and sizes "
                "that multiply up to those of the input",
            )
        )
    out, mean, rstd = apply(p.group_norm, input, weight, bias, groups=group, eps=eps)
    return out, _shaped(mean, (N, group)), _shaped(rstd, (N, group))


def _shaped(x: Tensor, shape: Shape) -> Tensor:
    return apply(p.reshape, x, shape=shape)  # type: ignore[no-any-return]


def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Three:
    """Batch normalization, with the mean and 1 / sqrt(var + eps) that it used in training.

    Args:
        input: (batch, channels, …)
        weight, bias: (channels,), or None.
        running_mean, running_var: (channels,), moved towards the batch in training.
        training: use the statistics of the batch, and return them.
        momentum: the share of the batch in the running statistics.
        eps: keeps the denominator from 0.

    Returns:
        out, mean and rstd; the latter are empty unless training.
    """
    x = input
    if not training:
        if running_mean is None or running_var is None:
            raise ShapeError(
                "[native_batch_norm] running_mean and running_var must be defined in evaluation "
                "mode"
            )
        out = apply(p.fixed_norm, x, running_mean, running_var, weight, bias, eps=eps)
        return out, empty(0, dtype=x._value.dtype), empty(0, dtype=x._value.dtype)
    out, mean, var = apply(p.batch_norm, x, weight, bias, eps=eps)
    count = x._value.size // max(x._value.shape[1], 1)
    _move(running_mean, mean, momentum, 1.0)
    _move(running_var, var, momentum, count / (count - 1) if count > 1 else float("nan"))
    return out, detach(mean), detach(apply(p.rsqrt, apply(p.add, var, eps)))


def _move(running: Tensor | None, new: Tensor, momentum: float, scale: float) -> None:
    """running = (1 - momentum) * running + momentum * scale * new, in place."""
    if running is not None:
        with no_grad():
            measured = converted(new, running._value.dtype)
            copy_(running, apply(p.moving_average, running, measured,
                                 momentum=momentum, scale=scale))  # fmt: skip


__all__ = ["native_batch_norm", "native_group_norm", "native_layer_norm"]
