"""Normalization functions."""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np

from narae import primitives as p
from narae.base.dtypes import FLOAT32, is_half
from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor, broadcast_tensors, no_grad
from narae.tensors.eager import apply, converted
from narae.tensors.operands import deliver
from narae.tensors.views import check_writable, write

from .pool import averaged

Options = ParamSpec("Options")


def _with_float32_parameters(
    function: Callable[Concatenate[Tensor, Options], Tensor],
) -> Callable[Concatenate[Tensor, Options], Tensor]:
    """Let halves be normalized with float32 parameters: in float32, and the result is rounded."""

    @wraps(function)
    def run(input: Tensor, *args: Options.args, **kwargs: Options.kwargs) -> Tensor:
        dtype = input._value.dtype
        if is_half(dtype) and any(map(_is_float32, (*args, *kwargs.values()))):
            out = function(converted(input, FLOAT32), *args, **kwargs)
            return converted(out, dtype)
        return function(input, *args, **kwargs)

    return run  # type: ignore[return-value]


def _is_float32(item: Any) -> bool:
    return isinstance(item, Tensor) and item._value.dtype == FLOAT32


def _check_sizes(what: str, channels: int, **vectors: Any) -> None:
    for name, vector in vectors.items():
        if vector is not None and vector.numel() != channels:
            raise ShapeError(
                explain(
                    what,
                    f"{name} should contain {channels} elements not {vector.numel()}",
                    "dimension 1 of the input holds the channels, one element for each",
                    f"num_features should be {channels}",
                )
            )


def _check_more_than_one(size: Sequence[int]) -> None:
    if math.prod(size[2:]) * size[0] == 1:
        raise ShapeError(
            f"Expected more than 1 value per channel when training, got input size {list(size)}. "
            "A single value has no variance. Fix: use larger batches (DataLoader(drop_last=True)), "
            "or eval()"
        )


def _check_eps(what: str, eps: float, training: bool) -> None:
    if training and eps <= 0.0:
        raise ConfigError(f"{what} eps must be positive during training, but got {eps}")
    if eps < 0.0:
        raise ConfigError(f"{what} eps must be non-negative, but got {eps}")


def move_average(running: Any, new: Any, momentum: Any, scale: float) -> None:
    """running = (1 - momentum) * running + momentum * scale * new, in place."""
    if running is None:
        return
    with no_grad():
        if isinstance(momentum, Tensor):
            share: Any = momentum
            updated = running * (1 - share) + new * (share * scale)
        else:
            updated = apply(p.moving_average, running, new, momentum=momentum, scale=scale)
        check_writable(running, "batch_norm")
        write(running, updated, "batch_norm")


@_with_float32_parameters
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, for each channel.

    Args:
        input: (batch, channels, …)
        running_mean, running_var: (channels,); in training they move towards the statistics of
            the batch (the variance with count - 1), otherwise they are used in their place
        weight, bias: (channels,), or none
        training: use the mean and the variance of the batch
        momentum: the share of the batch in the running statistics
        eps: keeps the denominator from 0

    Source: Ioffe and Szegedy, Batch normalization (2015), algorithm 1.
    """
    x: Any = input
    if x.ndim < 2 and x.numel() == 0:
        return x.clone()  # as in PyTorch, which asks an empty input no questions
    if x.ndim < 2:
        raise ShapeError(f"[batch_norm] expected at least 2 dimensions, got {tuple(x.shape)}")
    _check_eps("batch_norm", eps, training)
    named = {"running_mean": running_mean, "running_var": running_var}
    _check_sizes("batch_norm", x.shape[1], **named, weight=weight, bias=bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ConfigError(
                "Expected running_mean and running_var to be defined when training=False"
            )
        return apply(p.fixed_norm, x, running_mean, running_var, weight, bias, eps=eps)
    _check_more_than_one(x.shape)
    out, mean, var = apply(p.batch_norm, x, weight, bias, eps=eps)
    if x.numel() == 0:
        return out  # nothing was measured
    count = x.numel() // x.shape[1]
    move_average(running_mean, mean, momentum, 1.0)
    move_average(running_var, var, momentum, count / (count - 1) if count > 1 else math.nan)
    return out


@_with_float32_parameters
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalization of every image by itself: averages over its pixels, for each channel.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization (2016).
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x: Any = input
    batch, channels, *space = x.shape
    count = math.prod(space)
    if count == 1:
        raise ShapeError(
            "Expected more than 1 spatial element when training, got input size "
            f"{list(x.shape)}. A single value has no variance"
        )
    _check_sizes("instance_norm", channels, running_mean=running_mean, weight=weight, bias=bias)
    flat = x.reshape(1, batch * channels, *space)
    out, mean, var = apply(p.batch_norm, flat, None, None, eps=eps)
    if running_mean is not None:
        means = mean.detach().reshape(batch, channels).mean(0)
        variances = var.detach().reshape(batch, channels).mean(0)
        move_average(running_mean, means, momentum, 1.0)
        move_average(running_var, variances, momentum, count / (count - 1))
    out = out.reshape(x.shape)
    column = (channels, *(1,) * len(space))
    if weight is not None:
        out = out * weight.reshape(column)
    return out if bias is None else out + bias.reshape(column)


def _check_normalized(what: str, x: Any, wanted: tuple[int, ...], **vectors: Any) -> None:
    if not wanted or tuple(x.shape[-len(wanted) :]) != wanted:
        raise ShapeError(
            explain(
                what,
                f"Given normalized_shape={list(wanted)}, expected input with shape "
                f"[*, {', '.join(map(str, wanted))}], but got input of size{list(x.shape)}",
                "normalized_shape must be the last sizes of the input",
                f"normalized_shape should be {list(x.shape[-max(len(wanted), 1) :])}",
            )
        )
    for name, vector in vectors.items():
        if vector is not None and tuple(vector.shape) != wanted:
            raise ShapeError(
                f"[{what}] Expected {name} to be of same shape as normalized_shape, but got {name} "
                f"of shape {list(vector.shape)} and normalized_shape = {list(wanted)}"
            )


@_with_float32_parameters
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, averages over the last dimensions.

    Args:
        input: (…, *normalized_shape)
        normalized_shape: the sizes that are averaged over
        weight, bias: of normalized_shape, or none
        eps: keeps the denominator from 0

    Source: Ba, Kiros and Hinton, Layer normalization (2016), equations 3 and 4.
    """
    wanted = tuple(normalized_shape)
    _check_normalized("layer_norm", input, wanted, weight=weight, bias=bias)
    return apply(p.layer_norm, input, weight, bias, rank=len(wanted), eps=eps)[0]


