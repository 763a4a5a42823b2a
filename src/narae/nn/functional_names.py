"""Further names of `nn.functional`: in-place activations, pooling with indices, and others."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import ShapeError, explain
from narae.base.notices import warn_user
from narae.tensors import Tensor, pdist, zeros_like
from narae.tensors import activations as A

from . import pool
from .activation import rrelu
from .convolution import conv1d
from .fractional_pool import (
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d_with_indices,
)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    name = function.__name__ + "_"

    def run(input: Tensor, *arguments: Any, **options: Any) -> Any:
        return function(input, *arguments, inplace=True, **options)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"`{name[:-1]}` that writes its result into the input."
    return run


celu_, elu_, hardtanh_ = _in_place(A.celu), _in_place(A.elu), _in_place(A.hardtanh)
leaky_relu_, selu_ = _in_place(A.leaky_relu), _in_place(A.selu)
threshold_, rrelu_ = _in_place(A.threshold), _in_place(rrelu)


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    name = function.__name__ + "_with_indices"

    def run(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **{**options, "return_indices": True})

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"`{function.__name__}` with return_indices=True."
    return run


max_pool1d_with_indices = _with_indices(pool.max_pool1d)
max_pool2d_with_indices = _with_indices(pool.max_pool2d)
max_pool3d_with_indices = _with_indices(pool.max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(pool.adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(pool.adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(pool.adaptive_max_pool3d)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A random point of the simplex that is near a corner, drawn with the given log-odds.

    softmax((logits + g) / tau), g = -log(-log(uniform)); with `hard` the corner itself, whose
    gradient is that of the point ("straight through").

    Source: Jang, Gu and Poole, Categorical Reparameterization with Gumbel-Softmax (2017).

    Args:
        logits: unnormalized log-probabilities
        tau: temperature: near 0 the points are near corners
        hard: give corners: one 1, else 0
        dim: the dimension of the classes

    >>> import narae
    >>> narae.nn.functional.gumbel_softmax(narae.zeros(5, 3), hard=True).sum(1)
    tensor([1., 1., 1., 1., 1.])
    """
    if eps != 1e-10:
        warn_user("`eps` parameter is deprecated and has no effect.")
    x: Any = logits
    noise = -zeros_like(x.detach()).exponential_().log()
    soft = ((x + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.detach().max(dim, keepdim=True)[1]
    corner = zeros_like(x.detach()).scatter(dim, index, 1.0)
    return corner - soft.detach() + soft


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolution over time of (time, batch, channels).

    Args:
        input: (time, batch, in_channels)
        weight: (kernel, in_channels, out_channels)
        bias: (out_channels,)
        pad: zeros at both ends

    Returns:
        (time + 2 * pad - kernel + 1, batch, out_channels)
    """
    x: Any = input
    w: Any = weight
    if x.ndim != 3 or w.ndim != 3 or bias.ndim != 1:
        raise ShapeError(
            explain(
                "conv_tbc",
                f"input is {tuple(x.shape)}, weight {tuple(w.shape)}, bias {tuple(bias.shape)}",
                "they are (time, batch, in), (kernel, in, out) and (out,)",
            )
        )
    out: Any = conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), bias, padding=pad)
    return out.permute(2, 0, 1)


__all__ = [
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
    "celu_",
    "conv_tbc",
    "elu_",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d_with_indices",
    "gumbel_softmax",
    "hardtanh_",
    "leaky_relu_",
    "max_pool1d_with_indices",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "pdist",
    "rrelu_",
    "selu_",
    "threshold_",
]