@_with_float32_parameters
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(average of x ** 2 + eps) * weight, averages over the last dimensions.

    Source: Zhang and Sennrich, Root mean square layer normalization (2019), equation 4.
    """
    wanted = tuple(normalized_shape)
    _check_normalized("rms_norm", input, wanted, weight=weight)
    if eps is None:
        eps = _smallest_step(input)
    return apply(p.rms_norm, input, weight, rank=len(wanted), eps=eps)[0]


def _smallest_step(x: Tensor) -> float:
    """The distance from 1 to the next number, which is PyTorch's default eps."""
    import ml_dtypes

    dtype = x._value.dtype
    found = np.finfo(dtype) if dtype.kind == "f" else ml_dtypes.finfo(dtype)
    return float(found.eps)


@_with_float32_parameters
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, averages over groups of channels.

    Args:
        input: (batch, channels, …)
        num_groups: into how many groups the channels are cut
        weight, bias: (channels,), or none
        eps: keeps the denominator from 0

    Source: Wu and He, Group normalization (2018), equations 1 to 4.
    """
    x: Any = input
    if x.ndim < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    if num_groups <= 0 or x.shape[1] % num_groups:
        raise ShapeError(
            explain(
                "group_norm",
                f"the input is {tuple(x.shape)}, num_groups is {num_groups}",
                "Expected number of channels in input to be divisible by num_groups",
            )
        )
    _check_sizes("group_norm", x.shape[1], weight=weight, bias=bias)
    _check_more_than_one([x.shape[0] * x.shape[1] // num_groups, num_groups, *x.shape[2:]])
    return apply(p.group_norm, x, weight, bias, groups=num_groups, eps=eps)[0]


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * average of x ** 2 over `size` neighbouring channels) ** beta.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks (2012), section 3.3.
    """
    x: Any = input
    if x.ndim < 3:
        raise ShapeError(f"Expected 3D or higher dimensionality input (got {x.ndim} dimensions)")
    if x.numel() == 0:
        return input
    planes = (x * x).reshape(x.shape[0], 1, x.shape[1], -1)  # (batch, 1, channels, pixels)
    around = ((size // 2, (size - 1) // 2), (0, 0))
    means = averaged(
        planes,
        counted=around,
        divisor=size,
        kernel=(size, 1),
        stride=(1, 1),
        padding=around,
        dilation=(1, 1),
    )
    return x / (means.reshape(x.shape) * alpha + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    """x / max(norm of x along `dim`, eps).

    >>> import narae
    >>> narae.nn.functional.normalize(narae.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    x: Any = input
    return deliver(x / x.norm(p, dim, keepdim=True).clamp(min=eps), out, "normalize")


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`."""
    first, second = broadcast_tensors(x1, x2)
    first = first / first.norm(2, dim, keepdim=True).clamp(min=eps)
    second = second / second.norm(2, dim, keepdim=True).clamp(min=eps)
    return (first * second).sum(dim)


__all__ = [
    "batch_norm",
    "cosine_similarity",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]
